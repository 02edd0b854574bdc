"""How late runs arrive: the share that had come by so many minutes, with the grace now and the suggested one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis.grace import Advice, advise
from qpanalytics.history import Pick
from qpanalytics.instants import instant
from qpanalytics.plot import amounts, points
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.reading import checks, zone
from qpanalytics.report import palette
from qpanalytics.report.evidence import arrivals_start
from qpanalytics.report.model import Arrivals, Mark

if TYPE_CHECKING:
    from datetime import tzinfo

    from plotly.graph_objects import Figure

    from qpanalytics.analysis.pricing import Price
    from qpanalytics.history import History

FAR = 3.0
"""A grace that lies further out than so many times the latest arrivals is named and not drawn: it would flatten them."""


def grace(history: History, check: str, *, budget: float | None = None, tz: str = "UTC") -> Figure:
    """The share of the runs of `check` that had arrived by then, as steps, with the grace now and the suggested one.

    Over the runs that the recommendation rests on: those of the window, since the last change. Runs that never came keep the
    steps below 100 %. Each line says how many false alarms a month are to be expected there, as `qpa.grace` has them.
    """
    where = zone(tz)
    one = checks(history, check)[0]
    own = replace(history, pick=Pick((check,)), _frames={}, _answers={}).window(history.since, history.until)
    advice = next(a for a in advise(own, budget=budget) if a.limited.check_id == one.check_id)
    return figure(drawing(advice, one.title, where))


def drawing(advice: Advice, title: str, tz: tzinfo) -> Drawing:
    """The steps of one check, called `title`; days in `tz`."""
    title = f"{title}: how late runs arrive"
    came = np.sort(advice.sample.value_s[np.isfinite(advice.sample.value_s)])
    n = len(advice.sample)
    check = advice.limited.check
    if advice.limited.unfit or not len(came):
        why = advice.why or "no run came in this window"
        return empty(title, f"{why[:1].upper()}{why[1:]}.", f"{check}: {why}.")
    lines = _lines(advice)
    low, high = amounts.reach(came, [])
    near = [(price, said, colour) for price, said, colour in lines if price.limit_s <= FAR * high]
    top = max([high, *(price.limit_s * 1.1 for price, _, _ in near)])
    x, size = amounts.axis(low, top)
    marks = tuple(Mark(price.limit_s, said) for price, said, _ in near)
    start = arrivals_start(Arrivals(check, "", "", "", tuple(came.tolist()), n - len(came), marks))
    ends = [*came.tolist(), top * amounts.AIR]
    shares = [*((np.arange(len(came)) + 1) / n).tolist(), len(came) / n]
    keep = [*_drawn(len(came)), len(came)]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [points.rounded(ends[i] / size) for i in keep],
        "y": [points.rounded(100 * shares[i]) for i in keep],
        "line": {"color": palette.light("on_time"), "width": 2, "shape": "hv"},
        "text": [spell.duration(ends[i]) for i in keep],
        "hovertemplate": "%{y} % by %{text}<extra></extra>",
    }
    shapes, labels = [], []
    for place, (price, said, colour) in enumerate(near):
        shapes.append(_upright(price.limit_s / size, colour))
        labels.append(_label(price.limit_s / size, said, colour, place, price.limit_s > top / 2))
    far = [f"{said}, far beyond." for price, said, _ in lines if price.limit_s > FAR * high]
    first = instant(int(advice.sample.at_us[0]))
    since = f"{spell.day(first, tz)} {first.astimezone(tz).year}"
    note = " ".join(
        part
        for part in (
            f"Share of {spell.plural(n, 'run')} since {since} that had arrived by then.",
            f"The axis starts at {round(100 * start)} %." if start else "",
            *(f"{said[:1].upper()}{said[1:]}" for said in far),
            amounts.above(came, top),
            "" if advice.best else f"No grace is suggested: {advice.why}.",
        )
        if part
    )
    y = {"range": [100 * start, 100 + 4 * (1 - start)], "ticksuffix": " %", "showticksuffix": "last", "nticks": 6}
    look = layout(x=x | {"title": {"text": "after the expected time"}}, y=y, showlegend=False, shapes=shapes, annotations=labels)
    return Drawing(title, note, _alt(advice, n, len(came)), [trace], look)


def _lines(advice: Advice) -> list[tuple[Price, str, str]]:
    """The grace now and the suggested one, with what is written beside them."""
    now, best = advice.now, advice.best
    found = []
    if now is not None:
        same = best is not None and best.limit_s == now.limit_s
        found.append((now, _priced("now and suggested" if same else "now", now), palette.light("bad")))
    if best is not None and (now is None or best.limit_s != now.limit_s):
        found.append((best, _priced("suggested", best), palette.light("link")))
    return found


def _priced(name: str, price: Price) -> str:
    return f"{name} {spell.duration(price.limit_s)}: {_few(price.a_month)} false alarms a month"


def _few(value: float) -> str:
    return spell.number(round(value)) if value >= 10 else f"{value:.2g}"


def _drawn(n: int) -> list[int]:
    """Which of the ascending arrivals are drawn: all of the latest, which decide, and evenly many of the others."""
    if n <= points.MOST:
        return list(range(n))
    half = points.MOST // 2
    early = np.linspace(0, n - half - 1, half).round().astype(int).tolist()
    return [*early, *range(n - half, n)]


def _upright(at: float, colour: str) -> dict[str, Any]:
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at, "layer": "below"}
    return line | {"line": {"color": colour, "width": 1.5, "dash": "dash"}}


def _label(at: float, said: str, colour: str, place: int, left: bool) -> dict[str, Any]:
    return {
        "x": at,
        "xanchor": "right" if left else "left",
        "yref": "paper",
        "y": 0.06 + 0.1 * place,
        "yanchor": "bottom",
        "text": said,
        "showarrow": False,
        "bgcolor": palette.light("paper"),
        "borderpad": 1,
        "xshift": -4 if left else 4,
        "font": {"color": colour, "size": 12},
    }


def _alt(advice: Advice, n: int, came: int) -> str:
    latest = float(advice.sample.value_s[np.isfinite(advice.sample.value_s)].max())
    said = [
        f"{advice.limited.check}: of {spell.plural(n, 'run')} {spell.number(came)} came, "
        f"the latest {spell.duration(latest)} after its time"
    ]
    said += [text for _, text, _ in _lines(advice)]
    if advice.best is None:
        said.append(f"no grace is suggested: {advice.why}")
    return "; ".join(said) + "."
