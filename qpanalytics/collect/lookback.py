"""Looks at queues and workers out of an export: those that stand for time that no row here stands for."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from qpanalytics.store import thinning
from qpanalytics.store.thinning import Kind

OF_LOOKS = {kind.table: kind for kind in thinning.KINDS}
_TYPES = {
    **dict.fromkeys(("source", "system", "queue", "worker", "state", "oldest_is", "why"), "varchar"),
    **dict.fromkeys(("taken_at", "since_at", "oldest_at", "last_seen_at"), "timestamptz"),
    **dict.fromkeys(("looks", "resets", "paused_looks", "stale_looks", "gone_looks"), "integer"),
    "queues": "varchar[]",
    "paused": "boolean",
}


def looks_columns(kind: Kind) -> dict[str, str]:
    """The columns of a table of looks and their types."""
    names = ["source", kind.name, "taken_at", *kind.last, "looks", "since_at"]
    names += [thinning.beside(f, "min") for f in kind.least]
    names += [thinning.beside(f, "max") for f in kind.most]
    names += [thinning.beside(f, "mean") for f in kind.mean]
    names += [name for name, _ in kind.counted] + [gain for _, gain in kind.gains]
    names += ["gain_s", "resets"] if kind.timed else []
    real = ("double" if name.endswith(("_s", "_mean")) else "bigint" for name in names)
    return {name: _TYPES.get(name, type_) for name, type_ in zip(names, real, strict=True)}


def take_looks(con: duckdb.DuckDBPyConnection, rows: Mapping[str, int]) -> int:
    """Adds the rows of x_queue_snapshots and x_worker_snapshots, inside the caller's transaction; how many are new.

    A row stands for the time from since_at to taken_at. One whose time touches that of a row here is left out: these looks
    are known, be it thinned here or there. Rows here do not overlap, so the nearest one that begins before its end decides.
    """
    added = 0
    for table, kind in OF_LOOKS.items():
        if table not in rows:
            continue
        ((came,),) = con.execute(
            f"""
            insert into store.{table} by name
            select x.* from x_{table} x asof left join (
                select source, {kind.name}, taken_at, coalesce(since_at, taken_at) as begin_at from store.{table}
            ) s on s.source = x.source and s.{kind.name} = x.{kind.name} and x.taken_at >= s.begin_at
            where s.taken_at is null or s.taken_at < coalesce(x.since_at, x.taken_at)
            order by x.taken_at, x.source, x.{kind.name}
            """  # noqa: S608 - our own words
        ).fetchall()
        added += int(came)
    if added:
        thinning.again(con)
    return added
