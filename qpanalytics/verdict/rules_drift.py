"""Rules about changes with a date: drifting, suddenly faster. And about pages for nothing. Figures -> Finding, no words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.instants import instant, micros
from qpanalytics.verdict.cases import EARLIER, Case
from qpanalytics.verdict.finding import Finding, Kind
from qpanalytics.verdict.rules_change import EXPLAINED, at_most_warning, matters, runtime
from qpanalytics.verdict.rules_now import FEW
from qpanalytics.verdict.rules_seen import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.analysis.moved import Moved

SOON = timedelta(days=28)
"""A limit that is met within four weeks asks for somebody, however long the way there has been known."""

THIRD = 0.4
"""A job that takes a third of its time, or little more, does something else than before ..."""

AT_LEAST_S = 10.0
"""... unless it took seconds: those are as easily saved by a warm cache."""


def drifting(case: Case, span: Span) -> Finding | None:
    """A step or a trend in force that makes it slower or later: it asks where it is new or meets a limit soon.

    A step is told when it is new and stands after that: as a note for some windows, then no more. A trend is told as long
    as it goes on. A change together with one of the schedule or of a limit was somebody's wish.
    """
    if case.status == "down" or (case.schedule is not None and case.ever_n < FEW):
        return None
    grown = [m for m in case.drifts if m.after_s > m.before_s and (_matters(m, case) or _soon(m, span))]
    told = _first(grown)
    if told is None:
        return None
    new, soon = _new(told, span), any(_soon(m, span) for m in grown)
    if not (new or soon) and not _standing(told, span):
        return None
    asks = (new or soon) and not told.promised
    figures = _figures(told, case, new) | _meeting(told, grown)
    return _finding("drifting", case, told, figures, asks=asks)


def faster(case: Case, span: Span) -> Finding | None:
    """From one run to the next it takes a third of its time: what it did in the rest may be missing."""
    if case.status == "down" or (case.schedule is not None and case.ever_n < FEW):
        return None
    steps = [m for m in case.drifts if m.metric == "duration" and m.kind == "step" and not m.weekday]
    told = next((m for m in steps if m.before_s >= AT_LEAST_S and m.after_s <= THIRD * m.before_s), None)
    if told is None or not (_new(told, span) or _standing(told, span)):
        return None
    # a step that is undone is none; of the median it is said, since its longest run may be as long as ever
    plain = replace(told, high_before_s=None, high_after_s=None)
    new = _new(told, span)
    return _finding("faster", case, told, _figures(plain, case, new), asks=new and not told.promised)


def noisy(case: Case) -> Finding | None:
    """Most of its pages were for runs that came by themselves; with the grace that would have spared them, and its price."""
    found = case.noise
    if found is None:
        return None
    figures = {
        "schedule": case.schedule,
        "delivered": found.delivered,  # else a replay says what would have been sent
        "pages": found.pages,
        "false": found.false,
        "false_at": [spell.iso(us) for us in found.false_us],
        "back_s": found.back_s,
        "grace_now_s": found.grace_now_s,
        "grace_s": found.grace_s,
        "spared": found.spared,
        "later_s": found.later_s,
        "lost": found.lost,
        "lost_days": found.lost_days,
        "reason": found.why,
    }
    since = instant(found.false_us[0])
    return Finding("noisy", "info", (case.check,), case.source, since, figures, size=float(found.false))


def covers(of: Finding | None, case: Case) -> set[str]:
    """The metrics whose growth is told by a finding about drift, so that nothing else tells it again."""
    if of is None:
        return set()
    return {of.figures["metric"], *(m.metric for m in case.drifts if m.after_s > m.before_s)}


def _first(grown: Sequence[Moved]) -> Moved | None:
    """The change to tell: how long it takes, unless lateness grew by more than that explains; the largest of them."""
    by = {m.metric: m for m in sorted(grown, key=lambda m: m.after_s - m.before_s)}
    ran, late = by.get("duration"), by.get("lateness")
    if ran is None or late is None:
        return ran or late
    return ran if ran.after_s - ran.before_s >= EXPLAINED * (late.after_s - late.before_s) else late


def _matters(m: Moved, case: Case) -> bool:
    allowance = runtime(case) if m.metric == "duration" else case.grace_s
    return matters(m.after_s - m.before_s, m.before_s, allowance)


def _soon(m: Moved, span: Span) -> bool:
    return m.kind == "trend" and m.meets_us is not None and m.meets_us <= micros(span.until + SOON)


def _new(m: Moved, span: Span) -> bool:
    return m.known_us >= micros(span.since)


def _standing(m: Moved, span: Span) -> bool:
    return m.kind == "trend" or m.known_us >= micros(span.since - EARLIER * (span.until - span.since))


def _figures(m: Moved, case: Case, new: bool) -> dict[str, Any]:
    before_s, after_s = m.pair_s
    return {
        "schedule": case.schedule,
        "metric": m.metric,
        "change": m.kind,
        "told": m.told,
        "before_s": before_s,
        "after_s": after_s,
        "n_before": m.n_before,
        "n_after": m.n_after,
        "changed_at": spell.iso(m.changed_us),
        "changed_lo_at": spell.iso(m.lo_us),
        "changed_hi_at": spell.iso(m.hi_us),
        "known_at": spell.iso(m.known_us),
        "weekday": m.weekday,
        "promised": m.promised,
        "new": new,
        "meets": "",
        "limit_s": None,
        "allowed_s": case.max_runtime_s if m.metric == "duration" else case.grace_s,
    }


def _meeting(told: Moved, grown: Sequence[Moved]) -> dict[str, Any]:
    """The limit that is met first, by whatever grew: how late a run ends grows with how long it takes.

    Where the dates cannot be told apart it is the limit of the change that is told, which is the one drawn, too.
    """
    met = [m for m in grown if m.meets_us is not None]
    if not met:
        return {}
    first = min(met, key=lambda m: m.meets_us or 0)
    if told in met and (told.meets_lo_us or told.meets_us or 0) <= (first.meets_hi_us or first.meets_us or 0):
        first = told
    dates = {"meets_at": first.meets_us, "meets_lo_at": first.meets_lo_us, "meets_hi_at": first.meets_hi_us}
    said = {name: None if us is None else spell.iso(us) for name, us in dates.items()}
    return {"meets": first.meets, "limit_s": first.limit_s, "reached": first.reached, **said}


def _finding(kind: Kind, case: Case, m: Moved, figures: dict[str, Any], *, asks: bool) -> Finding:
    severity = at_most_warning(case) if asks else "info"
    size = abs(m.after_s - m.before_s) / max(abs(m.before_s), 1.0)
    return Finding(kind, severity, (case.check,), case.source, instant(m.changed_us), figures, size=size)
