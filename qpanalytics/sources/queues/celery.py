"""Celery: its queues on a Redis broker, read from kombu's keys; on RabbitMQ, see `rabbitmq`.

kombu keeps a list a queue and priority, which vanishes when it is empty, and a set of bindings an exchange, which stays.
What workers hold is one hash for all queues. Nothing carries a time stamp, so how long the next job has waited is known only
from having seen the same one at the end before. Workers keep nothing at all: they are heard, see `celery_workers`.

Of what workers hold, `orphaned` counts what was taken longer ago than the visibility timeout: a living worker would have put
it back within seconds, so there is none, or it is a task held for an ETA beyond the timeout, which will run twice. What a
worker held that died since is not in it yet. `overdue` stays unknown: due times lie inside the messages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qpanalytics.errors import ConfigError
from qpanalytics.sources.base import QueueLook, Snapshot, SnapshotSource, WorkerLook, reasons
from qpanalytics.sources.queues import celery_workers
from qpanalytics.sources.queues.gate import Command, Gate, Refused, age, from_table, number, text
from qpanalytics.sources.queues.oldest import MOST_BYTES, Ends
from qpanalytics.spell import number as spelled
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

DEFAULT_QUEUE = "celery"
#: kombu's own; an app may set others in `broker_transport_options`.
STEPS, SEPARATOR, VISIBILITY_S = (0, 3, 6, 9), "\x06\x16", 3_600.0
MOST_BOUND = 100
COMMANDS_A_QUEUE = 12

_PLAIN_WORDS = {
    "delayed": "a task with an ETA waits in its queue, then in a worker; not told apart",
    "overdue": "due times are inside the messages",
    "retrying": "a retry is a new message with an ETA; not told apart",
    "dead": "Celery keeps no dead tasks",
    "failed": "Celery keeps no failed tasks",
    "processed_total": "Celery counts no finished tasks in its broker",
    "failed_total": "Celery counts no failed tasks in its broker",
    "paused": "a cancelled consumer leaves no trace in the broker",
}
OLDEST = ("oldest_at", "oldest_age_s", "oldest_is")
_ABSENT = (
    "no such queue: there is neither a list nor a binding of this name; nobody used it yet, its exchange has another name, "
    "or prefix or database are wrong"
)


@dataclass
class Replies:
    """What the server said, by queue; lists and ends in the order of the priority steps."""

    now: datetime
    bound: set[bytes]
    lengths: dict[bytes, list[int]]
    held: int
    held_long: int = 0
    #: (queue, step) -> the element at the consuming end; what was not read is missing.
    ends: dict[tuple[bytes, int], bytes | None] = field(default_factory=dict)
    #: Why the ends of a queue were not read.
    unread: dict[bytes, str] = field(default_factory=dict)


class Celery:
    """A Celery app's queues and workers on a Redis or Valkey server, one database and prefix."""

    system = "celery"

    def __init__(self, gate: Gate, table: SourceTable, clock: Callable[[], datetime], inspect: Callable[[], Any] | None) -> None:
        self.name = table.name
        self._gate, self._clock, self._inspect = gate, clock, inspect
        self._prefix = (table.prefix or "").encode()
        self._separator = (table.separator or SEPARATOR).encode()
        self._steps = tuple(sorted({0, *(STEPS if table.priority_steps is None else table.priority_steps)}))
        self._visibility_s = table.visibility_timeout
        self._queues = tuple(dict.fromkeys(name.encode() for name in table.queues))
        self._heartbeats = table.heartbeats

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How queues and workers look now; it listens for up to 5 s. SourceError."""
        taken_at = self._clock()
        ends = Ends(cursor)
        replies = self._read(ends)
        looks, remembered = queue_looks(replies, cursor, steps=self._steps, visibility_s=self._visibility_s)
        workers, kept, notes = self._workers(cursor, replies.now)
        return Snapshot(
            taken_at=taken_at, queues=looks, workers=workers, next_cursor={**remembered, **ends.cursor(), **kept},
            offset_s=(replies.now - taken_at).total_seconds(), notes=tuple(notes),
        )  # fmt: skip

    def close(self) -> None:
        self._gate.close()

    # Reading ----------------------------------------------------------------------------------------------------------

    def _read(self, ends: Ends) -> Replies:
        """Two trips, three where queues are found by their bindings."""
        names = self._queues or (DEFAULT_QUEUE.encode(),)
        # A queue without an exchange of its own is bound to the default one.
        exchanges = tuple(dict.fromkeys([*names, DEFAULT_QUEUE.encode()]))
        answers = self._gate.trip([
            ("TIME",), ("HLEN", self._key(b"unacked")),
            *(("SMEMBERS", self._key(b"_kombu.binding." + exchange)) for exchange in exchanges),
            *self._sizes(names),
        ])  # fmt: skip
        bound = bound_queues(answers[2 : 2 + len(exchanges)], self._separator)
        lengths = dict(zip(names, _rows(answers[2 + len(exchanges) :], len(self._steps)), strict=True))
        more = () if self._queues else tuple(sorted(bound - set(names)))[:MOST_BOUND]
        if more:
            lengths |= dict(zip(more, _rows(self._gate.trip(self._sizes(more)), len(self._steps)), strict=True))
            if names[0] not in bound and not any(lengths[names[0]]):
                del lengths[names[0]]  # nobody named it, and nobody uses it
        replies = Replies(self._gate.clock(answers[0]), bound, lengths, held=int(answers[1]))
        wanted = self._wanted(replies, ends)
        late = replies.now.timestamp() - (self._visibility_s or VISIBILITY_S)
        answers = self._gate.trip([
            ("ZCOUNT", self._key(b"unacked_index"), "-inf", f"({late:.6f}"),
            *(("LINDEX", self._list(queue, step), -1) for queue, step in wanted),
            ("TIME",),
        ])  # fmt: skip
        replies.held_long = int(answers[0])
        replies.ends = dict(zip(wanted, answers[1:-1], strict=True))
        for queue in lengths:
            ends.read(text(queue), sum(len(end or b"") for (of, _), end in replies.ends.items() if of == queue))
        replies.now = self._gate.clock(answers[-1])
        return replies

    def _wanted(self, replies: Replies, ends: Ends) -> list[tuple[bytes, int]]:
        """The lists whose end is read: those served last first, as the commands of one queue are counted."""
        found = []
        most = max(COMMANDS_A_QUEUE - 1 - len(self._steps), 1)
        for queue, lengths in replies.lengths.items():
            filled = [step for step, length in zip(self._steps, lengths, strict=True) if length]
            if not filled:
                continue
            if not ends.wanted(text(queue)):
                replies.unread[queue] = ends.why(text(queue))
                continue
            found += [(queue, step) for step in filled[::-1][:most]]
        return found

    def _sizes(self, names: Sequence[bytes]) -> list[Command]:
        return [("LLEN", self._list(name, step)) for name in names for step in self._steps]

    def _list(self, queue: bytes, step: int) -> bytes:
        return self._key(queue + (self._separator + str(step).encode() if step else b""))

    def _key(self, name: bytes) -> bytes:
        return self._prefix + name

    # Workers ----------------------------------------------------------------------------------------------------------

    def _workers(self, cursor: Mapping[str, Any], now: datetime) -> tuple[list[WorkerLook], dict[str, Any], list[str]]:
        roll = celery_workers.Roll(cursor, now)
        if self._heartbeats and roll.may_listen:
            pattern = celery_workers.pattern(self._prefix, self._gate.database)
            heard = self._gate.listen(pattern, celery_workers.LISTEN_S, roll.enough)
            if isinstance(heard, Refused):
                self._gate.only_lacks_permission(("PSUBSCRIBE", pattern), heard)
                roll.refused(pattern)
            else:
                roll.listened(heard)
        if self._inspect is not None:
            roll.answered(self._inspect())
        return roll.looks(listening=self._heartbeats)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> SnapshotSource:
    """The source that a `[[source]]` of kind celery describes; its broker goes by the url. ConfigError."""
    scheme = urlsplit(table.url or "redis:").scheme
    if scheme in ("amqp", "amqps", "pyamqp"):
        from qpanalytics.sources.queues import rabbitmq

        return rabbitmq.from_settings(table, password, clock)
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(
            f'source {quoted(table.name)}: url {quoted(table.url or "")} is no broker that can be read; '
            'try "redis://10.0.0.5:6379/0" or "amqp://10.0.0.5:5672/"'
        )
    inspect = None
    if table.inspect:
        from qpanalytics.sources.queues import celery_inspect

        inspect = celery_inspect.from_table(table, password)
    return Celery(from_table(table, password), table, clock, inspect)


# From replies to rows -------------------------------------------------------------------------------------------------


def bound_queues(bindings: Sequence[Any], separator: bytes) -> set[bytes]:
    """The queues in sets of bindings, whose members are `routing key`, `pattern` and `queue`, separated."""
    parts = [member.split(separator) for members in bindings for member in members]
    return {part[2] for part in parts if len(part) == 3 and part[2]}


def queue_looks(
    replies: Replies, cursor: Mapping[str, Any], *, steps: Sequence[int], visibility_s: float | None
) -> tuple[list[QueueLook], dict[str, Any]]:
    """A row a queue and the row `*`, and what the next look wants to remember: queues seen, and the jobs at their ends."""
    now = replies.now.timestamp()
    kept_ends = cursor.get("ends")
    before: dict[str, Any] = kept_ends if isinstance(kept_ends, dict) else {}
    known = {name for name in cursor.get("known") or () if isinstance(name, str)}
    looks, remembered, exist = [], {}, []
    for queue, lengths in replies.lengths.items():
        name, depth = text(queue), sum(lengths)
        why = {"active, orphaned": "kept for all queues together, see the row *", **_PLAIN_WORDS}
        if not depth and queue not in replies.bound and name not in known:
            looks.append(QueueLook(name, why=reasons(dict.fromkeys(("depth", *OLDEST), _ABSENT) | why)))
            continue
        exist.append(name)
        seen = dict(before.get(name) or {}) if queue in replies.unread else {}
        since: list[float] = []
        for step in steps:
            mark = identity(replies.ends.get((queue, step)))
            if mark is not None:
                last, first = _pair((before.get(name) or {}).get(str(step)))
                if last == mark and first is not None:
                    since.append(first)
                seen[str(step)] = [mark, first if last == mark and first is not None else now]
        if seen:
            remembered[name] = seen
        oldest_at = datetime.fromtimestamp(min(since), UTC) if since and depth else None
        oldest_age_s, said = age(oldest_at, replies.now)
        if oldest_at is None:
            why = dict.fromkeys(OLDEST, _no_age(replies, queue, depth)) | why
        elif said:
            why = {"oldest_age_s": said} | why
        looks.append(QueueLook(
            name, depth=depth, oldest_at=oldest_at, oldest_age_s=oldest_age_s,
            oldest_is=None if oldest_at is None else "lower_bound", why=reasons(why),
        ))  # fmt: skip
    looks.append(_all_queues(replies, any_known=bool(exist), visibility_s=visibility_s))
    return looks, {"ends": remembered, "known": exist}


def identity(message: bytes | None) -> str | None:
    """What tells one message in a list from another: the task's id and which delivery of it; None where it has no id.

    Of a message above 256 kB its last part is taken, which ends with ids and never changes.
    """
    if not message:
        return None
    if len(message) > MOST_BYTES:
        tail = message[-64_000:]
        return _digest(tail + str(len(message)).encode()) if b'"delivery_tag"' in tail else None
    try:
        found = json.loads(message)
        headers = found["headers"]
        properties = found.get("properties")
        tag = properties.get("delivery_tag") if isinstance(properties, dict) else None
        task = headers.get("id") or tag  # the first protocol keeps the id in the body
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    # A task that was given back, or is tried again, began to wait anew.
    return _digest(repr((task, tag, headers.get("redelivered"), headers.get("retries"))).encode()) if task else None


def _all_queues(replies: Replies, *, any_known: bool, visibility_s: float | None) -> QueueLook:
    own = "see the rows of the queues"
    why = {"depth": own, **dict.fromkeys(OLDEST, own)}
    if not any_known and not replies.held:
        absent = "none of the queues is here; prefix or database may be wrong"
        return QueueLook("*", why=reasons(why | {"active": absent, "orphaned": absent} | _PLAIN_WORDS))
    limit = f"{spelled(visibility_s or VISIBILITY_S)} s" + ("" if visibility_s else ", the default")
    why |= {
        "active counts messages that workers hold": "running with late acknowledgement, fetched ahead or held for their ETA, "
        "also by workers that died; a task acknowledged when it starts is not in it",
        "orphaned counts those of them": f"held longer than the visibility timeout ({limit}), to be delivered again; "
        "what a worker held that died since is not in it yet",
    }
    return QueueLook("*", active=replies.held, orphaned=replies.held_long, why=reasons(why | _PLAIN_WORDS))


def _no_age(replies: Replies, queue: bytes, depth: int) -> str:
    if not depth:
        return "the queue is empty"
    if queue in replies.unread:
        return replies.unread[queue]
    found = [end for (of, _), end in replies.ends.items() if of == queue]
    if found and all(end is None for end in found):
        return "the next job was taken meanwhile"
    if not any(identity(end) for end in found):
        return "the next message carries no id, and messages carry no time stamp"
    return "messages carry no time stamp; a lower bound follows when the same job is next at a later look"


def _rows(flat: Sequence[Any], width: int) -> list[list[int]]:
    return [[number(one) or 0 for one in flat[at : at + width]] for at in range(0, len(flat), width)]


def _pair(kept: Any) -> tuple[str | None, float | None]:
    if isinstance(kept, list | tuple) and len(kept) == 2 and isinstance(kept[0], str) and isinstance(kept[1], int | float):
        return kept[0], float(kept[1])
    return None, None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
