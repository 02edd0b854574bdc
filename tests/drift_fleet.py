"""Fleets of simulated jobs whose changes are known: what a search for drift is measured on, and rules to measure it against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis import breaks
from qpanalytics.analysis.discoveries import q_values
from qpanalytics.analysis.settled import SURE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_S = 86_400.0
#: Kinds of jobs by gap in seconds, with how many days of each are known.
SCHEDULES = ((7 * DAY_S, 728), (DAY_S, 365), (DAY_S, 180), (3600.0, 60), (3 * 3600.0, 120), (900.0, 30))
BEGIN_S = 1_767_225_600.0  # 2026-01-01, a Thursday


@dataclass(frozen=True)
class Series:
    """Durations of one job, and the truth: `quiet`, `blip`, `step` or `trend`, the first run of it, its ratio."""

    at_s: Floats
    values: Floats
    weekday: Ints
    hour: Ints
    kind: str
    at: int
    ratio: float

    @property
    def drifts(self) -> bool:
        """Whether it has changed for good."""
        return self.kind in ("step", "trend")


def remembering(rng: np.random.Generator, n: int, memory: float) -> Floats:
    """AR(1) noise of variance 1."""
    from scipy.signal import lfilter

    shocks = rng.normal(0, np.sqrt(1 - memory**2), n)
    shocks[0] /= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))


def series(rng: np.random.Generator, kind: str, *, schedule: int | None = None) -> Series:
    """One job: lognormal durations that remember, with bad nights, a season, a gap, and what `kind` says."""
    gap_s, days = SCHEDULES[int(rng.integers(len(SCHEDULES))) if schedule is None else schedule]
    n = int(days * DAY_S / gap_s)
    at_s = BEGIN_S + 3 * 3600.0 + gap_s * np.arange(n)
    usual = float(np.exp(rng.uniform(np.log(20), np.log(5000))))
    noise = rng.uniform(0.02, 0.08)
    log = noise * remembering(rng, n, rng.choice([0.0, 0.3, 0.6]))
    weekday = ((at_s // DAY_S).astype(np.int64) + 3) % 7 + 1
    hour = (at_s % DAY_S // 3600).astype(np.int64)
    log += _season(rng, gap_s, weekday, hour)
    if rng.random() < 0.4:
        bad = rng.random(n) < rng.uniform(0.005, 0.04)
        log[bad] += np.abs(rng.standard_t(2, int(bad.sum()))) * 0.7
    at, ratio = 0, 1.0
    if kind == "step":
        ratio = float(np.exp(rng.uniform(np.log(1.12), np.log(3))))
        ratio = 1 / ratio if rng.random() < 0.3 else ratio
        at = int(n * rng.uniform(0.2, 0.85))
        log[at:] += np.log(ratio)
    elif kind == "trend":
        ratio = float(np.exp(rng.uniform(np.log(1.3), np.log(3))))
        at = int(n * rng.uniform(0.1, 0.6))
        log[at:] += np.log(1 + (ratio - 1) * (at_s[at:] - at_s[at]) / (at_s[-1] - at_s[at]))
    elif kind == "blip":
        ratio = float(np.exp(rng.uniform(np.log(1.3), np.log(4))))
        at = int(n * rng.uniform(0.2, 0.75))
        long = max(3, int(n * rng.uniform(0.02, 0.1)))
        log[at : at + long] += np.log(ratio)
    keep = np.ones(n, dtype=bool)
    if rng.random() < 0.3:
        hole = int(n * rng.uniform(0.2, 0.8))
        keep[hole : hole + int(n * rng.uniform(0.02, 0.1))] = False
        keep[max(at - 3, 0) : at + 3] = True
    kept_at = int(keep[:at].sum())
    values = usual * np.exp(log)
    if rng.random() < 0.3:
        values = np.maximum(np.round(values), 1.0)
    return Series(at_s[keep], values[keep], weekday[keep], hour[keep], kind, kept_at, ratio)


def _season(rng: np.random.Generator, gap_s: float, weekday: Ints, hour: Ints) -> Floats:
    effect = np.zeros(len(weekday))
    if gap_s < 7 * DAY_S and rng.random() < 0.4:
        effect += np.where(weekday == 7, np.log(rng.uniform(1.3, 3)), 0.0)
    if gap_s < DAY_S and rng.random() < 0.4:
        effect += np.log(rng.uniform(1.1, 1.6)) * np.cos((hour - 3) / 24 * 2 * np.pi) / 2
    return effect


def fleet(seed: int, n: int = 160) -> list[Series]:
    """Half of them quiet, the others with steps, trends and blips."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["quiet", "step", "trend", "blip"], size=n, p=[0.5, 0.25, 0.12, 0.13])
    return [series(rng, str(kind)) for kind in kinds]


# Rules that people use ------------------------------------------------------------------------------------------------


def _days(one: Series) -> list[Floats]:
    part = ((one.at_s - one.at_s[0]) // DAY_S).astype(int)
    return [one.values[part == d] for d in np.unique(part)]


def p95_of_a_day(one: Series) -> bool:
    """The p95 of some day is 50 % above that of the two weeks before."""
    days = _days(one)
    return any(
        np.quantile(days[d], 0.95) > 1.5 * np.quantile(np.concatenate(days[d - 14 : d]), 0.95) for d in range(14, len(days))
    )


def times_the_median(one: Series) -> bool:
    """A run takes 2.5 times the median of the 30 before it."""
    windows = np.lib.stride_tricks.sliding_window_view(one.values, 30)[:-1]
    return bool((one.values[30:] > 2.5 * np.median(windows, axis=1)).any())


def z_above_three(one: Series) -> bool:
    """A run lies 3 standard deviations above the mean of the 30 before it."""
    windows = np.lib.stride_tricks.sliding_window_view(one.values, 30)[:-1]
    return bool((one.values[30:] > windows.mean(axis=1) + 3 * windows.std(axis=1)).any())


def pelt(one: Series) -> bool:
    """`ruptures` PELT with an rbf cost on the medians of days, penalty 10."""
    import ruptures

    medians = np.array([np.median(day) for day in _days(one)])
    return len(ruptures.Pelt("rbf").fit(medians.reshape(-1, 1)).predict(10)) > 1


RULES: dict[str, Callable[[Series], bool]] = {
    "p95 of a day 50 % above two weeks": p95_of_a_day,
    "2.5 times the median of 30 runs": times_the_median,
    "z > 3": z_above_three,
}


def score(flagged: list[bool], drifted: list[bool]) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    hits = sum(f and d for f, d in zip(flagged, drifted, strict=True))
    precision = hits / max(sum(flagged), 1)
    recall = hits / max(sum(drifted), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


# Ours -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What we say of a fleet: precision, recall and F1; how many quiet and blip jobs it has and are flagged; for each step that
    was found whether its date is within 3 days or 10 runs."""

    score: tuple[float, float, float]
    quiet: int
    flagged: int
    dates: list[bool]


def told(jobs: list[Series]) -> Told:
    """The fleet as `qpa.drift` judges it: at a rate of false discoveries of 1 %."""
    found = [breaks.judge(job.at_s, job.values, job.weekday, job.hour) for job in jobs]
    flagged = (q_values(np.array([one.p for one in found])) <= SURE).tolist()
    dates = []
    for job, one, hit in zip(jobs, found, flagged, strict=True):
        if hit and job.kind == "step":
            near = min((b.at for b in one.breaks if b.kind != "blip"), key=lambda at: abs(at - job.at))
            dates.append(abs(near - job.at) <= 10 or abs(job.at_s[near] - job.at_s[job.at]) <= 3 * DAY_S)
    quiet = [hit for job, hit in zip(jobs, flagged, strict=True) if not job.drifts]
    return Told(score(flagged, [job.drifts for job in jobs]), len(quiet), sum(quiet), dates)
