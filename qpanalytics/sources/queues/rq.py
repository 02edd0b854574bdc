"""RQ 2 and 3 (and 1 as far as its keys are the same): queues and workers as their documented keys show them.

RQ's own calls clean up while they count, so none is used. A job's record holds its payload: only single fields are read.
A worker that idles beats every 405 s, a busy one every 30 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook, reasons
from qpanalytics.sources.queues.gate import Command, Gate, age, from_table, stamp, text
from qpanalytics.sources.queues.oldest import waited

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

#: Jobs that are looked at to tell since when workers run them; and ids of jobs that were taken and not begun.
MOST_RUNNING = MOST_BETWEEN = 100
#: Seconds between heartbeats, and after which a worker is not believed to live: RQ lets its record expire then.
IDLE_PERIOD_S, BUSY_PERIOD_S = 405.0, 30.0
IDLE_LIMIT_S, BUSY_LIMIT_S = 480.0, 90.0

WITH_DELAYED = "RQ keeps retries among the delayed jobs, or puts them back into the queue at once"
NO_DEAD = "RQ has no dead set; jobs that failed for good are in failed"
MANY = f"only {MOST_RUNNING} running jobs are looked at, and there are more"
#: The field of an execution's record that tells when it began. Records expire; the set of a worker's executions may lag.
CREATED = "created_at"
PER_WORKER = "RQ counts for each worker only, and forgets it with the worker"


class Inside(NamedTuple):
    """What is known of one queue after two round trips. `ends` are ids of jobs at its front and its back."""

    name: bytes
    depth: int
    #: Ids of jobs that a worker took and has not begun, the longest there first.
    between: Sequence[bytes]
    ends: Sequence[bytes]
    active: int
    orphaned: int
    delayed: int
    overdue: int
    failed: int


class Worker(NamedTuple):
    """One name in the set of workers, its record, and the keys of the executions it says to be at."""

    name: bytes
    state: bytes | None
    beat: datetime | None
    queues: tuple[str, ...] | None
    died: bool
    present: bool
    #: Where the time is that each of its running jobs began: key and field.
    running: Sequence[tuple[bytes, str]]


class Rq:
    """The queues and workers of one RQ. `prefix` is what RQ_KEY_PREFIX sets from RQ 3 on."""

    system = "rq"

    def __init__(
        self, gate: Gate, *, name: str, clock: Callable[[], datetime], prefix: str = "rq", queues: Sequence[str] = ()
    ) -> None:
        self.name, self._gate, self._clock, self._queues = name, gate, clock, queues
        self._prefix = f"{prefix.removesuffix(':')}:".encode()

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How its queues and workers look now."""
        key = self._prefix
        clock, registry, listed, suspended = self._gate.trip([
            ("TIME",), ("SMEMBERS", key + b"queues"), ("SMEMBERS", key + b"workers"), ("EXISTS", key + b"suspended"),
        ])  # fmt: skip
        taken_at, now = self._clock(), self._gate.clock(clock)
        known = {name.removeprefix(key + b"queue:") for name in registry}
        names = list(dict.fromkeys(queue.encode() for queue in self._queues)) or sorted(known)
        hands = sorted(name.removeprefix(key + b"worker:") for name in listed)
        insides, workers = self._inside(names, hands, now)
        began, stamps = self._stamps(insides, workers)
        rows = [to_queue(inside, stamps, bool(suspended), now, known=inside.name in known) for inside in insides]
        here = bool(known or hands or suspended)
        return Snapshot(
            taken_at, rows, [to_worker(worker, began, now) for worker in workers],
            offset_s=(now - taken_at).total_seconds(),
            notes=() if here else (f"nothing of RQ is in database {self._gate.database}: is url right?",),
        )  # fmt: skip

    def close(self) -> None:
        """Gives the connection back."""
        self._gate.close()

    def _inside(self, names: Sequence[bytes], hands: Sequence[bytes], now: datetime) -> tuple[list[Inside], list[Worker]]:
        """What queues and workers hold, in one round trip."""
        key, due = self._prefix, f"{now.timestamp():.6f}"
        ask: list[Command] = []
        for name in names:
            queue, scheduled, wip = key + b"queue:" + name, key + b"scheduled:" + name, key + b"wip:" + name
            ask += [
                ("LLEN", queue), ("LRANGE", queue + b":intermediate", 0, MOST_BETWEEN - 1), ("LINDEX", queue, 0),
                ("LINDEX", queue, -1), ("ZCARD", wip), ("ZCOUNT", wip, "-inf", f"({due}"), ("ZCARD", scheduled),
                ("ZCOUNT", scheduled, "-inf", due), ("ZCARD", key + b"failed:" + name),
            ]  # fmt: skip
        per = len(ask) // len(names) if names else 0
        for name in hands:
            record = key + b"worker:" + name
            ask.append(("HMGET", record, "state", "last_heartbeat", "queues", "death", "current_job"))
            ask.append(("SMEMBERS", record + b":executions"))
        replies = self._gate.trip(ask)
        insides = []
        for place, name in enumerate(names):
            depth, between, first, last, *counts = replies[place * per :][:per]
            ends = [end for end in (first, last) if end is not None]
            insides.append(Inside(name, depth, between, ends, *counts))
        rest = replies[len(names) * per :]
        records = zip(hands, rest[::2], rest[1::2], strict=True)
        return insides, [to_record(name, record, executions, key) for name, record, executions in records]

    def _stamps(
        self, insides: Sequence[Inside], workers: Sequence[Worker]
    ) -> tuple[dict[bytes, datetime | None], dict[bytes, tuple[datetime | None, str]]]:
        """When running jobs began, by key, and since when the jobs at the ends of queues have waited, by id."""
        running = [job for worker in workers if worker.present for job in worker.running][:MOST_RUNNING]
        waiting = list(dict.fromkeys(job for inside in insides for job in (*inside.ends, *inside.between[:1])))
        ask: list[Command] = [("HGET", key, field) for key, field in running]
        ask += [("HMGET", self._prefix + b"job:" + job, "enqueued_at", "created_at") for job in waiting]
        replies = self._gate.trip(ask)
        began = {key: stamp(reply) for (key, _), reply in zip(running, replies, strict=False)}
        return began, {job: to_since(reply) for job, reply in zip(waiting, replies[len(running) :], strict=True)}


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Rq:
    """The RQ that a `[[source]]` describes."""
    return Rq(from_table(table, password), name=table.name, clock=clock, prefix=table.prefix or "rq", queues=table.queues)


def to_since(reply: Sequence[bytes | None]) -> tuple[datetime | None, str]:
    """Since when a job has waited, from HMGET of enqueued_at and created_at; where it cannot be told, why."""
    enqueued_at, created_at = map(stamp, reply)
    if enqueued_at is not None:
        return enqueued_at, ""
    if created_at is not None:
        return created_at, "oldest_at: when the job was created, as it does not say when it was put here"
    return None, "the record of its next job says nothing" if any(reply) else "the record of its next job is gone"


def to_record(name: bytes, record: Sequence[bytes | None], executions: Sequence[bytes], prefix: bytes) -> Worker:
    """A worker from HMGET of state, last_heartbeat, queues, death and current_job, and its set of executions.

    RQ up to 2 names the current job in the record; from 3 on each execution has a record of its own.
    """
    state, beat, queues, death, job = record
    running = [(prefix + b"execution:" + execution, CREATED) for execution in sorted(executions)]
    if not running and job:
        running = [(prefix + b"job:" + job, "started_at")]
    listed = None if queues is None else tuple(text(queues).split(","))
    return Worker(name, state, stamp(beat), listed, bool(death), any(part is not None for part in record), running)


def to_queue(
    inside: Inside, stamps: Mapping[bytes, tuple[datetime | None, str]], suspended: bool, now: datetime, *, known: bool = True
) -> QueueLook:
    """One queue; `stamps` tells of the jobs at its ends since when they wait.

    A job put `at_front` stands before older ones, so where the front is not the oldest end, its age is a lower bound.
    """
    gone = (None, "the record of its next job is gone")
    ends = [stamps.get(job, gone) for job in inside.ends]
    told = [stamps.get(job, gone) for job in inside.between[:1]] + ends
    since, remark = min((one for one in told if one[0] is not None), default=(None, ""))
    why = told[0][1] if told else "its jobs were taken while it was looked at" if inside.depth else "the queue is empty"
    exact = not ends or (ends[0][0] is not None and (ends[-1][0] is None or ends[0][0] <= ends[-1][0]))
    oldest = waited(since, now, why, exact=exact)
    unknown = oldest.unknown | {"retrying": WITH_DELAYED, "dead": NO_DEAD}
    unknown |= dict.fromkeys(("processed_total", "failed_total"), PER_WORKER)
    between = len(inside.between)
    return QueueLook(
        text(inside.name), inside.depth + between, oldest.at, oldest.age_s, oldest.how, active=inside.active,
        orphaned=inside.orphaned, delayed=inside.delayed, overdue=inside.overdue, failed=inside.failed, paused=suspended,
        why=reasons(
            unknown, oldest.remark, remark,
            f"depth: {between} of them taken by a worker and not begun" if between else "",
            "" if known or inside.depth else "depth: RQ has never seen a queue of this name",
        ),
    )  # fmt: skip


def to_worker(worker: Worker, began: Mapping[bytes, datetime | None], now: datetime) -> WorkerLook:
    """One worker. Its record expires after its last heartbeat, 480 s when idle and 90 s when busy; its name stays."""
    unknown = {"restarts": "RQ does not count them"}
    if not worker.present or worker.died:
        why = "it said that it ended" if worker.died else "its heartbeat has run out, it died or hangs: only its name is left"
        figures = ("busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues")
        return WorkerLook(text(worker.name), "gone", why=reasons(dict.fromkeys(figures, why) | unknown))
    ended = {key for key, field in worker.running if field == CREATED and key in began and began[key] is None}
    running = [key for key, _ in worker.running if key not in ended]
    busy = len(running) or int(worker.state == b"busy")
    period, limit = (BUSY_PERIOD_S, BUSY_LIMIT_S) if busy else (IDLE_PERIOD_S, IDLE_LIMIT_S)
    silent, remark = age(worker.beat, now)
    state: Literal["alive", "stale", "unknown"] = "unknown"
    if silent is None:
        unknown["last_seen_at"] = "its heartbeat has no time stamp, so its state is unknown"
    else:
        state = "alive" if silent < limit else "stale"
    since = [at for key in running if (at := began.get(key)) is not None]
    if not since:
        passed = busy and running and not any(key in began for key in running)
        unknown["oldest_running_s"] = MANY if passed else "it does not say since when" if busy else "it runs no job"
    if worker.queues is None:
        unknown["queues"] = "it does not say"
    return WorkerLook(
        text(worker.name), state, busy, worker.beat, period, age(min(since), now)[0] if since else None, worker.queues,
        why=reasons(
            unknown, f"last_seen_at: {remark}" if remark else "",
            "suspended: it takes no jobs" if worker.state == b"suspended" else "",
        ),
    )  # fmt: skip
