"""Figures for Prometheus: one text that the node exporter's textfile collector takes.

The collector reads the Prometheus text format 0.0.4 and refuses a whole file for one line that is only OpenMetrics (types
such as `stateset` or `info`, timestamps). So the text stays in what both formats share: gauges, no timestamps, `# EOF` as
the last line, which is the end to one and a comment to the other. A series that is not known is left out, never NaN, with
which no sum over checks could be taken; the number of runs behind the figures is there in any case.

Sources: OpenMetrics 1.0, "Text format"; Prometheus, "Exposition formats", text-based format.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from qpanalytics.words import Severity, Status

MODE = 0o644
"""The collector reads as another user."""


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """What is said of one check over the trailing window; None or missing where it is not known.

    `runs` counts the expected runs behind the ratios (0 to 1). `lateness_s` and `duration_s` are seconds by quantile
    ("0.95").
    """

    check: str
    runs: int | None = None
    success_ratio: float | None = None
    on_time_ratio: float | None = None
    lateness_s: Mapping[str, float] = field(default_factory=dict)
    duration_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of all checks over the `window_s` seconds before `made_at`: dear to make, so they are kept for a while."""

    made_at: datetime
    window_s: float
    checks: tuple[CheckFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckNow:
    """How one check stands: its status, what it is labelled with, and when it is due next and late."""

    check: str
    status: str
    source: str = ""
    severity: str = ""
    tags: tuple[str, ...] = ()
    expected_at: datetime | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue as the last look showed it: figures as in `qpa queues`, None where the system cannot tell."""

    source: str
    queue: str
    taken_at: datetime
    depth: float | None = None
    oldest_age_s: float | None = None
    active: float | None = None
    delayed: float | None = None
    retrying: float | None = None
    dead: float | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is told. `incidents` are the open ones by severity, None where nobody opens any; `tick_at` is when
    the checks were last judged."""

    tick_at: datetime
    checks: tuple[CheckNow, ...] = ()
    figures: Figures | None = None
    queues: tuple[QueueNow, ...] = ()
    workers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    incidents: Mapping[str, int] | None = None


def openmetrics(metrics: Metrics) -> str:
    """The text. Pure and fast: what costs time is in `metrics` already."""
    return "".join(_families(metrics)) + "# EOF\n"


def written(path: Path, text: str) -> Path:
    """Writes the file whole, synced, and readable for all: a collector never sees half of one. OSError."""
    # not *.prom: the collector would read it
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.new")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fchmod(file.fileno(), MODE)  # whatever the umask says
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return path


# The families ---------------------------------------------------------------------------------------------------------

T = TypeVar("T")
Sample = tuple[str, float | int | None]
"""Labels as they are printed, and the value."""


def _families(metrics: Metrics) -> Iterator[str]:
    checks = [(one, _label("check", one.check)) for one in _once(metrics.checks, lambda one: one.check)]
    yield _family(
        "qpa_check_status",
        "1 for the status that the check has, 0 for each other one.",
        ((f'{name},status="{status}"', int(one.status == status)) for one, name in checks for status in Status),
    )
    yield _family(
        "qpa_check_info",
        "Always 1; source, severity and tags of the check, the tags between commas.",
        ((",".join((name, _label("source", one.source), _label("severity", one.severity),
                    _label("tags", f",{','.join(one.tags)}," if one.tags else ""))), 1) for one, name in checks),
    )  # fmt: skip
    yield _family(
        "qpa_check_expected_timestamp_seconds",
        "When the run that is due, else the next one, is expected.",
        ((name, _epoch(one.expected_at)) for one, name in checks),
    )
    yield _family(
        "qpa_check_deadline_timestamp_seconds",
        "When that run is late.",
        ((name, _epoch(one.deadline_at)) for one, name in checks),
    )
    if metrics.figures is not None:
        yield from _figures(metrics.figures)
    yield from _queues(metrics)
    if metrics.incidents is not None:
        known = dict.fromkeys((*Severity, *metrics.incidents), 0) | dict(metrics.incidents)
        rows = ((_label("severity", str(name)), number) for name, number in known.items())
        yield _family("qpa_incidents_open", "Incidents that are not resolved.", rows)
    yield _family("qpa_last_tick_timestamp_seconds", "When the checks were last judged.", [("", _epoch(metrics.tick_at))])


def _figures(figures: Figures) -> Iterator[str]:
    checks = [(one, _label("check", one.check)) for one in _once(figures.checks, lambda one: one.check)]
    yield _family("qpa_window_seconds", "Length of the window that ratios and quantiles are of.", [("", figures.window_s)])
    yield _family("qpa_figures_timestamp_seconds", "End of that window.", [("", _epoch(figures.made_at))])
    yield _family(
        "qpa_check_runs", "Expected runs in the window that count.", ((name, one.runs) for one, name in checks)
    )
    yield _family(
        "qpa_check_success_ratio",
        "Share of these that succeeded, on time or late.",
        ((name, one.success_ratio) for one, name in checks),
    )
    yield _family(
        "qpa_check_on_time_ratio", "Share of these that came on time.", ((name, one.on_time_ratio) for one, name in checks)
    )
    yield _family(
        "qpa_check_lateness_seconds",
        "Quantiles of completion minus expected time; negative is early.",
        ((f'{name},quantile="{q}"', value) for one, name in checks for q, value in one.lateness_s.items()),
    )
    yield _family(
        "qpa_check_duration_seconds",
        "Quantiles of how long successful runs took.",
        ((f'{name},quantile="{q}"', value) for one, name in checks for q, value in one.duration_s.items()),
    )


def _queues(metrics: Metrics) -> Iterator[str]:
    queues = [
        (one, f"{_label('source', one.source)},{_label('queue', one.queue)}")
        for one in _once(metrics.queues, lambda one: (one.source, one.queue))
    ]
    for name, said in (
        ("depth", "Jobs that wait to be taken."),
        ("active", "Jobs in the hands of workers."),
        ("delayed", "Jobs that are not due yet."),
        ("retrying", "Jobs that failed and wait for another try."),
        ("dead", "Jobs that were given up."),
    ):
        yield _family(f"qpa_queue_{name}", said, ((labels, getattr(one, name)) for one, labels in queues))
    ages = ((labels, one.oldest_age_s) for one, labels in queues)
    yield _family("qpa_queue_oldest_age_seconds", "How long the oldest job had waited at the last look.", ages)
    paused = ((labels, None if one.paused is None else int(one.paused)) for one, labels in queues)
    yield _family("qpa_queue_paused", "1 where somebody has paused the queue.", paused)
    looked = ((labels, _epoch(one.taken_at)) for one, labels in queues)
    yield _family("qpa_queue_looked_timestamp_seconds", "When the last look was taken.", looked)
    workers = (
        (f"{_label('source', source)},{_label('state', state)}", number) for (source, state), number in metrics.workers.items()
    )
    yield _family("qpa_workers", "Worker processes at the last look at their source, by state.", workers)


# The text -------------------------------------------------------------------------------------------------------------


def _family(name: str, said: str, samples: Iterable[Sample]) -> str:
    """The lines of one family; empty without a sample that is known."""
    lines = [
        f"{name}{{{labels}}} {_number(value)}\n" if labels else f"{name} {_number(value)}\n"
        for labels, value in samples
        if value is not None and not math.isnan(value)
    ]
    return f"# HELP {name} {said}\n# TYPE {name} gauge\n{''.join(lines)}" if lines else ""


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{round(value, 6):.6f}".rstrip("0").rstrip(".")


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _once(rows: Iterable[T], key: Callable[[T], object]) -> list[T]:
    """Each series once: the collector drops the whole file for one that comes twice."""
    return list({key(row): row for row in rows}.values())
