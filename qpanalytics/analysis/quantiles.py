"""What `lateness` and `durations` share: quantile columns with intervals, their change, and why one is missing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import isnan
from typing import Any

import numpy as np

from qpanalytics.analysis import reading, stats
from qpanalytics.analysis.reading import Row
from qpanalytics.analysis.stats import Floats

LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
BEFORE_LEVELS = ("p50", "p95")
NONE: Floats = np.array([], dtype=np.float64)


def meanings(of: str) -> dict[str, str]:
    """The quantile columns of one quantity, named in words."""
    found = {}
    for name, p in LEVELS.items():
        found[f"{name}_s"] = f"{p * 100:g}th percentile of {of}, seconds; NaN with why"
        found[f"{name}_lo_s"] = f"lower end of the 95 % interval of {name}_s, seconds; NaN where n cannot carry it"
        found[f"{name}_hi_s"] = f"upper end of the 95 % interval of {name}_s, seconds; NaN where n cannot carry it"
    return found | {"max_s": f"largest {of} seen, seconds"}


BEFORE = {
    "n_before": "n in the window of equal length just before",
    "p50_before_s": "p50_s in that window",
    "p95_before_s": "p95_s in that window",
    "p50_change_s": "p50_s - p50_before_s; means something only together with its interval",
    "change_lo_s": "lower end of its 95 % interval, seconds; above 0: more than before",
    "change_hi_s": "upper end of its 95 % interval, seconds; below 0: less than before",
}


def lists(column: Any) -> list[Floats]:
    """A pyarrow column of lists of numbers as one array each, without making Python floats."""
    found: list[Floats] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        ends = chunk.offsets.to_numpy()
        found.extend(values[start:end] for start, end in pairwise(ends))
    return found


def pool(samples: Iterable[Floats]) -> Floats:
    """Several ascending samples as one."""
    return np.sort(np.concatenate([NONE, *samples]))


def figures(samples: list[Floats], prob: float) -> Row:
    """The columns of `meanings` for one ascending sample a row, infinity standing for a run that never came."""
    found: dict[str, list[float]] = {name: [] for name in meanings("")}
    for sample in samples:
        for name, p in LEVELS.items():
            lo, hi = stats.quantile_interval(sample, p, prob) if len(sample) else (np.nan, np.nan)
            found[f"{name}_s"].append(stats.quantile(sample, p))
            found[f"{name}_lo_s"].append(lo)
            found[f"{name}_hi_s"].append(hi)
        came = _came(sample)
        found["max_s"].append(float(sample[came - 1]) if came else np.nan)
    return {name: reading.reals(values) for name, values in found.items()}


def compared(samples: list[Floats], before: list[Floats], prob: float) -> Row:
    """The columns of `BEFORE` but `n_before`."""
    changes = [
        stats.quantile_change(now, then, 0.5, prob) if len(now) and len(then) else (np.nan,) * 3
        for now, then in zip(samples, before, strict=True)
    ]
    change, lo, hi = np.array(changes, dtype=np.float64).reshape(-1, 3).T
    earlier = {
        f"{name}_before_s": reading.reals(stats.quantile(then, LEVELS[name]) for then in before)
        for name in BEFORE_LEVELS
    }
    return earlier | {"p50_change_s": change, "change_lo_s": lo, "change_hi_s": hi}


def reasons(sample: Floats, prob: float, levels: Iterable[str] = tuple(LEVELS)) -> list[str]:
    """Why a figure of `sample` is missing: runs that never came first, then too few runs."""
    n, came = len(sample), _came(sample)
    if n == 0:
        return []
    never, few = False, []
    for name in levels:
        p = LEVELS[name]
        lower, upper = stats.ranks(n, p, prob)
        ends = stats.quantile_interval(sample, p, prob)
        carried = (lower >= 1, upper <= n)
        if not all(carried):
            few.append(name)
        missing = [
            isnan(stats.quantile(sample, p)),
            *(ok and isnan(end) for ok, end in zip(carried, ends, strict=True)),
        ]
        never = never or any(missing)
    return [
        f"{n - came} of {n} never came" if never else "",
        f"n = {n} cannot carry a {prob * 100:g} % interval for {', '.join(few)}" if few else "",
    ]


def _came(sample: Floats) -> int:
    return int(np.searchsorted(sample, np.inf))


def against(
    rows: list[Row],
    samples: list[Floats],
    rows_before: list[Row],
    samples_before: list[Floats],
    prob: float,
    why: list[list[str]],
) -> Row:
    """The columns of `BEFORE`, rows matched by their `id`; adds to `why` what is missing of the window before."""
    earlier = {row["id"]: (row, sample) for row, sample in zip(rows_before, samples_before, strict=True)}
    absent: tuple[Row, Floats] = ({"n": 0, "reason": "no runs in this window"}, NONE)
    matched = [earlier.get(row["id"], absent) for row in rows]
    for reasons_now, (row, sample) in zip(why, matched, strict=True):
        missing = [row["reason"], *reasons(sample, prob, ["p50"])]
        if isnan(stats.quantile(sample, LEVELS["p95"])):
            missing += reasons(sample, prob)[:1]
        reasons_now += [f"before: {reason}" for reason in missing if reason and reason not in reasons_now]
    then = [sample for _, sample in matched]
    return {"n_before": reading.counts(row["n"] for row, _ in matched)} | compared(samples, then, prob)
