"""Whether there are enough workers for what comes in: Little's law, with its numbers."""

from __future__ import annotations

from math import floor, isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from qpanalytics.analysis import rates
from qpanalytics.analysis.flow import Steps, frame, rates_of, steps
from qpanalytics.analysis.reading import Row, joined
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

COLUMNS = Columns(
    source="name of the source",
    queue="name of the queue; `*` for all of a source that are counted together",
    n="steps between looks",
    arrivals_per_min="jobs that came, a minute",
    service_s="how long one takes in a worker, seconds: jobs in workers over tries finished a second",
    load="workers that this keeps busy: arrivals times that",
    load_lo="the same at the lower end of the arrivals' 95 % interval",
    load_hi="the same at the upper end",
    slots="jobs that workers had in hand at a time: the most while others waited, so all that there is room for",
    needed="slots from which on the queue does not grow for ever: the first whole number above the load",
    too_few="the load is more than the slots, at the lower end of its interval; missing with why",
    why="reason for each NaN, else empty",
)


def staffing(history: History) -> pd.DataFrame:
    """The load of each queue over the window against what its workers can take at a time; by source and name.

    Little (1961), Operations Research 9, 383-387: jobs in workers = rate of jobs through them x time in them, whatever the
    order and the distributions. So the time that one takes follows from how many are in hand and how many are finished,
    and the load from that and the arrivals. One slot is a thread or process that runs one job. Looks sample the jobs in
    hand: over fewer than some 30 of them the time is rough.
    """
    rows: list[Row] = []
    for (source, queue), found in steps(history).items():
        rows.append({"source": source, "queue": queue, **_load(found)})
    return frame(COLUMNS, rows, counts=("n",), flags=("too_few",))


def _load(found: Steps) -> Row:
    flow = rates_of(found)
    # jobs in hand in a step: the mean over the looks that its end stands for
    hand = found.looks["active_mean"][1:]
    known = np.isfinite(hand) & np.isfinite(found.service)
    through = rates.rate(found.service[known], found.seconds[known])
    held = float(np.average(hand[known], weights=found.seconds[known])) if known.any() else nan
    service_s = held / through.value if through.n and through.value > 0 else nan
    full = found.waited & np.isfinite(found.looks["active_max"][1:])
    slots = float(found.looks["active_max"][1:][full].max()) if full.any() else nan
    load, lo, hi = (r * service_s for r in (flow.arrivals.value, flow.arrivals.lo, flow.arrivals.hi))
    why = [flow.why if not flow.arrivals.n else ""]
    if flow.arrivals.n and not known.any():
        why.append("service, load: how many jobs are in workers is not known")
    elif flow.arrivals.n and not isfinite(service_s):
        why.append("service, load: nothing was finished")
    if not isfinite(slots):
        why.append("slots: no job waited while the jobs in workers were known, so they were never all busy")
    return {
        "n": len(found.seconds), "arrivals_per_min": flow.arrivals.value * 60, "service_s": service_s,
        "load": load, "load_lo": lo, "load_hi": hi, "slots": slots, "needed": floor(load) + 1.0 if isfinite(load) else nan,
        "too_few": bool(lo > slots) if isfinite(lo) and isfinite(slots) else None, "why": joined(*why),
    }  # fmt: skip
