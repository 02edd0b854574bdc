"""How fast something goes, from what was counted between looks, with an interval that holds when it comes in bursts."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Fewer steps carry no interval.
LEAST = 4
#: So many stretches are compared where there are enough steps for them.
BATCHES = 10


@dataclass(frozen=True)
class Rate:
    """Amount a second with its 95 % interval, and over how many steps and seconds it was seen; NaN is not known."""

    n: int
    seconds: float
    value: float = nan
    lo: float = nan
    hi: float = nan


def rate(amounts: Floats, seconds: Floats, *, counts: bool = True) -> Rate:
    """The rate of `amounts` that were seen in steps of `seconds`, in their order; steps that are NaN are left out.

    The interval is that of batch means: the steps are cut into ten stretches (single steps where there are fewer than
    20), and Student's t with the ratio estimator's variance says how far their mean may lie from the truth. Stretches
    hardly depend on one another where steps do, so bursts widen it (Schmeiser 1982, Operations Research 30, 556-568; for
    the ratio Cochran 1977, Sampling Techniques, 6.3). Things that are counted (`counts`) scatter at least as Poisson's
    do: the interval is never narrower than the exact one of so many events (Garwood 1936, Biometrika 28, 437-442), or ten
    quiet steps would prove that nothing ever comes.
    """
    known = np.isfinite(amounts) & (seconds > 0)
    amounts, seconds = amounts[known], seconds[known]
    n, total = len(amounts), float(seconds.sum())
    if n == 0:
        return Rate(0, 0.0)
    value = float(amounts.sum()) / total
    if counts:
        value = max(value, 0.0)  # jobs that somebody took away are none that came
    if n < LEAST:
        return Rate(n, total, value)
    half = _half(amounts, seconds, value)
    lo, hi = value - half, value + half
    if counts:
        low, high = poisson(value * total)
        lo, hi = max(min(lo, low / total), 0.0), max(hi, high / total)
    return Rate(n, total, value, lo, hi)


def _half(amounts: Floats, seconds: Floats, value: float) -> float:
    from scipy.special import stdtrit

    parts = BATCHES if len(amounts) >= 2 * BATCHES else len(amounts)
    starts = np.arange(parts) * len(amounts) // parts
    amount, second = np.add.reduceat(amounts, starts), np.add.reduceat(seconds, starts)
    scatter = float(np.sum((amount - value * second) ** 2)) * parts / (parts - 1)
    return float(stdtrit(parts - 1, 0.975)) * sqrt(scatter) / float(second.sum())


def poisson(events: float) -> tuple[float, float]:
    """Garwood's 95 % interval for the mean behind so many events."""
    from scipy.special import gammaincinv

    return (float(gammaincinv(events, 0.025)) if events > 0 else 0.0), float(gammaincinv(events + 1, 0.975))


@dataclass(frozen=True)
class Drain:
    """When a queue is empty: seconds with an interval, NaN where never or not known; `drains` is the answer in a word."""

    drains: str
    seconds: float = nan
    lo: float = nan
    hi: float = nan
    why: str = ""


def drain(depth: float, net: Rate) -> Drain:
    """Time until `depth` jobs are gone at a net rate (jobs a second, negative drains).

    Depth over the rate, at both ends of the rate's interval: with it the time's interval covers as well, since one
    follows from the other. It says when it would be empty on the average if all goes on as now, not how single days
    scatter around that. `maybe`: the rate's interval holds growth, so there is no latest time.
    """
    if not isfinite(depth):
        return Drain("", why="the depth is not known")
    if depth == 0:
        return Drain("empty", 0.0, 0.0, 0.0)
    if not isfinite(net.lo):
        return Drain("", why=f"too few looks: {net.n} of at least {LEAST} steps")
    if net.value >= 0:
        return Drain("no", why=f"it does not drain: {'more jobs come than go' if net.value > 0 else 'as many come as go'}")
    at = depth / -net.value
    soonest = depth / -net.lo
    if net.hi >= 0:
        return Drain("maybe", at, soonest, nan, "the interval of the rate holds growth, so it may never be empty")
    return Drain("yes", at, soonest, depth / -net.hi)
