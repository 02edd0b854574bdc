"""Occurrences derived from pings in the store against a bare merge_asof of them in memory: python tests/bench/ledger.py

`ledger` goes from stored pings to committed rows of runs and occurrences. The peer is given the expected times and the
pings as sorted arrays, stores nothing and knows no runs, failures, hung runs, pauses or promises that change.
`day` adds one more day of pings to a store that is derived already; its peer only stores them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pairs
import pandas as pd
import stores

from qpanalytics.collect.intake import new_since
from qpanalytics.ledger.build import build
from qpanalytics.store.db import Store


def prepare(folder: Path, asked: pairs.Options) -> None:
    stores.fill(folder / "pings.duckdb", asked.rows)
    shutil.copy(folder / "pings.duckdb", folder / "derived.duckdb")
    with Store(folder / "derived.duckdb").write() as con:
        build(con)


def derived(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    copies = _copies(folder / "pings.duckdb", asked.pairs)

    def make() -> int:
        with Store(copies.pop()).write() as con:
            build(con)
            return int(con.execute("select count(*) from store.occurrences").fetchall()[0][0])

    return make


def merged(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    count = stores.checks(asked.rows)
    check = pd.RangeIndex(count).repeat(stores.EACH).to_numpy()
    due = pd.DataFrame({"check": check, "expected_at": stores.ticks(count).astype("datetime64[us]")})
    came = pd.DataFrame({"check": check, "completed_at": stores.came(count).astype("datetime64[us]")})
    due = due.sort_values("expected_at", kind="stable", ignore_index=True)
    came = came.sort_values("completed_at", kind="stable", ignore_index=True)

    def make() -> int:
        return len(
            pd.merge_asof(due, came, left_on="expected_at", right_on="completed_at", by="check", direction="forward")
        )

    return make


def day_derived(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    copies = _copies(folder / "derived.duckdb", asked.pairs)

    def make() -> int:
        with Store(copies.pop()).write() as con:
            stores.add(con, stores.checks(asked.rows), stores.EACH, stores.A_DAY, fetch=1)
            touched = new_since(con, "fetch_id = $fetch", {"fetch": 1})
            build(con, touched)
            return len(touched)

    return make


def day_stored(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    copies = _copies(folder / "derived.duckdb", asked.pairs)

    def make() -> int:
        with Store(copies.pop()).write() as con:
            stores.add(con, stores.checks(asked.rows), stores.EACH, stores.A_DAY, fetch=1)
        return stores.checks(asked.rows)

    return make


def _copies(store: Path, pairs_: int) -> list[Path]:
    """One for each time it is written to, the first pair included."""
    made = [store.with_name(f"{store.stem}-{id(object())}-{number}.duckdb") for number in range(pairs_ + 1)]
    for path in made:
        shutil.copy(store, path)
    return made


if __name__ == "__main__":
    pairs.compare(
        "the ledger derived from pings in the store, against pandas.merge_asof in memory; and a day more",
        {"ledger": (derived, merged), "day": (day_derived, day_stored)},
        prepare=prepare, rows=1_000_000, pairs=5,
    )  # fmt: skip
