"""Pings to measure with: ten checks of `*/5 * * * *`, each run some seconds late, one in 200 missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

CHECKS = [f"job-{number:02}" for number in range(10)]
SCHEDULE, PERIOD = "*/5 * * * *", pd.Timedelta("5min")
BEGIN = pd.Timestamp("2026-01-01", tz="UTC")


def expected(rows: int) -> pd.DatetimeIndex:
    """When each of the checks was to run, so that about `rows` pings came."""
    return pd.date_range(BEGIN, periods=-(-rows // len(CHECKS)) * 200 // 199, freq=PERIOD, unit="us")


def pings(rows: int) -> pd.DataFrame:
    """The successes of the checks (check, received_at, kind) in the order in which they came."""
    rng = np.random.default_rng(1)
    due = expected(rows)
    each = -(-rows // len(CHECKS))
    parts = []
    for check in CHECKS:
        came = due[np.sort(rng.choice(len(due), each, replace=False))]
        late_ms = (1_000 * np.minimum(2 + rng.exponential(20, each), 240)).astype("int64")
        parts.append(pd.DataFrame({"check": check, "received_at": came + pd.to_timedelta(late_ms, unit="ms")}))
    return pd.concat(parts).assign(kind="success").sort_values("received_at", ignore_index=True)[:rows]


def write(frame: pd.DataFrame, path: Path) -> None:
    """A ping file of the format that its name says."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
        return
    said = frame.assign(received_at=frame["received_at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    if path.suffix == ".jsonl":
        said.to_json(path, orient="records", lines=True)
    else:  # packed where the name ends so
        said.to_csv(path, index=False)


def checks_csv(path: Path) -> Path:
    """The check file that promises them."""
    lines = "".join(f"{check},{SCHEDULE},UTC,60,{BEGIN:%Y-%m-%dT%H:%M:%SZ}\n" for check in CHECKS)
    path.write_text(f"check,schedule,tz,grace_s,valid_from\n{lines}")
    return path
