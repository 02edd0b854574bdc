"""What became of one series of durations or delays: steps, trends, and blips that came back.

The method: logarithms where values are positive; what returns with hour and weekday is taken out (`seasons`); medians of
neighbouring runs, at most 300 a series, so that fifty thousand runs cost no more than three hundred; values brought to
within three standard deviations of a running median; the optimal partition with a penalty from the noise's long-run
variance; changes tested one by one (`changes`); level - other level - level with a short middle is a blip; changes that
all have one sign are a trend where a line with one hinge explains them better than the steps (`trends`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from qpanalytics.analysis import changes, trends
from qpanalytics.analysis.changes import Change, Noise
from qpanalytics.analysis.seasons import DAY_S, Ints, season
from qpanalytics.analysis.stats import Floats

#: Medians a series.
MOST = 300
#: Fewer runs say nothing.
LEAST = 10
#: A middle that is no longer than this share of the series is an excursion, if the level before it came back...
SHORT = 1 / 6
#: ... to within this share of the jump.
BACK = 0.4
#: Changes have one sign if so much of their sum remains where ups and downs are set against each other.
ONE_WAY = 0.8
#: A weekday is looked at by itself where its runs are so much further from the fit than those of all days...
APART = 1.3
#: ... and where there are so many of it.
LEAST_OF_A_DAY = 8
#: A step that a fleet would hardly believe is taken out before the steps beside it are tested anew: left out only afterwards, it
#: would leave them with levels that they were never tested with, 4177 s -> 4086 s for a fall from 3 h to 1 h.
BELIEVED = 0.002
#: A change counts as known from the first run at which its p value was this.
KNOWN = 1e-3


@dataclass(frozen=True)
class Break:
    """One finding. Places are runs: `at` is the first of the new regime (of a blip, of the excursion, `end` after its last).

    `p` is of the whole series having no change. `slope` and `even` are those of a trend (`trends.Trend`), a day.
    `known` is the run at which it could first be told. `weekday` is 1 to 7 where only runs of that day changed.
    """

    kind: str
    at: int
    lo: int
    hi: int
    p: float
    end: int
    known: int
    slope: float = 0.0
    even: bool = False
    weekday: int = 0


@dataclass(frozen=True)
class Judged:
    """A series that was looked at. `breaks` ascend by place; blips are among them. `logs`: values were compared as ratios.

    `effect` is the season of each run on the scale of the comparison; None where there is none.
    """

    breaks: list[Break] = field(default_factory=list)
    logs: bool = False
    memory: float = 0.0
    effect: Floats | None = None

    @property
    def p(self) -> float:
        """Of no change at all, 1 where none was found: what the fleet's rate of false discoveries is made of."""
        return min((b.p for b in self.breaks if b.kind != "blip"), default=1.0)


@dataclass(frozen=True)
class _Reduced:
    """Medians of `size` runs each, from `edges[i]` to `edges[i + 1]`, and the rounding's share of their variance."""

    values: Floats
    edges: Ints
    size: int


def judge(at_s: Floats, values: Floats, weekday: Ints, hour: Ints) -> Judged:
    """The changes of one series: when runs were (epoch seconds, ascending), their values, local weekday (1 to 7) and hour."""
    n = len(values)
    if n < LEAST:
        return Judged()
    scaled, logs, grain = _scaled(values)
    if np.ptp(scaled) == 0:
        return Judged(logs=logs)
    seasonal = season(at_s, scaled, weekday, hour)
    level = scaled - seasonal.effect
    found, memory = _found(at_s, level, grain, logs)
    if weekday.min() < weekday.max():
        found = found + _of_weekdays(at_s, level, weekday, grain, logs, found)
    return Judged(sorted(found, key=lambda b: b.at), logs, memory, seasonal.effect if seasonal.effect.any() else None)


def scale(values: Floats) -> tuple[bool, float]:
    """Whether values are compared as ratios, and what is added to them before the logarithm is taken."""
    if values.min() < 0:
        return False, 0.0
    return True, max(0.02 * float(np.median(values)), 0.5 * _resolution(values), 1e-9)


def _scaled(values: Floats) -> tuple[Floats, bool, float]:
    """Values on the scale they are compared on, whether it is logarithmic, and the variance that rounding alone gives them."""
    logs, offset = scale(values)
    step = _resolution(values)
    if not logs:
        return values, False, step * step / 12
    return np.log(values + offset), True, (step / (float(np.median(values)) + offset)) ** 2 / 12


def _resolution(values: Floats) -> float:
    """What values are rounded to: the least difference of two, where many are equal; else 0."""
    some = np.unique(values[:: max(1, len(values) // 2000)])
    if len(some) < 2 or len(some) > min(len(values), 2000) / 2:
        return 0.0
    return float(np.diff(some).min())


def _reduced(values: Floats) -> _Reduced:
    n = len(values)
    size = -(-n // MOST)
    count = n // size
    edges = np.append(np.arange(count) * size, n)
    if size == 1:
        return _Reduced(values, edges, 1)
    whole = np.partition(values[: count * size].reshape(count, size), ((size - 1) // 2, size // 2), axis=1)
    return _Reduced((whole[:, (size - 1) // 2] + whole[:, size // 2]) / 2, edges, size)


def _found(at_s: Floats, level: Floats, grain: float, logs: bool) -> tuple[list[Break], float]:
    """The breaks of a series without seasons, and the memory of its noise."""
    reduced = _reduced(level)
    values = changes.clipped(reduced.values)
    places, noise = changes.partitioned(values, floor=grain / reduced.size)
    if not len(places):
        return [], noise.memory
    days = at_s[reduced.edges[:-1]] / DAY_S
    every = np.arange(len(values))
    trend = _trend(days, values, places, every, reduced, noise, logs)
    if trend:
        return [trend], noise.memory
    stay, blips = _blips(values, changes.tested(values, places, noise, BELIEVED), noise)
    found = [_blip(first, last, reduced) for first, last in blips]
    if blips and stay:
        inside = np.concatenate([np.arange(first.at, last.at) for first, last in blips])
        keep = np.setdiff1d(every, inside)
        trend = _trend(days, values, np.searchsorted(keep, [c.at for c in stay]), keep, reduced, noise, logs)
    found += [trend] if trend else [_step(values, level, c, stay, reduced, noise) for c in stay]
    return found, noise.memory


def _blips(values: Floats, kept: list[Change], noise: Noise) -> tuple[list[Change], list[tuple[Change, Change]]]:
    """Changes that stayed, and pairs of changes between which the level was elsewhere for a short while."""
    n = len(values)
    stay, blips = list(kept), []
    again = True
    while again:
        again = False
        pairs = [(start, width) for width in (1, 2, 3) for start in range(len(stay) - width)]
        for i, more in pairs:
            first, last = stay[i], stay[i + more]
            jump = max((c.after - first.before for c in stay[i : i + more]), key=abs)
            back = abs(last.after - first.before) <= BACK * abs(jump)
            if back and last.at - first.at <= SHORT * n:
                blips.append((first, last))
                del stay[i : i + more + 1]
                again = True
                break
    if not blips:
        return stay, blips
    return _again(values, stay, blips, noise), blips


def _again(values: Floats, stay: list[Change], blips: list[tuple[Change, Change]], noise: Noise) -> list[Change]:
    """The changes that stayed, tested anew on the series without the excursions."""
    keep = np.ones(len(values), dtype=bool)
    for first, last in blips:
        keep[first.at : last.at] = False
    back = np.flatnonzero(keep)
    places = np.unique([int(keep[: c.at].sum()) for c in stay]).astype(np.int64)
    places = places[(places > 0) & (places < len(back))]
    tested = changes.tested(values[back], places, noise, BELIEVED)
    return [replace(c, at=int(back[c.at]), lo=int(back[c.lo]), hi=int(back[min(c.hi, len(back) - 1)])) for c in tested]


def _blip(first: Change, last: Change, reduced: _Reduced) -> Break:
    at, end = int(reduced.edges[first.at]), int(reduced.edges[last.at])
    return Break("blip", at, at, at, max(first.p, last.p), end, end)


def _trend(days: Floats, values: Floats, places: Ints, keep: Ints, reduced: _Reduced, noise: Noise, logs: bool) -> Break | None:
    """The trend that explains the values at `keep` better than steps at `places` (among these) do, if there is one."""
    some = values[keep]
    jumps = np.diff(changes.levels(some, places))
    line = trends.hinge(days[keep], some, logs) if abs(jumps.sum()) >= ONE_WAY * np.abs(jumps).sum() else None
    if line is None or line.p > changes.BELIEVED:
        return None
    left = some - changes.fitted(some, places)
    cost = changes.PENALTY * np.log(len(some)) * min(noise.long_run, line.noise.long_run)
    if line.squares + cost >= float(left @ left) + len(places) * cost:
        return None
    at, lo, hi = (int(reduced.edges[keep[k]]) for k in (line.at, line.lo, line.hi))
    known = int(reduced.edges[min(int(keep[places[0]]) + 2 * changes.LEAST, len(values) - 1)])
    return Break("trend", at, lo, hi, line.p, int(reduced.edges[-1]), known, line.slope, line.even)


def _step(values: Floats, level: Floats, one: Change, stay: list[Change], reduced: _Reduced, noise: Noise) -> Break:
    place = stay.index(one)
    end = stay[place + 1].at if place + 1 < len(stay) else len(values)
    start = stay[place - 1].at if place else 0
    edges = reduced.edges
    at, lo, hi = int(edges[one.at]), int(edges[one.lo]), int(edges[one.hi])
    if reduced.size > 1:
        a, b = int(edges[one.at - 1]), int(edges[min(one.at + 1, len(edges) - 1)])
        at = a + _sharpened(level[a:b], one)
        half = reduced.size // 2  # a median holds as many runs from before a change as from after it, at most
        lo, hi = min(lo - half, at), max(hi + half, at)
    known = int(edges[min(_known(values, one, start, end, noise), len(edges) - 1)])
    return Break("step", at, lo, hi, one.p, int(edges[end]), max(known, at))


def _sharpened(part: Floats, one: Change) -> int:
    """The run within two medians at which the level changes: the split of least distance from the two levels."""
    saved = np.abs(part - one.after) - np.abs(part - one.before)  # below 0: nearer to the new level
    cost = np.concatenate([[0.0], np.cumsum(-saved)])  # of runs before the split that belong after it
    return int(np.clip(cost.argmin(), 1, len(part) - 1))


def _known(values: Floats, one: Change, start: int, end: int, noise: Noise) -> int:
    """The place at which the change could first be told from what had come by then."""
    after = values[one.at : end]
    many = np.arange(1.0, len(after) + 1)
    off = np.abs(np.cumsum(after) / many - one.before)
    error = np.sqrt(max(noise.long_run, 1e-300) * (1 / many + 1 / (one.at - start)))
    t = off / error
    p = changes.tries(t, len(values)) * changes.tail(t, changes.freedom(len(values), noise))
    sure = p <= max(KNOWN, 2 * one.p)  # one that is barely sure now was barely sure then
    sure[: changes.LEAST - 1] = False
    return one.at + (int(sure.argmax()) if sure.any() else len(after) - 1)


def _of_weekdays(at_s: Floats, level: Floats, weekday: Ints, grain: float, logs: bool, whole: list[Break]) -> list[Break]:
    """Steps of single weekdays that the whole does not have: a full backup on Sundays that takes twice its time."""
    edges = sorted({0, len(level), *(b.at for b in whole), *(b.end for b in whole if b.kind == "blip")})
    left = level.copy()
    for start, end in pairwise(edges):
        left[start:end] -= np.median(level[start:end])
    if any(b.kind == "trend" for b in whole):
        return []
    off = np.minimum(np.abs(left), 8 * max(changes.spread(left), 1e-12))
    many = np.bincount(weekday, minlength=8)
    sums = np.bincount(weekday, weights=off, minlength=8)
    days = [day for day in range(1, 8) if many[day] >= LEAST_OF_A_DAY and sums[day] > APART * float(off.mean()) * many[day]]
    found = []
    for day in days:
        runs = np.flatnonzero(weekday == day)
        for b in _found(at_s[runs], left[runs], grain, logs)[0]:
            if b.kind != "step":
                continue
            at, lo, hi, known = (int(runs[min(k, len(runs) - 1)]) for k in (b.at, b.lo, b.hi, b.known))
            end = int(runs[b.end]) if b.end < len(runs) else len(level)
            found.append(replace(b, at=at, lo=lo, hi=hi, end=end, known=known, p=min(7 * b.p, 1.0), weekday=day))
    return found
