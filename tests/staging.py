"""What the tests of file reading share: a connection, files, and the staged rows as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from qpanalytics.sources.files import Staged, read_pings

COLUMNS = "check_name, received_at::varchar, kind, n, run_id, duration_s, exit_status, host, body"


_KEPT: list[duckdb.DuckDBPyConnection] = []


def connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    return con


def write(folder: Path, content: str | bytes, name: str = "pings.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(con: duckdb.DuckDBPyConnection, columns: str = COLUMNS) -> list[tuple[Any, ...]]:
    """The staged rows in the order of files and rows."""
    return con.execute(f"select {columns} from staged_pings order by file_no, row_no").fetchall()  # noqa: S608


def read(
    path: Path, columns: str = COLUMNS, *, mapping: Mapping[str, str] | None = None, skip_bad: bool = False
) -> tuple[list[tuple[Any, ...]], Staged]:
    """The staged rows of a file. Opening a connection takes longer than reading a small file, so one is kept until a
    file is refused."""
    con = _KEPT.pop() if _KEPT else connect()
    staged = read_pings(con, [path], mapping=mapping or {}, skip_bad=skip_bad)
    found = rows(con, columns)
    _KEPT.append(con)
    return found, staged


def whys(staged: Staged) -> list[tuple[int, str, str]]:
    """Line, field and reason of each bad row that was kept."""
    return [(bad.line, bad.field, bad.why) for bad in staged.bad]
