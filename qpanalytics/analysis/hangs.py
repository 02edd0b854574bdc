"""Workers that live and do nothing: jobs that run far longer than they ever do, processes that start again and again."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics.analysis import stats
from qpanalytics.analysis.flow import frame
from qpanalytics.analysis.reading import Row
from qpanalytics.instants import micros
from qpanalytics.thresholds import CRASH_LOOP, CRASH_OVER
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

ZOMBIES = Columns(
    source="name of the source",
    worker="name of the worker process",
    taken_at="the last look",
    running_s="how long its longest job had run by then, seconds",
    usual_s="p99 of what jobs of its queues run, seconds; NaN with why",
    n="runs or looks that this is taken from",
    limit_s="what is too long: five times that, else the check's max runtime, seconds; NaN with why",
    of="where the limit is from: `runs` (of checks of its queues), `looks` (at its and its like's jobs), `max_runtime`, or empty",
    zombie="it runs longer than its limit; missing where there is none",
    why="reason for each NaN, else empty",
)
CRASHES = Columns(
    source="name of the source",
    worker="name of the worker process; `*` where processes are replaced under new names",
    of="`restarts`, as its supervisor counts them, or `replaced`: new processes in the place of old ones",
    n="how often within the last hour of looks",
    since_at="the first look of that hour",
    until_at="the last look",
    workers="processes there at a time, at most",
    looping="three times an hour or more; of replaced ones three times as many as are there at a time",
    why="what is counted where nothing counts restarts, else empty",
)
#: A job that runs so many times longer than 99 of 100 do not hangs.
TIMES = 5.0
#: Fewer runs or looks carry no p99 to go by.
LEAST_RUNS = 50
LEAST_LOOKS = 100


def zombies(history: History) -> pd.DataFrame:
    """Workers with a job that runs far too long for what it is, at the last look; by source and name.

    One row per worker whose running jobs are timed. Too long is five times the p99 of the runs of the checks that belong
    to its queues (50 runs at least), else of the running times that looks at workers of the same queues showed before this
    job began (100 at least; long jobs are seen more often than short ones, so that errs to patience), else a check's max
    runtime. Without any of these nothing is said, and `why` says what is missing.
    """
    from qpanalytics.analysis.pairs import pairs
    from qpanalytics.analysis.queues import last_looks

    now = [w for w in last_looks(history, "worker").to_pylist() if w["oldest_running_s"] is not None]
    if not now:
        return frame(ZOMBIES, [], counts=("n",), flags=("zombie",))
    past: dict[Any, list[tuple[int, float]]] = defaultdict(list)
    for look in history.looks("running").to_pylist():
        past[(look["source"], _like(look))].append((look["at_us"], look["running_s"]))
    joined: dict[str, list[str]] = defaultdict(list)
    for pair in pairs(history):
        joined[pair.queue].append(pair.check)
    durations, limits = _known_of_checks(history) if joined else ({}, {})
    rows = []
    for worker in now:
        checks = [c for queue in worker["queues"] or () for c in joined.get(queue, ())]
        rows.append({"source": worker["source"], "worker": worker["worker"], "taken_us": micros(worker["taken_at"]),
                     "running_s": worker["oldest_running_s"], **_limit(worker, checks, durations, limits, past)})  # fmt: skip
    return frame(ZOMBIES, rows, counts=("n",), flags=("zombie",))


def _limit(
    worker: Row,
    checks: list[str],
    durations: dict[str, list[float]],
    limits: dict[str, float],
    past: dict[Any, list[tuple[int, float]]],
) -> Row:
    running = float(worker["oldest_running_s"])
    began = micros(worker["taken_at"]) - round(running * 1e6)
    runs = [d for check in checks for d in durations.get(check, ())]
    looks = [s for at, s in past[(worker["source"], _like(worker))] if at < began]
    found: Row
    if len(runs) >= LEAST_RUNS:
        found = _of("runs", runs)
    elif len(looks) >= LEAST_LOOKS:
        found = _of("looks", looks)
    else:
        most = max((limits[c] for c in checks if c in limits), default=nan)
        few = f"{len(runs)} runs of at least {LEAST_RUNS}, {len(looks)} looks of at least {LEAST_LOOKS}"
        told = most == most
        found = {
            "usual_s": nan, "n": max(len(runs), len(looks)), "limit_s": most, "of": "max_runtime" if told else "",
            "why": f"usual: {few}" + ("" if told else "; limit: no check of its queues has a max runtime"),
        }  # fmt: skip
    found["zombie"] = None if found["limit_s"] != found["limit_s"] else running > found["limit_s"]
    return found


def _of(what: str, seconds: list[float]) -> Row:
    usual = stats.quantile(np.sort(np.array(seconds, dtype=np.float64)), 0.99)
    return {"usual_s": usual, "n": len(seconds), "limit_s": TIMES * usual, "of": what, "why": ""}


def _like(look: Row) -> tuple[str, ...] | str:
    """Workers of the same queues do the same jobs; where queues are not known, each is like itself."""
    return tuple(sorted(look["queues"])) if look["queues"] else str(look["worker"])


def _known_of_checks(history: History) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Durations of the completed runs of each check, and max runtimes."""
    frame_ = history.runs
    done = frame_.loc[frame_["completed_at"].notna() & frame_["duration_s"].notna(), ["check", "duration_s"]]
    durations: dict[str, list[float]] = defaultdict(list)
    for check, seconds in done.itertuples(index=False):
        durations[str(check)].append(float(seconds))
    limits = history.checks[["check", "max_runtime_s"]].dropna().itertuples(index=False)
    return durations, {str(check): float(seconds) for check, seconds in limits}


def crashes(history: History) -> pd.DataFrame:
    """Processes that were started again within the last hour of looks, and whether that is a loop; by source and name.

    Where a supervisor counts restarts, its counter is taken (one that went backwards began anew). Where processes come
    under new names each time, new names are counted against how many there are at a time: a deploy replaces each once, a
    crash loop again and again.
    """
    rows: list[Row] = []
    last = {row["source"]: row["taken_us"] for row in history.looks("last_looks").to_pylist()}
    by_source: dict[str, list[Row]] = defaultdict(list)
    for look in history.looks("worker_looks", since=_hour_before(history, last)).to_pylist():
        if micros(look["taken_at"]) >= last.get(look["source"], 0) - CRASH_OVER // timedelta(microseconds=1):
            by_source[look["source"]].append(look)
    for source, looks in by_source.items():
        times = sorted({micros(look["taken_at"]) for look in looks})
        together: dict[str, Any] = {"source": source, "since_us": times[0], "until_us": times[-1]}
        there = max(sum(micros(look["taken_at"]) == at for look in looks) for at in times)
        counted: dict[str, int] = defaultdict(int)
        for look in looks:
            if micros(look["taken_at"]) > times[0]:
                counted[look["worker"]] += look["restarts_gain"] or 0
        rows += [
            {**together, "worker": worker, "of": "restarts", "n": n, "workers": there, "looping": n >= CRASH_LOOP, "why": ""}
            for worker, n in sorted(counted.items())
            if n
        ]
        if all(look["restarts"] is None for look in looks):
            first = {look["worker"] for look in looks if micros(look["taken_at"]) == times[0]}
            new = len({look["worker"] for look in looks} - first)
            if new:
                rows.append(
                    {**together, "worker": "*", "of": "replaced", "n": new, "workers": there,
                     "looping": new >= CRASH_LOOP * max(there, 1), "why": "restarts are not counted; new names are"}
                )  # fmt: skip
    return frame(CRASHES, rows, counts=("n", "workers"), flags=("looping",))


def _hour_before(history: History, last: dict[str, int]) -> Any:
    from qpanalytics.instants import instant

    return max(instant(min(last.values())) - CRASH_OVER, history.since) if last else history.since
