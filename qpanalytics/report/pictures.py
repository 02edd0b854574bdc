"""Strips and small curves of the days before the window's end, and the larger figures for what the findings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from qpanalytics import spell
from qpanalytics.instants import TICK, instant, micros
from qpanalytics.report import leading
from qpanalytics.report.model import FEW, Arrivals, Dots, Level, Mark, Strip, Trend
from qpanalytics.report.window import midnight
from qpanalytics.verdict.cases import EARLIER, Case
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.voice import Voice, length

if TYPE_CHECKING:
    from qpanalytics.history import History

STRIP_DAYS = 28
"""How far back strips and curves reach: four weeks show what returns each week."""

MOST_FIGURES = 6
"""Larger figures on one page; more are not looked at."""

FEWEST = 5
"""Below so many arrivals, or days with a duration, a curve of them shows only that there are few."""

_RANKS = ("pending", "excused", "ran", "on_time", "unknown", "late", "missed", "failed", "hung")


@dataclass(frozen=True)
class Days:
    """The days that strips show, in the reader's zone."""

    first: date
    count: int
    since: datetime
    until: datetime
    tz: str

    @classmethod
    def before(cls, until: datetime, count: int, tz: str) -> Days:
        """The `count` local days that end with the one of the last instant before `until`."""
        last = (until - TICK).astimezone(ZoneInfo(tz)).date()
        first = last - timedelta(days=count - 1)
        return cls(first, count, midnight(first, tz), until, tz)

    def spread(self, rows: Sequence[Mapping[str, Any]], value: str) -> dict[int, list[Any]]:
        """One list of `count` days per check; None on days without a row."""
        found: dict[int, list[Any]] = {}
        for row in rows:
            found.setdefault(row["check_id"], [None] * self.count)[(row["day"] - self.first).days] = row[value]
        return found


def strips(history: History, days: Days, cases: Sequence[Case]) -> dict[int, Strip]:
    """One strip per check: the worst outcome of each day, None where nothing was expected."""
    table = history.sql("strip_days", tz=days.tz, from_at=days.since, to_at=days.until).to_pylist()
    worst = days.spread(table, "worst")
    none = [None] * days.count
    return {
        case.check_id: Strip(
            days.first,
            tuple(None if rank is None else _RANKS[rank - 1] for rank in worst.get(case.check_id, none)),
            _began(case, days.tz),
        )
        for case in cases
    }


def _began(case: Case, tz: str) -> date | None:
    """The day of its first ping: before it nothing was due of an interval, and cells of a missed cron tick go first."""
    began = case.first_ping_at or case.began_at
    return None if began is None else began.astimezone(ZoneInfo(tz)).date()


def trends(history: History, days: Days) -> dict[int, Trend]:
    """The median duration of each day, for checks that have one on enough days."""
    table = history.sql("duration_days", tz=days.tz, from_at=days.since, to_at=days.until).to_pylist()
    return {
        check: Trend(days.first, tuple(values))
        for check, values in days.spread(table, "p50_s").items()
        if sum(value is not None for value in values) >= FEWEST
    }


def evidence(
    history: History, cases: Sequence[Case], said: Sequence[Finding], tz: str, most: int = MOST_FIGURES
) -> tuple[Dots | Arrivals, ...]:
    """Figures for what findings name: dots for what grew, arrivals for what came late or not at all.

    What failed or hung, or went down from one day to the next, has no shape to show: its strip says it. A growth of many
    checks shows the first of them.
    """
    by_name = {case.check: case for case in cases}
    wanted = [(by_name[f.check], f) for f in said if _shape(by_name[f.check], f)][:most]
    if not wanted:
        return ()
    since = min(history.since - EARLIER * (history.until - history.since), history.since - timedelta(days=STRIP_DAYS))
    since = max(since, history.until - timedelta(days=90))  # what a session holds for sure
    until_us = micros(history.until)
    changes = [change for case, finding in wanted if (change := leading.told_of(case, finding)) is not None]
    since = max(min([since, *(instant(leading.begins(change, until_us)) for change in changes)]), history.back_to or since)
    rows = history.sql("points", ids=[case.check_id for case, _ in wanted], from_at=since, to_at=history.until)
    points: dict[tuple[int, str], list[tuple[int, float | None]]] = {}
    for row in rows.to_pylist():
        points.setdefault((row["check_id"], row["what"]), []).append((row["at_us"], row["value_s"]))
    made: list[Dots | Arrivals] = []
    voice = Voice(history.since, history.until, history.as_of, tz)
    for case, finding in wanted:
        change = leading.told_of(case, finding)
        what = "duration" if finding.kind == "slower" else "lateness" if change is None else change.metric
        found = points.get((case.check_id, what), [])
        if change is not None:
            came = [(at, value) for at, value in found if value is not None]
            made.append(leading.drawn(case, change, came, finding.sentence, voice))
        elif finding.kind in ("slower", "later"):
            made.append(_dots(history, case, finding, found, what, tz))
        else:
            steps = arrivals(history, case, [value for at, value in found if at >= micros(history.since)])
            made.append(replace(steps, marks=(*steps.marks, *_quieter(case, steps.lateness_s))))
    return tuple(made)


def _shape(case: Case, finding: Finding) -> bool:
    if finding.kind in ("slower", "later") or leading.told_of(case, finding) is not None:
        return True
    if finding.kind == "noisy":
        return len(finding.checks) == 1 and case.now.on_time + case.now.late >= FEWEST
    if finding.kind not in ("late", "missing", "down") or not case.judged or len(finding.checks) > 1:
        return False
    many = finding.kind == "missing" and case.now.n >= FEW  # how far below 100 % the steps end
    return (case.now.late > 0 or many) and case.now.on_time + case.now.late >= FEWEST


def _dots(history: History, case: Case, f: Finding, points: Sequence[tuple[int, float | None]], what: str, tz: str) -> Dots:
    g = f.figures
    windows = g["windows_back"]
    span = history.until - history.since
    then = (history.since - windows * span, history.until - windows * span)
    came = [(at, value) for at, value in points if value is not None and at >= micros(then[0])]
    long = what == "duration"
    limit = case.max_runtime_s if long else case.grace_s
    voice = Voice(history.since, history.until, history.as_of, tz)
    return Dots(
        check=case.check,
        title=f"{case.check}: {'duration of each run' if long else 'how late each run ends'}",
        caption=f"Dots are runs, lines the medians of this {voice.noun} and {voice.before(windows)}",
        alt=f.sentence,
        since_us=micros(then[0]),
        until_us=micros(history.until),
        points=tuple(came),
        tz=tz,
        levels=(
            Level(micros(then[0]), micros(then[1]), g["p50_before_s"], f"median {length(g['p50_before_s'])}"),
            Level(micros(history.since), micros(history.until), g["p50_s"], f"median {length(g['p50_s'])}"),
        ),
        limit_s=limit,
        limit_label="" if limit is None else f"{'limit' if long else 'grace'} {spell.duration(limit)}",
    )


def arrivals(history: History, case: Case, lateness: Sequence[float | None]) -> Arrivals:
    arrived = [value for value in lateness if value is not None]
    never = len(lateness) - len(arrived)
    grace = case.grace_s or 0.0
    after = sum(value > grace for value in arrived)
    told = f"{spell.number(after)} of {spell.plural(len(lateness), 'run')} came after the grace of {spell.duration(grace)}"
    later = f": {spell.number(after)} came later" if after else ""
    lost = f", {spell.number(never)} never" if never else ""
    return Arrivals(
        check=case.check,
        title=f"{case.check}: how late runs arrive",
        caption=f"Share of {spell.plural(len(lateness), 'run')} that had arrived by then",
        alt=f"{case.check}: {told}{lost}; median delay {length(median(arrived))} of those that came.",
        lateness_s=tuple(arrived),
        never=never,
        marks=(Mark(grace, f"grace {spell.duration(grace)}{later}", "bad"),),
    )


def _quieter(case: Case, arrived: Sequence[float]) -> tuple[Mark, ...]:
    """The grace that would have spared pages, with what comes later than that."""
    if case.noise is None or case.noise.grace_s is None:
        return ()
    grace = case.noise.grace_s
    later = sum(value > grace for value in arrived)
    return (Mark(grace, f"suggested {spell.duration(grace)}: {spell.number(later) if later else 'none'} later"),)

