"""All checks against each other: the middle and the 95th percentile of each, as a line, on an axis of tens."""

from __future__ import annotations

from datetime import tzinfo
from math import isnan, log10
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.plot.drawing import NAME_MOST, Drawing, empty, layout, safe
from qpanalytics.plot.reading import nothing
from qpanalytics.report import palette

if TYPE_CHECKING:
    from qpanalytics.history import History

MOST = 40
"""Checks in one figure; more are not told apart."""
FINE_S = tuple(f * 10**e for e in (-3, -2, -1) for f in (1, 2, 5))
FINE_S += (1, 2, 5, 10, 20, 30, *(60 * m for m in (1, 2, 5, 10, 20, 30)), *(3600 * h for h in (1, 2, 4, 6, 12)))
FINE_S += tuple(86_400 * d for d in (1, 2, 7, 14, 30, 90, 365))
COARSE_S = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)
"""Where the axis is named: at the fine ones if it spans little."""


def drawing(history: History, what: str, tz: tzinfo) -> Drawing:
    """Durations or lateness of all checks, the longest at the top; checks without a figure are counted in the note."""
    from qpanalytics.analysis.durations import durations
    from qpanalytics.analysis.lateness import lateness

    long = what == "duration"
    title = "How long checks run" if long else "How late checks end"
    frame = durations(history) if long else lateness(history)
    known = frame.dropna(subset=["p50_s"]).sort_values(["p50_s", "check"], ascending=[False, True], kind="stable")
    if known.empty:
        why = nothing(history, None, "check with a median of its " + ("durations" if long else "lateness"), tz)
        return empty(title, why[:1].upper() + why[1:])
    shown = known.head(MOST)
    least = 0.001 if long else 1.0
    names, middle, far, ns = (shown[column].tolist() for column in ("check", "p50_s", "p95_s", "n"))
    rows = list(range(len(names)))
    lines_x: list[float | None] = []
    lines_y: list[int | None] = []
    for row, a, b in zip(rows, middle, far, strict=True):
        if not isnan(b):
            lines_x += [max(a, least), max(b, least), None]
            lines_y += [row, row, None]
    blue = palette.light("on_time")
    most = [i for i in rows if not isnan(far[i])]
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": lines_x, "y": lines_y, "line": {"color": blue, "width": 2},
         "hoverinfo": "skip", "showlegend": False},
        _dots("half of the runs", [max(v, least) for v in middle], rows, _said(names, middle, ns, "half of {} within"), "circle"),
        _dots("95 % of them", [max(far[i], least) for i in most], most,
              _said([names[i] for i in most], [far[i] for i in most], [ns[i] for i in most], "95 % of {} within"),
              "line-ns-open"),
    ]  # fmt: skip
    values = [max(v, least) for v in (*middle, *(far[i] for i in most))]
    low, high = min(values), max(values)
    ends = [log10(low) - 0.15, log10(high) + 0.15]
    ticks = [t for t in (FINE_S if ends[1] - ends[0] < 2 else COARSE_S) if ends[0] < log10(t) < ends[1]]
    x = {
        "type": "log",
        "range": ends,
        "tickvals": ticks,
        "ticktext": [spell.duration(t) for t in ticks],
        "showgrid": True,
    }
    labels = [safe(name, NAME_MOST // 2) for name in names]
    y = {"tickvals": rows, "ticktext": labels, "range": [len(rows) - 0.4, -0.6], "showgrid": False, "fixedrange": True}
    left_out = []
    if len(known) > len(shown):
        left_out.append(f"The {MOST} with the longest median of {spell.plural(len(known), 'check')} are drawn.")
    if len(frame) > len(known):
        left_out.append(f"{spell.plural(len(frame) - len(known), 'check')} without a median left out.")
    if not long and min(middle) < least:
        left_out.append("What is early or within 1 s stands at 1 s.")
    note = "Dot: half of the runs are within it. Tick: 95 % of them, where enough came. The axis goes in tens."
    first = f"{names[0]} has the longest median, {spell.duration(middle[0])}"
    last = f", {names[-1]} the shortest of those drawn, {spell.duration(middle[-1])}" if len(names) > 1 else ""
    alt = " ".join([f"{title}, {spell.plural(len(names), 'check')}: {first}{last}.", *left_out])
    room = 20 + 7 * max(len(name[: NAME_MOST // 2]) for name in names)
    height = 62 + 20 * len(rows)
    look = layout(height=height, left=room, foot=28, x=x, y=y, showlegend=True)
    return Drawing(title, note, alt, data, look, " ".join(left_out))


def _said(names: list[str], values: list[float], ns: list[int], words: str) -> list[str]:
    return [
        f"{safe(name, 60)}<br>{words.format(spell.plural(int(n), 'run')).replace('%', '&#37;')} {spell.duration(value)}"
        for name, value, n in zip(names, values, ns, strict=True)
    ]


def _dots(name: str, x: list[float], y: list[int], text: list[str], symbol: str) -> dict[str, Any]:
    colour = palette.light("on_time")
    marker = {"symbol": symbol, "size": 9, "color": colour, "line": {"color": colour, "width": 2}}
    return {"type": "scatter", "mode": "markers", "name": name.replace("%", "&#37;"), "x": x, "y": y, "text": text,
            "hovertemplate": "%{text}<extra></extra>", "marker": marker}  # fmt: skip
