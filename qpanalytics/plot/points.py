"""One dot a run over time, with the line of its usual value: what `durations` and `lateness` of one check share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from qpanalytics import spell
from qpanalytics.instants import instant
from qpanalytics.plot.drawing import marks
from qpanalytics.plot.reading import thinned, walls
from qpanalytics.report import palette

MOST = 600
"""Dots of one check: more lie on one another at the width of a page."""
WIDE = 7
"""Runs that a moving median looks at: a week of a daily job."""


def dots(outcome: str, name: str, at: Sequence[str | None], values_s: npt.NDArray[np.float64], size: float) -> dict[str, Any]:
    """A trace of dots; `size` is how many seconds are one of the axis."""
    good = outcome in ("ran", "on_time")
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(at),
        "y": [rounded(v / size) for v in values_s.tolist()],
        "text": [spell.duration(v) for v in values_s.tolist()],
        "hovertemplate": f"%{{x|%a %-d %b %H:%M}}<br>%{{text}}, {name}<extra></extra>",
        "marker": marks(outcome, 5 if good else 8) | {"opacity": 0.7 if good else 1},
    }


def never(outcome: str, at: Sequence[str | None], y: float, said: str) -> dict[str, Any]:
    """A trace of runs that have no value, at the upper edge of the figure."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": palette.word(outcome),
        "x": list(at),
        "y": [rounded(y)] * len(at),
        "hovertemplate": f"%{{x|%a %-d %b %H:%M}}<br>{said}<extra></extra>",
        "marker": marks(outcome, 8),
        "cliponaxis": False,
    }


def usual(
    at_us: Sequence[int], values_s: npt.NDArray[np.float64], tz: tzinfo, size: float, of: str = "runs"
) -> tuple[dict[str, Any] | None, str]:
    """The line of the usual value and what it is: medians of days, or of seven runs where there are few a day.

    `at_us` ascends. None under seven runs, where a line shows only that there are few.
    """
    if len(values_s) < WIDE:
        return None, ""
    days = [instant(at).astimezone(tz).date() for at in at_us]
    if len(values_s) >= 4 * len(set(days)):
        if len(set(days)) == 1:
            return None, ""
        edges = [0, *(i for i in range(1, len(days)) if days[i] != days[i - 1]), len(days)]
        at = [f"{days[a]} 12:00:00" for a in edges[:-1]]
        line = [float(np.median(values_s[a:b])) for a, b in pairwise(edges)]
        what = f"median of each day's {of}"
    else:
        half = WIDE // 2
        keep = thinned(values_s, MOST)
        medians = [float(np.median(values_s[max(i - half, 0) : i + half + 1])) for i in keep.tolist()]
        at, line = [str(w) for w in walls([at_us[i] for i in keep.tolist()], tz)], medians
        what = f"median of {spell.number(WIDE)} {of}"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": what,
        "x": at,
        "y": [rounded(v / size) for v in line],
        "line": {"color": palette.light("ink"), "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,  # the note says what it is
    }, what


def kept_words(kept: int, n: int) -> str:
    """Which of many dots are drawn, in words; empty where all are."""
    if kept >= n:
        return ""
    return (
        f"{spell.number(kept)} of {spell.plural(n, 'run')} are drawn: of each {spell.number(round(3 * n / kept))} in a row "
        "the lowest, the middle and the highest."
    )


def rounded(value: float) -> float:
    """Four figures are more than a screen shows."""
    return float(f"{value:.4g}")


