"""How large a store becomes that looks at many queues every minute for a year, and how long feeding and thinning take.

`python tests/bench/looks.py [queues]`. The year is made as it is after thinning (48 h of looks, one for 5 minutes until 30
days, one an hour before that) and put into a real store; then looks come in hour after hour for two days, fed and thinned as
`qpa collect` does it, to see what deleted rows leave behind.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from qpanalytics.ledger import tables
from qpanalytics.store import thinning
from qpanalytics.store.db import Store

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = 86_400


def year(queues: int, days: int = 365) -> list[pa.Table]:
    """Rows of store.queue_snapshots as a year of looks every minute leaves them, with figures that move as real ones do."""
    ages = [(0, 2, 60, 1), (2, min(30, days), 300, 5), (30, days, 3600, 60)]
    return [rows(queues, -b * DAY, -a * DAY, step, looks) for a, b, step, looks in reversed(ages) if b > a]


def rows(queues: int, since: int, until: int, step: int, looks: int) -> pa.Table:
    """Looks of [since, until) seconds from now, by time, then by queue."""
    chance = np.random.default_rng(abs(since))
    times = np.arange(since, until, step)
    n = len(times) * queues
    at = (times + int(NOW.timestamp())) * 1_000_000 + chance.integers(0, 900_000, len(times))
    at = np.repeat(at, queues)
    depth = chance.poisson(np.tile(np.geomspace(0.2, 20_000, queues), len(times)))
    gain = chance.poisson(np.tile(np.geomspace(0.5, 3_000, queues), len(times)) * looks)
    total = gain.reshape(-1, queues).cumsum(axis=0).reshape(-1) + 10**9
    age = np.round(depth * chance.gamma(2.0, 0.5, n), 6)
    active = chance.poisson(3, n)
    whole = {"depth": depth, "active": active, "delayed": chance.poisson(20, n), "retrying": chance.poisson(2, n),
             "dead": np.full(n, 120), "orphaned": np.zeros(n, int), "overdue": np.zeros(n, int)}  # fmt: skip
    columns: dict[str, object] = {
        "source": pa.repeat("shop", n), "system": pa.repeat("bullmq", n),
        "queue": pa.array(np.tile(np.array([f"queue-{k}" for k in range(queues)]), len(times))),
        "taken_at": tables.instants(at), "oldest_at": tables.instants(at - (age * 1e6).astype(int)), "oldest_age_s": age,
        "oldest_is": pa.repeat("exact", n), **whole, "processed_total": total, "failed_total": total // 100,
        "paused": np.zeros(n, bool), "why": pa.repeat("failed: kept nowhere", n), "looks": np.full(n, looks, np.int32),
    }  # fmt: skip
    if looks > 1:
        for figure in thinning.QUEUES.least:
            columns[thinning.beside(figure, "min")] = np.maximum(whole[figure] - chance.poisson(2, n), 0)
        for figure in thinning.QUEUES.most:
            if figure in whole:
                columns[thinning.beside(figure, "max")] = whole[figure] + chance.poisson(2, n)
        columns |= {
            "depth_mean": depth + chance.random(n).round(3), "active_mean": active + chance.random(n).round(3),
            "oldest_age_max_s": age + chance.random(n), "processed_gain": gain, "failed_gain": gain // 100,
            "gain_s": np.full(n, float(step)), "resets": np.zeros(n, np.int32), "paused_looks": np.zeros(n, np.int32),
            "since_at": tables.instants(at - (step - 60) * 1_000_000),
        }  # fmt: skip
    return pa.table(columns)


def main(queues: int = 200) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "qpa.duckdb")
        made = year(queues)
        with store.write() as con:
            for part in made:
                tables.append(con, "store.queue_snapshots", part)
            thinning.thin(con, NOW)
        size, n = store.path.stat().st_size, sum(map(len, made))
        del made
        print(f"a year of {queues} queues each minute: {n:,} rows, {size / 1e6:,.0f} MB, {size / n:.0f} bytes a row", flush=True)
        for hour in range(1, 49):
            now = NOW + timedelta(hours=hour)
            for minute in range(0, 60, 10):  # ten minutes at a time, or the bench takes an hour itself
                begun = time.perf_counter()
                first = (hour - 1) * 3600 + minute * 60
                with store.write() as con:
                    tables.append(con, "store.queue_snapshots", rows(queues, first, first + 600, 60, 1))
                fed = time.perf_counter() - begun
            begun = time.perf_counter()
            with store.write() as con:
                gone = thinning.thin(con, now)
            if hour % 8 == 0:
                took, size = time.perf_counter() - begun, store.path.stat().st_size
                print(f"hour {hour}: fed in {fed:.2f} s, {gone:,} thinned in {took:.2f} s, {size / 1e6:,.0f} MB", flush=True)
        begun = time.perf_counter()
        _, size = store.compact()
        print(f"written anew: {size / 1e6:,.0f} MB in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
