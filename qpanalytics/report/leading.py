"""What a figure of runs shows of a change: the level before it, its date, the line since, and where that leads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.instants import instant, micros
from qpanalytics.report.model import Ahead, Dots, Level
from qpanalytics.verdict.voice import Voice, length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.analysis.moved import Moved
    from qpanalytics.verdict.cases import Case
    from qpanalytics.verdict.finding import Finding

BEFORE = timedelta(days=28)
"""So much of the time before a change is drawn at least, or as much as there is since it."""


def told_of(case: Case, finding: Finding) -> Moved | None:
    """The change that a finding tells, to be drawn."""
    if finding.kind not in ("drifting", "faster"):
        return None
    at, metric = finding.figures["changed_at"], finding.figures["metric"]
    own = [m for m in case.drifts if m.metric == metric]
    # of several checks the first is drawn, which may have changed on another day than the first of them
    return next((m for m in own if spell.iso(m.changed_us) == at), own[-1] if own else None)


def begins(m: Moved, until_us: int) -> int:
    """Where a figure of it begins, epoch microseconds."""
    return m.changed_us - max(micros_of(BEFORE), until_us - m.changed_us)


def micros_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def drawn(case: Case, m: Moved, points: Sequence[tuple[int, float]], alt: str, voice: Voice) -> Dots:
    """The runs around a change, with the line of what is told of it and the way to the limit."""
    long = m.metric == "duration"
    until_us = micros(min(voice.until, voice.as_of))
    before_s, after_s = m.pair_s
    since_us = max(begins(m, until_us), min((us for us, _ in points), default=m.changed_us))
    limit_s, limit = _limit(case, m)
    line = "95th percentile" if m.told == "p95" else "median"
    return marked(
        Dots(
            check=case.check,
            title=f"{case.check}: {'duration of each run' if long else 'how late each run ends'}",
            caption=f"Dots are runs, the line is the {line}",
            alt=alt,
            since_us=since_us,
            until_us=until_us,
            points=tuple(point for point in points if point[0] >= since_us),
            tz=voice.tz,
            levels=(Level(since_us, m.changed_us, before_s, f"{m.told} {length(before_s)}"),),
            limit_s=limit_s,
            limit_label=limit,
            path=m.path,
            path_label=f"{m.told} {length(after_s)}",
        ),
        (m,),
        voice,
    )


def marked(of: Dots, changes: Sequence[Moved], voice: Voice) -> Dots:
    """The same figure with the dates of changes, and the way ahead of the last one that leads to its limit."""
    uprights = tuple(
        (m.changed_us, f"{'trend since' if m.kind == 'trend' else 'change on'} {voice.dated(instant(m.changed_us))}")
        for m in sorted(changes, key=lambda m: m.changed_us)
        if of.since_us <= m.changed_us <= of.until_us
    )
    of = replace(of, changes=(*of.changes, *uprights))
    leads = next((m for m in changes if m.ahead and m.in_force), None)
    if leads is None or leads.meets_us is None or leads.meets_lo_us is None or leads.meets_hi_us is None:
        return of
    about = f"about {voice.dated(instant(leads.meets_us))}"
    ahead = Ahead(leads.ahead, leads.meets_us, leads.meets_lo_us, leads.meets_hi_us, about)
    # a cone that is far wider than the way to it would press the runs together
    far = leads.meets_us + (leads.meets_us - of.since_us) // 3
    limit_s, limit = (of.limit_s, of.limit_label) if of.limit_s == leads.limit_s else _named(leads)
    return replace(
        of,
        ahead=ahead,
        until_us=max(of.until_us, min(leads.meets_hi_us, far)),
        caption=f"{of.caption}; dashed: p95 if it goes on like this",
        limit_s=limit_s,
        limit_label=limit,
    )


def _limit(case: Case, m: Moved) -> tuple[float | None, str]:
    """The limit that it reaches, else the one that it must stay below."""
    if m.limit_s is not None:
        return _named(m)
    if m.metric == "duration":
        limit_s, name = case.max_runtime_s, "limit"
    else:
        limit_s, name = case.grace_s, "grace"
    return limit_s, "" if limit_s is None else f"{name} {spell.duration(limit_s)}"


def _named(m: Moved) -> tuple[float | None, str]:
    name = "next run after" if m.meets == "interval" else m.meets.replace("_", " ")
    return m.limit_s, f"{name} {spell.duration(m.limit_s)}"
