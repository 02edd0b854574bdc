"""Jobs and their queues together: does the one report, does the other move, and what does an empty queue mean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import rates
from qpanalytics.analysis.flow import Steps, frame, rates_of, recent, steps
from qpanalytics.analysis.reading import Row
from qpanalytics.instants import EPOCH, micros
from qpanalytics.schedules import zones
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

COLUMNS = Columns(
    check="name of the check",
    source="source of the queue",
    queue="name of the queue that it belongs to: `queue` of its [[check]], else a tag of that name",
    state="`alive but not draining`, `draining but the job does not report`, `empty: done`, `empty: nothing arrives`, "
    "`empty: the producer's check is down`, `draining`, `unknown`",
    status="how the check stands",
    taken_at="the last look at the queue",
    depth="jobs waiting then; NaN where not known",
    arrivals_per_min="jobs that come now, a minute; NaN where not counted",
    service_per_min="tries finished now, a minute; NaN where not counted",
    net_per_min="growth of the depth now, a minute",
    usual_per_min="jobs that came in the same hour of the weeks before, a minute; NaN where there were none",
    n="weeks that this is taken from",
    producer="the check that is down and fills the queue, where that is why it is empty",
    why="what the state is told from, or why it cannot be",
)
#: Empty for so long is strange if by the weeks before so little was to be expected with this probability.
STRANGE = 0.01


@dataclass(frozen=True)
class Pair:
    """A check, the queue that it belongs to, and the check that it comes after, where stated."""

    check: str
    queue: str
    after: str | None
    status: str


def pairs(history: History) -> list[Pair]:
    """The checks that have a queue: stated in the configuration, else by a tag that is the name of a queue."""
    if not len(history.looks("looked_at")):
        return []
    stated = {check: (queue, after) for check, queue, after in history.joins}
    names = {row["queue"] for row in history.looks("queue_names").to_pylist()}
    found = []
    for check, tags, status in history.checks[["check", "tags", "status"]].itertuples(index=False):
        queue, after = stated.get(check, (None, None))
        queues = [queue] if queue is not None else [tag for tag in tags if tag in names]
        found += [Pair(check, one, after, status) for one in queues]
    return found


def jobs(history: History, *, tz: str = "UTC") -> pd.DataFrame:
    """Each check that has a queue, beside that queue: which of the two is in trouble, and what empty means.

    One row per check and queue, by check. The queue is seen over the last hour of looks. Empty is `done` where jobs came
    and went; `nothing arrives` where by the same hour of the week (in `tz`) jobs were to be expected, and chance leaves the
    queue so quiet in less than 1 of 100 hours; and the producer's fault where the check that it comes after, or the job
    itself, is down.
    """
    from qpanalytics.analysis.queues import FURTHEST, last_look_at

    found = pairs(history)
    if not found:
        return frame(COLUMNS, [], counts=("n",))
    with history.session():
        every = steps(history)
        status: dict[str, str] = dict(history.checks[["check", "status"]].itertuples(index=False))
        last = last_look_at(history)
    rows = []
    for pair in found:
        mine = [(source, s) for (source, queue), s in every.items() if queue == pair.queue and source in last]
        if not mine:
            rows.append(_row(pair, "", "unknown", None, why=f"no look shows a queue {spell.plain(pair.queue)}"))
        for source, whole in mine:
            at = last[source]
            if whole.at[-1] < micros(at) / 1e6 - FURTHEST.total_seconds():
                rows.append(_row(pair, source, "unknown", None, why="the queue is no longer shown"))
                continue
            rows.append(_state(pair, source, whole, recent(whole, at), status, tz))
    return frame(COLUMNS, rows, counts=("n",))


def _state(
    pair: Pair, source: str, whole: Steps, now: Steps | None, status: dict[str, str], tz: str
) -> Row:
    if now is None or len(now.seconds) < 1:
        return _row(pair, source, "unknown", None, why="one look only")
    flow = rates_of(now)
    depth = float(now.looks["depth"][-1])
    usual, weeks = usual_arrivals(whole, now, tz)
    row = _row(pair, source, "", now)
    row |= {
        "depth": depth, "arrivals_per_min": flow.arrivals.value * 60, "service_per_min": flow.service.value * 60,
        "net_per_min": flow.net.value * 60, "usual_per_min": usual * 60, "n": weeks,
    }  # fmt: skip
    reports = pair.status in ("up", "started", "grace")
    moves = flow.service.value > 0 or (not flow.service.n and flow.net.value < 0)
    if depth != depth:
        return row | {"state": "unknown", "why": "the depth is not known"}
    if depth > 0:
        stuck, why = _stuck(now, flow.service, flow.net)
        if stuck and reports:
            return row | {"state": "alive but not draining", "why": why}
        if moves and not stuck and pair.status == "down":
            return row | {"state": "draining but the job does not report", "why": _moving(flow.service, flow.net)}
        if stuck:
            return row | {"state": "unknown", "why": f"{why}; the check is {pair.status}"}
        return row | {"state": "draining", "why": _moving(flow.service, flow.net)}
    came = flow.arrivals.value > 0 or float(np.nansum(np.maximum(now.grown, 0.0))) > 0
    if came:
        if pair.status == "down":
            return row | {"state": "draining but the job does not report", "why": _moving(flow.service, flow.net)}
        return row | {"state": "empty: done", "why": "jobs came and went"}
    down = [c for c in (pair.after, pair.check) if c is not None and status.get(c) == "down"]
    if down:
        state = "empty: the producer's check is down"
        return row | {"state": state, "producer": down[0], "why": f"{spell.plain(down[0])} is down"}
    seconds = float(now.seconds.sum())
    if weeks and exp(-usual * seconds) < STRANGE:
        expected = spell.number(usual * seconds)
        return row | {"state": "empty: nothing arrives", "why": f"by the same hour of the week {expected} jobs were to come"}
    if weeks:
        return row | {"state": "empty: done", "why": "as quiet as in the same hour of the weeks before"}
    return row | {"state": "unknown", "why": "empty and quiet, and no week before to compare it with"}


def _stuck(now: Steps, service: rates.Rate, net: rates.Rate) -> tuple[bool, str]:
    """Whether jobs wait and it does not get better, and how that is known."""
    waits = bool((now.looks["depth"] > 0).all())
    ages = now.looks["oldest_age_s"]
    if not waits:
        return False, ""
    if service.n and service.value == 0:
        return True, f"jobs wait and none was finished in {spell.duration(service.seconds)}"
    if net.n and net.lo > 0:
        return True, f"the depth grows by {spell.number(net.value * 60)} a minute"
    older = ages[-1] - ages[0]
    if not service.n and np.isfinite(older) and older > 0.9 * (now.at[-1] - now.at[0]) > 0:
        return True, f"its oldest job waits for {spell.duration(float(ages[-1]))} and is not taken"
    if not service.n and net.n and not now.grown.any() and net.n >= rates.LEAST:
        return True, f"the depth did not move in {spell.duration(net.seconds)}"
    return False, ""


def _moving(service: rates.Rate, net: rates.Rate) -> str:
    if service.n:
        return f"{spell.number(service.value * 60)} tries a minute are finished"
    return f"the depth changes by {spell.number(net.value * 60)} a minute; finished jobs are not counted"


def usual_arrivals(whole: Steps, now: Steps, tz: str) -> tuple[float, int]:
    """Jobs a second in the same hours of the weeks before the steps `now`, and in how many weeks these were seen."""
    zone = zones.zone(tz)
    amount = np.where(np.isfinite(whole.arrivals), whole.arrivals, np.maximum(whole.grown, 0.0))
    first, last = _local(now.at[0], zone), _local(now.at[-1], zone)
    total = seconds = 0.0
    weeks = 0
    for back in range(1, 9):
        a, b = (_epoch(t - timedelta(weeks=back), zone) for t in (first, last))
        part = (whole.at[:-1] < b) & (whole.at[1:] > a) & np.isfinite(amount)
        if not part.any():
            continue
        inside = np.minimum(whole.at[1:][part], b) - np.maximum(whole.at[:-1][part], a)
        total += float((amount[part] * inside / whole.seconds[part]).sum())
        seconds += float(inside.sum())
        weeks += 1
    return (total / seconds if seconds else nan), weeks


def _local(at: float, zone: Any) -> datetime:
    """Local wall time, naive: a week before is the same wall time, also across a change of clocks."""
    return (EPOCH + timedelta(seconds=at)).astimezone(zone).replace(tzinfo=None)


def _epoch(local: datetime, zone: Any) -> float:
    return (local.replace(tzinfo=zone) - EPOCH).total_seconds()


def _row(pair: Pair, source: str, state: str, now: Steps | None, *, why: str = "") -> Row:
    return {
        "check": pair.check, "source": source, "queue": pair.queue, "state": state, "status": pair.status,
        "taken_us": None if now is None else round(now.at[-1] * 1e6), "depth": nan, "arrivals_per_min": nan,
        "service_per_min": nan, "net_per_min": nan, "usual_per_min": nan, "n": 0, "producer": "", "why": why,
    }  # fmt: skip
