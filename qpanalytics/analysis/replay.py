"""What a policy would have sent: pages, which of them were for something real, what it missed, how soon it was noticed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis.alternatives import Alternative, default
from qpanalytics.analysis.reading import Row, counts, reals, texts
from qpanalytics.analysis.replaying import past, sent
from qpanalytics.instants import micros
from qpanalytics.policy.changes import Change, Incident, IncidentChange, Member, Notice
from qpanalytics.policy.events import Event
from qpanalytics.policy.routing import within
from qpanalytics.words import Columns

if TYPE_CHECKING:
    from qpanalytics.history import History

#: The kind of trouble that is of no run.
DRIFTING = "drifting"
COLUMNS = Columns(
    policy="name of the policy",
    checks="checks that were replayed",
    n="expected runs of the window that were judged: on time, late, missed, failed and hung ones",
    bad="of these, those that were really bad: missed, failed, hung, or later than `late_is_real_s`",
    pages="times that somebody was told of trouble, however many channels carried it: openings and escalations",
    real="pages for at least one really bad run",
    false="pages only for runs that came by themselves, no later than that",
    unjudged="pages for what has no expected run, or whose run was not seen to its end",
    missed="really bad runs that nobody was told of",
    night_pages="pages between 22:00 and 07:00 in the zone asked for",
    notices="messages to channels of all kinds: also reminders, recoveries and summaries",
    time_to_notice_p50_s="median time from a bad run's expected time to the page for it, seconds; NaN where there was none",
    time_to_notice_p90_s="90th percentile of the same",
    why="what was left out, else empty",
)
DIFF = Columns(
    check="name of the check",
    expected_at="when the run was expected that a page was for; the time of the trouble where none was",
    outcome="what became of that run",
    lateness_s="how late it came, seconds; NaN where it did not",
    real="it was really bad; missing where that is not known",
    one="what the first policy said of it: the kind, and when it was told; empty: nothing",
    other="what the other said",
    later_s="how much later the other told it, seconds; NaN where only one did",
)
#: From when to when it is night.
NIGHT = "22:00-07:00"
PAGES = ("open", "escalate")
BAD = ("missed", "failed", "hung")


@dataclass(frozen=True, slots=True)
class _Run:
    """One expected run as it ended."""

    deadline: int
    completed: int | None
    outcome: str
    lateness_s: float
    real: bool | None


Key = tuple[str, int]
#: A stretch of trouble: its incident, the member's name, since when.
_Span = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Page:
    """One time that somebody is told of trouble: when (epoch microseconds), for which runs (check, expected time), whether for
    something real (None: that is not known), and how long after it the last of these runs had come by itself, seconds.
    """

    at: int
    runs: tuple[Key, ...]
    real: bool | None
    back_s: float


@dataclass
class _Told:
    """What one policy told: pages with the runs they were for, and since when to when each check was known to be in trouble."""

    pages: list[tuple[int, tuple[Key, ...]]] = field(default_factory=list)
    first: dict[Key, tuple[int, str]] = field(default_factory=dict)
    covered: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    notices: int = 0


def replay(
    history: History, *, policies: Sequence[Alternative] = (), tz: str = "UTC", also: Sequence[Event] = ()
) -> pd.DataFrame:
    """What each policy would have sent over the window, one row each; without any, the policy that needs no configuration.

    The engine that live alerting runs is told the pings, pauses and looks of the window in order, so conditions, grouping,
    routes, quiet hours and limits are those that people get. A page is *real* if it was for a run that ended missed, failed
    or hung, or came later than `late_is_real_s` of the policy (default: half the gap to the next run), *false* if its runs
    all came by themselves before that. Failures in a row, groups and quiet hours hold pages back: a bad run is *missed* if
    no notice named its check while it, or the same stretch of trouble, lasted.
    Time to notice runs from the expected time, so a long grace shows in it. `also` are further facts that were known
    then, such as what a daily look for drift said (`analysis.drifted`); without them drift is left out.

    >>> replay(qpa.demo()).pages.item() >= replay(qpa.demo()).real.item()
    True
    """
    chosen = tuple(policies) or (default(history),)
    told = _run(history, chosen, also)
    rows = [_row(one, found, runs, history, tz) for one, (found, runs) in zip(chosen, told, strict=True)]
    names = [row["policy"] for row in rows]
    whole = ("checks", "n", "bad", "pages", "real", "false", "unjudged", "missed", "night_pages", "notices")
    data: Row = {"policy": texts(names), "why": texts(row["why"] for row in rows)}
    data |= {name: counts(row[name] for row in rows) for name in whole}
    data |= {f"time_to_notice_p{q}_s": reals(row[f"p{q}"] for row in rows) for q in (50, 90)}
    return COLUMNS.order(pd.DataFrame(data))


def differences(history: History, one: Alternative, other: Alternative, *, also: Sequence[Event] = ()) -> pd.DataFrame:
    """Each run that the two policies said something else of, by time: told by one only, or at another time."""
    (first, runs), (second, _) = _run(history, (one, other), also)
    rows: list[Row] = []
    for key in sorted({*first.first, *second.first}, key=lambda k: (k[1], k[0])):
        a, b = first.first.get(key), second.first.get(key)
        if a == b:
            continue
        run = runs.get(key)
        rows.append(
            {
                "check": key[0], "expected_at": key[1], "outcome": run.outcome if run else "", "real": run.real if run else None,
                "lateness_s": run.lateness_s if run else nan, "one": _said(a), "other": _said(b),
                "later_s": (b[0] - a[0]) / 1e6 if a and b else nan,
            }
        )  # fmt: skip
    frame = pd.DataFrame(
        {
            "check": texts(r["check"] for r in rows),
            "expected_at": pd.to_datetime(pd.Series([r["expected_at"] for r in rows], dtype="int64"), unit="us", utc=True),
            "outcome": texts(r["outcome"] for r in rows),
            "lateness_s": reals(r["lateness_s"] for r in rows),
            "real": pd.array([r["real"] for r in rows], dtype="boolean"),
            "one": texts(r["one"] for r in rows),
            "other": texts(r["other"] for r in rows),
            "later_s": reals(r["later_s"] for r in rows),
        }
    )
    return DIFF.order(frame)


def pages(history: History, policies: Sequence[Alternative], ids: Sequence[int]) -> list[list[Page]]:
    """The pages that each policy would have sent for these checks over the window, and what each of them was for."""
    return [
        [Page(at, keys, _real(keys, runs), _back_s(at, keys, runs)) for at, keys in told.pages]
        for told, runs in _run(history, policies, ids=ids)
    ]


def _said(told: tuple[int, str] | None) -> str:
    return "" if told is None else f"{told[1]} at {spell.iso(told[0])}"


def _run(
    history: History, chosen: Sequence[Alternative], also: Sequence[Event] = (), *, ids: Sequence[int] | None = None
) -> list[tuple[_Told, dict[Key, _Run]]]:
    with history.session():
        happened = past(history, also, ids=ids)
        ended = history.sql("replay_occurrences", ids=None if ids is None else list(ids)).to_pylist()
    since_us = micros(history.since)
    found = []
    for one in chosen:
        runs = {(row["name"], row["expected_us"]): _ended(row, one.policy.late_is_real_s) for row in ended}
        found.append((_told(sent(happened, one.policy, one.overrides), since_us, happened.until_us), runs))
    return found


def _ended(row: Row, late_is_real_s: float | None) -> _Run:
    outcome, lateness_s = row["outcome"], row["lateness_s"]
    real: bool | None = None
    if outcome in BAD:
        real = True
    elif outcome in ("on_time", "late"):
        most = late_is_real_s if late_is_real_s is not None else None if row["gap_s"] is None else row["gap_s"] / 2
        real = most is not None and lateness_s > most
    return _Run(row["deadline_us"], row["completed_us"], outcome, nan if lateness_s is None else lateness_s, real)


def _told(changes: Iterable[Change], since_us: int, until_us: int) -> _Told:
    found = _Told()
    spans: dict[_Span, int | None] = {}
    named: set[_Span] = set()
    counted: set[tuple[str, str, int]] = set()
    for change in changes:
        if isinstance(change, IncidentChange):
            spans |= _spans(change.incident)
            continue
        for incident in (change.incident,) if change.incident else change.covers:
            now = _spans(incident)
            spans |= now
            named |= now.keys()
        if change.at < since_us:
            continue
        found.notices += 1
        if change.incident is not None and change.event in PAGES:
            key = (change.incident.incident, change.event, change.at)
            if key not in counted:
                counted.add(key)
                found.pages.append((change.at, _page(found, change, change.incident)))
    for span in named:
        _, name, since = span
        end = spans[span]
        found.covered.setdefault(name, []).append((since, until_us if end is None else end))
    return found


def _spans(incident: Incident) -> dict[_Span, int | None]:
    """Since when each member is in trouble, and until when: who comes back into an incident that lasts begins a new stretch.

    That a job drifts says nothing of any one run.
    """
    return {
        (incident.incident, m.name, m.since_at): incident.resolved_at if m.resolved_at is None else m.resolved_at
        for m in incident.members
        if m.kind != DRIFTING
    }


def _page(found: _Told, notice: Notice, incident: Incident) -> tuple[Key, ...]:
    """The runs that a page is for; the first time that each was told is noted."""
    keys = []
    for member in incident.members:
        if member.about == "check" and member.resolved_at is None and member.kind != DRIFTING:
            for at in _occurrences(member):
                keys.append((member.name, at))
                found.first.setdefault((member.name, at), (notice.at, member.kind))
    return tuple(keys)


def _occurrences(member: Member) -> list[int]:
    return list(member.evidence.get("occurrences") or [member.evidence.get("expected_at") or member.since_at])


def _row(one: Alternative, told: _Told, runs: dict[Key, _Run], history: History, tz: str) -> Row:
    real = false = unjudged = night = 0
    notice: list[float] = []
    noticed: set[Key] = set()
    for at, keys in told.pages:
        verdict = _real(keys, runs)
        real += verdict is True
        false += verdict is False
        unjudged += verdict is None
        night += within(NIGHT, tz, at)
        for key in keys:
            if key in runs and runs[key].real and key not in noticed:
                noticed.add(key)
                notice.append((at - key[1]) / 1e6)
    bad = {key: run for key, run in runs.items() if run.real}
    missed = [key for key, run in bad.items() if key not in noticed and not _covered(told, key, run)]
    names = {name for name, _ in runs}
    quantiles = np.quantile(notice, [0.5, 0.9]) if notice else (nan, nan)
    return {
        "policy": one.name, "checks": len(history.checks), "n": sum(r.real is not None for r in runs.values()), "bad": len(bad),
        "pages": len(told.pages), "real": real, "false": false, "unjudged": unjudged, "missed": len(missed),
        "night_pages": night, "notices": told.notices, "p50": quantiles[0], "p90": quantiles[1],
        "why": _left_out(history, names),
    }  # fmt: skip


def _real(keys: Sequence[Key], runs: dict[Key, _Run]) -> bool | None:
    """Whether a page for these runs was for something real; None where that cannot be told of all."""
    judged = [runs[key].real for key in keys if key in runs and runs[key].real is not None]
    if any(judged):
        return True
    return False if judged and len(judged) == len(keys) else None


def _back_s(at: int, keys: Sequence[Key], runs: dict[Key, _Run]) -> float:
    came = [runs[key].completed for key in keys if key in runs]
    return max(((us - at) / 1e6 for us in came if us is not None), default=nan)


def _covered(told: _Told, key: Key, run: _Run) -> bool:
    """Whether an incident that was told lasted at the time when the run went wrong."""
    wrong_at = run.completed if run.outcome == "failed" and run.completed is not None else run.deadline
    return any(since <= wrong_at <= until for since, until in told.covered.get(key[0], ()))


def _left_out(history: History, judged: set[str]) -> str:
    telling = [row["name"] for row in history.sql("replay_gaps").to_pylist()]
    return f"{spell.plural(len(telling), 'check')} cannot be judged by ticks, only by silence" if telling else ""
