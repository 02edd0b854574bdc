"""What a person would write in a notebook: bare_pandas.py PINGS.csv OUT.csv gives each tick, its completion and lateness."""

from __future__ import annotations

import sys

import pandas as pd


def main(source: str, target: str) -> None:
    came = pd.read_csv(source, parse_dates=["received_at"]).rename(columns={"received_at": "completed_at"})
    came = came.sort_values("completed_at")
    since, until = came["completed_at"].min().floor("5min"), came["completed_at"].max()
    due = pd.date_range(since, until, freq="5min", name="expected_at", unit="us").to_frame(index=False)
    due = due.merge(pd.Series(came["check"].unique(), name="check"), how="cross").sort_values("expected_at", kind="stable")
    found = pd.merge_asof(
        due, came, left_on="expected_at", right_on="completed_at", by="check", direction="forward", tolerance=pd.Timedelta("5min")
    )
    found["lateness_s"] = (found["completed_at"] - found["expected_at"]).dt.total_seconds()
    late = found["lateness_s"] > 60
    found["outcome"] = late.map({True: "late", False: "on_time"}).where(found["completed_at"].notna(), "missed")
    found.to_csv(target, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
