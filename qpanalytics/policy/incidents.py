"""The book of incidents: what begins opens one or joins one, what ends leaves it, and the last to leave resolves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha1

from qpanalytics.policy.changes import IncidentChange, Member
from qpanalytics.policy.grouping import Fresh, broken_links, common_causes
from qpanalytics.policy.notices import Desk
from qpanalytics.policy.record import Record
from qpanalytics.policy.rules import Policy
from qpanalytics.policy.sign import HOUR, SECOND
from qpanalytics.policy.subjects import State

#: What goes wrong so often within an hour flaps: it is over when it was well for so long.
FLAPS, CALM = 3, 600 * SECOND


class Book:
    """The open incidents. `after` names the check that a check follows."""

    def __init__(
        self, policy: Policy, desk: Desk, after: Callable[[str], str | None], said: Mapping[str, State] | None = None
    ) -> None:
        self._policy, self._desk, self._after = policy, desk, after
        said = said or {}
        self.records = {k[9:]: Record.of(v) for k, v in said.items() if k.startswith("incident:")}
        self._of = {key: r for r in self.records.values() for key, m in r.members.items() if r.resolved_at is None}
        self._began: dict[str, list[int]] = dict(said.get("book", {}).get("began", {}))
        self._fresh: dict[str, Fresh] = {}
        #: Incidents that changed since their states were kept, and since their due times were noted.
        self.touched: set[str] = set()
        self.dirty: set[str] = set()

    def said(self) -> State:
        """What is remembered beside the incidents."""
        last = max((began[-1] for began in self._began.values()), default=0)
        # only here, and not whenever something begins: many things begin one after the other in a storm
        self._began = {key: began for key, began in self._began.items() if began[-1] > last - HOUR}
        return {"began": self._began}

    @property
    def unsettled(self) -> bool:
        """Whether something began that was not placed yet."""
        return bool(self._fresh)

    def keys_of(self, about: str, name: str) -> list[str]:
        """The troubles of one thing."""
        return [key for key in (*self._of, *self._fresh) if key.startswith(f"{about}:{name}#")]

    def _touch(self, name: str) -> None:
        self.touched.add(name)
        self.dirty.add(name)

    # Trouble -----------------------------------------------------------------------------------------------------------

    def begin(self, fresh: Fresh) -> None:
        """Something is wrong, or came to another stage. It is placed when all of this instant is known (`settle`)."""
        member = fresh.member
        record = self._of.get(member.key)
        known = None if record is None else record.members[member.key]
        if record is None or known is None:
            self._fresh[member.key] = fresh
        elif known.resolved_at is not None:  # it flaps, and is back
            record.members[member.key] = replace(member, follows=known.follows)
            record.calm_until = None
            self._touch(record.id)
        elif known.follows is not None and not self._in_trouble(known.follows):
            # what it was put down to is well again, and it is not
            self._drop(record, known, member.since_at)
            self._fresh[member.key] = fresh
        else:
            record.members[member.key] = replace(member, since_at=known.since_at, follows=known.follows)
            self._touch(record.id)

    def end(self, key: str, at: int, why: str = "") -> None:
        """It no longer is wrong."""
        self._fresh.pop(key, None)
        record = self._of.get(key)
        if record is None or record.members[key].resolved_at is not None:
            return
        at = max(at, record.members[key].since_at)  # what comes late may say that it never was so
        member = replace(record.members[key], resolved_at=at)
        record.members[key] = member
        self._touch(record.id)
        if len(record.members) > 1:
            self._desk.moved("left", at, record, member)
        if record.wrong:
            return
        if not why and len([b for b in self._began.get(key, ()) if b > at - HOUR]) >= FLAPS:
            record.calm_until = at + CALM
            return
        self._resolve(record, at, why)

    def _drop(self, record: Record, member: Member, at: int) -> None:
        del self._of[member.key]
        record.members[member.key] = replace(member, resolved_at=at)
        self._touch(record.id)
        if not record.wrong:
            self._resolve(record, at, "")

    def _resolve(self, record: Record, at: int, why: str) -> None:
        record.resolved_at, record.why, record.calm_until = at, why, None
        for key in record.members:
            if self._of.get(key) is record:
                del self._of[key]
        self._touch(record.id)
        self._desk.changes.append(IncidentChange("resolved", at, record.shown()))
        self._desk.resolved(record, at)

    def _in_trouble(self, check: str) -> bool:
        record = self._of.get(f"check:{check}#down")
        return record is not None and record.members[f"check:{check}#down"].resolved_at is None

    # Placing -----------------------------------------------------------------------------------------------------------

    def settle(self, now: int) -> None:
        """Opens and joins incidents for what began since the last time."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        for key in fresh:
            began = [b for b in self._began.get(key, ()) if b > now - HOUR]
            self._began[key] = [*began, now][-FLAPS:]
        links = {f.member.name: f for f in fresh.values() if f.member.key.startswith("check:") and f.member.key.endswith("#down")}
        firsts = broken_links(links, self._after, self._in_trouble)
        followers = [f for name, f in links.items() if name in firsts]
        covered = {key: by for key, f in fresh.items() if (by := self._covering(f, fresh)) is not None}
        waiting = {f.member.key for f in followers} | covered.keys()
        self._place([f for key, f in fresh.items() if key not in waiting], now)
        following: dict[str, list[Member]] = {}
        for follower in followers:
            first = firsts[follower.member.name]
            following.setdefault(first, []).append(replace(follower.member, follows=first))
        for first, members in following.items():
            self._join(self._of[f"check:{first}#down"], members, now)
        for key, by in covered.items():
            self._join(self._of[by], [fresh[key].member], now, told=False)

    def _covering(self, fresh: Fresh, others: Mapping[str, Fresh]) -> str | None:
        """The trouble of the same thing that this one belongs to, where there is one."""
        for key in fresh.covered_by:
            record = self._of.get(key)
            if key in others or (record is not None and record.members[key].resolved_at is None):
                return key
        return None

    def _place(self, fresh: list[Fresh], now: int) -> None:
        table = self._policy.table
        since = now - round(table.group_within * SECOND)
        within = [r for r in self._recent() if r.joined_at >= since]
        open_ = {r.cause: r.id for r in within if r.cause}
        recent: dict[str, list[str]] = {}
        for record in within:
            if not record.cause:
                for cause in record.shared:
                    recent.setdefault(cause, []).append(record.id)
        for shared, group in common_causes(fresh, open_, recent, table.group_least):
            if shared is None:
                for one in group:
                    self._open([one], "", now)
                continue
            near = open_.get(shared) or next(iter(recent.get(shared, ())), None)
            if near is None:
                self._open(group, shared, now)
            else:
                record = self.records[near]
                record.cause = shared
                self._join(record, [one.member for one in group], now)

    def _recent(self) -> Iterable[Record]:
        return [r for r in self.records.values() if r.resolved_at is None]

    def _open(self, group: list[Fresh], cause: str, now: int) -> None:
        members = [one.member for one in group]
        opened = min(m.since_at for m in members)
        first = min(members, key=lambda m: (m.since_at, m.key))
        name = sha1(f"{first.key}@{first.since_at}".encode(), usedforsecurity=False).hexdigest()[:8]
        while name in self.records:  # the same trouble again, at the same instant
            name = sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]
        record = Record(name, opened, max(now, self._desk.floor), cause, {m.key: m for m in members}, joined_at=now)
        record.shared = [] if cause else list(group[0].shared)
        self.records[name] = record
        self._of |= dict.fromkeys(record.members, record)
        self._touch(name)
        self._desk.changes.append(IncidentChange("opened", opened, record.shown()))
        self._desk.opened(record, opened, members)

    def _join(self, record: Record, members: list[Member], now: int, *, told: bool = True) -> None:
        """More members of an incident; `told` is off for what belongs to one that was told."""
        for member in members:
            record.members[member.key] = member
            self._of[member.key] = record
        record.joined_at = now
        self._touch(record.id)
        for member in members:
            self._desk.moved("joined", member.since_at, record, member)
        if not told:
            return
        self._desk.opened(record, now, members)
        if any(member.follows is None for member in members):
            self._desk.grew(record, now)

    # People and time ---------------------------------------------------------------------------------------------------

    def ack(self, name: str, at: int, by: str) -> None:
        """Somebody has it."""
        record = self._open_one(name)
        if record is not None and record.acked_at is None:
            record.acked_at, record.acked_by = at, by
            self._say("acked", record, at)

    def snooze(self, name: str, at: int, until: int) -> None:
        """Nothing is sent of it before `until`."""
        record = self._open_one(name)
        if record is not None:
            record.snoozed_until = until
            self._say("snoozed", record, at)
            self._desk.snoozed(record, at)

    def close(self, name: str, at: int, by: str) -> None:
        """Resolved by hand."""
        record = self._open_one(name)
        if record is not None:
            record.acked_by = record.acked_by or by
            for key, member in record.members.items():
                record.members[key] = replace(member, resolved_at=member.resolved_at or at)
            self._resolve(record, at, "closed")

    def _open_one(self, name: str) -> Record | None:
        record = self.records.get(name)
        return None if record is None or record.resolved_at is not None else record

    def _say(self, step: str, record: Record, at: int) -> None:
        self._touch(record.id)
        self._desk.changes.append(IncidentChange(step, at, record.shown()))  # type: ignore[arg-type]

    def run(self, name: str, at: int) -> None:
        """What is due of an incident."""
        record = self.records.get(name)
        if record is None:
            return
        self._touch(name)
        if record.calm_until is not None and record.calm_until <= at:
            self._resolve(record, at, "")
        else:
            self._desk.due(record, at)
