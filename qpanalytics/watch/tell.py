"""From what the policy says is due to the message that is sent; the words are the verdict's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from qpanalytics import spell
from qpanalytics.alerts.base import Alert, Digest, Event, Message
from qpanalytics.instants import instant
from qpanalytics.verdict.say_incidents import Broken, evidence, finding, label, shown
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.policy.changes import Incident, Member, Notice
    from qpanalytics.verdict.finding import Finding

#: Incidents named in a summary; more are counted.
MOST = 30


def message(notice: Notice, now: datetime, tz: str) -> Message:
    """What a notice says to its channel, with days and times in `tz`."""
    if notice.incident is None:
        return _summary(notice, now, tz)
    assert notice.event in get_args(Event)
    return _alert(notice.incident, notice.event, _note(notice), now, tz)  # type: ignore[arg-type]  # no summary


def acked(incident: Incident, now: datetime, tz: str) -> Message:
    """That somebody has taken an incident on, for the channels that were told of it."""
    by = f" by {incident.acked_by}" if incident.acked_by else ""
    return _alert(incident, "ack", f"Acknowledged{by}: no more reminders and no escalation.", now, tz)


def _alert(incident: Incident, event: Event, note: str, now: datetime, tz: str) -> Alert:
    alert = Alert.of(
        worded(incident, now, tz),
        incident=incident.incident,
        event=event,
        opened_at=instant(incident.opened_at),
        told_at=now,
        resolved_at=None if incident.resolved_at is None else instant(incident.resolved_at),
        evidence=evidence([_broken(member) for member in incident.members], _voice(now, tz)),
        note=note,
    )
    return replace(alert, kind=incident.kind, label=label(incident.kind), severity=incident.severity)


def worded(incident: Incident, now: datetime, tz: str) -> Finding:
    """The finding of an incident as it stands."""
    return finding(
        [_broken(member) for member in incident.members],
        _voice(now, tz),
        cause=incident.cause,
        resolved_at=None if incident.resolved_at is None else instant(incident.resolved_at),
        why=incident.why,
    )


def figures(member: Member) -> dict[str, Any]:
    """The evidence of a member as plain values, instants as ISO texts."""
    return {name: shown(name, value) for name, value in member.evidence.items()}


def _summary(notice: Notice, now: datetime, tz: str) -> Digest:
    """Several incidents in one message: held back, or begun and over while nobody looked."""
    covered = notice.covers
    still = sum(incident.resolved_at is None for incident in covered)
    count = spell.plural(len(covered), "incident")
    open_ = f", {still} still open" if still else ", all over"
    lines = [_line(incident, now, tz) for incident in covered[:MOST]]
    if len(covered) > MOST:
        lines.append(f"and {len(covered) - MOST} more: qpa incidents")
    return Digest(f"{count}{open_} ({notice.why or 'summary'})", "\n".join(lines), now, "summary")


def _line(incident: Incident, now: datetime, tz: str) -> str:
    if incident.resolved_at is None:
        return f"[{incident.severity}] {worded(incident, now, tz).sentence}"
    lasted = spell.duration((incident.resolved_at - incident.opened_at) / 1e6)
    began = spell.moment(instant(incident.opened_at), tz, near=now)
    said = worded(replace(incident, resolved_at=None), now, tz).sentence
    return f"[{incident.severity}] {said} Over after {lasted}, since {began}."


def _note(notice: Notice) -> str:
    """Why it is told now, where that is not plain."""
    incident = notice.incident
    assert incident is not None
    open_for = spell.duration(max((notice.at - incident.opened_at) / 1e6, 0))
    if notice.event == "escalate":
        return f"Nobody has acknowledged it for {open_for}."
    if notice.event == "remind":
        return f"Still so after {open_for}."
    noticed = (incident.noticed_at - incident.opened_at) / 1e6
    if notice.event == "open" and noticed > LATE_S:
        return f"Noticed {spell.duration(noticed)} after it went wrong."
    return ""


#: An incident that is noticed so many seconds after it began says so.
LATE_S = 600


def _broken(member: Member) -> Broken:
    return Broken(
        member.about, member.name, member.kind, member.severity, instant(member.since_at), member.source, member.evidence,
        member.follows, None if member.resolved_at is None else instant(member.resolved_at),
    )  # fmt: skip


def _voice(now: datetime, tz: str) -> Voice:
    """Days of the last week are told by their name."""
    return Voice(now - timedelta(days=5), now + timedelta(days=1), now, tz)
