"""Workers of BullMQ and Bull from the server's list of connections: plain functions of replies.

A worker's blocking connection is named `<prefix>:<base64 of the queue>`, and `:w:<name>` after it where the worker has a name.
There are no heartbeats. What proves life is a blocking read, sent again every few seconds, or the lock of a job, renewed
every 15 s: a connection without either for long may be a frozen worker's, which stays open, and its state is unknown.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from qpanalytics.sources.base import WorkerLook, reasons
from qpanalytics.sources.queues.bullmq_rows import Running, Said, running
from qpanalytics.sources.queues.gate import number, text

#: Seconds a blocking connection may be silent: it waits 5 to 10 s for a job, then asks again.
SILENT_S = 30
#: Seconds for which a worker that is no longer connected is told as gone.
GONE_S = 600.0
#: The most names that are remembered.
MOST_NAMES = 1_000
#: Seconds that the clocks of worker and server may differ when it is told whether a job began on this connection.
SKEW_S = 2.0

_NO_BEATS = "workers keep no heartbeat"
_ENDED = "it is no longer connected: ended or killed"
_NOT_TOLD = "a connection does not tell"


class Connected(NamedTuple):
    """One worker's blocking connection. `name` is empty where the worker has none."""

    queue: str
    name: str
    host: str
    age_s: int
    idle_s: int
    blocked: bool

    @property
    def fresh(self) -> bool:
        """Whether it waits for a job right now, or did a moment ago."""
        return self.blocked or self.idle_s <= SILENT_S


def connections(reply: Any, prefix: str, database: int) -> list[Connected]:
    """The workers in the reply to CLIENT LIST, of this prefix and database; listeners to events (`:qe`) are none."""
    found = []
    for line in text(reply).split("\n"):
        if prefix not in line:
            continue
        fields = dict(part.partition("=")[::2] for part in line.split(" "))
        name = fields.get("name", "")
        if fields.get("db") != str(database) or not name.startswith(prefix + ":"):
            continue
        encoded, named, worker = name[len(prefix) + 1 :].partition(":w:")
        try:
            queue = b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            continue
        if queue and (worker or not named):
            host = fields.get("addr", "").rpartition(":")[0]
            age_s, idle_s = number(fields.get("age")) or 0, number(fields.get("idle")) or 0
            found.append(Connected(queue, worker, host, age_s, idle_s, "b" in fields.get("flags", "")))
    return found


def workers(
    seen: Iterable[Connected], said: Mapping[str, Said], now: datetime, remembered: Mapping[str, Any]
) -> tuple[tuple[WorkerLook, ...], dict[str, Any]]:
    """A row for each connected worker of the queues looked at, for those that were connected a short while ago, and for
    those whose name stands at a job that nobody holds any more.

    The second is what to remember of them: by worker, its queue and when it was last connected (server's clock, epoch seconds).
    Several without a name at one host, or of one name, are told apart by number only.
    """
    by_queue: dict[str, list[Connected]] = defaultdict(list)
    for one in seen:
        if one.queue in said:
            by_queue[one.queue].append(one)
    rows: dict[str, WorkerLook] = {}
    for queue, connected in by_queue.items():
        rows |= _of_queue(queue, connected, said[queue], now)
    stamped = now.timestamp()
    memory: dict[str, Any] = {label: [row.queues[0] if row.queues else "", stamped] for label, row in rows.items()}
    lost: dict[str, list[Running]] = defaultdict(list)
    gone = {}
    for queue in said:
        for job in running(said[queue]):
            label = f"{queue}:{job.by}"
            if job.by and not job.locked and label not in rows:
                lost[label].append(job)
                gone[label] = queue
    for label, (queue, last) in remembered.items():
        if label not in rows and queue in said and stamped - last < GONE_S and len(memory) < MOST_NAMES:
            memory[label] = [queue, last]
            gone[label] = queue
    for label, queue in gone.items():
        rows[label] = _gone(label, queue, lost[label], memory.get(label, ("", None))[1], now)
    return tuple(rows[label] for label in sorted(rows)), dict(sorted(memory.items())[:MOST_NAMES])


def _gone(label: str, queue: str, lost: Sequence[Running], last: float | None, now: datetime) -> WorkerLook:
    """A worker that is not connected any more, and the jobs that it left behind where they carry its name."""
    why = {"expected_period_s": _NO_BEATS, "restarts": _NOT_TOLD, "state": _ENDED}
    if last is None:
        why["last_seen_at"] = "it was not seen connected lately"
    starts = [job.since for job in lost if job.since is not None]
    if not lost:
        why["busy"] = _ENDED
    if not starts:
        why["oldest_running_s"] = _ENDED
    return WorkerLook(
        label, "gone", busy=len(lost) or None, queues=(queue,), why=reasons(why),
        last_seen_at=None if last is None else datetime.fromtimestamp(last, UTC),
        oldest_running_s=max((now - min(starts)).total_seconds(), 0.0) if starts else None,
    )  # fmt: skip


def _of_queue(queue: str, connected: Sequence[Connected], said: Said, now: datetime) -> dict[str, WorkerLook]:
    """The rows of one queue's workers by label: with a name `queue:name`, else `queue@host`, from the second on with `#2`."""
    jobs = running(said)
    all_looked = len(said["looked"]) >= said.get("running", len(said["active"]))
    by_name: dict[str, list[Running]] = defaultdict(list)
    for job in jobs:
        by_name[job.by or ""].append(job)
    names = [one.name for one in connected]
    unnamed_locked = [job for job in jobs if job.locked and (not job.by or job.by not in names)]
    silent = sum(not one.fresh for one in connected if not one.name)
    rows: dict[str, WorkerLook] = {}
    counted: dict[str, int] = defaultdict(int)
    for one in sorted(connected, key=lambda one: -one.age_s):
        group = f"{queue}:{one.name}" if one.name else f"{queue}@{one.host}"
        counted[group] += 1
        label = group if counted[group] == 1 else f"{group}#{counted[group]}"
        own: list[Running] | None
        if one.name:
            own, cannot = _held(one, by_name[one.name], now), "several workers have this name"
            known = names.count(one.name) == 1
            lives = known and any(job.locked for job in own)
            lost = known and any(not job.locked for job in own)
        else:
            left = [] if one.blocked or unnamed_locked else [job for job in jobs if job.by not in names and _left(one, job, now)]
            own, cannot = unnamed_locked or left, "a job does not say which worker has it; give workers a name"
            known = len(connected) == 1
            lives, lost = bool(unnamed_locked) and silent <= len(unnamed_locked), bool(left)
        if known and not all_looked:
            known, cannot = False, "not all running jobs were looked at"
        rows[label] = _row(label, one, own if known else None, cannot, lives=lives, lost=lost, now=now)
    return rows


def _held(one: Connected, jobs: Iterable[Running], now: datetime) -> list[Running]:
    """The jobs that carry its name; without a lock only those begun on this connection, not by a killed one before it."""
    since = now - timedelta(seconds=one.age_s + SKEW_S)
    return [job for job in jobs if job.locked or (job.since is not None and job.since >= since)]


def _left(one: Connected, job: Running, now: datetime) -> bool:
    """Whether a job lost its lock that began after the last word of a connection: one that lives would wait for jobs again."""
    if job.locked or job.since is None:
        return False
    running_s = (now - job.since).total_seconds()
    return running_s <= min(one.idle_s + SKEW_S, one.age_s + SKEW_S)


def _row(
    label: str, one: Connected, own: list[Running] | None, cannot: str, *, lives: bool, lost: bool, now: datetime
) -> WorkerLook:
    """One worker. A lost lock of a job that it began says more than a connection that is open or blocked."""
    why = {"expected_period_s": _NO_BEATS, "restarts": _NOT_TOLD}
    state: Literal["alive", "stale", "unknown"]
    last: datetime | None = now - timedelta(seconds=one.idle_s)
    if lost:
        state = "stale"
        since = "that it began" if one.name else "that began after its last word"
        why["state"] = f"a job {since} has lost its lock"
    elif one.fresh or lives:
        state = "alive"
        if not one.fresh:
            last = None
            why["last_seen_at"] = "the lock of its job is renewed, which leaves no time stamp"
    else:
        state = "unknown"
        why["state"] = f"connected, but silent for {one.idle_s} s and no lock of a job is renewed by it"
    busy, oldest = None, None
    if own is None:
        why["busy"] = why["oldest_running_s"] = cannot
    else:
        busy = len(own)
        starts = [job.since for job in own if job.since is not None]
        if starts:
            oldest = max((now - min(starts)).total_seconds(), 0.0)
        else:
            why["oldest_running_s"] = "its job has no time of beginning" if own else "no job is running"
    return WorkerLook(
        label, state, busy=busy, last_seen_at=last, oldest_running_s=oldest, queues=(one.queue,), why=reasons(why)
    )  # fmt: skip
