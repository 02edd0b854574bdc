"""Large files: rows in order with several threads, none lost and none invented, and how long it takes."""

from __future__ import annotations

import csv
import gzip
import json
import time
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from staging import connect, write

from qpanalytics.sources.files import read_pings

ROWS = 300_000


@cache
def lines() -> list[tuple[str, float, str]]:
    """Check, second and run of each row; the run is its number."""
    return [(f"check-{i % 500}", 1_767_225_600 + i * 60 + (i % 1000) / 1000, str(i)) for i in range(ROWS)]


def ordered(con: duckdb.DuckDBPyConnection) -> tuple[int, ...]:
    """How many rows there are, and how many of them stand where they stood, with their own values."""
    found = con.execute("""
        select count(*), count(distinct row_no), count(*) filter (
            place = run_id::int + 1 and check_name = 'check-' || (run_id::int % 500)
            and epoch_ms(received_at) = 1767225600000 + run_id::bigint * 60000 + run_id::int % 1000
        ) from (select *, row_number() over (order by row_no) as place from staged_pings)
    """).fetchone()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files of all rows stand once they are made."""
    return tmp_path_factory.mktemp("large")


@pytest.mark.parametrize("kind", ["plain.csv", "quoted.csv", "careful.csv", "plain.csv.gz", "p.jsonl", "p.json", "p.parquet"])
@pytest.mark.parametrize("kept", ["true", "false"])
def test_row_numbers_are_the_order_in_the_file_with_any_threads_and_settings(folder: Path, kind: str, kept: str) -> None:
    con = connect()
    con.execute("set threads = 4")
    con.execute(f"set preserve_insertion_order = {kept}")
    path = folder / kind
    if not path.exists():
        make(path, kind)

    read_pings(con, path)

    assert ordered(con) == (ROWS, ROWS, ROWS)
    (setting,) = con.execute("select current_setting('preserve_insertion_order')").fetchone() or ()
    assert str(setting).lower() == kept


def make(path: Path, kind: str) -> None:
    """A file of all rows."""
    if kind.endswith("parquet"):
        table = pa.table(dict(zip(("check", "received_at", "run_id"), zip(*lines(), strict=True), strict=True)))
        pq.write_table(table, path, row_group_size=20_000)
    elif "json" in kind:
        objects = [json.dumps({"check": check, "received_at": at, "run_id": run}) for check, at, run in lines()]
        path.write_text("\n".join(objects) if kind == "p.jsonl" else f"[{','.join(objects)}]")
    else:
        mark = '"' if kind == "quoted.csv" else ""
        rows = [f"{mark}{check}{mark},{at:.3f},{run}\n" for check, at, run in lines()]
        text = "check,received_at,run_id\n" + "".join(rows) + "\r\n" * (kind == "careful.csv")
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())


@pytest.mark.parametrize("size", [200, 60_000, 1_900_000])
def test_texts_that_look_like_rows_stay_texts(tmp_path: Path, size: int) -> None:
    """Cut into pieces by the database's reader, such files came back with thousands of rows named x."""
    rows = 60_000_000 // size
    path = tmp_path / "p.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["check", "received_at", "run_id", "body"])
        for i in range(rows):
            body = "x,1767225600,y,z\r\n" * (size // 18) + '"' * (i % 3)
            writer.writerow([f"c{i % 7}", 1_767_225_600 + i, i, body])
    con = connect()

    staged = read_pings(con, path)

    assert (staged.rows, staged.skipped) == (rows, 0)
    sound = con.execute(
        "select count(*) filter (check_name = 'c' || row_number % 7 and run_id::int = row_number "
        "and length(body) = 18 * $times + run_id::int % 3) "
        "from (select *, row_no - 1 as row_number from staged_pings)",
        {"times": size // 18},
    ).fetchone()
    assert sound == (rows,)


@pytest.mark.parametrize("before", [0, 700_000, 1_500_000])
@pytest.mark.parametrize("megabytes", [3, 15])
def test_a_long_line_is_a_bad_row_wherever_it_stands(tmp_path: Path, before: int, megabytes: int) -> None:
    """Lines of 15 MB went missing without a word where a piece of the file ended."""
    good = b"name,1767225600\n"
    content = b"check,received_at\n" + good * before + b"x" * (megabytes * 10**6) + b",1767225600\n" + good * 9
    con = connect()

    staged = read_pings(con, write(tmp_path, content), skip_bad=True)

    assert (staged.rows, staged.skipped) == (before + 9, 1)
    assert [(bad.line, bad.why) for bad in staged.bad] == [(before + 2, "is longer than 2 MB")]
    assert con.execute("select distinct check_name from staged_pings").fetchall() == [("name",)]


def test_the_lines_of_bad_rows_are_right_in_a_large_file(tmp_path: Path) -> None:
    torn = {77_777, 177_777, 299_998}
    late = {3, 150_000, 299_999}
    text = "check,received_at\n" + "".join(
        "torn\n" if i in torn else f"a,{'soon' if i in late else 1767225600 + i}\n" for i in range(ROWS)
    )

    staged = read_pings(connect(), write(tmp_path, text), skip_bad=True)

    assert [bad.line for bad in staged.bad] == [i + 2 for i in sorted(torn | late)]
    assert (staged.rows, staged.skipped) == (ROWS - 6, 6)


def test_staging_takes_a_small_multiple_of_merely_reading(tmp_path: Path) -> None:
    """Three times what a bare typed read_csv takes, when measured on a quiet machine; far more here means a row loop."""
    text = "check,received_at,kind,run_id,duration_s\n" + "".join(
        f"{check},{at:.3f},success,{run},{at % 97:.3f}\n" for check, at, run in lines()
    )
    path = write(tmp_path, text)
    con = connect()

    def seconds(*, bare: bool) -> float:
        began = time.process_time()
        if bare:
            con.execute("create or replace temp table bare as from read_csv(?)", [str(path)])
        else:
            read_pings(con, path)
        return time.process_time() - began

    read = min(seconds(bare=True) for _ in range(3))
    staged = min(seconds(bare=False) for _ in range(3))

    assert staged < 8 * read + 0.2
