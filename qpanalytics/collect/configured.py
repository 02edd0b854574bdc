"""Keeps the store in agreement with the `[[check]]` tables of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from qpanalytics.collect.intake import CONFIG, name_checks, restate
from qpanalytics.errors import StoreBusy, StoreError
from qpanalytics.ledger.build import build

if TYPE_CHECKING:
    from qpanalytics.settings import CheckEntry, Settings
    from qpanalytics.store.db import Store


def agree(store: Store, settings: Settings, *, now: datetime) -> None:
    """Applies the configuration's checks to the store if they changed since the last time; else only reads."""
    if not store.exists():
        return
    with store.read() as con:
        known = con.execute("select value from store.settings where name = 'configuration'").fetchone()
    if (known or ("",))[0] == _state(settings):
        return
    try:
        with store.write() as con:
            apply(con, settings, now=now)
    except StoreBusy:
        raise
    except StoreError as error:
        raise StoreError(
            f"the checks of the configuration changed, so {store.name} has to follow, but: {error} "
            "Make it writable, or ask a copy of it with --db."
        ) from None


def apply(con: duckdb.DuckDBPyConnection, settings: Settings, *, now: datetime) -> None:
    """Writes what the configuration says of checks, drops what it no longer says, and derives what that touches."""
    con.execute("create or replace temp table staged_pings (file_no integer, check_name varchar)")
    known = {row[0] for row in con.execute("select check_name from store.checks").fetchall()}
    name_checks(con, CONFIG, {e.check: e.check for e in settings.check if e.check not in known}, now)
    con.execute("drop table temp.staged_pings")
    before = _versions(con)
    con.execute("delete from store.versions where origin = 'config'")
    for entry in settings.check:
        _restate_named(con, entry)
    after = _versions(con)
    build(con, sorted(c for c in before.keys() | after.keys() if before.get(c) != after.get(c)))
    con.execute("delete from store.settings where name = 'configuration'")
    con.execute("insert into store.settings values ('configuration', ?)", [_state(settings)])


def _restate_named(con: duckdb.DuckDBPyConnection, entry: CheckEntry) -> None:
    """A `[[check]]` means the check of that public name, whatever source knows it."""
    row = con.execute("select source, key from store.checks where check_name = ?", [entry.check]).fetchone()
    if row is not None:
        restate(con, row[0], [entry.model_copy(update={"check": row[1]})], origin="config")


def _versions(con: duckdb.DuckDBPyConnection) -> dict[int, list[tuple[object, ...]]]:
    out: dict[int, list[tuple[object, ...]]] = {}
    rows: Sequence[tuple[object, ...]] = con.execute(
        """
        select check_id, epoch_us(valid_from), epoch_us(valid_to), schedule, tz, grace_s, early_s, max_runtime_s
        from store.versions where origin = 'config' order by all
        """
    ).fetchall()
    for row in rows:
        out.setdefault(int(str(row[0])), []).append(row[1:])
    return out


def _state(settings: Settings) -> str:
    """Empty where nothing is configured, so that a store without configuration is never written by a reader."""
    return settings.fingerprint() if settings.check else ""
