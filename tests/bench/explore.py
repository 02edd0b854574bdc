"""What the page with charts of fifty checks weighs and how long it takes: PYTHONPATH=.:tests python tests/bench/explore.py

Fifty checks that run hourly for 90 days, as JSON. Times depend on the machine and what else it does; the budgets are
2.5 MB, 0.5 s until Chromium is ready, and 1.5 s from a click to the charts of a check.
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
from pathlib import Path

import chromium
import pairs
from fleets import fleet
from opened import click_s, ready_s

import qpanalytics as qpa

TIMES = 9


def main() -> None:
    history = fleet()
    made = qpa.report(history, explore=True)
    took, html = pairs.took(lambda: made.explored)
    found: dict[str, object] = {
        "checks": made.facts.checks,
        "pings": len(history.window(history.as_of - (history.until - history.since) * 13, history.as_of).pings),
        "page_bytes": len(html.encode()),
        "page_gzip_bytes": len(gzip.compress(html.encode(), mtime=0)),
        "page_s": round(took, 2),
    }
    if chromium.find():
        with tempfile.TemporaryDirectory() as folder, chromium.Browser() as browser:
            path = Path(folder) / "explore.html"
            path.write_text(html, encoding="utf-8")
            ready, first, next_one = [], [], []
            for _ in range(TIMES):
                tab = browser.open(path)
                ready.append(ready_s(tab))
                found["nodes"] = tab.evaluate("document.querySelectorAll('*').length")
                first.append(click_s(tab, 0))
                next_one.append(click_s(tab, 1))
                tab.close()
            found["chromium"] = browser.version
            for name, values in (("ready", ready), ("first_click", first), ("next_click", next_one)):
                found[f"{name}_s"], found[f"{name}_worst_s"] = round(statistics.median(values), 3), round(max(values), 3)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
