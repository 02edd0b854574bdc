"""From the pieces that looks set aside to the store: names, pings, promises, pauses, what is watched, the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from qpanalytics.collect import looks as queue_looks
from qpanalytics.collect import naming, packed, pieces, snapshots
from qpanalytics.collect.intake import add_pings, count, name_checks, new_since
from qpanalytics.instants import micros
from qpanalytics.ledger import tables
from qpanalytics.ledger.build import build
from qpanalytics.store import thinning

if TYPE_CHECKING:
    from qpanalytics.store.db import Store
    from qpanalytics.store.state import Piece, State


@dataclass
class Fed:
    """What feeding put into the store."""

    pieces: int = 0
    pings: int = 0
    checks: int = 0
    #: Rows of queues and workers.
    looks: int = 0


def feed(store: Store, state: State, *, progress: Callable[[int, int], None] | None = None) -> Fed:
    """Takes everything that is set aside into the store, a transaction for each mouthful. StoreBusy if it is held.

    The store remembers the last piece of a state file in the same transaction, so a kill between that and forgetting
    the piece here changes nothing: it is skipped the next time.
    """
    fed = Fed()
    identity = state.identity
    while state.waiting():
        with store.write() as con:
            waiting = state.pending(fed_up_to(con, identity))
            if waiting:
                fed.pieces += len(waiting)
                _take(con, waiting, fed, progress)
                con.execute("delete from store.fed where state = ?", [identity])
                con.execute("insert into store.fed values (?, ?)", [identity, waiting[-1].piece])
            last = fed_up_to(con, identity)
        state.drop(last)
        if not waiting:
            break  # a store in another's place has them all, whatever was known of it
    return fed


def fed_up_to(con: duckdb.DuckDBPyConnection, identity: str) -> int:
    """The last piece of a state file that is in the store."""
    row = con.execute("select max(piece) from store.fed where state = ?", [identity]).fetchall()
    return int(row[0][0] or 0)


def _take(
    con: duckdb.DuckDBPyConnection, waiting: Sequence[Piece], fed: Fed, progress: Callable[[int, int], None] | None
) -> None:
    touched: dict[int, int | None] = {}
    for source in dict.fromkeys(p.source for p in waiting):
        touched |= _take_source(con, source, [p for p in waiting if p.source == source], fed)
    fed.checks = max(fed.checks, len(touched))
    build(con, touched, progress=progress)
    now = max(p.at for p in waiting)
    if thinning.due(con, now):
        thinning.thin(con, now)


def _take_source(con: duckdb.DuckDBPyConnection, source: str, waiting: Sequence[Piece], fed: Fed) -> dict[int, int | None]:
    """Everything of one source but the ledger; returns the checks to derive again, and since when pings are new."""
    rows = {p.piece: packed.rows(p) for p in waiting if p.rows is not None or p.said.get("rows")}
    numbers = _fetches(con, source, waiting, rows)
    fed.looks += queue_looks.take(con, source, [p for p in waiting if p.kind == "snapshot"], numbers)
    waiting = [p for p in waiting if p.kind != "snapshot"]
    if all(p.kind == "end" for p in waiting):
        return {}
    _stage(con, waiting, numbers, rows)
    labels = {c.key: naming.label(c) for p in waiting if p.kind == "checks" for c in pieces.seen_checks(p)}
    name_checks(con, source, labels, waiting[0].at)
    before = count(con, "select count(*) from store.pings")
    # rows of files have no numbers: of two that are equal, read at different looks, one stays
    add_pings(con, source, 0, numbered=not any(p.kind == "lines" for p in waiting))
    fed.pings += count(con, "select count(*) from store.pings") - before
    con.execute(
        """
        update store.fetches set added = (select count(*) from store.pings p where p.fetch_id = store.fetches.fetch_id)
        where fetch_id in (select unnest(?))
        """,
        [list(numbers.values())],
    )
    touched: dict[int, int | None] = {}
    for piece in waiting:
        if piece.kind == "checks":
            touched |= dict.fromkeys(snapshots.apply(con, source, pieces.seen_checks(piece), piece.at))
    touched |= new_since(con, "fetch_id in (select unnest($fetches))", {"fetches": list(numbers.values())})
    ids = dict(con.execute("select key, check_id from store.checks where source = ?", [source]).fetchall())
    watch(con, [(ids[key], micros(a), micros(b)) for p in waiting for key, a, b in pieces.spans(p, ids) if key in ids])
    _replies(con, ids, waiting)
    return touched


def _stage(
    con: duckdb.DuckDBPyConnection, waiting: Sequence[Piece], numbers: dict[str, int], rows: dict[int, pa.Table]
) -> None:
    """`staged_pings` of all pieces, `file_no` the fetch of their look."""
    parts = [
        rows[p.piece].append_column("file_no", pa.repeat(pa.scalar(numbers[p.look], pa.int32()), len(rows[p.piece])))
        for p in waiting
        if p.piece in rows
    ]
    table = pa.concat_tables(parts) if parts else packed.empty()
    tables.put(con, "staged_pings", table.append_column("row_no", pa.array(np.arange(len(table)), pa.int64())))


def _fetches(
    con: duckdb.DuckDBPyConnection, source: str, waiting: Sequence[Piece], rows: dict[int, pa.Table]
) -> dict[str, int]:
    """A row of `fetches` for each look, made with its first piece and completed by its last; their numbers.

    Its `until_at` is how far the look vouches for every check that it read; of a look at queues, when that was.
    """
    looks = list(dict.fromkeys(p.look for p in waiting))
    known = dict(
        con.execute("select what, fetch_id from store.fetches where what in (select unnest(?))", [looks]).fetchall()
    )
    free = count(con, "select coalesce(max(fetch_id), -1) + 1 from store.fetches")
    for look in looks:
        mine = [p for p in waiting if p.look == look]
        if look not in known:
            known[look] = free
            free += 1
            con.execute(
                "insert into store.fetches values (?, ?, ?, ?, ?, null, ?, null, null, 0, 0, 0, 'cut short')",
                [known[look], known[look], source, "snapshot" if mine[0].kind == "snapshot" else "live", look, mine[0].at],
            )
        brought = sum(len(rows[p.piece]) for p in mine if p.piece in rows)
        bad = sum(int(p.said["bad"]) for p in mine if p.kind in ("pings", "lines"))
        brought += sum(queue_looks.rows(p) for p in mine if p.kind == "snapshot")
        reached = [b for p in mine for _, _, b in pieces.spans(p, [""])]
        reached += [queue_looks.taken_at(p) for p in mine if p.kind == "snapshot"]
        con.execute(
            """
            update store.fetches set rows = rows + $rows, skipped = skipped + $bad,
                until_at = least(until_at, $until::timestamptz)
            where fetch_id = $fetch
            """,
            {"rows": brought, "bad": bad, "until": min(reached, default=None), "fetch": known[look]},
        )
        for piece in mine:
            if piece.kind == "end":
                con.execute(
                    "update store.fetches set why = ?, kind = ? where fetch_id = ?",
                    [piece.said["why"], piece.said["kind"], known[look]],
                )
    return known


def watch(con: duckdb.DuckDBPyConnection, spans: Iterable[tuple[int, int, int]]) -> None:
    """Merges spans (check, since, until; epoch microseconds) into what is watched of each check."""
    found = list(spans)
    if not found:
        return
    tables.put(
        con,
        "spans",
        pa.table(
            {
                "check_id": pa.array([s[0] for s in found], pa.int32()),
                "since_at": tables.instants([s[1] for s in found]),
                "until_at": tables.instants([max(s[1], s[2]) for s in found]),
            }
        ),
    )
    con.execute(
        """
        create or replace temp table joined as
        with every as (from store.watched semi join spans using (check_id) union all from spans),
        marked as (
            select *, max(until_at) over (
                partition by check_id order by since_at, until_at rows between unbounded preceding and 1 preceding
            ) as reached_at
            from every
        ),
        numbered as (
            select *, count(*) filter (where reached_at is null or since_at > reached_at) over (
                partition by check_id order by since_at, until_at rows between unbounded preceding and current row
            ) as island
            from marked
        )
        select check_id, min(since_at) as since_at, max(until_at) as until_at from numbered group by check_id, island
        """
    )
    con.execute("delete from store.watched where check_id in (select check_id from spans)")
    con.execute("insert into store.watched from joined order by check_id, since_at")


def _replies(con: duckdb.DuckDBPyConnection, ids: dict[str, int], waiting: Sequence[Piece]) -> None:
    """What replies say beside their rows: how many they hold at most, what could not be read, the source's own count.

    The count stands beside the pings that were read after it, so that none is missed that is only on its way. A first
    reply without pings leaves the count to start from.
    """
    replies = [p for p in waiting if p.kind == "pings" and p.said["key"] in ids]
    if not replies:
        return
    said = pa.table(
        {
            "place": pa.array(range(len(replies)), pa.int32()),
            "check_id": pa.array([ids[p.said["key"]] for p in replies], pa.int32()),
            "counted": pa.array([p.said["count"] for p in replies], pa.int64()),
            "reply_rows": pa.array([p.said["reply_rows"] or 0 for p in replies], pa.int64()),
            "why": pa.array([p.said["why"] for p in replies], pa.string()),
            "empty": pa.array([p.rows is None and not p.said.get("rows") for p in replies], pa.bool_()),
            "at": tables.instants([micros(p.at) for p in replies]),
        }
    )
    tables.put(con, "replies", said)
    con.execute(
        """
        update store.shown set reply_rows = greatest(coalesce(store.shown.reply_rows, 0), r.reply_rows), counted = r.counted,
            reply_why = r.why,
            baseline = case when store.shown.reply_rows is null and r.first_empty then r.first_counted
                else store.shown.baseline end,
            baseline_at = case when store.shown.reply_rows is null and r.first_empty then r.first_at
                else store.shown.baseline_at end
        from (
            select check_id, max(reply_rows) as reply_rows, arg_max(counted, place) as counted, arg_max(why, place) as why,
                arg_min(empty, place) as first_empty, arg_min(counted, place) as first_counted, arg_min("at", place) as first_at
            from replies group by check_id
        ) r
        where r.check_id = store.shown.check_id
        """
    )
