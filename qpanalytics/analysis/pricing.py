"""What a limit costs in false alarms: how many are to be expected in a month, and how many two months may bring.

A limit is a grace on lateness, a max runtime on durations, or a period on the time between completions. What is said of
each holds for all: a run beyond the limit pages, and the page was false if the run completed by itself before it was a
real problem.

Nothing is assumed about the shape of lateness. If runs can be exchanged with one another, the next one lies beyond the
(k+1)-th largest of n with probability (k + 1) / (n + 1), whatever the distribution: David and Nagaraja (2003), Order
Statistics, 2.5 and 7.2; so the longest of n seen is passed once in n + 1 runs, and a limit beyond it has no price that
could be known. Late runs come in clusters (one bad night), which makes n smaller than it looks: what a limit would have cost
in each twelfth of the time, had it been chosen from the others, corrects the price (Stone 1974, JRSS B 36, 111-147), and the
interval is wider by a dispersion that is estimated from the same blocks (McCullagh and Nelder 1989, Generalized Linear
Models, 4.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import floor, inf, nan, sqrt

import numpy as np
import numpy.typing as npt

from qpanalytics import spell
from qpanalytics.analysis.stats import Floats

Instants = npt.NDArray[np.int64]

MONTH_S = 30 * spell.DAY
AHEAD = 2
"""Months that an interval speaks of."""

LEAST = 20
"""Fewer arrivals than that carry no recommendation."""

BLOCKS = 12
"""Stretches of time that clusters are looked for in: two weeks each in half a year."""

HIGHEST = (10, 30)
"""Of a tenth of the runs, at least and at most so many of the highest show whether high ones come together."""

CHANCE = 0.1
"""Clusters count from a chance below this on: without that, noise alone would make every check look clustered."""

TOGETHER = 2.0
"""From so many on, runs that are late together are no luck that a price could leave out."""


@dataclass(frozen=True)
class Sample:
    """The runs that a limit is judged by, in order of time.

    `value_s` is what the limit is set on, infinity for a run that never came; from `real_s` on it is a real problem.
    `well_s` is when the check was well again, on the same scale: a limit beyond that would have hidden the problem.
    `a_month` is how many runs 30 days bring.
    """

    at_us: Instants
    value_s: Floats
    real_s: Floats
    well_s: Floats
    a_month: float

    def __len__(self) -> int:
        return len(self.value_s)

    @property
    def false(self) -> npt.NDArray[np.bool_]:
        """Runs that would be a false alarm under a limit below them."""
        return np.isfinite(self.value_s) & (self.value_s <= self.real_s)

    @property
    def arrived(self) -> int:
        """Runs that came."""
        return int(np.isfinite(self.value_s).sum())

    @property
    def longest_s(self) -> float:
        """The largest value that is no real problem; NaN where there is none."""
        return float(self.value_s[self.false].max()) if self.false.any() else nan

    def part(self, of: npt.NDArray[np.bool_]) -> Sample:
        """Those of the runs; a month brings as much less of them."""
        share = of.sum() / len(of) if len(of) else 0.0
        return Sample(self.at_us[of], self.value_s[of], self.real_s[of], self.well_s[of], self.a_month * share)


@dataclass(frozen=True)
class Price:
    """What one limit costs.

    `told` runs of the sample would have been false alarms; `a_month` are to be expected in 30 days; with 95 % the number of
    the next 60 days, per month, lies from `lo` to `hi`. `hidden` real problems would not have been told.
    """

    limit_s: float
    told: int
    a_month: float
    lo: float
    hi: float
    hidden: int


def price(sample: Sample, limit_s: float, clusters: float, *, chosen: bool = False) -> Price:
    """The price of one limit. `chosen` says that it was picked by these runs, which makes it look better than it is."""
    told = int((sample.value_s[sample.false] > limit_s).sum())
    hidden = int((~sample.false & (sample.well_s <= limit_s)).sum())
    if np.all(limit_s >= sample.real_s) and len(sample):  # what is later is real, by definition
        return Price(limit_s, 0, 0.0, 0.0, 0.0, hidden)
    share = _chosen(sample, told, clusters) if chosen else (told + 0.5) / (len(sample) + 1)  # Jeffreys' mean
    lo, hi = predicted(share, len(sample), sample.a_month, clusters)
    return Price(limit_s, told, share * sample.a_month, lo, hi, hidden)


def _chosen(sample: Sample, told: int, clusters: float) -> float:
    """The probability that a run is a false alarm under the smallest limit that spares all but `told` of the sample.

    That of an order statistic, or what the same rule would have cost block by block, whichever is more: where fewer than
    two runs come late together, only as far as it exceeds luck (the root of the number).
    """
    values = np.where(sample.false, sample.value_s, -inf)
    # one bad night must not be two halves that excuse each other
    shifted = np.roll(values, len(values) // BLOCKS // 2)
    cost = max(_cost(values, told), _cost(shifted, told)) * (BLOCKS - 1) / BLOCKS
    usual = told + 1.0
    luck = sqrt(usual) if clusters < TOGETHER else 0.0
    return min((usual + max(cost - usual - luck, 0.0)) / (len(sample) + 1), 1.0)


def _cost(values: Floats, told: int) -> int:
    """False alarms in all blocks, each under the limit that the others ask for; -infinity is none under any."""
    blocks = np.array_split(values, BLOCKS)
    highest = [np.sort(block)[::-1][: told + 1] for block in blocks]
    cost = 0
    for i, block in enumerate(blocks):
        others = np.sort(np.concatenate([*highest[:i], *highest[i + 1 :]]))[::-1]
        cost += int((block > (others[told] if len(others) > told else -inf)).sum())
    return cost


def predicted(share: float, n: int, a_month: float, clusters: float) -> tuple[float, float]:
    """Ends of the 95 % interval for the false alarms of the next 60 days, per month.

    Beta-binomial: the runs to come scatter as `share` of them do, and `share` is known from `n` runs only (Hahn and
    Meeker 1991, Statistical Intervals, 6). Its variance is the binomial one times clusters * (1 + runs to come / n). An
    interval of the rate alone says nothing of how many will come.
    """
    ahead = max(round(AHEAD * a_month), 1)
    if not 0 < share < 1:
        return share * a_month, share * a_month
    wider = (clusters * (1 + ahead / n) - 1) / max(ahead - 1, 1)
    spread = 1 / min(max(wider, 1e-9), 0.999) - 1
    below = np.cumsum(_betabinomial(ahead, share * spread, (1 - share) * spread))
    lo, hi = np.searchsorted(below, (0.025, 0.975)).tolist()
    scale = a_month / ahead  # a month has a whole number of runs seldom
    return lo * scale, min(hi, ahead) * scale


def _betabinomial(n: int, a: float, b: float) -> Floats:
    """Its probabilities of 0 to n: the ratio of neighbours, summed as logarithms so that nothing under- or overflows."""
    k = np.arange(n, dtype=np.float64)
    steps = np.log(n - k) - np.log(k + 1) + np.log(k + a) - np.log(n - k - 1 + b)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    found: Floats = weights / weights.sum()
    return found


def dispersion(sample: Sample) -> float:
    """How many late runs come together: the variance of their number in blocks of time over its mean, 1 for none.

    Counted are the highest false ones, some ten to thirty: those near the limit are what matters, and whether the usual
    run is a little later in one week says nothing of them.
    """
    from scipy.special import chdtrc

    false = sample.value_s[sample.false]
    most = int(np.clip(len(sample) // 10, *HIGHEST))
    if len(false) < 2 * most:
        return 1.0
    above = sample.false & (sample.value_s > np.partition(false, -most)[-most])
    high = int(above.sum())
    if high < HIGHEST[0] // 2:  # ties: most of them are the same
        return 1.0
    counts = np.array([part.sum() for part in np.array_split(above, BLOCKS)])
    statistic = float(((counts - high / BLOCKS) ** 2).sum() / (high / BLOCKS))
    return statistic / (BLOCKS - 1) if chdtrc(BLOCKS - 1, statistic) < CHANCE else 1.0


def least_limit(sample: Sample, budget: float, clusters: float = 1.0) -> float:
    """The smallest limit that is expected to keep `budget` false alarms a month, in round seconds.

    NaN where even the longest seen is expected to cost more: beyond it nothing is known, unless all that is later is real.
    """
    false = np.sort(sample.value_s[sample.false])[::-1]
    if not len(false):
        return nan
    most = min(floor(budget / sample.a_month * (len(sample) + 1) + 1e-9) - 1, len(false) - 1)
    for told in range(most, -1, -1):
        if _chosen(sample, told, clusters) * sample.a_month <= budget + 1e-9:
            return rounded(float(false[told]))
    longest = rounded(float(false[0]))
    # 29 min 50 s of half an hour: one step on, where what is later is real, nothing is false by definition
    return longest if np.all(longest >= sample.real_s) else nan


STEPS = ((120.0, 1.0), (600.0, 5.0), (2 * spell.HOUR, 60.0), (spell.DAY, 300.0), (inf, 3600.0))


def rounded(limit_s: float) -> float:
    """The next limit that a person would write down, never a smaller one: "12 min", not 11 min 43.2 s."""
    step = next(step for below, step in STEPS if limit_s <= below)
    return max(float(np.ceil(limit_s / step - 1e-9)) * step, 1.0)


LADDER = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
"""The limits that people set, seconds."""

MOST_STEPS = 4


def ladder(sample: Sample) -> list[float]:
    """At most four limits that people set, between the usual run and the longest: those that spare the most alarms."""
    false = sample.value_s[sample.false]
    if not len(false):
        return []
    middle, longest = float(np.median(false)), float(false.max())
    steps = [float(g) for g in LADDER if middle <= g < longest]
    spared = [int((false > a).sum() - (false > b).sum()) for a, b in pairwise([-inf, *steps])]
    kept = sorted(sorted(range(len(steps)), key=lambda i: -spared[i])[:MOST_STEPS])
    return [steps[i] for i in kept if spared[i]]
