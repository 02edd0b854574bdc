"""A `Drawing`: one figure as plain data, with its sentence. Notebooks get it as a Plotly figure, the report as JSON.

Colours are those of the report on white paper; the explorable report exchanges them for the dark ones by their value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import QpaError
from qpanalytics.report import palette, wording

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif'
NAME_MOST = 44
"""Longer names are cut where room is short; the sentence has them whole."""
HIGH = 300
"""Pixels of a figure with one panel, its title not counted."""
LINE = 92
"""Letters in a line of the note below a title: Plotly does not wrap."""

SYMBOLS = {
    "on_time": "circle",
    "ran": "circle",
    "late": "triangle-up",
    "missed": "square-open",
    "failed": "x",
    "hung": "diamond",
    "excused": "line-ew-open",
    "unknown": "circle-open",
    "pending": "circle-open",
}
"""Colour is never alone: each outcome has its own mark."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure: traces and layout as Plotly names them, what stands above it, and the sentence in its place.

    `title`, `note` and `alt` are plain text, with names as people gave them; texts within `data` and `layout` are
    neutralised already (see `safe`). `note` says how to read it, `left_out` what is not drawn; `alt` says the latter too.
    """

    title: str
    note: str
    alt: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    left_out: str = ""


def safe(text: str, most: int | None = None) -> str:
    """`text` as Plotly shows it letter for letter, cut to `most` letters.

    Plotly reads a small HTML in titles and hover labels (tags, links, entities), fills in `%{...}`, and hands `$...$` to
    MathJax where a notebook has it. Names may hold all of these, and letters that turn the line around.
    """
    shown = wording.shown(text)
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "…"
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("%", "&#37;"), ("$", "&#36;")):
        shown = shown.replace(letter, entity)
    # isolates: a name in Hebrew ends where it ends, and does not take the words after it along
    return shown if shown.isascii() else f"\u2068{shown}\u2069"


def figure(drawing: Drawing) -> Figure:
    """The drawing as a Plotly figure, with its title; QpaError where Plotly is not installed."""
    try:
        from plotly.graph_objects import Figure
    except ImportError:
        raise QpaError('figures need Plotly, which is not installed: pip install "qpanalytics[plot]"') from None
    lines = wrapped(f"{drawing.note} {drawing.left_out}".strip())
    title = {
        "text": f"<b>{safe(drawing.title, 90)}</b>",
        "subtitle": {"text": "<br>".join(safe(line) for line in lines), "font": {"size": 13, "color": palette.light("soft")}},
        "font": {"size": 16, "color": palette.light("ink")},
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 16},
    }
    above = 48 + 18 * len(lines)
    layout: dict[str, Any] = drawing.layout | {"title": title, "meta": {"alt": drawing.alt}}
    margin = layout["margin"]
    layout["margin"] = margin | {"t": margin["t"] + above}
    layout["height"] = layout["height"] + above
    return Figure({"data": drawing.data, "layout": layout})


def alt(fig: Figure) -> str:
    """What a reader would see in a figure of ours, as plain text: for those who do not see it, and for tests.

    Empty for figures that are not ours.
    """
    meta = fig.layout.meta
    return str(meta.get("alt", "")) if isinstance(meta, Mapping) else ""


def wrapped(text: str) -> list[str]:
    """`text` in lines that fit below a title."""
    import textwrap

    return textwrap.wrap(text, LINE) or [""]


def layout(
    *, height: int = HIGH, left: int = 56, foot: int = 52, x: Mapping[str, Any], y: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """The look that all figures share; `left` and `foot` are the room for labels, pixels."""
    axis = {
        "gridcolor": palette.light("hair"),
        "linecolor": palette.light("hair"),
        "zeroline": False,
        "tickfont": {"color": palette.light("soft"), "size": 12},
        "title": {"font": {"color": palette.light("soft"), "size": 12}, "standoff": 6},
        "automargin": False,
    }
    return {
        "template": "none",
        "height": height,
        "margin": {"l": left, "r": 16, "t": 34, "b": foot},
        "paper_bgcolor": palette.light("paper"),
        "plot_bgcolor": palette.light("paper"),
        "font": {"family": FONT, "size": 12, "color": palette.light("ink")},
        "hoverlabel": {
            "bgcolor": palette.light("wash"),
            "bordercolor": palette.light("soft"),
            "font": {"family": FONT, "size": 13, "color": palette.light("ink")},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1,
            "xanchor": "left",
            "yanchor": "bottom",
            "font": {"color": palette.light("soft"), "size": 12},
            "bgcolor": "rgba(0,0,0,0)",
            "traceorder": "normal",
        },
        "hovermode": "closest",
        "dragmode": "zoom",
        "xaxis": _merged(axis, {"showgrid": False} | dict(x)),
        "yaxis": _merged(axis, y),
        **more,
    }


def _merged(axis: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    made = {**axis, **own}
    if "title" in own:
        made["title"] = {**axis["title"], **own["title"]}
    return made


def empty(title: str, why: str, alt_text: str = "") -> Drawing:
    """A figure that says why there is nothing to see."""
    note = {"text": "<br>".join(safe(line) for line in wrapped(why)), "showarrow": False, "x": 0.5, "y": 0.5}
    note |= {"xref": "paper", "yref": "paper", "font": {"size": 14, "color": palette.light("soft")}}
    hidden = {"visible": False, "fixedrange": True}
    return Drawing(title, "", alt_text or f"{title}: {why}", [], layout(height=160, x=hidden, y=hidden, annotations=[note]))


def marks(outcome: str, size: float = 6) -> dict[str, Any]:
    """How a mark of an outcome is drawn; open ones are outlined so that they keep their colour."""
    symbol = SYMBOLS[outcome]
    made: dict[str, Any] = {"symbol": symbol, "size": size, "color": palette.light(outcome)}
    if symbol.endswith("-open"):
        made["line"] = {"color": palette.light(outcome), "width": 1.5}
    return made
