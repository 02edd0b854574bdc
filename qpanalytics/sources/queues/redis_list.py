"""Plain Redis lists that somebody's own code uses as queues: how many wait, and for how long where their JSON tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from qpanalytics.errors import ConfigError
from qpanalytics.sources.base import QueueLook, Snapshot, reasons
from qpanalytics.sources.queues.gate import Gate, from_table
from qpanalytics.sources.queues.oldest import Ends, waited, written
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

#: What producers call the time at which a job was put there, the best first.
STAMPS = (
    "enqueued_at", "enqueuedAt", "queued_at", "queuedAt", "pushed_at", "created_at", "createdAt", "timestamp", "time", "ts",
)  # fmt: skip
EMPTY, TAKEN = "the queue is empty", "its jobs were taken while it was looked at"
PLAIN = "a plain list shows only what waits in it"


class RedisList:
    """Lists of one database. `side` is the end that jobs are taken from; without it both ends are read, the older counts."""

    system = "redis-list"

    def __init__(
        self, gate: Gate, *, name: str, clock: Callable[[], datetime], keys: Sequence[str],
        side: Literal["left", "right"] | None = None,
    ) -> None:  # fmt: skip
        self.name, self._gate, self._clock, self._keys = name, gate, clock, tuple(dict.fromkeys(keys))
        self._places = {"left": (0,), "right": (-1,), None: (0, -1)}[side]

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How its lists look now. A list that is not there is an empty one: it was configured, and Redis keeps no empty list."""
        clock, *depths = self._gate.trip([("TIME",), *(("LLEN", key) for key in self._keys)])
        taken_at, now = self._clock(), self._gate.clock(clock)
        ends = Ends(cursor)
        found: dict[str, list[bytes] | str] = {}
        for key, depth in zip(self._keys, depths, strict=True):
            found[key] = EMPTY if not depth else TAKEN if ends.wanted(key) else ends.why(key)
        wanted = [key for key, why in found.items() if why is TAKEN]
        replies = self._gate.trip([("LINDEX", key, place) for key in wanted for place in self._places])
        for number, key in enumerate(wanted):
            there = [end for end in replies[number * len(self._places) :][: len(self._places)] if end is not None]
            found[key] = there or TAKEN
            ends.read(key, sum(map(len, there)))
        rows = [to_queue(key, depth, found[key], now) for key, depth in zip(self._keys, depths, strict=True)]
        return Snapshot(taken_at, rows, next_cursor=ends.cursor(), offset_s=(now - taken_at).total_seconds())

    def close(self) -> None:
        """Gives the connection back."""
        self._gate.close()


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> RedisList:
    """The lists that a `[[source]]` describes. ConfigError where it names none."""
    keys = [*([table.key] if table.key else []), *table.queues]
    if not keys:
        raise ConfigError(f'source {quoted(table.name)}: it has no key; add key = "jobs", or queues = ["jobs", "mails"]')
    return RedisList(from_table(table, password), name=table.name, clock=clock, keys=keys, side=table.side)


def to_queue(key: str, depth: int, ends: Sequence[bytes] | str, now: datetime) -> QueueLook:
    """One list: the elements at the ends that jobs may be taken from, or why there is none."""
    since, why, field = None, ends if isinstance(ends, str) else "its next job has no time stamp that is known", ""
    for end in () if isinstance(ends, str) else ends:
        at, name = written(end, STAMPS)
        if at is not None and (since is None or at < since):
            since, field = at, name
    oldest = waited(since, now, why)
    figures = ("active", "orphaned", "delayed", "overdue", "retrying", "dead", "failed", "processed_total", "failed_total",
               "paused")  # fmt: skip
    told = f"oldest_at: by its {field}" if field else ""
    return QueueLook(
        key, depth, oldest.at, oldest.age_s, oldest.how,
        why=reasons(oldest.unknown | dict.fromkeys(figures, PLAIN), oldest.remark, told),
    )  # fmt: skip
