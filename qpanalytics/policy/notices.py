"""What is sent, to whom and when: at once, or after quiet hours, a snooze or too many others; again, and to somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from qpanalytics import spell
from qpanalytics.policy.changes import Change, Incident, IncidentChange, Member, Notice, NoticeKind
from qpanalytics.policy.record import Record
from qpanalytics.policy.routing import end_of, severities, ways, within
from qpanalytics.policy.rules import Policy
from qpanalytics.policy.sign import HOUR, SECOND
from qpanalytics.policy.subjects import State

DAY_S = 86_400.0
MINUTE = 60 * SECOND
QUIET, SNOOZED, AWAY = "quiet hours", "snoozed", "away"


class Desk:
    """The one who writes notices. `live`: things older than `catch_up` are told in a summary, or not before they are sorted out.

    `now` is how late it is, set by the engine; an instant before it is when something happened.
    """

    def __init__(self, policy: Policy, said: Mapping[str, State] | None = None, *, live: bool = True) -> None:
        self._policy, self._live = policy, live
        self.now = 0
        #: By channel: `log` of what was sent lately, `held` by incident: [why, until when, event, route].
        self.channels: dict[str, dict[str, Any]] = {k[8:]: v for k, v in (said or {}).items() if k.startswith("channel:")}
        self.changes: list[Change] = []
        #: Channels that changed since their states were kept, and since their due times were noted.
        self.touched: set[str] = set()
        self.dirty: set[str] = set()
        #: Incidents that something was sent of: what is due of them changed.
        self.told: set[str] = set()
        self.finished: list[Record] = []
        #: Members that joined or left: before which change, how, when, of which incident.
        self._moves: list[tuple[int, Literal["joined", "left"], int, Record, Member]] = []

    def moved(self, step: Literal["joined", "left"], at: int, record: Record, member: Member) -> None:
        """A member joined an incident or left it."""
        self._moves.append((len(self.changes), step, at, record, member))

    def take(self) -> list[Change]:
        """What came of it all since this was asked last, in order.

        A member that moved shows its incident as it stands by now: thousands can move at once, and a picture of thousands
        for each of them would be millions.
        """
        found: list[Change] = []
        pictures: dict[str, Incident] = {}
        taken = 0
        for place, step, at, record, member in self._moves:
            found += self.changes[taken:place]
            taken = place
            if record.id not in pictures:
                pictures[record.id] = record.shown()
            found.append(IncidentChange(step, at, pictures[record.id], member))
        found += self.changes[taken:]
        self.changes, self._moves = [], []
        return found

    @property
    def unsettled(self) -> bool:
        """Whether due times changed, or incidents are over and done with."""
        return bool(self.dirty or self.told or self.finished)

    # What the book tells -----------------------------------------------------------------------------------------------

    def opened(self, record: Record, at: int, members: Iterable[Member]) -> None:
        """An incident began, or `members` joined it: whoever was not told of it yet and has a way to them is told."""
        for number, route in ways(self._policy, members, max(at, self.floor)):
            for channel in route.to:
                if channel not in record.told and record.id not in self._channel(channel)["held"]:
                    self._post("open", record, channel, number, at)

    def grew(self, record: Record, at: int) -> None:
        """It is worse than when it was told of: it is told again, at once unless that was just now, since more may follow.

        Each time takes twice as long, so that one that goes on growing for an hour is told of some six times.
        """
        if record.told and record.grew_at is None and record.acked_at is None and len(record.members) > 1:
            wait = min(MINUTE << min(record.grown, 10), HOUR)
            record.grew_at = max(at, self.floor, record.told_at + wait)

    def resolved(self, record: Record, at: int) -> None:
        """It is over: whoever was told hears that, and nobody else."""
        for channel in list(record.told):
            self._post("resolve", record, channel, record.told[channel], at)
        if not any(record.id in c["held"] for c in self.channels.values()):
            self.finished.append(record)

    def snoozed(self, record: Record, at: int) -> None:
        """It is told again, if it lasts, when the snooze is over."""
        if record.snoozed_until is not None and record.remind_at is not None:
            record.remind_at = max(record.remind_at, record.snoozed_until)

    def due(self, record: Record, at: int) -> None:
        """What time alone asks for: reminders, a growth that was waited out, an escalation."""
        if record.resolved_at is not None or record.acked_at is not None:
            return
        later = self._later(record, at)
        if record.grew_at is not None and record.grew_at <= at:
            record.grew_at = later
            if later is None:
                record.grown += 1
                self._remind(record, at, "it grew")
        if record.remind_at is not None and record.remind_at <= at:
            record.remind_at = later
            if later is None:
                record.reminded += 1
                record.remind_at = self._next_reminder(record, at)
                self._remind(record, at, "it lasts")
        for route, when in list(record.escalate.items()):
            if when <= at:
                if later is not None:
                    record.escalate[route] = later
                    continue
                del record.escalate[route]
                found = self._policy.routes[int(route) - 1].escalate if int(route) <= len(self._policy.routes) else None
                for channel in found.to if found else ():
                    self._post("escalate", record, channel, int(route), at)

    # Sending -----------------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> int:
        """Live, nothing can be sent before now."""
        return self.now if self._live else -(1 << 62)

    def _touch(self, name: str) -> dict[str, Any]:
        self.touched.add(name)
        self.dirty.add(name)
        return self._channel(name)

    def _channel(self, name: str) -> dict[str, Any]:
        return self.channels.setdefault(name, {"log": [], "held": {}})

    def _later(self, record: Record, at: int) -> int | None:
        """Until when nothing is sent of an incident: snoozed, or quiet hours for what is not spared."""
        if record.snoozed_until is not None and record.snoozed_until > at:
            return record.snoozed_until
        return self._quiet(record, at)

    def _quiet(self, record: Record, at: int) -> int | None:
        table = self._policy.table
        if table.quiet is None or not within(table.quiet, table.tz, at):
            return None
        if severities(list(record.members.values())) in table.spares:
            return None
        return end_of(table.quiet, table.tz, at)

    def _post(self, event: NoticeKind, record: Record, channel: str, route: int, at: int) -> None:
        """Sends something, or holds it back."""
        state = self._touch(channel)
        stale = self._live and self.now - at > self._policy.table.catch_up * SECOND and event == "open"
        when = max(at, self.floor)
        if stale:
            state["held"][record.id] = [AWAY, when, event, route]
        elif event != "resolve" and record.snoozed_until is not None and record.snoozed_until > when:
            state["held"][record.id] = [SNOOZED, record.snoozed_until, event, route]
        elif (quiet := self._quiet(record, when)) is not None:
            state["held"][record.id] = [QUIET, quiet, event, route]
        elif event != "resolve" and (free := self._full(state, when)) is not None:
            state["held"][record.id] = [self._limit, free, event, route]
        else:
            self._send(event, record, channel, route, when, self._by(route, event))

    def _send(self, event: NoticeKind, record: Record, channel: str, route: int, at: int, why: str) -> None:
        table = self._policy.table
        record.notices += 1
        record.told_at = at
        self.told.add(record.id)
        if event in ("open", "escalate"):
            record.told.setdefault(channel, route)
            if record.remind_at is None:
                record.remind_at = self._next_reminder(record, at)
            found = self._policy.routes[route - 1].escalate if 0 < route <= len(self._policy.routes) else None
            if event == "open" and found is not None and record.acked_at is None:
                record.escalate.setdefault(str(route), at + round(found.after * SECOND))
        if event != "resolve":
            self._log(self._channel(channel), at, table.limit_per)
        key = f"{record.id}:{event}:{channel}:{record.notices}"
        self.changes.append(Notice(event, channel, at, record.shown(), key, why))

    def _remind(self, record: Record, at: int, why: str) -> None:
        for channel, route in record.told.items():
            state = self._touch(channel)
            if self._full(state, at) is None:  # a reminder that has no room is dropped: the next one comes
                self._send("remind", record, channel, route, at, why)

    def _next_reminder(self, record: Record, at: int) -> int | None:
        """Twice as long each time, up to a day: what lasts for weeks is known."""
        every = self._policy.table.remind
        if every is None:
            return None
        wait_s = min(every * 2.0 ** min(record.reminded, 20), max(every, DAY_S))
        return at + round(wait_s * SECOND)

    @property
    def _limit(self) -> str:
        table = self._policy.table
        return f"more than {table.limit} in {spell.duration(table.limit_per)}"

    def _full(self, state: dict[str, Any], at: int) -> int | None:
        """When there is room again on a channel that has had its share."""
        table = self._policy.table
        lately: list[int] = [t for t in state["log"] if t > at - table.limit_per * SECOND]
        if len(lately) < table.limit:
            return None
        return lately[-table.limit] + round(table.limit_per * SECOND)

    @staticmethod
    def _log(state: dict[str, Any], at: int, per_s: float) -> None:
        state["log"] = [*(t for t in state["log"] if t > at - per_s * SECOND), at]

    @staticmethod
    def _by(route: int, event: NoticeKind) -> str:
        way = f"route {route}" if route else "no route: every channel"
        return f"{way}, not acknowledged" if event == "escalate" else way

    # What was held back ------------------------------------------------------------------------------------------------

    def next_due(self, channel: str) -> int | None:
        """When a channel has something to say that it held back."""
        return min((held[1] for held in self.channels[channel]["held"].values()), default=None)

    def release(self, channel: str, at: int, records: Mapping[str, Record]) -> None:
        """Says what was held back until now: what still is wrong by itself, the rest in one summary."""
        state = self._touch(channel)
        due = {name: held for name, held in state["held"].items() if held[1] <= at}
        state["held"] = {name: held for name, held in state["held"].items() if held[1] > at}
        over: list[Incident] = []
        reasons: dict[str, None] = {}
        for name, (why, _, event, route) in due.items():
            record = records.get(name)
            if record is None:
                continue
            if event == "resolve":
                self._send("resolve", record, channel, route, at, f"{why} over")
            elif record.resolved_at is not None or why == self._limit:
                over.append(record.shown())
                reasons[why] = None
                if record.resolved_at is None:
                    self.told.add(name)
                    record.told.setdefault(channel, route)
                    record.remind_at = record.remind_at or self._next_reminder(record, at)
            else:
                self._post(event, record, channel, route, max(at, self.floor))
            if record.resolved_at is not None and not any(name in c["held"] for c in self.channels.values()):
                self.finished.append(record)
        if over:
            self._log(state, at, self._policy.table.limit_per)
            key = f"{'+'.join(i.incident for i in over[:3])}:summary:{channel}:{at}"
            self.changes.append(Notice("summary", channel, at, None, key, ", ".join(reasons), tuple(over)))
