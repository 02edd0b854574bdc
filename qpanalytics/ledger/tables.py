"""Between NumPy and DuckDB: windows and promises as Arrow tables, and the promises of each check out of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qpanalytics.ledger.pairing import Runs
from qpanalytics.ledger.versions import EARLIEST_US, FOREVER_US, Version, effective
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
    missing = np.abs(array) >= FOREVER_US - 1
    if missing.all():
        return pa.nulls(len(array), _INSTANT)
    return pa.array(array, type=pa.int64(), mask=missing if missing.any() else None).cast(_INSTANT)


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


def columns_of(check_id: int, versions: Sequence[Version], parts: Iterable[Windows]) -> dict[str, npt.NDArray[Any]]:
    """The windows of one check as columns, with their check, deadline and max runtime (seconds, NaN: none)."""
    found = [windows.columns() for windows in parts] or [Windows().columns()]
    c: dict[str, npt.NDArray[Any]] = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
    grace = np.array([v.grace_us for v in versions] or [0], dtype=np.int64)
    limit = np.array([np.nan if v.max_runtime_s is None else v.max_runtime_s for v in versions] or [np.nan])
    c["check"] = np.full(len(c["expected"]), check_id, dtype=np.int32)
    c["deadline"] = c["expected"] + grace[c["version"]]
    c["max_runtime_s"] = limit[c["version"]]
    return c


def runs_columns(runs: Runs, mine: slice) -> dict[str, npt.NDArray[Any]]:
    """What the facts are made of, of some runs."""
    return {name: getattr(runs, name)[mine] for name in ("started", "completed", "abandoned", "duration_s", "success")}


def runs_table(
    runs: Runs,
    mine: slice,
    windows: Mapping[str, npt.NDArray[Any]],
    window: npt.NDArray[np.int64],
    limit: npt.NDArray[np.int64],
    own_limit: npt.NDArray[np.int64],
) -> pa.Table:
    """Rows of `store.runs`; `window` is the place of each run's window among `windows`, -1 for none."""
    outside = window < 0
    version, expected = (windows[name][window] if len(windows[name]) else window for name in ("version", "expected"))
    completed = runs.completed[mine]
    return pa.table(
        {
            "check_id": runs.check[mine],
            "run_id": runs.run_id[mine],
            "started_at": instants(runs.started[mine]),
            "completed_at": instants(completed),
            "duration_s": _known(runs.duration_s[mine]),
            "success": pa.array(runs.success[mine], mask=completed == FOREVER_US),
            "exit_status": runs.exit_status[mine],
            "abandoned_at": instants(runs.abandoned[mine]),
            "version": pa.array(version.astype(np.int32), mask=outside),
            "expected_at": instants(np.where(outside, FOREVER_US, expected)),
            "limit_at": instants(limit),
            "own_limit_at": instants(own_limit),
            "seq": runs.seq[mine],
        }
    )


def occurrences_table(windows: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """Rows of `store.occurrences`, one for each window."""
    columns: dict[str, Any] = {
        "check_id": windows["check"],
        "version": windows["version"].astype(np.int32),
        "expected_at": instants(windows["expected"]),
        "window_start_at": instants(windows["start"]),
        "end_at": instants(windows["end"]),
        "deadline_at": instants(windows["deadline"]),
        "gap_s": pa.array(windows["gap"] / 1e6, mask=windows["gap"] == 0),
        "max_runtime_s": _known(windows["max_runtime_s"]),
        "anchored": windows["anchored"] == 1,
        "closed_at": instants(windows["closed"]),
    }
    for name in ("success", "failure"):
        columns[f"{name}_at"] = instants(facts[name])
        columns[f"{name}_started_at"] = instants(facts[f"{name}_started"])
        columns[f"{name}_duration_s"] = _known(facts[f"{name}_duration_s"])
    for name in ("open_started", "open_limit", "abandoned_started", "last_event"):
        columns[f"{name}_at"] = instants(facts[name])
    for name in ("attempts", "failures", "extra"):
        columns[name] = facts[name].astype(np.int32)
    return pa.table(columns)


def _known(figures: npt.NDArray[np.float64]) -> pa.Array:
    """Figures, NaN as NULL."""
    missing = np.isnan(figures)
    if missing.all():
        return pa.nulls(len(figures), pa.float64())
    return pa.array(figures, mask=missing if missing.any() else None)


def due_table(check_ids: Sequence[int], cuts: Mapping[int, int]) -> pa.Table:
    """Checks to derive, and from when on where not from the beginning."""
    return pa.table(
        {"check_id": pa.array(check_ids, pa.int32()), "cut_at": instants([cuts.get(c, FOREVER_US) for c in check_ids])}
    )


def instants_table(at: Mapping[int, int]) -> pa.Table:
    """An instant (epoch microseconds) for each check."""
    return pa.table({"check_id": pa.array(list(at), pa.int32()), "at": instants(list(at.values()))})


def ledger_table(check_ids: Sequence[int], horizons: Sequence[int], under: Sequence[str]) -> pa.Table:
    """Rows of `store.ledger`."""
    return pa.table(
        {"check_id": pa.array(check_ids, pa.int32()), "horizon_at": instants(horizons), "derived_under": list(under)}
    )


def spans_table(spans: Mapping[int, Sequence[tuple[int, int]]]) -> pa.Table:
    """Spans by check; an end that never comes is NULL, a beginning that never was is the earliest instant."""
    rows = [(check, a, b) for check, parts in spans.items() for a, b in parts]
    return pa.table(
        [
            pa.array([r[0] for r in rows], type=pa.int32()),
            pa.array([max(r[1], EARLIEST_US) for r in rows], type=pa.int64()).cast(_INSTANT),
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
            pa.array([min(max(r[1], EARLIEST_US), 1 << 60) for r in rows], type=pa.int64()).cast(_INSTANT),
            pa.array([min(r[2], 1 << 60) for r in rows], type=pa.int64()).cast(_INSTANT),
            pa.array([r[3] for r in rows], type=pa.float64()),
        ],
        schema=PROMISES_SCHEMA,
    )


def put(con: duckdb.DuckDBPyConnection, name: str, arriving: pa.Table) -> None:
    """The rows `arriving` as the temporary table `name`.

    DuckDB finds them by the name of the variable: what is registered instead is held until the transaction ends.
    """
    con.execute(f"create or replace temp table {name} as from arriving")


def append(con: duckdb.DuckDBPyConnection, name: str, arriving: pa.Table) -> None:
    """Adds the rows `arriving` to the table `name`, found as in `put`."""
    if len(arriving):
        con.execute(f"insert into {name} by name from arriving")


def first_pings(con: duckdb.DuckDBPyConnection, check_ids: Sequence[int] | None = None) -> dict[int, int | None]:
    """The first ping of each check (of all, without `check_ids`) in epoch microseconds, None where there is none."""
    chosen = "" if check_ids is None else "where c.check_id in (select unnest($ids))"
    params: dict[str, Any] = {} if check_ids is None else {"ids": list(check_ids)}
    found = con.execute(
        f"""
        select c.check_id, epoch_us(coalesce(any_value(q.first_at), min(p.received_at)))
        from store.checks c left join store.pings p using (check_id) left join store.pruned q using (check_id)
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
