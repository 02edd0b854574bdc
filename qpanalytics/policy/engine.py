"""The engine: events in, changes out. It has no clock: `advance` is told how late it is, in epoch microseconds.

Live alerting and replay run this one; see README.md beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qpanalytics.policy.changes import Change, Incident
from qpanalytics.policy.events import Event
from qpanalytics.policy.rules import Policy

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a check stands: design rule 7. `cause` and `since_at` are of one that is down; `at` is up to when it was seen."""

    status: str
    at: int
    since_at: int | None = None
    cause: str = ""
    expected_at: int | None = None
    deadline_at: int | None = None


class Engine:
    """One engine over all checks, queues, workers and sources.

    `states` are what `changed_states` returned in earlier lives, by key: plain JSON values. `live` is off in a replay:
    then nothing counts as long ago, since each thing is told at its time.
    """

    def __init__(self, policy: Policy, states: Mapping[str, State] | None = None, *, live: bool = True) -> None:
        raise NotImplementedError

    def feed(self, *events: Event) -> None:
        """Takes events, in any order; they count from the next `advance` on."""
        raise NotImplementedError

    def advance(self, until: int) -> list[Change]:
        """Everything that follows from the events fed and the time gone by up to `until`, in order of time.

        A time before the last one changes nothing: a clock that went back waits until it is caught up with.
        """
        raise NotImplementedError

    def next_due_at(self) -> int | None:
        """When `advance` will have something to do even if nothing is fed; None: never."""
        raise NotImplementedError

    def changed_states(self) -> dict[str, State | None]:
        """The states that changed since the last time this was asked; None: to be deleted."""
        raise NotImplementedError

    def standing(self, check: str) -> Standing:
        """How a check stands, as far as it was seen."""
        raise NotImplementedError

    def checks(self) -> Iterable[str]:
        """The checks that are known."""
        raise NotImplementedError

    def incidents(self) -> list[Incident]:
        """The incidents that are open."""
        raise NotImplementedError
