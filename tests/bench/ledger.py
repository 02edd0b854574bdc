"""Deriving occurrences of pings in the store against a bare merge_asof of them in memory: python tests/bench/ledger.py

The peer is given the expected times and knows no runs, failures, hung runs, pauses or promises that change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pairs
import pandas as pd
import pings

from qpanalytics.collect.fromfiles import take_files
from qpanalytics.ledger.build import build
from qpanalytics.sources.files import read_checks
from qpanalytics.store.db import Store


def prepare(folder: Path, asked: pairs.Options) -> None:
    pings.write(pings.pings(asked.rows), folder / "pings.parquet")
    entries = read_checks(pings.checks_csv(folder / "checks.csv"))
    now = datetime.now(UTC)
    with Store(folder / "qpa.duckdb").write() as con:
        take_files(con, [folder / "pings.parquet"], entries, source="files", covers_until=None, tried_at=now)
        con.execute("delete from store.runs; delete from store.occurrences; delete from store.ledger")


def derived(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    con = duckdb.connect(str(folder / "qpa.duckdb"), config={"threads": 2})
    con.execute("set timezone = 'UTC'")

    def make() -> int:
        con.execute("begin transaction")
        build(con)
        (count,) = con.execute("select count(success_at) from store.occurrences").fetchone() or (0,)
        con.execute("rollback")
        return int(count)

    return make


def merged(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    came = pd.read_parquet(folder / "pings.parquet").rename(columns={"received_at": "completed_at"})
    parts = [pd.DataFrame({"check": check, "expected_at": pings.expected(asked.rows)}) for check in pings.CHECKS]
    due = pd.concat(parts).sort_values("expected_at", kind="stable", ignore_index=True)

    def make() -> int:
        found = pd.merge_asof(
            due, came, left_on="expected_at", right_on="completed_at", by="check", direction="forward", tolerance=pings.PERIOD
        )
        return int(found["completed_at"].count())

    return make


if __name__ == "__main__":
    pairs.compare(
        "the ledger derived from pings in the store, against pandas.merge_asof in memory",
        {"ledger": (derived, merged)},
        prepare=prepare, rows=200_000,
    )  # fmt: skip
