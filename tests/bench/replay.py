"""What a policy would have sent for 500 checks in a month: python tests/bench/replay.py [--checks 500] [--days 30]

Each check runs every hour with a start and a finish; some runs are late, failed or missing. Times are of the processor.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from datetime import UTC, datetime, timedelta

import pandas as pd

from qpanalytics.analysis.alternatives import default
from qpanalytics.analysis.replaying import past, sent
from qpanalytics.history import History
from qpanalytics.policy.changes import Notice

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


def history(checks: int, days: int) -> History:
    """Hourly checks with a start and a finish each; two in a hundred runs are late, one fails, one does not come."""
    dice = random.Random(7)
    until = BEGIN + timedelta(days=days)
    rows: list[tuple[str, datetime, str]] = []
    promised = []
    for number in range(checks):
        name, minute = f"job-{number:03}", dice.randrange(60)
        tags = f"team{number % 7}"
        promised.append({"check": name, "schedule": f"{minute} * * * *", "valid_from": BEGIN, "grace_s": 720.0, "tags": tags})
        for hour in range(24 * days):
            luck = dice.random()
            if luck < 0.01:
                continue
            start = BEGIN + timedelta(hours=hour, minutes=minute, seconds=dice.uniform(1, 60))
            end = start + timedelta(seconds=dice.uniform(1000, 2000) if luck < 0.03 else dice.uniform(10, 200))
            rows += [(name, start, "start"), (name, end, "fail" if luck > 0.99 else "success")]
    pings = pd.DataFrame(rows, columns=["check", "received_at", "kind"])
    return History.from_frames(checks=pd.DataFrame(promised), pings=pings, covers_until=until, as_of=until)


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
    print(f"{len(happened.events):,} events read in {read - began:.1f} s; replayed in {done - read:.1f} s")
    print(f"{notices:,} notices; {peak:,.0f} MB at most")


if __name__ == "__main__":
    main()
