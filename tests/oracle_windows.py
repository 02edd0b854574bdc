"""Rules 1, 2, 5 and 6, slowly: versions -> windows. Part of the oracle; see `oracle.py`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, takewhile

from oracle_runs import SECOND, Paired, Ping

from qpanalytics.schedules import Schedule, parse

BEGINNING, FOREVER = -(1 << 62), 1 << 62
Span = tuple[int, int]
parsed = lru_cache(maxsize=None)(parse)


@dataclass(frozen=True)
class Version:
    """A promise and how long it holds, [valid_from, valid_to). None: from the first ping on; until the next version."""

    valid_from: int | None
    valid_to: int | None
    schedule: str
    tz: str = "UTC"
    grace_s: float | None = None
    early_s: float | None = None
    max_runtime_s: float | None = None


@dataclass(frozen=True, eq=False)
class Promise:
    """A version with what it left open filled in; microseconds. `period` is None for cron and OnCalendar."""

    start: int
    end: int
    schedule: Schedule
    period: int | None
    grace: int
    early: int | None
    max_runtime: int | None


@dataclass(eq=False)
class Window:
    """Where one occurrence looks for its runs, [window_start_at, end_at). `runs` are those that it found."""

    promise: Promise
    expected_at: int
    window_start_at: int
    end_at: int
    # The first tick of an interval: its window opens with the completion before, which is not its own.
    after_anchor: bool = False
    runs: list[Paired] = field(default_factory=list)

    @property
    def deadline_at(self) -> int:
        return self.expected_at + self.promise.grace

    def found(self, *results: str) -> list[Paired]:
        return sorted((run for run in self.runs if run.result in results), key=lambda run: run.order)


def reigns(versions: Sequence[Version]) -> list[tuple[int, int, Version]]:
    """(from, to, version) in order of time, each cut where the next one begins; one that never held is left out."""
    ordered = sorted(versions, key=lambda version: BEGINNING if version.valid_from is None else version.valid_from)
    starts = [BEGINNING if version.valid_from is None else version.valid_from for version in ordered]
    ends = [FOREVER if version.valid_to is None else version.valid_to for version in ordered]
    cut = zip(starts, ends, [*starts, FOREVER][1:], ordered, strict=True)
    return [(start, min(end, following), version) for start, end, following, version in cut if start < min(end, following)]


def promises(versions: Sequence[Version], pings: Sequence[Ping]) -> list[Promise]:
    """The versions that expect anything. One without a valid_from counts from the first of all `pings`, seen or not."""
    first_ping = min((ping.received_at for ping in pings), default=FOREVER)
    made = []
    for start, end, version in reigns(versions):
        start = first_ping if start == BEGINNING else start
        if start < end:
            schedule = parsed(version.schedule, version.tz)
            grace_s = version.grace_s
            if grace_s is None:
                grace_s = min(max(0.2 * schedule.shortest_gap_s(), 60.0), 3600.0)
            grace, period = round(grace_s * SECOND), microseconds(schedule.period_s)
            early, max_runtime = microseconds(version.early_s), microseconds(version.max_runtime_s)
            made.append(Promise(start, end, schedule, period, grace, early, max_runtime))
    return made


def microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


# ------------------------------------------------------------------------------------------------ cron and OnCalendar


def ticks_from(schedule: Schedule, start: int) -> Iterator[int]:
    """Every tick at or after `start`, in order; most schedules never end."""
    month = 30 * 86_400 * SECOND
    while (tick := schedule.after(start - 1)) is not None:
        yield from (int(instant) for instant in schedule.ticks(tick, tick + month))
        start = tick + month


def early(promise: Promise, before: int | None, tick: int) -> int:
    """How long before `tick` a run may come and still be meant for it."""
    if before is None:
        return promise.early or 0
    gap = tick - before
    margin = min(gap // 100, 10 * SECOND) if promise.early is None else promise.early
    return min(margin, gap // 2)


def ticking(promise: Promise) -> Iterator[Window]:
    """A window for each tick, up to where the next one starts; not yet cut by later versions."""
    ticks = ticks_from(promise.schedule, promise.start)
    tick = next(ticks, None)
    before = None if tick is None else promise.schedule.before(tick)
    while tick is not None and tick < promise.end:
        following = next(ticks, None)
        end = FOREVER if following is None else following - early(promise, tick, following)
        yield Window(promise, tick, tick - early(promise, before, tick), end)
        before, tick = tick, following


def takes_over_at(promise: Promise) -> int:
    """Where the windows of earlier versions end: an interval's valid_from, else the start of the first window."""
    if promise.period is not None:
        return promise.start
    return next((window.window_start_at for window in ticking(promise)), FOREVER)


def ticking_windows(made: Sequence[Promise], as_of: int) -> list[Window]:
    """The windows of all cron and OnCalendar versions that have opened by `as_of`."""
    windows = []
    for i, promise in enumerate(made):
        if promise.period is None:
            taken_over_at = min((takes_over_at(later) for later in made[i + 1 :]), default=FOREVER)
            for window in takewhile(lambda window: window.window_start_at <= as_of, ticking(promise)):
                window.end_at = min(window.end_at, taken_over_at)
                windows.append(window)
    return windows


def holder(windows: Sequence[Window], at: int) -> Window | None:
    """The window that `at` lies in; if two do, the one that opened last. `windows` are sorted by their start."""
    upto = bisect_right(windows, at, key=lambda window: window.window_start_at)
    return next((windows[i] for i in range(upto - 1, -1, -1) if at < windows[i].end_at), None)


# ------------------------------------------------------------------------------------------------- rule 6: intervals


@dataclass(frozen=True, eq=False)
class Chain:
    """A stretch [start, end) in which promises follow one another without a gap and without a pause."""

    start: int
    end: int
    promises: list[Promise]


def chains(made: Sequence[Promise], pauses: Sequence[Span]) -> list[Chain]:
    spans: list[Span] = []
    for promise in made:
        if spans and spans[-1][1] == promise.start:
            spans[-1] = (spans[-1][0], promise.end)
        else:
            spans.append((promise.start, promise.end))
    for paused_at, resumed_at in pauses:
        pieces = [piece for s, e in spans for piece in ((s, min(e, paused_at)), (max(s, resumed_at), e))]
        spans = [(s, e) for s, e in pieces if s < e]
    return [Chain(s, e, [p for p in made if p.start < e and s < p.end]) for s, e in spans]


def candidates(chain: Chain, anchor: int) -> Iterator[tuple[int, Promise]]:
    """anchor + k * period for k >= 1, by the promise in force at that very tick; endless if the chain is."""
    for promise in chain.promises:
        if promise.period is not None:
            opens, closes = max(promise.start, chain.start), min(promise.end, chain.end)
            k = max(1, -((anchor - opens) // promise.period))  # rounded up: the first tick not before `opens`
            tick = anchor + k * promise.period
            while tick < closes:
                yield tick, promise
                tick += promise.period


def rolling_windows(chain: Chain, completed: Sequence[Paired], as_of: int) -> list[Window]:
    """What the interval versions of a chain expected. `completed`: all runs with a finish, in order of completion."""
    windows: list[Window] = []
    inside = [run for run in completed if chain.start <= run.completed_at < chain.end]
    anchor: int | None = None
    for at, together in groupby(inside, key=lambda run: run.completed_at):
        if anchor is not None:  # the first completion of a chain closes nothing
            windows += closed_gap(chain, anchor, at, list(together))
        anchor = at
    return windows if anchor is None else windows + open_gap(chain, anchor, as_of)


def closed_gap(chain: Chain, anchor: int, at: int, together: list[Paired]) -> list[Window]:
    """The occurrences between a completion at `anchor` and the next one, or several at one instant, at `at`."""
    in_force = next(promise for promise in chain.promises if promise.start <= at < promise.end)
    ticks = list(takewhile(lambda tick: tick[0] <= at, candidates(chain, anchor)))
    if in_force.period is None:  # under cron a completion only anchors; what was due before stays missed
        return gap(anchor, ticks, min(at, to_come(chain, anchor, ticks)))
    if not ticks and anchor + in_force.period <= at:
        return []  # overdue by its own period, but nothing fell due since that period is in force: only an anchor
    windows = gap(anchor, ticks or [(anchor + in_force.period, in_force)], at)
    windows[-1].runs += together
    return windows


def open_gap(chain: Chain, anchor: int, as_of: int) -> list[Window]:
    """The occurrences since the last completion."""
    ticks = list(takewhile(lambda tick: tick[0] <= as_of, candidates(chain, anchor)))
    return gap(anchor, ticks, to_come(chain, anchor, ticks))


def to_come(chain: Chain, anchor: int, ticks: list[tuple[int, Promise]]) -> int:
    """The tick after `ticks`: the next one that the chain will have, else one more period."""
    if not ticks:
        return FOREVER
    last, promise = ticks[-1]
    assert promise.period is not None
    return next((tick for tick, _ in candidates(chain, anchor) if tick > last), last + promise.period)


def gap(anchor: int, ticks: list[tuple[int, Promise]], end: int) -> list[Window]:
    """Consecutive windows, the first from the anchor, the others from their tick, the last to `end`."""
    opens = [anchor, *(tick for tick, _ in ticks[1:])]
    closes = [*opens[1:], end]
    spans = zip(ticks, opens, closes, strict=False)  # no ticks, no windows
    return [Window(promise, tick, s, e, after_anchor=s == anchor) for (tick, promise), s, e in spans]
