"""How late runs end, against their promise: one dot an expected run, or for all checks the middle and 95th percentile."""

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

NEVER = {"missed": "missed: it never came", "failed": "failed, and no success followed", "hung": "hung: it never ended"}


def lateness(history: History, *, check: str | None = None, tz: str = "UTC") -> Figure:
    """How late the expected runs of `check` ended; without `check` the middle and the 95th percentile of each check.

    A run that never came is later than every arrival, so it stands at the upper edge rather than nowhere. The dashed
    line is the grace. Where ticks cannot be judged or nothing is promised the figure says so instead.
    """
    where = zone(tz)
    with history.session():
        if check is None:
            return figure(ranges.drawing(history, "lateness", where))
        return figure(drawing(history, checks(history, check)[0], where, tz))


def drawing(history: History, one: Drawn, tz: tzinfo, named: str) -> Drawing:
    """The lateness of one check; times in `tz`, called `named`."""
    title = f"{one.title}: how late it ends"
    found = rows(history, "drawn_lateness", [one.check_id])
    at_us: list[int] = found["at_us"]
    why = _why(history, one, bool(at_us), tz)
    if why:
        return empty(title, why[:1].upper() + why[1:], f"{one.check}: {why}")
    values = np.array([np.nan if v is None else v for v in found["value_s"]], dtype=np.float64)
    results = np.array(found["result"])
    came = np.isin(results, ("on_time", "late"))
    arrived = values[came]
    low, high = amounts.reach(arrived, [])
    near = one.grace_s if one.grace_s is not None and one.grace_s <= 3 * high else None
    top = max(high, near or 0.0)
    y, size = amounts.axis(low, top)
    drawn: list[dict[str, Any]] = []
    keep = np.flatnonzero(came)[thinned(arrived, points.MOST)]
    kept = len(keep)
    for outcome in ("on_time", "late"):
        some = keep[results[keep] == outcome]
        if len(some):
            drawn.append(points.dots(outcome, palette.word(outcome), walls([at_us[i] for i in some], tz), values[some], size))
    arrived_us = [at for at, ok in zip(at_us, came.tolist(), strict=True) if ok]
    line, what = points.usual(arrived_us, arrived, tz, size, "runs that came")
    if line is not None:
        drawn.append(line)
    cut = 0
    for outcome, said in NEVER.items():
        where = np.flatnonzero(results == outcome)
        some = where[-points.MOST // 2 :]
        cut += len(where) - len(some)
        if len(some):
            drawn.append(points.never(outcome, walls([at_us[i] for i in some], tz), top * amounts.EDGE / size, said))
    extra, far = amounts.limit(one.grace_s, top, size, "grace", palette.light("bad"))
    since, until = span(history, at_us)
    left_out = points.kept_words(kept, len(arrived))
    if cut:
        left_out = f"{left_out} Of runs that never came the latest {spell.number(points.MOST // 2)} of a kind are drawn.".strip()
    note = " ".join(
        part
        for part in (
            f"A dot is an expected run{f'; the line is the {what}' if what else ''}.",
            "At the upper edge: never came." if len(arrived) < len(values) else "",
            far,
            amounts.above(arrived, top),
        )
        if part
    )
    many = len({str(r) for r in results}) > 1
    look = layout(x=axis(since, until, tz, named), y=y, showlegend=many, **extra)
    return Drawing(title, note, _alt(history, one, at_us, results, arrived, tz, left_out), drawn, look, left_out)


def _why(history: History, one: Drawn, any_there: bool, tz: tzinfo) -> str:
    """Why lateness has no answer, else empty."""
    if one.schedule is None:
        return "nothing is promised of it, so nothing can be late: it has no schedule."
    if one.unclear:
        return f"{one.unclear}, so lateness has no answer."
    return "" if any_there else nothing(history, one, "expected run that was seen", tz)


def _after(late_s: float) -> str:
    """ "16 min after their time", "20 s before their time"."""
    amount = spell.duration(abs(late_s))
    if amount == "0 s":
        return "at their time"
    return f"{amount} {'after' if late_s > 0 else 'before'} their time"


def _alt(history: History, one: Drawn, at_us: list[int], results: Any, arrived: Any, tz: tzinfo, left_out: str) -> str:
    n = len(results)
    said = [f"{one.check}: {spell.plural(n, 'run')} expected {window(history, at_us, tz)}"]
    if len(arrived):
        # as in `qpa.lateness`: what never came is later than every arrival
        ordered = np.concatenate([np.sort(arrived), np.full(n - len(arrived), np.inf)])
        middle = stats.quantile(ordered, 0.5)
        half = f"half of them ended no later than {_after(middle)}" if np.isfinite(middle) else "fewer than half came"
        said.append(f"{half}, the latest {_after(float(arrived.max()))}")
    if one.grace_s is not None:
        late = int((results == "late").sum())
        said.append(f"{spell.number(late) if late else 'none'} came after the grace of {spell.duration(one.grace_s)}")
    for outcome, word in (("missed", "missed"), ("failed", "failed"), ("hung", "hung")):
        if count := int((results == outcome).sum()):
            said.append(f"{spell.number(count)} {word}")
    return "; ".join(said) + f".{f' {left_out}' if left_out else ''}"
