"""Between NumPy and DuckDB: windows and promises as Arrow tables, and the promises of each check out of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from qpanalytics.ledger.versions import FOREVER_US, Version, effective
from qpanalytics.ledger.windows import Windows

_INSTANT = pa.timestamp("us", tz="UTC")

WINDOWS_SCHEMA = pa.schema(
    [
        ("check_id", pa.int32()),
        ("version", pa.int32()),
        ("expected_at", _INSTANT),
        ("window_start_at", _INSTANT),
        ("end_at", _INSTANT),
        ("deadline_at", _INSTANT),
        ("gap_s", pa.float64()),
        ("max_runtime_s", pa.float64()),
        ("anchored", pa.bool_()),
        ("closed_at", _INSTANT),
        ("settles_at", _INSTANT),
    ]
)
SPANS_SCHEMA = pa.schema([("check_id", pa.int32()), ("since_at", _INSTANT), ("until_at", _INSTANT)])
PROMISES_SCHEMA = pa.schema(
    [("check_id", pa.int32()), ("from_at", _INSTANT), ("to_at", _INSTANT), ("max_runtime_s", pa.float64())]
)


def sql_of(name: str) -> str:
    """The text of one of the ledger's statements."""
    return (resources.files("qpanalytics.ledger") / f"{name}.sql").read_text(encoding="utf-8")


def instants(values: Any) -> pa.Array:
    """Epoch microseconds as UTC timestamps; FOREVER_US is NULL."""
    array = np.asarray(values, dtype=np.int64)
    return pa.array(array, type=pa.int64(), mask=np.abs(array) >= FOREVER_US - 1).cast(_INSTANT)


def windows_table(check_id: int, versions: Sequence[Version], windows: Windows) -> pa.Table:
    """The windows of one check as rows."""
    c = windows.columns()
    n = len(c["expected"])
    grace = np.array([v.grace_us for v in versions], dtype=np.int64)
    runtime = [v.max_runtime_s for v in versions]
    limits = np.array([np.nan if r is None else r for r in runtime], dtype=np.float64)
    index = c["version"]
    max_runtime = limits[index] if n else np.empty(0)
    return pa.table(
        [
            pa.array(np.full(n, check_id, dtype=np.int32)),
            pa.array(index.astype(np.int32)),
            instants(c["expected"]),
            instants(c["start"]),
            instants(c["end"]),
            instants(c["expected"] + (grace[index] if n else 0)),
            pa.array(c["gap"] / 1e6, mask=c["gap"] == 0),
            pa.array(max_runtime, mask=np.isnan(max_runtime)),
            pa.array(c["anchored"] == 1),
            instants(c["closed"]),
            instants(c["settles"]),
        ],
        schema=WINDOWS_SCHEMA,
    )


def spans_table(spans: Mapping[int, Sequence[tuple[int, int]]]) -> pa.Table:
    """Spans by check; an end that never comes is NULL, a beginning that never was is the earliest instant."""
    rows = [(check, a, b) for check, parts in spans.items() for a, b in parts]
    early = -(1 << 60)
    return pa.table(
        [
            pa.array([r[0] for r in rows], type=pa.int32()),
            pa.array([max(r[1], early) for r in rows], type=pa.int64()).cast(_INSTANT),
            instants([r[2] for r in rows]),
        ],
        schema=SPANS_SCHEMA,
    )


def promises_table(promises: Mapping[int, Sequence[Version]]) -> pa.Table:
    """When which version of a check is in force, with its max runtime."""
    rows = [(check, v.from_us, v.to_us, v.max_runtime_s) for check, vs in promises.items() for v in vs]
    return pa.table(
        [
            pa.array([r[0] for r in rows], type=pa.int32()),
            pa.array([min(max(r[1], -(1 << 60)), 1 << 60) for r in rows], type=pa.int64()).cast(_INSTANT),
            pa.array([min(r[2], 1 << 60) for r in rows], type=pa.int64()).cast(_INSTANT),
            pa.array([r[3] for r in rows], type=pa.float64()),
        ],
        schema=PROMISES_SCHEMA,
    )


def put(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """`table` as the temporary table `name`."""
    con.register("arriving", table)
    con.execute(f"create or replace temp table {name} as from arriving")
    con.unregister("arriving")


def first_pings(con: duckdb.DuckDBPyConnection, check_ids: Sequence[int] | None = None) -> dict[int, int | None]:
    """The first ping of each check (of all, without `check_ids`) in epoch microseconds, None where there is none."""
    chosen = "" if check_ids is None else "where c.check_id in (select unnest($ids))"
    params: dict[str, Any] = {} if check_ids is None else {"ids": list(check_ids)}
    found = con.execute(
        f"""
        select c.check_id, epoch_us(min(p.received_at)) from store.checks c left join store.pings p using (check_id)
        {chosen} group by c.check_id order by c.check_id
        """,  # noqa: S608 - `chosen` is one of two constants
        params,
    ).fetchall()
    return dict(found)


def promises(con: duckdb.DuckDBPyConnection, firsts: Mapping[int, int | None]) -> dict[int, list[Version]]:
    """The effective versions of each check in `firsts` (from `first_pings`); a check without any has an empty list."""
    stated = con.sql(
        """
        select v.check_id, v.origin, epoch_us(v.valid_from) as valid_from_us, epoch_us(v.valid_to) as valid_to_us,
            v.schedule, v.tz, v.grace_s, v.early_s, v.max_runtime_s, v.severity, v.tags
        from store.versions v where v.check_id in (select unnest($ids))
        order by v.check_id, v.origin desc, v.valid_from nulls first
        """,
        params={"ids": list(firsts)},
    ).to_arrow_table()
    rows: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in stated.to_pylist():
        rows[row["check_id"]].append(row)
    return {check: effective(rows.get(check, ()), at) for check, at in firsts.items()}


def pauses(con: duckdb.DuckDBPyConnection, check_ids: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """The pauses of each check that has any, in epoch microseconds; one that still lasts ends at FOREVER_US."""
    out: dict[int, list[tuple[int, int]]] = {}
    for check, since, until in con.execute(
        """
        select check_id, epoch_us(since_at), epoch_us(until_at) from store.pauses
        where check_id in (select unnest($ids)) order by 1, 2, 3
        """,
        {"ids": list(check_ids)},
    ).fetchall():
        out.setdefault(check, []).append((since, FOREVER_US if until is None else until))
    return out
