"""Stores to measure with: checks of `*/10 * * * *`, 10,000 pings each, up to five minutes late, one in a hundred failed."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qpanalytics.ledger import tables
from qpanalytics.store.db import Store

BEGIN_US = 1_767_225_600_000_000  # 2026-01-01
GAP_US = 600_000_000
EACH = 10_000
A_DAY = 144


def checks(rows: int) -> int:
    """How many checks have `rows` pings together."""
    return max(1, rows // EACH)


def ticks(count: int, first: int = 0, each: int = EACH) -> npt.NDArray[np.int64]:
    """Expected times of `count` checks, by check, in epoch microseconds."""
    return np.tile(BEGIN_US + np.arange(first, first + each) * GAP_US, count)


def came(count: int, first: int = 0, each: int = EACH) -> npt.NDArray[np.int64]:
    """The pings of the checks, one for each expected time."""
    luck = np.random.default_rng(first + 1)
    return ticks(count, first, each) + luck.integers(0, GAP_US // 2, count * each)


def fill(path: Path, rows: int) -> None:
    """A store with the checks, what they promise and their pings; nothing is derived yet."""
    count = checks(rows)
    with Store(path).write() as con:
        con.execute(
            "insert into store.checks select i, 'job-' || i, 'files', 'job-' || i, 'job-' || i, now() from range(1, ? + 1) t(i)",
            [count],
        )
        con.execute(
            """
            insert into store.versions
            select i, 'source', make_timestamptz(?), null, '*/10 * * * *', 'UTC', 120, null, null, null, []
            from range(1, ? + 1) t(i)
            """,
            [BEGIN_US - GAP_US // 2, count],
        )
        add(con, count, 0, EACH, fetch=0)
        con.execute(
            """
            insert into store.fetches select 0, 0, 'files', 'file', 'made', 'made', now(), min(received_at), max(received_at),
                count(*), count(*), 0, '' from store.pings
            """
        )
        con.execute("insert into store.fetch_checks select 0, check_id from store.checks")


def add(con: duckdb.DuckDBPyConnection, count: int, first: int, each: int, *, fetch: int) -> None:
    """Stores pings of the checks for expected times from number `first` on, some million at a time."""
    step = max(1, 2_000_000 // each)
    at = came(count, first, each)
    for begin in range(0, count, step):
        n = min(step, count - begin)
        mine = at[begin * each : (begin + n) * each]
        failed = pa.array(np.random.default_rng(begin).random(len(mine)) < 0.01)
        tables.append(
            con,
            "store.pings",
            pa.table(
                {
                    "check_id": np.repeat(np.arange(begin + 1, begin + n + 1, dtype=np.int32), each),
                    "received_at": tables.instants(mine),
                    "kind": pc.if_else(failed, "fail", "success"),
                    "k": np.ones(len(mine), dtype=np.int32),
                    "fetch_id": np.full(len(mine), fetch, dtype=np.int32),
                    "row_no": np.arange(len(mine)),
                }
            ),
        )
