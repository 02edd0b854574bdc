"""What the policy engine says: incidents that open, grow and end, and notices that are due. Instants are epoch microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

#: What became of an incident: `joined` and `left` are about one `member` of it.
Step = Literal["opened", "joined", "left", "resolved", "acked", "snoozed", "overdue"]
#: What a notice is; `summary` is one for several incidents (`covers`) that were held back or were over unseen.
NoticeKind = Literal["open", "remind", "escalate", "resolve", "summary"]


@dataclass(frozen=True, slots=True)
class Member:
    """One check, queue, worker or source in an incident, with what is wrong with it.

    `evidence` has plain JSON values: `expected_at`, `deadline_at`, `started_at` and the like in epoch microseconds, figures
    of looks as they were, `began` (whether a start was seen), `n` (bad occurrences in a row). `follows` names the check
    whose trouble it is put down to; `resolved_at` None: still wrong.
    """

    about: Literal["check", "queue", "worker", "source"]
    name: str
    kind: str
    severity: str
    since_at: int
    source: str = ""
    tags: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    follows: str | None = None
    resolved_at: int | None = None

    @property
    def key(self) -> str:
        """Names it among all: one thing can be in several kinds of trouble at once."""
        return key_of(self.about, self.source, self.name, self.kind)


def key_of(about: str, source: str, name: str, kind: str) -> str:
    """Names one trouble of one thing; two sources may have queues of one name."""
    return f"{about}:{f'{source}/{name}' if about in ('queue', 'worker') else name}#{family(kind)}"


#: What can be wrong with the occurrence of a check; one leads to another, so they are one trouble.
DOWN = ("missed", "late", "failed", "hung")


def family(kind: str) -> str:
    """Kinds of trouble that are stages of one: a late run hangs, a failed one is not repeated."""
    return "down" if kind in DOWN else kind


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands. `kind`, `severity` and `check` are those of its first member that still is wrong (or was last).

    `cause` is what its members share (`host:...`, `tag:...`, `source:...`), empty for one alone. `opened_at` is when things
    went wrong, `noticed_at` when that was known. `why` says how it ended where not by itself: `paused`, `removed`, `closed`,
    `no longer promised`, or `promised anew` (which wipes the slate).
    """

    incident: str
    kind: str
    severity: str
    members: tuple[Member, ...]
    opened_at: int
    noticed_at: int
    cause: str = ""
    resolved_at: int | None = None
    acked_at: int | None = None
    acked_by: str = ""
    snoozed_until: int | None = None
    why: str = ""
    #: Notices so far by channel: channels that were told of it.
    told: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """The name of its first member."""
        return self.members[0].name

    @classmethod
    def heard(cls, said: Mapping[str, Any]) -> Incident:
        """An incident as it was written as plain values, by this version or another."""
        known = {one.name for one in fields(cls)}
        of_member = {one.name for one in fields(Member)}
        members = tuple(
            Member(**{**{k: v for k, v in m.items() if k in of_member}, "tags": tuple(m.get("tags", ()))})
            for m in said["members"]
        )
        told = tuple(said.get("told", ()))
        return cls(**{**{k: v for k, v in said.items() if k in known}, "members": members, "told": told})


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """Something became of an incident."""

    step: Step
    at: int
    incident: Incident
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be sent to one channel now.

    `key` is the same for the same notice whenever it is worked out: it makes sending twice detectable. `why` names the
    rule: "route 2", "route 2, escalation", "quiet hours are over", "limit of 10 in 1 h", "away".
    """

    event: NoticeKind
    channel: str
    at: int
    incident: Incident | None
    key: str
    why: str = ""
    covers: tuple[Incident, ...] = ()


Change = IncidentChange | Notice
