"""Ping files that grow, as a live source: a look reads the whole lines that were appended since the last one.

| what happens to the file | what a look does |
|---|---|
| a last line without its end | leaves it for the next look |
| a quote that is not closed at the end | waits for one look, then counts the line as not readable and goes on behind it |
| it was renamed, and a pattern still finds it | goes on where it was, under the new name |
| another file took its place, or it was cut or written anew | reads that from its first line |
| packed, Parquet, a JSON list | refuses it in a note: such files do not grow; take them with `qpa import` |

Rows are CSV (comma, semicolon or tab) with a header, or JSON lines. Values mean what they mean in `qpa import`. No file,
or none yet, is no error: a look that could list the folder vouches that there was nothing.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.base import Appended, Cursor, Ping
from qpanalytics.sources.tail_values import BadRow, json_texts, ping, places
from qpanalytics.spell import plain, quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

#: Bytes read at a time; a longer line is one that cannot be read.
MOUTHFUL = 4 * 2**20
#: Lines that one record may reach over, line ends inside quotes.
MOST_LINES = 50
#: A file is told from another of its name by so many of its first bytes.
HEAD = 256
#: What a writer may take from stamping a ping to having it in the file.
SETTLED = timedelta(seconds=1)
_NOT_GROWING = (".gz", ".parquet", ".pq", ".json", ".zip", ".zst", ".bz2", ".xz")


class Tail:
    """The files of one `[[source]]` of kind `files`."""

    def __init__(self, name: str, patterns: tuple[str, ...], folder: Path, clock: Callable[[], datetime]) -> None:
        self.name = name
        self._patterns = patterns
        self._folder = folder
        self._clock = clock
        self.horizon: datetime | None = None

    def read(self, cursors: Mapping[str, Cursor]) -> Iterator[Appended]:
        """What was appended to each file since `cursors` (by path), in parts that memory holds.

        SourceError where a file or its folder cannot be read at all.
        """
        known = {(c.get("device"), c.get("inode")): c for c in cursors.values()}
        for path in self.files():
            try:
                with path.open("rb") as file:
                    found = os.fstat(file.fileno())
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    cursor = cursors.get(str(path), {})
                    if (cursor.get("device"), cursor.get("inode")) != (found.st_dev, found.st_ino):
                        cursor = known.get((found.st_dev, found.st_ino), {})
                    yield from _appended(file, path, found, cursor, self.horizon)
            except FileNotFoundError:
                continue  # renamed since it was listed; the next look finds it under its new name
            except OSError as error:
                raise SourceError(
                    f"{plain(self.name)}: {plain(str(path))} cannot be read: {error.strerror or error}. Check its permissions."
                ) from None

    def settled_at(self, looked_at: datetime) -> datetime:
        """Up to when a look that began at `looked_at` proves that nothing is missing."""
        return looked_at - SETTLED

    def close(self) -> None:
        """Nothing is held between looks."""

    def files(self) -> list[Path]:
        """The files that are there now. SourceError where a folder is not."""
        found: dict[Path, None] = {}
        for pattern in self._patterns:
            whole = str(self._folder / pattern)
            literal = os.path.lexists(whole)
            folder = Path(whole).parent
            while not literal and glob.has_magic(str(folder)):
                folder = folder.parent
            if not os.access(folder, os.R_OK | os.X_OK):
                raise SourceError(f"{plain(self.name)}: the folder {plain(str(folder))} is not there or cannot be read.")
            matches = [whole] if literal else sorted(glob.glob(whole, recursive=True))
            found |= dict.fromkeys(Path(match) for match in matches)
        return list(found)


def from_settings(table: SourceTable, folder: Path, clock: Callable[[], datetime]) -> Tail:
    """The source of a `[[source]]` table; relative paths are meant from `folder`. ConfigError where it names no file."""
    if not table.files:
        raise ConfigError(f'source {quoted(table.name)}: it names no files; add files = ["pings/*.csv"]')
    return Tail(table.name, table.files, folder, clock)


# One file -------------------------------------------------------------------------------------------------------------


@dataclass
class _Part:
    """What one mouthful held: rows, bad rows with the first one's reason, and how many bytes were used up."""

    rows: list[tuple[str, Ping]]
    bad: int = 0
    why: str = ""
    used: int = 0
    #: It ended before a row that lies behind the horizon.
    beyond: bool = False

    def refuse(self, field: str, text: str) -> None:
        """Counts a row that cannot be taken."""
        self.bad += 1
        what = {"json": "is not valid JSON", "object": "is not a JSON object", "line": "is no row of the file's columns"}
        self.why = self.why or f"{quoted(text, 80)} {what.get(field, f'has a {field} that makes no sense')}"


def _appended(
    file: BinaryIO, path: Path, found: os.stat_result, cursor: Cursor, horizon: datetime | None
) -> Iterator[Appended]:
    where = {"device": found.st_dev, "inode": found.st_ino}
    if path.name.lower().endswith(_NOT_GROWING):
        if cursor.get("size") != found.st_size:
            why = "is a kind of file that does not grow; take it with qpa import"
            yield Appended(str(path), (), {**where, "size": found.st_size}, 0, why)
        return
    offset = _place(file, found, cursor)
    waited = bool(cursor.get("waited")) and offset == cursor.get("offset")
    if offset >= found.st_size:
        return
    file.seek(0)
    first = file.readline(MOUTHFUL)
    lines = first.lstrip(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    if not first.endswith(b"\n"):
        return  # not even its first line is whole
    header, start = (None, 0) if lines else (_header(first), len(first))
    if header is not None and not {"check", "received_at"} <= header.places.keys():
        if not offset:
            why = "its first line names no columns check and received_at"
            yield Appended(str(path), (), {**where, **_seen(file, start), "offset": start}, 1, why)
        return
    yield from _mouthfuls(file, path, where, header, max(offset, start), waited, horizon)


def _mouthfuls(
    file: BinaryIO,
    path: Path,
    where: Mapping[str, Any],
    header: _Header | None,
    offset: int,
    waited: bool,
    horizon: datetime | None,
) -> Iterator[Appended]:
    """The whole lines from `offset` on; `waited` says that an open quote stood there at the last look, too."""
    while True:
        file.seek(offset)
        data = file.read(MOUTHFUL)
        last = len(data) < MOUTHFUL
        whole = data.rfind(b"\n") + 1
        if not whole and last:
            return
        data = data[: whole or len(data)]  # a line that no end is in sight of is taken as it is, and refused
        part = _json_rows(data, horizon) if header is None else _csv_rows(data, header, horizon, give_up=waited)
        if not part.used and not last and not part.beyond and header is not None:
            part = _csv_rows(data, header, horizon, give_up=True)
        offset += part.used
        open_ = part.used < len(data) and not part.beyond
        cursor = {**where, **_seen(file, offset), "offset": offset, "waited": int(open_ and last)}
        yield Appended(str(path), part.rows, cursor, part.bad, part.why)
        if last or part.beyond:
            return
        waited = False


def _place(file: BinaryIO, found: os.stat_result, cursor: Cursor) -> int:
    """Where to go on: behind what was read of this very file, else at its beginning."""
    offset = cursor.get("offset")
    if not isinstance(offset, int) or not 0 <= offset <= found.st_size:
        return 0
    return offset if _seen(file, offset)["head"] == cursor.get("head") else 0


def _seen(file: BinaryIO, offset: int) -> dict[str, Any]:
    file.seek(0)
    return {"head": hashlib.sha256(file.read(min(offset, HEAD))).hexdigest()[:16]}


@dataclass(frozen=True)
class _Header:
    delimiter: str
    columns: int
    places: Mapping[str, int]


def _header(line: bytes) -> _Header:
    """The columns, split at whichever delimiter gives most of ours."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    best: _Header | None = None
    for delimiter in ",;\t":
        names = next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
        found = _Header(delimiter, len(names), {field: names.index(name) for field, name in places(names).items()})
        if best is None or len(found.places) > len(best.places):
            best = found
    assert best is not None
    return best


def _json_rows(data: bytes, horizon: datetime | None) -> _Part:
    part = _Part([])
    for line in data.splitlines(keepends=True):
        try:
            row = ping(json_texts(line.decode("utf-8").removeprefix("\ufeff"))) if line.strip() else None
            if row is not None and horizon is not None and row[1].received_at > horizon:
                part.beyond = True
                return part
            part.rows += [] if row is None else [row]
        except UnicodeDecodeError:
            part.refuse("json", line[:200].decode("utf-8", "replace"))
        except BadRow as error:
            part.refuse(str(error), line[:200].decode("utf-8", "replace"))
        part.used += len(line)
    return part


def _csv_rows(data: bytes, header: _Header, horizon: datetime | None, *, give_up: bool) -> _Part:
    """The rows of whole lines. A record whose quotes are not closed at the end is left, unless it is to be given up."""
    part = _Part([])
    lines = [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")]
    at = 0
    while at < len(lines):
        taken = 1
        values = _values(lines[at], header)
        while values is None and taken < MOST_LINES and at + taken < len(lines):
            taken += 1
            values = _values(b"".join(lines[at : at + taken]), header)
        if values is None:
            if not give_up and taken < MOST_LINES:
                break
            taken, values = 1, []  # the quote is a stray one: its line is lost, those behind it are not
        text = lines[at]
        before = part.used
        part.used += sum(map(len, lines[at : at + taken]))
        at += taken
        if not text.strip():
            continue
        if len(values) < header.columns or any(values[header.columns :]):
            part.refuse("line", text[:200].decode("utf-8", "replace"))
            continue
        try:
            row = ping({field: values[place] for field, place in header.places.items()})
        except BadRow as error:
            part.refuse(str(error), text[:200].decode("utf-8", "replace"))
            continue
        if horizon is not None and row[1].received_at > horizon:
            part.used, part.beyond = before, True
            return part
        part.rows.append(row)
    part.used = min(part.used, len(data))
    return part


def _values(record: bytes, header: _Header) -> list[str] | None:
    """The values of a record; None if a quote in it is still open. What is no text or no CSV has no values."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        return []
    if '"' not in text:
        return text.rstrip("\r\n").split(header.delimiter)
    try:
        found = list(csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter, strict=True))
    except csv.Error as error:
        return None if "unexpected end" in str(error) else []
    return found[0] if len(found) == 1 else []
