"""Checks whose lateness is known to stay as it is, for judging grace recommendations by the months that follow.

Each has a schedule, a shape of lateness, and a way in which late runs come together; some runs never come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpanalytics.analysis import quantiles
from qpanalytics.analysis.grace import Advice, advised
from qpanalytics.analysis.limited import Limited
from qpanalytics.analysis.pricing import MONTH_S, Sample
from qpanalytics.analysis.stats import Floats

DAY_S = 86_400.0
KNOWN_DAYS, JUDGED_DAYS = 180, 60
BEGIN_S = 1_767_571_200.0  # Mon 5 Jan 2026
GAPS = {"daily": DAY_S, "every 6 h": DAY_S / 4, "hourly": 3600.0, "every 15 min": 900.0}
SHAPES = ("lognormal", "wide lognormal", "gamma", "two modes", "heavy tail", "whole seconds")
DEPENDENCE = (0.0, 0.0, 0.3, 0.6)


@dataclass(frozen=True)
class Check:
    """A check of 240 days: gap, expected times and lateness in seconds, infinity where it never came."""

    name: str
    gap_s: float
    at_s: Floats
    late_s: Floats

    @property
    def known(self) -> Sample:
        """The first 180 days."""
        own = self.at_s < BEGIN_S + KNOWN_DAYS * DAY_S
        late = self.late_s[own]
        real = np.full(len(late), self.gap_s / 2)
        return Sample((self.at_s[own] * 1e6).astype(np.int64), late, real, late, MONTH_S / self.gap_s)

    def advice(self, budget: float) -> Advice:
        """What would have been recommended after 180 days."""
        one = Limited(1, self.name, "jobs", "warning", 0.2 * self.gap_s, self.known, quantiles.NONE, quantiles.NONE)
        return advised(one, budget, round((BEGIN_S + KNOWN_DAYS * DAY_S) * 1e6))

    def false_alarms(self, grace_s: float) -> float:
        """False alarms a month under a grace, in the 60 days that follow."""
        late = self.late_s[self.at_s >= BEGIN_S + KNOWN_DAYS * DAY_S]
        return float(((late > grace_s) & (late <= self.gap_s / 2)).sum()) / (JUDGED_DAYS * DAY_S / MONTH_S)


def fleet(n: int, seed: int, gaps: tuple[str, ...] = tuple(GAPS)) -> list[Check]:
    """`n` checks, schedules, shapes and dependence in turn."""
    rng = np.random.default_rng(seed)
    return [_check(i, rng, gaps) for i in range(n)]


def _check(i: int, rng: np.random.Generator, gaps: tuple[str, ...]) -> Check:
    every = gaps[i % len(gaps)]
    shape = SHAPES[i // len(gaps) % len(SHAPES)]
    r = DEPENDENCE[int(rng.integers(len(DEPENDENCE)))]
    gap = GAPS[every]
    n = round((KNOWN_DAYS + JUDGED_DAYS) * DAY_S / gap)
    at = BEGIN_S + gap * np.arange(n)
    late = gap * rng.uniform(0.004, 0.03) * _shaped(shape, _alike(rng, n, r), rng)
    if shape == "whole seconds":
        late = np.round(late)
    late = np.minimum(late, gap * 0.99)
    late[rng.random(n) < 0.003] = np.inf
    return Check(f"{i:03d} {every}, {shape}, {r:g}", gap, at, late)


def _alike(rng: np.random.Generator, n: int, r: float) -> Floats:
    """Normal values of which neighbours correlate by `r`."""
    steps = rng.normal(0, 1, n)
    if not r:
        return steps
    from scipy.signal import lfilter

    found: Floats = lfilter([(1 - r * r) ** 0.5], [1, -r], steps)
    return found


def _shaped(shape: str, z: Floats, rng: np.random.Generator) -> Floats:
    """Lateness with the median 1 or so."""
    from scipy.special import gammaincinv, ndtr

    u = np.clip(ndtr(z), 1e-12, 1 - 1e-12)
    if shape == "wide lognormal":
        return np.asarray(np.exp(0.9 * z))
    if shape == "gamma":
        return np.asarray(gammaincinv(2.0, u) / 1.7)
    if shape == "two modes":
        return np.asarray(np.exp(0.2 * z) * np.where(rng.random(len(z)) < 0.05, 4.0, 1.0))
    if shape == "heavy tail":
        return np.asarray((1 - u) ** -0.4 / 1.32)
    return np.asarray(np.exp(0.45 * z))
