"""The simulated fleet into a store: its pings as a file would bring them, its looks as rows of a collector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from qpanalytics.collect import looks as taking
from qpanalytics.collect import packed
from qpanalytics.collect.intake import Looked, count, take
from qpanalytics.instants import micros
from qpanalytics.ledger import tables
from qpanalytics.simulated import fleet, looks
from qpanalytics.simulated.fleet import AS_OF, CHECKS, HOSTS, LISTS, QUEUES, SHOP, SINCE
from qpanalytics.simulated.moves import Wholes, moved

if TYPE_CHECKING:
    from qpanalytics.store.db import Store


def fill(store: Store, *, now: datetime, seed: int = fleet.SEED, progress: Callable[[int, int], None] | None = None) -> datetime:
    """Takes the whole fleet into `store`, always the same for a `seed`; returns the instant to ask about."""
    chance = np.random.default_rng(seed)
    with store.write() as con:
        _heartbeats(con, chance, now)
        if progress is not None:
            progress(1, 2)
        for source, queues, workers in _sources(chance):
            _take(con, source, queues, workers)
    if progress is not None:
        progress(2, 2)
    return AS_OF


def _sources(chance: np.random.Generator) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Each source with the columns of its queues and of its workers."""
    minutes = looks.seen()
    for source in (SHOP, LISTS):
        queues, workers = [], []
        for queue in (q for q in QUEUES if q.source == source):
            moves = moved(queue, chance)
            hands = looks.in_hand(queue, moves, chance)
            queues.append(looks.of_queue(queue, moves, hands, minutes))
            if source == SHOP:
                workers += [looks.of_worker(queue, name, hands, chance, minutes) for name in queue.workers]
        yield source, queues, workers
    (thumbnails,) = (q for q in QUEUES if q.source == LISTS)
    yield HOSTS, [], [looks.of_process(name, minutes) for name in thumbnails.workers]


def _take(con: duckdb.DuckDBPyConnection, source: str, queues: list[dict[str, Any]], workers: list[dict[str, Any]]) -> None:
    """The looks at one source, all at once: one piece a look would take a minute."""
    minutes = looks.seen()
    first = count(con, "select coalesce(max(fetch_id), -1) + 1 from store.fetches")
    _fetches(con, source, minutes, first, len(queues) + len(workers))
    for name, parts, schema in (("queue", queues, taking.QUEUES), ("worker", workers, taking.WORKERS)):
        if parts:
            taking.add(con, name, looks.table(source, parts, minutes, first, schema))


def _fetches(con: duckdb.DuckDBPyConnection, source: str, minutes: Wholes, first: int, rows: int) -> None:
    """A row of `fetches` for each look: it went well."""
    n = len(minutes)
    numbers = pa.array(first + np.arange(n), pa.int32())
    taken = tables.instants(looks.taken_us(minutes))
    made = pa.table(
        {
            "fetch_id": numbers, "feed": numbers, "source": [source] * n, "kind": ["snapshot"] * n, "what": ["simulated"] * n,
            "tried_at": taken, "until_at": taken, "rows": pa.array(np.full(n, rows)), "added": pa.array(np.zeros(n, np.int64)),
            "skipped": pa.array(np.zeros(n, np.int64)), "why": [""] * n,
        }
    )  # fmt: skip
    tables.append(con, "store.fetches", made)


def _heartbeats(con: duckdb.DuckDBPyConnection, chance: np.random.Generator, now: datetime) -> None:
    """The pings of the four checks, watched up to the last look."""
    rows = sorted((at, check, kind) for check, at, kind in _pings(chance) if at <= AS_OF)
    n = len(rows)
    columns: dict[str, Any] = {
        "check_name": [check for _, check, _ in rows], "kind": [kind for _, _, kind in rows],
        "received_at": tables.instants([micros(at) for at, _, _ in rows]),
    }  # fmt: skip
    empty = packed.empty()
    arrays = [
        pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type)
        for f in empty.schema
        if f.name != "file_no"
    ]
    table = pa.table([*arrays, pa.array(np.zeros(n), pa.int32()), pa.array(np.arange(n), pa.int64())],
                     names=[*(f.name for f in empty.schema if f.name != "file_no"), "file_no", "row_no"])  # fmt: skip
    tables.put(con, "staged_pings", table)
    take(con, source=CHECKS, looks=[Looked("simulated")], entries=fleet.entries(), covers_until=AS_OF, tried_at=now)


def _pings(chance: np.random.Generator) -> Iterator[tuple[str, datetime, str]]:
    """Each ping of the checks: their name, when, what it says."""
    for hour in range(14 * 24 + 1):
        at = SINCE.replace(minute=0) + timedelta(hours=hour)
        began = at + timedelta(minutes=5, seconds=round(float(chance.uniform(1, 4)), 3))
        if began > SINCE:
            yield "extract-orders", began, "start"
            failed = began >= fleet.PRODUCER_DOWN
            took = chance.uniform(15, 40) if failed else chance.uniform(40, 70)
            yield "extract-orders", began + timedelta(seconds=round(float(took), 3)), "fail" if failed else "success"
        for check, minutes in (("load-orders", (20,)), ("reindex", (0, 15, 30, 45)), ("close-books", (0,))):
            if check == "close-books" and at.hour != 2:
                continue
            for minute in minutes:
                tick = at + timedelta(minutes=minute)
                if tick > SINCE:
                    late = chance.uniform(200, 500) if check == "close-books" else chance.uniform(2, 40)
                    yield check, tick + timedelta(seconds=round(float(late), 3)), "success"
