"""`CheckFacts` as one self-contained HTML file in the look of the digest: no script, no address outside itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from qpanalytics.report.check import words
from qpanalytics.report.check.model import CheckFacts
from qpanalytics.report.page import TEMPLATES, drift_style, environment, style_of

OWN = Path(__file__).parent / "templates"


def page(facts: CheckFacts) -> str:
    """The page: light and dark, phone and paper."""
    style = style_of("style.css") + _own_style() + drift_style(facts.figures)
    return _environment().get_template("check.html.j2").render(facts=facts, style=style)


def fragment(facts: CheckFacts) -> str:
    """Headline, large numbers, strips and findings, for a notebook; static, scoped under the class `qpa`."""
    return _environment().get_template("check_fragment.html.j2").render(facts=facts, style=style_of("fragment.css"))


@cache
def _own_style() -> Markup:
    text = (OWN / "check.css").read_text(encoding="utf-8")
    return Markup("".join(line.strip() for line in text.splitlines()))


@cache
def _environment() -> Environment:
    """The digest's own, with the templates and words of a check beside it."""
    shared = environment()
    made = shared.overlay(loader=FileSystemLoader([OWN, TEMPLATES]))
    made.globals = {**shared.globals, "words": words}
    made.filters = {**shared.filters, "down_cells": words.down, "price_cells": words.price, "run_cells": words.run}
    return made
