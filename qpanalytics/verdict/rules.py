"""All rules over all checks: one finding a check that asks for somebody, one for one reason, ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from qpanalytics.verdict import rules_change, rules_drift, rules_now, rules_seen
from qpanalytics.verdict.cases import Case
from qpanalytics.verdict.finding import ASKING, Finding
from qpanalytics.verdict.rules_seen import Span

TOGETHER = 3
"""From so many checks on, the same thing for the same reason is told once: a list of eleven equal lines is not read."""

_NOTES = ("not_judged", "cannot_tell", "never_seen", "not_vouched")
"""Notes say the same of every check they are about, so two are enough to be told together."""


def judge(cases: Iterable[Case], span: Span) -> list[Finding]:
    """What is worth saying of these checks, worst first, without words."""
    found = [finding for case in cases for finding in _one(_told(case, span))]
    return sorted(_folded(found), key=lambda finding: finding.order)


def _told(case: Case, span: Span) -> list[Finding]:
    if case.ended_by(span.as_of) or case.status == "paused":
        return []  # whoever paused or retired a check knows
    drifting = rules_drift.drifting(case, span)
    known = rules_drift.covers(drifting, case)
    noisy = rules_drift.noisy(case)
    told = (
        rules_now.down(case),
        rules_now.hung(case, span.until),
        rules_now.failing(case, span.until),
        rules_now.missing(case, span.until),
        drifting,
        rules_drift.faster(case, span),
        None if "lateness" in known else rules_change.later(case),
        None if "duration" in known else rules_change.slower(case),
        rules_seen.not_vouched(case, span),
        rules_now.late(case) if noisy is None else None,  # the same runs, and what can be done about them
        noisy,
        rules_now.recovered(case, span.until),
        rules_now.never_seen(case, span.as_of),
        rules_seen.not_judged(case, span),
        rules_seen.cannot_tell(case),
    )
    return [finding for finding in told if finding is not None]


def _one(told: Sequence[Finding]) -> list[Finding]:
    """The worst finding about a check takes the others that ask with it; notes stay their own."""
    # not_vouched is about the source: that a check fails does not make one fewer whose runs were not seen.
    asking = [f for f in told if f.kind in ASKING and f.kind != "not_vouched"]
    if not asking:
        return list(told)
    asking.sort(key=lambda f: not f.asks)
    rest = [f for f in told if f not in asking]
    late = [f for f in rest if f.kind == "late" and all(other.kind not in ("later", "drifting") for other in asking)]
    # what no setting helps against is one more thing about the trouble that is told
    idle = [f for f in rest if f.kind == "noisy" and f.figures["grace_s"] is None]
    return [replace(asking[0], also=(*asking[1:], *late, *idle)), *(f for f in rest if f.kind != "late" and f not in idle)]


def _folded(found: Sequence[Finding]) -> list[Finding]:
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for number, finding in enumerate(found):
        groups.setdefault(_reason(finding) or (number,), []).append(finding)
    out: list[Finding] = []
    for members in groups.values():
        least = 2 if members[0].kind in _NOTES else TOGETHER
        out += [_together(members)] if len(members) >= least else members
    return out


def _reason(finding: Finding) -> tuple[Any, ...]:
    """What must be equal for findings to have one reason; empty: it is always told alone.

    Checks of one source with one schedule are usually one job that looks at many things.
    """
    f = finding.figures
    if finding.also and finding.kind != "down":
        return ()
    match finding.kind:
        case "down":
            at = "" if finding.since_at is None else f"{finding.since_at:%Y-%m-%d %H:%M}"
            return ("down", finding.asks, finding.source, f["schedule"], f["cause"], at)
        case "missing" | "later" | "late":
            return (finding.kind, finding.asks, finding.source, f["schedule"], f.get("windows_back"))
        case "drifting" | "faster":
            return (finding.kind, finding.asks, finding.source, *(f[name] for name in _ONE_CHANGE))
        case "noisy":
            return ("noisy", finding.source, f["schedule"], f["grace_s"] is None)
        case "recovered":  # from trouble in this window, from trouble before it, from lateness: three sentences
            return ("recovered", finding.source, f["schedule"], "missed_before" in f, bool(f.get("late_before")))
        case "not_vouched":
            return ("not_vouched", finding.asks, finding.source, f["since"], f["until"])
        case "cannot_tell" | "not_judged" | "never_seen":
            return (finding.kind,)
    return ()


def _together(members: Sequence[Finding]) -> Finding:
    """One finding for all: counts are summed, durations become the median, `checks` says how many."""
    members = sorted(members, key=lambda finding: finding.order)
    first = members[0]
    figures: dict[str, Any] = {"checks": len(members)}
    for name, value in first.figures.items():
        values = [member.figures[name] for member in members]
        if all(v == value for v in values) and not _counted(name, value):
            figures[name] = value
        elif isinstance(value, list):
            figures[name] = sorted({at for v in values for at in v})
        elif first.kind in ("drifting", "faster") and name.endswith("_at"):
            figures[name] = min(v for v in values if v is not None)  # since the first of them
        elif name in ("gap_max_s", "max_s", "back_s"):
            figures[name] = max(v for v in values if v is not None)
        elif name.endswith("_s"):
            figures[name] = median(v for v in values if v is not None)
        elif _counted(name, value):
            figures[name] = sum(values)
    return replace(
        first,
        checks=tuple(member.check for member in members),
        severity=min((m.severity for m in members), key=("critical", "warning", "info").index),
        figures=figures,
        size=first.size if first.kind == "down" else sum(member.size for member in members),
        also=(),
    )


_ONE_CHANGE = ("schedule", "metric", "change", "told", "weekday", "meets", "promised", "new")
"""Checks that differ in none of these changed together."""

_NOT_COUNTS = ("weekday", "windows_back", "exit_status", "holes")


def _counted(name: str, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and name not in _NOT_COUNTS
