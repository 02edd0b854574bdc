"""From staged rows to the store: identity, de-duplication, the record of the look, the ledger; one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from qpanalytics.collect.naming import candidates
from qpanalytics.instants import micros
from qpanalytics.ledger.build import build

if TYPE_CHECKING:
    from qpanalytics.settings import CheckEntry

#: The source of checks that only `qpa.toml` describes, until a source shows them.
CONFIG = "config"


@dataclass(frozen=True)
class Looked:
    """One file (or other look) that rows came from. `digest` tells its content apart, not its name."""

    what: str
    digest: str | None = None
    skipped: int = 0


@dataclass
class Taken:
    """What an intake changed: rows read and added per look, checks seen for the first time."""

    rows: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    new_checks: int = 0
    touched: int = 0
    #: Pings of before what was pruned: part of what stayed, or too late for it.
    folded: int = 0


def take(
    con: duckdb.DuckDBPyConnection,
    *,
    source: str,
    looks: Sequence[Looked],
    entries: Iterable[CheckEntry] = (),
    labels: Mapping[str, str] | None = None,
    covers_until: datetime | None = None,
    tried_at: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> Taken:
    """Takes the rows of the temp table `staged_pings` and the check entries into the store, and derives the ledger.

    `file_no` of a staged row is its place in `looks`; `labels` are names by key for checks whose key is no name. A row is
    known by (check, received_at, kind, run id, k), k counting equal rows within one file, so a file taken twice adds
    nothing. Each look vouches from its first ping to its last, or to `covers_until`. Runs inside the caller's transaction;
    nothing is kept if it fails.
    """
    entries = list(entries)
    taken = Taken()
    before = count(con, "select count(*) from store.checks")
    name_checks(con, source, {e.check: e.check for e in entries} | dict(labels or {}), tried_at)
    taken.new_checks = count(con, "select count(*) from store.checks") - before
    restated = restate(con, source, entries, origin="source")
    first = count(con, "select coalesce(max(fetch_id), -1) + 1 from store.fetches")
    taken.folded = add_pings(con, source, first)
    for number, look in enumerate(looks):
        rows, added = _record(con, source, first + number, number, look, covers_until, tried_at)
        taken.rows.append(rows)
        taken.added.append(added)
    touched = dict.fromkeys(restated) | new_since(con, "fetch_id >= $fetch", {"fetch": first})
    taken.touched = len(touched)
    build(con, touched, progress=progress)
    return taken


def new_since(con: duckdb.DuckDBPyConnection, which: str, params: dict[str, object]) -> dict[int, int | None]:
    """The first of the pings `which` (a condition in SQL, ours) of each check that has one, in epoch microseconds."""
    return dict(
        con.execute(
            f"select check_id, epoch_us(min(received_at)) from store.pings where {which} group by check_id",  # noqa: S608
            params,
        ).fetchall()
    )


def restate(con: duckdb.DuckDBPyConnection, source: str, entries: Sequence[CheckEntry], *, origin: str) -> list[int]:
    """Writes what `entries` promise over what was said for the same check and `valid_from`; returns checks changed.

    Other versions of a check stay, so a file that holds only a change keeps the promise before it.
    """
    changed: list[int] = []
    for entry in entries:
        row = con.execute(
            "select check_id from store.checks where source = ? and key = ?", [source, entry.check]
        ).fetchone()
        if row is None:
            continue
        if _restate_one(con, int(row[0]), entry, origin):
            changed.append(int(row[0]))
    return sorted(set(changed))


def _restate_one(con: duckdb.DuckDBPyConnection, check_id: int, entry: CheckEntry, origin: str) -> bool:
    if entry.name:
        con.execute("update store.checks set name = ? where check_id = ?", [entry.name, check_id])
    tz = entry.tz if entry.schedule is not None or entry.given("tz") else None
    severity = None if entry.severity is None else str(entry.severity)
    said = (
        entry.valid_from, entry.valid_to, entry.schedule, tz, entry.grace_s, entry.early_s,
        entry.max_runtime_s, severity, list(entry.tags),
    )  # fmt: skip
    present = con.execute(
        """
        select epoch_us(valid_to), schedule, tz, grace_s, early_s, max_runtime_s, severity, tags
        from store.versions where check_id = ? and origin = ? and valid_from is not distinct from ?::timestamptz
        """,
        [check_id, origin, entry.valid_from],
    ).fetchone()
    until_us = None if entry.valid_to is None else micros(entry.valid_to)
    if present is not None and (*present[1:7], list(present[7] or ())) == said[2:] and present[0] == until_us:
        return False
    con.execute(
        "delete from store.versions where check_id = ? and origin = ? and valid_from is not distinct from ?::timestamptz",
        [check_id, origin, entry.valid_from],
    )
    con.execute("insert into store.versions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [check_id, origin, *said])
    return True


def name_checks(
    con: duckdb.DuckDBPyConnection, source: str, labels: Mapping[str, str], tried_at: datetime
) -> None:
    """Gives each check that is new its id and its public name, which never changes afterwards.

    `labels` are the names by key that people use at the source; a key that is only in `staged_pings` is its own label.
    """
    con.execute("create or replace temp table named (key varchar, label varchar)")
    if labels:
        con.execute("insert into named select unnest(?), unnest(?)", [list(labels), list(labels.values())])
    con.execute(
        """
        insert into named select distinct check_name, check_name from staged_pings
        where check_name not in (select key from named) order by 1
        """
    )
    # A check that so far only the configuration knew belongs to the first source that shows it.
    con.execute(
        """
        update store.checks set source = $source, key = n.key
        from (select label, min(key) as key from named group by label) n
        where store.checks.source = $config and store.checks.key = n.label
            and n.key not in (select key from store.checks where source = $source)
        """,
        {"source": source, "config": CONFIG},
    )
    fresh = con.execute(
        "select key, label from named where key not in (select key from store.checks where source = ?) order by label, key",
        [source],
    ).fetchall()
    if not fresh:
        return
    used = dict(con.execute("select check_name, source from store.checks").fetchall())
    number = count(con, "select coalesce(max(check_id), 0) from store.checks")
    rows = []
    for key, label in fresh:
        number += 1
        twin = used.get(label) == source
        name = next(n for n in candidates(key, label, source, twin=twin) if n not in used)
        used[name] = source
        rows.append((number, name, source, key, label, tried_at))
    con.executemany("insert into store.checks values (?, ?, ?, ?, ?, ?)", rows)


#: What makes two rows the same ping. Rows of files are numbered by us (k) where they are equal; where the source numbers
#: its pings that says it, and the time beside it keeps apart what a restored server numbered a second time.
SAME_ROW = "p.received_at = a.received_at and p.kind = a.kind and p.run_id is not distinct from a.run_id and p.k = a.k"
SAME_NUMBER = "p.received_at = a.received_at and p.n = a.n"


def add_pings(con: duckdb.DuckDBPyConnection, source: str, first_fetch: int, *, numbered: bool = False) -> int:
    """Takes from `staged_pings` what is not in the store yet; `file_no` counts from the fetch `first_fetch`.

    Returns how many were left out because the pings of their time were pruned: nothing may be derived anew there.
    """
    same = "check_id, received_at, n" if numbered else "check_id, received_at, kind, run_id"
    con.execute(
        "create or replace temp table ours as select key, check_id from store.checks where source = $source", {"source": source}
    )
    con.execute(
        """
        create or replace temp view staged_ours as
        select o.check_id, s.* exclude (check_name) from staged_pings s join ours o on o.key = s.check_name
        """
    )
    # Numbering what is equal means sorting everything, and nearly always there is nothing equal.
    twins = con.execute(
        f"select 1 from staged_ours group by {same} having count(*) > 1 limit 1"  # noqa: S608 - constants
    ).fetchall()
    arrived = "(select *, 1::integer as k from staged_ours)"
    if twins:
        arrived = f"""
            (with counted as (
                select *, row_number() over (
                    partition by file_no, check_id, received_at, kind, run_id, {"n" if numbered else "null"} order by row_no
                )::integer as k
                from staged_ours
            )
            -- of rows that two files of one command share, the first file's stays
            select * from counted
            qualify row_number() over (partition by {same}{"" if numbered else ", k"} order by file_no, row_no) = 1)
        """  # noqa: S608 - constants
    pruned = "exists (from store.pruned q where q.check_id = a.check_id and a.received_at < q.before_at)"
    folded = con.execute(
        f"select case when exists (from store.pruned) then (select count(*) from {arrived} a where {pruned}) else 0 end"  # noqa: S608
    ).fetchall()
    con.execute(
        f"""
        insert into store.pings by name
        select a.check_id, a.received_at, a.kind, a.n, a.run_id, a.duration_s, a.exit_status, a.host, a.body, a.k,
            ($first + a.file_no)::integer as fetch_id, a.row_no
        from {arrived} a
        where not exists (
            from store.pings p where p.check_id = a.check_id and {SAME_NUMBER if numbered else SAME_ROW}
        ) and not {pruned}
        order by a.check_id, a.received_at, a.file_no, a.row_no
        """,  # noqa: S608 - constants
        {"first": first_fetch},
    )
    con.execute("drop view temp.staged_ours")
    con.execute("drop table temp.ours")
    return int(folded[0][0])


def _record(
    con: duckdb.DuckDBPyConnection,
    source: str,
    fetch_id: int,
    file_no: int,
    look: Looked,
    covers_until: datetime | None,
    tried_at: datetime,
) -> tuple[int, int]:
    """The row of `fetches` for one look, with the feed that its checks belong to; returns rows read and added."""
    con.execute(
        """
        insert into store.fetch_checks
        select $fetch, c.check_id from store.checks c
        where c.source = $source and (
            c.key in (select check_name from staged_pings where file_no = $file)
            or c.key in (select key from named)
        )
        order by c.check_id
        """,
        {"fetch": fetch_id, "source": source, "file": file_no},
    )
    feed = join_feeds(con, source, fetch_id)
    added = count(con, "select count(*) from store.pings where fetch_id = ?", [fetch_id])
    con.execute(
        """
        insert into store.fetches
        select $fetch, $feed, $source, 'file', $what, $digest, $tried, min(received_at),
            case when $covers::timestamptz is not null then greatest($covers::timestamptz, max(received_at))
                else max(received_at) end,
            count(*), $added, $skipped, ''
        from staged_pings where file_no = $file
        """,
        {
            "fetch": fetch_id, "feed": feed, "source": source, "what": look.what, "digest": look.digest,
            "tried": tried_at, "covers": covers_until, "added": added, "skipped": look.skipped, "file": file_no,
        },
    )  # fmt: skip
    rows = count(con, "select count(*) from staged_pings where file_no = ?", [file_no])
    return rows, added


def join_feeds(con: duckdb.DuckDBPyConnection, source: str, fetch_id: int) -> int:
    """The feed of a look, by the checks that it shares with others of its source; feeds that it joins become one."""
    feeds = [
        row[0]
        for row in con.execute(
            """
            select distinct f.feed from store.fetches f join store.fetch_checks c using (fetch_id)
            where f.source = $source and c.check_id in (select check_id from store.fetch_checks where fetch_id = $fetch)
            order by f.feed
            """,
            {"source": source, "fetch": fetch_id},
        ).fetchall()
    ]
    feed = feeds[0] if feeds else fetch_id
    if len(feeds) > 1:
        con.execute("update store.fetches set feed = ? where feed in (select unnest(?))", [feed, feeds])
    return feed


def count(con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] = ()) -> int:
    """The one whole number that a statement gives."""
    row = con.execute(sql, params).fetchone()
    assert row is not None
    return int(row[0])
