"""What a drift of one check runs into: its grace, its max runtime, the next run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import projection, stats
from qpanalytics.analysis.breaks import Break
from qpanalytics.analysis.projection import Line, Meeting
from qpanalytics.analysis.reading import Row
from qpanalytics.analysis.seasons import DAY_S
from qpanalytics.analysis.series import Checked, Series
from qpanalytics.schedules import parse

#: A date further ahead is none that anyone plans by.
AHEAD_DAYS = 90
#: The ends of its range are looked for so far ahead.
FAR_DAYS = 400
#: The runs of a trend that a line is fitted to, at least.
LEAST = 12
_SAID = {"grace": "its grace", "max_runtime": "its max runtime", "interval": "its interval"}


@dataclass(frozen=True)
class Met:
    """The columns of what is met, and what is to be said of it."""

    row: Row = field(default_factory=dict)
    why: str = ""


def limits(check: Checked, metric: str) -> dict[str, float]:
    """What a metric of a check must stay below, by name, seconds: lateness (start delay plus duration) below the grace, a
    duration below the max runtime and below the shortest gap to the next run."""
    if metric == "lateness":
        return {} if check.grace_s is None else {"grace": check.grace_s}
    if metric != "duration":
        return {}
    found = {} if check.max_runtime_s is None else {"max_runtime": check.max_runtime_s}
    if check.schedule is not None:
        found["interval"] = parse(check.schedule, check.tz or "UTC").shortest_gap_s()
    return found


def meets(check: Checked, metric: str, series: Series, b: Break, logs: bool, as_of_s: float) -> Met:
    """What the change `b` of `series`, which is in force, has reached or will reach, and when."""
    known = limits(check, metric)
    if not known or b.weekday:
        return Met()
    if b.kind == "step":
        return _stepped(known, series, b)
    found = line(series, b, logs)
    if found is None:
        return Met(why="too few runs since it began to tell where it leads")
    rising = b.slope > 0
    if not rising:
        return Met()
    span = float(series.at_s[b.at]), as_of_s + FAR_DAYS * DAY_S
    met = [(name, projection.meeting(found, limit, *span)) for name, limit in known.items()]
    name, first = min(met, key=lambda pair: pair[1].at_s)
    return _dated(name, first, series, as_of_s)


def line(series: Series, b: Break, logs: bool) -> list[Line] | None:
    """The lines through the runs of a trend; from the latest place its hinge may be at, so that none is from before it."""
    many = len(series.values) - b.at
    first = b.hi if len(series.values) - b.hi >= max(LEAST, many // 2) else b.at
    if len(series.values) - first < LEAST:
        return None
    return projection.lines(series.at_s[first:], series.values[first:], logs)


def _stepped(known: dict[str, float], series: Series, b: Break) -> Met:
    """A step meets a limit at once, if one run in twenty is beyond it now and was not before."""
    after, before = np.sort(series.values[b.at : b.end]), np.sort(series.values[: b.at])
    for name, limit in sorted(known.items(), key=lambda pair: pair[1]):
        if stats.quantile(after, projection.SHARE) >= limit > stats.quantile(before, projection.SHARE):
            at, lo, hi = (float(series.at_s[k]) for k in (b.at, b.lo, b.hi))
            return Met({"meets": name, "meets_at": at, "meets_lo_at": lo, "meets_hi_at": hi})
    return Met()


def _dated(name: str, found: Meeting, series: Series, as_of_s: float) -> Met:
    if found.at_s > as_of_s + AHEAD_DAYS * DAY_S:
        return Met(why=f"does not reach {_SAID[name]} at this rate within {AHEAD_DAYS} days")
    row = {"meets": name, "meets_at": found.at_s, "meets_lo_at": found.lo_s, "meets_hi_at": found.hi_s}
    if found.at_s <= as_of_s:
        return Met(row | {"meets_hi_at": min(found.hi_s, as_of_s)}, f"one run in twenty is beyond {_SAID[name]} already")
    if found.hi_s - found.lo_s >= series.at_s[-1] - series.at_s[0]:
        return Met({"meets": name}, f"may reach {_SAID[name]}, but when cannot be told from this history")
    return Met(row)


def said(check: Checked, name: str) -> str:
    """A limit for people: "grace 10 min"."""
    limit = (limits(check, "lateness") | limits(check, "duration"))[name]
    return f"{name.replace('_', ' ')} {spell.duration(limit)}"
