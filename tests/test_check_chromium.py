"""The page of one check in a real Chromium: phone and desktop, light and dark, on paper, and how soon it is ready."""

from __future__ import annotations

import re
from pathlib import Path

import chromium
import pytest
from telling import Job, week
from test_page_chromium import OUTSIDE, OVERLAPPING, colour

import qpanalytics as qpa
from qpanalytics.report import palette
from qpanalytics.report.check import check_report

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")

CHECKS = {"recorded": ("etl-overlap", "db-backup", "exit-codes", "never-pinged", "worker-b"), "histories": ("probe", "rss")}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of some bundled checks, and of one whose name is long and means harm."""
    folder = tmp_path_factory.mktemp("pages")
    made = {check: check_report(qpa.demo(demo), check) for demo, checks in CHECKS.items() for check in checks}
    evil = "<script>alert(1)</script>" + "long" * 60
    made["evil"] = check_report(week(Job(evil, "D60x25 M M F3")), evil)
    return {check: page.write(folder) for check, page in made.items()}


@pytest.mark.parametrize("width", [320, 390, 768, 1100])
def test_nothing_reaches_beyond_the_page_at_any_width(browser: chromium.Browser, pages: dict[str, Path], width: int) -> None:
    for check, path in pages.items():
        tab = browser.open(path, width=width, height=844, phone=width < 600)
        assert tab.evaluate("document.documentElement.scrollWidth") == width, check
        assert tab.evaluate(OUTSIDE) == [], check
        assert tab.evaluate(OVERLAPPING) == 0, check
        tab.close()


def test_on_a_phone_a_strip_fills_the_width_and_a_run_keeps_its_line(browser: chromium.Browser, pages: dict[str, Path]) -> None:
    tab = browser.open(pages["db-backup"], width=390, height=844, phone=True)
    strips = tab.evaluate("[...document.querySelectorAll('.strips svg')].map(s => Math.round(s.getBoundingClientRect().width))")
    assert strips == [358, 358, 358]
    heads = tab.evaluate("[...document.querySelectorAll('.runs thead th')].filter(h => h.offsetParent).map(h => h.innerText)")
    assert heads == ["Ended", "Late by", "Took", "Result"]
    assert tab.evaluate("document.querySelector('.runs tbody tr').getBoundingClientRect().height") < 40
    text = tab.evaluate("document.querySelector('.q-figure text').getBoundingClientRect().height")
    assert text >= 10
    tab.close()


@pytest.mark.parametrize("dark", [False, True])
def test_text_stays_readable_in_light_and_dark(browser: chromium.Browser, pages: dict[str, Path], dark: bool) -> None:
    tab = browser.open(pages["etl-overlap"], dark=dark)
    theme = palette.dark if dark else palette.light
    paper = colour(tab, "html", "backgroundColor")
    assert paper == theme("paper")
    assert colour(tab, ".q-failed", "fill") == theme("failed")
    for css in ("body", "h1", ".when", ".promise dt", ".promise dd", "figcaption", ".list td", ".list thead th", "footer"):
        assert palette.contrast(colour(tab, css), paper) >= 4.5, css
    for css in (".q-figure .q-tick", ".q-figure .q-label", ".q-figure .q-limit-label"):
        assert palette.contrast(colour(tab, css, "fill"), paper) >= 4.5, css
    tab.close()


def test_it_asks_for_nothing_and_runs_nothing(browser: chromium.Browser, pages: dict[str, Path]) -> None:
    for path in pages.values():
        tab = browser.open(path)
        assert tab.requests() == [path.resolve().as_uri()]
        assert tab.complaints() == []
        assert tab.evaluate("document.scripts.length + document.images.length") == 0
        tab.close()


def test_paper_is_white_and_holds_the_whole_page(browser: chromium.Browser, pages: dict[str, Path]) -> None:
    tab = browser.open(pages["db-backup"], width=718, dark=True, paper=True)
    assert colour(tab, "html", "backgroundColor") == "#ffffff"
    assert tab.evaluate("document.documentElement.scrollWidth") == 718
    heads = tab.evaluate("[...document.querySelectorAll('.runs thead th')].filter(h => h.offsetParent).length")
    assert heads == 5
    tab.close()
    tab = browser.open(pages["db-backup"], dark=True)
    sheets = len(re.findall(rb"/Type\s*/Page\b(?!s)", tab.pdf()))
    assert 1 <= sheets <= 3
    tab.close()
