"""What became of incidents and of what was sent of them: the rows of `qpa incidents`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.analysis.alerting import flaps
from qpanalytics.analysis.needless import enough_s, following, needless
from qpanalytics.instants import micros
from qpanalytics.policy.changes import Incident
from qpanalytics.watch import kept, tell
from qpanalytics.watch.incidents import moment, read
from qpanalytics.watch.translate import promised_versions
from qpanalytics.words import Columns

if TYPE_CHECKING:
    from qpanalytics.settings import Settings
    from qpanalytics.store.state import State

COLUMNS = Columns(
    incident="its name, as `ack`, `snooze`, `resolve` and `qpa deliveries --incident` take it",
    kind="what was wrong first: `missed`, `late`, `failed`, `hung`, `often`, ..., of queues, workers and sources likewise",
    severity="`critical`, `warning` or `info`: the worst of its members",
    check="the name of its first member",
    members="all checks, queues, workers or sources in it",
    opened_at="when things went wrong",
    resolved_at="when they were well again; empty while it is open",
    acked_at="when somebody took it on",
    alerts="pages sent: openings, reminders and escalations that a channel took, over all channels",
    needless="it was told of and came right by itself: in under the check's grace, or by the late run itself before that was "
    "really late",
    enough_s="of a needless one: the grace that would have kept it quiet, seconds; empty where none would have",
    flaps="how often the same had opened in the hour before it",
    noticed_s="time to notice: from when things went wrong until an evaluation knew, seconds",
    told_s="from then until a channel took the first message of it, seconds; empty where none did",
    undelivered="messages of it that were given up, over all channels",
    sentence="what is so, or was, in one sentence",
    ended="how it ended where not by itself: `paused`, `removed`, `closed`",
    evidence="for each member what is known: the expected run, starts, figures; times ISO 8601 in UTC",
)
_SENT = """
    select incident, count(*) from outbox where event in ('open', 'remind', 'escalate') and state = 'sent' group by incident
"""
_FIRST = """
    select incident, min(ended_us) from tries where incident is not null and message is not null and status = 'sent'
    group by incident
"""
_LOST = "select incident, count(*) from outbox where state in ('failed', 'unclear') group by incident"


def incidents(
    state: State,
    settings: Settings,
    now: datetime,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tz: str = "UTC",
) -> list[dict[str, Any]]:
    """Incidents that were open at some time in [since, until), the latest first, in the columns above."""
    found = read(state, since=since, until=until)
    with state.reading() as con:
        sent, lost, first = (_counts(con.execute(sql)) for sql in (_SENT, _LOST, _FIRST))
        checks = kept.load_checks(con)
    again = flaps(found)
    after = following(promised_versions(checks, settings.check))
    alone = {one.incident for one in found if one.told and needless(one, after, settings.grace.late_is_real)}
    return [
        {
            "incident": one.incident, "kind": one.kind, "severity": one.severity, "check": one.check,
            "members": list(dict.fromkeys(member.name for member in one.members)),
            "opened_at": moment(one.opened_at), "resolved_at": moment(one.resolved_at), "acked_at": moment(one.acked_at),
            "alerts": sent.get(one.incident, 0), "needless": one.incident in alone,
            "enough_s": enough_s(one) if one.incident in alone else None, "flaps": again[one.incident],
            "noticed_s": _since(one, one.noticed_at), "told_s": _since(one, first.get(one.incident)),
            "undelivered": lost.get(one.incident, 0),
            "sentence": tell.worded(one, now, tz).sentence, "ended": one.why, "evidence": _evidence(one),
        }
        for one in found
    ]  # fmt: skip


def _since(one: Incident, at: int | None) -> float | None:
    return None if at is None else max(at - one.opened_at, 0) / 1e6


def _counts(rows: Any) -> dict[str, int]:
    return {incident: int(n) for incident, n in rows}


def _evidence(one: Incident) -> list[dict[str, Any]]:
    return [
        {
            "about": member.about, "name": member.name, "kind": member.kind, "since_at": spell.iso(member.since_at),
            **({"resolved_at": spell.iso(member.resolved_at)} if member.resolved_at is not None else {}),
            **({"follows": member.follows} if member.follows else {}),
            **tell.figures(member),
        }
        for member in one.members
    ]  # fmt: skip


def overview(state: State, now: datetime) -> dict[str, Any]:
    """How the watch itself is: when it last evaluated, and who holds the store since when."""
    with state.reading() as con:
        known = kept.load(con)
        (open_,) = con.execute("select count(*) from incidents where resolved_us is null").fetchone()
    return {
        "ticked_at": moment(known.ticked or None),
        "age_s": (micros(now) - known.ticked) / 1e6 if known.ticked else None,
        "held_at": moment(known.held),
        "holder": known.holder,
        "open": int(open_),
    }
