"""Axes of seconds and what they leave out: a unit that people use, and one bad night that must not flatten the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qpanalytics import spell
from qpanalytics.report import palette

UNITS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))
"""Units of an axis and their seconds: the largest that the axis holds twice."""

AIR, EDGE = 1.06, 1.05
"""How far an axis reaches beyond what it shows, and where marks of what has no value stand: Plotly leaves out what lies
outside by a rounding."""


def unit(high_s: float) -> tuple[str, float]:
    """The unit of an axis that reaches to `high_s`, and its seconds."""
    return next(((name, size) for name, size in UNITS if high_s >= 2 * size), UNITS[-1])


def reach(values: npt.NDArray[np.float64], lines: list[float]) -> tuple[float, float]:
    """What an axis shows: zero to the largest, unless that lies far above nearly all; never less than `lines` ask for."""
    if not len(values):
        return 0.0, max([*lines, 1.0])
    ordered = np.sort(values)
    usual = float(ordered[-1] if len(ordered) < 20 else ordered[int(0.98 * (len(ordered) - 1))])
    most = float(ordered[-1])
    top = max([most if most <= 3 * max(usual, 1e-3) else 1.5 * max(usual, 1e-3), *lines])
    top = top if top > 0 else 1.0  # jobs that end on the very second, or early
    return max(min(float(ordered[0]), 0.0), -3 * top), top


def axis(low_s: float, high_s: float) -> tuple[dict[str, Any], float]:
    """An axis of time from `low_s` to `high_s`, the unit named at its last tick, and how many seconds are one of it."""
    name, size = unit(max(high_s, -low_s))
    ends = [low_s / size - (0.04 * (high_s - low_s) / size if low_s < 0 else 0), high_s / size * AIR]
    return {"range": ends, "ticksuffix": f" {name}", "showticksuffix": "last", "nticks": 6}, size


def above(values: npt.NDArray[np.float64], high_s: float) -> str:
    """What lies above the axis, in words; empty if nothing does."""
    over = values[values > high_s * AIR]
    if not len(over):
        return ""
    lie = "lies" if len(over) == 1 else "lie"
    return f"{spell.plural(len(over), 'run')} {lie} above, up to {spell.duration(float(over.max()))} (double-click to see all)."


def limit(at_s: float | None, high_s: float, size: float, label: str, colour: str) -> tuple[dict[str, Any], str]:
    """A line for what is promised as parts of a layout, or, where it lies far above, a sentence that says so."""
    if at_s is None:
        return {}, ""
    said = f"{label} {spell.duration(at_s)}"
    if at_s > high_s * AIR:
        return {}, f"{said[:1].upper()}{said[1:]}, far above."
    y = at_s / size
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below"}
    text = {"xref": "paper", "x": 1, "xanchor": "right", "y": y, "yanchor": "bottom", "text": said, "showarrow": False,
            "bgcolor": palette.light("paper"), "borderpad": 1}  # fmt: skip
    return {
        "shapes": [line | {"line": {"color": colour, "width": 1.5, "dash": "dash"}}],
        "annotations": [text | {"font": {"color": colour, "size": 12}}],
    }, ""
