"""Rules about what can be known at all: not seen, not judged yet, cannot tell. Figures -> Finding, no words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from qpanalytics import spell
from qpanalytics.verdict.cases import Case, Hole, instant
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.rules_now import FEW

MUCH = 0.1
"""Where no run is promised, a hole is worth saying if it takes a tenth of the window: it may have hidden runs."""

NEW_FOR = 4
"""A check is called new for so many windows. A monthly job needs twenty months to twenty runs: that is not news."""


@dataclass(frozen=True, slots=True)
class Span:
    """The window of a history, and the instant it is seen from."""

    since: datetime
    until: datetime
    as_of: datetime


def not_vouched(case: Case, span: Span) -> Finding | None:
    """Part of the window was not observed, so that expected runs of it cannot be counted.

    It asks for somebody only while it lasts and is news: a source that ended before the window before is known by now.
    """
    if case.ended_by(span.since) or case.status == "paused" or case.first_ping_at is None:
        return None
    least = MUCH * case.window_s
    holes = [hole for hole in case.holes if hole.runs or (case.schedule is None and _seconds(hole) >= least)]
    if not holes:
        return None
    worst = max(holes, key=lambda hole: (hole.until_us is None, _seconds(hole)))
    began = instant(worst.since_us)
    length = span.until - span.since
    news = worst.until_us is None and began is not None and began >= span.since - length
    figures = {
        "since": None if began is None else spell.iso(began),
        "until": None if worst.until_us is None else spell.iso(worst.until_us),
        "unseen_s": round(sum(_seconds(hole) for hole in holes), 6),
        "holes": len(holes),
        "runs": sum(hole.runs for hole in holes),
        "window_s": case.window_s,
    }
    severity = case.severity if news and case.severity != "critical" else "warning" if news else "info"
    return Finding("not_vouched", severity, (case.check,), case.source, began, figures, size=_seconds(worst))


def not_judged(case: Case, span: Span) -> Finding | None:
    """So young that changes of it cannot be judged."""
    began = case.first_ping_at
    if case.schedule is None or case.ever_n >= FEW or case.status in ("new", "paused"):
        return None
    if began is None or began < span.since - (NEW_FOR - 1) * (span.until - span.since):
        return None
    figures = {"n": case.ever_n, "began_at": spell.iso(began)}
    return Finding("not_judged", "info", (case.check,), case.source, began, figures, size=case.ever_n)


def cannot_tell(case: Case) -> Finding | None:
    """Completions come at any time between two ticks: only the time between them can be judged."""
    if not case.cannot_tell or case.gap_p50_s is None:
        return None
    figures = {
        "gap_n": case.gap_n,
        "gap_p50_s": case.gap_p50_s,
        "gap_p95_s": case.gap_p95_s,
        "gap_max_s": case.gap_max_s,
        "schedule": case.schedule,
    }
    return Finding("cannot_tell", "info", (case.check,), case.source, None, figures, size=case.gap_p50_s)


def _seconds(hole: Hole) -> float:
    return (hole.to_us - hole.from_us) / 1e6
