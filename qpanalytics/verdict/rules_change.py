"""Rules about what changed against another window: later and slower. Figures -> Finding, no words."""

from __future__ import annotations

from math import isnan

from qpanalytics.verdict.cases import Against, Case, Measure, known
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.rules_now import FEW

OF_ALLOWANCE = 0.2
"""A change matters if it eats a fifth of the grace (of the max runtime, for a duration): five such and it is gone."""

OF_BEFORE = 0.2
"""Else it matters if it is a fifth of what it was: less is the difference between two weeks of the same job ..."""

AT_LEAST_S = 60.0
"""... and a minute: nobody gets up because 2 s became 3 s."""

EXPLAINED = 0.8
"""A run that takes longer ends later. Where duration explains so much of the lateness, only `slower` is told."""


def later(case: Case) -> Finding | None:
    """Arrives later than before: the interval of the median's change lies above 0, and the change matters.

    For a job that sends neither starts nor durations, lateness holds its run time: it grows later instead of slower.
    """
    if not case.judged or case.status == "down" or case.ever_n < FEW:
        return None
    found = _grown(case.lateness, case.grace_s)
    if found is None:
        return None
    longer = _grown(case.duration, runtime(case))
    if longer is not None and longer.change_s >= EXPLAINED * found.change_s:
        return None
    figures = _figures(case.lateness, found) | {
        "schedule": case.schedule,
        "grace_s": case.grace_s,
        "late": case.now.late,
        "late_before": case.before.late,
        "expected": case.now.n,
    }
    return Finding("later", at_most_warning(case), (case.check,), case.source, None, figures, size=_size(found))


def slower(case: Case) -> Finding | None:
    """Runs longer than before, by the same rule."""
    if case.status == "down" or (case.schedule is not None and case.ever_n < FEW):
        return None
    found = _grown(case.duration, runtime(case))
    if found is None:
        return None
    figures = _figures(case.duration, found) | {"max_runtime_s": case.max_runtime_s, "grace_s": case.grace_s}
    return Finding("slower", at_most_warning(case), (case.check,), case.source, None, figures, size=_size(found))


def _grown(of: Measure, allowance_s: float | None) -> Against | None:
    """The comparison that shows a growth which is real and matters; the window before is asked first."""
    return next((a for a in of.against if a.lo_s > 0 and matters(a.change_s, a.p50_s, allowance_s)), None)


def matters(change_s: float, before_s: float, allowance_s: float | None) -> bool:
    """Whether somebody should hear of a growth by so much, seconds."""
    if isnan(change_s):
        return False
    if allowance_s and change_s >= OF_ALLOWANCE * allowance_s:
        return True
    return change_s >= AT_LEAST_S and change_s >= OF_BEFORE * abs(before_s)


def runtime(case: Case) -> float | None:
    """What a run may take. Without a max runtime the grace is what it uses up, if it is expected at all."""
    return case.max_runtime_s or case.grace_s


def _size(of: Against) -> float:
    return of.change_s / max(abs(of.p50_s), 1.0)


def at_most_warning(case: Case) -> str:
    """What grows is not broken yet, however critical its check."""
    return "warning" if case.severity == "critical" else case.severity


def _figures(of: Measure, found: Against) -> dict[str, float | int | None]:
    return {
        "n": of.n,
        "n_before": found.n,
        "windows_back": found.windows,
        "p50_s": known(found.now_s),
        "p50_before_s": known(found.p50_s),
        "change_lo_s": known(found.lo_s),
        "change_hi_s": known(found.hi_s),
        "p95_s": known(of.p95_s),
        "max_s": known(of.max_s),
    }
