"""How worker processes were, look by look: a lane for each, the worst first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.instants import instant, micros
from qpanalytics.plot import moving
from qpanalytics.plot.drawing import NAME_MOST, Drawing, empty, figure, layout, safe
from qpanalytics.plot.reading import axis, thinned, walls, window, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

LANES = 40
"""Workers in one figure, the worst."""
MARKS = 120
"""Restarts that are marked in one lane; more lie on one another."""
STATES = {
    # state: (colour, height of its bar, what people call it)
    "alive": ("on_time", 0.3, "alive"),
    "stale": ("late", 0.6, "stale: silent for too long"),
    "gone": ("missed", 0.8, "gone: listed, and dead"),
    "unknown": ("unknown", 0.15, "not known"),
}
"""Colour is never alone: the worse, the higher."""


@dataclass
class Lane:
    """One worker: stretches in one state (state, since, until; epoch microseconds), looks at which it had been restarted."""

    source: str
    worker: str
    stretches: list[tuple[str, int, int]]
    restarts: list[tuple[int, int]]
    last_us: int
    shown: bool = True

    @property
    def state(self) -> str:
        """As the last look at it showed it."""
        return self.stretches[-1][0]


def workers(history: History, *, tz: str = "UTC") -> Figure:
    """How each worker process was over time: alive, stale, gone, not known; an x where it had been started again.

    The worst are at the top. A lane is empty where the worker was not listed or nobody looked.
    """
    where = zone(tz)
    with history.session():
        return figure(drawing(history, where, tz))


def drawing(history: History, tz: tzinfo, named: str) -> Drawing:
    """All workers of the history; times in `tz`, called `named`."""
    title = "How workers were"
    lanes = _lanes(history)
    if not lanes:
        return empty(title, "No look shows a worker.")
    lanes.sort(key=_badness)
    shown = lanes[:LANES]
    first = min(lane.stretches[0][1] for lane in shown)
    last = max(lane.last_us for lane in shown)
    data = [trace for state in STATES if (trace := _bars(state, shown, tz))]
    data += _restarts(shown, tz)
    labels = _labels(shown)
    y = {"tickvals": list(range(len(shown))), "ticktext": [safe(label, NAME_MOST // 2) for label in labels],
         "range": [len(shown) - 0.4, -0.6], "showgrid": False, "fixedrange": True}  # fmt: skip
    room = 20 + 7 * max(len(label[: NAME_MOST // 2]) for label in labels)
    x = axis(instant(first), instant(last) + timedelta(seconds=1), tz, named) | {"showgrid": True}
    look = layout(height=92 + 22 * len(shown), left=room, x=x, y=y, barmode="overlay", showlegend=True)
    left_out = []
    if len(lanes) > len(shown):
        left_out.append(f"The {LANES} worst of {spell.plural(len(lanes), 'worker')} are drawn.")
    if any(len(lane.restarts) > MARKS for lane in shown):
        left_out.append(f"Of very many restarts {MARKS} are marked.")
    note = "A lane is a worker process; thin: well, thick: not. x: it had been started again."
    alt = " ".join([_alt(history, lanes, first, last, tz), *left_out])
    return Drawing(title, note, alt, data, look, " ".join(left_out))


def _lanes(history: History) -> list[Lane]:
    """Each worker that was shown in the window, by source and name."""
    from qpanalytics.analysis.queues import last_look_at

    lasts = last_look_at(history)
    rows = history.looks("worker_looks").to_pylist()
    at_of: dict[str, set[int]] = {}
    for row in rows:
        at_of.setdefault(row["source"], set()).add(micros(row["taken_at"]))
    # whoever looks each minute now may have looked each five minutes before: a hole is longer than either
    most = {source: _longest(sorted(at)) for source, at in at_of.items()}
    lanes: dict[tuple[str, str], Lane] = {}
    for row in rows:
        at = micros(row["taken_at"])
        lane = lanes.get((row["source"], row["worker"]))
        if lane is None:
            lane = lanes[row["source"], row["worker"]] = Lane(row["source"], row["worker"], [], [], at)
        if lane.stretches:
            state, since, _ = lane.stretches[-1]
            if at - lane.last_us <= most[row["source"]]:
                lane.stretches[-1] = (state, since, at)
        if not lane.stretches or lane.stretches[-1][0] != row["state"] or lane.stretches[-1][2] < at:
            lane.stretches.append((row["state"], at, at))
        lane.last_us = at
        if row["restarts_gain"]:
            lane.restarts.append((at, row["restarts_gain"]))
    for (source, _), lane in lanes.items():
        lane.shown = source in lasts and lane.last_us >= micros(lasts[source])
    return list(lanes.values())


def _longest(at_us: list[int]) -> float:
    """The longest step that is no hole, microseconds."""
    steps = np.diff(np.array(at_us, dtype=np.float64))
    return max(moving.HOLE * float(np.quantile(steps, 0.9)), 600e6) if len(steps) else 600e6


def _badness(lane: Lane) -> tuple[int, int, str, str]:
    ranks = {"gone": 0, "stale": 1, "unknown": 2, "alive": 3}
    return ranks[lane.state] if lane.shown else 4, -sum(n for _, n in lane.restarts), lane.source, lane.worker


def _labels(lanes: list[Lane]) -> list[str]:
    """Names of workers, with their source where another has the same."""
    times = Counter(lane.worker for lane in lanes)
    return [lane.worker if times[lane.worker] == 1 else f"{lane.source}: {lane.worker}" for lane in lanes]


def _bars(state: str, lanes: list[Lane], tz: tzinfo) -> dict[str, Any] | None:
    """The stretches of all lanes in one state; a stretch of one look is as wide as a look is seen."""
    colour, high, word = STATES[state]
    found = [(row, *stretch[1:]) for row, lane in enumerate(lanes) for stretch in lane.stretches if stretch[0] == state]
    if not found:
        return None
    text = [
        f"{safe(lanes[row].worker, 60)}<br>{word}<br>{_moment(since, tz)} to {_moment(until, tz)}" for row, since, until in found
    ]
    return {
        "type": "bar", "orientation": "h", "name": word, "y": [row for row, _, _ in found], "width": high,
        "base": walls([since for _, since, _ in found], tz),
        "x": [max((until - since) / 1000, 30_000) for _, since, until in found],
        "marker": {"color": palette.light(colour), "line": {"width": 0}}, "customdata": text,
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _restarts(lanes: list[Lane], tz: tzinfo) -> list[dict[str, Any]]:
    at: list[int | None] = []
    rows: list[int] = []
    text: list[str] = []
    for row, lane in enumerate(lanes):
        counts = np.array([n for _, n in lane.restarts], dtype=np.float64)
        for place in thinned(counts, MARKS).tolist():
            when, n = lane.restarts[place]
            at.append(when)
            rows.append(row)
            times = "once" if n == 1 else f"{spell.number(n)} times"
            text.append(f"{safe(lane.worker, 60)}<br>started again {times} by {_moment(when, tz)}")
    if not at:
        return []
    marker = {"symbol": "x", "size": 7, "color": palette.light("failed")}
    return [{"type": "scatter", "mode": "markers", "name": "started again", "x": walls(at, tz), "y": rows, "text": text,
             "hovertemplate": "%{text}<extra></extra>", "marker": marker}]  # fmt: skip


def _moment(at_us: int, tz: tzinfo) -> str:
    return moving.clock(at_us / 1e6, tz)


def _alt(history: History, lanes: list[Lane], first: int, last: int, tz: tzinfo) -> str:
    now = [lane for lane in lanes if lane.shown]
    said = [f"{spell.plural(len(lanes), 'worker')}, {window(history, [first, last], tz)}; at the last look"]
    counts = Counter(lane.state for lane in now)
    told = ", ".join(f"{spell.number(counts[s])} {'not known' if s == 'unknown' else s}" for s in STATES if s in counts)
    away = len(lanes) - len(now)
    said[0] += f" {told or 'none is listed'}{f', {spell.number(away)} no longer listed' if away and told else ''}."
    for state in ("gone", "stale"):
        bad = [f"{lane.worker} since {_moment(_since(lane), tz)}" for lane in now if lane.state == state]
        if bad:
            said.append(f"{state.capitalize()}: {', '.join(bad[:5])}{f' and {len(bad) - 5} more' if len(bad) > 5 else ''}.")
    again = [(lane.worker, sum(n for _, n in lane.restarts), lane.restarts) for lane in lanes if lane.restarts]
    for worker, n, when in sorted(again, key=lambda a: -a[1])[:3]:
        times = "once" if n == 1 else f"{spell.number(n)} times"
        said.append(f"{worker} was started again {times}, from {_moment(when[0][0], tz)} to {_moment(when[-1][0], tz)}."
                    if len(when) > 1 else f"{worker} was started again {times}, on {_moment(when[0][0], tz)}.")  # fmt: skip
    return " ".join(said)


def _since(lane: Lane) -> int:
    return lane.stretches[-1][1]
