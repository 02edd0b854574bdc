"""What a store says as `Metrics`, and the figures that are kept for an hour because they are dear to make."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.report.openmetrics import CheckFigures, CheckNow, Figures, Metrics, QueueNow, written

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

WINDOW = timedelta(days=28)
"""Ratios and quantiles are of so long before: four weeks carry a 95th percentile of hourly jobs, and of most nightly
ones a median."""

KEPT = timedelta(hours=1)
"""Figures of a window of weeks change little in so long."""

QUANTILES = {"0.5": "p50_s", "0.95": "p95_s"}


def gathered(history: History, figures: Figures | None = None, incidents: Mapping[str, int] | None = None) -> Metrics:
    """How checks, queues and workers stand at `history.as_of`, with figures and open incidents as they are given."""
    from qpanalytics.analysis.queues import last_looks

    with history.session():
        checks = tuple(
            CheckNow(
                row["check"], row["status"], row["source"], row["severity"], tuple(row["tags"]),
                _at(row["next_expected_at"]), _at(row["deadline_at"]),
            )
            for row in _rows(history.checks)
        )  # fmt: skip
        queues = last_looks(history, "queue").to_pylist()
        workers = Counter((row["source"], row["state"]) for row in last_looks(history, "worker").to_pylist())
    return Metrics(history.as_of, checks, figures, tuple(map(_queue, queues)), dict(sorted(workers.items())), incidents)


def figures(history: History) -> Figures:
    """Ratios and quantiles of each check over the window of `history`."""
    from qpanalytics.analysis.durations import durations
    from qpanalytics.analysis.lateness import lateness
    from qpanalytics.analysis.success import success

    with history.session():
        counts = _rows(success(history))
        late = {row["check"]: _quantiles(row) for row in _rows(lateness(history))}
        long = {row["check"]: _quantiles(row) for row in _rows(durations(history))}
    checks = tuple(
        CheckFigures(name, int(row["n"]), _known(row["rate"]), _known(row["on_time_rate"]), late[name], long[name])
        for row in counts
        for name in [row["check"]]
    )
    return Figures(history.as_of, (min(history.until, history.as_of) - history.since).total_seconds(), checks)


def kept_figures(store: Path, as_of: datetime, checks: Collection[str], make: Callable[[], Figures]) -> Figures:
    """The figures beside a store if they are of the hour before `as_of` and of these checks, else new ones, put there.

    A file that cannot be read is made anew; one that cannot be written is done without.
    """
    path = store.with_name(f"{store.name}-figures")
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = _read(json.loads(path.read_text(encoding="utf-8")))
        if found.made_at <= as_of < found.made_at + KEPT and {one.check for one in found.checks} == set(checks):
            return found
    made = make()
    with contextlib.suppress(OSError):
        written(path, json.dumps({**asdict(made), "made_at": spell.iso(made.made_at)}))
    return made


def _read(values: Mapping[str, Any]) -> Figures:
    checks = tuple(CheckFigures(**check) for check in values["checks"])
    return Figures(datetime.fromisoformat(values["made_at"]), float(values["window_s"]), checks)


def _queue(row: Mapping[str, Any]) -> QueueNow:
    fields = ("depth", "oldest_age_s", "active", "delayed", "retrying", "dead", "paused")
    return QueueNow(row["source"], row["queue"], row["taken_at"], **{field: row[field] for field in fields})


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _quantiles(row: Mapping[str, Any]) -> dict[str, float]:
    found = {quantile: _known(row[column]) for quantile, column in QUANTILES.items()}
    return {quantile: value for quantile, value in found.items() if value is not None}


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _at(value: Any) -> datetime | None:
    import pandas as pd

    return None if pd.isna(value) else value.to_pydatetime()
