"""Many checks with a long history and names that mean harm, for pages that must stay small and quick."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import cache

import sample_facts
from telling import AS_OF, SINCE, UNTIL, Job, frames

from qpanalytics import report
from qpanalytics.history import History
from qpanalytics.report import Report


@cache
def fleet_report() -> Report:
    """The report of fifty checks with the page that has their charts."""
    return report(fleet(), explore=True)


@cache
def fleet(n: int = 50, days: int = 90, every: timedelta = timedelta(hours=1)) -> History:
    """`n` checks, each run `every` so often for so many days with a duration of its own; the first have hostile names."""
    dice = random.Random(7)
    names = [*sample_facts.HOSTILE, *(f"job-{i:02}" for i in range(n))][:n]
    schedule = "0 * * * *" if every == timedelta(hours=1) else "0 3 * * *"
    jobs = []
    for name in names:
        usual = dice.uniform(20, 900)
        words = [
            "F" if (luck := dice.random()) < 0.005 else "M" if luck < 0.01 else f"D{dice.gauss(usual, usual / 10):.3f}"
            for _ in range(round(timedelta(days=days) / every))
        ]
        last = "2026-11-23 00:00" if every == timedelta(hours=1) else "2026-11-22 03:00"
        jobs.append(Job(name, " ".join(words), schedule=schedule, every=every, last=last))
    checks, pings = frames(jobs, AS_OF)
    return History.from_frames(
        checks=checks, pings=pings, as_of=AS_OF, since=SINCE, until=UNTIL, covers_until=AS_OF
    )
