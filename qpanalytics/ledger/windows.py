"""Expected times and the windows that runs are matched to: fixed schedules by their ticks, intervals by completions.

All instants are epoch microseconds in int64 arrays; `FOREVER_US` stands for "never".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qpanalytics.ledger.versions import EARLY_MOST_US, EARLY_SHARE, FOREVER_US, Version, schedule_of
from qpanalytics.schedules import Schedule

Instants = npt.NDArray[np.int64]


@dataclass
class Windows:
    """Windows of one check, a column each.

    `closed`: the completion that ended an interval's gap, else FOREVER_US; `settles`: the completion that settles the
    window. `anchored` is 1 where a window begins with the completion before, which is not its own.
    """

    version: list[Instants] = field(default_factory=list)
    expected: list[Instants] = field(default_factory=list)
    start: list[Instants] = field(default_factory=list)
    end: list[Instants] = field(default_factory=list)
    gap: list[Instants] = field(default_factory=list)
    anchored: list[Instants] = field(default_factory=list)
    closed: list[Instants] = field(default_factory=list)
    settles: list[Instants] = field(default_factory=list)

    def add(
        self,
        version: int,
        expected: Instants,
        start: Instants,
        end: Instants,
        gap: Instants,
        anchored: Instants | None = None,
        closed: Instants | None = None,
        settles: Instants | None = None,
    ) -> None:
        """Appends windows of one version; `settles` is the completion that settles each (FOREVER_US: none)."""
        never = np.full(len(expected), FOREVER_US, dtype=np.int64)
        self.version.append(np.full(len(expected), version, dtype=np.int64))
        self.expected.append(expected)
        self.start.append(start)
        self.end.append(end)
        self.gap.append(gap)
        self.anchored.append(np.zeros(len(expected), dtype=np.int64) if anchored is None else anchored)
        self.closed.append(never if closed is None else closed)
        self.settles.append(never if settles is None else settles)

    def columns(self) -> dict[str, Instants]:
        """The columns as one array each."""
        return {
            name: np.concatenate(parts) if parts else np.empty(0, dtype=np.int64) for name, parts in vars(self).items()
        }


def fixed_windows(versions: Sequence[Version], since_us: int, upto_us: int) -> tuple[Windows, int | None]:
    """Windows of the cron and OnCalendar versions whose tick is at or after `since_us` and that begin by `upto_us`.

    Returns them and the first tick that begins later, None if none is known to come. A window runs from its tick less
    the early margin to the next window of the same version (expanded one tick past its end) or to the first window of
    the next version, whichever is sooner.
    """
    out = Windows()
    horizon: int | None = None
    for number, version in enumerate(versions):
        schedule = _fixed(version)
        if schedule is None:
            continue
        reach = EARLY_MOST_US if version.early_s is None else round(version.early_s * 1e6)
        ticks = schedule.ticks(max(version.from_us, since_us), min(version.to_us, upto_us + reach + 1))
        if len(ticks):
            before = schedule.before(int(ticks[0]))
            after = schedule.after(int(ticks[-1]))
            previous = np.concatenate(([ticks[0] if before is None else before], ticks[:-1]))
            following = np.concatenate((ticks[1:], [FOREVER_US if after is None else after]))
            start = ticks - _early(version, ticks - previous)
            next_start = FOREVER_US if after is None else after - int(_early(version, after - ticks[-1:])[0])
            end = np.concatenate((start[1:], [next_start]))
            end = np.minimum(end, _first_window(versions, number + 1))
            gap = np.where(following == FOREVER_US, 0, following - ticks)
            kept = start <= upto_us
            out.add(number, ticks[kept], start[kept], end[kept], gap[kept])
            left = ticks[~kept]
            if len(left):
                horizon = int(left[0]) if horizon is None else min(horizon, int(left[0]))
        if horizon is None:
            reached = int(ticks[-1]) if len(ticks) else since_us - 1
            come = schedule.after(max(version.from_us - 1, since_us - 1, reached))
            if come is not None and come < version.to_us:
                horizon = come
    return out, horizon


def interval_windows(versions: Sequence[Version], spans: Sequence[tuple[int, int]], completions: Instants) -> Windows:
    """Windows of the interval versions between consecutive completions (sorted, distinct) of each chain.

    Within a gap expected times lie at anchor + k * period; the completion settles the last of them, or, having come
    early, the first. The first completion of a chain only anchors.
    """
    out = Windows()
    for since, until in spans:
        segments = _segments(versions, since, until)
        if not any(s.period for s in segments):
            continue
        done = completions[(completions >= since) & (completions < until)]
        anchors, closers = done[:-1], done[1:]
        handled = np.zeros(len(anchors), dtype=bool)
        for s in segments:
            inside = (anchors >= s.since) & (closers < s.until)
            handled |= inside
            if s.period:
                _gaps_within(out, s, anchors[inside], closers[inside])
        for a, c in zip(anchors[~handled].tolist(), closers[~handled].tolist(), strict=True):
            _gap_across(out, segments, a, c)
    return out


def trailing_windows(
    versions: Sequence[Version], since: int, until: int, anchor: int, as_of_us: int
) -> tuple[Windows, int | None]:
    """Windows after the last completion `anchor` of a chain [since, until): those due by `as_of_us`; and the next due."""
    out = Windows()
    ahead: int | None = None
    for s in _segments(versions, since, until):
        if not s.period:
            continue
        first = max(1, -((anchor - s.since) // s.period))
        last = (min(as_of_us, s.until - 1) - anchor) // s.period
        ticks = anchor + s.period * np.arange(first, last + 1, dtype=np.int64)
        if len(ticks):
            start = ticks.copy()
            if out.end:
                out.end[-1][-1] = ticks[0]
            else:
                start[0] = anchor
            anchored = (start < ticks).astype(np.int64)
            out.add(s.version, ticks, start, ticks + s.period, np.full(len(ticks), s.period, dtype=np.int64), anchored)
        come = anchor + s.period * max(first, last + 1)
        if ahead is None and max(as_of_us, s.since - 1) < come < s.until:
            ahead = come
    if out.end and ahead is not None:
        out.end[-1][-1] = ahead
    return out, ahead


@dataclass(frozen=True)
class _Segment:
    """A stretch of one version within a chain; period None: not an interval schedule."""

    since: int
    until: int
    version: int
    period: int | None


def _segments(versions: Sequence[Version], since: int, until: int) -> list[_Segment]:
    out = []
    for number, v in enumerate(versions):
        a, b = max(v.from_us, since), min(v.to_us, until)
        if a < b:
            schedule = None if v.schedule is None else schedule_of(v.schedule, v.tz)
            period = round(schedule.period_s * 1e6) if schedule is not None and schedule.period_s else None
            out.append(_Segment(a, b, number, period))
    return out


def _gaps_within(out: Windows, s: _Segment, anchors: Instants, closers: Instants) -> None:
    assert s.period is not None
    whole = np.maximum((closers - anchors) // s.period, 1)
    if not len(whole):
        return
    anchor = np.repeat(anchors, whole)
    closer = np.repeat(closers, whole)
    ends_at = np.cumsum(whole)
    k = np.arange(1, ends_at[-1] + 1, dtype=np.int64) - np.repeat(ends_at - whole, whole)
    expected = anchor + k * s.period
    last = np.zeros(len(k), dtype=bool)
    last[ends_at - 1] = True
    out.add(
        s.version,
        expected,
        np.where(k == 1, anchor, expected),
        np.where(last, closer, expected + s.period),
        np.full(len(k), s.period, dtype=np.int64),
        anchored=(k == 1).astype(np.int64),
        closed=closer,
        settles=np.where(last, closer, FOREVER_US),
    )


def _gap_across(out: Windows, segments: Sequence[_Segment], a: int, c: int) -> None:
    """One gap that spans a change of version; a completion under a fixed schedule only anchors what follows."""
    ticks: list[tuple[int, _Segment]] = []
    come: int | None = None
    for s in segments:
        if s.period:
            first = max(1, -((a - s.since) // s.period))
            last = (min(c, s.until - 1) - a) // s.period
            ticks += [(a + k * s.period, s) for k in range(first, last + 1)]
            after = a + max(first, last + 1) * s.period
            if come is None and c < after < s.until:
                come = after
    closing = segments[bisect_right([s.since for s in segments], c) - 1]
    if not ticks and closing.period and a + closing.period > c:
        ticks = [(a + closing.period, closing)]
    for i, (tick, s) in enumerate(ticks):
        assert s.period is not None
        final = i == len(ticks) - 1
        end = c if final else ticks[i + 1][0]
        if final and not closing.period:
            # nothing settles it, so its window ends where the next would have begun
            end = min(c, come if come is not None else tick + s.period)
        out.add(
            s.version,
            np.array([tick]),
            np.array([a if i == 0 else tick]),
            np.array([end]),
            np.array([s.period]),
            anchored=np.array([int(i == 0)]),
            closed=np.array([c]),
            settles=np.array([c if final and closing.period else FOREVER_US]),
        )


def _fixed(version: Version) -> Schedule | None:
    if version.schedule is None or not version.counts:
        return None
    schedule = schedule_of(version.schedule, version.tz)
    return None if schedule.kind == "interval" else schedule


def _early(version: Version, gap: Instants) -> Instants:
    given = np.minimum(gap // EARLY_SHARE, EARLY_MOST_US) if version.early_s is None else round(version.early_s * 1e6)
    # A first tick with none before it has gap 0: a stated margin holds, half of nothing would not.
    return np.where(gap > 0, np.minimum(given, gap // 2), 0 if version.early_s is None else given)


def _first_window(versions: Sequence[Version], number: int) -> int:
    """Where the first window of version `number` or of a later one starts, the soonest: a wide early margin may reach
    over the version before."""
    soonest = FOREVER_US
    for version in versions[number:]:
        margin = EARLY_MOST_US if version.early_s is None else round(version.early_s * 1e6)
        if version.from_us - margin >= soonest:
            continue
        if version.kind == "interval" and version.counts:
            soonest = min(soonest, version.from_us)
            continue
        schedule = _fixed(version)
        first = None if schedule is None else schedule.after(version.from_us - 1)
        if schedule is not None and first is not None and first < version.to_us:
            before = schedule.before(first)
            start = first - int(_early(version, np.array([0 if before is None else first - before]))[0])
            soonest = min(soonest, start)
    return soonest
