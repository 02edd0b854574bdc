"""An open incident as it is kept: its members, who was told, and what is due."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from qpanalytics.policy.changes import Incident, Member
from qpanalytics.policy.routing import severities
from qpanalytics.policy.subjects import State, member_of, member_said


@dataclass(slots=True)
class Record:
    """One incident. Instants are epoch microseconds."""

    id: str
    opened_at: int
    noticed_at: int
    cause: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    #: What one of a single member could have in common with others.
    shared: list[str] = field(default_factory=list)
    joined_at: int = 0
    resolved_at: int | None = None
    acked_at: int | None = None
    acked_by: str = ""
    snoozed_until: int | None = None
    why: str = ""
    #: A member flapped: it is resolved when it was well until then.
    calm_until: int | None = None
    #: Channels that were told, and by which route.
    told: dict[str, int] = field(default_factory=dict)
    #: When it is told again, and when to whom else, by route.
    remind_at: int | None = None
    grew_at: int | None = None
    escalate: dict[str, int] = field(default_factory=dict)
    #: How often it was told again, because it lasts and because it grew; each time takes longer.
    reminded: int = 0
    grown: int = 0
    #: When it was told of last.
    told_at: int = 0
    #: Notices so far, for their keys.
    notices: int = 0

    @property
    def wrong(self) -> bool:
        """Whether a member is not well yet."""
        # from the last one on: they tend to end in the order in which they began
        return any(m.resolved_at is None for m in reversed(self.members.values()))

    def due(self) -> int | None:
        """When something is to be done about it by time alone."""
        found = [self.calm_until]
        if self.resolved_at is None and self.acked_at is None:
            found += [self.remind_at, self.grew_at, *self.escalate.values()]
        return min((at for at in found if at is not None), default=None)

    def shown(self) -> Incident:
        """As it stands."""
        members = tuple(self.members.values())
        lead = next((m for m in members if m.resolved_at is None and m.follows is None), members[0])
        return Incident(
            self.id, lead.kind, severities(members), (lead, *(m for m in members if m is not lead)), self.opened_at,
            self.noticed_at, self.cause, self.resolved_at, self.acked_at, self.acked_by, self.snoozed_until, self.why,
            tuple(self.told),
        )  # fmt: skip

    def said(self) -> State:
        """As JSON values."""
        every: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        every["members"] = [[key, member_said(m)] for key, m in self.members.items()]
        return every

    @classmethod
    def of(cls, said: State) -> Record:
        """The record that `said` wrote."""
        return cls(**{**said, "members": {key: member_of(m) for key, m in said["members"]}})
