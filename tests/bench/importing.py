"""Taking a ping file against DuckDB reading it into a table, staging alone and whole: python tests/bench/importing.py

The peer checks no value, keeps no identity and derives nothing; the distance is what those cost.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pairs
import pings

from qpanalytics.collect.fromfiles import take_files
from qpanalytics.sources.files import read_checks, read_pings
from qpanalytics.store.db import Store

READERS = {"csv": "read_csv", "csv.gz": "read_csv", "jsonl": "read_json", "parquet": "read_parquet"}


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=READERS, default="csv")


def prepare(folder: Path, asked: pairs.Options) -> None:
    pings.write(pings.pings(asked.rows), folder / f"pings.{asked.format}")
    pings.checks_csv(folder / "checks.csv")


def staging(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    con = _memory()
    return lambda: read_pings(con, folder / f"pings.{asked.format}").rows


def bare_staging(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    con = _memory()
    return lambda: _bare(con, folder, asked.format, "temp table")


def whole(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    entries = read_checks(folder / "checks.csv")
    file = folder / f"pings.{asked.format}"
    now = datetime.now(UTC)

    def make() -> int:
        store = Store(_gone(folder / "ours.duckdb"))
        with store.write() as con:
            _, taken = take_files(con, [file], entries, source="files", covers_until=None, tried_at=now)
        return sum(taken.added)

    return make


def bare_whole(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    def make() -> int:
        with duckdb.connect(str(_gone(folder / "bare.duckdb")), config={"threads": 2}) as con:
            return _bare(con, folder, asked.format, "table")

    return make


def _memory() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 2})
    con.execute("set timezone = 'UTC'")
    return con


def _bare(con: duckdb.DuckDBPyConnection, folder: Path, shape: str, table: str) -> int:
    con.execute(f"create or replace {table} bare as from {READERS[shape]}('{folder / f'pings.{shape}'}')")
    (count,) = con.execute("select count(*) from bare").fetchone() or (0,)
    return int(count)


def _gone(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    pairs.compare(
        "a ping file imported, against DuckDB's `create table as from` the same file",
        {"staging": (staging, bare_staging), "whole": (whole, bare_whole)},
        prepare=prepare, options=options, rows=200_000,
    )  # fmt: skip
