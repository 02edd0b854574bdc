"""One look at a file before anything is read from it: what it is, whether it is whole, and its digest."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from qpanalytics.errors import InputError
from qpanalytics.spell import plain

BOM = b"\xef\xbb\xbf"
CHUNK = 1 << 20
LONGEST_LINE = 2_000_000  # bytes; DuckDB's own limit, a longer line is a bad row
HOPELESS_LINE = 16_000_000  # half of what DuckDB holds at once; it can lose longer ones without a word

_FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
            ".parquet": "parquet", ".pq": "parquet"}  # fmt: skip
_PACKED = {b"PK\x03\x04": "a ZIP archive", b"\x28\xb5\x2f\xfd": "packed with zstd", b"BZh": "packed with bzip2",
           b"\xfd7zXZ": "packed with xz", b"7z\xbc\xaf": "a 7-Zip archive"}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What one look at a file found."""

    path: str  # as the user gave it
    format: str  # csv, json (one value over many lines), jsonl (one value a line) or parquet
    packed: bool  # gzip
    digest: str  # SHA-256 of the bytes as they lie on disk, hexadecimal
    head: bytes  # the first megabyte, unpacked
    tail: bytes  # the last kilobyte, unpacked
    quotes: bool  # a double quote somewhere in it
    uniform: bool  # all line ends are alike, also those inside quotes
    longest_line: int  # bytes; exact from 1 MB on

    @property
    def name(self) -> str:
        """The path on one safe line, for messages."""
        return plain(self.path)

    @property
    def literal(self) -> str:
        """The path for DuckDB, which takes every path for a pattern: `a[1].csv` would read `a1.csv` instead."""
        return "".join(f"[{char}]" if char in "[*?" else char for char in os.path.abspath(self.path))

    def open(self) -> BinaryIO:
        """The unpacked bytes."""
        return cast(BinaryIO, gzip.open(self.path)) if self.packed else Path(self.path).open("rb")


# Finding the files ----------------------------------------------------------------------------------------------------


def expand(paths: str | Path | Sequence[str | Path]) -> list[str]:
    """The files meant by paths and glob patterns (`**` included), each once, in the order given; a pattern's by name.

    A path that exists is that file even if it looks like a pattern.
    """
    files: dict[str, str] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        text = os.fspath(path)
        found = [text]
        if not os.path.lexists(text):
            if not glob.has_magic(text):
                raise InputError(f"{plain(text) or 'the empty path'}: there is no such file")
            found = sorted(match for match in glob.glob(text, recursive=True) if not Path(match).is_dir())
            if not found:
                raise InputError(f"{plain(text)}: no file matches this pattern")
        for match in found:
            files.setdefault(os.path.realpath(match), match)
    return list(files.values())


# Looking --------------------------------------------------------------------------------------------------------------


def look(path: str) -> Look:
    """Digest and format of the file; InputError for what is no file of rows at all, or not whole."""
    name = plain(path)
    try:
        path.encode()
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name}: is a directory; name its files, for example {name.rstrip('/')}/*.csv")
        if not stat.S_ISREG(mode):
            raise InputError(f"{name}: is not a regular file; write the rows to one first")
        with Path(path).open("rb") as file:
            magic = file.read(8)
        if os.sep == "/" and "\\" in os.path.abspath(path) and re.search(r"[*?\[]", os.path.abspath(path)):
            raise InputError(f"{name}: DuckDB finds no path with a backslash and one of * ? [ in it; rename it")
        packed = magic.startswith(b"\x1f\x8b")
        _refuse_by_start(name, path, magic, packed)
        return _read(path, packed)
    except UnicodeEncodeError:
        raise InputError(f"{name}: its name is not UTF-8; rename it") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name}: the gzip file is cut off or damaged; fetch it again") from None
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


def _refuse_by_start(name: str, path: str, magic: bytes, packed: bool) -> None:
    if not magic:
        raise InputError(f"{name}: is empty (0 bytes)")
    if path.lower().endswith(".gz") and not packed:
        raise InputError(f"{name}: is named .gz but is not a gzip file; rename it or fetch it again")
    for start, what in _PACKED.items():
        if magic.startswith(start):
            raise InputError(f"{name}: is {what}; unpack it, or pack it with gzip")
    if magic[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{name}: is UTF-16; save it as UTF-8")


def _read(path: str, packed: bool) -> Look:
    name = plain(path)
    with Path(path).open("rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with gzip.open(path) if packed else Path(path).open("rb") as file:
        head = tail = chunk = file.read(CHUNK)
        parquet = head.startswith(b"PAR1")
        lines = _Lines(b"\n" if b"\n" in head else b"\r")
        while chunk and not parquet:
            lines.add(chunk)
            tail = tail[-1000:] + chunk[-1000:] if chunk is not head else chunk
            chunk = file.read(CHUNK)
    after = Path(path).stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{name}: changed while it was read; import it when it is complete")
    format_ = _format(path, head)
    if parquet and packed:
        raise InputError(f"{name}: is a Parquet file inside gzip; unpack it (Parquet packs its columns itself)")
    if format_ == "parquet" and not parquet:
        raise InputError(f"{name}: is named like a Parquet file but is not one")
    if len(head) < CHUNK and not head.removeprefix(BOM).strip():
        raise InputError(f"{name}: is empty")
    if format_ in ("csv", "jsonl") and lines.longest > HOPELESS_LINE:
        raise InputError(f"{name}: has a line of {lines.longest / 1e6:.0f} MB; cut it to 2 MB")
    return Look(path, format_, packed, digest, head, tail[-1000:], lines.quotes, lines.uniform, lines.longest)


def _format(path: str, head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    stem, suffix = os.path.splitext(path.lower())
    found = _FORMATS.get(os.path.splitext(stem)[1] if suffix == ".gz" else suffix)
    start = head.removeprefix(BOM).lstrip()
    if found == "json" or (found is None and start[:1] in (b"{", b"[")):
        first = start.split(b"\n", 1)[0].rstrip()
        # A list, or an object over several lines; anything else is one object a line.
        return "json" if start.startswith(b"[") or first.endswith((b"{", b",", b"[")) else "jsonl"
    return found or "csv"


class _Lines:
    """What the lines of a stream are like, fed by the chunk."""

    def __init__(self, ending: bytes) -> None:
        self.quotes = False
        self.longest = 0
        self._ending = ending
        self._line = self._lf = self._cr = self._both = 0
        self._after_cr = False

    def add(self, chunk: bytes) -> None:
        first = chunk.find(self._ending)
        self._line += first if first >= 0 else len(chunk)
        self.longest = max(self.longest, self._line)
        if first >= 0:
            self._line = len(chunk) - chunk.rfind(self._ending) - 1
        self.quotes = self.quotes or b'"' in chunk
        if b"\r" in chunk or self._after_cr:
            self._lf += chunk.count(b"\n")
            self._cr += chunk.count(b"\r")
            self._both += chunk.count(b"\r\n") + (self._after_cr and chunk.startswith(b"\n"))
        else:
            self._lf += b"\n" in chunk  # one stands for all
        self._after_cr = chunk.endswith(b"\r")

    @property
    def uniform(self) -> bool:
        return self._cr == 0 or self._cr == self._both == self._lf or self._lf == 0
