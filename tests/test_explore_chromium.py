"""The page with charts in a real Chromium: it draws when opened and not before, for every reader, and asks for nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import chromium
import pytest
import sample_facts
from fleets import fleet_report
from opened import click_s
from telling import Job, week
from test_page_chromium import OUTSIDE, colour

import qpanalytics as qpa
from qpanalytics.plot import drawing
from qpanalytics.report import palette

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")

CHARTS = "[...document.querySelectorAll('.chart')]"
DRAWN = f"{CHARTS}.filter(c => c.querySelector('.main-svg')).length"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The digest of the recorded project, and the page with charts beside it."""
    made = qpa.report(qpa.demo("recorded"), explore=True)
    path = made.write(tmp_path_factory.mktemp("explore"))
    return path, path.with_name(made.explored_name)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = qpa.report(week(*(Job(name, "D60x20 F M") for name in sample_facts.HOSTILE)), explore=True)
    return made.write(tmp_path_factory.mktemp("hostile")).with_name(made.explored_name)


def number_of(tab: chromium.Tab, check: str) -> int:
    return int(tab.evaluate(f"[...document.querySelectorAll('.name')].findIndex(n => n.textContent === {json.dumps(check)})"))


def test_nothing_is_drawn_before_a_check_is_opened_and_then_only_its_charts(
    browser: chromium.Browser, pages: tuple[Path, Path]
) -> None:
    tab = browser.open(pages[1])
    assert tab.evaluate(DRAWN) == 0 and tab.evaluate("typeof Plotly") == "undefined"
    click_s(tab, number_of(tab, "db-backup"))
    assert tab.evaluate(DRAWN) == 4
    assert tab.evaluate("Plotly.version") == "4.1.1"
    dots = "document.querySelector('details[open]').querySelectorAll('.chart')[1].querySelectorAll('.point').length"
    assert tab.evaluate(dots) == 71, "69 runs and two that failed, as the sentence beside it says"
    assert tab.requests() == [pages[1].resolve().as_uri()]
    assert tab.complaints() == []
    tab.close()


def test_the_two_pages_lead_to_each_other(browser: chromium.Browser, pages: tuple[Path, Path]) -> None:
    digest, charts = pages
    for here, css, there in ((digest, ".basis a[href*=explore]", charts), (charts, ".when a", digest)):
        tab = browser.open(here)
        assert tab.evaluate(f"document.querySelector({css!r}).href") == there.resolve().as_uri()
        tab.close()


def test_checks_are_reached_and_opened_by_keyboard(browser: chromium.Browser, pages: tuple[Path, Path]) -> None:
    tab = browser.open(pages[1])

    def press(key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    for _ in range(3):  # the link to the digest, the search, the first check
        press("Tab", 9)
    assert tab.evaluate("document.activeElement === document.querySelector('summary')")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter", 13)
    waited = "(async () => { for (let i = 0; i < 5000 && !document.querySelector('details').dataset.drawn; i++)"
    waited += " await new Promise(done => setTimeout(done, 4)); return document.querySelector('details').open })()"
    assert tab.evaluate(waited) and tab.evaluate(DRAWN) > 0
    tab.close()


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1100, False), (1100, True)])
def test_charts_fit_and_have_the_colours_of_the_theme(
    browser: chromium.Browser, pages: tuple[Path, Path], width: int, dark: bool
) -> None:
    tab = browser.open(pages[1], width=width, height=844, phone=width < 600, dark=dark)
    theme = palette.dark if dark else palette.light
    click_s(tab, number_of(tab, "db-backup"))
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    outside = OUTSIDE.replace("'main *'", "'main *:not(svg *)'")
    assert tab.evaluate(outside) == []
    assert colour(tab, "html", "backgroundColor") == theme("paper")
    assert colour(tab, ".chart .main-svg", "background") == theme("paper")
    assert colour(tab, ".chart .xtick text", "fill") == theme("soft")
    fills = f"{CHARTS}.flatMap(c => [...c.querySelectorAll('.bars path')].map(p => p.style.fill))"
    assert len(set(tab.evaluate(fills))) == 3, "on time, missed, failed"
    for css in (".when", ".plan", "figcaption", "figure p", "a", "footer"):
        assert palette.contrast(colour(tab, css), theme("paper")) >= 4.5, css
    # labels of one axis do not run into each other
    overlapping = f"""{CHARTS}.map(c => {{
      const boxes = [...c.querySelectorAll('.xtick text')].map(t => t.getBoundingClientRect()).sort((a, b) => a.left - b.left);
      return boxes.filter((b, i) => i && b.left < boxes[i - 1].right).length;
    }})"""
    assert sum(tab.evaluate(overlapping)) == 0
    tab.close()


def test_an_open_chart_follows_the_theme(browser: chromium.Browser, pages: tuple[Path, Path]) -> None:
    tab = browser.open(pages[1])
    click_s(tab, number_of(tab, "db-backup"))
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.evaluate("new Promise(done => setTimeout(done, 600))")
    assert colour(tab, ".chart .main-svg", "background") == palette.dark("paper")
    tab.close()


def test_a_check_is_found_by_its_name_and_by_its_place(browser: chromium.Browser, pages: tuple[Path, Path]) -> None:
    tab = browser.open(pages[1])
    find = "document.querySelector('#find')"
    tab.evaluate(f"{find}.value = 'BACKUP'; {find}.dispatchEvent(new Event('input'))")
    shown = "[...document.querySelectorAll('.name')].filter(n => n.checkVisibility()).map(n => n.textContent)"
    assert tab.evaluate(shown) == ["db-backup"]
    assert tab.evaluate("document.querySelector('#found').textContent") == "1 of 19"
    tab.evaluate("location.hash = 'c2'")
    tab.evaluate("new Promise(done => setTimeout(done, 300))")
    assert tab.evaluate("document.querySelector('#c2').open")
    tab.close()


def test_where_charts_cannot_be_drawn_the_sentences_stay_and_it_is_said(
    browser: chromium.Browser, pages: tuple[Path, Path]
) -> None:
    tab = browser.open(pages[1])
    tab.evaluate("delete window.DecompressionStream")
    tab.evaluate("document.querySelector('summary').click()")
    tab.evaluate("new Promise(done => setTimeout(done, 500))")
    assert "could not be drawn" in tab.evaluate("document.querySelector('details .state').textContent")
    assert len(tab.evaluate("document.querySelector('details figure p').innerText")) > 20
    tab.close()


def test_names_that_mean_harm_run_nothing_on_the_page(browser: chromium.Browser, hostile: Path) -> None:
    tab = browser.open(hostile)
    names = tab.evaluate("[...document.querySelectorAll('.name')].map(n => n.textContent)")
    assert '<script>alert("xss")</script>' in names and "{{ 7 * 7 }}{% raw %}" in names
    for number in range(len(names)):
        click_s(tab, number)
    assert tab.evaluate("document.images.length + document.forms.length + document.querySelectorAll('.chart a').length") == 0
    assert tab.requests() == [hostile.resolve().as_uri()] and tab.complaints() == []
    tab.close()


def test_a_notebooks_figure_shows_a_name_letter_for_letter(browser: chromium.Browser, tmp_path: Path) -> None:
    """Drawn by Plotly itself: no tag, link, entity or template of a name does anything in a title, a tick or a hover."""
    pytest.importorskip("plotly", reason="plotly is not installed")
    library = (Path(drawing.__file__).parent / "vendor" / "plotly-basic.min.js.gz").read_bytes()
    names = ["<b>bold</b>", '<a href="https://evil.example">x</a>', "a &lt; b &amp; c", "%{meta[alt]} 5 %", "$x$ and $y$"]
    h = week(*(Job(name, "D60x20 F") for name in names))
    figures: list[Any] = [qpa.plot.runs(h, check=name) for name in names] + [qpa.plot.calendar(h), qpa.plot.durations(h)]
    drawn = ",".join(fig.to_json().replace("<", "\\u003c") for fig in figures)
    path = tmp_path / "figures.html"
    path.write_text(
        f"<!doctype html><meta charset=utf-8><script>{gzip.decompress(library).decode()}</script><body><script>"
        f"const all = [{drawn}]; window.done = Promise.all(all.map(f => {{ const d = document.createElement('div');"
        "document.body.append(d); return Plotly.newPlot(d, f.data, f.layout); }))</script>",
        encoding="utf-8",
    )
    tab = browser.open(path)
    tab.evaluate("window.done.then(() => 1)")
    plain = "t => t.textContent.replace(/[\\u2068\\u2069]/g, '')"
    titles = tab.evaluate(f"[...document.querySelectorAll('.gtitle')].map({plain})")
    assert titles[: len(names)] == [f"{name}: when it runs" for name in names]
    ticks = tab.evaluate(f"[...document.querySelectorAll('.ytick text')].map({plain})")
    assert {name if len(name) <= 22 else f"{name[:21]}…" for name in names} <= set(ticks)
    assert tab.evaluate("document.querySelectorAll('svg a').length") == 0
    assert tab.requests() == [path.resolve().as_uri()]
    tab.close()


def test_fifty_checks_are_quick_to_open(browser: chromium.Browser, tmp_path: Path) -> None:
    """How quick in seconds is printed by tests/bench/explore.py; here that it is small and draws nothing beforehand."""
    made = fleet_report()
    path = made.write(tmp_path).with_name(made.explored_name)
    tab = browser.open(path)
    assert tab.evaluate("document.querySelectorAll('*').length") <= 5_000
    assert tab.evaluate(DRAWN) == 0
    click_s(tab, 0)
    assert tab.evaluate(DRAWN) == 4
    click_s(tab, 49)
    assert tab.evaluate(DRAWN) == 8
    tab.close()
