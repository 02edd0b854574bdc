"""`Facts` as one self-contained HTML file, and as the fragment that a notebook shows.

No script, no outside address, no id that differs between two makings: equal facts give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qpanalytics import spell
from qpanalytics.report import evidence, palette, queue_figures, queue_words, svg, wording
from qpanalytics.report.model import Arrivals, CheckRow, Dots, Facts, Finding, Strip, Trend

TEMPLATES = Path(__file__).parent / "templates"
FRAGMENT_CHECKS = 10
"""How many checks a fragment shows: with the findings above it fits a notebook's output without scrolling inside."""


def page(facts: Facts, explored: str = "") -> str:
    """The digest as one HTML file: light and dark, phone and paper; `explored` is the file with charts to link to."""
    return environment().get_template("page.html.j2").render(facts=facts, explored=explored, style=_style(facts))


def fragment(facts: Facts) -> str:
    """The first screen of the digest for a notebook: headline, large numbers, seven findings, the worst ten checks.

    Static, scoped under the class `qpa`; colours are light unless the notebook says that it is dark.
    """
    worst = replace(facts, rows=tuple(facts.all_rows[:FRAGMENT_CHECKS]), kept=())
    left = facts.checks - worst.checks
    template = environment().get_template("fragment.html.j2")
    return template.render(facts=facts, worst=worst, left=left, style=style_of("fragment.css"))


def _style(facts: Facts) -> Markup:
    """The style sheet; those of queues and of lines that lead somewhere only where there are some."""
    own = style_of("style.css") + drift_style(facts.evidence)
    return own if facts.queues is None else own + Markup(_lines("queues.css"))


def drift_style(figures: Sequence[Dots | Arrivals]) -> Markup:
    """What lines that lead somewhere need, where one does."""
    return Markup(_lines("drift.css") if any(isinstance(of, Dots) and of.ahead for of in figures) else "")


def _lines(name: str) -> str:
    return "".join(line.strip() for line in (TEMPLATES / name).read_text(encoding="utf-8").splitlines())


@cache
def style_of(name: str) -> Markup:
    """A style sheet with the palette before and the classes of figures behind it; without line ends, to save bytes."""
    text = (TEMPLATES / name).read_text(encoding="utf-8") + (TEMPLATES / "marks.css").read_text(encoding="utf-8")
    light, dark = palette.variables("light"), palette.variables("dark")
    if name == "fragment.css":
        hosts = ('[data-jp-theme-light="false"]', ".vscode-dark", '[data-theme="dark"]')
        themes = f".qpa{{{light}}}{','.join(f'{host} .qpa' for host in hosts)}{{{dark}}}"
    else:
        # Only screens go dark: paper is white whatever the reader prefers.
        themes = f".qpa{{{light}}}@media screen and (prefers-color-scheme:dark){{.qpa{{{dark}}}}}"
    return Markup(themes + "".join(line.strip() for line in text.splitlines()))


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(shown=wording.shown, say=wording.say, plain=spell.plain)
    words = (
        "amount as_of basis change down_now figure graces interval kept kind lead legend more options parts rate "
        "schedule seen subtitle suggested tally title unjudged unseen verdict when"
    )
    made.globals.update({name: getattr(wording, name) for name in words.split()})
    made.globals.update(
        words=SimpleNamespace(drawn=queue_figures.drawn, **{name: getattr(queue_words, name) for name in queue_words.SAID}),
        worded=wording.quantile,
        strip_said=wording.strip,
        needs_shown=wording.NEEDS_SHOWN,
        strip=svg.strip,
        sparkline=svg.sparkline,
        mark=svg.mark,
        picture=_picture,
        chart=_chart,
        caption=_caption,
        days=_days,
    )
    return made


def _picture(finding: Finding) -> Markup:
    if isinstance(finding.picture, Strip):
        return svg.strip(finding.picture)
    return svg.sparkline(finding.picture, width=196, fit=True) if isinstance(finding.picture, Trend) else Markup("")


def _chart(of: Dots | Arrivals) -> Markup:
    return evidence.dots(of) if isinstance(of, Dots) else evidence.arrivals(of)


def _caption(of: Dots | Arrivals) -> str:
    return of.caption if isinstance(of, Dots) else evidence.arrivals_caption(of)


def _days(rows: Sequence[CheckRow]) -> int:
    return max((len(row.strip.cells) for row in rows), default=0)
