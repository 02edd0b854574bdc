"""The weekly report over many pings, against counting outcomes by day in SQL: python tests/bench/report.py

The peer answers one of the report's questions, from the stored facts and for one instant.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pairs
import stores

import qpanalytics as qpa
from qpanalytics.ledger.build import build
from qpanalytics.store.db import Store


def prepare(folder: Path, asked: pairs.Options) -> None:
    stores.fill(folder / "qpa.duckdb", asked.rows)
    with Store(folder / "qpa.duckdb").write() as con:
        build(con)


def report(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    as_of = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=stores.EACH * stores.GAP_US)

    def make() -> int:
        return qpa.report(qpa.load(folder / "qpa.duckdb", as_of=as_of)).facts.checks

    return make


def counted(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    def make() -> int:
        with Store(folder / "qpa.duckdb").read() as con:
            return len(
                {
                    row[0]
                    for row in con.execute(
                        """
                        select check_id, expected_at::date, count(*), count(success_at),
                            count(*) filter (where success_at <= deadline_at)
                        from store.occurrences group by 1, 2
                        """
                    ).fetchall()
                }
            )

    return make


if __name__ == "__main__":
    pairs.compare(
        "the weekly report, against counting by check and day in SQL",
        {"weekly": (report, counted)},
        prepare=prepare, rows=1_000_000, pairs=3,
    )  # fmt: skip
