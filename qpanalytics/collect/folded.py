"""Of an export: runs and occurrences whose pings were pruned, which nothing can be derived from any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import duckdb

_BEFORE = {
    "runs": "coalesce(x.started_at, x.completed_at)",
    "occurrences": "coalesce(x.closed_at, x.window_start_at)",
}


def folded(con: duckdb.DuckDBPyConnection, folder: Path, fresh: Collection[int]) -> None:
    """Takes what was pruned of the checks `fresh`, which this store had never seen; x_pruned and x_ours are there.

    A check that was here before keeps what was derived here.
    """
    taken = con.execute(
        """
        insert into store.pruned by name
        select o.check_id, x.* exclude ("check") from x_pruned x join x_ours o using ("check")
        where o.check_id in (select unnest(?)) order by 1
        """,
        [list(fresh)],
    ).fetchall()
    if not taken[0][0]:
        return
    for table, at in _BEFORE.items():
        paths = literal(sorted(folder.glob(f"{table}/bucket=*/month=*/*.parquet")))
        success = (
            ", case when x.completed_at is not null then x.result = 'success' end as success" if table == "runs" else ""
        )
        result = ", result" if table == "runs" else ""
        con.execute(
            f"""
            insert into store.{table} by name
            select o.check_id, x.* exclude ("check", bucket, month{result}){success}
            from read_parquet($paths, hive_partitioning = true) x
            join x_ours o on o."check" = x."check" join store.pruned q on q.check_id = o.check_id
            where o.check_id in (select unnest($fresh)) and {at} < q.before_at
            order by o.check_id, {at}
            """,  # noqa: S608 - constants
            {"paths": paths, "fresh": list(fresh)},
        )


def literal(paths: Iterable[Path]) -> list[str]:
    """Paths as DuckDB takes them, which else finds patterns in them."""
    return ["".join(f"[{char}]" if char in "[*?" else char for char in str(path)) for path in paths]
