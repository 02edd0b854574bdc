"""What the policy engine is told, one dataclass a thing that can happen. Instants are epoch microseconds (UTC).

`at` is when it happened, not when it was heard of: what arrives late is judged in the time it belongs to. Of events at
one instant those with the lower `rank` come first: what is promised and vouched for, then pings and looks, then people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from qpanalytics.ledger.versions import Version

# Of checks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Promised:
    """What is promised of a check from now on: all its versions, sorted and disjoint, as `ledger.versions.effective` has them.

    A version from `-FOREVER_US` counts from the check's first ping. Telling the same again changes nothing. `feed` is
    whose looks vouch for the check (see `Seen`), its source where not given. `after` names the check that it follows.
    """

    check: str
    at: int
    versions: tuple[Version, ...]
    source: str = ""
    after: str | None = None
    feed: str | None = None
    severity: str | None = None  # where no version says
    tags: tuple[str, ...] = ()  # beside those of the versions
    rank: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """The check is no longer there: its incident, if one is open, is resolved with that reason."""

    check: str
    at: int
    rank: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is expected of the check from now on."""

    check: str
    at: int
    rank: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Resumed:
    """The pause ends."""

    check: str
    at: int
    rank: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Ping:
    """One signal of a job: `kind` is start, success, fail, log or ign. Pings of one instant keep the order they are fed in."""

    check: str
    at: int
    kind: str = "success"
    run_id: str | None = None
    duration_s: float | None = None
    host: str | None = None
    exit_status: int | None = None
    rank: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a daily analysis says of a check: `drifting` (or any `said`) begins or, with `lasts` False, is over."""

    check: str
    at: int
    said: str = "drifting"
    lasts: bool = True
    figures: Mapping[str, Any] = field(default_factory=dict)
    rank: ClassVar[int] = 4


@dataclass(frozen=True, slots=True)
class CannotTell:
    """Ticks of the check cannot be judged (design rule 10): only silence longer than `silence_s` is a sign. None: they can."""

    check: str
    at: int
    silence_s: float | None
    rank: ClassVar[int] = 2


# Of what was seen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """A look that could overlook nothing of [since, until] for the checks of `feed`; it also ends "unreachable".

    Deadlines are judged up to `until` and no further. A stretch between two of these that neither reaches is a hole:
    deadlines in it are `unknown`, never missed. `since` None: from where the last look ended.
    """

    feed: str
    until: int
    since: int | None = None
    rank: ClassVar[int] = 2

    @property
    def at(self) -> int:
        """When the look was made."""
        return self.until


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A look at a source failed. Its checks are `unknown` once that lasts; one alert is for the source."""

    source: str
    at: int
    why: str = ""
    rank: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Lost:
    """Pings of a check that are proven to be lost between two instants; nothing in between is vouched for."""

    check: str
    since: int
    until: int
    n: int = 1
    rank: ClassVar[int] = 2

    @property
    def at(self) -> int:
        """When it is known."""
        return self.until


@dataclass(frozen=True, slots=True)
class Covered:
    """The share (0 to 1) of the last day in which a source was seen."""

    source: str
    at: int
    coverage: float
    rank: ClassVar[int] = 4


# Of queues and workers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueueLook:
    """One look at one queue; what the system does not tell is None. Columns as in `queues`, ages in seconds."""

    source: str
    queue: str
    at: int
    depth: int | None = None
    oldest_age_s: float | None = None
    oldest_is: str | None = None
    active: int | None = None
    orphaned: int | None = None
    retrying: int | None = None
    dead: int | None = None
    processed_total: int | None = None
    failed_total: int | None = None
    paused: bool | None = None
    rank: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """One worker process in a look. `limit_s`: what is too long for its jobs, as `analysis.hangs` finds it, where known."""

    worker: str
    state: str
    queues: tuple[str, ...] | None = None
    oldest_running_s: float | None = None
    restarts: int | None = None
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkersLook:
    """One look at all workers of a source; those that are no longer listed are gone."""

    source: str
    at: int
    workers: tuple[WorkerSeen, ...]
    rank: ClassVar[int] = 3


# Of people ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acked:
    """Somebody has it: no reminders and no escalation from now on."""

    incident: str
    at: int
    by: str = ""
    rank: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Nothing is sent of it before `until`, except that it is resolved."""

    incident: str
    at: int
    until: int
    by: str = ""
    rank: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class Closed:
    """Somebody resolved it by hand. What is still wrong opens a new one only when it goes wrong again."""

    incident: str
    at: int
    by: str = ""
    rank: ClassVar[int] = 5


Event = (
    Promised | Removed | Paused | Resumed | Ping | Told | CannotTell | Seen | Unreachable | Lost | Covered
    | QueueLook | WorkersLook | Acked | Snoozed | Closed
)  # fmt: skip
