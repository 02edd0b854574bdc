"""Since when a check has been as it is now: the last lasting change of how late (or how long) its runs are.

Recommendations rest on the runs since then. This detector is slow to believe in a change, on purpose: lateness has heavy
tails and comes in clusters, and a change that was none throws history away that a limit is known from. Whether a job is
drifting is another question, asked by `qpa drift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from qpanalytics import spell
from qpanalytics.analysis.stats import Floats

RECENT_S = 30 * spell.DAY
"""A change that is younger leaves too little to go by."""

BLOCKS = 180
"""At most so many blocks of neighbouring runs are compared: a day each in half a year."""

SHORTEST = 8
"""Blocks on either side of a change."""

ALPHA = 0.001
"""The chance of finding a change in a check that has none, all places and both quantities together."""

MATTERS, MATTERS_S = 0.2, 1.0
"""A change moves the 90th percentile by a fifth of the way from the usual run to the 99th, where limits lie, and by a second."""


@dataclass(frozen=True)
class Regime:
    """The runs since the last change: they begin with the one at place `start`, at `since_us`.

    `before_s` and `after_s` are the 90th percentiles on either side of the change; `changed` is False where there was none.
    """

    start: int
    since_us: int
    changed: bool = False
    before_s: float = np.nan
    after_s: float = np.nan

    def recent(self, as_of_us: int) -> bool:
        """Whether the change lies in the 30 days before."""
        return self.changed and as_of_us - self.since_us < RECENT_S * 1e6


def regime(at_us: npt.NDArray[np.int64], values: Floats) -> Regime:
    """The last regime of a series in order of time; values that are not finite (runs that never came) are left out.

    Binary segmentation, towards the end only. At each place the ranks of block medians, and of block 90th percentiles, on
    both sides are compared (Mann and Whitney 1947; the largest over all places as in Pettitt 1979, Applied Statistics 28,
    126-135, with Bonferroni's bound for having looked at all of them). Neighbouring blocks that resemble each other widen
    the variance by (1 + r) / (1 - r), r being the correlation that is left on the two sides (Bayley and Hammersley 1946).
    """
    places = np.flatnonzero(np.isfinite(values))
    known = values[places]
    first = Regime(0, int(at_us[0]) if len(at_us) else 0)
    start = 0
    while (place := _change(known[start:])) is not None:
        before, after = known[start : start + place], known[start + place :]
        start += place
        where = int(places[start])
        first = Regime(where, int(at_us[where]), True, float(np.quantile(before, 0.9)), float(np.quantile(after, 0.9)))
    return first


def _change(values: Floats) -> int | None:
    """The place of the clearest change, if there is one that is sure and matters."""
    blocks = min(len(values), BLOCKS)
    if blocks < 2 * SHORTEST:
        return None
    ends = np.arange(blocks + 1) * len(values) // blocks
    if blocks == len(values):
        levels = [values]
    else:
        parts = [values[a:b] for a, b in pairwise(ends.tolist())]
        levels = [np.array([np.quantile(part, p) for part in parts]) for p in (0.5, 0.9)]
    chance, cut = min(_clearest(level) for level in levels)
    place = int(ends[cut])
    if chance * len(levels) >= ALPHA:
        return None
    before, after = (float(np.quantile(side, 0.9)) for side in (values[:place], values[place:]))
    usual, high = np.quantile(values, (0.5, 0.99)).tolist()
    return place if abs(after - before) > max(MATTERS * (high - usual), MATTERS_S) else None


def _clearest(level: Floats) -> tuple[float, int]:
    """The split whose sides differ most: the chance of one as clear anywhere, and its place."""
    from scipy.special import ndtr

    n = len(level)
    ranks = _ranks(level)
    cuts = np.arange(SHORTEST, n - SHORTEST + 1)
    sums = np.cumsum(ranks)[cuts - 1]
    variance = ranks.var(ddof=1)
    if not variance:
        return 1.0, SHORTEST
    scores = np.abs(sums - cuts * (n + 1) / 2) / np.sqrt(variance * cuts * (n - cuts) / n)
    best = int(np.argmax(scores))
    cut = int(cuts[best])
    rest = np.concatenate([ranks[:cut] - ranks[:cut].mean(), ranks[cut:] - ranks[cut:].mean()])
    power = float(rest @ rest)
    r = float(np.clip(rest[1:] @ rest[:-1] / power, 0.0, 0.9)) if power else 0.0
    score = float(scores[best]) / np.sqrt((1 + r) / (1 - r))
    return min(2 * float(ndtr(-score)) * len(cuts), 1.0), cut


def _ranks(values: Floats) -> Floats:
    """1 for the smallest; equal values share the mean of their ranks. SciPy has it in a module that takes seconds to import."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    found: Floats = (np.cumsum(many) - (many - 1) / 2)[place]
    return found
