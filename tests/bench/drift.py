"""What drift finds in fleets with known changes, beside rules that people use, and how long it takes: python tests/bench/drift.py

`ruptures` is measured where it is installed. Prints one JSON object; `--fleets`, `--checks`, `--runs` and `--long` say how much.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import drift_fleet as fleet
import pairs

from qpanalytics.analysis import breaks
from qpanalytics.analysis.drift import drift
from qpanalytics.history import History


def quality(fleets: int, checks: int) -> dict[str, Any]:
    """Means over fleets: precision, recall and F1 of ours and of each rule; dates, and how many quiet ones were flagged."""
    rules: dict[str, Callable[[fleet.Series], bool]] = dict(fleet.RULES)
    if find_spec("ruptures"):
        rules["ruptures PELT (rbf, daily medians, penalty 10)"] = fleet.pelt
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("ours", *rules)}
    told = [fleet.told(fleet.fleet(seed, checks)) for seed in range(fleets)]
    for seed, one in enumerate(told):
        scores["ours"].append(one.score)
        jobs = fleet.fleet(seed, checks)
        for name, rule in rules.items():
            scores[name].append(fleet.score([rule(job) for job in jobs], [job.drifts for job in jobs]))
    means = {
        name: dict(zip(("precision", "recall", "f1"), np.round(np.mean(s, axis=0), 4).tolist(), strict=True))
        for name, s in scores.items()
    }
    quiet, flagged = sum(one.quiet for one in told), sum(one.flagged for one in told)
    dates = [near for one in told for near in one.dates]
    return {
        "fleets": fleets,
        "checks": checks,
        "scores": means,
        "quiet": quiet,
        "quiet_flagged": flagged,
        "dates_near": float(np.mean(dates)),
    }


def many(checks: int, runs: int) -> History:
    """Checks of hourly runs with durations, one in ten of which has a step."""
    rng = np.random.default_rng(1)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = pd.date_range(begin, periods=runs, freq="h").as_unit("us")
    frames = []
    for i in range(checks):
        log = np.log(60.0) + 0.1 * fleet.remembering(rng, runs, 0.3)
        if i % 10 == 0:
            log[runs // 2 :] += 0.4
        seconds = np.exp(log)
        at = ticks + pd.to_timedelta(seconds, unit="s").as_unit("us")
        frames.append(pd.DataFrame({"check": f"job-{i:04}", "received_at": at, "kind": "success", "duration_s": seconds}))
    promised = pd.DataFrame(
        {"check": [f"job-{i:04}" for i in range(checks)], "schedule": "0 * * * *", "grace_s": 600.0, "valid_from": begin}
    )
    return History.from_frames(checks=promised, pings=pd.concat(frames), as_of=begin + timedelta(hours=runs))


def long(runs: int) -> float:
    """Seconds for one check with so many runs, 15 minutes apart."""
    rng = np.random.default_rng(2)
    at_s = fleet.BEGIN_S + 900.0 * np.arange(runs)
    values = np.exp(0.1 * fleet.remembering(rng, runs, 0.5)) * np.where(np.arange(runs) < runs // 2, 60.0, 80.0)
    weekday, hour = (at_s // fleet.DAY_S).astype(np.int64) % 7 + 1, (at_s % fleet.DAY_S // 3600).astype(np.int64)
    return pairs.took(lambda: breaks.judge(at_s, values, weekday, hour))[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("fleets", 5), ("checks", 160), ("many", 1000), ("runs", 1000), ("long", 50_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    said: dict[str, Any] = {"quality": quality(asked.fleets, asked.checks)}
    history = many(asked.many, asked.runs)
    with history.session():
        history.sql("drift_checks")  # the reading of the store is not what is timed
        start = time.process_time()
        whole_s, frame = pairs.took(lambda: drift(history))
        said["many"] = {
            "checks": asked.many,
            "runs": asked.runs,
            "s": round(whole_s, 2),
            "cpu_s": round(time.process_time() - start, 2),
        }
        said["many"]["found"] = int(frame["kind"].notna().sum())
    said["long"] = {"runs": asked.long, "s": round(long(asked.long), 3)}
    print(json.dumps(said, indent=1))
