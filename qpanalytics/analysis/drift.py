"""What has become slower, later or less reliable for good, or suddenly is the opposite, and when it will matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import inf, isfinite, nan
from typing import Any

import numpy as np
import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis import breaks, failing, meets, reading
from qpanalytics.analysis.breaks import Break, Judged
from qpanalytics.analysis.discoveries import q_values
from qpanalytics.analysis.reading import Reading, Row
from qpanalytics.analysis.series import METRICS, Checked, Series, checked
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
#: At this rate of false discoveries a change is one.
SURE = 0.01
#: A change of a level by less is none that matters, as a share of the level and (lateness, start delay) of the grace.
MATTERS, MATTERS_OF_GRACE = 0.05, 0.01
NEW = timedelta(days=7)
_DAYS = ("", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True)
class Found:
    """One metric of one check as it was judged; `levels` are before and after of each of its breaks."""

    check: Checked
    metric: str
    series: Series | None
    judged: Judged
    levels: list[tuple[float, float]]


def drift(history: Reading, *, blips: bool = False) -> pd.DataFrame:
    """Where durations, lateness, start delay and the share of failures changed in the window, and what that leads to.

    One row per change, by check, metric and time. A series without one has a row with `kind` missing and "no change found
    in 365 runs", or the reason why it could not be judged, in `why`; a history of 10 runs at least can be.

    A *step* is another level from one run to the next, a *trend* a level that moves evenly; both count in both directions,
    since a backup that takes a third of its time is broken, too. Excursions that came back are *blips*: left out unless
    `blips` asks for them. What returns with the hour or the weekday is no change; one weekday alone may change ("Sundays
    only" in `why`). Changes under 5 %, or of lateness and start delay under 1 % of the grace, are left out.

    At `q_value` 0.01 one in a hundred findings of a fleet is false (Benjamini and Hochberg 1995); less sure ones are not
    shown. The method for one series is that of `breaks.judge`: optimal partitioning (Jackson et al. 2005) of medians,
    without their seasons, with a penalty from the long-run variance, since loads remember yesterday's; for failures it is
    `failing.judge`. `changed_lo_at` to `changed_hi_at` hold the true date with 95 % (Hansen 2000).

    A trend is followed to the date at which one run in twenty reaches the limit (`meets_at`); the range is that of the
    line and of the 95th percentile around it, and it is given only while it is shorter than the history. Where growth may
    be even or compounding, the range is that of both. Nothing is said of more than 90 days ahead.
    """
    found = judged(history)
    ids, q = _fleet(found)
    data: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    as_of_s = history.as_of.timestamp()
    for place, one in enumerate(found):
        rows = list(_rows(one, q[ids[place] : ids[place + 1]], as_of_s, blips))
        for row in rows or [{"why": _why(one)}]:
            told = {"check": one.check.check, "metric": one.metric, "n": 0 if one.series is None else len(one.series.values)} | row
            for name, column in data.items():
                column.append(told.get(name))
    return _frame(data)


def judged(history: Reading) -> list[Found]:
    """Every metric of every check, in the order of rows, with the changes that matter, sure or not."""
    return [_judged(check, metric) for check in checked(history) for metric in METRICS]


def sure(found: list[Found]) -> dict[tuple[int, str], list[Break]]:
    """By check and metric the changes (no blips) that the fleet is sure of."""
    ids, q = _fleet(found)
    return {
        (one.check.check_id, one.metric): [
            b for b, q_value in zip(one.judged.breaks, q[ids[i] : ids[i + 1]], strict=False) if b.kind != "blip" and q_value <= SURE
        ]
        for i, one in enumerate(found)
    }


def _judged(check: Checked, metric: str) -> Found:
    series = check.series.get(metric)
    if series is None:
        return Found(check, metric, None, Judged(), [])
    if metric == "failures":
        whole = failing.judge(series.values)
    else:
        whole = breaks.judge(series.at_s, series.values, series.weekday, series.hour)
    levels = breaks.levels(series.at_s, series.values, series.weekday, whole, shares=metric == "failures")
    grace = (check.grace_s or 0.0) * MATTERS_OF_GRACE if metric in ("lateness", "start_delay") else 0.0
    keep = [
        i for i, (before, after) in enumerate(levels) if abs(after - before) >= max(MATTERS * abs(before), grace)
    ]
    return Found(
        check, metric, series, Judged([whole.breaks[i] for i in keep], whole.logs, whole.memory), [levels[i] for i in keep]
    )


def _fleet(found: list[Found]) -> tuple[list[int], Any]:
    """q values of all breaks of all series in order, series without one counting as one with p = 1; and each one's first."""
    p: list[float] = []
    firsts = [0]
    for one in found:
        p += [b.p for b in one.judged.breaks] or ([] if one.series is None else [1.0])
        firsts.append(len(p))
    return firsts, q_values(np.array(p))


def _rows(one: Found, q: Any, as_of_s: float, blips: bool) -> Iterator[Row]:
    if one.series is None:
        return
    sure_of = [(b, level, float(v)) for b, level, v in zip(one.judged.breaks, one.levels, q, strict=False) if v <= SURE]
    last = {b.weekday: b for b, _, _ in sure_of if b.kind != "blip"}
    if 0 in last:  # a change of one weekday is over when all days change
        last = {day: b for day, b in last.items() if b.at >= last[0].at}
    for b, (before, after), q_value in sure_of:
        if b.kind != "blip" or blips:
            yield _row(one, one.series, b, before, after, q_value, last.get(b.weekday) is b, as_of_s)


def _row(
    one: Found, series: Series, b: Break, before: float, after: float, q_value: float, in_force: bool, as_of_s: float
) -> Row:
    at_s = series.at_s
    mine = slice(b.at, b.end) if not b.weekday else np.flatnonzero(series.weekday == b.weekday)
    n_after = b.end - b.at if not b.weekday else int(((mine >= b.at) & (mine < b.end)).sum())
    shares = one.metric == "failures"
    row: Row = {
        "kind": b.kind, "changed_at": at_s[b.at], "changed_lo_at": at_s[b.lo], "changed_hi_at": at_s[b.hi],
        "before_s": nan if shares else before, "after_s": nan if shares else after,
        "before": before if shares else nan, "after": after if shares else nan,
        "ratio": after / before if before > 0 else nan, "n_after": n_after, "q_value": q_value, "in_force": in_force,
        "known_at": at_s[b.known], "is_new": bool(in_force and at_s[b.known] > as_of_s - NEW.total_seconds()),
    }  # fmt: skip
    why = [f"{_DAYS[b.weekday]} only" if b.weekday else ""]
    if b.kind == "blip":
        why.append(f"came back after {spell.plural(n_after, 'run')}")
    if in_force and not shares:
        met = meets.meets(one.check, one.metric, series, b, one.judged.logs, as_of_s)
        row |= met.row
        why.append(met.why)
    return row | {"why": reading.joined(*why)}


def _why(one: Found) -> str:
    """Why there is no change to show of a series."""
    if one.series is None:
        return one.check.why[one.metric]
    n = len(one.series.values)
    least = 2 * failing.LEAST if one.metric == "failures" else breaks.LEAST
    if n < least:
        return f"{spell.plural(n, 'run')} cannot tell a change; {least} can"
    return f"no change found in {spell.plural(n, 'run')}"


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
