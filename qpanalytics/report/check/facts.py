"""One check over one window, gathered into `CheckFacts`: what its page and its text only format."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import isnan
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import reading, stats
from qpanalytics.analysis.success import counted
from qpanalytics.errors import UsageError
from qpanalytics.history import Pick
from qpanalytics.instants import TICK
from qpanalytics.report.check import figures, losses
from qpanalytics.report.check.model import CheckFacts, Promise, RunLine, Share
from qpanalytics.report.check.patterns import patterns
from qpanalytics.report.check.prices import prices
from qpanalytics.report.facts import APART, CANNOT_TELL, RULES, coverage, notices, pictured
from qpanalytics.report.model import Quantile, Strip, Tally, Window
from qpanalytics.report.pictures import Days, strips, trends
from qpanalytics.report.rows import rows, tallies
from qpanalytics.report.window import midnight
from qpanalytics.verdict import worded
from qpanalytics.verdict.cases import Case, cases, opened
from qpanalytics.verdict.unseen import unseen
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.analysis.stats import Floats
    from qpanalytics.history import History

WINDOW_DAYS = 90
"""The days of the page where no window is asked for, the day of as_of among them."""

STRIP = 30
"""Days in one strip: three of them are 90 days, and one fills a phone."""

MOST_DAYS = 360
"""Days that are drawn; of a longer window the last ones."""

MOST_RUNS = 20
SAID_MOST = 120
"""Letters of the first line of a body that are shown: what a person reads in a table."""

PRICES = (
    "A false alarm is a page for a run that came by itself before half of the time to the next one was gone; what is missed, "
    "fails or hangs is never false, and each late run is one page. Prices are of runs like those counted."
)


def last_days(history: History, tz: str) -> History:
    """The same history over the 90 local days of which that of as_of is the last, up to as_of."""
    until = history.as_of + TICK
    return history.window(Days.before(until, WINDOW_DAYS, tz).since, until)


def check_facts(history: History, check: str, *, tz: str = "UTC", command: str = "", made_by: str = "") -> CheckFacts:
    """Everything that the page of `check` shows over the window of `history`; days and clock times in `tz`.

    UsageError where the history leaves that check out.
    """
    shown = replace(history, pick=Pick((check,), history.pick.tags, history.pick.sources)).window(history.since, history.until)
    voice = Voice(shown.since, shown.until, shown.as_of, tz)
    days, left_out = _days(shown, tz)
    with opened(shown) as shown:
        known = cases(shown, closely=True)
        case = next((c for c in known if c.check == check), None)  # the name may be a pattern that meets others, too
        if case is None:
            raise UsageError(f"the check {spell.quoted(check)} has none of the tags and sources asked for. See: qpa checks")
        said = worded([case], shown, tz=tz)
        strip = strips(shown, days, [case])
        trend = trends(shown, days)
        stand = next(r for r in shown.sql("checks").to_pylist() if r["check"] == check)
        judgement = next(r for r in counted(shown, "check") if r["check_id"] == case.check_id)
        points = figures.points(shown, case)
        priced = prices(shown, case)
        drawn = figures.figures(shown, case, points, said, tz, None if priced is None else priced.suggested_s)
        worse_times = patterns(shown, case)
        downs, downs_more, downs_more_s = losses.downs(shown, case)
        runs = shown.sql("one_runs", id=case.check_id, most=MOST_RUNS).to_pylist()
        all_runs = shown.sql("runs").column("check").to_pylist().count(check)
    worse, kept = rows([case], strip, trend, said)
    row = (*worse, *kept)[0]
    before = Tally.total(tallies([case], before=True))
    findings = [(f, pictured(f, {check: case}, {}, {})) for f in said]
    share, missing = coverage([case])
    late = points.lateness if case.judged else np.array([])
    t = row.tally
    return CheckFacts(
        Window("custom", shown.since, shown.until, shown.as_of, tz),
        check,
        _promise(case, stand),
        row,
        before if before.n else None,
        _share(t.on_time, t.n),
        _share(t.on_time + t.late, t.n),
        _share(case.failures, case.completions),
        _quantile(late, 0.5),
        _quantile(points.duration, 0.5),
        _quantile(points.gaps, 0.5),
        _quantile(points.gaps, 0.95),
        float(points.gaps[-1]) if len(points.gaps) else None,
        _pieces(strip[case.check_id]),
        left_out,
        case.cannot_tell,
        _states(case, voice, judgement),
        tuple(made for f, made in findings if f.asks),
        tuple(made for f, made in findings if f.kind == "noisy"),
        tuple(made for f, made in findings if f.kind == "recovered"),
        tuple(made for f, made in findings if not f.asks and f.kind not in APART),
        drawn,
        worse_times,
        downs,
        downs_more,
        downs_more_s,
        priced,
        tuple(_line(run) for run in runs),
        all_runs - len(runs),
        share,
        missing,
        tuple(unseen([case], voice)),
        notices(history),
        (*RULES, *((CANNOT_TELL,) if case.cannot_tell else ()), *((PRICES,) if priced and priced.rows else ())),
        command,
        made_by,
    )


def _days(history: History, tz: str) -> tuple[Days, int]:
    """The local days of the window, the last 360 of them, and how many are left out."""
    zone = ZoneInfo(tz)
    until = min(history.until, history.as_of + TICK)
    last = (until - TICK).astimezone(zone).date()
    first = min(history.since.astimezone(zone).date(), last)
    count = (last - first).days + 1
    left_out = max(count - MOST_DAYS, 0)
    first += timedelta(days=left_out)
    return Days(first, count - left_out, max(midnight(first, tz), history.since), until, tz), left_out


def _pieces(of: Strip) -> tuple[Strip, ...]:
    """The strip in pieces of 30 days, the last one whole; those wholly before the check began are left out."""
    starts = range(len(of.cells) % STRIP - STRIP if len(of.cells) % STRIP else 0, len(of.cells), STRIP)
    made = [
        Strip(of.first_day + timedelta(days=max(i, 0)), of.cells[max(i, 0) : i + STRIP], of.began)
        for i in starts
    ]
    known = [piece for piece in made if piece.before < len(piece.cells)]
    return tuple(known or made[-1:])


def _promise(case: Case, stand: dict[str, Any]) -> Promise:
    return Promise(
        case.source,
        stand["key"],
        stand["name"],
        case.status,
        case.schedule,
        case.tz,
        case.grace_s,
        case.max_runtime_s,
        case.severity,
        case.tags,
        stand["next_expected_at"],
        stand["deadline_at"],
        stand["last_ping_at"],
        case.began_at,
        case.ended_at,
    )


def _share(k: int, n: int) -> Share:
    if not n:
        return Share(k, n)
    lo, hi = stats.wilson(k, n)
    return Share(k, n, float(lo), float(hi))


def _quantile(values: Floats, p: float) -> Quantile:
    """A quantile of ascending values with its interval; infinity stands for a run that never came."""
    value = stats.quantile(values, p)
    if isnan(value):
        return Quantile(None, never=int(np.isinf(values).sum()), n=len(values))
    lo, hi = stats.quantile_interval(values, p)
    return Quantile(value, n=len(values), lo_s=None if isnan(lo) else lo, hi_s=None if isnan(hi) else hi)


def _states(case: Case, voice: Voice, row: reading.Row) -> tuple[str, ...]:
    """What cannot be said of the check, and why; empty where everything can."""
    said: list[str] = []
    if case.first_ping_at is None:
        said.append("No ping of it has come by then, so there are no runs to show.")
    if case.ended_by(voice.as_of):
        assert case.ended_at is not None
        said.append(f"Its last promise ended {voice.moment(case.ended_at)}; nothing has been due since.")
    elif case.status == "paused":
        said.append("It is paused: nothing is due, and runs expected meanwhile are excused.")
    if case.cannot_tell:
        said.append(_ticks(row))
    elif case.schedule is None:
        said.append("It has no schedule, so no run was ever due: there is no rate and no lateness, only what ran.")
    elif not case.now.n and case.first_ping_at is not None:
        said.append(f"There is no rate and no lateness: {row['reason'] or 'nothing was counted'}.")
    elif not case.now.n:
        said.append(f"No run is counted: {row['reason']}." if row["reason"] else "No run is counted.")
    return tuple(said)


def _ticks(row: reading.Row) -> str:
    return (
        "Its runs come at any moment between two ticks, so which tick a run belongs to has no answer: there is no rate and no "
        f"lateness. The middle 80 % of completions spread over {row['spread']:.0%} of the time from tick to tick, and above "
        "60 % ticks cannot be told apart. Judge it by the time between completions."
    ).replace("%", " %").replace("  %", " %")


def _line(run: dict[str, Any]) -> RunLine:
    body = run.pop("body")
    first: str = next((line.strip() for line in (body or "").splitlines() if line.strip()), "")
    said = first if len(first) <= SAID_MOST else f"{first[: SAID_MOST - 3]}..."
    return RunLine(**run, said=said)


