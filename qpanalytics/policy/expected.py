"""What is expected of one check and when: the windows of its versions, one at a time (design rules 1, 2, 5 and 6).

The ledger lays out windows for millions of ticks at once; here the next one is asked for, as time goes by. Instants are
epoch microseconds; `FOREVER_US` is never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qpanalytics.ledger.versions import EARLY_MOST_US, EARLY_SHARE, FOREVER_US, Version, schedule_of
from qpanalytics.policy.ticks import Ticks, ticks_of


class Window(NamedTuple):
    """Where one occurrence looks for its success. `anchored`: it begins with the completion before, which is not its own."""

    start: int
    expected: int
    deadline: int
    anchored: bool = False

    def kept(self, success: int | None) -> bool:
        """Whether a success at that instant, the last one, answers it."""
        return success is not None and (success > self.start if self.anchored else success >= self.start)


@dataclass(frozen=True, slots=True)
class Reign:
    """One version and the span [since, until) it is in force for. `period`: of an interval; `ticks`: of everything else."""

    since: int
    until: int
    version: Version
    grace: int
    period: int | None
    ticks: Ticks | None

    def early(self, tick: int, before: int | None) -> int:
        """How long before its tick a run may come and still be meant for it."""
        said = self.version.early_s
        given = None if said is None else round(said * 1e6)
        if before is None:
            return given or 0
        gap = tick - before
        return min(min(gap // EARLY_SHARE, EARLY_MOST_US) if given is None else given, gap // 2)

    def window(self, tick: int) -> Window:
        """The window of one of its ticks."""
        assert self.ticks is not None
        return Window(tick - self.early(tick, self.ticks.before(tick)), tick, tick + self.grace)

    def due_after(self, clock: int) -> int | None:
        """Its first tick whose deadline is after `clock`."""
        if self.ticks is None:
            return None
        tick = self.ticks.after(max(clock - self.grace, self.since - 1))
        return tick if tick is not None and tick < self.until else None

    @property
    def limit_us(self) -> int | None:
        """How long a run may take."""
        said = self.version.max_runtime_s
        return None if said is None else round(said * 1e6)


def reigns(versions: Sequence[Version], first_ping: int | None) -> list[Reign]:
    """The versions that expect anything; one without a beginning counts from the first ping, and before it not at all."""
    made = []
    for version in versions:
        since = version.from_us if version.counts else first_ping
        if since is None or since >= version.to_us:
            continue
        period, ticks = None, None
        if version.schedule is not None:
            schedule = schedule_of(version.schedule, version.tz)
            period = round(schedule.period_s * 1e6) if schedule.period_s else None
            ticks = None if period else ticks_of(version.schedule, version.tz)
        made.append(Reign(since, version.to_us, version, version.grace_us, period, ticks))
    return made


# Cron and OnCalendar --------------------------------------------------------------------------------------------------


def holder(made: Sequence[Reign], at: int) -> tuple[Reign, Window, int] | None:
    """The window of a tick that `at` lies in, its version and its end; the one that opened last if two do."""
    best: tuple[Reign, Window, int] | None = None
    for number, reign in enumerate(made):
        found = _last_opened(reign, at)
        if found is None:
            continue
        assert reign.ticks is not None
        after = reign.ticks.after(found.expected)
        end = FOREVER_US if after is None else after - reign.early(after, found.expected)
        end = min(end, taken_over_at(made, number + 1))
        if at < end and (best is None or found.start >= best[1].start):
            best = reign, found, end
    return best


def _last_opened(reign: Reign, at: int) -> Window | None:
    if reign.ticks is None:
        return None
    ahead = reign.ticks.after(max(at, reign.since - 1))
    if ahead is not None and ahead < reign.until:
        window = reign.window(ahead)
        if window.start <= at:
            return window
    tick = reign.ticks.before(min(at + 1, reign.until))
    return reign.window(tick) if tick is not None and tick >= reign.since else None


def taken_over_at(made: Sequence[Reign], number: int) -> int:
    """Where the windows of the versions before `number` end: an interval's beginning, else the start of the first window."""
    soonest = FOREVER_US
    for reign in made[number:]:
        if reign.period is not None:
            soonest = min(soonest, reign.since)
        elif reign.ticks is not None:
            first = reign.ticks.after(reign.since - 1)
            if first is not None and first < reign.until:
                soonest = min(soonest, reign.window(first).start)
    return soonest


# Intervals ------------------------------------------------------------------------------------------------------------


class Tick(NamedTuple):
    """A tick that rolls with the completions, by the version in force at that very instant."""

    at: int
    reign: Reign


@dataclass(frozen=True, slots=True)
class Chain:
    """A stretch [since, until) in which promises follow one another without a gap and without a pause."""

    since: int
    until: int
    reigns: tuple[Reign, ...]

    def ticks(self, anchor: int, after: int | None = None) -> Iterator[Tick]:
        """anchor + k * period for k >= 1, those later than `after`; endless if the chain is."""
        for reign in self.reigns:
            if reign.period is None:
                continue
            opens, closes = max(reign.since, self.since), min(reign.until, self.until)
            k = max(1, -((anchor - opens) // reign.period))  # rounded up: the first tick not before it opens
            if after is not None:
                k = max(k, (after - anchor) // reign.period + 1)
            tick = anchor + k * reign.period
            while tick < closes:
                yield Tick(tick, reign)
                tick += reign.period

    def first(self, anchor: int) -> int | None:
        """The first tick after an anchor."""
        return next((tick.at for tick in self.ticks(anchor)), None)

    def window(self, anchor: int, tick: Tick) -> Window:
        """The window of a tick while no completion has come since the anchor."""
        first = tick.at == self.first(anchor)
        start = anchor if first else tick.at
        return Window(start, tick.at, tick.at + tick.reign.grace, anchored=start == anchor)

    def closed(self, anchor: int, at: int) -> tuple[list[Tick], int]:
        """The ticks that a completion at `at` finds, and where the window of the last of them ends."""
        ticks = list(self.until_(anchor, at))
        force = next(r for r in self.reigns if r.since <= at < r.until)
        if force.period is None:
            return ticks, min(at, self.to_come(anchor, ticks))
        if not ticks:
            if anchor + force.period <= at:
                return [], at
            ticks = [Tick(anchor + force.period, force)]
        return ticks, at

    def until_(self, anchor: int, at: int) -> Iterator[Tick]:
        """The ticks up to `at`, that included."""
        for tick in self.ticks(anchor):
            if tick.at > at:
                # versions follow one another, so do their ticks
                return
            yield tick

    def to_come(self, anchor: int, ticks: Sequence[Tick]) -> int:
        """The tick after `ticks`: the next that the chain will have, else one more period."""
        if not ticks:
            return FOREVER_US
        last = ticks[-1]
        assert last.reign.period is not None
        return next((tick.at for tick in self.ticks(anchor, last.at)), last.at + last.reign.period)

    @staticmethod
    def windows(anchor: int, ticks: Sequence[Tick], end: int) -> list[tuple[Window, Reign, int]]:
        """Consecutive windows with their ends: the first from the anchor, the others from their tick, the last to `end`."""
        made = []
        for place, tick in enumerate(ticks):
            start = tick.at if place else anchor
            closes = ticks[place + 1].at if place + 1 < len(ticks) else end
            made.append((Window(start, tick.at, tick.at + tick.reign.grace, start == anchor), tick.reign, closes))
        return made
