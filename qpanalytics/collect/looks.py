"""From the pieces of looks at queues and workers to their tables: each row once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from qpanalytics.instants import instant
from qpanalytics.ledger import tables

if TYPE_CHECKING:
    from qpanalytics.store.state import Piece

_INSTANT = pa.timestamp("us", tz="UTC")
_WHERE = {"source": pa.string(), "system": pa.string(), "taken_at": _INSTANT, "fetch_id": pa.int32(), "place": pa.int64()}
QUEUES = pa.schema(
    {
        **_WHERE, "queue": pa.string(), "depth": pa.int64(), "oldest_at": _INSTANT, "oldest_age_s": pa.float64(),
        "oldest_is": pa.string(), "active": pa.int64(), "orphaned": pa.int64(), "delayed": pa.int64(), "overdue": pa.int64(),
        "retrying": pa.int64(), "dead": pa.int64(), "failed": pa.int64(), "processed_total": pa.int64(),
        "failed_total": pa.int64(), "paused": pa.bool_(), "why": pa.string(),
    }
)  # fmt: skip
WORKERS = pa.schema(
    {
        **_WHERE, "worker": pa.string(), "state": pa.string(), "busy": pa.int64(), "last_seen_at": _INSTANT,
        "expected_period_s": pa.float64(), "oldest_running_s": pa.float64(), "queues": pa.list_(pa.string()),
        "restarts": pa.int64(), "why": pa.string(),
    }
)  # fmt: skip


def taken_at(piece: Piece) -> datetime:
    """When the look was taken."""
    return instant(piece.said["taken_at"])


def rows(piece: Piece) -> int:
    """How many queues and workers the look showed."""
    return len(piece.said["queues"]) + len(piece.said["workers"])


def take(con: duckdb.DuckDBPyConnection, source: str, looks: Sequence[Piece], numbers: Mapping[str, int]) -> int:
    """Adds the looks of one source, whose fetches have `numbers`, inside the caller's transaction; how many rows are new.

    A row that is there already (same source, name and instant) stays as it is, and so does one whose time a thinned row
    stands for.
    """
    if not looks:
        return 0
    added = 0
    for name, schema in (("queue", QUEUES), ("worker", WORKERS)):
        arriving: list[dict[str, Any]] = [
            {
                "source": source, "system": p.said["system"], "taken_at": taken_at(p), "fetch_id": numbers[p.look],
                "place": place, **_times(row),
            }
            for p in looks
            for place, row in enumerate(p.said[f"{name}s"])
        ]  # fmt: skip
        if not arriving:
            continue
        added += add(con, name, pa.Table.from_pylist(arriving, schema=schema))
    return added


def add(con: duckdb.DuckDBPyConnection, name: str, arriving: pa.Table) -> int:
    """Adds rows in the columns of QUEUES (`name` is "queue") or WORKERS that the store does not have, with their fetches there.

    Of two with one name in one look, the first. Returns how many were new.
    """
    import pyarrow.compute as pc

    table = f"{name}_snapshots"
    tables.put(con, "arriving_looks", arriving)
    first = pc.min(arriving.column("taken_at")).as_py()
    con.execute(
        f"""
        delete from arriving_looks a using (
            select source, {name}, taken_at, coalesce(since_at, taken_at) as since_at from store.{table} where taken_at >= $first
        ) s where s.source = a.source and s.{name} = a.{name} and a.taken_at between s.since_at and s.taken_at
        """,  # noqa: S608 - our own words
        {"first": first},
    )
    ((added,),) = con.execute(
        f"""
        insert into store.{table} by name
        select * exclude (fetch_id, place), 1 as looks from arriving_looks
        qualify row_number() over (partition by source, {name}, taken_at order by fetch_id, place) = 1
        order by taken_at, fetch_id, place
        """  # noqa: S608 - our own words
    ).fetchall()
    con.execute(
        """
        update store.fetches set added = added + n from (select fetch_id as look, count(*) as n from arriving_looks group by 1)
        where fetch_id = look
        """
    )
    con.execute("drop table temp.arriving_looks")
    return int(added)


def _times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: instant(v) if k in ("oldest_at", "last_seen_at") else v for k, v in row.items()}
