"""Sidekiq 6, 7 and 8: queues and processes as their documented keys show them, in three round trips.

What Sidekiq keeps for all queues together (scheduled, retries, dead, counters) is the row `*`. Ages are by the Redis
server's clock; Sidekiq's own stamps are float seconds up to version 7 and whole milliseconds from 8 on, and one queue may
hold both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook, reasons
from qpanalytics.sources.queues.gate import Command, Gate, age, from_table, number, pairs, stamp, text
from qpanalytics.sources.queues.oldest import Ends, members, waited, written

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

#: Jobs that are looked at to tell which queue a worker's jobs came from.
MOST_RUNNING = 100
#: Bytes of one process's running jobs, which hold their payloads; where the last were more, they are read less often.
MOST_WORK = 1_000_000
#: Heartbeats that may fail to come before a process is stale.
MISSED = 3
STAMPS = ("enqueued_at", "created_at")

TOGETHER = "Sidekiq keeps it for all queues together, see queue *"
APART = "told for each queue"
KEPT_AS_RETRY = "Sidekiq keeps failed jobs as retrying or dead"
SLOW = "last_seen_at: its clock is slow, but its heartbeats go on"
EMPTY, TAKEN = "the queue is empty", "its jobs were taken while it was looked at"
LOST = "Sidekiq does not list the jobs of a killed process"


class Process(NamedTuple):
    """One name in the set of processes and its hash.

    `held` counts its entries of running jobs, in the hash with the ending `place`; `running` are they, None where they
    were not read, for the reason `unread`.
    """

    name: bytes
    info: dict[str, Any]
    beat: datetime | None
    busy: int | None
    quiet: bool
    #: Its hash is there: it sent a heartbeat in the last 60 s.
    present: bool
    held: int = 0
    place: bytes = b":work"
    running: Sequence[bytes] | None = ()
    unread: str = ""

    @property
    def queues(self) -> tuple[str, ...] | None:
        """The queues that it takes jobs from; None where it does not say. Sidekiq 8.1 names them as weights of its capsules."""
        told = self.info.get("queues")
        if isinstance(capsules := self.info.get("capsules"), dict) and not isinstance(told, list):
            weights = [capsule.get("weights") for capsule in capsules.values() if isinstance(capsule, dict)]
            told = [queue for names in weights if isinstance(names, dict) for queue in names]
        return tuple(dict.fromkeys(str(queue) for queue in told)) if isinstance(told, list) else None

    @property
    def period_s(self) -> float:
        """Seconds between heartbeats: 5 up to Sidekiq 6, which does not always tell its version, and 10 from 7 on."""
        version = self.info.get("version")
        major = number(str(version).partition(".")[0]) if version is not None else 7 if "embedded" in self.info else 6
        return 10.0 if (major or 7) >= 7 else 5.0


class Sidekiq:
    """The queues and processes of one Sidekiq. `prefix` is the name space of redis-namespace, which Sidekiq 6 could have."""

    system = "sidekiq"

    def __init__(
        self, gate: Gate, *, name: str, clock: Callable[[], datetime], prefix: str = "", queues: Sequence[str] = ()
    ) -> None:
        self.name, self._gate, self._clock, self._queues = name, gate, clock, queues
        self._prefix = f"{prefix.removesuffix(':')}:".encode() if prefix else b""

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How its queues and processes look now."""
        key = self._prefix
        clock, registry, names, *counts = self._gate.trip([
            ("TIME",), ("SMEMBERS", key + b"queues"), ("SMEMBERS", key + b"processes"), ("ZCARD", key + b"schedule"),
            ("ZCARD", key + b"retry"), ("ZCARD", key + b"dead"), ("GET", key + b"stat:processed"), ("GET", key + b"stat:failed"),
        ])  # fmt: skip
        taken_at, now = self._clock(), self._gate.clock(clock)
        known, names = set(registry), sorted(names)
        queues = list(dict.fromkeys(queue.encode() for queue in self._queues)) or sorted(known)
        ask: list[Command] = [("ZCOUNT", key + b"schedule", "-inf", f"{now.timestamp():.6f}")]
        ask += [("LLEN", key + b"queue:" + queue) for queue in queues]
        ask += [("SISMEMBER", key + b"paused", queue) for queue in queues]
        for name in names:  # up to 6.4.1 running jobs are in :workers, from 6.4.2 on in :work
            ask += [("HMGET", key + name, "info", "beat", "busy", "quiet"), ("HLEN", key + name + b":work"),
                    ("HLEN", key + name + b":workers")]  # fmt: skip
        overdue, *replies = self._gate.trip(ask)
        depths, paused = replies[: len(queues)], replies[len(queues) : 2 * len(queues)]
        rest = replies[2 * len(queues) :]
        processes = [to_process(*parts) for parts in zip(names, rest[::3], rest[1::3], rest[2::3], strict=True)]

        ends, loads = Ends(cursor), Ends(cursor, name="large_work")
        found, processes = self._inside(queues, depths, processes, ends, loads)
        running, partly = to_running(processes)
        rows = []
        for queue, depth, pause in zip(queues, depths, paused, strict=True):
            active = partly.get(text(queue)) or partly.get(None) or running[text(queue)]
            rows.append(to_queue(text(queue), depth, found[queue], bool(pause), active, now, known=queue in known))
        here = bool(known or names or any(counts))
        total = sum(process.held for process in processes if process.present) if partly else None
        rows.append(to_totals([*counts, overdue], here=here, active=total))
        silent = cursor.get("silent")
        workers, silences = to_workers(processes, now, silent if isinstance(silent, Mapping) else {})
        return Snapshot(
            taken_at, rows, workers, {**ends.cursor(), **loads.cursor(), **silences},
            (now - taken_at).total_seconds(),
            () if here else (f"nothing of Sidekiq is in database {self._gate.database}: are url and prefix right?",),
        )  # fmt: skip

    def close(self) -> None:
        """Gives the connection back."""
        self._gate.close()

    def _inside(
        self, queues: Sequence[bytes], depths: Sequence[int], processes: Sequence[Process], ends: Ends, loads: Ends
    ) -> tuple[dict[bytes, bytes | str], list[Process]]:
        """The end element of each queue, or why there is none, and the processes with their running jobs."""
        found: dict[bytes, bytes | str] = {}
        for queue, depth in zip(queues, depths, strict=True):
            found[queue] = EMPTY if not depth else TAKEN if ends.wanted(text(queue)) else ends.why(text(queue))
        wanted = [queue for queue, why in found.items() if why is TAKEN]
        told, chosen, room = [], [], MOST_RUNNING
        for process in processes:
            if not process.present or not process.held:
                told.append(process)
            elif process.held > room:
                why = f"only {MOST_RUNNING} running jobs are looked at, and there are more"
                told.append(process._replace(running=None, unread=why))
            elif not loads.wanted(text(process.name)):
                told.append(process._replace(running=None, unread="running jobs: " + loads.why(text(process.name))))
            else:
                chosen.append(process)
                room -= process.held
        key = self._prefix
        ask: list[Command] = [("LINDEX", key + b"queue:" + queue, -1) for queue in wanted]
        replies = self._gate.trip(ask + [("HGETALL", key + process.name + process.place) for process in chosen])
        for queue, end in zip(wanted, replies, strict=False):
            if end is not None:
                found[queue] = end
                ends.read(text(queue), len(end))
        for process, reply in zip(chosen, replies[len(wanted) :], strict=True):
            entries = list(pairs(reply).values())
            loads.read(text(process.name), sum(map(len, entries)), MOST_WORK)
            told.append(process._replace(running=entries))
        return found, sorted(told, key=lambda process: process.name)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Sidekiq:
    """The Sidekiq that a `[[source]]` describes."""
    return Sidekiq(from_table(table, password), name=table.name, clock=clock, prefix=table.prefix or "", queues=table.queues)


def to_process(name: bytes, reply: Sequence[bytes | None], work: int, workers: int) -> Process:
    """A process from its name, HMGET of info, beat, busy and quiet, and the lengths of both places for running jobs."""
    info, beat, busy, quiet = reply
    return Process(
        name, members(info or b"", ()), stamp(beat), number(busy), quiet == b"true", any(part is not None for part in reply),
        max(work, workers), b":work" if work else b":workers",
    )  # fmt: skip


def to_running(processes: Sequence[Process]) -> tuple[Counter[str], dict[str | None, str]]:
    """Running jobs by queue, and the queues of processes whose jobs were not read, with the reason.

    A process that serves one queue only need not be read. The queue None stands for all: a process does not say which it
    serves.
    """
    counts: Counter[str] = Counter()
    partly: dict[str | None, str] = {}
    for process in processes:
        queues = process.queues or ()
        if process.running is None and len(queues) == 1:
            counts[queues[0]] += process.held
        elif process.running is None:
            partly |= dict.fromkeys(queues or (None,), process.unread)
        for entry in process.running or ():
            counts[str(members(entry, ("run_at",)).get("queue"))] += 1
    return counts, partly


def to_queue(
    queue: str, depth: int, end: bytes | str, paused: bool, active: int | str, now: datetime, *, known: bool = True
) -> QueueLook:
    """One queue. `end` is the element that is taken next, `active` its running jobs; or why they are not known."""
    since, field = written(end, STAMPS) if isinstance(end, bytes) else (None, "")
    oldest = waited(since, now, end if isinstance(end, str) else "its next job has neither enqueued_at nor created_at")
    unknown = {**oldest.unknown} | ({"active": active} if isinstance(active, str) else {})
    unknown |= {"orphaned": LOST, "failed": KEPT_AS_RETRY}
    unknown |= dict.fromkeys(("delayed", "overdue", "retrying", "dead", "processed_total", "failed_total"), TOGETHER)
    created = "oldest_at: when the job was created, as it does not say when it was put here" if field == "created_at" else ""
    never = "" if known or depth else "depth: Sidekiq has never seen a queue of this name"
    return QueueLook(
        queue, depth, oldest.at, oldest.age_s, oldest.how, active=active if isinstance(active, int) else None, paused=paused,
        why=reasons(unknown, oldest.remark, created, never),
    )  # fmt: skip


def to_totals(counts: Sequence[Any], *, here: bool, active: int | None) -> QueueLook:
    """The row `*`, from the sizes of schedule, retry and dead, the two counters, and how many of schedule are due.

    `active` is given where it could not be told for each queue. Sidekiq makes a counter when it first counts.
    """
    delayed, retrying, dead, processed, failed, overdue = (number(count or 0) for count in counts)
    apart = dict.fromkeys(("depth", "oldest_at", "oldest_age_s", "oldest_is", "paused"), APART)
    apart |= {"orphaned": LOST, "failed": KEPT_AS_RETRY} | ({"active": APART} if active is None else {})
    if not here:
        figures = ("delayed", "overdue", "retrying", "dead", "processed_total", "failed_total")
        return QueueLook("*", why=reasons(apart | dict.fromkeys(figures, "nothing of Sidekiq was found")))
    apart |= {} if processed is not None else {"processed_total": "its counter is no number"}
    apart |= {} if failed is not None else {"failed_total": "its counter is no number"}
    return QueueLook(
        "*", active=active, delayed=delayed, overdue=overdue, retrying=retrying, dead=dead, processed_total=processed,
        failed_total=failed, why=reasons(apart),
    )  # fmt: skip


def to_workers(
    processes: Sequence[Process], now: datetime, silent: Mapping[str, Any]
) -> tuple[list[WorkerLook], dict[str, dict[str, list[float]]]]:
    """All processes, and what the next look wants to know of those that seem silent: heartbeat and silence, seconds.

    A machine whose clock is slow writes old heartbeats. Where one is newer than at the last look, and the silence has
    not grown by more than a living process may be silent, it is the clock.
    """
    rows, silences = [], {}
    for process in processes:
        row = to_worker(process, now)
        if row.state == "stale" and process.beat is not None:
            beat, seconds = process.beat.timestamp(), (now - process.beat).total_seconds()
            match silent.get(text(process.name)):
                case [int() | float() as last, int() | float() as grown] if beat > last:
                    if seconds - grown < MISSED * process.period_s:
                        row = replace(row, state="alive", why=f"{row.why}; {SLOW}")
            silences[text(process.name)] = [beat, seconds]
        rows.append(row)
    return rows, {"silent": silences} if silences else {}


def to_worker(process: Process, now: datetime) -> WorkerLook:
    """One process. Its hash lives for 60 s after a heartbeat; the name stays until another process clears it away."""
    unknown = {"restarts": "Sidekiq does not count them"}
    if not process.present:
        figures = ("busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues")
        gone = dict.fromkeys(figures, "no heartbeat for 60 s, it died or hangs: only its name is left")
        return WorkerLook(text(process.name), "gone", why=reasons(gone | unknown))
    silent, remark = age(process.beat, now)
    state: Literal["alive", "stale", "unknown"] = "unknown"
    if silent is None:
        unknown["last_seen_at"] = "its heartbeat has no time stamp, so its state is unknown"
    else:
        state = "alive" if silent < MISSED * process.period_s else "stale"
    since = [at for entry in process.running or () if (at := written(entry, ("run_at",))[0]) is not None]
    if not since:
        unknown["oldest_running_s"] = process.unread or ("it does not say" if process.busy else "it runs no job")
    if process.busy is None:
        unknown["busy"] = "it does not say"
    if process.queues is None:
        unknown["queues"] = "it does not say"
    return WorkerLook(
        text(process.name), state, process.busy, process.beat, process.period_s, age(min(since), now)[0] if since else None,
        process.queues,
        why=reasons(unknown, f"last_seen_at: {remark}" if remark else "", "quiet: it takes no new jobs" if process.quiet else ""),
    )  # fmt: skip
