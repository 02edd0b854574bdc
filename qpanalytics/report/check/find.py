"""Which check is meant by what people type: its public name, or the key its source knows it by."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.errors import UsageError

if TYPE_CHECKING:
    from qpanalytics.store.db import Store

MOST_COMPARED = 200
"""Letters of a name that are compared to find the nearest: enough for every honest one."""


def find(store: Store, key: str) -> str | None:
    """The public name of the check of this name, else of this key; None if there is none.

    UsageError where two sources give that key to different checks.
    """
    rows = _known(store)
    if any(name == key for name, _ in rows):
        return key
    found = sorted(name for name, own in rows if own == key)
    if len(found) > 1:
        several = " and ".join(map(spell.plain, found))
        raise UsageError(f"the key {spell.quoted(key)} belongs to {several}; give one of these names")
    return found[0] if found else None


def matched(store: Store, pattern: str) -> bool:
    """Whether the name of any check matches the shell pattern."""
    return any(fnmatchcase(name, pattern) for name, _ in _known(store))


def named(store: Store, key: str) -> str:
    """The same, and UsageError with the nearest name where there is none."""
    found = find(store, key)
    if found is None:
        near = _nearest(store, key)
        raise UsageError(f"no check is called {spell.quoted(key)}, and none has that key; {near}. See: qpa checks")
    return found


def _nearest(store: Store, key: str) -> str:
    names = {word[:MOST_COMPARED].lower(): name for name, own in reversed(_known(store)) for word in (own, name)}
    if not names:
        return "the store knows none yet"
    (near,) = get_close_matches(key[:MOST_COMPARED].lower(), names, n=1, cutoff=0.0)
    return f"the nearest is {spell.quoted(names[near])}"


def _known(store: Store) -> list[tuple[str, str]]:
    with store.read() as con:
        rows: list[tuple[str, str]] = con.execute("select check_name, key from store.checks order by check_name").fetchall()
    return rows
