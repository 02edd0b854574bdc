"""What became of incidents and of what was sent of them: the rows of `qpa incidents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.instants import micros
from qpanalytics.ledger.versions import in_force, schedule_of
from qpanalytics.policy.changes import DOWN, Incident, family
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
    needless="it was told of and came right by itself: in under the check's grace, or by the late run itself",
    flaps="how often the same had opened in the hour before it",
    noticed_s="time to notice: from when things went wrong until an evaluation knew, seconds",
    undelivered="messages of it that were given up, over all channels",
    sentence="what is so, or was, in one sentence",
    ended="how it ended where not by itself: `paused`, `removed`, `closed`",
    evidence="for each member what is known: the expected run, starts, figures; times ISO 8601 in UTC",
)
#: Opening again within so long is flapping, microseconds.
FLAP_US = 3_600_000_000
_SENT = """
    select incident, count(*) from outbox where event in ('open', 'remind', 'escalate') and state = 'sent' group by incident
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
        sent, lost = _counts(con.execute(_SENT)), _counts(con.execute(_LOST))
        checks = kept.load_checks(con)
    versions = promised_versions(checks, settings.check)
    return [
        {
            "incident": one.incident, "kind": one.kind, "severity": one.severity, "check": one.check,
            "members": list(dict.fromkeys(member.name for member in one.members)),
            "opened_at": moment(one.opened_at), "resolved_at": moment(one.resolved_at), "acked_at": moment(one.acked_at),
            "alerts": sent.get(one.incident, 0), "needless": bool(one.told) and _needless(one, versions),
            "flaps": _flaps(one, found), "noticed_s": max(one.noticed_at - one.opened_at, 0) / 1e6,
            "undelivered": lost.get(one.incident, 0),
            "sentence": tell.worded(one, now, tz).sentence, "ended": one.why, "evidence": _evidence(one),
        }
        for one in found
    ]  # fmt: skip


def _counts(rows: Any) -> dict[str, int]:
    return {incident: int(n) for incident, n in rows}


def _needless(one: Incident, versions: Mapping[str, Any]) -> bool:
    """Whether nobody had to do anything: it was over by itself within the grace, or the run came late."""
    if one.resolved_at is None or one.why:
        return False
    lead = one.members[0]
    expected, deadline = lead.evidence.get("expected_at"), lead.evidence.get("deadline_at")
    if expected is None or deadline is None:
        return False
    if one.resolved_at - one.opened_at < deadline - expected:
        return True
    if lead.kind not in DOWN or lead.kind in ("failed", "hung"):
        return False
    version = in_force(versions.get(lead.name, ()), expected)
    if version is None or version.schedule is None:
        return False
    schedule = schedule_of(version.schedule, version.tz)
    following = expected + round(schedule.period_s * 1e6) if schedule.period_s else schedule.after(expected)
    return following is not None and one.resolved_at < following


def _flaps(one: Incident, every: Sequence[Incident]) -> int:
    same = [other for other in every if (other.check, family(other.kind)) == (one.check, family(one.kind))]
    return sum(other.opened_at < one.opened_at <= other.opened_at + FLAP_US for other in same)


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
