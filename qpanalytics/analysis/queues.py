"""How queues look: each at the last look, whether it fills or drains, and whether what was promised of it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import UsageError
from qpanalytics.spell import plain
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from qpanalytics.history import History

_LOOK = {
    "source": "name of the source",
    "system": "what it is: `sidekiq`, `celery`, `bullmq`, `rq`, `redis-list`, ...",
    "queue": "name of the queue; `*` for figures that a system keeps for all its queues together",
    "taken_at": "when it looked so, by our clock",
    "depth": "jobs waiting to be taken now",
    "oldest_at": "when the oldest of them began to wait",
    "oldest_age_s": "how long it had waited by then, by the server's clock, seconds",
    "oldest_is": "`exact`, or `lower_bound` where an older one may be hidden behind it",
    "active": "jobs in the hands of workers",
    "orphaned": "jobs in the hands of workers that are gone",
    "delayed": "jobs that are not due yet",
    "overdue": "delayed jobs whose time has come and that nobody put into the queue",
    "retrying": "jobs that failed and wait for another try",
    "dead": "jobs that were given up",
    "failed": "failed jobs that the system keeps to be looked at",
    "processed_total": "finished tries that the system counted, failed ones included; grows until a reset",
    "failed_total": "failed tries that it counted; grows until a reset",
    "paused": "nothing is taken from it, because somebody said so",
    "why": "reason for each figure that the system cannot give, else empty",
}
LOOKS = Columns(
    **_LOOK,
    looks="looks that the row stands for: 1, or more where old ones were thinned; the figures above are the last one's",
    since_at="the first of them",
    depth_min="least depth among them",
    depth_max="greatest depth among them",
    depth_mean="mean depth among them",
    oldest_age_max_s="greatest age among them, seconds",
    active_min="fewest jobs in the hands of workers",
    active_max="most of them",
    active_mean="mean of them",
    orphaned_max="most orphaned jobs",
    delayed_min="fewest delayed jobs",
    delayed_max="most of them",
    overdue_max="most overdue jobs",
    retrying_min="fewest retrying jobs",
    retrying_max="most of them",
    dead_min="fewest dead jobs",
    dead_max="most of them",
    failed_max="most failed jobs kept",
    paused_looks="looks at which it was paused",
    processed_gain="finished tries since the look before; a counter that began anew counts from 0",
    failed_gain="failed tries since the look before",
    gain_s="seconds over which the finished tries were counted; missing where either end is not known",
    resets="how often the counter began anew",
)
COLUMNS = Columns(
    **_LOOK,
    n="steps between looks that the rates are of: the last hour, or more where looks are rare",
    over_s="the time that they span, seconds",
    arrivals_per_min="jobs that came, a minute; missing with flow_why where finished ones are not counted",
    arrivals_lo="lower end of its 95 % interval",
    arrivals_hi="upper end of its 95 % interval",
    service_per_min="tries finished, a minute",
    service_lo="lower end of its 95 % interval",
    service_hi="upper end of its 95 % interval",
    net_per_min="growth of the depth, a minute; negative drains",
    net_lo="lower end of its 95 % interval",
    net_hi="upper end of its 95 % interval",
    utilisation="arrivals over what was finished while jobs waited: 1 and more is more than it can do; missing with flow_why",
    drain_s="time until it is empty at this rate, seconds; missing where it does not drain",
    drain_lo_s="lower end of its 95 % interval, seconds",
    drain_hi_s="upper end of its 95 % interval, seconds; missing where it may never be",
    drains="`yes`, `maybe` (the interval holds growth, too), `no`, `empty`; empty text where not known",
    promise="`kept`, `broken`, `unknown`; empty text where nothing was promised",
    promise_why="which part of the promise is broken or cannot be told, and by how much",
    flow_why="reason for each rate or time that is missing, else empty",
)
#: The rates of now are those of so long before the last look, or of at least so many steps.
RECENT = timedelta(hours=1)
LEAST_STEPS = 8
#: But of nothing older.
FURTHEST = timedelta(hours=24)
#: How long before a window the look may lie that its first step of a counter is counted from.
LEAD = timedelta(hours=26)


def queues(history: History, *, queue: Sequence[str] = ()) -> pd.DataFrame:
    """Each queue as the last look at its source showed it, by source and name, with its rates of now.

    One row per queue that the look showed; `queue` takes shell patterns. Ages are as seen at `taken_at`, not recomputed.
    Rates are those of the last hour of looks (of eight steps at least, of a day at most), so a queue that just stopped
    draining is told from one that always did. What a system cannot tell is missing with `why`, never 0.
    """
    from qpanalytics.analysis import flow, promise, reading
    from qpanalytics.analysis.frames import to_pandas

    table = picked(last_looks(history, "queue"), "queue", queue, history)
    shown = to_pandas(table)
    found = [flow.present(past, queue_row) for past, queue_row in _with_past(history, table)]
    for name in ("n",):
        shown[name] = reading.counts(int(row[name]) for row in found)
    for name in (
        "over_s", "arrivals_per_min", "arrivals_lo", "arrivals_hi", "service_per_min", "service_lo", "service_hi",
        "net_per_min", "net_lo", "net_hi", "utilisation", "drain_s", "drain_lo_s", "drain_hi_s",
    ):  # fmt: skip
        shown[name] = reading.reals(row[name] for row in found)
    for name in ("drains", "flow_why"):
        shown[name] = reading.texts(row[name] for row in found)
    states = promise.states(history, table)
    shown["promise"] = reading.texts(state for state, _ in states)
    shown["promise_why"] = reading.texts(why for _, why in states)
    return COLUMNS.order(shown)


def looks(history: History, *, queue: Sequence[str] = ()) -> pd.DataFrame:
    """All looks at queues in the window, by queue, then by time; `queue` takes shell patterns."""
    from qpanalytics.analysis.frames import to_pandas

    return LOOKS.order(to_pandas(picked(history.looks("queue_looks", lead=LEAD), "queue", queue, history)))


def last_looks(history: History, name: str) -> pa.Table:
    """The rows of the last good look at each picked source, of its queues or workers."""
    since = last_look_at(history)
    return history.looks(f"{name}s", since=min(since.values(), default=history.looks_as_of))


def last_look_at(history: History) -> dict[str, datetime]:
    """When each picked source of queues or workers was last seen well, as of the history's instant."""
    from qpanalytics.instants import instant

    rows = history.looks("last_looks").to_pylist()
    return {row["source"]: instant(row["taken_us"]) for row in rows}


def _with_past(history: History, table: pa.Table) -> list[tuple[Any, dict[str, Any]]]:
    """Each row of a table of last looks with the steps that led to it."""
    from qpanalytics.analysis import flow

    rows = table.to_pylist()
    if not rows:
        return []
    since = min(row["taken_at"] for row in rows) - FURTHEST
    steps = flow.steps(history, since=since)
    return [(flow.recent(steps.get((row["source"], row["queue"])), row["taken_at"]), row) for row in rows]


def picked(table: pa.Table, name: str, patterns: Sequence[str], history: History) -> pa.Table:
    """The rows whose queue or worker matches; UsageError for a pattern or source that nothing matches."""
    import pyarrow as pa

    if history.pick.sources and not len(table):
        known = [row["source"] for row in history.looks("looked_at").to_pylist()]
        if not set(known) & set(history.pick.sources):
            raise UsageError(
                f"no {name}s of source {plain(' '.join(history.pick.sources))} were seen; the store knows those of "
                f"{', '.join(map(plain, known)) or 'none yet'}. See: qpa collect"
            )
    if not patterns:
        return table
    names = table.column(name).to_pylist()
    kept = [any(n == p or fnmatchcase(n, p) for p in patterns) for n in names]
    if names and not any(kept):
        some = ", ".join(dict.fromkeys(map(plain, names[:5]))) + (", ..." if len(set(names)) > 5 else "")
        raise UsageError(f"no {name} matches {plain(' '.join(patterns))}; there are {some}. See: qpa {name}s")
    return table.filter(pa.array(kept))
