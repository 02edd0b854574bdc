"""Where the level of a series changes: noise that remembers, optimal partitions, and how sure each change is.

Nothing here knows of jobs. A series is an array of finite numbers in the order of time; a change at place `k` means that
values before `k` have one level and `values[k]` begins another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis.stats import Floats

#: What a change costs in the partition, in long-run variances times log n: a place and a level, and some for the search.
PENALTY = 2.5
#: Partitions are tried with penalties for noise whose long-run variance is so many times that of neighbours' differences.
STRONGER = (1.5, 4.0, 10.0, 35.0, 140.0)
#: Of a change that the partition finds and the test does not believe, nothing is left; the fleet decides on the others.
BELIEVED = 0.05
#: A regime has at least so many values.
LEAST = 5
#: Noise is never taken to remember more than this from one value to the next; what does is wandering, not noise.
MOST_MEMORY = 0.95
#: A range of 95 % holds the places whose squares are at most so many long-run variances above the best (Hansen 2000).
RANGE = float(-2 * np.log(1 - np.sqrt(0.95)))
#: Half the normal's 75 % quantile: the median distance from the middle, as a standard deviation.
_MAD = 1.4826
#: So many of the differences between neighbours are of the noise; the others may be steps.
_USUAL = 0.9

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Noise:
    """Variance of single values around their level, and how much each remembers of the one before (AR(1))."""

    variance: float
    memory: float

    @property
    def long_run(self) -> float:
        """n times the variance of a mean of n values: larger than the variance where neighbours are alike."""
        return self.variance * (1 + self.memory) / (1 - self.memory)


@dataclass(frozen=True)
class Change:
    """One change: its place, the range of places at 95 %, the levels beside it, and the p value of there being none."""

    at: int
    lo: int
    hi: int
    before: float
    after: float
    p: float


def spread(values: Floats) -> float:
    """The standard deviation that the median distance from the median stands for; 0 for none or ties."""
    if not len(values):
        return 0.0
    return float(_MAD * np.median(np.abs(values - np.median(values))))


def running_median(values: Floats, width: int) -> Floats:
    """The median of `width` (odd) neighbours of each value; at the ends of those that there are, mirrored."""
    width = min(width, len(values) - 1 + len(values) % 2)
    if width < 3:
        return values.copy()
    padded = np.pad(values, width // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.asarray(np.partition(windows, width // 2, axis=1)[:, width // 2])


def clipped(values: Floats, width: int = 9) -> Floats:
    """`values` brought to within 3 standard deviations of their running median, so that one bad night weighs as one.

    A level that lasts for more than half the width is left as it is, so steps stay sharp. Where most values are ties the
    usual distance stands in for the spread.
    """
    middle = running_median(values, width)
    off = values - middle
    far = np.abs(off)
    most = int(0.9 * (len(far) - 1))
    reach = 3 * max(spread(off), float(np.minimum(far, np.partition(far, most)[most]).mean()))
    return np.clip(values, middle - reach, middle + reach)


def noise(residuals: Floats, values: Floats, segments: int, floor: float = 0.0) -> Noise:
    """Of the residuals of a partition of `values` into so many segments.

    The memory is the larger of two estimates. That of the residuals (largest of lags 1 to 3, each taken to the power
    that an AR(1) would have) is too small where the partition fits noise, and is corrected for the levels it took. That
    of differences, (size of x[i+2] - x[i] / size of x[i+1] - x[i])^2 - 1, hardly sees the levels (Chakar, Lebarbier,
    Levy-Leduc and Robin 2017, Bernoulli 23, 1408-1447), but takes white noise on top of slow noise for white, and scatters in
    short series: it is lowered by one standard error. The size is a root mean square without the largest, not their median: that
    scatters twice as much, so that a clear step in noise of memory 0.5 was taken for wandering in one series of thirty.
    """
    n = len(residuals)
    free = max(n - 2 * segments, 1)
    power = float(residuals @ residuals)
    variance = max(power / free, floor)
    if power <= 0 or n < 8:
        return Noise(variance, 0.0)
    least = 2 / np.sqrt(n)
    found = [0.0]
    for lag in (1, 2, 3):
        alike = float(residuals[lag:] @ residuals[:-lag]) / power
        if lag == 1:
            alike += (1 + 3 * max(alike, 0.0)) * 2 * segments / n
        if alike > least:
            found.append(alike ** (1 / lag))
    one, two = _size(np.diff(values)), _size(values[2:] - values[:-2])
    if one > 0:
        found.append(min(two / one, 2.0) ** 2 - 1 - least)
    return Noise(variance, min(max(found), MOST_MEMORY))


def _size(differences: Floats) -> float:
    """Their root mean square, the largest of them brought to the rest, which are the steps."""
    far = np.abs(differences)
    return float(np.sqrt(np.mean(np.minimum(far, np.quantile(far, _USUAL)) ** 2)))


def partition(values: Floats, penalty: float, least: int = LEAST) -> Places:
    """Places of the changes of the partition with the least sum of squares plus `penalty` a change.

    Optimal partitioning (Jackson et al. 2005, IEEE Signal Processing Letters 12, 105-108): exact, quadratic in n.
    """
    n = len(values)
    if n < 2 * least:
        return np.empty(0, dtype=np.int64)
    total = np.concatenate([[0.0], np.cumsum(values - values.mean())])
    per = 1 / np.arange(n, 0, -1.0)  # per[n - length]

    def costs(end: int, starts: int) -> Floats:
        # less the sum of squares up to there, which is the same for all partitions
        jump = total[end] - total[:starts]
        gained: Floats = -jump * jump * per[n - end : n - end + starts]
        return gained

    return cheapest(n, penalty, least, costs)


def cheapest(n: int, penalty: float, least: int, costs: Callable[[int, int], Floats]) -> Places:
    """Places of the changes of the cheapest partition of n values into segments of `least` at least, `penalty` a change.

    `costs(end, starts)` are those of the segments that end before `end` and begin at 0, 1, ... below `starts`.
    """
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    origin = np.zeros(n + 1, dtype=np.int64)
    for end in range(least, n + 1):
        starts = end - least + 1
        cost = best[:starts] + costs(end, starts)
        at = int(cost.argmin())
        best[end] = cost[at] + penalty
        origin[end] = at
    places = []
    end = int(origin[n])
    while end > 0:
        places.append(end)
        end = int(origin[end])
    return np.array(places[::-1], dtype=np.int64)


def levels(values: Floats, places: Places) -> Floats:
    """The mean of each segment."""
    edges = np.concatenate([[0], places])
    counts = np.diff(np.concatenate([edges, [len(values)]]))
    return np.asarray(np.add.reduceat(values, edges) / counts)


def fitted(values: Floats, places: Places) -> Floats:
    """The level at each value."""
    counts = np.diff(np.concatenate([[0], places, [len(values)]]))
    return np.repeat(levels(values, places), counts)


def calm(values: Floats) -> bool:
    """True where no two neighbouring stretches differ enough for a partition to find a change: most series, cheaply.

    Compares means of stretches of 3 to n / 2 values on both sides of each place, with the spread of neighbours' differences,
    which is never larger than the noise.
    """
    n = len(values)
    scale = spread(np.diff(values)) / np.sqrt(2)
    if scale == 0:
        return bool(np.ptp(values) == 0)
    total = np.concatenate([[0.0], np.cumsum(values)])
    widths, width = [], LEAST
    while width <= n // 2:
        widths.append(width)
        width = max(width + 1, int(width * 1.4))
    wanted = 0.75 * np.sqrt(PENALTY * np.log(n)) * scale
    for width in widths:
        sums = total[width:] - total[:-width]
        most = np.abs(sums[width:] - sums[:-width]).max() / width
        if most * np.sqrt(width / 2) > wanted:
            return False
    return True


def partitioned(values: Floats, least: int = LEAST, floor: float = 0.0) -> tuple[Places, Noise]:
    """The changes of a series and its noise, found together.

    Few changes with noise that remembers much and many changes with noise that remembers little may fit alike. Partitions
    for ever longer memory are tried; the one is taken whose AR(1) noise has the largest likelihood, less what its changes cost
    (as in the minimum description length of Davis, Lee and Rodriguez-Yam 2006, JASA 101, 223-239).
    `floor` is what the variance is at least, by rounding.
    """
    n = len(values)
    none = np.empty(0, dtype=np.int64)
    if n < 2 * least or np.ptp(values) == 0:
        return none, Noise(0.0, 0.0)
    if calm(values):
        return none, noise(values - values.mean(), values, 1, floor)
    near = max(spread(np.diff(values)) ** 2 / 2, 1e-4 * float(values.var()), floor)
    best: tuple[float, Places, Noise] | None = None
    tried: list[Places] = []
    for stronger in STRONGER:
        places = partition(values, PENALTY * near * stronger * np.log(n), least)
        if any(np.array_equal(places, other) for other in tried):
            continue
        tried.append(places)
        residuals = values - fitted(values, places)
        found = noise(residuals, values, len(places) + 1, floor)
        cost = n * np.log(_innovations(residuals, found, floor)) + PENALTY * len(places) * np.log(n)
        if best is None or cost < best[0]:
            best = cost, places, found
        if not len(places):
            break
    assert best is not None
    return best[1:]


def _innovations(residuals: Floats, found: Noise, floor: float) -> float:
    """The mean square of what is new in each residual, its memory of the one before taken away."""
    new = residuals[1:] - found.memory * residuals[:-1]
    return max(float(new @ new) / len(new), floor, 1e-300)


def tested(values: Floats, places: Places, found: Noise, believed: float = BELIEVED) -> list[Change]:
    """The changes that are believed: least believable ones are taken out until each has a p value below `believed`.

    The difference of the two levels is taken over its standard error (long-run variance) and set against a t tail, with
    n / 4 degrees of freedom, fewer where noise remembers, since its long-run variance is estimated, times the `tries` that
    choosing the place was worth.
    """
    n = len(values)
    kept = list(places.tolist())
    while kept:
        at = np.array(kept)
        means, edges = levels(values, at), np.concatenate([[0], at, [n]])
        lengths = np.diff(edges).astype(float)
        error = np.sqrt(found.long_run * (1 / lengths[1:] + 1 / lengths[:-1]))
        with np.errstate(divide="ignore"):
            t = np.abs(np.diff(means)) / error
        p = np.minimum(tries(t, n) * tail(t, freedom(n, found)), 1.0)
        worst = int(p.argmax())
        if p[worst] <= believed:
            return [
                Change(k, *place_range(values, edges[i : i + 3], found), float(means[i]), float(means[i + 1]), float(p[i]))
                for i, k in enumerate(kept)
            ]
        del kept[worst]
    return []


def tries(t: Floats, n: int) -> Floats:
    """How many independent places the best of n places is worth, where its statistic is `t`; never more than n.

    Of the tail of the largest of all standardised differences (James, James and Siegmund 1987, Biometrika 74, 71-83) over that
    of one: neighbouring places share most of their values.
    """
    span = 2 * np.log(max((n - LEAST) / LEAST, 1.0))
    return np.asarray(np.clip(((t * t - 1) * span + 4) / 2, 1.0, float(n)))


def freedom(n: int, found: Noise) -> float:
    """Degrees of freedom that an estimate of the long-run variance of n values is worth."""
    return max(n / 4 * (1 - found.memory) / (1 + found.memory), n / 16, 3.0)


def tail(t: Floats, df: float) -> Floats:
    """Both tails of Student's t beyond `t`."""
    from scipy.special import stdtr

    return np.asarray(2 * stdtr(df, -np.abs(t)))


def place_range(values: Floats, edges: Places, found: Noise) -> tuple[int, int]:
    """First and last place that a change may be at, with 95 %; `edges` are the last one's place, its own, and the next one's.

    The places whose likelihood ratio is below the quantile of its limit, (1 - exp(-x / 2))^2 (Hansen 2000, Econometrica 68,
    575-603; Bai 1997), with the long-run variance for the variance.
    """
    start, at, end = (int(edge) for edge in edges)
    part = values[start:end]
    n = len(part)
    total = np.cumsum(part - part.mean())[:-1]
    left = np.arange(1.0, n)
    gain = total * total * (1 / left + 1 / (n - left))
    near = np.flatnonzero(gain >= gain[at - start - 1] - RANGE * found.long_run)
    return start + int(near[0]) + 1, start + int(near[-1]) + 1
