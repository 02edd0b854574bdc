"""What the level of a series was before and after each of its breaks, in the unit of its values."""

from __future__ import annotations

import numpy as np

from qpanalytics.analysis import breaks
from qpanalytics.analysis.breaks import Break, Judged
from qpanalytics.analysis.seasons import DAY_S, Ints
from qpanalytics.analysis.stats import Floats


def levels(at_s: Floats, values: Floats, weekday: Ints, judged: Judged, *, shares: bool = False) -> list[tuple[float, float]]:
    """Before and after of each break, in the unit of `values`: medians between it and its neighbours, of shares means.

    Runs of blips are left out. Of a trend the two ends of its line. What returns with hour and weekday is taken out, but where
    only one weekday changed: of two runs a day that differ by an hour, the median jumps with one run more of either.
    """
    plain = _plain(values, judged)
    steps = [b for b in judged.breaks if b.kind != "blip"]
    inside = np.zeros(len(values), dtype=bool)
    for b in judged.breaks:
        if b.kind == "blip":
            inside[b.at : b.end] = True
    usual = np.mean if shares else np.median

    def level(start: int, end: int, day: int) -> float:
        some = (values if day else plain)[start:end]
        keep = ~inside[start:end] & ((weekday[start:end] == day) if day else True)
        return float(usual(some[keep] if keep.any() else some))

    found = []
    for b in judged.breaks:
        before = max([c.at for c in steps if c.at < b.at and c.weekday == b.weekday], default=0)
        if b.kind == "blip":
            found.append((level(before, b.at, 0), float(usual(plain[b.at : b.end]))))
        elif b.kind == "trend":
            found.append(_ends(at_s, plain, b, judged.logs))
        else:
            found.append((level(before, b.at, b.weekday), level(b.at, b.end, b.weekday)))
    return found


def _plain(values: Floats, judged: Judged) -> Floats:
    """The values without their season, on the level of a usual run."""
    if judged.effect is None:
        return values
    usual = judged.effect - float(np.median(judged.effect))
    if not judged.logs:
        return values - usual
    offset = breaks.scale(values)[1]
    return (values + offset) * np.exp(-usual) - offset


def _ends(at_s: Floats, values: Floats, b: Break, logs: bool) -> tuple[float, float]:
    """The level that a trend began from and the one it has come to, through the middle of the runs."""
    growth = b.slope * (at_s - at_s[b.at]) / DAY_S
    growth[: b.at] = 0.0
    if not logs:
        level = float(np.median(values - growth))
        return level, level + float(growth[-1])
    times = 1 + growth if b.even else np.exp(growth)
    offset = breaks.scale(values)[1]
    level = float(np.median((values + offset) / times))
    return level - offset, level * float(times[-1]) - offset
