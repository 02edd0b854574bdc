"""Changes of any one series of numbers, of which nothing is known: yearly figures, monthly prices, daily counts.

Jobs have durations, weekdays and fleets; a plain series has none of these. So nothing is tested against other series, no
logarithm is taken, and both steps and bends of a trend are changes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis.changes import (
    PENALTY,
    STRONGER,
    Noise,
    Places,
    cheapest,
    fitted,
    noise,
    partition,
    running_median,
    spread,
)
from qpanalytics.analysis.stats import Floats

#: Fewer numbers have no changes.
FEWEST = 8
#: A season's correlation, and what it must leave of the variance at most.
_ALIKE, _LEAVES = 0.5, 0.6
#: What single values are brought to, in spreads around their running median.
_REACH = 5.0
#: Series longer than this are halved by pairs first: the partition is quadratic.
MOST = 1500


def change_points(values: npt.ArrayLike) -> list[int]:
    """See `stats.change_points`, which is this."""
    given = np.asarray(values, dtype=np.float64).ravel()
    known = np.flatnonzero(np.isfinite(given))
    series = given[known]
    if len(series) < FEWEST or np.ptp(series) == 0:
        return []
    size = -(-len(series) // MOST)
    if size > 1:
        whole = len(series) // size
        known, series = known[: whole * size : size], np.median(series[: whole * size].reshape(whole, size), axis=1)
    series = series / max(float(np.abs(series).max()), 1e-300)
    series = (series - series.mean()) / max(float(series.std()), 1e-300)
    calm = _without_season(_without_outliers(series))
    return [int(known[k]) for k in _best(calm).tolist()]


def _best(series: Floats) -> Places:
    """The changes of levels or of lines, whichever explain the series at less cost."""
    n = len(series)
    least = int(np.clip(n // 12, 2, 8))
    near = max(spread(np.diff(series)) ** 2 / 2, float(np.diff(series).var()) / 20, 1e-6)
    cheapest, best = np.inf, np.empty(0, dtype=np.int64)
    for lines in (False, True):
        each = PENALTY * (1.5 if lines else 1.0) * np.log(n)
        for stronger in STRONGER:
            if lines:
                places = _lines(series, each * near * stronger, max(least, 4))
                fit = _lined(series, places)
            else:
                places = partition(series, each * near * stronger, least)
                fit = fitted(series, places)
            left = series - fit
            found = noise(left, series, (len(places) + 1) * (2 if lines else 1), 1e-6)
            cost = _cost(left, found) + each * len(places) + (PENALTY / 2 * np.log(n) if lines else 0.0)
            if cost < cheapest:
                cheapest, best = cost, places
            if not len(places):
                break
    return best


def _cost(left: Floats, found: Noise) -> float:
    """Minus twice the log-likelihood of AR(1) residuals, but for a constant."""
    new = left[1:] - found.memory * left[:-1]
    return len(left) * float(np.log(max(float(new @ new) / len(new), 1e-6)))


def _lines(series: Floats, penalty: float, least: int) -> Places:
    """Places of the changes of the partition into lines with the least sum of squares plus `penalty` a change."""
    n = len(series)
    if n < 2 * least:
        return np.empty(0, dtype=np.int64)
    t = np.arange(n) / n
    sums = [np.concatenate([[0.0], np.cumsum(v)]) for v in (np.ones(n), t, t * t, series, t * series, series * series)]

    def costs(end: int, starts: int) -> Floats:
        m, st, stt, sy, sty, syy = (s[end] - s[:starts] for s in sums)
        xx = np.maximum(stt - st * st / m, 1e-12)
        xy = sty - st * sy / m
        left: Floats = np.maximum(syy - sy * sy / m - xy * xy / xx, 0.0)
        return left

    return cheapest(n, penalty, least, costs)


def _lined(series: Floats, places: Places) -> Floats:
    """The line of each segment at each value."""
    fit = np.empty(len(series))
    edges = [0, *places.tolist(), len(series)]
    for start, end in pairwise(edges):
        t = np.arange(end - start, dtype=np.float64)
        t -= t.mean()
        part = series[start:end]
        power = float(t @ t)
        fit[start:end] = part.mean() + (float(t @ part) / power if power else 0.0) * t
    return fit


def _without_outliers(series: Floats) -> Floats:
    """Single values brought near their neighbours; two in a row may be a level."""
    if len(series) < 20:
        return series
    middle = running_median(series, 5)
    off = series - middle
    reach = _REACH * max(spread(off), float(np.quantile(np.abs(off), 0.8)))
    return series if reach == 0 else np.clip(series, middle - reach, middle + reach)


def _without_season(series: Floats) -> Floats:
    """The series less what returns every p values, for the p that is most alike; as it is where nothing returns."""
    n = len(series)
    if n < 24:
        return series
    width = max(n // 6, 5) | 1
    around = series - running_median(series, min(width, 53))
    power = float(around @ around)
    if power == 0:
        return series
    lags = np.arange(3, min(n // 3, 60) + 1)
    alike = np.array([float(around[lag:] @ around[:-lag]) / power * n / (n - lag) for lag in lags])
    peaks = np.flatnonzero((alike[1:-1] >= alike[:-2]) & (alike[1:-1] >= alike[2:])) + 1
    high = peaks[alike[peaks] >= max(_ALIKE, 0.85 * float(alike[peaks].max(initial=0.0)))]
    if not len(high):
        return series
    period = int(lags[high[0]])  # twice and three times the season are alike, too
    phase = np.arange(n) % period
    effect = np.array([np.median(around[phase == k]) for k in range(period)])[phase]
    left = around - effect
    return series - effect if float(left @ left) <= _LEAVES * power else series
