"""Pings from files into a temporary table: every value typed, every mistake found before anything is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from qpanalytics.errors import InputError
from qpanalytics.sources.files import accesslogs, delimited, jsons, parquet
from qpanalytics.sources.files.columns import FIELDS, check_mapping, names
from qpanalytics.sources.files.look import Look, expand, look
from qpanalytics.sources.files.mistakes import why, why_rejected
from qpanalytics.spell import number, plain, plural, quoted

#: Kinds of text files that are told by what they hold: whether a file is one, and how to read it.
RECOGNISED: tuple[tuple[Callable[[Look], bool], Callable[[duckdb.DuckDBPyConnection, Look], delimited.Reading]], ...] = (
    (accesslogs.recognises, accesslogs.reading),
)
KEPT = 20  # bad rows told in full; the others are counted
_TYPED = Path(__file__).with_name("pings.sql").read_text(encoding="utf-8")
_ROWS = "qpa_file_rows"
# Not by rowid, which does not begin at 0 inside a transaction. Without an order the rows stand as they were put in.
_NUMBERED = f"select *, row_number() over () as place from {_ROWS}"  # noqa: S608 - our own name
_PLACED = f"(select * replace (coalesce(row_no, place) as row_no) from ({_NUMBERED}))"  # noqa: S608


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be taken. `field` and `value` are empty strings where the row as a whole is what is wrong."""

    file: str
    line: int
    field: str
    value: str
    why: str
    unit: str = "line"  # what `line` counts: line, record (of a JSON list) or row (of Parquet), from 1

    def __str__(self) -> str:
        what = f"{self.field}: {quoted(self.value, 80)}" if self.field else quoted(self.value, 80)
        return f"{plain(self.file)} {self.unit} {self.line}: {what} {self.why}"


@dataclass(frozen=True)
class StagedFile:
    """One file that was read. `rows` are the pings in `staged_pings`, `skipped` the bad rows left out."""

    path: str
    digest: str  # SHA-256 of its bytes
    rows: int
    skipped: int
    note: str = ""  # what was left out because it is no ping, for people
    keyed: bool = False  # its checks are known by keys where their ids are secrets


@dataclass
class Staged:
    """What a call of `read_pings` read; `bad` holds the first bad rows, `skipped` counts them all."""

    files: list[StagedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def skipped(self) -> int:
        return sum(file.skipped for file in self.files)


def read_pings(
    con: duckdb.DuckDBPyConnection,
    paths: str | Path | Sequence[str | Path],
    *,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
) -> Staged:
    """Fill the temporary table `staged_pings` from files: CSV, JSON, Parquet or access logs, also packed with gzip.

    `paths` are files or glob patterns; `mapping` says which of their columns is which of ours. Columns of the table:
    file_no (place in `Staged.files`, from 0), row_no (grows in the order of the file's rows), check_name, received_at,
    kind, n, run_id, duration_s, exit_status, host, body. A row has an exit status only where the file gives one; a
    failing one makes the ping a `fail` where the file has no kind.

    InputError for a file that is not what it should be, and for bad rows unless `skip_bad`; then no table is left.
    """
    mapping = dict(mapping or {})
    check_mapping(mapping)
    staged = Staged()
    ignored: dict[str, None] = {}
    con.execute("""
        create or replace temp table staged_pings (
            file_no integer, row_no bigint, check_name varchar, received_at timestamptz, kind varchar, n bigint,
            run_id varchar, duration_s double, exit_status smallint, host varchar, body varchar
        )
    """)
    try:
        with _in_order(con):
            for path in expand(paths):
                ignored |= dict.fromkeys(_stage(con, look(path), mapping, staged))
        if not skip_bad and staged.skipped:
            raise InputError(_refusal(staged))
    except BaseException:
        # A transaction in which reading failed takes no more commands; rolled back, it leaves no table either.
        with suppress(duckdb.Error):
            con.execute("drop table if exists temp.staged_pings")
        raise
    if ignored:
        what, was = ("is not a column", "was") if len(ignored) == 1 else ("are not columns", "were")
        staged.warnings.insert(0, f"{names(list(ignored))} {what} of ping files and {was} ignored")
    return staged


def _refusal(staged: Staged) -> str:
    more = f" (and {plural(staged.skipped - 1, 'more bad row')})" if staged.skipped > 1 else ""
    them = "them" if more else "it"
    rows = "such rows" if more else "the row"
    return f"{staged.bad[0]}{more}; nothing was imported. Fix {them}, or leave {rows} out with --skip-bad"


@contextmanager
def _in_order(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Keep rows in the order of the file, which DuckDB does unless told not to, also with several threads."""
    (kept,) = con.execute("select current_setting('preserve_insertion_order')::boolean").fetchone() or (True,)
    if not kept:
        con.execute("set preserve_insertion_order = true")
    try:
        yield
    finally:
        if not kept:
            con.cursor().execute("set preserve_insertion_order = false")  # `con` may be in a transaction that failed


# One file -------------------------------------------------------------------------------------------------------------


def _stage(con: duckdb.DuckDBPyConnection, found: Look, mapping: Mapping[str, str], staged: Staged) -> list[str]:
    """Add the file's good rows to `staged_pings` and its account to `staged`; return the columns that were ignored."""
    _clear(con)
    try:
        reading = _reading(con, found, mapping)
        sql = f"create temp table {_ROWS} as with raw as ({reading.sql}) select * from ({_TYPED})"  # noqa: S608
        con.execute(sql, reading.params)
        bad, skipped = _bad_rows(con, found, reading, KEPT - len(staged.bad))
        con.execute(
            f"""
            insert into staged_pings
            select $file_no, row_no, check_name, received_at, kind, n, run_id, duration_s, exit_status, host, body
            from {_PLACED} where bad_field is null
            """,  # noqa: S608 - our own names
            {"file_no": len(staged.files)},
        )
        rows = _one(con, f"select count(*) from {_ROWS} where bad_field is null")  # noqa: S608 - our own name
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
            raise
        raise _unreadable(found, error) from error
    finally:
        with suppress(duckdb.Error):
            _clear(con)
    staged.files.append(StagedFile(found.path, found.digest, rows, skipped, reading.note, reading.keyed))
    staged.bad += bad
    if not rows:
        all_bad = f"none of its {number(skipped)} rows could be taken" if skipped else "has no rows"
        staged.warnings.append(f"{found.name}: {all_bad}")
    return reading.ignored


def _reading(con: duckdb.DuckDBPyConnection, found: Look, mapping: Mapping[str, str]) -> delimited.Reading:
    for recognises, reading in RECOGNISED:
        # Who names columns knows that there are some: JSON lines that a program logs can be pings by another name.
        if found.format in ("csv", "jsonl") and not mapping and recognises(found):
            return reading(con, found)
    if found.format == "csv":
        return delimited.reading(con, found, delimited.header(found, (*FIELDS, *mapping)), mapping)
    if found.format == "parquet":
        return parquet.reading(con, found, mapping)
    return jsons.reading(con, found, mapping)


def _clear(con: duckdb.DuckDBPyConnection) -> None:
    for name in (_ROWS, delimited.RECORDS, delimited.REJECTS, delimited.SCANS):
        con.execute(f"drop table if exists temp.{name}")


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    (count,) = con.execute(sql).fetchone() or (0,)
    return int(count)


def _unreadable(found: Look, error: duckdb.Error) -> InputError:
    """DuckDB's refusal of a whole file, said for a person."""
    if found.format == "json" and (place := jsons.broken(found)):
        return InputError(f"{found.name} {place}")
    if "space left on device" in str(error):
        return InputError(f"{found.name}: the disk that the store keeps its temporary files on is full; make room there")
    cause = str(error).split("\n", 1)[0].replace(found.literal, found.path)
    return InputError(f"{found.name}: cannot be read: {plain(cause)[:200]}")


# Bad rows -------------------------------------------------------------------------------------------------------------


def _bad_rows(con: duckdb.DuckDBPyConnection, found: Look, reading: delimited.Reading, wanted: int) -> tuple[list[BadRow], int]:
    """The first `wanted` bad rows of the file in its order, and how many there are."""
    values = con.execute(
        f"select row_no, bad_field, bad_value from {_PLACED} where bad_field is not null order by row_no limit ?",  # noqa: S608
        [wanted],
    ).fetchall()
    rejects = _rejects(con)
    count = _one(con, f"select count(*) from {_ROWS} where bad_field is not null")  # noqa: S608 - our own name
    count += len(rejects) + len(reading.refused)
    if not count or not wanted:
        return [], count
    accepted = {row: row for row, *_ in values}
    refused = {line: line for line in rejects}
    if reading.header is not None:
        accepted, refused = _places(found, reading.header, accepted, rejects, wanted)
    elif rejects:
        lines = sorted(rejects)
        accepted = {row: _shifted(row, lines) for row in accepted}
    unit = {"json": "record", "parquet": "row"}.get(found.format, "line")
    bad = [BadRow(found.path, line.line, "", reading.shown(line.text), line.why, unit) for line in reading.refused[:wanted]]
    for row, field_, value in values:
        shown = "" if field_ in ("json", "object", *reading.faults) else field_
        wrong = reading.faults.get(field_) or why(field_, value)
        bad.append(BadRow(found.path, accepted[row], shown, reading.shown(value or ""), wrong, unit))
    columns = len(reading.header.columns) if reading.header else 0
    for record, line in refused.items():
        kind, message, text = rejects[record]
        wrong = why_rejected(kind, message, columns, reading.faults.get("line"))
        bad.append(BadRow(found.path, line, "", reading.shown(text.strip("\r\n")), wrong, unit))
    return sorted(bad, key=lambda row: row.line)[:wanted], count


def _rejects(con: duckdb.DuckDBPyConnection) -> dict[int, tuple[str, str, str]]:
    """What DuckDB could not part into columns: number of the record, empty ones counted -> kind, message, text."""
    if not _one(con, f"select count(*) from duckdb_tables() where table_name = '{delimited.REJECTS}'"):  # noqa: S608
        return {}
    rows = con.execute(
        "select line, arg_min(struct_pack(kind := error_type::varchar, message := error_message, text := csv_line), "  # noqa: S608
        f"coalesce(column_idx, 0)) from {delimited.REJECTS} group by line"
    ).fetchall()
    return {line: (error["kind"], error["message"] or "", error["text"] or "") for line, error in rows}


def _shifted(row: int, rejected: Sequence[int]) -> int:
    """The line of the `row`-th line that was not rejected."""
    for line in rejected:
        if line > row:
            break
        row += 1
    return row


def _places(
    found: Look, header: delimited.Header, rows: Collection[int], rejected: Collection[int], wanted: int
) -> tuple[dict[int, int], dict[int, int]]:
    """Lines on which the given rows (counted from 1, without rejected records) and the first rejected records begin."""
    accepted: dict[int, int] = {}
    refused: dict[int, int] = {}
    at = 0
    for record, (line, empty) in enumerate(delimited.lines_of(found, header), 1):
        if empty or record <= header.blank + 1:
            continue
        if record in rejected:
            refused[record] = line
        else:
            at += 1
            if at in rows:
                accepted[at] = line
        if len(accepted) == len(rows) and len(refused) >= min(wanted, len(rejected)):
            break
    return accepted, refused
