"""The page beside a digest with charts of each check to zoom into: one file, no outside address, drawn when opened.

A check's four drawings lie in the page as compressed JSON, as does the part of plotly.js that draws them (its basic
bundle, see `plot/vendor`). Nothing is unpacked before a check is opened, so the page is ready at once however much it
holds. What is compressed and in base64 cannot end a script element, whatever a check is called.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from qpanalytics import spell
from qpanalytics.plot.calendar import Days
from qpanalytics.plot.calendar import days as days_of
from qpanalytics.plot.calendar import drawing as calendar
from qpanalytics.plot.drawing import Drawing
from qpanalytics.plot.durations import drawing as durations
from qpanalytics.plot.lateness import drawing as lateness
from qpanalytics.plot.reading import checks, zone
from qpanalytics.plot.runs import drawing as runs
from qpanalytics.report import palette
from qpanalytics.report.model import CheckRow, Facts
from qpanalytics.report.page import TEMPLATES, environment, style_of

if TYPE_CHECKING:
    from qpanalytics.history import History

REACH = timedelta(days=90)
"""How far back charts reach where the digest is of a shorter window: a week alone shows no drift."""

HEADINGS = ("When it runs", "How long it runs", "How late it ends", "What became of each day")


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of a check: heading, the sentence in its place (without the name above it), how to read it, pixels.

    `height` is 0 where there is nothing to draw: then the sentence says why.
    """

    heading: str
    said: str
    note: str
    height: int


@dataclass(frozen=True, slots=True)
class Explored:
    """One check with its charts, and their drawings as `packed` text."""

    row: CheckRow
    charts: tuple[Chart, ...]
    packed: str


def explore(facts: Facts, history: History, page_name: str) -> str:
    """The page with charts for the digest `facts` of `history`; `page_name` is the digest's file, to link back to.

    Checks stand in the order of the digest, over the 90 days that end with its window, or its window where that is
    longer. Equal histories give equal bytes.
    """
    wider = history.window(min(history.since, history.until - REACH), history.until)
    shown = tuple(_explored(facts.all_rows, wider, facts.window.tz))
    colours = {palette.light(name): palette.dark(name) for name in (*palette.TEXT, *palette.OUTCOMES)}
    # missed and bad share a light colour: in charts it is the outcome, which goes last
    template = environment().get_template("explore.html.j2")
    return template.render(
        facts=facts,
        shown=shown,
        heading=f"{spell.plural(len(shown), 'check')}, run by run" if shown else "No checks yet",
        span=spell.span(wider.since, wider.until, facts.window.tz),
        digest=page_name,
        style=style_of("explore.css"),
        script=Markup((TEMPLATES / "explore.js").read_text(encoding="utf-8")),
        colours=Markup(json.dumps(colours, separators=(",", ":"))),
        plotly=_plotly(),
    )


def _explored(rows: Sequence[CheckRow], history: History, tz: str) -> Iterator[Explored]:
    where = zone(tz)
    with history.session():
        known = {one.check: one for one in checks(history)}
        days = days_of(history, tz)
        for row in rows:
            one = known[row.check]
            drawings = (
                runs(history, one, where, tz),
                durations(history, one, where, tz),
                lateness(history, one, where, tz),
                calendar(history, one, days.get(one.check_id, Days()), where),
            )
            charts = tuple(
                Chart(heading, _said(made, row.check), made.note, made.layout["height"] if made.data else 0)
                for heading, made in zip(HEADINGS, drawings, strict=True)
            )
            yield Explored(row, charts, packed([{"data": made.data, "layout": _bare(made)} for made in drawings if made.data]))


def _said(made: Drawing, check: str) -> str:
    told = made.alt.removeprefix(f"{check}: ")
    return told[:1].upper() + told[1:]


def _bare(made: Drawing) -> dict[str, Any]:
    """The layout without what the page knows itself."""
    return {key: value for key, value in made.layout.items() if key != "template"}


def packed(value: Any) -> str:
    """JSON, compressed, in base64; no time of making in it, unlike gzip's own header."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    return base64.b64encode(press.compress(text.encode()) + press.flush()).decode()


@cache
def _plotly() -> str:
    """The basic bundle of plotly.js, compressed, in base64: the same bytes in every page."""
    return base64.b64encode((resources.files("qpanalytics.plot") / "vendor" / "plotly-basic.min.js.gz").read_bytes()).decode()
