"""Text that DuckDB's CSV reader takes: CSV with comma, semicolon or tab, and plain lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from qpanalytics.errors import InputError
from qpanalytics.sources.files.columns import match, raw
from qpanalytics.sources.files.look import BOM, CHUNK, LONGEST_LINE, LONGEST_RECORD, Look

REJECTS, SCANS = "qpa_file_rejects", "qpa_file_scans"

_ENDINGS = {"\n": "LF", "\r\n": "CR LF", "\r": "CR"}


@dataclass(frozen=True)
class Header:
    """The line that names the columns."""

    columns: list[str]
    delimiter: str
    blank: int  # empty lines before it
    ending: str  # of the line: LF, CR LF or CR; empty where the file ends there


def select(found: Look, header: Header, mapping: Mapping[str, str]) -> tuple[str, list[str]]:
    """SQL for the raw columns ($path is the path), and the names of the columns that mean nothing to us."""
    places, ignored = match(found.name, header.columns, mapping)
    if found.longest_record > LONGEST_RECORD:  # or quotes inside unquoted values: here the long way decides
        for record in records(found, header.delimiter):
            if record.size > LONGEST_RECORD:
                raise InputError(
                    f"{found.name} line {record.line}: has a quote that is not closed within "
                    f"{record.size / 1e6:.0f} MB; close it, or cut the text to 2 MB"
                )
    columns = ", ".join(f"'c{at}': 'varchar'" for at in range(len(header.columns)))
    # DuckDB left to itself takes the first line end it sees, which may stand inside a quoted name.
    options = (
        f"header = true, skip = {header.blank}, delim = e'\\x{ord(header.delimiter):02x}', quote = '\"', escape = '\"'"
    )
    source = scan(found, columns, options, header.ending, one_piece=found.quotes)
    texts = {name: f"c{at}" for name, at in places.items()}
    return f"select {raw(texts)} from {source}", ignored  # noqa: S608 - numbered columns and our own words


def scan(found: Look, columns: str, options: str, ending: str, *, one_piece: bool) -> str:
    """A call of read_csv that keeps what it cannot read in the temporary table REJECTS."""
    if found.longest_line > LONGEST_RECORD:
        raise InputError(f"{found.name}: has a line of {found.longest_line / 1e6:.0f} MB; cut it to 2 MB")
    # This option takes a line end spelled with backslashes.
    new_line = f", new_line = '{ending.encode('unicode_escape').decode()}'" if ending else ""
    pieces = "false" if one_piece or found.longest_line > LONGEST_LINE // 2 else "true"
    return (
        f"read_csv($path, columns = {{{columns}}}, {options}{new_line}, auto_detect = false, parallel = {pieces}, "
        f"hive_partitioning = false, compression = '{'gzip' if found.packed else 'none'}', store_rejects = true, "
        f"rejects_table = '{REJECTS}', rejects_scan = '{SCANS}', rejects_line_size_limit = 2000)"
    )


# The header -----------------------------------------------------------------------------------------------------------


def header(found: Look, names: Iterable[str]) -> Header:
    """The first line that is not empty, split at whichever delimiter gives most of the `names` that can be there."""
    text = found.head.removeprefix(BOM).decode("utf-8", errors="replace")
    wanted = {name.strip().lower() for name in names}

    def meaning(candidate: Header) -> tuple[int, int]:
        return sum(name.strip().lower() in wanted for name in candidate.columns), len(candidate.columns)

    best = max((_split(found, text, delimiter) for delimiter in ",;\t"), key=meaning)
    if any("\ufffd" in name for name in best.columns):
        raise InputError(f"{found.name} line {best.blank + 1}: is not UTF-8; save the file as UTF-8")
    return best


def _split(found: Look, text: str, delimiter: str) -> Header:
    blank = 0
    columns: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with wide_fields():
        for columns in reader:
            if columns:
                break
            blank += 1
    lines = list(islice(io.StringIO(text, newline=""), reader.line_num))
    if len(found.head) == CHUNK and sum(map(len, lines)) == len(text):
        raise InputError(f"{found.name} line {blank + 1}: the names of the columns do not end within 1 MB")
    ending = ending_of(lines[-1])
    if any(ending_of(line) != ending for line in lines[:blank]):
        raise InputError(f"{found.name}: starts with empty lines of different kinds; remove them")
    return Header(columns, delimiter, blank, ending)


def ending_of(line: str) -> str:
    """The characters that end the line: LF, CR LF, CR, or none."""
    return line[len(line.rstrip("\r\n")) :]


# Saying where ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """One record of a CSV file and where it stands."""

    line: int  # of its first character, from 1
    size: int  # bytes
    ending: str
    values: list[str]  # Latin-1, a byte a character; none for an empty line


def records(found: Look, delimiter: str) -> Iterator[Record]:
    """The file's records one by one: slow, and only for saying where in a file with a mistake the mistake stands."""
    last = ""
    size = 0

    def lines(text: Iterable[str]) -> Iterator[str]:
        nonlocal last, size
        for line in text:
            last = line
            size += len(line)
            yield line

    with found.open() as binary, wide_fields(), io.TextIOWrapper(binary, encoding="latin-1", newline="") as text:
        reader = csv.reader(lines(text), delimiter=delimiter)
        start = 1
        for values in reader:
            yield Record(start, size, ending_of(last), values)
            start, size = reader.line_num + 1, 0


def mixed_endings(found: Look, delimiter: str) -> str:
    """Where and how the ends of lines differ, as a sentence without the file; empty if they do not."""
    first = ""
    for record in records(found, delimiter):
        first = first or record.ending
        if record.ending not in (first, ""):
            return (
                f"line {record.line}: ends in {_ENDINGS[record.ending]} where the lines before it end in "
                f"{_ENDINGS[first]}; make them all alike, for example with tr -d '\\r'"
            )
    return ""


@contextmanager
def wide_fields() -> Iterator[None]:
    """Let Python's csv module read values beyond its usual 128 kB; the limit is the process's, so it is put back."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
