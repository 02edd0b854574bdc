"""What comes into queues and what goes out of them, from counters and depths, over a window and now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis import rates, reading
from qpanalytics.analysis.rates import LEAST, Rate
from qpanalytics.analysis.reading import Row, joined
from qpanalytics.instants import instant, micros
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

Floats = npt.NDArray[np.float64]
Queue = tuple[str, str]

COLUMNS = Columns(
    source="name of the source",
    queue="name of the queue; `*` for all of a source whose system counts only them together",
    n="steps between looks in the window",
    since_at="the first look in the window",
    until_at="the last look in it",
    arrivals_per_min="jobs and new tries that came, a minute: finished ones and the growth of what waits or runs; NaN with why",
    arrivals_lo="lower end of its 95 % interval",
    arrivals_hi="upper end of its 95 % interval",
    service_per_min="tries finished, a minute, failed ones included; NaN with why",
    service_lo="lower end of its 95 % interval",
    service_hi="upper end of its 95 % interval",
    net_per_min="growth of the depth, a minute; negative drains",
    net_lo="lower end of its 95 % interval",
    net_hi="upper end of its 95 % interval",
    capacity_per_min="tries finished while jobs waited all the time, a minute: what it can do; NaN with why",
    utilisation="arrivals over capacity: 1 and more is more than it can do; NaN with why",
    fail_rate="share of the finished tries that failed; NaN where not counted",
    resets="how often the counter began anew",
    depth_max="the greatest depth",
    oldest_age_max_s="the greatest age of the oldest job, seconds",
    why="reason for each NaN, else empty",
)


@dataclass(frozen=True)
class Steps:
    """A queue from look to look: `at` (epoch seconds) has one more than the steps between; NaN is not known.

    `arrivals` and `service` are jobs in each step, `grown` how much the depth grew; `waited` says that jobs waited all
    the time and that it was not paused.
    """

    at: Floats
    seconds: Floats
    arrivals: Floats
    service: Floats
    failures: Floats
    grown: Floats
    waited: npt.NDArray[np.bool_]
    resets: int
    #: By look, not by step.
    looks: dict[str, Floats]
    #: The source counts finished tries somewhere, if only in its row `*`.
    counted: bool

    def since(self, at: float) -> Steps:
        """The steps that begin at `at` (epoch seconds) or later."""
        return self._cut(int(np.searchsorted(self.at, at)), len(self.at))

    def until(self, at: float) -> Steps:
        """The steps that end by `at` (epoch seconds)."""
        return self._cut(0, int(np.searchsorted(self.at, at, side="right")))

    def last(self, number: int) -> Steps:
        """The last so many steps."""
        return self._cut(max(len(self.at) - number - 1, 0), len(self.at))

    def _cut(self, first: int, stop: int) -> Steps:
        steps = slice(first, max(stop - 1, first))
        return Steps(
            self.at[first:stop], self.seconds[steps], self.arrivals[steps], self.service[steps], self.failures[steps],
            self.grown[steps], self.waited[steps], int(np.nansum(self.looks["resets"][first + 1 : stop])),
            {name: values[first:stop] for name, values in self.looks.items()}, self.counted,
        )  # fmt: skip


def steps(history: History, *, since: datetime | None = None) -> dict[Queue, Steps]:
    """Each queue of the window (or from `since` on) from look to look, by source and name."""
    found: dict[Queue, Steps] = history.within(("steps", since), lambda: _read(history, since))
    return found


def _read(history: History, since: datetime | None) -> dict[Queue, Steps]:
    table = history.looks("flow", since=since)
    names = list(zip(table.column("source").to_pylist(), table.column("queue").to_pylist(), strict=True))
    counted = table.column("counted").to_pylist()
    figures = {
        name: table.column(name).to_numpy().astype(np.float64)
        for name in table.column_names
        if name not in ("source", "queue", "system", "counted")
    }
    found: dict[Queue, Steps] = {}
    first = 0
    for place in range(1, len(names) + 1):
        if place == len(names) or names[place] != names[first]:
            looks = {name: values[first:place] for name, values in figures.items()}
            found[names[first]] = _steps(looks, counted[first])
            first = place
    return found


def _steps(looks: dict[str, Floats], counted: bool) -> Steps:
    at = looks["at_us"] / 1e6
    service = looks["processed_gain"][1:]
    grown = np.diff(looks["depth"])
    # A job that was taken has come, also while it still runs; where running ones are not shown they are left out.
    running = np.diff(looks["active"])
    # A step may be negative where counters are written late: the next one makes up for it, so it is not cut off.
    arrivals = service + grown + np.where(np.isfinite(running), running, 0.0)
    waited = (looks["depth"][:-1] > 0) & (looks["depth_min"][1:] > 0) & ~(looks["paused_looks"][1:] > 0)
    resets = int(np.nansum(looks["resets"][1:]))
    return Steps(at, np.diff(at), arrivals, service, looks["failed_gain"][1:], grown, waited, resets, looks, counted)


def recent(found: Steps | None, taken_at: datetime) -> Steps | None:
    """The steps of now: of the last hour, or the last eight where looks are rare, but of a day at most."""
    from qpanalytics.analysis.queues import FURTHEST, LEAST_STEPS, RECENT

    if found is None:
        return None
    at = micros(taken_at) / 1e6
    near = found.until(at).since(at - FURTHEST.total_seconds())
    hour = near.since(at - RECENT.total_seconds() - 1.0)
    return hour if len(hour.seconds) >= LEAST_STEPS else near.last(LEAST_STEPS)


@dataclass(frozen=True)
class Flow:
    """The rates of one queue, a second, and the reasons for those that are missing."""

    arrivals: Rate
    service: Rate
    net: Rate
    capacity: Rate
    utilisation: float
    why: str


def rates_of(found: Steps) -> Flow:
    """The rates of a queue over its steps."""
    service = rates.rate(found.service, found.seconds)
    arrivals = rates.rate(found.arrivals, found.seconds)
    net = rates.rate(found.grown, found.seconds, counts=False)
    busy = found.waited & np.isfinite(found.service)
    capacity = rates.rate(np.where(busy, found.service, nan), found.seconds)
    why = []
    if service.n == 0 and len(found.seconds):
        why.append(
            "arrivals, service: the system counts finished jobs for all queues together, see queue *"
            if found.counted
            else "arrivals, service: the system does not count finished jobs"
        )
    elif arrivals.n == 0 and len(found.seconds):
        why.append("arrivals: the depth is not known")
    if net.n == 0 and len(found.seconds):
        why.append("net: the depth is not known")
    if len(found.seconds) < LEAST:
        why.append(f"intervals: {len(found.seconds)} steps between looks, at least {LEAST} are needed")
    utilisation = nan
    if arrivals.n and capacity.n < LEAST:
        why.append("utilisation: jobs never waited long enough to show what it can do")
    elif arrivals.n and capacity.value == 0:
        why.append("utilisation: nothing was finished while jobs waited")
    elif arrivals.n:
        utilisation = arrivals.value / capacity.value
    return Flow(arrivals, service, net, capacity if capacity.n >= LEAST else Rate(0, 0.0), utilisation, joined(*why))


def present(found: Steps | None, look: dict[str, Any]) -> Row:
    """The columns of `qpa queues` that tell how a queue moves now; `found` are its recent steps, `look` its last look."""
    if found is None or len(found.seconds) == 0:
        flow = Flow(Rate(0, 0.0), Rate(0, 0.0), Rate(0, 0.0), Rate(0, 0.0), nan, "there is no look before this one")
    else:
        flow = rates_of(found)
    depth = look["depth"] if look["depth"] is not None else nan
    if look["queue"] == "*" and found is not None and len(found.at):
        depth = float(found.looks["depth"][-1])
    emptied = rates.drain(depth, flow.net)
    why = f"drain: {emptied.why}" if emptied.why and flow.net.n else ""
    return {
        "n": 0 if found is None else len(found.seconds),
        "over_s": 0.0 if found is None else float(found.seconds.sum()),
        **_per_min("arrivals", flow.arrivals), **_per_min("service", flow.service), **_per_min("net", flow.net),
        "utilisation": flow.utilisation, "drain_s": emptied.seconds, "drain_lo_s": emptied.lo, "drain_hi_s": emptied.hi,
        "drains": emptied.drains, "flow_why": joined(flow.why, why),
    }  # fmt: skip


def _per_min(name: str, rate: Rate) -> Row:
    return {f"{name}_per_min": rate.value * 60, f"{name}_lo": rate.lo * 60, f"{name}_hi": rate.hi * 60}


def flow(history: History) -> pd.DataFrame:
    """What came into each queue of the window and what went out of it, with 95 % intervals, by source and name.

    Service is how far the counter of finished tries moved (one that went backwards began anew, so a rate is never
    negative), arrivals are service and the growth of what waits or runs: a job that came and went between two looks is
    counted in both. Where a system counts nothing only the growth of the depth is known. Looks that were missed widen a
    step and lose nothing.
    """
    rows: list[Row] = []
    for (source, queue), found in steps(history).items():
        one = rates_of(found)
        rows.append(
            {
                "source": source, "queue": queue, "n": len(found.seconds),
                "since_us": round(found.at[0] * 1e6), "until_us": round(found.at[-1] * 1e6),
                **_per_min("arrivals", one.arrivals), **_per_min("service", one.service), **_per_min("net", one.net),
                "capacity_per_min": one.capacity.value * 60, "utilisation": one.utilisation,
                "fail_rate": _share(found), "resets": found.resets,
                "depth_max": _most(found.looks["depth"]), "oldest_age_max_s": _most(found.looks["oldest_age_max_s"]),
                "why": one.why,
            }
        )  # fmt: skip
    return frame(COLUMNS, rows, counts=("n", "resets"))


def _share(found: Steps) -> float:
    both = np.isfinite(found.failures) & np.isfinite(found.service)
    done = float(found.service[both].sum())
    return min(float(found.failures[both].sum()) / done, 1.0) if done else nan


def _most(values: Floats) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else nan


def frame(columns: Columns, rows: list[Row], *, counts: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> pd.DataFrame:
    """The declared columns of rows: times from `..._us`, texts as they are, what is counted whole, the rest reals."""
    import pandas as pd

    texts = ("source", "queue", "worker", "check", "why", "state", "status", "day", "of", "producer")
    data: dict[str, Any] = {}
    for name in columns:
        if name.endswith("_at"):
            at = [None if row[f"{name[:-3]}_us"] is None else instant(row[f"{name[:-3]}_us"]) for row in rows]
            data[name] = pd.Series(at, dtype="datetime64[us, UTC]")
        elif name in texts:
            data[name] = reading.texts(row[name] for row in rows)
        elif name in counts:
            data[name] = reading.known_counts(row[name] for row in rows)
        elif name in flags:
            data[name] = pd.Series([row[name] for row in rows], dtype="boolean")
        else:
            data[name] = reading.reals(row[name] for row in rows)
    return columns.order(pd.DataFrame(data))
