"""What figures for Prometheus cost each minute, as JSON: PYTHONPATH=.:tests python tests/bench/metrics.py

Two thousand checks and two hundred queues: CPU seconds to make the text from what is known, its size, and the seconds to
read how the checks of the bundled histories stand and, once an hour, their ratios and quantiles.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import qpanalytics as qpa
from qpanalytics.report.metrics import WINDOW, figures, gathered
from qpanalytics.report.openmetrics import CheckFigures, CheckNow, Figures, Metrics, QueueNow, openmetrics

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
BOTH = {"0.5": 12.5, "0.95": 61.25}


def cpu_s(make: Callable[[], object], times: int = 5) -> float:
    """The median of so many makings, CPU seconds."""
    took = []
    for _ in range(times):
        began = time.process_time()
        make()
        took.append(time.process_time() - began)
    return round(median(took), 4)


def main() -> None:
    names = [f"check-{i}" for i in range(2000)]
    many = Metrics(
        NOW,
        tuple(CheckNow(name, "up", "prod", "warning", ("db",), NOW, NOW) for name in names),
        Figures(NOW, WINDOW.total_seconds(), tuple(CheckFigures(name, 100, 0.99, 0.98, BOTH, BOTH) for name in names)),
        tuple(QueueNow("shop", f"queue-{i}", NOW, 5, 1.5, 1, 0, 0, 0, False) for i in range(200)),
    )
    demo = qpa.demo()
    window = demo.window(demo.as_of - WINDOW, demo.until)
    found = {
        "checks": len(names),
        "text_cpu_s": cpu_s(lambda: openmetrics(many)),
        "text_bytes": len(openmetrics(many).encode()),
        "demo_checks": len(window.checks),
        "demo_stand_cpu_s": cpu_s(lambda: gathered(window.window(window.since, window.until))),
        "demo_figures_cpu_s": cpu_s(lambda: figures(window.window(window.since, window.until))),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
