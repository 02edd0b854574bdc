"""How one check has changed: its runs, the level of each regime, each change, and where a trend leads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import meets
from qpanalytics.analysis.drift import why
from qpanalytics.analysis.settled import Settled, settled
from qpanalytics.analysis.stats import Floats
from qpanalytics.errors import UsageError
from qpanalytics.instants import instant, micros
from qpanalytics.plot import amounts, points
from qpanalytics.plot.drawing import Drawing, empty, figure, layout, safe
from qpanalytics.plot.moving import upright
from qpanalytics.plot.reading import Drawn, axis, checks, span, thinned, walls, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.analysis.breaks import Break
    from qpanalytics.history import History

CURVE = 24
"""Points of a line that bends."""
METRICS = {"duration": "how long it runs", "lateness": "how late it ends", "start_delay": "how late it begins"}


def drift(history: History, check: str, *, metric: str | None = None, tz: str = "UTC") -> Figure:
    """The runs of `check` dot by dot, the level of each regime, its changes, and the date at which a trend meets a limit.

    `metric` is `duration` (where it is known, else `lateness`), `lateness` or `start_delay`. Levels are medians; the dashed
    line is what one run in twenty is above if it goes on like this, the cone the range of the date at which that reaches
    the limit. What is a change is decided among all checks of the history, as in `qpa.drift`.
    """
    where = zone(tz)
    if metric is not None and metric not in METRICS:
        raise UsageError(f"there is no figure of {spell.quoted(str(metric))}; there are {', '.join(METRICS)}")
    with history.session():
        one = checks(history, check)[0]
        found = {s.metric: s for s in settled(history) if s.check.check_id == one.check_id}
        chosen = metric or ("duration" if found["duration"].series is not None else "lateness")
        return figure(drawing(history, one, found[chosen], where, tz))


def drawing(history: History, one: Drawn, of: Settled, tz: tzinfo, named: str) -> Drawing:
    """The drift of one metric of one check; times in `tz`, called `named`."""
    title = f"{one.title}: {METRICS[of.metric]}"
    if of.series is None:
        said = f"{why(of)}."
        return empty(title, said[:1].upper() + said[1:], f"{one.check}: {said}")
    values = of.series.values
    at_us = [round(at * 1e6) for at in of.series.at_s.tolist()]
    last = next((i for i, b in enumerate(of.breaks) if of.in_force[i] and not b.weekday), None)
    ahead = None if last is None else _ahead(of, of.breaks[last], history.as_of.timestamp())
    low, high = amounts.reach(values, [] if ahead is None or ahead.limit_s is None else [ahead.limit_s])
    limits = meets.limits(of.check, of.metric)
    name = ahead.name if ahead is not None and ahead.name else next(iter(limits), "")
    near = limits[name] if name and limits[name] <= 3 * high else None
    top = max(high, near or 0.0)
    y, size = amounts.axis(low, top)
    kept = thinned(values, points.MOST)
    drawn = [points.dots("ran", "run", walls([at_us[i] for i in kept], tz), values[kept], size), _levels(of, at_us, tz, size)]
    extra, far = amounts.limit(limits.get(name), top, size, name.replace("_", " "), palette.light("bad"))
    shapes, notes = list(extra.get("shapes", [])), list(extra.get("annotations", []))
    since, until = span(history, at_us)
    if ahead is not None and len(ahead.at_s):
        until = max(until, instant(round(ahead.range_s[1] * 1e6)))
    edge_us = micros(since) + (micros(until) - micros(since)) * 3 // 4
    for place, b in enumerate(b for b in of.breaks if b.kind != "blip"):
        word = "change" if b.kind == "step" else "trend since"
        # two near each other would lie on one another
        line, text = upright(
            str(walls([at_us[b.at]], tz)[0]),
            safe(f"{word} {_day(at_us[b.at], tz)}"),
            palette.light("soft"),
            top=1 - place % 5 * 0.08,
        )
        if at_us[b.at] > edge_us:  # to the right of it the name would leave the figure
            text |= {"xanchor": "right", "xshift": -3}
        shapes.append(line)
        notes.append(text)
    if ahead is not None and len(ahead.at_s):
        drawn += ahead.traces(tz, size)
    left_out = points.kept_words(len(kept), len(values))
    note = " ".join(
        part
        for part in (
            "A dot is a run; the line is the median between two changes.",
            "Dashed: where one run in twenty goes, with the range of the date." if ahead is not None and len(ahead.at_s) else "",
            far,
            amounts.above(values, top),
        )
        if part
    )
    look = layout(x=axis(since, until, tz, named), y=y, showlegend=False, shapes=shapes, annotations=notes)
    return Drawing(title, note, _alt(one, of, ahead, tz, left_out), drawn, look, left_out)


@dataclass(frozen=True)
class _Ahead:
    """Where the drift in force leads: the limit that it meets and when (epoch seconds), empty and None where it meets none.

    `at_s` and `high` are the way there of one run in twenty, with the range of the date; empty where it is there already.
    """

    name: str
    limit_s: float | None
    met_s: float | None
    range_s: tuple[float, float] = (0.0, 0.0)
    at_s: Floats = field(default_factory=lambda: np.empty(0))
    high: Floats = field(default_factory=lambda: np.empty(0))

    def traces(self, tz: tzinfo, size: float) -> list[dict[str, Any]]:
        """The cone and the dashed line in it, and the point at which it meets the limit."""
        assert self.limit_s is not None and self.met_s is not None
        lo_s, hi_s = self.range_s
        colour, limit, begin = (
            palette.light("bad"),
            points.rounded(self.limit_s / size),
            points.rounded(float(self.high[0]) / size),
        )
        cone = walls([round(s * 1e6) for s in (float(self.at_s[0]), lo_s, hi_s, float(self.at_s[0]))], tz)
        dashes = walls([round(s * 1e6) for s in self.at_s.tolist()], tz)
        met, first, last = (_day(round(s * 1e6), tz) for s in (self.met_s, lo_s, hi_s))
        text = f"about {met}, between {first} and {last}"
        return [
            {"type": "scatter", "mode": "lines", "name": "range", "x": cone, "y": [begin, limit, limit, begin], "fill": "toself",
             "fillcolor": "rgba(168,31,69,0.12)", "line": {"width": 0}, "hoverinfo": "skip"},
            {"type": "scatter", "mode": "lines", "name": "at this rate", "x": dashes,
             "y": [points.rounded(v / size) for v in self.high.tolist()], "line": {"color": colour, "width": 2, "dash": "dot"},
             "hoverinfo": "skip"},
            {"type": "scatter", "mode": "markers", "name": "meets", "x": walls([round(self.met_s * 1e6)], tz), "y": [limit],
             "text": [text], "hovertemplate": "%{text}<extra></extra>",
             "marker": {"symbol": "circle-open", "size": 9, "color": colour, "line": {"color": colour, "width": 2}}},
        ]  # fmt: skip


def _ahead(of: Settled, b: Break, as_of_s: float) -> _Ahead:
    assert of.series is not None
    row = meets.meets(of.check, of.metric, of.series, b, of.logs, as_of_s).row
    name, met_s = row.get("meets", ""), row.get("meets_at")
    found = _Ahead(name, meets.limits(of.check, of.metric).get(name), met_s)
    lines = meets.line(of.series, b, of.logs) if b.kind == "trend" and met_s is not None and met_s > as_of_s else None
    if lines is None or met_s is None:
        return found
    at_s = np.linspace(float(of.series.at_s[-1]), met_s, CURVE)
    return replace(found, range_s=(row["meets_lo_at"], row["meets_hi_at"]), at_s=at_s, high=lines[0].high(at_s)[0])


def _day(at_us: int, tz: tzinfo) -> str:
    """The local day with its year: histories of drifts are long."""
    at = instant(at_us)
    return f"{spell.day(at, tz)} {at.astimezone(tz).year}"


def _levels(of: Settled, at_us: list[int], tz: tzinfo, size: float) -> dict[str, Any]:
    """The level of each regime as a line, broken where a step is."""
    assert of.series is not None
    x: list[int | None] = []
    y: list[float | None] = []
    changes = [(b, level) for b, level in zip(of.breaks, of.levels, strict=True) if b.kind != "blip" and not b.weekday]
    start, level = 0, changes[0][1][0] if changes else float(np.median(of.series.values))
    for b, (before, after) in changes:
        x += [at_us[start], at_us[b.at - 1 if b.kind == "step" else b.at]]
        y += [before, before]
        start, level = b.at, after
        if b.kind == "trend":
            share = np.linspace(0.0, 1.0, CURVE)
            x += np.linspace(at_us[b.at], at_us[-1], CURVE).round().astype(int).tolist()
            compounding = of.logs and not b.even and min(before, after) > 0
            y += (before * (after / before) ** share if compounding else before + (after - before) * share).tolist()
            start = len(at_us) - 1
        else:
            x.append(None)
            y.append(None)
    x += [at_us[start], at_us[-1]]
    y += [level, level]
    return {
        "type": "scatter", "mode": "lines", "name": "median", "x": walls(x, tz),
        "y": [None if v is None else points.rounded(v / size) for v in y],
        "line": {"color": palette.light("ink"), "width": 2}, "hoverinfo": "skip",
    }  # fmt: skip


def _alt(one: Drawn, of: Settled, ahead: _Ahead | None, tz: tzinfo, left_out: str) -> str:
    assert of.series is not None
    said = [f"{one.check}: {METRICS[of.metric]}, {spell.plural(len(of.series.values), 'run')}"]
    for b, (before, after) in zip(of.breaks, of.levels, strict=True):
        day = _day(round(of.series.at_s[b.at] * 1e6), tz)
        if b.kind != "blip":
            said.append(
                f"{b.kind} {'on' if b.kind == 'step' else 'since'} {day} from {spell.duration(before)} to {spell.duration(after)}"
            )
    if len(said) == 1:
        said.append(f"no change found, the median is {spell.duration(float(np.median(of.series.values)))}")
    if ahead is not None and ahead.met_s is not None and ahead.limit_s is not None:
        met = _day(round(ahead.met_s * 1e6), tz)
        said.append(f"one run in twenty reaches the {meets.said(of.check, ahead.name)} on about {met}")
    return "; ".join(said) + f".{f' {left_out}' if left_out else ''}"
