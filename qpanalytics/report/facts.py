"""The figures and verdicts of one window, gathered into `Facts`: what page, text and fragment only format."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.report.alerts import alert_facts
from qpanalytics.report.model import Facts, Finding, Period, Strip, Tally, Trend, Window, figures
from qpanalytics.report.pictures import MOST_FIGURES, STRIP_DAYS, Days, evidence, strips, trends
from qpanalytics.report.queues import MOST_BESIDE, figures_of, queue_facts
from qpanalytics.report.rows import rows, tallies
from qpanalytics.verdict import worded
from qpanalytics.verdict.cases import ADVISED, Case, cases, opened
from qpanalytics.verdict.queue_cases import looked
from qpanalytics.verdict.unseen import unseen
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.verdict.finding import Finding as Said

RULES = (
    "On time: a success arrived by the deadline, expected time plus grace; late: it arrived after it. Missed: nothing "
    "arrived. Failed: it reported a failure and no success followed. Hung: it began and did not end within its limit.",
    "Shares are of the runs that were expected and could be seen; excused, pending and unseen ones are left out.",
    "Time down counts from the first deadline missed, failure or limit passed to the next success, within the window.",
)
QUEUES = (
    "Queues are told from looks at them: jobs that came are those finished and the growth of what waits or runs, so a try again "
    "counts as one more. A promise is broken where a look shows more than was promised.",
)
APART = ("recovered", "noisy")
"""The kinds that ask for nobody and have sections of their own; all others are worth knowing."""

SUGGESTED = (
    "A grace is suggested that keeps the budget of false alarms, from the year before the window's end: qpa grace has its price."
)
SUGGESTED_SOME = f"{SUGGESTED} On this page it is, of the {ADVISED} checks with the most late runs."
CANNOT_TELL = (
    "Where runs come at any moment between two ticks, which of them was late has no answer: such checks have no rate, "
    "and only the failures they report are counted."
)


def facts(history: History, *, period: Period, tz: str = "UTC", command: str = "", made_by: str = "") -> Facts:
    """Everything that a digest of the window of `history` shows; days and clock times in `tz`.

    Checks whose last promise had ended before the window are left out, and counted in the accounting rules. Totals are
    the sums of the rows; checks without a schedule, or that cannot be judged by their ticks, add nothing to them.
    """
    days = Days.before(history.until, STRIP_DAYS, tz)
    voice = Voice(history.since, history.until, history.as_of, tz)
    with opened(history) as history:
        known = cases(history)
        told = [case for case in known if not case.ended_by(history.since)]
        seen = looked(history, tz=tz)
        told_of = worded(known, history, tz=tz, queues=seen)
        said = [finding for finding in told_of if finding.about == "check"]
        strip = strips(history, days, told)
        trend = trends(history, days)
        drawn = () if seen is None else figures_of(history, seen, told_of, MOST_FIGURES, voice)
        shown = evidence(history, told, said, tz, MOST_FIGURES - min(len(drawn), MOST_BESIDE))
        drawn = drawn[: MOST_FIGURES - len(shown)]
        alerts = alert_facts(history, voice)
    worse, kept = rows(told, strip, trend, said)
    totals = Tally.total(row.tally for row in (*worse, *kept))
    before = Tally.total(tallies(known, before=True))
    reported_before = sum(len(case.trouble_before.failed_us) for case in known if not case.judged)
    by_name = {case.check: case for case in told}
    findings = [(finding, pictured(finding, by_name, strip, trend)) for finding in told_of]
    share, missing = coverage(told)
    return Facts(
        Window(period, history.since, history.until, history.as_of, tz),
        totals,
        (*(() if seen is not None and not told else figures(totals, before, (*worse, *kept), reported_before)), *alerts.figures),
        tuple(worse),
        tuple(kept),
        needs=tuple(made for finding, made in findings if finding.asks),
        quieten=tuple(made for finding, made in findings if finding.kind == "noisy"),
        better=tuple(made for finding, made in findings if finding.kind == "recovered"),
        notes=tuple(made for finding, made in findings if not finding.asks and finding.kind not in APART),
        evidence=shown,
        coverage=share,
        unseen_s=missing,
        unseen=(*unseen(told, voice), *alerts.unseen),
        notices=notices(history),
        rules=(*_rules(told, len(known) - len(told), voice, seen is not None), *alerts.rules),
        command=command,
        made_by=made_by,
        queues=None if seen is None else queue_facts(seen, told_of, drawn, voice),
        alerts=alerts.lines,
    )


def pictured(said: Said, cases: dict[str, Case], strip: dict[int, Strip], trend: dict[int, Trend]) -> Finding:
    """A finding as a page shows it: what asks for somebody comes with its command and a small picture."""
    picture: Strip | Trend | None = None
    case = cases.get(said.check)
    shown = said.asks or said.kind == "noisy"
    if said.about == "check" and shown and len(said.checks) == 1 and case is not None and said.kind != "not_vouched":
        days = strip.get(case.check_id)
        picture = trend.get(case.check_id, days) if _of_duration(said) else days
    # A source that fell silent is one thing to look after, however many checks it tells of.
    silent = said.about == "source" or (said.kind == "not_vouched" and len(said.checks) > 1)
    return Finding(
        said.kind,
        said.label,
        said.tone,
        said.sentence,
        said.subject,
        () if silent or said.about != "check" else said.checks,
        said.detail,
        said.command if shown else "",
        picture,
        said.checks if said.about == "queue" and said.figures["queue"] != "*" else (),
        said.checks if said.about == "worker" else (),
    )


def _of_duration(said: Said) -> bool:
    return said.kind in ("slower", "faster") or (said.kind == "drifting" and said.figures["metric"] == "duration")


def coverage(told: Sequence[Case]) -> tuple[float | None, float | None]:
    """The share of the checks' windows that was vouched for, and the seconds missing of it, added over checks."""
    whole = fsum(case.window_s for case in told)
    if not whole:
        return None, None
    seen = fsum(case.vouched_s for case in told)
    missing = round(whole - seen, 6)
    if not missing:
        return 1.0, None
    # Of many checks the sum is a time that no window has ("84 days of a week unseen"): then only the share is said.
    longest = max(case.window_s for case in told)
    return seen / whole, missing if missing <= longest else None


def notices(history: History) -> tuple[str, ...]:
    why = history.why_as_of
    return (f"{why[:1].upper()}{why[1:]}.",) if why else ()


def _rules(told: Sequence[Case], left_out: int, voice: Voice, queues: bool) -> tuple[str, ...]:
    found = [*(RULES if told or not queues else ()), *(QUEUES if queues else ())]
    if any(case.suggested_s is not None for case in told):
        found.append(SUGGESTED_SOME if sum(case.judged for case in told) > ADVISED else SUGGESTED)
    if any(case.cannot_tell for case in told):
        found.append(CANNOT_TELL)
    if left_out:
        ended = f"{spell.plural(left_out, 'check')} whose last promise had ended before this {voice.noun}"
        found.append(f"Left out: {ended}.")
    return tuple(found)
