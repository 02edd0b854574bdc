"""The one gate to the DuckDB file: connect late, do one thing, close.

DuckDB lets one process write or many read, so nobody holds the file. A connection that meets a lock tries again with a
growing pause up to `patience_s`, then names the holder. Within one process reading and writing connections to one file
clash, so all of them pass through one lock per file.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import duckdb

from qpanalytics import spell
from qpanalytics.errors import StoreBusy, StoreError

_gates: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
_HOLDER = re.compile(r"Conflicting lock is held in (?P<what>.*?) \(PID (?P<pid>\d+)\)")
#: Nothing is fetched from outside: what the wheel does not hold is not used.
_CONFIG = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def migrations() -> list[str]:
    """The SQL of each schema version, in order; the schema's version is their number."""
    folder = resources.files("qpanalytics.store") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [f.read_text(encoding="utf-8") for f in files]


class Store:
    """The history of pings and the ledger derived from it, in one DuckDB file (or in memory, for frames).

    `read()` and `write()` give a connection for the length of a `with` block. A write is one transaction: it lands
    whole or not at all, and a file that a failed first write made is taken away again.
    """

    def __init__(self, path: str | Path, *, patience_s: float = 30.0) -> None:
        self.path = Path(path)
        self.patience_s = patience_s

    @property
    def name(self) -> str:
        """The path as a person gave it, safe to print."""
        return spell.plain(str(self.path))

    def exists(self) -> bool:
        """True if the file is there."""
        return self.path.exists()

    @contextmanager
    def read(self, *, threads: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection with the present schema. One thread by default: float sums then repeat to the bit."""
        with self._gate():
            if not self.exists():
                raise StoreError(
                    f"there is no store at {self.name}. Make one with: qpa import FILE --checks FILE, or try: qpa demo"
                )
            con = self._connect(read_only=True, threads=threads)
            try:
                if self._version(con) < len(migrations()):
                    con.close()
                    with self.write():
                        pass
                    con = self._connect(read_only=True, threads=threads)
                with self._explained():
                    yield con
            finally:
                con.close()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writing connection inside one transaction, with the present schema."""
        with self._gate():
            fresh = not self.exists()
            con = self._connect(read_only=False, threads=2)
            done = False
            try:
                with self._explained():
                    con.execute("begin transaction")
                    self._migrate(con)
                    yield con
                    con.execute("commit")
                    done = True
            finally:
                if not done:
                    _quietly_roll_back(con)
                con.close()
                if fresh and not done:
                    for made in (self.path, Path(f"{self.path}.wal")):
                        made.unlink(missing_ok=True)

    def compact(self) -> tuple[int, int]:
        """Writes the file anew without the room that deleted rows took; its size in bytes before and after.

        A file that others write meanwhile stays as it is: the next time will do.
        """
        fresh = self.path.with_name(f"{self.path.name}.compact")
        with self._gate():
            con = self._connect(read_only=False, threads=2)
            try:
                with self._explained():
                    fresh.unlink(missing_ok=True)
                    con.execute("checkpoint")
                    seen = self.path.stat()
                    old = str(con.execute("select current_database()").fetchall()[0][0]).replace('"', '""')
                    place = str(fresh).replace("'", "''")
                    con.execute(f"attach '{place}' as fresh")
                    con.execute(f'copy from database "{old}" to fresh')
                    con.execute("detach fresh")
                con.close()
                if fresh.stat().st_size < seen.st_size:
                    _exchange(self.path, fresh, seen)
                return seen.st_size, self.path.stat().st_size
            finally:
                con.close()
                fresh.unlink(missing_ok=True)

    @contextmanager
    def _gate(self) -> Iterator[None]:
        with _gates[str(self.path.resolve())]:
            yield

    def _refuse_other_files(self) -> None:
        """DuckDB would take a CSV or SQLite file for something to query; we want our own kind only."""
        try:
            with self.path.open("rb") as file:
                head = file.read(12)
        except OSError as error:
            raise StoreError(f"{self.name} cannot be opened: {error.strerror or error}. Check the path.") from None
        if not head:
            raise StoreError(f"{self.name} is empty (0 bytes). Remove it, or name another store with --db.")
        if head[8:12] != b"DUCK":
            raise StoreError(f"{self.name} is not a qpanalytics store (no DuckDB file). Name another with --db.")

    def _connect(self, *, read_only: bool, threads: int) -> duckdb.DuckDBPyConnection:
        if self.exists():
            self._refuse_other_files()
        until = time.monotonic() + self.patience_s
        pause_s = 0.01
        while True:
            try:
                con = duckdb.connect(str(self.path), read_only=read_only, config={**_CONFIG, "threads": threads})
                break
            except duckdb.Error as error:
                held = _HOLDER.search(str(error))
                if held is None and "Conflicting lock" not in str(error):
                    raise self._unopened(error, read_only) from None
                if time.monotonic() + pause_s > until:
                    raise self._busy(held) from None
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.6, 1.0)
        con.execute("set timezone = 'UTC'")
        return con

    def _busy(self, held: re.Match[str] | None) -> StoreBusy:
        who = f"process {held['pid']} ({spell.plain(Path(held['what']).name)})" if held else "another process"
        return StoreBusy(
            f"{self.name} is held by {who}; gave up after {spell.duration(self.patience_s)}. "
            "Close that program or notebook connection and try again, or work on a copy of the file."
        )

    def _unopened(self, error: duckdb.Error, read_only: bool) -> StoreError:
        text = spell.plain(str(error))
        if "No space left" in text or "space" in text.lower():
            return StoreError(f"the disk of {self.name} is full; nothing was changed. Make room and try again.")
        if "different configuration" in text or "already attached" in text:
            return StoreError(f"{self.name} is open in this process with another DuckDB connection; close that first.")
        if isinstance(error, (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)) or (
            "truncated" in text or "Could not read" in text or "could not be read" in text or "checksum" in text
        ):
            return StoreError(f"{self.name} is damaged or cut short ({text[:120]}). Restore it, or import again.")
        if "newer version" in text or "version number" in text:
            return StoreError(f"{self.name} was written by a newer DuckDB. Upgrade: pip install -U duckdb qpanalytics")
        verb = "read" if read_only else "written"
        return StoreError(f"{self.name} cannot be {verb}: {text[:200]}. Check the path and its permissions.")

    def _version(self, con: duckdb.DuckDBPyConnection) -> int:
        """The schema's version; 0 for an empty file. Refuses a newer one and a DuckDB file that is not ours."""
        try:
            names = con.execute(
                "select schema_name || '.' || table_name from duckdb_tables() where not internal and not temporary"
            ).fetchall()
            ours = ("store.meta",) in names
            # fetched whole: a half-read result would stand in the way of what the connection does next
            rows = con.execute("select max(version) from store.meta").fetchall() if ours else []
        except duckdb.Error as error:
            raise self._unopened(error, read_only=True) from None
        if names and not ours:
            raise StoreError(
                f"{self.name} is a DuckDB file of something else, not a qpanalytics store. Name another with --db."
            )
        version = int(rows[0][0] or 0) if rows else 0
        if version > len(migrations()):
            raise StoreError(
                f"{self.name} has schema {version}, newer than this program's {len(migrations())}. "
                "Upgrade: pip install -U qpanalytics"
            )
        return version

    def _migrate(self, con: duckdb.DuckDBPyConnection) -> None:
        version = self._version(con)
        for number, text in enumerate(migrations()[version:], start=version + 1):
            con.execute(text)
            con.execute("update store.meta set version = ?", [number])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what DuckDB says of a disk or a damaged block into one line; programming errors stay as they are."""
        try:
            yield
        except (duckdb.InterruptException, RuntimeError) as error:
            if "interrupted" not in str(error).lower():
                raise
            raise KeyboardInterrupt from None
        except duckdb.TransactionException as error:
            if "space" not in str(error).lower():
                raise
            raise self._unopened(error, read_only=False) from None
        except (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException) as error:
            raise self._unopened(error, read_only=False) from None
        except duckdb.OutOfMemoryException as error:
            raise StoreError(
                f"not enough memory for {self.name}: {spell.plain(str(error))[:160]}. Nothing was changed."
            ) from None


class MemoryStore(Store):
    """A store without a file, for frames that people bring along. It lives as long as the object."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self._lock = threading.RLock()
        self._con = duckdb.connect(":memory:", config={**_CONFIG})
        with self.write():
            pass

    def exists(self) -> bool:
        """Always there."""
        return True

    @contextmanager
    def _gate(self) -> Iterator[None]:
        with self._lock:
            yield

    def _connect(self, *, read_only: bool, threads: int) -> duckdb.DuckDBPyConnection:
        """A cursor: it has temporary tables of its own, as a connection to a file would."""
        con = self._con.cursor()
        con.execute("set timezone = 'UTC'")
        con.execute(f"set threads = {int(threads)}")
        return con


def _exchange(path: Path, fresh: Path, seen: os.stat_result) -> None:
    """Puts `fresh` in the place of `path` if nobody writes that, or has written it since it looked as `seen`."""
    with path.open("r+b") as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the lock that DuckDB takes
        except ImportError:  # no such locks here, and an open file cannot be replaced
            pass
        except OSError:
            return
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) == (seen.st_size, seen.st_mtime_ns):
            fresh.replace(path)


def _quietly_roll_back(con: duckdb.DuckDBPyConnection) -> None:
    """Rolls back if there is still something to roll back; the first error is the one to tell."""
    try:
        con.execute("rollback")
    except duckdb.Error:
        return
