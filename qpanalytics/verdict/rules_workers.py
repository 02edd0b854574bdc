"""Rules about worker processes and about the sources of looks: gone, crashing, stuck, unwatched. Figures -> Finding."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qpanalytics import spell
from qpanalytics.instants import instant, micros
from qpanalytics.thresholds import WORKER_LOOKS
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.queue_cases import Looked, SourceCase, WorkerCase
from qpanalytics.verdict.rules_seen import Span


def told(looked: Looked, span: Span) -> list[Finding]:
    """What is worth saying of workers and of the sources that show them."""
    found = [workers_gone(source) for source in looked.sources]
    found += [unwatched(source, span) for source in looked.sources]
    for worker in looked.workers:
        found += [crash_loop(worker), stuck(worker)]
    return [finding for finding in found if finding is not None]


def workers_gone(case: SourceCase) -> Finding | None:
    """None of a source's workers is alive where there were some, or one is listed as gone and nobody took its place.

    Processes that are no longer listed are gone for good, as after a deploy or on a quiet night: that fewer are listed is
    no trouble by itself, that none is, is.
    """
    if not case.fresh or case.alive is None or not case.usual or case.looks < WORKER_LOOKS or case.alive >= case.usual:
        return None
    if case.alive and not case.lost:
        return None
    since = None if case.short_us is None else instant(case.short_us)
    figures = {
        "source": case.source, "queue": None, "worker": None, "of": "workers", "alive": case.alive, "usual": case.usual,
        "looks": case.looks, "lost": list(case.lost), "waiting": case.waiting, "queues": list(case.lost_queues),
        "taken_at": _iso(case.taken_at), "since": _iso(since),
    }  # fmt: skip
    names = case.lost if case.alive and case.lost else (case.source,)
    about: Any = "worker" if case.alive else "source"
    return Finding(
        "workers_gone", case.severity, names, case.source, since, figures, size=float(case.usual - case.alive), about=about
    )


def crash_loop(case: WorkerCase) -> Finding | None:
    """A process that is started again and again."""
    row = case.crash
    if row is None or not row["looping"] or not case.fresh:
        return None
    figures = _figures(case) | {"of": row["of"], "restarts": row["n"], "workers": row["workers"], "since": _iso(row["since_at"])}
    many = case.worker == "*"
    return Finding(
        "crash_loop", case.severity, (case.source if many else case.worker,), case.source, row["since_at"], figures,
        size=float(row["n"]), about="source" if many else "worker",
    )  # fmt: skip


def stuck(case: WorkerCase) -> Finding | None:
    """A live worker whose job runs far longer than its like ever do."""
    row = case.zombie
    if row is None or not row["zombie"] or not case.fresh:
        return None
    began = instant(micros(case.taken_at) - round(row["running_s"] * 1e6))
    figures = _figures(case) | {
        "running_s": row["running_s"], "usual_s": row["usual_s"], "limit_s": row["limit_s"], "from": row["of"], "runs": row["n"],
    }  # fmt: skip
    return Finding(
        "stuck", case.severity, (case.worker,), case.source, began, figures, size=float(row["running_s"]), about="worker"
    )


def unwatched(case: SourceCase, span: Span) -> Finding | None:
    """No good look for long, so that nothing is known of now; old news is a note, as with checks."""
    if case.fresh or case.taken_at < span.since - (span.until - span.since):
        return None
    figures = {"source": case.source, "queue": None, "since": _iso(case.taken_at), "queues": case.queues, "workers": case.workers}
    news = case.taken_at >= span.since
    severity = "warning" if news else "info"
    return Finding("unwatched", severity, (case.source,), case.source, case.taken_at, figures, about="source")


def _figures(case: WorkerCase) -> dict[str, Any]:
    queues = case.queues or ()
    return {
        "worker": case.worker, "source": case.source, "queue": queues[0] if len(queues) == 1 else None,
        "queues": list(queues), "state": case.state or None, "taken_at": _iso(case.taken_at),
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return None if at is None else spell.iso(at)
