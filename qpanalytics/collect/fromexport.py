"""An export back into a store: the same checks, pings, promises, pauses and coverage, whatever the store has already.

A check is known by source and key, a ping as everywhere (see `intake`), a look by what it was and when; so a second
import adds nothing. What is derived (runs, occurrences) is not read but derived again, but for what became of pings that
were pruned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from qpanalytics.collect.feed import watch
from qpanalytics.collect.folded import folded, literal
from qpanalytics.collect.intake import CONFIG, SAME_NUMBER, SAME_ROW, join_feeds
from qpanalytics.collect.lookback import OF_LOOKS, looks_columns, take_looks
from qpanalytics.collect.naming import candidates
from qpanalytics.errors import InputError, ScheduleError
from qpanalytics.ledger.build import build
from qpanalytics.schedules import parse
from qpanalytics.spell import plain, plural, quoted
from qpanalytics.store.export import FORMAT, MARKER, SMALL, read_marker
from qpanalytics.store.thinning import QUEUES, WORKERS

#: Columns of a table in the export and what they are cast to, so that a file made by others cannot bring in another type.
_TYPES = {
    "checks": {"check": "varchar", "source": "varchar", "key": "varchar", "name": "varchar", "first_seen_at": "timestamptz"},
    "versions": {
        "check": "varchar", "origin": "varchar", "valid_from": "timestamptz", "valid_to": "timestamptz",
        "schedule": "varchar", "tz": "varchar", "grace_s": "double", "early_s": "double", "max_runtime_s": "double",
        "severity": "varchar", "tags": "varchar[]",
    },
    "pauses": {"check": "varchar", "since_at": "timestamptz", "until_at": "timestamptz", "why": "varchar"},
    "fetches": {
        "fetch_id": "integer", "feed": "integer", "source": "varchar", "kind": "varchar", "what": "varchar",
        "digest": "varchar", "tried_at": "timestamptz", "since_at": "timestamptz", "until_at": "timestamptz",
        "rows": "bigint", "added": "bigint", "skipped": "bigint", "why": "varchar",
    },
    "fetch_checks": {"fetch_id": "integer", "check": "varchar"},
    "watched": {"check": "varchar", "since_at": "timestamptz", "until_at": "timestamptz"},
    "shown": {
        "check": "varchar", "seen_at": "timestamptz", "counted": "bigint", "reply_rows": "bigint", "paused": "boolean",
        "gone": "boolean", "why": "varchar", "reply_why": "varchar", "baseline": "bigint", "baseline_at": "timestamptz",
    },
    "pruned": {
        "check": "varchar", "before_at": "timestamptz", "seq": "bigint", "tick_at": "timestamptz", "anchor_at": "timestamptz",
        "first_at": "timestamptz",
    },
    "queue_snapshots": looks_columns(QUEUES),
    "worker_snapshots": looks_columns(WORKERS),
    "pings": {
        "check": "varchar", "received_at": "timestamptz", "kind": "varchar", "n": "bigint", "run_id": "varchar",
        "duration_s": "double", "exit_status": "smallint", "host": "varchar", "body": "varchar", "k": "integer",
        "row_no": "bigint", "fetch_id": "integer",
    },
}  # fmt: skip
_TIME = "between timestamptz '1970-01-02' and timestamptz '2261-12-31 23:59:59.999999+00'"
_SPAN = "between 0 and 3155760000.0"
_NAME = "(length({0}) between 1 and 1200 and not contains({0}, chr(0)))"
#: What holds for each row of a table; a row for which it does not was not written by `qpa export`.
_HOLDS = {
    "checks": f'{_NAME.format(chr(34) + "check" + chr(34))} and {_NAME.format("source")} and {_NAME.format("key")}',
    "versions": f"""
        origin in ('source', 'config') and coalesce(valid_from {_TIME}, true) and coalesce(valid_to {_TIME}, true)
        and coalesce(valid_from <= valid_to, true) and (schedule is null or tz is not null)
        and coalesce(grace_s {_SPAN}, true) and coalesce(early_s {_SPAN}, true)
        and coalesce(max_runtime_s {_SPAN}, true) and coalesce(severity in ('critical', 'warning', 'info'), true)
    """,
    "pauses": f"since_at {_TIME} and coalesce(until_at {_TIME} and until_at >= since_at, true)",
    "fetches": """
        fetch_id is not null and feed is not null and source is not null and kind is not null and tried_at is not null
        and rows is not null and added is not null and skipped is not null and why is not null
    """,
    "fetch_checks": "fetch_id is not null",
    "watched": f"since_at {_TIME} and until_at {_TIME} and since_at <= until_at",
    "shown": """
        seen_at is not null and paused is not null and gone is not null and why is not null and reply_why is not null
    """,
    "pruned": f"before_at {_TIME} and seq >= 0 and tick_at {_TIME} and coalesce(anchor_at {_TIME}, true) and first_at {_TIME}",
    "queue_snapshots": f"""
        source is not null and system is not null and queue is not null and taken_at {_TIME} and why is not null and looks >= 1
        and coalesce(since_at {_TIME} and since_at <= taken_at, true) and coalesce(oldest_at {_TIME}, true)
    """,
    "worker_snapshots": f"""
        source is not null and system is not null and worker is not null and taken_at {_TIME} and why is not null and looks >= 1
        and state in ('alive', 'stale', 'gone', 'unknown') and coalesce(since_at {_TIME} and since_at <= taken_at, true)
        and coalesce(last_seen_at {_TIME}, true)
    """,
    "pings": f"""
        received_at {_TIME} and kind in ('start', 'success', 'fail', 'log', 'ign') and coalesce(duration_s {_SPAN}, true)
        and coalesce(exit_status between 0 and 255, true) and k >= 1 and row_no is not null and fetch_id is not null
    """,
}  # fmt: skip

#: What an export cannot cause.
_NOT_THE_EXPORT = (
    duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.FatalException, duckdb.ParserException, duckdb.CatalogException
)  # fmt: skip


@dataclass
class Brought:
    """What an import of an export changed."""

    checks: int = 0
    new_checks: int = 0
    pings: int = 0
    added: int = 0
    touched: set[int] = field(default_factory=set)
    fresh: set[int] = field(default_factory=set)
    #: Rows of queues and workers that are new.
    looks: int = 0
    #: Promises that stand in a qpa.toml, which is no part of an export.
    configured: int = 0


def is_export(path: str | Path) -> bool:
    """Whether the path is a folder that `qpa export` wrote."""
    return Path(path).is_dir() and (Path(path) / MARKER).exists()


def take_export(
    con: duckdb.DuckDBPyConnection, folder: Path, *, progress: Callable[[int, int], None] | None = None
) -> Brought:
    """Takes an export into the store and derives the ledger, inside the caller's transaction.

    InputError for what is not whole, was written by a newer program, or holds rows that `qpa export` never writes.
    """
    name = plain(str(folder))
    rows = _rows(folder, name)
    brought = Brought()
    try:
        for table in SMALL:
            if table in OF_LOOKS and table not in rows:
                continue  # of a release that knew no queues
            _load(con, table, folder / f"{table}.parquet", name, rows.get(table))
        _refuse_strange_promises(con, name)
        _checks(con, name, brought)
        _fetches(con)
        _promises(con, brought)
        _pauses(con, brought)
        folded(con, folder, brought.fresh)
        _pings(con, folder, name, rows.get("pings", 0), brought)
        _watched(con)
        brought.looks = take_looks(con, rows)
    except duckdb.Error as error:
        if isinstance(error, _NOT_THE_EXPORT) or "No space" in str(error):
            raise
        raise InputError(f"{name}: cannot be read: {plain(str(error).splitlines()[0])[:200]}. Export it again") from None
    for table in (*SMALL, "ours", "fetch_ids", "bucket"):
        con.execute(f"drop table if exists temp.x_{table}")
    build(con, sorted(brought.touched), progress=progress)
    return brought


def _rows(folder: Path, name: str) -> dict[str, int]:
    """How many rows each table has, as the marker says."""
    said = read_marker(folder)
    rows = said.get("rows") if said else None
    if said is None or not isinstance(rows, dict) or not all(isinstance(n, int) for n in rows.values()):
        raise InputError(f"{name}: its {MARKER} cannot be read. Export it again")
    if said["qpanalytics_export"] != FORMAT:
        raise InputError(
            f"{name}: is an export in format {plain(str(said['qpanalytics_export']))[:20]}, this program reads {FORMAT}. "
            "Upgrade: pip install -U qpanalytics"
        )
    return rows


# Reading --------------------------------------------------------------------------------------------------------------


def _rows_of(table: str) -> str:
    """The rows of the files `$paths`, in their order, each column of the type it has to have."""
    columns = ", ".join(f'"{column}"::{type_} as "{column}"' for column, type_ in _TYPES[table].items())
    return f"(select {columns} from read_parquet($paths, hive_partitioning = false))"  # noqa: S608 - our own words


def _counted(con: duckdb.DuckDBPyConnection, table: str, paths: list[Path], name: str) -> int:
    """How many rows some files of a table hold; InputError if one of them is strange."""
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(f"{name}: {plain(missing[0].name)} is missing. Export it again")
    named = 'and "check" is not null' if "check" in _TYPES[table] else ""
    ((count, strange),) = con.execute(
        f"""
        select count(*), count(*) filter (where not coalesce(({_HOLDS[table]}) {named}, false)) from {_rows_of(table)}
        """,  # noqa: S608 - our own words
        {"paths": literal(paths)},
    ).fetchall()
    if strange:
        raise InputError(f"{name}: {table} holds {plural(strange, 'row')} that no export has. Export it again")
    return int(count)


def _load(con: duckdb.DuckDBPyConnection, table: str, path: Path, name: str, wanted: int | None) -> None:
    """A small table as the temporary table x_<table>, in its order."""
    count = _counted(con, table, [path], name)
    if count != wanted:
        raise InputError(f"{name}: {table} has {count:,} rows where {MARKER} says {wanted or 0:,}. Export it again")
    con.execute(f"create or replace temp table x_{table} as from {_rows_of(table)}", {"paths": literal([path])})


def _refuse_strange_promises(con: duckdb.DuckDBPyConnection, name: str) -> None:
    for check, schedule, tz in con.execute(
        """
        select min("check"), schedule, tz from x_versions where schedule is not null or tz is not null group by all order by 1
        """
    ).fetchall():
        try:
            parse(schedule or "every 1 d", tz or "UTC")
        except ScheduleError as error:
            raise InputError(f"{name}: the promise of check {quoted(check)}: {error}") from None


# Taking ---------------------------------------------------------------------------------------------------------------


def _checks(con: duckdb.DuckDBPyConnection, name: str, brought: Brought) -> None:
    """x_ours: each check of the export and its number here. New ones keep their order and, where it is free, their name."""
    twice = con.execute(
        'select count(*) - least(count(distinct "check"), count(distinct (source, key))) from x_checks'
    ).fetchall()[0][0]
    if twice:
        raise InputError(f"{name}: names {plural(twice, 'check')} twice. Export it again")
    # What so far only the configuration knew belongs to the source that shows it.
    con.execute(
        """
        update store.checks set source = x.source, key = x.key from x_checks x
        where store.checks.source = $config and x.source <> $config and store.checks.key = x."check"
            and not exists (from store.checks o where o.source = x.source and o.key = x.key)
        """,
        {"config": CONFIG},
    )
    known = {(s, k): i for i, s, k in con.execute("select check_id, source, key from store.checks").fetchall()}
    used = dict(con.execute("select check_name, source from store.checks").fetchall())
    named = dict(con.execute("select check_name, check_id from store.checks").fetchall())
    number = max(known.values(), default=0)
    ours: list[tuple[str, int]] = []
    for check, source, key, label, first_seen_at in con.execute("from x_checks").fetchall():
        brought.checks += 1
        here = known.get((source, key))
        if here is None and source == CONFIG:
            here = named.get(check)  # it was only awaited there, and is known here
        if here is None:
            number += 1
            here = number
            twin = used.get(check) == source
            public = next(c for c in candidates(key, check, source, twin=twin) if c not in used)
            used[public] = source
            con.execute(
                "insert into store.checks values (?, ?, ?, ?, ?, ?)", [here, public, source, key, label, first_seen_at]
            )
            brought.new_checks += 1
            brought.touched.add(here)
            brought.fresh.add(here)
        ours.append((check, here))
    con.execute('create or replace temp table x_ours ("check" varchar, check_id integer)')
    if ours:
        con.execute("insert into x_ours select unnest(?), unnest(?)", [[c for c, _ in ours], [i for _, i in ours]])


def _fetches(con: duckdb.DuckDBPyConnection) -> None:
    """x_fetch_ids: each look of the export and its number here; looks that are new here come to the feeds they belong to."""
    con.execute(
        """
        create or replace temp table x_fetch_ids as
        with known as (
            select x.fetch_id as theirs, min(f.fetch_id) as fetch_id
            from x_fetches x join store.fetches f on f.source = x.source and f.tried_at = x.tried_at
                and f.what is not distinct from x.what and f.digest is not distinct from x.digest
            group by x.fetch_id
        )
        select x.fetch_id as theirs, k.fetch_id is null as fresh, coalesce(k.fetch_id,
            (select coalesce(max(fetch_id), -1) from store.fetches)
                + row_number() over (partition by k.fetch_id is null order by x.fetch_id))::integer as fetch_id
        from x_fetches x left join known k on k.theirs = x.fetch_id
        """
    )
    con.execute(
        """
        insert into store.fetches by name
        select i.fetch_id, coalesce(g.fetch_id, i.fetch_id) as feed, x.* exclude (fetch_id, feed)
        from x_fetches x join x_fetch_ids i on i.theirs = x.fetch_id left join x_fetch_ids g on g.theirs = x.feed
        where i.fresh order by i.fetch_id
        """
    )
    con.execute(
        """
        insert into store.fetch_checks
        select i.fetch_id, o.check_id
        from x_fetch_checks x join x_fetch_ids i on i.theirs = x.fetch_id join x_ours o using ("check")
        where i.fresh order by 1, 2
        """
    )
    fresh = con.execute(
        """
        select f.source, f.fetch_id from store.fetches f join x_fetch_ids i using (fetch_id)
        where i.fresh and f.fetch_id in (select fetch_id from store.fetch_checks) order by 2
        """
    ).fetchall()
    for source, fetch in fresh:
        join_feeds(con, source, fetch)


def _promises(con: duckdb.DuckDBPyConnection, brought: Brought) -> None:
    """What sources said, over what was said here for the same check and `valid_from`."""
    brought.configured = int(con.execute("select count(*) from x_versions where origin = 'config'").fetchall()[0][0])
    con.execute(
        """
        create or replace temp table x_said as
        select o.check_id, x.* exclude ("check") from x_versions x join x_ours o using ("check") where x.origin = 'source'
        except all select check_id, * exclude (check_id) from store.versions
        """
    )
    con.execute(
        """
        delete from store.versions v where exists (
            from x_said x where x.check_id = v.check_id and x.origin = v.origin and x.valid_from is not distinct from v.valid_from
        )
        """
    )
    con.execute("insert into store.versions by name from x_said order by check_id, valid_from nulls first, valid_to")
    brought.touched |= {row[0] for row in con.execute("select distinct check_id from x_said").fetchall()}
    con.execute("drop table temp.x_said")


def _pauses(con: duckdb.DuckDBPyConnection, brought: Brought) -> None:
    """Pauses that are not known here, and the end of those that lasted when this store last heard of them."""
    con.execute(
        """
        create or replace temp table x_paused as
        select o.check_id, x.since_at, x.until_at, x.why from x_pauses x join x_ours o using ("check")
        where not exists (
            from store.pauses p where p.check_id = o.check_id and p.since_at = x.since_at
                and (p.until_at is not distinct from x.until_at or (p.until_at is not null and x.until_at is null))
        )
        """
    )
    con.execute(
        """
        delete from store.pauses p where p.until_at is null and exists (
            from x_paused x where x.check_id = p.check_id and x.since_at = p.since_at
        )
        """
    )
    con.execute("insert into store.pauses by name from x_paused order by check_id, since_at, until_at")
    brought.touched |= {row[0] for row in con.execute("select distinct check_id from x_paused").fetchall()}
    con.execute("drop table temp.x_paused")


def _pings(con: duckdb.DuckDBPyConnection, folder: Path, name: str, wanted: int, brought: Brought) -> None:
    """The pings, a bucket at a time. Those of live looks are known by their number, those of files by their place.

    They go from the files to the store without a table between: what is dropped within a transaction is not given back.
    """
    arrived = f"""
        (select o.check_id, x.* exclude ("check", fetch_id), i.fetch_id, f.kind <> 'file' and x.n is not null as numbered
        from {_rows_of("pings")} x join x_ours o using ("check") join x_fetch_ids i on i.theirs = x.fetch_id
            join store.fetches f on f.fetch_id = i.fetch_id)
    """  # noqa: S608 - our own words
    # Only the pings of these checks, or each bucket would be compared with the whole store.
    known = "(from store.pings semi join x_bucket using (check_id))"
    for bucket in sorted(folder.glob("pings/bucket=*")):
        files = sorted(bucket.glob("month=*/*.parquet"))
        if not files:
            continue
        count, paths = _counted(con, "pings", files, name), {"paths": literal(files)}
        ((placed,),) = con.execute(f"select count(*) from {arrived}", paths).fetchall()  # noqa: S608 - our own words
        if placed != count:
            lost = plural(count - placed, "ping")
            raise InputError(f"{name}: {lost} of a check or a look that it does not hold. Export it again")
        con.execute(f"create or replace temp table x_bucket as select distinct check_id from {arrived}", paths)  # noqa: S608
        before = _by_check(con, known)
        con.execute(
            f"""
            insert into store.pings by name
            select * exclude (numbered) from (
                from {arrived} a
                where numbered and not exists (from {known} p where p.check_id = a.check_id and {SAME_NUMBER})
                union all from {arrived} a
                where not numbered and not exists (from {known} p where p.check_id = a.check_id and {SAME_ROW})
            ) a
            where a.n is not null or not exists (
                from store.pruned q where q.check_id = a.check_id and a.received_at < q.before_at
            )
            order by check_id, received_at, fetch_id, row_no
            """,  # noqa: S608 - constants
            paths,
        )
        for check, now in _by_check(con, known).items():
            if now != before.get(check, 0):
                brought.added += now - before.get(check, 0)
                brought.touched.add(check)
        brought.pings += count
    if brought.pings != wanted:
        raise InputError(f"{name}: has {brought.pings:,} pings where {MARKER} says {wanted:,}. Export it again")


def _by_check(con: duckdb.DuckDBPyConnection, rows: str) -> dict[int, int]:
    return dict(con.execute(f"select check_id, count(*) from {rows} group by check_id").fetchall())  # noqa: S608 - ours


def _watched(con: duckdb.DuckDBPyConnection) -> None:
    """In which spans nothing can be missing, and how each check was last shown."""
    watch(
        con,
        con.execute(
            """
            select o.check_id, epoch_us(x.since_at), epoch_us(x.until_at) from x_watched x join x_ours o using ("check")
            order by all
            """
        ).fetchall(),
    )
    con.execute(
        """
        create or replace temp table x_newer as
        select o.check_id, x.* exclude ("check") from x_shown x join x_ours o using ("check")
        where not exists (from store.shown s where s.check_id = o.check_id and s.seen_at >= x.seen_at)
        """
    )
    con.execute("delete from store.shown where check_id in (select check_id from x_newer)")
    con.execute("insert into store.shown by name from x_newer order by check_id")
    con.execute("drop table temp.x_newer")
