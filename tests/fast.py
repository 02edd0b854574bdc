"""The ledger of the package behind the oracle's interface: one check, its pings, promises, pauses and vouched spans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import oracle

from qpanalytics.history import History
from qpanalytics.ledger.build import build
from qpanalytics.store.db import MemoryStore

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[int, int]
_STORE: list[MemoryStore] = []
#: What the store holds, and what was answered of it at each instant; empty once anyone else has had the store.
_HELD: list[Any] = []


def instant(us: int) -> datetime:
    """Microseconds since 1970 as an aware time."""
    return EPOCH + timedelta(microseconds=us)


def micros(at: object) -> int | None:
    """An aware time of a row as microseconds since 1970."""
    return None if not isinstance(at, datetime) else (at - EPOCH) // timedelta(microseconds=1)


def filled(
    pings: Sequence[oracle.Ping], versions: Sequence[oracle.Version], pauses: Sequence[Span], vouched: Sequence[Span]
) -> MemoryStore:
    """A store in memory that holds one check and nothing else; derived from scratch."""
    _HELD.clear()
    if not _STORE:
        _STORE.append(MemoryStore())
    store = _STORE[0]
    with store.write() as con:
        for table in ("checks", "versions", "fetches", "fetch_checks", "pings", "pauses"):
            con.execute(f"delete from store.{table}")  # noqa: S608 - constants
        con.execute("insert into store.checks values (1, 'job', 'test', 'job', 'job', now())")
        for v in versions:
            con.execute(
                "insert into store.versions values (1, 'source', ?, ?, ?, ?, ?, ?, ?, null, [])",
                [
                    None if v.valid_from is None else instant(v.valid_from),
                    None if v.valid_to is None else instant(v.valid_to),
                    v.schedule, v.tz, v.grace_s, v.early_s, v.max_runtime_s,
                ],
            )  # fmt: skip
        for number, (since, until) in enumerate(vouched):
            con.execute(
                "insert into store.fetches values (?, ?, 'test', 'api', '', '', now(), ?, ?, 0, 0, 0, '')",
                [number, number, instant(since), instant(until)],
            )
            con.execute("insert into store.fetch_checks values (?, 1)", [number])
        for since, until in pauses:
            con.execute("insert into store.pauses values (1, ?, ?, '')", [instant(since), instant(until)])
        add(con, list(enumerate(pings)))
        build(con)
    return store


def add(con: duckdb.DuckDBPyConnection, pings: Sequence[tuple[int, oracle.Ping]]) -> None:
    """Stores pings of the one check, each with its place among all of them."""
    if pings:
        con.executemany(
            "insert into store.pings values (1, ?, ?, ?, ?, ?, ?, null, null, ?, 0, ?)",
            [
                (instant(p.received_at), p.kind, p.n, p.run_id or None, p.duration_s, p.exit_status, i, i)
                for i, p in pings
            ],
        )


def history(store: MemoryStore, as_of: int) -> History:
    """Everything up to `as_of`."""
    return History(store, instant(as_of), datetime(1971, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


def everything(
    pings: Sequence[oracle.Ping],
    versions: Sequence[oracle.Version],
    *,
    as_of: int,
    pauses: Sequence[Span] = (),
    vouched: Sequence[Span] = (),
) -> tuple[oracle.Result, str, list[tuple[int, int | None]]]:
    """Runs and occurrences, status and downs as the package sees them at `as_of`.

    The same question asked again has the same answer, and the same check at another instant is not derived anew.
    """
    told = repr((pings, versions, pauses, vouched))
    if not _HELD or _HELD[0] != told:
        filled(pings, versions, pauses, vouched)
        _HELD[:] = [told, {}]
    answers: dict[int, tuple[oracle.Result, str, list[tuple[int, int | None]]]] = _HELD[1]
    if as_of not in answers:
        with history(_STORE[0], as_of).connection() as con:
            answers[as_of] = (result(con), *standing(con))
    return answers[as_of]


def result(con: duckdb.DuckDBPyConnection) -> oracle.Result:
    """The runs and occurrences of a reading session."""
    runs = con.sql("select * from runs order by coalesce(started_at, completed_at), seq").to_arrow_table().to_pylist()
    rows = con.sql("select * from occurrences order by expected_at, window_start_at").to_arrow_table().to_pylist()
    return oracle.Result(
        [
            oracle.Run(
                r["run_id"], micros(r["started_at"]), micros(r["completed_at"]), r["duration_s"], r["result"],
                r["exit_status"], r["overran"], micros(r["expected_at"]),
            )
            for r in runs
        ],
        [
            oracle.Occurrence(
                micros(o["expected_at"]) or 0, micros(o["window_start_at"]) or 0, micros(o["end_at"]),
                micros(o["deadline_at"]) or 0, micros(o["started_at"]), micros(o["completed_at"]), o["outcome"],
                o["lateness_s"], o["start_delay_s"], o["duration_s"], o["attempts"], o["failures"], o["extra"],
                o["vouched"], o["excused"],
            )
            for o in rows
        ],
    )  # fmt: skip


def standing(con: duckdb.DuckDBPyConnection) -> tuple[str, list[tuple[int, int | None]]]:
    """The status and the downs of a reading session."""
    row = con.execute("select status from standing").fetchone()
    assert row is not None
    downs = con.execute("select epoch_us(since_at), epoch_us(until_at) from downs order by 1").fetchall()
    return str(row[0]), [(int(a), None if b is None else int(b)) for a, b in downs]


def derive(pings: Sequence[oracle.Ping], versions: Sequence[oracle.Version], **told: Any) -> oracle.Result:
    """What the oracle's `derive` answers."""
    return everything(pings, versions, **told)[0]


def status(pings: Sequence[oracle.Ping], versions: Sequence[oracle.Version], *, at: int, **told: Any) -> str:
    """What the oracle's `status` answers."""
    return everything(pings, versions, as_of=at, **told)[1]


def downs(
    pings: Sequence[oracle.Ping], versions: Sequence[oracle.Version], **told: Any
) -> list[tuple[int, int | None]]:
    """What the oracle's `downs` answers."""
    return everything(pings, versions, **told)[2]
