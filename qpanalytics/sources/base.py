"""What every live source answers: which checks and pings there are since a cursor, or how queues and workers look now.

A source keeps nothing and writes nothing. `collect` owns cursors, retries, de-duplication and the store; a source turns
replies of its system into the rows below, and leaves out what the system does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, overload, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

#: Where a source stopped reading a check, in its own words; JSON values only. Empty before the first look.
Cursor = Mapping[str, int | float | str | None]


@dataclass(frozen=True)
class Capabilities:
    """What a system can tell at all, so that a missing figure has a reason."""

    durations: bool
    failures: bool
    expected_times: bool
    #: Pings carry a number without holes, so a loss between two looks can be proven.
    numbered: bool
    #: How far back a look reaches, for people.
    history: str


@dataclass(frozen=True)
class SeenCheck:
    """One check as one look showed it. `handle` is how the source asks for it; it may open doors, so it is never shown."""

    key: str
    label: str
    name: str | None = None
    schedule: str | None = None
    tz: str = "UTC"
    grace_s: float | None = None
    max_runtime_s: float | None = None
    tags: tuple[str, ...] = ()
    paused: bool = False
    #: Pings of this check that the system ever counted; None where it does not say.
    count: int | None = None
    handle: str = field(default="", repr=False, compare=False)
    #: What could not be read of it, for people.
    why: str = ""


class Ping(NamedTuple):
    """One ping as a source shows it. Times are UTC, durations seconds; None is what the system does not say."""

    received_at: datetime
    kind: str
    n: int | None = None
    run_id: str | None = None
    duration_s: float | None = None
    exit_status: int | None = None
    host: str | None = None
    body: str | None = None


class PingColumns(Sequence[Ping]):
    """Pings as Arrow arrays in the order and types of `Ping`'s fields, for sources that show thousands at a time."""

    def __init__(self, *columns: pa.Array) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, place: int) -> Ping: ...
    @overload
    def __getitem__(self, place: slice) -> PingColumns: ...
    def __getitem__(self, place: int | slice) -> Ping | PingColumns:
        if isinstance(place, slice):
            first, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError("columns are cut, not skipped through")
            return PingColumns(*(column.slice(first, max(stop - first, 0)) for column in self.columns))
        at, *others = (column[range(len(self))[place]].as_py() for column in self.columns)
        return Ping(at.astimezone(UTC), *others)


@dataclass(frozen=True)
class Batch:
    """Pings of one check that one reply held, oldest first, and what the reply proves.

    `vouches_for` is a span in which no ping can be missing from `rows` together with what came before the cursor; None
    where the reply proves nothing. `lost` counts pings that the system stored and no longer shows.
    """

    rows: Sequence[Ping]
    next_cursor: Cursor
    vouches_for: tuple[datetime, datetime] | None
    lost: int = 0
    #: Rows that could not be read; their reason is the first one's.
    bad: int = 0
    why: str = ""


class Source(Protocol):
    """A system that knows checks and pings. Both calls raise SourceError, whose `permanent` says whether to try again."""

    name: str
    capabilities: Capabilities

    def checks(self) -> list[SeenCheck]:
        """Every check that can be seen now."""
        ...

    def pings(self, check: SeenCheck, cursor: Cursor) -> Iterator[Batch]:
        """Its pings since `cursor`, in one or more batches; a later look may show some of them again."""
        ...

    def close(self) -> None:
        """Gives connections back."""
        ...


@dataclass(frozen=True)
class Appended:
    """Whole rows that a file got since `cursor` was its place, with the name of each one's check, as they stand there.

    `path` is the cursor's key. `bad` rows could not be read; `why` is the first one's reason, or what is wrong with the file.
    """

    path: str
    rows: Sequence[tuple[str, Ping]]
    next_cursor: Cursor
    bad: int = 0
    why: str = ""


@runtime_checkable
class TailSource(Protocol):
    """Files that grow. Checks are known by the names in their rows.

    With a `horizon` a look reads up to the first row behind it, as if it had been made then.
    """

    name: str
    horizon: datetime | None

    def read(self, cursors: Mapping[str, Cursor]) -> Iterator[Appended]:
        """What was appended since the cursors, by path. SourceError where something cannot be read at all."""
        ...

    def files(self) -> Sequence[Path]:
        """The files that are there now. SourceError where their folder is not."""
        ...

    def settled_at(self, looked_at: datetime) -> datetime:
        """Up to when a look that began at `looked_at` vouches that nothing is missing."""
        ...

    def close(self) -> None:
        """Gives back what is held."""
        ...


@dataclass(frozen=True)
class QueueLook:
    """One look at one queue. A figure that the system cannot give is None and has its reason in `why`; it is never 0.

    `queue` is `*` for figures that a system keeps for all its queues together. `oldest_at` is when the oldest waiting
    job began to wait, `oldest_age_s` how long that is ago by the server's own clock, never negative. `processed_total`
    counts every finished try, failed ones included; `failed_total` the failed ones. Counters only grow until a reset.
    """

    queue: str
    depth: int | None = None
    oldest_at: datetime | None = None
    oldest_age_s: float | None = None
    oldest_is: Literal["exact", "lower_bound"] | None = None
    active: int | None = None
    orphaned: int | None = None
    delayed: int | None = None
    overdue: int | None = None
    retrying: int | None = None
    dead: int | None = None
    failed: int | None = None
    processed_total: int | None = None
    failed_total: int | None = None
    paused: bool | None = None
    why: str = ""


@dataclass(frozen=True)
class WorkerLook:
    """One look at one worker process. None is what the system does not say, with the reason in `why`.

    `state` goes by the system's own period of heartbeats, `expected_period_s`: `stale` is there and silent for too long,
    `gone` is still listed and dead, `unknown` cannot be told. `busy` counts the jobs it runs now.
    """

    worker: str
    state: Literal["alive", "stale", "gone", "unknown"]
    busy: int | None = None
    last_seen_at: datetime | None = None
    expected_period_s: float | None = None
    oldest_running_s: float | None = None
    queues: tuple[str, ...] | None = None
    restarts: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Everything that one look at one server showed, taken together at `taken_at` (our clock, UTC).

    `next_cursor` is what the next look wants to remember of this one; JSON values only. `offset_s` is the server's clock
    minus ours. `notes` say what could not be read although the look succeeded.
    """

    taken_at: datetime
    queues: Sequence[QueueLook] = ()
    workers: Sequence[WorkerLook] = ()
    next_cursor: Mapping[str, Any] = field(default_factory=dict)
    offset_s: float | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class SnapshotSource(Protocol):
    """A system that shows its queues or workers as they are now. It only reads, and little: see sources/README.md."""

    name: str
    #: What it is, as in the column `system`: sidekiq, celery, bullmq, rq, redis-list, systemd, ...
    system: str

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How everything looks now. SourceError where any part of it cannot be read: half a look is none."""
        ...

    def close(self) -> None:
        """Gives connections back."""
        ...


def reasons(unknown: Mapping[str, str], *remarks: str) -> str:
    """The `why` of a look: figures that share a reason are said together, then what else is to be said.

    >>> reasons({"delayed": "kept for all queues together", "dead": "kept for all queues together", "paused": "no pausing"})
    'delayed, dead: kept for all queues together; paused: no pausing'
    """
    by_reason: dict[str, list[str]] = {}
    for figure, reason in unknown.items():
        by_reason.setdefault(reason, []).append(figure)
    told = (f"{', '.join(figures)}: {reason}" for reason, figures in by_reason.items())
    return "; ".join(filter(None, (*told, *remarks)))
