"""Derives runs and occurrences of the checks that new data touched, in batches so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from qpanalytics.ledger import tables
from qpanalytics.ledger.versions import FOREVER_US, chains
from qpanalytics.ledger.windows import fixed_windows, interval_windows

#: What is derived, and can be dropped at any time.
DERIVED = ("runs", "occurrences", "ledger", "holes")
#: Checks derived at a time.
BATCH = 100


def build(
    con: duckdb.DuckDBPyConnection,
    check_ids: Sequence[int] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Derives the ledger of `check_ids` (of every check without them) anew, inside the caller's transaction.

    The result depends on the stored pings, versions and pauses only, never on what was derived before, so deriving
    what new data touches equals a rebuild from scratch. `progress(done, all)` is called after each batch.
    """
    if check_ids is None:
        check_ids = [row[0] for row in con.execute("select check_id from store.checks order by 1").fetchall()]
        for table in DERIVED:
            con.execute(f"delete from store.{table}")  # noqa: S608 - constants
    for at in range(0, len(check_ids), BATCH):
        _build_batch(con, list(check_ids[at : at + BATCH]))
        if progress is not None:
            progress(min(at + BATCH, len(check_ids)), len(check_ids))


def _build_batch(con: duckdb.DuckDBPyConnection, ids: list[int]) -> None:
    for table in DERIVED:
        con.execute(f"delete from store.{table} where check_id in (select unnest(?))", [ids])  # noqa: S608 - constants
    con.execute("create or replace temp table batch as select unnest(?)::integer as check_id", [ids])
    con.execute("create or replace temp view pings as select p.* from store.pings p semi join batch using (check_id)")
    con.execute(f"insert into store.holes by name {tables.sql_of('holes')}")
    con.execute(f"create or replace temp table paired as {tables.sql_of('runs')}")

    promised = tables.promises(con, tables.first_pings(con, ids))
    paused = tables.pauses(con, ids)
    last = dict(con.execute("select check_id, epoch_us(max(received_at)) from pings group by check_id").fetchall())
    completions = _completions(con, [c for c, vs in promised.items() if any(v.kind == "interval" for v in vs)])
    parts: list[pa.Table] = [tables.WINDOWS_SCHEMA.empty_table()]
    horizons: list[tuple[int, int | None]] = []
    for check, versions in promised.items():
        horizon: int | None = None
        if check in last:
            windows, horizon = fixed_windows(versions, -FOREVER_US, last[check])
            parts.append(tables.windows_table(check, versions, windows))
            if check in completions:
                spans = chains(versions, paused.get(check, ()))
                rolling = interval_windows(versions, spans, completions[check])
                parts.append(tables.windows_table(check, versions, rolling))
        horizons.append((check, horizon))
    tables.put(con, "windows", pa.concat_tables(parts))
    tables.put(con, "promises", tables.promises_table(promised))
    con.execute(f"insert into store.runs by name {tables.sql_of('assign')}")
    con.execute("create or replace temp view seen as select r.* from store.runs r semi join batch using (check_id)")
    con.execute(
        f"insert into store.occurrences by name {tables.sql_of('facts')} order by w.check_id, w.expected_at, w.window_start_at"
    )
    ledger = pa.table(
        [pa.array([h[0] for h in horizons], type=pa.int32()), tables.instants([h[1] or FOREVER_US for h in horizons])],
        names=["check_id", "horizon_at"],
    )
    tables.put(con, "horizons", ledger)
    con.execute("insert into store.ledger by name from horizons")
    for name in ("pings", "seen"):
        con.execute(f"drop view if exists temp.{name}")
    for name in ("paired", "batch", "windows", "promises", "horizons"):
        con.execute(f"drop table if exists temp.{name}")


def _completions(con: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> dict[int, np.ndarray]:
    """The distinct instants at which runs of each check completed, sorted, in epoch microseconds."""
    found = con.execute(
        """
        select check_id, list(distinct epoch_us(completed_at) order by epoch_us(completed_at)) as at
        from paired where completed_at is not null and check_id in (select unnest(?)) group by check_id
        """,
        [list(ids)],
    ).fetchall()
    done = {check: np.array(at, dtype=np.int64) for check, at in found}
    return {check: done.get(check, np.empty(0, dtype=np.int64)) for check in ids}
