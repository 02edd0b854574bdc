"""What the watcher remembers between ticks, in the state file: how far it came, the checks it knows, states of the engine.

Everything is read by `load` and written by `save`, the latter inside the caller's transaction: a tick lands whole or not
at all, together with its incidents and what is to be sent of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from qpanalytics.collect.naming import candidates
from qpanalytics.instants import micros


@dataclass
class Known:
    """One check as the watcher knows it. Instants are epoch microseconds.

    `versions` are the promises that its source stated, newest last, in the form of `ledger.versions.effective`. `since` is
    where its history begins for us: what was due before is nobody's business now. `recent` holds the numbers and times of
    the last numbered pings, which a source shows again. `told` tells what was promised to the engine last.
    """

    source: str
    key: str
    name: str
    label: str = ""
    versions: list[dict[str, Any]] = field(default_factory=list)
    paused: bool = False
    gone: bool = False
    since: int | None = None
    recent: list[list[int]] = field(default_factory=list)
    told: str = ""
    #: It could not be read at the last look, though its source could: it is vouched for alone.
    alone: bool = False


class Checks:
    """The checks by source and key, and which of them changed."""

    def __init__(self, known: Mapping[tuple[str, str], Known]) -> None:
        self._known = dict(known)
        self._used = {check.name: check.source for check in known.values()}
        self._changed: dict[tuple[str, str], None] = {}
        self._gone: dict[tuple[str, str], None] = {}

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def of(self, source: str) -> list[Known]:
        """The checks of one source."""
        return [check for check in self if check.source == source]

    def get(self, source: str, key: str) -> Known | None:
        """The check, if it was ever seen."""
        return self._known.get((source, key))

    def add(self, source: str, key: str, label: str) -> Known:
        """A check that is new; its public name is chosen as the store does it, and never changes."""
        twin = self._used.get(label) == source
        name = next(n for n in candidates(key, label, source, twin=twin) if n not in self._used)
        return self.adopt(source, key, name, label)

    def adopt(self, source: str, key: str, name: str, label: str) -> Known:
        """A check whose public name is known."""
        check = Known(source, key, name, label)
        self._used[name] = source
        self._known[source, key] = check
        self.changed(check)
        return check

    def changed(self, check: Known) -> None:
        """Has the check written with the next tick."""
        self._changed[check.source, check.key] = None

    def forget(self, check: Known) -> None:
        """Drops a check whose source is no longer configured."""
        self._known.pop((check.source, check.key), None)
        self._used.pop(check.name, None)
        self._gone[check.source, check.key] = None

    def save(self, con: sqlite3.Connection) -> None:
        """Writes what changed."""
        con.executemany("delete from watched_checks where source = ? and key = ?", list(self._gone))
        rows = [self._known[place] for place in self._changed if place in self._known]
        con.executemany(
            "insert or replace into watched_checks values (?, ?, ?, ?)",
            [(check.source, check.key, check.name, _json(_said(check))) for check in rows],
        )
        self._changed.clear()
        self._gone.clear()


@dataclass
class Kept:
    """The watcher's row. `piece` is the last number that every source is through with, `consumed` how far each one is.

    `looks` holds looks whose end has not come yet: how far they vouch. `done` are sources of which one look was taken in
    whole, `reached` how far each was seen. `reports` says when each report was made last; `clock` is that of `clock.Steady`.
    """

    piece: int = 0
    ticked: int = 0
    seeded: bool = False
    configured: str = ""
    consumed: dict[str, int] = field(default_factory=dict)
    looks: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)
    clock: dict[str, Any] = field(default_factory=dict)
    #: When the store was fed last, since when it is held and by whom, whether it just became free.
    fed: int = 0
    held: int | None = None
    holder: str = ""
    freed: bool = False
    tidied: int = 0


_FIELDS = (
    "seeded", "configured", "consumed", "looks", "done", "reached", "reports", "clock", "fed", "held", "holder", "freed",
    "tidied",
)  # fmt: skip


def load(con: sqlite3.Connection) -> Kept:
    """The row as the last tick left it."""
    row = con.execute("select piece, ticked_us, said from watcher").fetchone()
    if row is None:
        return Kept()
    said = orjson.loads(row[2])
    return Kept(row[0], row[1], **{name: said[name] for name in _FIELDS if name in said})


def save(con: sqlite3.Connection, kept: Kept, now: datetime) -> None:
    """Writes the row."""
    kept.ticked = micros(now)
    said = _json({name: getattr(kept, name) for name in _FIELDS})
    con.execute("insert or replace into watcher values (1, ?, ?, ?)", [kept.piece, kept.ticked, said])


def load_checks(con: sqlite3.Connection) -> Checks:
    """Every check that was ever seen."""
    rows = con.execute("select source, key, name, said from watched_checks")
    return Checks({(source, key): Known(source, key, name, **orjson.loads(said)) for source, key, name, said in rows})


def load_states(con: sqlite3.Connection) -> dict[str, Any]:
    """The states of the policy engine, by key."""
    return {key: orjson.loads(said) for key, said in con.execute("select key, said from engine")}


def save_states(con: sqlite3.Connection, changed: Mapping[str, Any]) -> None:
    """Writes the states that changed; None deletes one."""
    con.executemany("delete from engine where key = ?", [(key,) for key, said in changed.items() if said is None])
    con.executemany(
        "insert or replace into engine values (?, ?)",
        [(key, _json(said)) for key, said in changed.items() if said is not None],
    )


def _json(value: Any) -> str:
    # not by orjson, to which named tuples are no lists; little is written, and everything is read
    return json.dumps(value, separators=(",", ":"))


def _said(check: Known) -> dict[str, Any]:
    return {k: v for k, v in vars(check).items() if k not in ("source", "key", "name")}
