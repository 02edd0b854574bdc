"""Rules about what went wrong: down, hung, failing, missing, and what recovered. Figures -> Finding, no words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.verdict.cases import Case, Trouble, instant, known
from qpanalytics.verdict.finding import Finding, Kind

KEPT_AGAIN = 3
"""A check has recovered when it kept so many promises in a row: one good run between two bad ones is luck."""

QUIET = timedelta(days=7)
"""Trouble that came again and again, and then not for a week, is over too: a month or a quarter has its share of it."""

OFTEN = 0.1
"""A check that misses a tenth of its runs matters also if it did so before: it is no accident any more."""

FEW = 20
"""Below so many expected runs the interval of a rate holds nearly everything; then counts speak for themselves."""

OFTEN_LATE = 0.25
"""From a quarter of the runs on, lateness is the habit of a check, and no single delay."""

UP = ("up", "started", "grace")


def down(case: Case) -> Finding | None:
    """Down at as_of: since when, from what, and whether its runs began at all."""
    if case.status != "down" or case.down_since_at is None:
        return None
    found = case.trouble
    figures = _figures(case) | {
        "cause": case.down_cause,
        "streak": found.streak,
        "streak_since": _iso(found.streak_us),
        "streak_never_began": found.streak_never_began,
        "last_success_at": _when(case.last_success_at),
        "open_since_at": _when(case.open_since_at),
        "judged": case.judged,
        "gap_max_s": case.gap_max_s,
        "max_runtime_s": case.max_runtime_s,
    }
    longest_first = -case.down_since_at.timestamp()
    return Finding("down", case.severity, (case.check,), case.source, case.down_since_at, figures, size=longest_first)


def hung(case: Case, until: datetime) -> Finding | None:
    """Runs that began and did not end within their limit, and did not come right by themselves."""
    wrong = case.trouble.hung_us
    if case.status == "down" or not (wrong or case.overran) or (wrong and _recovered(case, until)):
        return None
    if not wrong and (case.overran < 2 or case.overran < OFTEN * case.completions):
        return None  # a run that took too long and ended is told as slower, if it is more than one
    figures = _figures(case) | {
        "hung_before": case.before.hung,
        "never_ended": case.never_ended,
        "overran": case.overran,
        "completions": case.completions,
        "max_runtime_s": case.max_runtime_s,
    }
    return _finding("hung", case, wrong or (), len(wrong) or case.overran, figures)


def failing(case: Case, until: datetime) -> Finding | None:
    """Runs that failed, and did not come right by themselves."""
    wrong = case.trouble.failed_us
    if case.status == "down" or not wrong or _recovered(case, until):
        return None
    figures = _figures(case) | {
        "failed_before": len(case.trouble_before.failed_us),
        "judged": case.judged,
        "streak": case.trouble.streak,
    }
    return _finding("failing", case, wrong, len(wrong) / max(case.trouble.n, 1), figures)


def missing(case: Case, until: datetime) -> Finding | None:
    """Runs that did not come, more than before (or a tenth of them), and not just once."""
    wrong = case.trouble.missed_us
    if case.status in ("down", "new") or not case.judged or not wrong or _recovered(case, until):
        return None
    n, n_before, missed_before = case.now.n, case.before.n, case.before.missed
    _, _, high = stats.rate_change(n - len(wrong), n, n_before - missed_before, n_before)
    more = bool(high < 0) or (min(n, n_before) < FEW and missed_before == 0)
    if not more and len(wrong) < OFTEN * n:
        return None
    figures = _figures(case) | {"missed_before": missed_before}
    return _finding("missing", case, wrong, len(wrong) / n, figures)


def late(case: Case) -> Finding | None:
    """Late so often that the grace does not fit the job: nothing for tonight, worth a look some day."""
    if not case.judged or case.now.n == 0 or case.now.late < max(2, OFTEN_LATE * case.now.n):
        return None
    figures = _figures(case) | {
        "late": case.now.late,
        "late_before": case.before.late,
        "grace_s": case.grace_s,
        "p50_s": known(case.lateness.p50_s),
        "max_s": known(case.lateness.max_s),
    }
    return Finding("late", "info", (case.check,), case.source, None, figures, size=case.now.late / case.now.n)


def recovered(case: Case, until: datetime) -> Finding | None:
    """Was down or failing, in the window before or earlier in this one, and has kept its promises since."""
    now, then = case.trouble, case.trouble_before
    if case.status not in UP:
        return None
    figures = _figures(case) | {"kept_since": now.kept_since, "judged": case.judged}
    if now.episodes:
        if not _recovered(case, until):
            return None
        return Finding("recovered", "info", (case.check,), case.source, _last(now), figures, size=len(now.all_us))
    kept = now.n if case.judged else case.completions
    wrong = len(then.all_us)
    late_before = case.before.late if case.before.n and case.before.late >= OFTEN_LATE * case.before.n else 0
    if kept < KEPT_AGAIN or case.now.late or not (wrong or late_before):
        return None
    figures |= {
        "missed_before": len(then.missed_us),
        "failed_before": len(then.failed_us),
        "hung_before": len(then.hung_us),
        "late_before": 0 if wrong else late_before,
        "n_before": then.n,
    }
    return Finding("recovered", "info", (case.check,), case.source, _last(then), figures, size=wrong + late_before)


def never_seen(case: Case, as_of: datetime) -> Finding | None:
    """Described, and never heard of."""
    if case.status != "new" or case.first_ping_at is not None or case.ended_by(as_of):
        return None
    figures = {"described_at": _when(case.began_at), "schedule": case.schedule, "missed": case.now.missed}
    return Finding("never_seen", "info", (case.check,), case.source, case.began_at, figures)


def _recovered(case: Case, until: datetime) -> bool:
    """One stretch of trouble in the window, over since: worth knowing, nothing to do.

    Twice is a pattern, unless it ended a good while ago.
    """
    found = case.trouble
    if found.streak or found.kept_since < KEPT_AGAIN:
        return False
    last = _last(found)
    over = last is not None and last < until - QUIET and case.status in UP
    return found.episodes == 1 or over


def _finding(kind: Kind, case: Case, wrong: Sequence[int], size: float, figures: dict[str, Any]) -> Finding:
    since = instant(wrong[0]) if wrong else None
    return Finding(kind, case.severity, (case.check,), case.source, since, figures, size=size)


def _figures(case: Case) -> dict[str, Any]:
    """The counts that every sentence about trouble may need."""
    found = case.trouble
    return {
        "schedule": case.schedule,
        "n": found.n if not case.judged else case.now.n,
        "n_before": case.trouble_before.n if not case.judged else case.before.n,
        "missed": len(found.missed_us),
        "failed": len(found.failed_us),
        "hung": len(found.hung_us),
        "missed_at": [_iso(us) for us in found.missed_us],
        "failed_at": [_iso(us) for us in found.failed_us],
        "hung_at": [_iso(us) for us in found.hung_us],
        "never_began": found.never_began,
        "sends_starts": case.sends_starts,
        "exit_status": case.exit_status if found.failed_us or case.down_cause == "failed" else None,
        "kept_since": found.kept_since,
    }


def _last(trouble: Trouble) -> datetime | None:
    return instant(trouble.all_us[-1]) if trouble.all_us else None


def _iso(us: int | None) -> str | None:
    return None if us is None else spell.iso(us)


def _when(at: datetime | None) -> str | None:
    return None if at is None else spell.iso(at)
