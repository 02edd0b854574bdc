"""The table of checks: one row each, worst first, kept promises apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from math import isnan

from qpanalytics import spell
from qpanalytics.report.model import CheckRow, Gaps, Quantile, Strip, Tally, Trend
from qpanalytics.verdict.cases import Case, Measure
from qpanalytics.verdict.finding import Finding


def rows(
    cases: Sequence[Case], strips: Mapping[int, Strip], trends: Mapping[int, Trend], said: Sequence[Finding]
) -> tuple[list[CheckRow], list[CheckRow]]:
    """Checks that broke a promise or cannot be judged, worst first, and those that kept every promise, by name.

    The first come in the order in which the findings name them, then by time down, runs that went wrong, and name. That
    a source fell silent says nothing of how its checks do, so it lifts none of them.
    """
    place: dict[str, int] = {}
    silent: set[str] = set()
    for number, finding in enumerate(said):
        if finding.asks and finding.kind == "not_vouched":
            silent.update(finding.checks)
        elif finding.asks:
            for check in finding.checks:
                place.setdefault(check, number)
    every = [f for finding in said for f in (finding, *finding.also)]
    before = {f.check: None for f in every if f.kind == "slower" and f.figures["windows_back"] == 1}
    before |= {f.check: f.figures["before_s"] for f in every if f.kind in ("drifting", "faster") and _tells_duration(f)}
    worse: list[tuple[tuple[object, ...], CheckRow]] = []
    kept: list[CheckRow] = []
    for case in cases:
        row = _row(case, strips[case.check_id], trends.get(case.check_id), case.check in before, before.get(case.check))
        if case.check not in place and case.check not in silent and _kept(case):
            kept.append(row)
            continue
        t = row.tally
        bad = t.missed + t.failed + t.hung + row.reported
        order = (place.get(case.check, len(said)), -(t.down_s or 0.0), -bad, -t.late, not case.cannot_tell, case.check)
        worse.append((order, row))
    return [row for _, row in sorted(worse, key=lambda pair: pair[0])], sorted(kept, key=lambda row: row.check)


def tallies(cases: Iterable[Case], *, before: bool = False) -> list[Tally]:
    """What became of the expected runs, of each check that can be judged by them."""
    return [_tally(case, before) if case.judged else Tally() for case in cases]


def _row(case: Case, strip: Strip, trend: Trend | None, changed: bool, before_s: float | None = None) -> CheckRow:
    gaps = Gaps(case.gap_n, case.gap_p50_s, case.gap_p95_s, case.gap_max_s) if case.cannot_tell else None
    duration = _quantile(case.duration, "not reported" if case.completions > case.failures else "no runs")
    if changed:
        duration = replace(duration, before_s=_known(case.duration.p95_before_s) if before_s is None else before_s)
    lateness = _lateness(case) if case.judged else Quantile(None)
    return CheckRow(
        case.check,
        case.schedule,
        case.tz,
        strip,
        _tally(case, before=False) if case.judged else Tally(),
        lateness=lateness,
        duration=duration,
        trend=trend,
        grace_s=case.grace_s,
        suggested_s=case.suggested_s,
        gaps=gaps,
        runs=case.completions,
        failures=case.failures,
        tags=case.tags,
        down_since_at=case.down_since_at if case.status == "down" else None,
    )


def _tells_duration(f: Finding) -> bool:
    """Whether the change stands beside the 95th percentile of the duration: it is one of it, and news."""
    return len(f.checks) == 1 and f.figures["metric"] == "duration" and f.figures["told"] == "p95" and f.figures["new"]


def _kept(case: Case) -> bool:
    """Whether nothing is to be said against a check: all that was due came in time, and all was seen."""
    if case.schedule is None:
        return case.failures == 0 and case.status in ("up", "started") and not case.holes
    in_time = case.now.n == case.now.on_time and not case.now.unknown
    return in_time and not case.cannot_tell and case.status in ("up", "started", "grace", "paused")


def _tally(case: Case, before: bool) -> Tally:
    counts = asdict(case.before if before else case.now)
    del counts["n"]
    down_s = case.down_before_s if before else case.down_s
    return Tally(**counts, downs=0 if before else case.downs or 0, down_s=down_s)


def _lateness(case: Case) -> Quantile:
    """The 95th percentile; where it falls among runs that did not succeed, how many those were."""
    counts, found = case.now, _quantile(case.lateness, "")
    lost = counts.n - counts.on_time - counts.late
    if found.value_s is not None or not lost:
        return found
    if lost == counts.missed:
        return replace(found, never=lost)
    word = "failed" if lost == counts.failed else "hung" if lost == counts.hung else "went wrong"
    return replace(found, why=f"{spell.number(lost)} {word}")


def _quantile(of: Measure, none: str) -> Quantile:
    value = _known(of.p95_s)
    if value is None:
        return Quantile(None, none, n=of.n)
    return Quantile(value, n=of.n, lo_s=_known(of.p95_lo_s), hi_s=_known(of.p95_hi_s))


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)
