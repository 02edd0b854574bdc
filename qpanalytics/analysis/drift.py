"""What has become slower, later or less reliable for good, or suddenly is the opposite, and when it will matter."""

from __future__ import annotations

from datetime import timedelta
from math import inf, isfinite, nan
from typing import Any

import numpy as np
import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis import breaks, failing, meets, reading
from qpanalytics.analysis.reading import Reading, Row
from qpanalytics.analysis.seasons import DAY_S
from qpanalytics.analysis.settled import Settled, settled
from qpanalytics.instants import instant
from qpanalytics.words import Columns

COLUMNS = Columns(
    check="name of the check",
    metric="`duration`, `lateness`, `start_delay`, `failures`",
    kind="`step`, `trend`, `blip` (only where asked for); missing where no change was found or none could be, with why",
    changed_at="the first run of the new level, of a trend the run it began at; of a blip the excursion's first run",
    changed_lo_at="earliest run that it may have begun at, 95 %",
    changed_hi_at="latest run that it may have begun at, 95 %",
    before_s="median before it, back to the change before; of a trend the level it began from, seconds; NaN for failures",
    after_s="median after it, up to the next change; of a trend the level at its end, seconds; NaN for failures",
    before="share that went wrong before it, 0 to 1; only for failures",
    after="share that went wrong after it, 0 to 1; only for failures",
    ratio="after / before; NaN where before is zero or negative",
    per_day_s="growth of a trend at its end, seconds a day; NaN for others",
    n="runs of the window that this series has",
    n_after="of them since the change, up to the next one",
    q_value="share of false ones among all findings that are at least this sure, over the checks of this history",
    in_force="it describes the present: no later change of this series, and not a blip",
    is_new="it could first be told within the last 7 days before as_of; else it stands, or is over",
    known_at="the run at which it could first be told",
    meets="what it reaches: `grace` (lateness), `max_runtime`, `interval` (duration); missing where nothing is",
    meets_at="when one run in twenty reaches it; past where it does already",
    meets_lo_at="earliest date, 95 %",
    meets_hi_at="latest date, 95 %",
    why="what else is to be said of it, and the reason where nothing was found or judged",
)
NEW = timedelta(days=7)
#: Of a change that is likelier than this to be none nothing is said at all.
LIKELY = 0.1
_DAYS = ("", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def drift(history: Reading, *, blips: bool = False) -> pd.DataFrame:
    """Where durations, lateness, start delay and the share of failures changed in the window, and what that leads to.

    One row per change, by check, metric and time. A series without one has a row with `kind` missing and "no change found
    in 365 runs", or the reason why it could not be judged, in `why`; a history of 10 runs at least can be.

    A *step* is another level from one run to the next, a *trend* a level that moves evenly; both count in both directions,
    since a backup that takes a third of its time is broken, too. Excursions that came back are *blips*: left out unless
    `blips` asks for them. What returns with the hour or the weekday is no change; one weekday alone may change ("Sundays
    only" in `why`). Changes under 5 %, or of lateness and start delay under 0.2 % of the grace, are left out.

    At `q_value` 0.01 one in a hundred findings of a fleet is false (Benjamini and Hochberg 1995); less sure ones are not
    shown. The method for one series is that of `breaks.judge`: optimal partitioning (Jackson et al. 2005) of medians,
    without their seasons, with a penalty from the long-run variance, since loads remember yesterday's; for failures it is
    `failing.judge`. `changed_lo_at` to `changed_hi_at` hold the true date with 95 % (Hansen 2000).

    A trend is followed to the date at which one run in twenty reaches the limit (`meets_at`); the range is that of the
    line and of the 95th percentile around it, and it is given only while it is shorter than the history. Where growth may
    be even or compounding, the range is that of both. Nothing is said of more than 90 days ahead.
    """
    data: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for one in settled(history):
        n = 0 if one.series is None else len(one.series.values)
        rows = [_row(one, place, history.as_of.timestamp()) for place, b in enumerate(one.breaks) if blips or b.kind != "blip"]
        for row in rows or [{"why": why(one)}]:
            told = {"check": one.check.check, "metric": one.metric, "n": n} | row
            for name, column in data.items():
                column.append(told.get(name))
    return _frame(data)


def _row(one: Settled, place: int, as_of_s: float) -> Row:
    assert one.series is not None
    b, (before, after), in_force, at_s = one.breaks[place], one.levels[place], one.in_force[place], one.series.at_s
    mine = one.series.weekday[b.at : b.end] == b.weekday if b.weekday else np.ones(b.end - b.at, dtype=bool)
    n_after = int(mine.sum())
    shares = one.metric == "failures"
    row: Row = {
        "kind": b.kind, "changed_at": at_s[b.at], "changed_lo_at": at_s[b.lo], "changed_hi_at": at_s[b.hi],
        "before_s": nan if shares else before, "after_s": nan if shares else after,
        "before": before if shares else nan, "after": after if shares else nan,
        "ratio": after / before if before > 0 else nan, "n_after": n_after, "q_value": one.q[place], "in_force": in_force,
        "known_at": at_s[b.known], "is_new": bool(in_force and at_s[b.known] > as_of_s - NEW.total_seconds()),
    }  # fmt: skip
    if b.kind == "trend":
        days = (at_s[-1] - at_s[b.at]) / DAY_S
        row["per_day_s"] = (after - before) / days if b.even or not one.logs else after * b.slope
    said = [f"{_DAYS[b.weekday]} only" if b.weekday else ""]
    if one.promised(b):
        said.append("its schedule or its limits were changed at the same time")
    if b.kind == "blip":
        said.append(f"came back after {spell.plural(n_after, 'run')}")
    if in_force and not shares:
        met = meets.meets(one.check, one.metric, one.series, b, one.logs, as_of_s)
        row |= met.row
        said.append(met.why)
    return row | {"why": reading.joined(*said)}


def why(one: Settled) -> str:
    """Why there is no change to show of a series."""
    if one.series is None:
        return one.check.why[one.metric]
    n = len(one.series.values)
    least = 2 * failing.LEAST if one.metric == "failures" else breaks.LEAST
    if n < least:
        return f"{spell.plural(n, 'run')} cannot tell a change; {least} can"
    said = f"no change found in {spell.plural(n, 'run')}"
    if one.unsure is None or one.unsure[1] > LIKELY:
        return said
    b, q = one.unsure
    day = spell.day(instant(round(one.series.at_s[b.at] * 1e6)), "UTC")
    return f"{said} that is sure enough; the likeliest is a {b.kind} of {day} with q {q:.2g}"


def _frame(data: dict[str, list[Any]]) -> pd.DataFrame:
    made: Row = {}
    for name, column in data.items():
        if name.endswith("_at"):
            made[name] = _instants(column)
        elif name in ("check", "metric", "why"):
            made[name] = reading.texts(column)
        elif name in ("kind", "meets"):
            made[name] = pd.Series(column, dtype="str")
        elif name in ("in_force", "is_new"):
            made[name] = pd.Series([bool(v) for v in column], dtype=bool)
        elif name in ("n", "n_after"):
            made[name] = reading.known_counts(column)
        else:
            made[name] = reading.reals(column)
    return reading.frame(COLUMNS, made)


def _instants(seconds: list[float | None]) -> pd.Series[pd.Timestamp]:
    """Epoch seconds as UTC instants; NaT where unknown or never."""
    known = [s if s is not None and isfinite(s) and s < inf else nan for s in seconds]
    whole = np.array([np.iinfo(np.int64).min if s != s else round(s * 1e6) for s in known], dtype=np.int64)
    return pd.Series(whole.view("datetime64[us]")).dt.tz_localize("UTC")
