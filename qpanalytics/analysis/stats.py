"""Intervals that hold without assuming a shape: for rates, for quantiles, and for their change.

All of them take the runs as independent. Runs of one job often are not (a slow disk slows a whole night), and then the
true uncertainty is larger than the interval says. In simulation, where neighbours correlate by 0.5, the 95 % interval
for a change of the median over 168 runs a side holds the truth in 84 of 100 cases: ask also whether a change matters.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, nan, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Positions that are whole numbers on paper ((71 - 1) * 0.9 = 63) may miss them by a rounding error, and would then
# interpolate with the next value, which may be a run that never came.
_ROUNDING = 1e-9


def wilson(k: npt.ArrayLike, n: npt.ArrayLike, prob: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of the score interval for a rate of `k` in `n`, element by element; NaN where `n` is 0.

    Wilson (1927), JASA 22, 209-212. Covers about `prob` on average over rates and never leaves 0 to 1, also when every
    run was good (60 of 60: 0.94 to 1). It is not a guarantee for each single rate: where fewer than about one failure
    is to be expected (n = 20, true rate 0.99) it can cover 84 % instead of 95 %.
    """
    hits, runs = _counts(k, n)
    z2 = _z(prob) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (hits + z2 / 2) / (runs + z2)
        half = np.sqrt(z2) / (runs + z2) * np.sqrt(hits * (runs - hits) / runs + z2 / 4)
    lo = np.where(hits == 0, 0.0, centre - half)
    hi = np.where(hits == runs, 1.0, centre + half)
    return np.where(runs > 0, lo, nan), np.where(runs > 0, hi, nan)


def rate_change(
    k: npt.ArrayLike, n: npt.ArrayLike, k_before: npt.ArrayLike, n_before: npt.ArrayLike, prob: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Change of a rate (now minus before) and the ends of its interval, element by element; NaN where either n is 0.

    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10: the two score intervals combined as squares. If it
    holds 0, the two windows do not tell the rates apart, however different they look.
    """
    hits, runs = _counts(k, n)
    hits_before, runs_before = _counts(k_before, n_before)
    with np.errstate(invalid="ignore", divide="ignore"):
        now, before = hits / runs, hits_before / runs_before
    lo, hi = wilson(hits, runs, prob)
    lo_before, hi_before = wilson(hits_before, runs_before, prob)
    change = now - before
    return (
        change,
        change - np.hypot(now - lo, hi_before - before),
        change + np.hypot(hi - now, before - lo_before),
    )


def quantile(values: Floats, p: float) -> float:
    """The `p` quantile of ascending `values`, in their unit; NaN for none, or where it falls among infinities.

    Type 7 of Hyndman and Fan (1996), The American Statistician 50, 361-365, as in NumPy, pandas and DuckDB. Infinity
    stands for a run that never came: a quantile that would mix one in has no value.
    """
    if len(values) == 0:
        return nan
    at = (len(values) - 1) * p
    low = floor(at + _ROUNDING)
    share = at - low if at - low > _ROUNDING else 0.0
    found = float(values[low])
    if share:
        found += (float(values[low + 1]) - found) * share if np.isfinite(values[low + 1]) else np.inf
    return found if np.isfinite(found) else nan


@lru_cache(maxsize=100_000)
def ranks(n: int, p: float, prob: float = 0.95) -> tuple[int, int]:
    """Which of `n` ascending values (1 is the smallest) are the ends of an interval for the `p` quantile.

    0 for the lower end and `n + 1` for the upper one mean that `n` is too small to carry it.

    The number of values below the true quantile is binomial, whatever the distribution, so each end misses with at
    most (1 - prob) / 2, for continuous values and for ties alike: David and Nagaraja (2003), Order Statistics, 7.1;
    Hahn and Meeker (1991), Statistical Intervals, 5.2. The price is width: the confidence is `prob` or more.
    At 95 % both ends of p50 need 6 values, of p90 36, of p95 72, of p99 368.
    """
    from scipy.special import bdtr, bdtrc

    _check_share(p, "p")
    _check_share(prob, "prob")
    tail = (1 - prob) / 2
    reach = 9 * sqrt(n * p * (1 - p)) + 9  # what lies further out has no weight, and n may be a million
    k = np.arange(max(0, floor(n * p - reach)), min(n, ceil(n * p + reach)) + 1)
    lower = k[np.argmax(bdtr(k.astype(float), n, p) > tail)]
    upper = k[np.argmax(bdtrc(k.astype(float), n, p) <= tail)] + 1
    # Never past the quantile itself: with two values p99 lies a little below the larger, which alone would be an end.
    at = (n - 1) * p
    return min(int(lower), floor(at + _ROUNDING) + 1), max(int(upper), ceil(at - _ROUNDING) + 1)


def quantile_interval(values: Floats, p: float, prob: float = 0.95) -> tuple[float, float]:
    """Ends of the interval for the `p` quantile of ascending `values`; NaN at an end that cannot be given.

    An end is missing because there are too few values (`ranks` says so) or because it is infinite: so many runs never
    came that the quantile may be any time at all.
    """
    n = len(values)
    lower, upper = ranks(n, p, prob)
    lo = float(values[lower - 1]) if lower >= 1 else nan
    hi = float(values[upper - 1]) if upper <= n else nan
    return lo if np.isfinite(lo) else nan, hi if np.isfinite(hi) else nan


def quantile_change(now: Floats, before: Floats, p: float = 0.5, prob: float = 0.95) -> tuple[float, float, float]:
    """Change of the `p` quantile (now minus before, both ascending) and the ends of its interval; NaN as above.

    The two order-statistic intervals are combined as squares (Zou and Donner 2008, Statistics in Medicine 27,
    1693-1702; for rates this is Newcombe's method). Nothing is assumed about the shapes, nor that one is the other
    shifted, and the change is exactly the difference of the two quantiles shown, which a rank-sum estimate is not.
    The confidence is approximate and errs to the safe side: simulated with seven shapes and 6 to 168 values a side, it
    is 96 to 99.9 % where 95 % is asked. The price is that small changes go unseen: with 7 values a side, runs that
    scatter by a factor of 2.7 must become some 7 times as slow to be noticed every second time.
    """
    middle, middle_before = quantile(now, p), quantile(before, p)
    lo, hi = quantile_interval(now, p, prob)
    lo_before, hi_before = quantile_interval(before, p, prob)
    change = middle - middle_before
    return (
        change,
        change - float(np.hypot(middle - lo, hi_before - middle_before)),
        change + float(np.hypot(hi - middle, middle_before - lo_before)),
    )


def _z(prob: float) -> float:
    _check_share(prob, "prob")
    return NormalDist().inv_cdf((1 + prob) / 2)


def _check_share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")


def _counts(k: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Any, Any]:
    hits, runs = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if np.any(hits < 0) or np.any(hits > runs):
        raise ValueError("a count lies between 0 and its n")
    return hits, runs


def change_points(values: npt.ArrayLike) -> list[int]:
    """The first index of each new regime of one plain series, ascending: where its level or its trend changes for good.

    Any numbers in the order of time, also negative ones, counts and ties; NaN are passed over. Positive ones are compared as
    ratios where that makes them likelier: what grows by shares, with noise that grows along. Without a change, for a
    constant and for fewer than 8 numbers the list is empty. What returns every p values (a season) is taken out, single
    outliers are brought near their neighbours. Of partitions into levels and into lines (optimal partitioning, Jackson et
    al. 2005, IEEE Signal Processing Letters 12, 105-108) the one is taken that has the largest likelihood under AR(1)
    noise less what its changes cost, as in the minimum description length of Davis, Lee and Rodriguez-Yam (2006), JASA 101,
    223-239: a series that wanders has few changes, not dozens. It takes the square of their number: 0.3 s for 1,000 numbers.

    >>> change_points([5, 6, 5, 4, 5, 6, 5, 5, 9, 10, 9, 9, 10, 11, 10, 9])
    [8]
    """
    from qpanalytics.analysis.plain import change_points

    return change_points(values)
