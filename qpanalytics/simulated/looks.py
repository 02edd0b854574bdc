"""What looks at the simulated fleet show, in the columns of a store: as a collector would have seen it, minute by minute."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qpanalytics.instants import micros
from qpanalytics.ledger import tables
from qpanalytics.ledger.versions import FOREVER_US
from qpanalytics.simulated import fleet
from qpanalytics.simulated.fleet import SHOP, SYSTEM, Queue
from qpanalytics.simulated.moves import MINUTES, Floats, Moved, Wholes, place

MINUTE_US = 60_000_000
#: How often a simulated worker of the shop gives a sign of life, seconds, and after how many minutes without it is gone.
BEATS_S = 5.0
GONE_AFTER = 2


def seen() -> Wholes:
    """The minutes that were looked at: each of the last 48 hours, each fifth of the clock before."""
    every = np.arange(MINUTES + 1)
    fine = place(fleet.AS_OF - fleet.EACH_MINUTE)
    kept: Wholes = every[(every >= fine) | ((every + fleet.SINCE.minute) % 5 == 0)]
    return kept


def taken_us(minutes: Wholes) -> Wholes:
    """When these looks were taken, epoch microseconds."""
    return micros(fleet.SINCE) + minutes * MINUTE_US


def of_queue(queue: Queue, moved: Moved, hands: Wholes, minutes: Wholes) -> dict[str, Any]:
    """The columns of the looks at one queue; `hands` are jobs in workers by minute."""
    n = len(minutes)
    age = moved.age_s[minutes]
    lost = np.where((queue.name == "video") & (minutes > place(fleet.KILLED)), 1, 0)
    shop = queue.source == SHOP

    def told(values: Wholes) -> pa.Array:
        return pa.array(values[minutes], pa.int64()) if shop else pa.nulls(n, pa.int64())

    def always(value: int) -> pa.Array:
        return pa.array(np.full(n, value), pa.int64()) if shop else pa.nulls(n, pa.int64())

    missing = "failed: this simulated system keeps none"
    if not shop:
        missing = (
            "active, orphaned, delayed, overdue, retrying, dead, failed, processed_total, failed_total, paused: "
            "a simulated plain list knows no more than what waits in it"
        )
    return {
        "queue": [queue.name] * n,
        "depth": pa.array(moved.depth[minutes], pa.int64()),
        "oldest_at": tables.instants(np.where(np.isnan(age), FOREVER_US, taken_us(minutes) - _whole(age * 1e6))),
        "oldest_age_s": pa.array(age, mask=np.isnan(age)),
        "oldest_is": pa.array(["exact"] * n, pa.string(), mask=np.isnan(age)),
        "active": told(hands) if not shop else pa.array(hands[minutes] + lost, pa.int64()),
        "orphaned": pa.array(lost, pa.int64()) if shop else pa.nulls(n, pa.int64()),
        "delayed": always(queue.delayed), "overdue": always(0),
        "retrying": told(moved.retrying), "dead": told(moved.dead), "failed": pa.nulls(n, pa.int64()),
        "processed_total": told(moved.processed), "failed_total": told(moved.failed),
        "paused": pa.array([False] * n) if shop else pa.nulls(n, pa.bool_()),
        "why": [missing] * n,
    }  # fmt: skip


def in_hand(queue: Queue, moved: Moved, chance: np.random.Generator) -> Wholes:
    """Jobs in the hands of living workers at the end of each minute."""
    done = np.diff(moved.processed, prepend=moved.processed[:1])
    load = np.maximum(done, 0) * queue.service_s / 60
    room = np.full(MINUTES + 1, queue.all_slots)
    if queue.name == "video":
        room[place(fleet.KILLED) + 1 :] = queue.slots
    hands = np.where(moved.depth > 0, room, np.minimum(chance.poisson(load), room))
    if queue.name == "search":
        hands[place(fleet.HUNG) + 1 :] = room[0]
    return hands


def of_worker(queue: Queue, worker: str, hands: Wholes, chance: np.random.Generator, minutes: Wholes) -> dict[str, Any]:
    """The columns of the looks at one worker of the shop."""
    n, number = len(minutes), queue.workers.index(worker)
    share = (hands[minutes] + len(queue.workers) - 1 - number) // len(queue.workers)
    busy = np.minimum(share, queue.slots)
    seen_us = taken_us(minutes) - chance.integers(0, round(BEATS_S * 1e6), n)
    # the longest of so many jobs that end at random
    longest = -queue.service_s * np.log1p(-(chance.random(n) ** (1 / np.maximum(busy, 1))))
    running = np.where(busy > 0, longest, np.nan)
    state = np.full(n, "alive", dtype=object)
    why = np.full(n, "restarts: simulated workers are not supervised", dtype=object)
    if worker == "search-1":
        hung = minutes > place(fleet.HUNG)
        running = np.where(hung, (minutes - place(fleet.HUNG)) * 60.0, running)
    known = np.ones(n, dtype=bool)
    if worker == "video-2":
        past = minutes - place(fleet.KILLED)
        known = past <= 0
        busy, running = np.where(known, busy, 0), np.where(known, running, np.nan)
        seen_us = np.where(known, seen_us, micros(fleet.KILLED))
        state[(past > 0) & (past <= GONE_AFTER)] = "stale"
        state[past > GONE_AFTER] = "gone"
        why[~known] = "busy: it is silent; restarts: simulated workers are not supervised"
    return {
        "worker": [worker] * n,
        "state": state,
        "busy": pa.array(busy, pa.int64(), mask=~known),
        "last_seen_at": tables.instants(seen_us),
        "expected_period_s": pa.array(np.full(n, BEATS_S)),
        "oldest_running_s": pa.array(running, mask=np.isnan(running)),
        "queues": pa.array([[queue.name]] * n, pa.list_(pa.string())),
        "restarts": pa.nulls(n, pa.int64()),
        "why": why,
    }


def of_process(name: str, minutes: Wholes) -> dict[str, Any]:
    """The columns of the looks at one supervised process."""
    n = len(minutes)
    since = minutes - place(fleet.CRASHING)
    every = fleet.CRASH_EVERY.total_seconds() / 60
    crashing = (since >= 0) & (name == "thumbs-2")
    restarts = 2 + np.where(crashing, since // every + 1, 0).astype(np.int64)
    state = np.where(crashing & (since % every == every - 1), "gone", "alive")
    return {
        "worker": [name] * n, "state": state.astype(object), "busy": pa.nulls(n, pa.int64()),
        "last_seen_at": tables.instants(taken_us(minutes)), "expected_period_s": pa.nulls(n, pa.float64()),
        "oldest_running_s": pa.nulls(n, pa.float64()), "queues": pa.nulls(n, pa.list_(pa.string())),
        "restarts": pa.array(restarts, pa.int64()),
        "why": ["busy, expected_period_s, oldest_running_s, queues: a supervisor sees processes, not jobs"] * n,
    }  # fmt: skip


def table(source: str, parts: list[dict[str, Any]], minutes: Wholes, first_fetch: int, schema: pa.Schema) -> pa.Table:
    """The looks at everything that one source shows, in the columns of `collect.looks`; look k is fetch `first_fetch` + k."""
    made = []
    for number, part in enumerate(parts):
        n = len(minutes)
        where = {
            "source": [source] * n, "system": [SYSTEM] * n, "taken_at": tables.instants(taken_us(minutes)),
            "fetch_id": pa.array(first_fetch + np.arange(n), pa.int32()), "place": pa.array(np.full(n, number), pa.int64()),
        }  # fmt: skip
        every = part | where
        made.append(pa.table([_array(every[field.name], field.type) for field in schema], schema=schema))
    return pa.concat_tables(made)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _whole(values: Floats) -> npt.NDArray[np.int64]:
    return np.round(np.nan_to_num(values)).astype(np.int64)
