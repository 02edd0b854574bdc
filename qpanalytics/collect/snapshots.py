"""From the list of checks that a source shows to promises, names and pauses.

Monitors keep no history of their settings, so versions come from our own looks: a change is dated to the look that first
showed it, and a pause to the time between two looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from qpanalytics import spell
from qpanalytics.collect.naming import label
from qpanalytics.instants import instant, micros
from qpanalytics.ledger import tables
from qpanalytics.sources.base import SeenCheck


def apply(con: duckdb.DuckDBPyConnection, source: str, seen: Sequence[SeenCheck], at: datetime) -> set[int]:
    """Writes what a list says over what the store knew; returns the checks whose promise or pauses changed.

    An older list than the one known says nothing new and is left out.
    """
    rows = con.execute(
        """
        select c.key, c.check_id, c.name, epoch_us(s.seen_at), coalesce(s.paused, false), coalesce(s.gone, false)
        from store.checks c left join store.shown s using (check_id) where c.source = ?
        """,
        [source],
    ).fetchall()
    known = {row[0]: row[1:] for row in rows}
    shown = {check.key: check for check in seen}
    touched: set[int] = set()
    if any(before is not None and before > micros(at) for _, _, before, _, _ in known.values()):
        return touched
    listed = [(known[key][0], check) for key, check in shown.items() if key in known]
    for key, (check_id, name, before_us, paused, gone) in known.items():
        check = shown.get(key)
        if check is None:
            if before_us is not None and not gone:
                _end(con, check_id, at)
                touched.add(check_id)
            continue
        if (check.name or label(check)) != name:
            con.execute("update store.checks set name = ? where check_id = ?", [check.name or label(check), check_id])
        if check.paused != paused:
            _pause(con, check_id, check.paused, before_us, at)
            touched.add(check_id)
    touched |= _promise(con, source, listed, at)
    _remember(con, listed, at)
    return touched


def _promise(
    con: duckdb.DuckDBPyConnection, source: str, listed: Sequence[tuple[int, SeenCheck]], at: datetime
) -> set[int]:
    """A new version of each promise that changed; tags move with the version that holds. Returns the checks."""
    rows = con.execute(
        """
        select v.check_id, v.valid_to is null, v.schedule, v.tz, v.grace_s, v.max_runtime_s, v.tags
        from store.versions v join store.checks c using (check_id) where c.source = ? and v.origin = 'source'
        order by v.check_id, v.valid_to is null, v.valid_from nulls first
        """,
        [source],
    ).fetchall()
    last = {row[0]: row[1:] for row in rows}
    changed: list[tuple[int, SeenCheck, datetime | None]] = []
    for check_id, check in listed:
        holds, *promise, tags = last.get(check_id, (False, None, None, None, None, None))
        if not holds or tuple(promise) != (check.schedule, check.tz, check.grace_s, check.max_runtime_s):
            # What was promised before the first look nobody knows; taking it as it is now judges the pings that are still
            # shown. A check that never pinged is awaited from the look that showed it on.
            since = None if check_id not in last and check.count != 0 else at
            changed.append((check_id, check, since))
        elif list(tags or ()) != list(check.tags):
            con.execute(
                "update store.versions set tags = ? where check_id = ? and origin = 'source' and valid_to is null",
                [list(check.tags), check_id],
            )
    if not changed:
        return set()
    ids = [check_id for check_id, _, _ in changed]
    con.execute(
        """
        update store.versions set valid_to = $at
        where check_id in (select unnest($ids)) and origin = 'source' and valid_to is null
        """,
        {"at": at, "ids": ids},
    )
    promises = pa.table(
        {
            "check_id": pa.array(ids, pa.int32()),
            "valid_from": pa.array([since for _, _, since in changed], pa.timestamp("us", tz="UTC")),
            "schedule": pa.array([c.schedule for _, c, _ in changed], pa.string()),
            "tz": pa.array([c.tz for _, c, _ in changed], pa.string()),
            "grace_s": pa.array([c.grace_s for _, c, _ in changed], pa.float64()),
            "max_runtime_s": pa.array([c.max_runtime_s for _, c, _ in changed], pa.float64()),
            "tags": pa.array([list(c.tags) for _, c, _ in changed], pa.list_(pa.string())),
        }
    )
    tables.put(con, "stated", promises)
    con.execute("insert into store.versions by name select *, 'source' as origin from stated order by check_id")
    return set(ids)


def _pause(con: duckdb.DuckDBPyConnection, check_id: int, paused: bool, before_us: int | None, at: datetime) -> None:
    """Begins or ends a pause. It began after the last ping and look that showed none, and ended by the ping or look
    that showed its end: the longest that it can have lasted, so that no run is called missed that was not expected."""
    if paused:
        (last_us,) = con.execute(
            """
            select epoch_us(max(received_at)) from store.pings
            where check_id = ? and received_at <= ? and kind in ('success', 'fail', 'start')
            """,
            [check_id, at],
        ).fetchall()[0]
        known = [us for us in (before_us, last_us) if us is not None]
        since = instant(max(known)) if known else at
        con.execute(
            "insert into store.pauses values (?, ?, null, ?)",
            [check_id, since, f"paused between {spell.iso(since)} and {spell.iso(at)}"],
        )
        return
    (resumed_us,) = con.execute(
        """
        select epoch_us(min(p.received_at)) from store.pings p join store.pauses q using (check_id)
        where q.check_id = ? and q.until_at is null and p.received_at > q.since_at and p.received_at <= ?
            and p.kind in ('success', 'fail', 'start')
        """,
        [check_id, at],
    ).fetchall()[0]
    until = at if resumed_us is None else instant(resumed_us)
    con.execute(
        "update store.pauses set until_at = ?, why = why || ? where check_id = ? and until_at is null",
        [until, f", resumed by {spell.iso(until)}", check_id],
    )


def _end(con: duckdb.DuckDBPyConnection, check_id: int, at: datetime) -> None:
    """A check that is no longer listed promises nothing more. One that comes back is another one, with a new key."""
    con.execute(
        "update store.versions set valid_to = ? where check_id = ? and origin = 'source' and valid_to is null", [at, check_id]
    )
    con.execute(
        "update store.shown set gone = true, why = ? where check_id = ?",
        [f"no longer at the source since {spell.iso(at)} at the latest", check_id],
    )


def _remember(con: duckdb.DuckDBPyConnection, listed: Sequence[tuple[int, SeenCheck]], at: datetime) -> None:
    """How each check was shown; what its replies said stays beside it."""
    state = pa.table(
        {
            "check_id": pa.array([check_id for check_id, _ in listed], pa.int32()),
            "paused": pa.array([c.paused for _, c in listed], pa.bool_()),
            "why": pa.array([c.why for _, c in listed], pa.string()),
        }
    )
    tables.put(con, "listed", state)
    con.execute(
        """
        create or replace temp table remembered as
        select l.check_id, $at::timestamptz as seen_at, s.counted, s.reply_rows, l.paused, false as gone, l.why,
            coalesce(s.reply_why, '') as reply_why, s.baseline, s.baseline_at
        from listed l left join store.shown s using (check_id)
        """,
        {"at": at},
    )
    con.execute("delete from store.shown where check_id in (select check_id from remembered)")
    con.execute("insert into store.shown by name from remembered order by check_id")
