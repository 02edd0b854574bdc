"""The digest in a real Chromium: phone and desktop, light and dark, on paper, and what it asks of the browser."""

from __future__ import annotations

import re
from pathlib import Path

import chromium
import pytest
import sample_facts

from qpanalytics.report import palette
from qpanalytics.report.page import fragment, page

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")

OUTSIDE = """
[...document.querySelectorAll('main *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.slice(0, 30))
"""


OVERLAPPING = """
[...document.querySelectorAll('td svg')].filter(s => {
  const [box, cell] = [s.getBoundingClientRect(), s.closest('td').getBoundingClientRect()];
  return box.width > 0 && (box.right > cell.right + 0.5 || box.left < cell.left - 0.5);
}).length
"""


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "digest.html"
    path.write_text(page(sample_facts.sample()), encoding="utf-8")
    return path


def hexed(colour: str) -> str:
    """ "rgb(43, 111, 163)" as "#2b6fa3"."""
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])


def colour(tab: chromium.Tab, css: str, what: str = "color") -> str:
    return hexed(tab.evaluate(f"getComputedStyle(document.querySelector({css!r})).{what}"))


@pytest.mark.parametrize("width", [320, 390, 600, 768, 1100, 1600])
def test_nothing_reaches_beyond_the_page_at_any_width(browser: chromium.Browser, digest: Path, width: int) -> None:
    tab = browser.open(digest, width=width, height=844, phone=width < 600)
    assert tab.evaluate("innerWidth") == width
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate(OUTSIDE) == []
    assert tab.evaluate(OVERLAPPING) == 0
    tab.evaluate("document.querySelector('details').open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    tab.close()


def test_on_a_phone_strips_keep_their_width_and_lesser_columns_go(browser: chromium.Browser, digest: Path) -> None:
    tab = browser.open(digest, width=390, height=844, phone=True)
    widths = tab.evaluate("[...document.querySelectorAll('.q-strip')].map(s => s.getBoundingClientRect().width)")
    # 28 cells of 7 pixels, less the last gap; fifty checks, and six of the seven findings have a strip.
    assert widths == [195] * 56
    heads = "[...document.querySelectorAll('section > table thead th')].filter(h => h.offsetParent)"
    assert tab.evaluate(f"{heads}.map(h => h.innerText.replace(/\\s+/g, ' '))") == [
        "Last 28 days, worst outcome of each day",
        "On time this week",
    ]
    size = tab.evaluate("parseFloat(getComputedStyle(document.querySelector('.finds p')).fontSize)")
    assert size == 15
    text = tab.evaluate("document.querySelector('.q-figure text').getBoundingClientRect().height")
    assert text >= 10
    tab.close()


def test_on_a_desktop_columns_line_up_and_the_large_numbers_share_a_line(
    browser: chromium.Browser, digest: Path
) -> None:
    tab = browser.open(digest, width=1100)
    assert tab.evaluate("new Set([...document.querySelectorAll('.facts > div')].map(d => d.offsetTop)).size") == 1
    assert tab.evaluate("document.querySelector('main').getBoundingClientRect().width") == 1040
    for column in ("t-rate", "t-long", "t-down"):
        cells = f"[...document.querySelectorAll('section > table td.{column}:not([colspan])')]"
        assert tab.evaluate(f"new Set({cells}.map(c => c.offsetLeft + c.offsetWidth)).size") == 1, column
    tops = tab.evaluate("[...document.querySelectorAll('section > table thead th')].map(h => h.offsetTop)")
    assert len(set(tops)) == 1
    for css, size in {"h1": 25, "h2": 17, "h3": 15, "body": 15, ".when": 13}.items():
        assert tab.evaluate(f"getComputedStyle(document.querySelector('{css}')).fontSize") == f"{size}px"
    tab.close()


def test_it_asks_for_nothing_and_chromium_has_nothing_to_say(browser: chromium.Browser, digest: Path) -> None:
    tab = browser.open(digest)
    assert tab.requests() == [digest.resolve().as_uri()]
    assert tab.complaints() == []
    assert tab.evaluate("document.scripts.length") == 0
    assert tab.evaluate("document.compatMode") == "CSS1Compat"
    assert tab.evaluate("document.querySelectorAll('*').length") <= 5_000
    tab.close()


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_what_the_reader_prefers_and_text_stays_readable(
    browser: chromium.Browser, digest: Path, dark: bool
) -> None:
    tab = browser.open(digest, dark=dark)
    theme = palette.dark if dark else palette.light
    paper = colour(tab, "html", "backgroundColor")
    assert paper == theme("paper")
    for outcome in ("late", "failed", "hung"):
        assert colour(tab, f".q-{outcome}", "fill") == theme(outcome)
    assert colour(tab, ".q-missed", "stroke") == theme("missed")
    for css in ("body", ".when", ".detail", ".plan", ".few", ".up", "a", "thead th", "footer", ".tag.warn", "summary"):
        assert palette.contrast(colour(tab, css), paper) >= 4.5, css
    assert palette.contrast(colour(tab, ".tag.bad"), colour(tab, ".tag.bad", "backgroundColor")) >= 4.5
    assert palette.contrast(colour(tab, "code"), colour(tab, "code", "backgroundColor")) >= 4.5
    tab.close()


def test_paper_is_white_and_what_is_folded_is_printed(browser: chromium.Browser, digest: Path) -> None:
    height = "document.querySelector('details tbody tr').getBoundingClientRect().height"
    checked = "document.querySelector('details tbody tr').checkVisibility({contentVisibilityAuto: true})"
    screen = browser.open(digest, dark=True)
    assert not screen.evaluate(checked)
    screen.close()
    paper = browser.open(digest, width=718, dark=True, paper=True)
    assert colour(paper, "html", "backgroundColor") == "#ffffff"
    assert colour(paper, ".q-late", "fill") == palette.light("late")
    assert paper.evaluate("getComputedStyle(document.documentElement).printColorAdjust") == "exact"
    assert paper.evaluate(checked)
    assert paper.evaluate(height) > 15
    assert paper.evaluate(OVERLAPPING) == 0
    assert paper.evaluate("document.documentElement.scrollWidth") == 718
    heads = "[...document.querySelectorAll('section > table th')].filter(h => h.offsetParent)"
    assert paper.evaluate(f"{heads}.length") == 8 + 13
    paper.close()


def test_a_printed_page_holds_the_folded_checks(browser: chromium.Browser, digest: Path, tmp_path: Path) -> None:
    def sheets(path: Path) -> int:
        tab = browser.open(path)
        found = len(re.findall(rb"/Type\s*/Page\b(?!s)", tab.pdf()))
        tab.close()
        return found

    without = tmp_path / "without.html"
    without.write_text(page(sample_facts.sample(kept=0)), encoding="utf-8")
    # Thirty-seven rows of some 9 mm are more than one sheet of A4.
    assert sheets(digest) >= sheets(without) + 1


def test_the_folded_line_opens_and_shows_its_checks(browser: chromium.Browser, digest: Path) -> None:
    tab = browser.open(digest)
    before = tab.evaluate("document.documentElement.scrollHeight")
    tab.evaluate("document.querySelector('summary').click()")
    assert tab.evaluate("document.querySelector('details').open")
    assert tab.evaluate("document.documentElement.scrollHeight") > before + 37 * 30
    tab.close()


def test_the_link_to_what_could_not_be_seen_leads_there(browser: chromium.Browser, digest: Path) -> None:
    tab = browser.open(digest, width=390, height=600, phone=True)
    tab.evaluate("document.querySelector('.when a').click()")
    assert 0 <= tab.evaluate("document.querySelector('#unseen').getBoundingClientRect().top") < 600
    tab.close()


def test_names_that_mean_harm_run_nothing_and_do_not_turn_the_line_around(
    browser: chromium.Browser, digest: Path
) -> None:
    tab = browser.open(digest)
    assert tab.evaluate("document.images.length + document.scripts.length + document.forms.length") == 0
    assert tab.evaluate("document.title") == "8 of 50 checks need you, Mon 16 to Sun 22 Nov 2026"
    # A right-to-left name ends where its <bdi> ends: the words after it still stand to its right.
    after = """(() => {
      const name = [...document.querySelectorAll('.small bdi')].find(b => b.textContent.includes('גיבוי'));
      const range = document.createRange();
      range.selectNodeContents(name.closest('p'));
      const boxes = [...range.getClientRects()];
      return boxes.at(-1).right > name.getBoundingClientRect().right;
    })()"""
    assert tab.evaluate(after)
    tab.close()


def test_the_fragment_leaves_its_notebook_alone(browser: chromium.Browser, tmp_path: Path) -> None:
    around = (
        "<!doctype html><meta charset=utf-8><h1>mine</h1><p class=facts>text <code>x</code></p>"
        "<table class=q-checks><tr><td class=days>1</table>"
    )
    styles = """(() => {
      const mine = document.querySelectorAll('body > h1, body > p, body > p *, body > table, body > table *');
      const kinds = ['color', 'fontSize', 'backgroundColor', 'padding', 'border', 'display', 'textAlign'];
      return [...mine].map(e => kinds.map(k => getComputedStyle(e)[k]));
    })()"""
    told = []
    for name, html in (("bare", around), ("with", around + fragment(sample_facts.sample()))):
        path = tmp_path / f"{name}.html"
        path.write_text(html, encoding="utf-8")
        tab = browser.open(path, width=900)
        told.append(tab.evaluate(styles))
        if name == "with":
            assert tab.evaluate("document.documentElement.scrollWidth") == 900
            assert tab.evaluate("document.querySelectorAll('.qpa, .qpa *').length") <= 600
        tab.close()
    assert told[0] == told[1]
    assert len(told[0]) == 7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_fragment_is_light_unless_the_notebook_says_that_it_is_dark(
    browser: chromium.Browser, tmp_path: Path, theme: str
) -> None:
    path = tmp_path / "notebook.html"
    said = "false" if theme == "dark" else "true"
    html = fragment(sample_facts.sample())
    path.write_text(f'<!doctype html><meta charset=utf-8><body data-jp-theme-light="{said}">{html}', encoding="utf-8")
    tab = browser.open(path, width=900, dark=True)  # the machine prefers dark; a light notebook stays light
    theme_of = palette.dark if theme == "dark" else palette.light
    assert colour(tab, ".qpa", "backgroundColor") == theme_of("paper")
    assert colour(tab, ".qpa", "color") == theme_of("ink")
    assert colour(tab, ".q-late", "fill") == theme_of("late")
    tab.close()
