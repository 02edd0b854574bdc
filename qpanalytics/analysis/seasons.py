"""What returns with the hour of the day and the day of the week, so that a long Sunday each Sunday is no change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis.changes import spread
from qpanalytics.analysis.stats import Floats

Ints = npt.NDArray[np.int64]
DAY_S, WEEK_S = 86_400.0, 604_800.0
#: A season is taken out only where it narrows the variance to this share or less, its own freedom paid for.
NARROWS = 0.9
#: A slot needs so many runs for an effect of its own.
LEAST = 4
_HOURS = 24


@dataclass(frozen=True)
class Season:
    """The effect on each run of its hour and weekday, zero where there is none, and whether weekdays are told apart."""

    effect: Floats
    weekly: bool


def season(at_s: Floats, values: Floats, weekday: Ints, hour: Ints) -> Season:
    """The season of a series: medians by hour, weekday, both or hour of the week, whichever narrows it most, else none.

    Effects are taken around a level that moves with the weeks, so a job that was moved from 3 to 5 o'clock when it became
    slower has no season of its hours: only hours and days that take turns can be told apart.
    """
    n = len(values)
    none = Season(np.zeros(n), False)
    if n < 3 * LEAST or at_s[-1] - at_s[0] < 3 * DAY_S:
        return none
    around = values - _moving(at_s, values)
    limit = 8 * spread(around)
    if limit == 0:
        limit = float(np.quantile(np.abs(around), 0.95))
    best, least = none, NARROWS * _variance(around, limit)
    several_hours = hour.min() < hour.max()
    long = at_s[-1] - at_s[0] >= 3 * WEEK_S and weekday.min() < weekday.max()
    by_hour = by_day = None
    if several_hours:
        by_hour, slots = _effects(around, hour)
        best, least = _better(best, least, around, by_hour, slots, False, limit)
    if long:
        by_day, slots = _effects(around, weekday)
        best, least = _better(best, least, around, by_day, slots, True, limit)
    if by_hour is not None and long:
        rest, slots = _effects(around - by_hour, weekday)
        best, least = _better(best, least, around, by_hour + rest, slots + _HOURS, True, limit)
        both, slots = _effects(around, weekday * _HOURS + hour)
        best, least = _better(best, least, around, both, slots, True, limit)
    return best


def _better(
    best: Season, least: float, around: Floats, effect: Floats, slots: int, weekly: bool, limit: float
) -> tuple[Season, float]:
    n = len(around)
    if slots < 2 or n < LEAST * slots:
        return best, least
    left = _variance(around - effect, limit) / (1 - slots / n) ** 2
    return (Season(effect, weekly), left) if left < least else (best, least)


def _variance(values: Floats, limit: float) -> float:
    kept = np.clip(values, -limit, limit)
    return float(kept @ kept) / len(kept)


def _effects(values: Floats, slot: Ints) -> tuple[Floats, int]:
    """Each run's slot's median, and how many slots have one; slots with few runs have none."""
    middle, counts, order = _medians(values, slot)
    middle = np.where(counts >= LEAST, middle, 0.0)
    effect = np.empty(len(slot))
    effect[order] = np.repeat(middle, counts)
    return effect, int((counts >= LEAST).sum())


def _medians(values: Floats, slot: Ints) -> tuple[Floats, Ints, Ints]:
    """The median and the number of values of each slot, ascending, and the order that sorts values by slot, then size."""
    by_size = np.argsort(values)
    order = by_size[np.argsort(slot[by_size].astype(np.int16), kind="stable")]  # by radix, since slots are few
    ordered = slot[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.concatenate([starts, [len(slot)]]))
    middle = (values[order[starts + (counts - 1) // 2]] + values[order[starts + counts // 2]]) / 2
    return middle, counts, order


def _moving(at_s: Floats, values: Floats) -> Floats:
    """The level that moves with the weeks: medians of whole weeks (of days in a short history), joined by lines."""
    span = WEEK_S if at_s[-1] - at_s[0] >= 3 * WEEK_S else DAY_S
    part = ((at_s - at_s[0]) // span).astype(np.int64)
    middles, counts, _ = _medians(values, part)
    ends = np.cumsum(counts)
    return np.interp(np.arange(len(values)), ends - (counts + 1) / 2, middles)
