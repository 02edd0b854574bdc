"""From the list of checks that a source shows to promises, names and pauses.

Monitors keep no history of their settings, so versions come from our own looks: a change is dated to the look that first
showed it, and a pause to the time between two looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb

from qpanalytics import spell
from qpanalytics.instants import instant, micros
from qpanalytics.sources.base import SeenCheck


def label(check: SeenCheck) -> str:
    """What people call it; a check without any name is called by its key."""
    return check.label.strip() or f"unnamed-{check.key[:6]}"


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
    promised = _promised(con, source)
    touched: set[int] = set()
    shown = {check.key: check for check in seen}
    if any(before is not None and before > micros(at) for _, _, before, _, _ in known.values()):
        return touched
    for key, (check_id, name, before_us, paused, gone) in known.items():
        check = shown.get(key)
        if check is None:
            if before_us is not None and not gone and _end(con, check_id, at):
                touched.add(check_id)
            continue
        if (check.name or label(check)) != name:
            con.execute("update store.checks set name = ? where check_id = ?", [check.name or label(check), check_id])
        if _promise(con, check_id, check, promised.get(check_id), at):
            touched.add(check_id)
        if check.paused != paused and _pause(con, check_id, check.paused, before_us, at):
            touched.add(check_id)
    _remember(con, known, seen, at)
    return touched


_FIELDS = ("schedule", "tz", "grace_s", "max_runtime_s")


def _promised(con: duckdb.DuckDBPyConnection, source: str) -> dict[int, tuple[Any, ...]]:
    """The last version that the source stated of each check: its fields, tags, and whether it has begun with a date."""
    rows = con.execute(
        """
        select v.check_id, v.schedule, v.tz, v.grace_s, v.max_runtime_s, v.tags
        from store.versions v join store.checks c using (check_id)
        where c.source = ? and v.origin = 'source' and v.valid_to is null
        order by v.check_id, v.valid_from nulls first
        """,
        [source],
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def _promise(
    con: duckdb.DuckDBPyConnection, check_id: int, check: SeenCheck, last: tuple[Any, ...] | None, at: datetime
) -> bool:
    """A new version where the promise changed; tags move with the version that holds. True if the ledger changes."""
    said = (check.schedule, check.tz, check.grace_s, check.max_runtime_s)
    if last is not None and tuple(last[:4]) == said:
        if list(last[4] or ()) != list(check.tags):
            con.execute(
                "update store.versions set tags = ? where check_id = ? and origin = 'source' and valid_to is null",
                [list(check.tags), check_id],
            )
        return False
    # What was promised before the first look nobody knows; taking it as it is now judges the pings that are still shown.
    first = not con.execute(
        "select 1 from store.versions where check_id = ? and origin = 'source' limit 1", [check_id]
    ).fetchall()
    con.execute(
        "update store.versions set valid_to = ? where check_id = ? and origin = 'source' and valid_to is null", [at, check_id]
    )
    # A check that never pinged is awaited from the look that showed it on.
    since = None if first and check.count != 0 else at
    con.execute(
        "insert into store.versions values (?, 'source', ?, null, ?, ?, ?, null, ?, null, ?)",
        [check_id, since, check.schedule, check.tz, check.grace_s, check.max_runtime_s, list(check.tags)],
    )
    return True


def _pause(con: duckdb.DuckDBPyConnection, check_id: int, paused: bool, before_us: int | None, at: datetime) -> bool:
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
        return True
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
    return True


def _end(con: duckdb.DuckDBPyConnection, check_id: int, at: datetime) -> bool:
    """A check that is no longer listed promises nothing more. One that comes back is another one, with a new key."""
    con.execute(
        "update store.versions set valid_to = ? where check_id = ? and origin = 'source' and valid_to is null", [at, check_id]
    )
    con.execute(
        "update store.shown set gone = true, why = ? where check_id = ?",
        [f"no longer at the source since {spell.iso(at)} at the latest", check_id],
    )
    return True


def _remember(
    con: duckdb.DuckDBPyConnection, known: dict[str, tuple[Any, ...]], seen: Sequence[SeenCheck], at: datetime
) -> None:
    listed = [(known[c.key][0], c) for c in seen if c.key in known]
    rows = con.execute("select check_id, counted, reply_rows from store.shown").fetchall()
    before = {check_id: (counted, reply_rows) for check_id, counted, reply_rows in rows}
    con.execute("delete from store.shown where check_id in (select unnest(?))", [[check_id for check_id, _ in listed]])
    if listed:
        con.executemany(
            "insert into store.shown values (?, ?, ?, ?, ?, false, ?)",
            [(i, at, *before.get(i, (None, None)), c.paused, c.why) for i, c in listed],
        )
