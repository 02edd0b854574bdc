"""Jobs that fail together: retry storms where they begin, dead jobs that become more, jobs whose worker is gone."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qpanalytics.analysis import rates
from qpanalytics.analysis.flow import Steps, frame, steps
from qpanalytics.analysis.reading import Row
from qpanalytics.thresholds import STORM_BEFORE_S, STORM_GROWTH, STORM_LOOKS, STORM_SCATTER, STORM_STEPS
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

Floats = npt.NDArray[np.float64]

STORMS = Columns(
    source="name of the source",
    queue="name of the queue; `*` where the system keeps retries for all together",
    began_at="the last look before the retries grew",
    seen_at="the first look that could tell",
    ended_at="when half of the growth was gone again; missing while it lasts",
    retrying_before="retrying jobs before it",
    retrying_most="the most in it",
    grows_per_min="growth of the retries from its begin to when it was seen, a minute",
    service_per_min="tries that succeeded meanwhile, a minute (finished ones where failures are not counted); NaN with why",
    service_before_per_min="the same in the hour before; NaN with why",
    why="reason for each NaN, else empty",
)
DEAD = Columns(
    source="name of the source",
    queue="name of the queue; `*` where the system keeps dead jobs for all together",
    dead="dead jobs at the last look",
    died="jobs that died in the window: what the set grew by, not less what somebody took out of it",
    n="steps between looks that this was seen in",
    per_day="the same a day",
    per_day_lo="lower end of its 95 % interval",
    per_day_hi="upper end of its 95 % interval",
    last_at="the last look that showed growth; missing where none did",
    why="reason for each NaN, else empty",
)
ORPHANED = Columns(
    source="name of the source",
    queue="name of the queue; `*` where the system keeps them for all together",
    orphaned="jobs whose worker is gone, at the last look",
    since_at="since when every look showed some; not before the window",
    most="the most in that time",
    taken_at="the last look",
    why="empty: queues that cannot tell are not in it",
)


def storms(history: History) -> pd.DataFrame:
    """Retry storms of the window where they began: retries grow, and no more jobs get done than before.

    Retries that grow because there is more of everything are none: what succeeds grows with them. Growth counts when
    two looks in a row show at least five jobs more than the hour before did, and more than four times the scatter of so
    many. Where the system counts nothing
    that was finished, growth alone is told, and `why` says so.
    """
    rows: list[Row] = []
    for (source, queue), found in steps(history).items():
        rows += [{"source": source, "queue": queue, **storm} for storm in _storms(found)]
    return frame(STORMS, rows)


def _storms(found: Steps) -> list[Row]:
    retrying, at = found.looks["retrying"], found.at
    known = np.isfinite(found.failures)
    done = np.where(known, found.service - np.where(known, found.failures, 0.0), found.service)
    usual_level = _usual(retrying, at)
    rows: list[Row] = []
    free = 0
    for place in _candidates(retrying, usual_level).tolist():
        if place - STORM_STEPS < free:
            continue
        calm = np.flatnonzero(retrying[: place - 1] <= usual_level[place - STORM_STEPS])
        began = int(calm[-1]) if len(calm) else place - STORM_STEPS
        usual = (at[:-1] >= at[began] - STORM_BEFORE_S) & (at[1:] <= at[began])
        now = rates.rate(done[began:place], found.seconds[began:place])
        before = rates.rate(done[usual], found.seconds[usual])
        # more of everything: what succeeds became more by more than chance
        if now.n and before.n and now.value > before.value and not _same(now, before):
            continue
        until = _end(retrying, began, place)
        lasted = retrying[began : (len(at) - 1 if until is None else until) + 1]
        why = [] if now.n else ["service: finished jobs are not counted, so growth alone is told"]
        why += ["service before: there is no hour before"] if now.n and not before.n else []
        rows.append(
            {
                "began_us": _us(at[began]), "seen_us": _us(at[place]),
                "ended_us": None if until is None else _us(at[until]),
                "retrying_before": retrying[began], "retrying_most": float(np.nanmax(lasted)),
                "grows_per_min": (retrying[place] - retrying[began]) / (at[place] - at[began]) * 60,
                "service_per_min": now.value * 60, "service_before_per_min": before.value * 60, "why": "; ".join(why),
            }
        )  # fmt: skip
        if until is None:
            break
        free = until
    return rows


def _usual(retrying: Floats, at: Floats) -> Floats:
    """At each look what is usual: the median of the hour up to it, or of the last eight looks where they are rare."""
    import pandas as pd

    series = pd.Series(retrying, index=pd.to_datetime(np.round(at * 1e6).astype(np.int64), unit="us"))
    hour = series.rolling(pd.Timedelta(seconds=STORM_BEFORE_S), min_periods=STORM_LOOKS).median().to_numpy()
    few = series.rolling(STORM_LOOKS, min_periods=1).median().to_numpy()
    return np.where(np.isfinite(hour), hour, few)


def _candidates(retrying: Floats, usual: Floats) -> npt.NDArray[np.int64]:
    """Looks that stand, with the one before them, above what was usual three steps ago by more than chance, still growing."""
    base = usual[:-STORM_STEPS]
    over = base + np.maximum(STORM_GROWTH, STORM_SCATTER * np.sqrt(base + 1))
    first, one, two, last = (retrying[k : len(retrying) - STORM_STEPS + k] for k in range(STORM_STEPS + 1))
    # an unknown number compares false
    found = (two >= over) & (last >= over) & (last >= np.maximum(np.maximum(first, one), two)) & (last > first)
    return np.flatnonzero(found) + STORM_STEPS


def _same(now: rates.Rate, before: rates.Rate) -> bool:
    """Whether two rates of counted things differ by no more than twice the scatter of so many."""
    scatter = sqrt(now.value / now.seconds + before.value / before.seconds)
    return abs(now.value - before.value) <= 2 * scatter


def _end(retrying: Floats, began: int, seen: int) -> int | None:
    """The first look behind `seen` at which half of the growth is gone; None where it is not."""
    most = retrying[seen]
    for place in range(seen, len(retrying)):
        if np.isfinite(retrying[place]):
            most = max(most, retrying[place])
            if retrying[place] <= retrying[began] + (most - retrying[began]) / 2:
                return place
    return None


def dead(history: History) -> pd.DataFrame:
    """How the dead jobs of each queue became more in the window, by source and name.

    One row per queue whose system keeps dead jobs. A set that somebody emptied begins anew: only growth counts, so
    clearing it on Friday does not hide what died on Thursday.
    """
    rows: list[Row] = []
    for (source, queue), found in steps(history).items():
        sizes = found.looks["dead"]
        if not np.isfinite(sizes).any():
            continue
        grown = np.maximum(np.diff(sizes), 0.0)
        rate = rates.rate(grown, found.seconds)
        last = np.flatnonzero(grown > 0)
        rows.append(
            {
                "source": source, "queue": queue, "dead": sizes[-1], "n": rate.n,
                "died": float(np.nansum(grown)) if rate.n else nan,
                "per_day": rate.value * 86_400, "per_day_lo": rate.lo * 86_400, "per_day_hi": rate.hi * 86_400,
                "last_us": _us(found.at[last[-1] + 1]) if len(last) else None,
                "why": "" if rate.n >= rates.LEAST else f"{rate.n} steps between looks, at least {rates.LEAST} are needed",
            }
        )  # fmt: skip
    return frame(DEAD, rows, counts=("n",))


def orphaned(history: History) -> pd.DataFrame:
    """Queues with jobs whose worker is gone at their last look, and since when; by source and name."""
    rows: list[Row] = []
    for (source, queue), found in steps(history).items():
        number = found.looks["orphaned"]
        if not number[-1] > 0:
            continue
        clean = np.flatnonzero(~(number > 0))
        first = int(clean[-1]) + 1 if len(clean) else 0
        rows.append(
            {
                "source": source, "queue": queue, "orphaned": number[-1], "since_us": _us(found.at[first]),
                "most": float(number[first:].max()), "taken_us": _us(found.at[-1]), "why": "",
            }
        )  # fmt: skip
    return frame(ORPHANED, rows)


def _us(at: float) -> int:
    return round(at * 1e6)
