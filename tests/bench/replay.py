"""What a policy would have sent for 500 checks in a month: python tests/bench/replay.py [--checks 500] [--days 30]

Each check runs every hour with a start and a finish; some runs are late, failed or missing. There is nothing to compare with:
a loop that asks each check each minute how it stands is given as the peer, over a hundredth of the checks.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from datetime import UTC, datetime, timedelta

import pandas as pd

from qpanalytics.analysis.replay import default
from qpanalytics.analysis.replaying import past, sent
from qpanalytics.history import History
from qpanalytics.policy.changes import Notice

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


def history(checks: int, days: int) -> History:
    """Hourly checks with a start and a finish each; two in a hundred runs are late, one fails, one does not come."""
    dice = random.Random(7)
    names = [f"job-{i:03}" for i in range(checks)]
    rows: dict[str, list[object]] = {"check": [], "received_at": [], "kind": []}
    for name in names:
        minute = dice.randrange(60)
        for hour in range(24 * days):
            luck = dice.random()
            if luck < 0.01:
                continue
            at = BEGIN + timedelta(hours=hour, minutes=minute, seconds=dice.uniform(1, 60))
            end = at + timedelta(seconds=dice.uniform(1000, 2000) if luck < 0.03 else dice.uniform(10, 200))
            rows["check"] += [name, name]
            rows["received_at"] += [at, end]
            rows["kind"] += ["start", "fail" if luck > 0.99 else "success"]
        rows["check"].append(name)
        rows["received_at"].append(BEGIN + timedelta(days=days))
        rows["kind"].append("log")
        names[names.index(name)] = name
    dice = random.Random(7)
    promised = []
    for name in sorted(set(names)):
        first = next(at for check, at in zip(rows["check"], rows["received_at"], strict=True) if check == name)
        assert isinstance(first, datetime)
        promised.append({"check": name, "schedule": f"{first.minute} * * * *", "valid_from": BEGIN, "tags": f"team{len(promised) % 7}"})
    until = BEGIN + timedelta(days=days)
    return History.from_frames(checks=pd.DataFrame(promised), pings=pd.DataFrame(rows), covers_until=until, as_of=until)


def main() -> None:
    """Prints times and memory."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--checks", type=int, default=500)
    asked.add_argument("--days", type=int, default=30)
    options = asked.parse_args()
    h = history(options.checks, options.days)
    began = time.process_time()
    happened = past(h)
    read = time.process_time()
    changes = sent(happened, default(h).policy)
    done = time.process_time()
    notices = sum(isinstance(change, Notice) for change in changes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(happened.events):,} events read in {read - began:.1f} s; replayed in {done - read:.1f} s; {notices:,} notices; {peak:,.0f} MB")


if __name__ == "__main__":
    main()
