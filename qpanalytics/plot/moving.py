"""What figures of queues are drawn from: the queue that was asked for, look by look, and its hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qpanalytics import spell
from qpanalytics.analysis import tides
from qpanalytics.analysis.flow import Steps, steps
from qpanalytics.errors import UsageError
from qpanalytics.instants import EPOCH, instant
from qpanalytics.report import palette

if TYPE_CHECKING:
    from qpanalytics.history import History

Floats = npt.NDArray[np.float64]
MOST = 900
"""Points of one line: more than a page is wide."""
HOLE = 3
"""A line breaks where a step is so many times longer than is usual: nobody looked there."""


NEARLY_S = 3_300.0
"""So much of an hour is nearly all of it."""


@dataclass(frozen=True)
class Shown:
    """One queue of one source, as figures know it."""

    source: str
    queue: str
    steps: Steps

    @property
    def title(self) -> str:
        """Its name, cut where it is very long."""
        name = f"all queues of {self.source}" if self.queue == "*" else self.queue
        return name if len(name) <= 60 else name[:59] + "…"

    @property
    def at_us(self) -> list[int]:
        """When it was looked at, epoch microseconds."""
        return [round(at * 1e6) for at in self.steps.at.tolist()]


def queue(history: History, name: str, source: str | None) -> Shown:
    """The queue of that name; UsageError with the nearest name where there is none, or where two sources have it."""
    if not isinstance(name, str):
        raise UsageError(f"queue: one name is wanted, not {type(name).__name__}")
    found = steps(history)
    mine = [key for key in found if key[1] == name and source in (None, key[0])]
    if not mine:
        raise UsageError(f"this history has no queue {spell.quoted(name)}; {_hint(name, sorted({q for _, q in found}))}")
    if len(mine) > 1:
        both = ", ".join(spell.quoted(key[0]) for key in mine)
        raise UsageError(f"{spell.quoted(name)} is a queue of {both}; say which with source=")
    return Shown(*mine[0], found[mine[0]])


def _hint(name: str, known: list[str]) -> str:
    if not known:
        return "it has no looks at queues at all"
    near = get_close_matches(name[:200], known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {spell.quoted(near[0])}?"
    return f"it has {', '.join(spell.quoted(one) for one in known[:5])}{', ...' if len(known) > 5 else ''}"


def broken(at: Floats) -> npt.NDArray[np.bool_]:
    """For each look but the first whether nobody looked for long before it; steps may have become finer on the way."""
    seconds = np.diff(at)
    if not len(seconds):
        return np.zeros(0, dtype=bool)
    found: npt.NDArray[np.bool_] = seconds > max(HOLE * float(np.quantile(seconds, 0.9)), 600.0)
    return found


@dataclass(frozen=True)
class Hour:
    """One hour of the reader's clock: when it begins, and what came and went in it a hour; NaN is not known."""

    at: datetime
    came: float
    done: float
    grown: float


def hours(found: Steps, tz: tzinfo) -> list[Hour]:
    """The hours that were looked at, each step in that of its middle; steps over more than 90 min belong to none.

    The first and the last only where nearly all of them was: ten minutes are no hour.
    """
    middles = found.at[:-1] + found.seconds / 2
    # in quarters: offsets of zones are whole quarters of an hour
    offset = np.array([_offset(int(q), tz) for q in np.unique(middles // 900)])
    places = np.searchsorted(np.unique(middles // 900), middles // 900)
    local = (middles + offset[places]) // 3600 if len(offset) else middles
    inside = found.seconds <= tides.LONGEST_S
    made = []
    every = np.unique(local[inside]).tolist()
    for hour in every:
        mine = inside & (local == hour)
        seconds = float(found.seconds[mine].sum())
        if hour in (every[0], every[-1]) and seconds < NEARLY_S:
            continue
        rates = [_rate(values[mine], found.seconds[mine]) for values in (found.arrivals, found.service, found.grown)]
        if seconds > 0:
            made.append(Hour(EPOCH + timedelta(hours=hour), *rates))
    return made


def _offset(quarter: int, tz: tzinfo) -> float:
    offset = (EPOCH + timedelta(seconds=900 * quarter)).astimezone(tz).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _rate(values: Floats, seconds: Floats) -> float:
    known = np.isfinite(values)
    return float(values[known].sum() / seconds[known].sum()) * 3600 if known.any() else float("nan")


def clock(at: float, tz: tzinfo) -> str:
    """An instant (epoch seconds) for a reader: "Tue 24 Nov 09:36"."""
    shown = instant(round(at * 1e6))
    return f"{spell.day(shown, tz)} {spell.clock(shown, tz)}"


def upright(at: str, label: str, colour: str, *, top: float = 1.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line across the figure at an instant, and what it is called, as parts of a layout."""
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": top, "layer": "above",
            "line": {"color": colour, "width": 1.5, "dash": "dot"}}  # fmt: skip
    text = {"x": at, "xref": "x", "y": top, "yref": "paper", "yanchor": "top", "xanchor": "left", "text": label,
            "showarrow": False, "font": {"color": colour, "size": 12}, "bgcolor": palette.light("paper"), "borderpad": 1,
            "xshift": 3}  # fmt: skip
    return line, text
