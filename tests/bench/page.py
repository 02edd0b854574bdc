"""What the digest of fifty checks weighs and how long it takes, as JSON: PYTHONPATH=.:tests python tests/bench/page.py

Times depend on the machine and what else it does; the budgets are 0.2 s to make and 0.3 s until Chromium is ready.
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import chromium
import pairs
import sample_facts
from test_mail import busy

from qpanalytics.report.mail import mail
from qpanalytics.report.page import fragment, page
from qpanalytics.report.text import text


def seconds(make: Callable[[], object], times: int = 9) -> tuple[float, float]:
    """The first making, which also compiles the templates, and the median of the others."""
    first, *others = (pairs.took(make)[0] for _ in range(times))
    return round(first, 4), round(statistics.median(others), 4)


def main() -> None:
    facts = sample_facts.sample()
    first, usual = seconds(lambda: page(facts))
    html = page(facts)
    found: dict[str, object] = {
        "checks": facts.checks,
        "page_bytes": len(html.encode()),
        "page_gzip_bytes": len(gzip.compress(html.encode(), mtime=0)),
        "page_first_s": first,
        "page_s": usual,
        "fragment_bytes": len(fragment(facts).encode()),
        "fragment_s": seconds(lambda: fragment(facts))[1],
        "text_s": seconds(lambda: text(facts))[1],
        "mail_bytes": len(mail(facts).html.encode()),
        "mail_s": seconds(lambda: mail(facts))[1],
        "mail_busy_bytes": len(mail(busy()).html.encode()),
        "mail_busy_s": seconds(lambda: mail(busy()))[1],
    }
    if chromium.find():
        with tempfile.TemporaryDirectory() as folder, chromium.Browser() as browser:
            path = Path(folder) / "digest.html"
            path.write_text(html, encoding="utf-8")
            ready = []
            for _ in range(9):
                tab = browser.open(path)
                ready.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
                found["nodes"] = tab.evaluate("document.querySelectorAll('*').length")
                tab.close()
            pdf_s, pdf = pairs.took(lambda: browser.open(path).pdf())
            found["pdf_bytes"], found["pdf_s"] = len(pdf), round(pdf_s, 3)
            found["chromium"] = browser.version
            found["ready_first_s"], found["ready_s"] = round(ready[0], 3), round(statistics.median(ready), 3)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
