"""Since when a check has been as it is now: the last lasting change of how late (or how long) its runs are.

Recommendations rest on the runs since then. This detector is slow to believe in a change, on purpose: lateness has heavy
tails and comes in clusters, and a change that was none throws history away that a limit is known from. Whether a job is
drifting is another question, asked by `qpa drift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

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

WIDTHS = (20, 40, 80)
"""And so many next to it, on either side, each on their own: seeded intervals."""

ALPHA = 0.001
"""The chance of finding a change in a check that has none, all places and both quantities together."""

MATTERS, MATTERS_S = 0.2, 1.0
"""A change moves the 90th percentile by a fifth of the way from the usual run to the 99th, where limits lie, and by a second."""


@dataclass(frozen=True)
class Regime:
    """The runs since the last change: they begin with the one at place `start`, at `since_us`.

    `before_s` and `after_s` are the levels on either side of the change, 90th percentiles where `level` says so; `changed` is
    False where there was none.
    """

    start: int
    since_us: int
    changed: bool = False
    before_s: float = np.nan
    after_s: float = np.nan
    level: str = "p90"

    def recent(self, as_of_us: int) -> bool:
        """Whether the change lies in the 30 days before."""
        return self.changed and as_of_us - self.since_us < RECENT_S * 1e6


def regime(at_us: npt.NDArray[np.int64], values: Floats) -> Regime:
    """The last regime of a series in order of time; values that are not finite (runs that never came) are left out.

    Binary segmentation, towards the end only. At each place the ranks of block medians, and of block 90th percentiles, on
    both sides are compared (Mann and Whitney 1947; the largest over all places as in Pettitt 1979, Applied Statistics 28,
    126-135, with Bonferroni's bound for having looked at all of them). Neighbouring blocks that resemble each other widen
    the variance by (1 + r) / (1 - r), r being the correlation that is left on the two sides (Bayley and Hammersley 1946). Besides
    the whole, stretches around each place are compared, since a change that was undone later is none of the whole (Kovacs et
    al. 2023, Biometrika 110, 249-256).
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


def matters(values: Floats, before_s: float, after_s: float) -> bool:
    """Whether a change of level is much beside how values (of runs that came) spread up to where limits lie."""
    usual, high = np.quantile(values, (0.5, 0.99)).tolist()
    return bool(abs(after_s - before_s) > max(MATTERS * (high - usual), MATTERS_S))


def _change(values: Floats) -> int | None:
    """The place of the clearest change, if there is one that is sure and matters."""
    size = max(-(-len(values) // BLOCKS), 1)
    blocks = len(values) // size
    if blocks < 2 * SHORTEST:
        return None
    oldest = len(values) - blocks * size  # too few for a block, and of the least interest
    parts = np.sort(values[oldest:].reshape(blocks, size), axis=1)
    levels = [parts[:, k] for k in sorted({size // 2, int(0.9 * (size - 1))})]
    chance, cut = min(_clearest(level) for level in levels)
    place = oldest + cut * size
    if chance * len(levels) >= ALPHA:
        return None
    before, after = (float(np.quantile(side, 0.9)) for side in (values[:place], values[place:]))
    return place if matters(values, before, after) else None


def _clearest(level: Floats) -> tuple[float, int]:
    """The split whose sides differ most: the chance of one as clear anywhere, and its place."""
    from scipy.special import ndtr

    splits = [_halved(level), *(_nearby(level, w) for w in WIDTHS if 2 * w <= len(level))]
    looked = sum(split.looked for split in splits)
    scores = [split.score / sqrt((1 + r) / (1 - r)) for split in splits for r in [_alike(level, split)]]
    best = int(np.argmax(scores))
    return min(2 * float(ndtr(-scores[best])) * looked, 1.0), splits[best].cut


@dataclass(frozen=True)
class _Split:
    """The clearest of `looked` splits: [start, cut) against [cut, end), `score` in standard deviations."""

    score: float
    start: int
    cut: int
    end: int
    looked: int


def _halved(level: Floats) -> _Split:
    """The clearest split of the whole."""
    n = len(level)
    ranks = _ranks(level)
    cuts = np.arange(SHORTEST, n - SHORTEST + 1)
    variance = ranks.var(ddof=1) * cuts * (n - cuts) / n
    sums = np.cumsum(ranks)[cuts - 1] - cuts * (n + 1) / 2
    scores = np.abs(sums) / np.sqrt(np.maximum(variance, 1e-9))
    best = int(np.argmax(scores))
    return _Split(float(scores[best]), 0, int(cuts[best]), n, len(cuts))


def _nearby(level: Floats, width: int) -> _Split:
    """The clearest split of the blocks around it: what rose and fell again is none of the whole."""
    windows = np.lib.stride_tricks.sliding_window_view(level, 2 * width)
    before, after = windows[:, None, :width], windows[:, width:, None]
    wins = np.count_nonzero(after > before, axis=(1, 2)) - np.count_nonzero(after < before, axis=(1, 2))
    scores = np.abs(wins) / (width * sqrt((2 * width + 1) / 3))
    best = int(np.argmax(scores))
    return _Split(float(scores[best]), best, best + width, best + 2 * width, len(scores))


def _alike(level: Floats, split: _Split) -> float:
    """How neighbours within the two sides correlate; 0 where they do not, or the other way."""
    ranks = _ranks(level[split.start : split.end])
    cut = split.cut - split.start
    rest = np.concatenate([ranks[:cut] - ranks[:cut].mean(), ranks[cut:] - ranks[cut:].mean()])
    power = float(rest @ rest)
    return float(np.clip(rest[1:] @ rest[:-1] / power, 0.0, 0.9)) if power else 0.0


def _ranks(values: Floats) -> Floats:
    """1 for the smallest; equal values share the mean of their ranks. SciPy has it in a module that takes seconds to import."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    found: Floats = (np.cumsum(many) - (many - 1) / 2)[place]
    return found
