"""Two weeks of simulated looks at a shop's queues, every ten minutes, Mon 9 to Sun 22 Nov 2026 and the hour after.

What is planted: `mailers` fills on weekday mornings and breaks its promise; `default` drains; `exports` stands still at the
end, since its worker is gone; `webhooks` has a retry storm on Thursday that is over by noon; `images` has been in one since
Sunday 20:00; `low` is empty. `busy=False` leaves all trouble out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from qpanalytics.history import History
from qpanalytics.ledger import tables
from qpanalytics.settings import PromiseTable
from qpanalytics.sources.base import QueueLook, WorkerLook
from qpanalytics.store.db import MemoryStore, Store

FIRST = datetime(2026, 11, 9, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
AS_OF = datetime(2026, 11, 23, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)
PROMISES = (
    {"queue": "mailers", "oldest": "10 min", "severity": "critical"},
    {"queue": "default", "oldest": "5 min"},
    {"queue": "exports", "oldest": "1 h", "workers": 2},
)

Row = QueueLook | WorkerLook


@cache
def looks(*, busy: bool = True, seed: int = 5) -> dict[datetime, list[Row]]:
    """What each look showed."""
    chance = np.random.default_rng(seed)
    found: dict[datetime, list[Row]] = {}
    depth = {"mailers": 0.0, "default": 0.0, "exports": 0.0}
    total = dict.fromkeys(("mailers", "default", "exports", "webhooks", "images", "low"), 1000)
    failed = dict.fromkeys(total, 10)
    retrying, dead = {"webhooks": 4.0, "images": 3.0}, 3
    waits: list[float] = []
    at = FIRST
    while at <= AS_OF:
        morning = busy and at.weekday() < 5 and 8 <= at.hour < 10
        came = {"mailers": chance.poisson(150 if morning else 60), "default": chance.poisson(100), "exports": chance.poisson(2)}
        can = {"mailers": 110, "default": 160, "exports": 6}
        gone = busy and at >= datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
        if gone:
            can["exports"] = 0
        for name in came:
            done = min(depth[name] + came[name], can[name])
            depth[name] += came[name] - done
            total[name] += int(done)
        waits.append(depth["mailers"] / can["mailers"] * 600)
        storm = busy and datetime(2026, 11, 19, 9, tzinfo=UTC) <= at < datetime(2026, 11, 19, 11, tzinfo=UTC)
        lasts = busy and at >= datetime(2026, 11, 22, 20, tzinfo=UTC)
        for name, on in (("webhooks", storm), ("images", lasts)):
            total[name] += 40
            failed[name] += 40 if on else 1
            retrying[name] = min(retrying[name] + 25, 500) if on else max(retrying[name] - 60, 3 + chance.integers(0, 3))
        dead += 2 if storm else 0
        stamp = None if depth["exports"] == 0 else min(depth["exports"] * 300.0, (at - FIRST).total_seconds())
        mail = int(depth["mailers"])
        common: dict[str, Any] = {"delayed": 0, "orphaned": 0}
        found[at] = [
            QueueLook("mailers", depth=mail, oldest_age_s=waits[-1] if mail else None, oldest_is="exact",
                      active=10 if mail else 4, processed_total=total["mailers"], failed_total=failed["mailers"], retrying=2,
                      dead=0, **common),
            QueueLook("default", depth=int(depth["default"]), oldest_age_s=0.5, oldest_is="exact", active=3,
                      processed_total=total["default"], failed_total=failed["default"], retrying=1, dead=0, **common),
            QueueLook("exports", depth=int(depth["exports"]), oldest_age_s=stamp, oldest_is="exact", active=0 if gone else 1,
                      processed_total=total["exports"], failed_total=failed["exports"], retrying=0, dead=0, **common),
            *(QueueLook(name, depth=0, active=1, processed_total=total[name], failed_total=failed[name],
                        retrying=int(retrying[name]), dead=dead if name == "webhooks" else 1, **common)
              for name in ("webhooks", "images")),
            QueueLook("low", depth=0, active=0, processed_total=total["low"], failed_total=failed["low"], retrying=0, dead=0,
                      **common),
            WorkerLook("app-1:11", "alive", 4, last_seen_at=at, queues=("mailers", "default", "webhooks")),
            WorkerLook("app-2:12", "alive", 3, last_seen_at=at, queues=("mailers", "default", "images")),
            *(WorkerLook(name, "gone" if gone else "alive", 0, queues=("exports", "low")) for name in ("batch-1:7", "batch-2:8")),
        ]  # fmt: skip
        at += STEP
    return found


def filled(store: MemoryStore | Store, shown: dict[datetime, list[Row]], source: str = "shop", first_id: int = 900) -> None:
    """Puts looks into a store, as `qpa collect` does."""
    rows: dict[str, list[dict[str, Any]]] = {"queue_snapshots": [], "worker_snapshots": []}
    for at, found in shown.items():
        for row in found:
            table = "queue_snapshots" if isinstance(row, QueueLook) else "worker_snapshots"
            rows[table].append({"source": source, "system": "sidekiq", "looks": 1, "taken_at": at, **dataclasses.asdict(row)})
    with store.write() as con:
        for table, some in rows.items():
            if some:
                tables.append(con, f"store.{table}", pa.Table.from_pylist(some))
        con.execute(
            "insert into store.fetches values ($id, $id, $source, 'snapshot', '', null, $at, null, $at, 1, 1, 0, '')",
            {"at": max(shown), "id": first_id, "source": source},
        )


def history(
    shown: dict[datetime, list[Row]], *, promises: Sequence[dict[str, Any]] = PROMISES, since: datetime = SINCE,
    until: datetime = UNTIL, as_of: datetime = AS_OF, store: MemoryStore | Store | None = None, **more: Any
) -> History:  # fmt: skip
    """A history of these looks over the last full week."""
    kept = store or MemoryStore()
    filled(kept, shown)
    return History(kept, as_of=as_of, since=since, until=until, promises=promised(promises), **more)


def promised(said: Sequence[dict[str, Any]] = PROMISES) -> tuple[PromiseTable, ...]:
    """Promises as the configuration has them."""
    return tuple(PromiseTable.model_validate(one) for one in said)


_STORE: list[MemoryStore] = []


def emptied() -> MemoryStore:
    """A store in memory with nothing in it: one for all tests, for making one takes longer than most of them."""
    if not _STORE:
        _STORE.append(MemoryStore())
    with _STORE[0].write() as con:
        names = con.execute(
            "select table_name from duckdb_tables() where schema_name = 'store' and table_name <> 'meta'"
        ).fetchall()
        for (name,) in names:
            con.execute(f"delete from store.{name}")  # noqa: S608 - ours
    return _STORE[0]


def every(
    minutes: float, looks_: int, look: Callable[[int], Row | list[Row]], *, until: datetime = AS_OF
) -> dict[datetime, list[Row]]:
    """So many looks, the last at `until`; `look` says what the k-th shows."""
    found = {}
    for k in range(looks_):
        rows = look(k)
        found[until - timedelta(minutes=minutes * (looks_ - 1 - k))] = rows if isinstance(rows, list) else [rows]
    return found
