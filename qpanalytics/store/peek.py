"""A look into the state file by those who only read: nothing is made, migrated or written, and it may not be there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from qpanalytics import spell
from qpanalytics.errors import StoreError
from qpanalytics.store.state import SCHEMA, State


@contextmanager
def peek(store: Path, least: int) -> Iterator[sqlite3.Connection | None]:
    """The state beside a store, for queries; None where there is none, or one that is older than schema `least`.

    StoreError where it cannot be read or a newer program wrote it.
    """
    path = State.path_beside(store)
    name = spell.plain(str(path))
    if not path.exists():
        yield None
        return
    try:
        # not as read-only: such a connection leaves its side files behind, and a file without write permission is so anyway
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30.0)) as con:
            con.execute("pragma query_only = on")
            (version,) = con.execute("pragma user_version").fetchone()
            if version > SCHEMA:
                raise StoreError(
                    f"{name} has schema {version}, newer than this program's {SCHEMA}. Upgrade: pip install -U qpanalytics"
                )
            yield con if version >= least else None
    except sqlite3.Error as error:
        raise StoreError(f"{name} cannot be read: {spell.plain(str(error))}. Check the file and its permissions.") from None
