"""The first start on a store that has a history already: what the engine has to know of it, and nobody is to be told.

Cursors say what was read of each source, so a look shows nothing old any more; it is in the store. From there come the
names, the promises, the last pings of each check and how far it was seen.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics.instants import micros
from qpanalytics.policy import events
from qpanalytics.watch.kept import Checks, Kept
from qpanalytics.watch.translate import RECENT, SEED

if TYPE_CHECKING:
    import duckdb

    from qpanalytics.settings import Settings
    from qpanalytics.store.db import Store
    from qpanalytics.store.state import State

#: Pings are taken from so far back; of a check that was silent for longer, only the last ones.
DAYS = 40


def seed(store: Store, state: State, settings: Settings, checks: Checks, kept: Kept, now: datetime) -> list[events.Event]:
    """Fills `checks` and `kept` from the store; returns the pings and sights that the engine starts from.

    Promises follow from the checks. StoreBusy if the store is held; nothing is changed then. Without a store there is
    nothing to know.
    """
    sources = [table.name for table in settings.source]
    if not store.exists() or not sources:
        return []
    with store.read() as con:
        from qpanalytics.collect.feed import fed_up_to

        through = fed_up_to(con, state.identity)
        rows = _checks(con, sources)
        versions = _versions(con)
        pings = _pings(con, sources, now)
        seen = _seen(con, sources)
    from qpanalytics.watch import daily

    told = [daily.event(fact, micros(now)) for fact in daily.facts(store, settings, now)]
    kept.piece = max(kept.piece, through)
    names = {row[1] for row in rows}
    out: list[events.Event] = []
    out += [e for e in told if isinstance(e, events.Covered) or (isinstance(e, events.CannotTell) and e.check in names)]
    for check_id, name, source, key, label, paused, gone in rows:
        check = checks.adopt(source, key, name, label)
        check.versions, check.paused, check.gone = versions.get(check_id, []), paused, gone
        mine = pings.get(check_id, [])
        check.recent = [[n, at] for at, _, n, *_ in mine if n is not None][-RECENT:]
        if mine:
            check.since = mine[0][0]
        if not gone:
            out += [events.Ping(name, at, kind, run_id, took, host, status) for at, kind, _, run_id, took, host, status in mine]
            out += [events.Paused(name, micros(now))] if paused else []
    for source, since, until in seen:
        out.append(events.Seen(source, min(until, micros(now)), since))
        kept.done.append(source)
    return out


def _checks(con: duckdb.DuckDBPyConnection, sources: Collection[str]) -> list[tuple[Any, ...]]:
    return con.execute(
        """
        select c.check_id, c.check_name, c.source, c.key, c.name, coalesce(s.paused, false), coalesce(s.gone, false)
        from store.checks c left join store.shown s using (check_id)
        where c.source in (select unnest(?)) order by c.check_id
        """,
        [sorted(sources)],
    ).fetchall()


def _seen(con: duckdb.DuckDBPyConnection, sources: Collection[str]) -> list[tuple[str, int, int]]:
    """Since when and until when each source was seen without a break, epoch microseconds."""
    return con.execute(
        """
        with last as (
            select check_id, max(since_at) as since_at, max(until_at) as until_at from store.watched group by check_id
        )
        select c.source, epoch_us(min(since_at)), epoch_us(max(until_at)) from last join store.checks c using (check_id)
        where c.source in (select unnest(?)) group by c.source order by c.source
        """,
        [sorted(sources)],
    ).fetchall()


def _versions(con: duckdb.DuckDBPyConnection) -> dict[int, list[dict[str, Any]]]:
    """The promises that sources stated; those of the configuration are read from it."""
    found: dict[int, list[dict[str, Any]]] = {}
    names = ("valid_from_us", "valid_to_us", "schedule", "tz", "grace_s", "early_s", "max_runtime_s", "severity", "tags")
    for check_id, *values in con.execute(
        """
        select check_id, epoch_us(valid_from), epoch_us(valid_to), schedule, tz, grace_s, early_s, max_runtime_s, severity, tags
        from store.versions where origin = 'source' order by check_id, valid_to is null, valid_from nulls first
        """
    ).fetchall():
        row = dict(zip(names, values, strict=True))
        found.setdefault(check_id, []).append({"origin": "source", **row, "tags": list(row["tags"] or ())})
    return found


def _pings(con: duckdb.DuckDBPyConnection, sources: Collection[str], now: datetime) -> dict[int, list[tuple[Any, ...]]]:
    """The last pings of each check, oldest first: at, kind, n, run id, duration, host, exit status."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for check_id, *row in con.execute(
        """
        with mine as (select check_id from store.checks where source in (select unnest($sources))),
        lately as (
            select p.* from store.pings p semi join mine using (check_id)
            where p.received_at between $now::timestamptz - to_days($days) and $now::timestamptz
        ),
        silent as (
            select p.* from store.pings p semi join mine using (check_id)
            where p.check_id not in (select check_id from lately) and p.received_at <= $now::timestamptz
        ),
        last as (
            from lately union all by name from silent
            qualify row_number() over (partition by check_id order by received_at desc, n desc nulls last, row_no desc) <= $most
        )
        select check_id, epoch_us(received_at), kind, n, run_id, duration_s, host, exit_status from last
        order by check_id, received_at, n nulls first, row_no
        """,
        {"sources": sorted(sources), "now": now, "days": DAYS, "most": SEED},
    ).fetchall():
        found.setdefault(check_id, []).append(tuple(row))
    return found
