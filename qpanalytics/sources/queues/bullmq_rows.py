"""From what a server says of one BullMQ or Bull queue to its row: plain functions of replies, no connection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from qpanalytics.sources.base import QueueLook, reasons
from qpanalytics.sources.queues.gate import age, number, stamp, text

#: Replies by what was asked: a name, or ("id" | "job", an end of the queue), ("lock" | "run", id of a running job).
Said = dict[Any, Any]
#: Delayed jobs are ordered by their due time in ms times this, plus a sequence number; the same in Bull 4.
A_MILLISECOND = 4096
#: Of a waiting job. `delay` turns 0 when it is due, so what it was is in the options; `ats` and `attemptsMade` count tries.
FIELDS = ("timestamp", "delay", "priority", "processedOn", "ats", "attemptsMade", "opts")
#: The places that a queue's next and last jobs were read from.
ENDS = ("wait", "other", "parked", "parked_other", "prioritized")

_NO_QUEUE = "no such queue: it has neither meta nor id"
_EMPTY = "the queue is empty"
_FIGURES = (
    "depth", "oldest_at", "oldest_age_s", "oldest_is", "active", "orphaned", "delayed", "overdue", "retrying", "dead",
    "failed", "processed_total", "failed_total", "paused",
)  # fmt: skip


def queue_look(system: str, queue: str, said: Said, now: datetime) -> QueueLook:
    """The row of one queue at the server's `now`."""
    if seems_empty(said) and not said["exists"]:
        return QueueLook(queue, why=reasons(dict.fromkeys(_FIGURES, _NO_QUEUE)))
    version = text(said["meta"][1])
    figures: dict[str, Any] = {
        "depth": depth(said),
        "active": said.get("running", len(said["active"])),
        "delayed": said["delayed"],
        "overdue": said.get("overdue", 0),
        "failed": said["failed"],
        "paused": bool(said.get("meta_paused")) or said["meta"][0] == b"1",
    }
    why = {
        "retrying": "a job that waits for its next try is among the delayed or waiting ones",
        "dead": "there is no dead set; jobs that failed for good are in failed",
    }
    if system == "bull" and version.startswith("bullmq"):
        figures["depth"] = None
        why["depth"] = "the queue is BullMQ's, not Bull's; set kind = \"bullmq\""
    found, said_of = _totals(said)
    figures |= found
    why |= said_of
    found, said_of = _orphaned(said, figures["active"])
    figures |= found
    why |= said_of
    found, said_of = _oldest(said, now)
    figures |= found
    return QueueLook(queue, **figures, why=reasons(why | said_of))


def seems_empty(said: Said) -> bool:
    """Whether nothing that was asked of the queue first shows that it exists."""
    return not (
        any(said["meta"]) or said["wait"] or said["parked"] or said.get("prioritized") or said.get("meta_paused")
        or said["active"] or said["delayed"] or said["failed"] or said["completions"]
    )  # fmt: skip


def depth(said: Said) -> int:
    """Jobs that could be taken now, or when the queue is resumed: BullMQ 5 and Bull keep those of a paused queue apart."""
    # BullMQ 4 left a mark among the jobs, whose id no job can have.
    marks = sum(1 for place in ("wait", "other") for job in ids(said.get(("id", place))) if job.startswith(b"0:"))
    return max(int(said["wait"]) - marks, 0) + int(said["parked"]) + int(said.get("prioritized") or 0)


def ids(reply: Any) -> list[bytes]:
    """The id in the reply of LINDEX, or those in ZRANGE's."""
    return [] if reply is None else list(reply) if isinstance(reply, list | tuple) else [reply]


def _totals(said: Said) -> tuple[dict[str, Any], dict[str, str]]:
    """Counters are kept only where a worker sets `metrics`, then from that time on; they count jobs, not their tries."""
    done, failures = number(said["completions"]), number(said.get("failures"))
    if done is None and failures is None:
        return {}, dict.fromkeys(("processed_total", "failed_total"), "its workers do not set `metrics`, or finished nothing yet")
    return {"processed_total": (done or 0) + (failures or 0), "failed_total": failures or 0}, {}


# Running --------------------------------------------------------------------------------------------------------------


class Running(NamedTuple):
    """A running job that was looked at: without `locked` nobody holds it. `by` is its worker's name, where it has one."""

    locked: bool
    since: datetime | None
    by: str | None


def running(said: Said) -> list[Running]:
    """The running jobs looked at; one that has lost its lock and is not in the list any more has just ended."""
    again = frozenset(said.get("active_again") or ())
    found = []
    for job in said["looked"]:
        locked, (since, by) = bool(said[("lock", job)]), said[("run", job)]
        if locked or job in again:
            found.append(Running(locked, stamp(since), None if by is None else text(by)))
    return found


def _orphaned(said: Said, active: int) -> tuple[dict[str, Any], dict[str, str]]:
    looked = len(said["looked"])
    if looked < active:
        if not looked:
            return {}, {"orphaned": f"none of the {active} running jobs was looked at"}
        least = {"orphaned": f"at least this many; {looked} of {active} running jobs were looked at"}
    else:
        least = {}
    return {"orphaned": sum(not job.locked for job in running(said))}, least


# The oldest waiting job -----------------------------------------------------------------------------------------------


class Began(NamedTuple):
    """When a job began to wait, and what is to be said of it. Not `sure`: it may be later than `at`."""

    at: datetime | None
    sure: bool
    why: str = ""


def _options(job: Sequence[Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(job[6]) if len(job) > 6 and job[6] else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def lifo(job: Sequence[Any]) -> bool:
    """Whether the job was put at the end from which jobs are taken."""
    return _options(job).get("lifo") is True


def jumped(job: Sequence[Any]) -> bool:
    """Whether the job may stand before older ones: by lifo, priority, another try, or because it is gone."""
    return lifo(job) or bool(number(job[2])) or _tried(job) or job[0] is None


def _tried(job: Sequence[Any]) -> bool:
    return job[3] is not None or bool(number(job[4])) or bool(number(job[5]))


def began(job: Sequence[Any], now: datetime) -> Began:
    """Since when a job waits: its creation, and the delay it was given, whose rest is 0 once it is due."""
    created = stamp(job[0])
    if created is None:
        return Began(None, False, "the job at the end of the queue is gone or has no time stamp")
    asked = _options(job).get("delay")
    left = number(job[1]) or 0
    delay = left or (asked if isinstance(asked, int | float) and not isinstance(asked, bool) and 0 < asked < 1e14 else 0)
    try:
        due = created + timedelta(milliseconds=delay)
    except OverflowError:
        due = datetime.max.replace(tzinfo=UTC)
    if _tried(job):
        last = stamp(job[3])
        if last is None:
            return Began(None, False, "the oldest job was put back after it had failed; since when is not kept")
        return Began(max(created, last), False, "the oldest job was tried before and waits since then at the earliest")
    if delay and due > now + timedelta(seconds=1):
        return Began(None, False, "the oldest job was promoted before it was due; since when is not kept")
    if len(job) < len(FIELDS):
        return Began(due, False, "the options of its job are too large to be read each time; it may have been delayed")
    return Began(due, True)


def _oldest(said: Said, now: datetime) -> tuple[dict[str, Any], dict[str, str]]:
    """The oldest of the ends read. A job without lifo, priority or earlier tries at the taking end has none before it."""
    waiting = depth(said)
    columns = ("oldest_at", "oldest_age_s", "oldest_is")
    if not waiting:
        return {}, dict.fromkeys(columns, _EMPTY)
    jobs = {place: said[("job", place)] for place in ENDS if ("job", place) in said}
    seen = {place: began(job, now) for place, job in jobs.items()}
    dated = [one for one in seen.values() if one.at is not None]
    if not dated:
        one = next(iter(seen.values()), Began(None, False, "the job at the end of the queue is gone"))
        return {}, dict.fromkeys(columns, one.why)
    oldest = min(dated, key=lambda one: one.at or now)
    seconds, skew = age(oldest.at, now)
    figures: dict[str, Any] = {"oldest_at": oldest.at, "oldest_age_s": seconds}
    if not oldest.sure:
        return figures, {"oldest_is": oldest.why}
    all_read = len({ids(said[("id", place)])[0] for place in seen}) == waiting and len(dated) == len(seen)
    first = next(iter(jobs))
    one_list = not said.get("prioritized") and not (said["wait"] and said["parked"]) and first != "prioritized"
    # A job with lifo at the far end has none without it behind it, and is the first of those with it.
    far = "wait" if said["front"] else "other"
    in_order = one_list and (lifo(jobs.get(far, ())) or (first != far and not jumped(jobs[first])))
    figures["oldest_is"] = "exact" if all_read or in_order else "lower_bound"
    notes = [skew] if skew else []
    if figures["oldest_is"] == "lower_bound":
        notes.append("of the jobs at the ends; one with a priority, or behind those put in front, may be older")
    return figures, {"oldest_age_s": "; ".join(notes)} if notes else {}
