"""The mail in a real Chromium, as wide as a mailbox and as a phone, light and dark."""

from __future__ import annotations

from pathlib import Path

import chromium
import pytest
import sample_facts
from test_mail import busy
from test_page_chromium import colour

from qpanalytics.report import palette
from qpanalytics.report.mail import mail

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")


@pytest.mark.parametrize("width", [390, 600])
def test_nothing_is_wider_than_the_mailbox_and_days_keep_their_width(
    browser: chromium.Browser, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "mail.html"
    for facts in (sample_facts.sample(), busy()):
        path.write_text(mail(facts).html, encoding="utf-8")
        tab = browser.open(path, width=width, phone=width < 600)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert tab.evaluate("document.querySelectorAll('*').length") <= 1500
        days = "[...document.querySelectorAll('td[width]')]"
        assert tab.evaluate(f"{days}.length") > 20
        assert tab.evaluate(f"{days}.filter(d => d.offsetWidth != d.width || d.offsetHeight < 15).length") == 0
        assert [url for url in tab.requests() if not url.startswith("file:")] == []
        assert tab.complaints() == []
        tab.close()


@pytest.mark.parametrize("dark", [False, True])
def test_words_are_read_on_light_and_on_dark_paper(browser: chromium.Browser, tmp_path: Path, dark: bool) -> None:
    path = tmp_path / "mail.html"
    path.write_text(mail(sample_facts.sample()).html, encoding="utf-8")
    tab = browser.open(path, width=600, dark=dark)
    paper = "#121212" if dark else "#ffffff"  # Chromium's own canvas
    for css in ("h1", "p.s", ".b"):
        assert palette.contrast(colour(tab, css), paper) >= 4.5
    tab.close()
