"""How deep a queue is and how long its oldest job waits, over time, with what was promised."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.plot import amounts, moving
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.moving import Floats, Shown
from qpanalytics.plot.points import rounded
from qpanalytics.plot.reading import axis, thinned, walls, window, zone
from qpanalytics.promised import meant
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History


def depth(history: History, queue: str, *, source: str | None = None, tz: str = "UTC") -> Figure:
    """Jobs that wait in a queue, and below them how long the oldest of them waits; dashed is what was promised.

    `source` says which queue is meant where two sources have one of that name. Where nobody looked the line is broken,
    and an age that is not known is left out.
    """
    where = zone(tz)
    with history.session():
        return figure(drawing(history, moving.queue(history, queue, source), where, tz))


def drawing(history: History, one: Shown, tz: tzinfo, named: str) -> Drawing:
    """The depth and age of one queue; times in `tz`, called `named`."""
    title = f"{one.title}: what waits in it"
    looks = one.steps.looks
    waiting, ages = looks["depth"], np.where(looks["depth"] == 0, 0.0, looks["oldest_age_s"])
    if (waiting > 0).any() and not np.isfinite(looks["oldest_age_s"]).any():
        ages = np.full(len(ages), np.nan)  # a system that never says it; that none waited is no age
    if not np.isfinite(waiting).any():
        why = "The system does not say how many jobs wait."
        return empty(title, why, f"{one.queue}: {why}")
    jobs, promised = _promised(history, one)
    since, until = (spell.parse_instant(spell.iso(at)) for at in (one.at_us[0], one.at_us[-1]))
    data = [_line("jobs that wait", one, waiting, 1.0, tz, "y", lambda v: spell.plural(round(v), "job"))]
    top = float(np.nanmax(waiting))
    shapes, notes = _limit(jobs, top, 1.0, f"promised {spell.number(jobs)}" if jobs is not None else "", "y")
    top = max(top, jobs if jobs is not None and jobs <= 3 * max(top, 1.0) else 0.0, 1.0)
    y = {"range": [0, top * amounts.AIR], "domain": [0.56, 1], "nticks": 5, "title": {"text": "jobs"}, "rangemode": "tozero"}
    x = axis(since, until, tz, named)
    more: dict[str, Any] = {}
    left_out = []
    if np.isfinite(ages).any():
        high = float(np.nanmax(ages))
        high = max(high, promised if promised is not None and promised <= 3 * max(high, 1.0) else 0.0, 60.0)
        below, size = amounts.axis(0.0, high)
        data.append(_line("age of the oldest", one, ages, size, tz, "y2", spell.duration))
        line, text = _limit(promised, high, size, f"promised {spell.duration(promised)}" if promised is not None else "", "y2")
        shapes, notes = [*shapes, *line], [*notes, *text]
        if promised is not None and promised > high * amounts.AIR:
            left_out.append(f"Promised is {spell.duration(promised)}, far above.")
        more["yaxis2"] = below | {"domain": [0, 0.44], "title": {"text": "oldest waits"}}
        x["anchor"] = "y2"
    else:
        y["domain"] = [0, 1]
        left_out.append("How long the oldest waits is not known.")
    if len(waiting) > moving.MOST:
        left_out.append(f"Of {spell.plural(len(waiting), 'look')} the least, usual and most of each few are drawn.")
    note = "Above: jobs that wait. Below: how long the oldest has waited." if "yaxis2" in more else "Jobs that wait."
    look = layout(height=420 if more else 260, left=70, x=x, y=y, showlegend=False, shapes=shapes, annotations=notes)
    for name, own in more.items():
        look[name] = look["yaxis"] | own
        look[name]["title"] = look["yaxis"]["title"] | own["title"]
        look[name].pop("rangemode", None)
    said = " ".join([_alt(one, waiting, ages, jobs, promised, tz, history), *left_out])
    return Drawing(title, note, said, data, look, " ".join(left_out))


def _promised(history: History, one: Shown) -> tuple[float | None, float | None]:
    """The strictest promises of the queue's depth (jobs) and of its oldest job (seconds)."""
    mine = [said for said in history.promises if meant(said, one.source, one.queue)]
    depths = [float(said.depth) for said in mine if said.depth is not None]
    ages = [float(said.oldest) for said in mine if said.oldest is not None]
    return min(depths, default=None), min(ages, default=None)


def _limit(value: float | None, high: float, size: float, label: str, of: str) -> tuple[list[Any], list[Any]]:
    """A dashed line at a promise, and its name; nothing where it lies far above what is drawn."""
    if value is None or value > 3 * max(high, 1.0):
        return [], []
    colour = palette.light("bad")
    at = value / size
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": of, "y0": at, "y1": at, "layer": "above",
            "line": {"color": colour, "width": 1.5, "dash": "dash"}}  # fmt: skip
    text = {"xref": "paper", "x": 0, "xanchor": "left", "yref": of, "y": at, "yanchor": "bottom", "text": label,
            "showarrow": False, "font": {"color": colour, "size": 12}, "bgcolor": palette.light("paper"),
            "borderpad": 1}  # fmt: skip
    return [line], [text]


def _line(name: str, one: Shown, values: Floats, size: float, tz: tzinfo, on: str, said: Any) -> dict[str, Any]:
    """A filled line of a figure over the looks, broken where nobody looked."""
    known = np.isfinite(values)
    keep = thinned(np.where(known, values, 0.0), moving.MOST)
    holes = set(np.flatnonzero(moving.broken(one.steps.at)) + 1)
    at_us = one.at_us
    at: list[int | None] = []
    drawn: list[float | None] = []
    before = 0
    for place in keep.tolist():
        if any(h in holes for h in range(before + 1, place + 1)):
            at.append(at_us[place])
            drawn.append(None)
        at.append(at_us[place])
        drawn.append(rounded(float(values[place]) / size) if known[place] else None)
        before = place
    text = ["" if v is None else said(v * size) for v in drawn]
    blue = palette.light("on_time")
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": walls(at, tz), "y": drawn, "yaxis": on, "text": text,
        "hovertemplate": "%{x|%a %-d %b %H:%M}<br>%{text}<extra></extra>", "connectgaps": False,
        "line": {"color": blue, "width": 1.5}, "fill": "tozeroy", "fillcolor": "rgba(43,111,163,0.15)",
    }  # fmt: skip


def _alt(
    one: Shown, waiting: Floats, ages: Floats, jobs: float | None, promised: float | None, tz: tzinfo, history: History
) -> str:
    last = waiting[-1]
    now = f"{spell.plural(int(last), 'job')} wait{'s' if last == 1 else ''}" if np.isfinite(last) else "the depth is not known"
    if last > 0 and np.isfinite(ages[-1]):
        now += f", the oldest for {spell.duration(float(ages[-1]))}"
    top = int(np.nanargmax(waiting))
    said = [
        f"{one.title}, {window(history, [one.at_us[0], one.at_us[-1]], tz)}: at the last look, "
        f"{moving.clock(one.steps.at[-1], tz)}, {now}.",
    ]
    if waiting[top] > 0:
        said.append(f"Most waited on {moving.clock(one.steps.at[top], tz)}: {spell.plural(int(waiting[top]), 'job')}.")
    else:
        said.append("No look showed one that waited.")
    if (ages > 0).any():
        oldest = int(np.nanargmax(ages))
        said.append(f"The longest wait of an oldest job was {spell.duration(float(ages[oldest]))}.")
    for value, seen, words in ((promised, ages, spell.duration), (jobs, waiting, spell.number)):
        if value is not None:
            over = int((seen > value).sum())
            share = f"{spell.number(over)} of {spell.plural(int(np.isfinite(seen).sum()), 'look')}"
            said.append(
                f"Promised: {words(value)}; above it at {share}." if over else f"Promised: {words(value)}; never above it."
            )
    return " ".join(said)
