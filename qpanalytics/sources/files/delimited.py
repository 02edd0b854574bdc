"""CSV with comma, semicolon or tab, read by DuckDB where that can be trusted, else by Python.

What was measured with DuckDB 2.0 on files that are not quite CSV: its reader cuts a file into pieces and reads them at
once, and a line end inside quotes at such a cut makes it return rows that nobody wrote; read in one piece, a quote that
is never closed takes the rest of the file with it without a word; and it reads a space before a quote, or two kinds of
line ends, one way here and another there. So each file with quotes is surveyed first. If its quotes are beyond doubt,
DuckDB reads it in one piece; if not, Python's csv module reads it, which is slower and tells what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

import duckdb
import numpy as np

from qpanalytics.errors import InputError
from qpanalytics.sources.files.columns import match, raw
from qpanalytics.sources.files.look import BOM, CHUNK, HOPELESS_LINE, LONGEST_LINE, Look
from qpanalytics.spell import number

QUOTES = "has a quote that is not closed, or text after a closing quote"
REJECTS, SCANS, RECORDS = "qpa_file_rejects", "qpa_file_scans", "qpa_file_records"
BATCH = 4_000_000  # characters

Row = tuple[int, list[str]]  # the line it begins on, its values


@dataclass(frozen=True)
class Refused:
    """A line that is no row."""

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class Reading:
    """How a file is read: the SQL for the raw columns that `pings.sql` reads, and what is known beside."""

    sql: str
    params: dict[str, object]
    ignored: list[str]  # columns that mean nothing to us
    refused: list[Refused] = field(default_factory=list)  # by Python; what DuckDB refuses is in REJECTS
    header: Header | None = None  # CSV that DuckDB reads
    faults: Mapping[str, str] = field(default_factory=dict)  # of rows as a whole, by the word in `fault`: what is wrong
    shown: Callable[[str], str] = str  # takes out of a bad row's text what nobody may see
    note: str = ""  # what was left out because it is no ping, for people
    keyed: bool = False  # ids that are secrets became keys


@dataclass(frozen=True)
class Header:
    """The line that names the columns."""

    columns: list[str]
    delimiter: str
    blank: int  # empty lines before it
    ending: str  # of the line: LF, CR LF or CR; empty where the file ends there


def reading(con: duckdb.DuckDBPyConnection, found: Look, head: Header, mapping: Mapping[str, str]) -> Reading:
    """How to read the file; one that DuckDB cannot be trusted with is put into a temporary table on the way."""
    places, ignored = match(found.name, head.columns, mapping)
    columns = [f"c{at}" for at in range(len(head.columns))]  # by number: names of the file stay out of the SQL
    texts = {name: columns[at] for name, at in places.items()}
    if found.uniform if not found.quotes else sound(found, head):
        struct = ", ".join(f"'{column}': 'varchar'" for column in columns)
        options = f"header = true, skip = {head.blank}, delim = e'\\x{ord(head.delimiter):02x}', quote = '\"', escape = '\"'"
        source = scan(found, struct, options, head.ending, one_piece=found.quotes)
        sql = f"select {raw(texts)} from {source}"  # noqa: S608 - numbered columns and our own words
        return Reading(sql, {"path": found.literal}, ignored, header=head)
    refused: list[Refused] = []
    put(con, columns, _careful(found, head, refused))
    texts = {name: f"nullif({column}, '')" for name, column in texts.items()}
    sql = f"select {raw(texts, row_no='line')} from {RECORDS}"  # noqa: S608 - numbered columns and our own words
    return Reading(sql, {}, ignored, refused)


def scan(found: Look, columns: str, options: str, ending: str, *, one_piece: bool) -> str:
    """A call of read_csv that keeps what it cannot read in the temporary table REJECTS."""
    # DuckDB left to itself takes the first line end it sees, which may stand inside quotes. Spelled with backslashes.
    new_line = f", new_line = '{ending.encode('unicode_escape').decode()}'" if ending else ""
    # Lines that are longer than a piece can vanish, too.
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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    with field_limit(len(text)):
        for columns in reader:
            if columns:
                break
            blank += 1
    lines = list(islice(io.StringIO(text, newline=""), reader.line_num))
    if len(found.head) == CHUNK and sum(map(len, lines)) == len(text):
        raise InputError(f"{found.name} line {blank + 1}: the names of the columns do not end within 1 MB")
    return Header(columns, delimiter, blank, ending_of(lines[-1]))


def ending_of(line: str) -> str:
    """The characters that end the line: LF, CR LF, CR, or none."""
    return line[len(line.rstrip("\r\n")) :]


# Trust ----------------------------------------------------------------------------------------------------------------


def sound(found: Look, head: Header, size: int = CHUNK) -> bool:
    """Whether quotes stand only where RFC 4180 has them, all are closed, and lines outside them end alike.

    Quotes are numbered. As long as each odd one stands at the beginning of a value, or directly after another quote (a
    doubled one), and each even one at the end of a value or directly before another, odd ones open and even ones close.
    The file is looked through in chunks of `size` bytes.
    """
    if not head.ending:
        return False
    opens = np.frombuffer((head.delimiter + '\r\n"').encode(), np.uint8)
    last = head.ending.encode()[-1]
    pair = len(head.ending) == 2
    inside = False
    record = 0
    before = b"\n"
    with found.open() as file:
        chunk = file.read(max(size, 3)).removeprefix(BOM)
        while chunk:
            # One byte more on the left; the last byte waits for the next chunk, so that each has both its neighbours.
            following = file.read(size)
            data = np.frombuffer(before + chunk + (following[:1] or b"\n"), np.uint8)
            middle = data[1:-1]
            quotes = np.flatnonzero(middle == 0x22)
            odd, even = quotes[inside::2], quotes[1 - inside :: 2]
            if not (np.isin(data[odd], opens).all() and np.isin(data[even + 2], opens).all()):
                return False
            ends = np.flatnonzero((middle == 0x0A) | (middle == 0x0D))
            ends = ends[(np.searchsorted(quotes, ends) + inside) % 2 == 0]
            if pair:  # CR LF: each CR before an LF and each LF after a CR
                alike = np.where(middle[ends] == 0x0A, data[ends] == 0x0D, data[ends + 2] == 0x0A).all()
            else:
                alike = (middle[ends] == last).all()
            if not alike:
                return False
            record = record + len(chunk) if not len(ends) else len(chunk) - int(ends[-1])
            if record > HOPELESS_LINE:
                return False
            inside = (len(quotes) + inside) % 2 == 1
            before, chunk = chunk[-1:], following
    return not inside


# Reading with care ----------------------------------------------------------------------------------------------------


def _careful(found: Look, head: Header, refused: list[Refused]) -> Iterator[Row]:
    """The good records with their lines, by Python's csv module; the others go to `refused`."""
    width = len(head.columns)
    spaced = f'{head.delimiter} "'.encode() in found.head  # "a", "b": here a space is not part of the value
    # A lone CR ends lines only where all do; elsewhere the module refuses the line, which may be one row or two.
    split_at = "" if head.ending == "\r" else "\n"
    with found.open() as binary, _text(binary, newline=split_at) as text:
        text.read(1 if found.head.startswith(BOM) else 0)
        kept = _Kept(text)
        reader = csv.reader(kept, delimiter=head.delimiter, strict=True, skipinitialspace=spaced)
        named = False
        with field_limit(LONGEST_LINE):  # so a quote that is not closed takes no more than that with it
            while True:
                line = kept.next_record()
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    if not named:
                        raise InputError(f"{found.name} line {line}: the names of the columns: {_why(str(error))}") from None
                    taken = kept.line - line + 1
                    why = _why(str(error)) + (f"; {number(taken)} lines are left out with it" if taken > 1 else "")
                    refused.append(Refused(line, _shown(kept.text), why))
                    continue
                if not values or not named:
                    named = named or bool(values)
                elif not kept.utf8:
                    refused.append(Refused(line, _shown(kept.text), "is not UTF-8"))
                elif len(values) == width:
                    yield line, values
                elif len(values) < width or any(values[width:]):
                    refused.append(Refused(line, _shown(kept.text), count(len(values), width)))
                else:  # a delimiter or two too many at the end, as spreadsheets leave them
                    yield line, values[:width]


def _why(error: str) -> str:
    if "limit" in error:
        return "has a value longer than 2 MB, or a quote that is not closed"
    if "new-line" in error:
        return "has a carriage return outside quotes"
    return QUOTES


def count(values: int, columns: int) -> str:
    """What is wrong with a row that has too few or too many values."""
    if values < columns:
        return f"has only {values} of the {columns} values that the header names"
    return f"has more values than the {columns} columns of the header; put quotes around a value with the delimiter"


def _text(binary: BinaryIO, newline: str) -> io.TextIOWrapper:
    """A file as text; bytes that are not UTF-8 become lone surrogates."""
    return io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline=newline)


def _shown(text: str) -> str:
    return re.sub("[\udc80-\udcff]", "\ufffd", text.strip("\r\n"))


class _Kept:
    """The lines of a text; what is known of those of the present record."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.line = 0
        self.text = ""  # its beginning
        self.utf8 = True

    def next_record(self) -> int:
        """The line on which the record begins that is read next."""
        self.text, self.utf8 = "", True
        return self.line + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.line += 1
        if len(self.text) < 200:
            self.text += line[:200]
        if not line.isascii() and re.search("[\udc80-\udcff]", line):
            self.utf8 = False
        return line


def put(con: duckdb.DuckDBPyConnection, columns: list[str], rows: Iterator[Row]) -> None:
    """Put rows into the temporary table RECORDS: their line, then their values as text."""
    import pyarrow as pa

    con.execute(f"create or replace temp table {RECORDS} (line bigint, {', '.join(f'{name} varchar' for name in columns)})")
    for batch in _batches(rows):
        lines = pa.array([line for line, _ in batch], pa.int64())
        texts = [pa.array(values, pa.string()) for values in zip(*(values for _, values in batch), strict=True)]
        # found by its name in here; what is registered instead is held until the transaction ends
        qpa_file_batch = pa.table([lines, *texts], names=["line", *columns])  # noqa: F841
        con.execute(f"insert into {RECORDS} from qpa_file_batch")


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Some thousand rows at a time, fewer where they are long."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += 100 + sum(map(len, row[1]))
        if size > BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# Saying where ---------------------------------------------------------------------------------------------------------


def lines_of(found: Look, head: Header) -> Iterator[tuple[int, bool]]:
    """Of each record of a sound file the line it begins on and whether it is empty; slow, and only for its bad rows."""
    with found.open() as binary, _text(binary, newline="") as text:
        reader = csv.reader(text, delimiter=head.delimiter)
        line = 1
        with field_limit(HOPELESS_LINE * 2):
            for values in reader:
                yield line, not values
                line = reader.line_num + 1


@contextmanager
def field_limit(size: int) -> Iterator[None]:
    """Let Python's csv module read values of up to `size` characters; the limit is the process's, so it is put back."""
    before = csv.field_size_limit(size)
    try:
        yield
    finally:
        csv.field_size_limit(before)
