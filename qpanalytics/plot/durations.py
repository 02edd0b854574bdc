"""How long runs take: one dot a run and their usual value, or for all checks the middle and the 95th percentile."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.plot import amounts, points, ranges
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.reading import Drawn, axis, checks, nothing, rows, span, thinned, walls, window, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History


def durations(history: History, *, check: str | None = None, tz: str = "UTC") -> Figure:
    """How long the runs of `check` took, dot by dot; without `check` the middle and the 95th percentile of each check.

    The line is a moving median, the dashed one the max runtime. Failed runs have marks of their own and stand in no
    median. Of very many runs the extremes and the middle of each stretch are drawn, and the figure says so.
    """
    where = zone(tz)
    with history.session():
        if check is None:
            return figure(ranges.drawing(history, "duration", where))
        return figure(drawing(history, checks(history, check)[0], where, tz))


def drawing(history: History, one: Drawn, tz: tzinfo, named: str) -> Drawing:
    """The durations of one check; times in `tz`, called `named`."""
    title = f"{one.title}: how long it runs"
    found = rows(history, "drawn_durations", [one.check_id])
    at_us, values = found["at_us"], np.array(found["value_s"], dtype=np.float64)
    if not at_us:
        why = nothing(history, one, "run with a duration", tz)
        return empty(title, why[:1].upper() + why[1:], f"{one.check}: {why}")
    good = np.array([result == "success" for result in found["result"]])
    drawn: list[dict[str, Any]] = []
    kept = thinned(values[good], points.MOST)
    failed = thinned(values[~good], points.MOST // 2)
    well, badly = np.flatnonzero(good)[kept], np.flatnonzero(~good)[failed]
    _, high = amounts.reach(values, [])
    near = one.max_runtime_s if one.max_runtime_s is not None and one.max_runtime_s <= 3 * high else None
    y, size = amounts.axis(0.0, max(high, near or 0.0))
    if len(well):
        at = walls([at_us[i] for i in well], tz)
        drawn.append(points.dots("ran", "run", at, values[well], size))
    line, what = points.usual([at for at, ok in zip(at_us, good.tolist(), strict=True) if ok], values[good], tz, size)
    if line is not None:
        drawn.append(line)
    if len(badly):
        drawn.append(points.dots("failed", "failed run", walls([at_us[i] for i in badly], tz), values[badly], size))
    extra, far = amounts.limit(one.max_runtime_s, max(high, near or 0.0), size, "max runtime", palette.light("bad"))
    since, until = span(history, at_us)
    left_out = points.kept_words(len(well) + len(badly), len(values))
    note = " ".join(
        part
        for part in (
            f"A dot is a run, at its end{f'; the line is the {what}' if what else ''}.",
            far,
            amounts.above(values, max(high, near or 0.0)),
        )
        if part
    )
    look = layout(x=axis(since, until, tz, named), y=y, showlegend=bool(len(badly)), **extra)
    return Drawing(title, note, _alt(history, one, at_us, values, good, tz, left_out), drawn, look, left_out)


def _alt(history: History, one: Drawn, at_us: list[int], values: Any, good: Any, tz: tzinfo, left_out: str) -> str:
    came = np.sort(values[good])
    said = f"{one.check}: durations of {spell.plural(len(values), 'run')} {window(history, at_us, tz)}"
    if len(came):
        middle, least, most = (spell.duration(v) for v in (stats.quantile(came, 0.5), float(came[0]), float(came[-1])))
        said += f"; half take up to {middle}, the shortest {least}, the longest {most}" if len(came) > 1 else f"; it took {most}"
        third = len(came) // 3
        if third >= 5:
            order = values[good]
            first, last = (spell.duration(float(np.median(part))) for part in (order[:third], order[-third:]))
            said += f"; median {first} in the first third, {last} in the last"
    failed = int((~good).sum())
    if failed:
        said += f"; {spell.number(failed)} of them failed"
    return f"{said}.{f' {left_out}' if left_out else ''}"
