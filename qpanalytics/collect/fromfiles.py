"""Ping files and check entries into a store: reading them, and taking what was read, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from qpanalytics.collect.intake import Looked, Taken, take
from qpanalytics.sources.files import Staged, read_pings
from qpanalytics.sources.files.accesslogs import key_of

if TYPE_CHECKING:
    from qpanalytics.settings import CheckEntry


def take_files(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[str | Path],
    entries: Iterable[CheckEntry],
    *,
    source: str,
    covers_until: datetime | None,
    tried_at: datetime,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Staged, Taken]:
    """What `read_pings` found in `files`, and what `take` made of it. InputError for a file that cannot be taken."""
    staged = read_pings(con, files, mapping=mapping, skip_bad=skip_bad)
    entries, labels = _keyed(con, source, list(entries), staged)
    taken = take(
        con,
        source=source,
        looks=[Looked(str(file.path), file.digest, file.skipped) for file in staged.files],
        entries=entries,
        labels=labels,
        covers_until=covers_until,
        tried_at=tried_at,
        progress=progress,
    )
    return staged, taken


def _keyed(
    con: duckdb.DuckDBPyConnection, source: str, entries: Sequence[CheckEntry], staged: Staged
) -> tuple[list[CheckEntry], dict[str, str]]:
    """The entries with keys in place of ids that are secrets, and names for checks that are known by such a key.

    A check file names such a check by its id (`check`) and its `name`. Files that hold ids as names of checks keep them:
    what is known by its id already, stays so.
    """
    literal = {row[0] for row in con.execute("select distinct check_name from staged_pings").fetchall()}
    literal |= {row[0] for row in con.execute("select key from store.checks where source = ?", [source]).fetchall()}
    labels = {key: f"unnamed-{key[:6]}" for key in _keys(con, staged)}
    keyed = []
    for entry in entries:
        key = None if entry.check in literal else key_of(entry.check)
        if key is not None:
            labels.setdefault(key, f"unnamed-{key[:6]}")
            labels[key] = entry.name or labels[key]
            entry = entry.model_copy(update={"check": key})
        keyed.append(entry)
    return keyed, labels


def _keys(con: duckdb.DuckDBPyConnection, staged: Staged) -> list[str]:
    """Checks of access logs whose names are keys."""
    logs = [number for number, file in enumerate(staged.files) if file.keyed]
    rows = con.execute(
        """
        select distinct check_name from staged_pings
        where file_no in (select unnest(?::integer[])) and regexp_full_match(check_name, '[0-9a-f]{40}')
        """,
        [logs],
    ).fetchall()
    return [row[0] for row in rows]
