"""What must never wait for a notebook: cursors, looks that are not in the store yet, when to ask a source again, alerts
that wait to be sent.

One SQLite file beside the store, written ahead (WAL) and synced at each commit. A collector puts what it saw and the
cursor behind it into one transaction, so that a kill loses neither or both; the store is fed from here and may be away
for as long as it likes.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from qpanalytics import spell
from qpanalytics.errors import StoreError
from qpanalytics.instants import instant, micros

_SCHEMAS = (
    """
    -- dropped: the last piece that was fed to the store and forgotten here
    create table identity (state text not null, dropped integer not null);
    -- autoincrement: a number is never given twice, also after the pieces that had it were fed and dropped
    create table pieces (
        piece integer primary key autoincrement, look text not null, source text not null, kind text not null,
        at_us integer not null, said text not null, rows blob
    );
    create table cursors (source text not null, key text not null, cursor text not null, primary key (source, key));
    create table rests (source text primary key, until_us integer not null, why text not null);
    """,
    """
    -- when the last look at a source began that came to an end, also to a bad one
    create table looked (source text primary key, at_us integer not null);
    """,
    """
    -- what is told to a channel: `said` is JSON, `key` the same on each retry, `state` one of waiting, sending, sent,
    -- failed, unclear, superseded
    create table outbox (
        message integer primary key autoincrement, key text not null unique, incident text, channel text not null,
        event text not null, said text not null, made_us integer not null, next_us integer not null,
        attempts integer not null default 0, unclear integer not null default 0, state text not null default 'waiting'
    );
    create index outbox_open on outbox (channel, incident) where state in ('waiting', 'sending');
    -- each try to send one: without `ended_us` it was begun and nobody knows how it ended
    create table tries (
        try integer primary key autoincrement, message integer, incident text, channel text not null, event text not null,
        title text not null, attempt integer not null, began_us integer not null, ended_us integer, status text,
        http_status integer, latency_s real, why text not null default ''
    );
    create index tries_of on tries (message);
    -- channels that asked to be left alone, and what channels must remember
    create table channel_rests (channel text primary key, until_us integer not null);
    create table learned (
        channel text not null, name text not null, value text not null, at_us integer not null, primary key (channel, name)
    );
    """,
    """
    -- the watcher's own row: the last piece that it has taken in, when it last did, and what it remembers (JSON)
    create table watcher (
        one integer primary key check (one = 1), piece integer not null, ticked_us integer not null, said text not null
    );
    -- the states of the policy engine, and the checks as the watcher knows them, by the names that alerts use
    create table engine (key text primary key, said text not null) without rowid;
    create table watched_checks (
        source text not null, key text not null, name text not null unique, said text not null, primary key (source, key)
    ) without rowid;
    create table incidents (
        incident text primary key, opened_us integer not null, resolved_us integer, acked_us integer, said text not null
    );
    create index incidents_opened on incidents (opened_us);
    -- what people ask of incidents, until the watcher takes it in
    create table orders (number integer primary key autoincrement, at_us integer not null, said text not null);
    -- the last piece that is known to be in the store, so that it need not be opened to learn that nothing is new
    alter table identity add column fed integer not null default 0;
    """,
)
#: The schema that this program writes.
SCHEMA = len(_SCHEMAS)
#: What one feeding takes at most into memory, bytes.
_MOUTHFUL = 64 * 2**20
#: A watcher that is silent for so long holds nothing back, microseconds.
_ABANDONED_US = 7 * 86_400 * 1_000_000


@dataclass(frozen=True)
class Piece:
    """A part of one look at a source. `said` is JSON; `rows` are pings as an Arrow stream. `piece` orders them."""

    look: str
    source: str
    kind: str
    at: datetime
    said: Mapping[str, Any]
    rows: bytes | None = None
    piece: int = 0


class State:
    """The file and its one connection, shared by threads. Close it, or use it in a `with` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._con = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._con.close()
                raise
        except sqlite3.Error as error:
            raise self._explained(error) from None

    @classmethod
    def beside(cls, store: Path) -> State:
        """The state that belongs to a store: `qpa.duckdb` has `qpa.duckdb-state`."""
        return cls(cls.path_beside(store))

    @staticmethod
    def path_beside(store: Path) -> Path:
        """Where the state of a store lies."""
        return store.with_name(store.name + "-state")

    @property
    def name(self) -> str:
        """The path, safe to print."""
        return spell.plain(str(self.path))

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file back."""
        with self._lock:
            self._con.close()

    @property
    def identity(self) -> str:
        """Tells this file from another that takes its place; the numbers of pieces mean nothing beyond it."""
        with self.reading() as con:
            return str(con.execute("select state from identity").fetchone()[0])

    def cursors(self, source: str) -> dict[str, dict[str, Any]]:
        """Where each check of `source` was last read to, by key."""
        with self.reading() as con:
            rows = con.execute("select key, cursor from cursors where source = ?", [source]).fetchall()
        return {key: json.loads(cursor) for key, cursor in rows}

    def keep(
        self,
        pieces: Sequence[Piece],
        cursors: Iterable[tuple[str, str, Mapping[str, Any]]] = (),
        looked: tuple[str, datetime] | None = None,
    ) -> None:
        """Sets pieces aside together with the cursors (source, key, cursor) that follow from them.

        `looked` is a source and when the look at it began that ends with these pieces.
        """
        with self.transaction() as con:
            if looked is not None:
                con.execute("insert or replace into looked values (?, ?)", [looked[0], micros(looked[1])])
            con.executemany(
                "insert into pieces (look, source, kind, at_us, said, rows) values (?, ?, ?, ?, ?, ?)",
                [(p.look, p.source, p.kind, micros(p.at), json.dumps(p.said), p.rows) for p in pieces],
            )
            con.executemany(
                "insert or replace into cursors values (?, ?, ?)",
                [(source, key, json.dumps(cursor)) for source, key, cursor in cursors],
            )

    def pending(self, after: int, source: str | None = None) -> list[Piece]:
        """The oldest pieces behind number `after` that are not dropped yet; as many as memory is meant to hold.

        Those of one `source`, if it is given.
        """
        found: list[Piece] = []
        size = 0
        with self.reading() as con:
            rows = con.execute(
                "select piece, look, source, kind, at_us, said, rows from pieces where piece > ? and (? is null or source = ?) "
                "order by piece",
                [after, source, source],
            )
            for piece, look, source, kind, at_us, said, blob in rows:
                found.append(Piece(look, source, kind, instant(at_us), json.loads(said), blob, piece))
                size += len(blob or b"") + len(said)
                if size > _MOUTHFUL:
                    break
        return found

    def waiting(self) -> int:
        """How many pieces are set aside that the store lacks, as far as is known without opening it."""
        with self.reading() as con:
            sql = "select count(*) from pieces where piece > (select fed from identity)"
            return int(con.execute(sql).fetchone()[0])

    def drop(self, up_to: int) -> None:
        """Notes that the store has the pieces `up_to` a number, and forgets those that a watcher has taken in, too.

        A watcher that took in nothing for a week, while there was something, is one that nobody runs any more.
        """
        with self.transaction() as con:
            con.execute("update identity set fed = max(fed, ?)", [up_to])
            (last,) = con.execute("select max(at_us) from pieces").fetchone()
            row = con.execute("select piece from watcher where ticked_us >= ?", [(last or 0) - _ABANDONED_US]).fetchone()
            gone = up_to if row is None else min(up_to, int(row[0]))
            con.execute("delete from pieces where piece <= ?", [gone])
            con.execute("update identity set dropped = max(dropped, ?)", [gone])

    def know_fed(self, piece: int) -> None:
        """Notes which piece the store had last when somebody looked: another store may stand in its place."""
        with self.transaction() as con:
            con.execute("update identity set fed = ? where fed <> ?", [piece, piece])

    def dropped(self) -> int:
        """The last piece that was ever dropped. A store that was fed less is not the one we fed."""
        with self.reading() as con:
            return int(con.execute("select dropped from identity").fetchone()[0])

    def forget_cursors(self) -> None:
        """Has every source read from as far back as it goes; what is known already is not taken twice."""
        with self.transaction() as con:
            con.execute("delete from cursors")

    def looked(self) -> dict[str, datetime]:
        """When the last look at each source began."""
        with self.reading() as con:
            return {source: instant(us) for source, us in con.execute("select source, at_us from looked")}

    def rest(self, source: str, until: datetime, why: str) -> None:
        """Leaves `source` alone until an instant, because it asked for that."""
        with self.transaction() as con:
            con.execute("insert or replace into rests values (?, ?, ?)", [source, micros(until), why])

    def resting(self, source: str) -> tuple[datetime, str] | None:
        """Until when, and why, `source` asked to be left alone."""
        with self.reading() as con:
            row = con.execute("select until_us, why from rests where source = ?", [source]).fetchone()
        return None if row is None else (instant(row[0]), str(row[1]))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries, also of modules that keep tables of their own here. StoreError."""
        with self._lock:
            try:
                yield self._con
            except sqlite3.Error as error:
                raise self._explained(error) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written within happens together or not at all, that of the methods here included; one within another
        is part of it.

        Keep it short: other threads wait meanwhile. StoreError.
        """
        with self.reading() as con:
            within = con.in_transaction  # by this thread, since the lock is ours
            if within:
                yield con
                return
            con.execute("begin immediate")
            try:
                yield con
                con.execute("commit")
            except BaseException:
                if con.in_transaction:
                    con.execute("rollback")
                raise

    def _prepare(self) -> None:
        con = self._con
        con.execute("pragma journal_mode = wal")
        con.execute("pragma synchronous = full")
        con.execute("begin immediate")
        (version,) = con.execute("pragma user_version").fetchone()
        if version > SCHEMA:
            con.execute("rollback")
            raise StoreError(
                f"{self.name} has schema {version}, newer than this program's {SCHEMA}. "
                "Upgrade: pip install -U qpanalytics"
            )
        names = {name for (name,) in con.execute("select name from sqlite_master where type = 'table'")}
        if (names - {"sqlite_sequence"} and version == 0) or (version > 0 and "identity" not in names):
            con.execute("rollback")
            raise StoreError(f"{self.name} is a SQLite file of something else. Move it away, or name another store.")
        for text in _SCHEMAS[version:]:
            for statement in filter(str.strip, text.split(";")):
                con.execute(statement)
        if version == 0:
            con.execute("insert into identity (state, dropped) values (?, 0)", [uuid.uuid4().hex])
        con.execute(f"pragma user_version = {SCHEMA}")
        con.execute("commit")

    def _explained(self, error: sqlite3.Error) -> StoreError:
        text = spell.plain(str(error))
        if "not a database" in text or "malformed" in text:
            return StoreError(f"{self.name} is damaged or no file of ours. Move it away; looks not yet stored are in it.")
        if "full" in text:
            return StoreError(f"the disk of {self.name} is full; nothing was changed. Make room and try again.")
        if "locked" in text:
            return StoreError(f"{self.name} is held by another program. Close it and try again.")
        return StoreError(f"{self.name} cannot be used: {text}. Check the path and its permissions.")
