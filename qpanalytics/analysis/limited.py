"""What limits are set on: the lateness of expected runs, the durations of runs, the time between completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf, nan
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import quantiles, reading
from qpanalytics.analysis.pricing import MONTH_S, Sample
from qpanalytics.analysis.stats import Floats
from qpanalytics.errors import UsageError

if TYPE_CHECKING:
    from qpanalytics.history import History

Of = Literal["grace", "max_runtime", "period"]

COUNTED_S = 28 * spell.DAY
"""What a month brings is counted over the last four weeks, whole weeks: before them the schedule may have been another."""

TRAILING_S = 90 * spell.DAY
HITS, SPREAD = 50, 0.6
"""Ticks cannot be told apart where at least so many arrivals of the last 90 days spread over more than this share of the gap."""

REAL_SHARE = 0.5
"""Without a setting, a run is a real problem once half of the time to the next one is gone."""


@dataclass(frozen=True)
class Limited:
    """One check with the runs that a limit of it is judged by.

    `now_s` is the limit in force, NaN where there is none. A recommendation for a limit on the runs is told as itself less
    `told_less_s` (a period: the grace that follows it). `weekday` (1 is Monday) and `month_end` are those of each run, empty
    where they do not matter. `unfit` is why nothing can be recommended at all, else empty.
    """

    check_id: int
    check: str
    source: str
    severity: str
    now_s: float
    sample: Sample
    weekday: Floats
    month_end: Floats
    told_less_s: float = 0.0
    unfit: str = ""


_SEEN = ("at_us", "value_s", "well_s", "gap_s", "weekday", "month_end")


def kind_of(of: str) -> Of:
    """`of`, if there is such a limit; `UsageError` otherwise."""
    if of not in get_args(Of):
        raise UsageError(f"there is no limit {spell.quoted(of)}; take one of {', '.join(get_args(Of))}")
    return cast(Of, of)


def limited(
    history: History,
    of: Of,
    late_is_real_s: float | None = None,
    *,
    since: datetime | None = None,
    ids: Sequence[int] | None = None,
) -> list[Limited]:
    """Each check of the history with its runs of the window, by name.

    `late_is_real_s` is how late a run is a real problem, seconds; None: half of the time to the next one. `since`: the runs
    from then on instead, as far as the session reaches back (of a grace only); `ids`: only these checks.
    """
    with history.session():
        asked = None if ids is None else list(ids)
        rows: list[reading.Row] = history.sql("grace_checks", ids=asked).to_pylist()
        every = reading.split(history.sql("grace", from_at=since or history.since, to_at=history.until, ids=asked))
        other = {} if of == "grace" else _series(history, "grace_durations" if of == "max_runtime" else "grace_gaps")
    found = []
    for row in rows:
        seen = every.get(row["check_id"], {})
        runs = {name: seen[name].astype(np.float64) if seen else quantiles.NONE for name in _SEEN}
        if of == "grace":
            found.append(_grace(row, runs, late_is_real_s))
        else:
            at, values = other.get(row["check_id"], (quantiles.NONE, quantiles.NONE))
            make = _max_runtime if of == "max_runtime" else _period
            found.append(make(row, runs, at, values, late_is_real_s))
    return found


def _series(history: History, name: str) -> dict[int, tuple[Floats, Floats]]:
    table = history.sql(name)
    lists = (quantiles.lists(table.column(column)) for column in ("at_us", "value_s"))
    return dict(zip(table.column("check_id").to_pylist(), zip(*lists, strict=True), strict=True))


def _grace(row: reading.Row, runs: dict[str, Floats], real_s: float | None) -> Limited:
    gaps = runs["gap_s"]
    real = gaps * REAL_SHARE if real_s is None else np.minimum(real_s, gaps)
    at = runs["at_us"].astype(np.int64)
    sample = Sample(at, runs["value_s"], real, runs["well_s"], _promised_a_month(at, gaps))
    unfit = _cannot_tell(row, runs) if row["schedule"] else "no schedule"
    return _made(row, row["grace_s"], sample, runs["weekday"], runs["month_end"], unfit=unfit)


def _max_runtime(row: reading.Row, runs: dict[str, Floats], at: Floats, values: Floats, real_s: float | None) -> Limited:
    gap = _usual(runs["gap_s"])
    real = np.full(len(values), gap * REAL_SHARE if real_s is None else real_s)
    sample = Sample(at.astype(np.int64), values, real, values, _seen_a_month(at))
    unfit = "" if len(values) else "no run of it sent a start, so a run over its limit could not be noticed"
    return _made(row, row["max_runtime_s"], sample, unfit=unfit)


def _period(row: reading.Row, runs: dict[str, Floats], at: Floats, values: Floats, real_s: float | None) -> Limited:
    rolls = row["kind"] == "interval"
    period = _usual(runs["gap_s"]) if rolls else nan
    real = np.full(len(values), inf)
    if rolls:  # without a period there is nothing that silence could be too long for, but the silence before
        usual = max(period, _usual(values))
        real[:] = usual * (1 + REAL_SHARE) if real_s is None else usual + real_s
    sample = Sample(at.astype(np.int64), values, real, values, _seen_a_month(at))
    unfit = "" if rolls or not row["schedule"] or _cannot_tell(row, runs) else f"its schedule is no interval: {row['schedule']}"
    less_s = row["grace_s"] or 0.0 if rolls else 0.0
    return _made(row, period if np.isfinite(period) else None, sample, told_less_s=less_s, unfit=unfit)


def _cannot_tell(row: reading.Row, runs: dict[str, Floats]) -> str:
    """Why no completion belongs to a single tick, else empty: as `telling` asks it, in the last 90 days that have data.

    A window may reach further back than the 90 days before as_of, and end before them.
    """
    at, values, gaps = runs["at_us"], runs["value_s"], runs["gap_s"]
    if row["kind"] == "interval" or not len(at):
        return ""
    hits = np.isfinite(values) & np.isfinite(gaps) & (at > at[-1] - TRAILING_S * 1e6)
    if hits.sum() < HITS:
        return ""
    low, high = np.quantile(values[hits], (0.1, 0.9)).tolist()
    spread = (high - low) / _usual(gaps[hits])
    return reading.cannot_tell(spread) if spread > SPREAD else ""


def _made(row: reading.Row, now_s: float | None, sample: Sample, weekday: Floats = quantiles.NONE,
          month_end: Floats = quantiles.NONE, **more: Any) -> Limited:  # fmt: skip
    known = nan if now_s is None else float(now_s)
    return Limited(row["check_id"], row["check_name"], row["source"], row["severity"], known, sample, weekday, month_end, **more)


def _usual(gaps: Floats) -> float:
    known = gaps[np.isfinite(gaps)]
    return float(np.median(known)) if len(known) else inf


def _promised_a_month(at_us: Any, gaps: Floats) -> float:
    """Expected runs in 30 days, as the schedule lays them out in the last weeks: also where some were not seen."""
    known = np.isfinite(gaps) & (gaps > 0)
    if not known.any():
        return _seen_a_month(at_us)
    lately = known & (at_us > at_us[-1] - COUNTED_S * 1e6)
    return MONTH_S / float(gaps[lately if lately.any() else known].mean())


def _seen_a_month(at_us: Any) -> float:
    """Runs in 30 days, as many as there were; of one run nothing is known."""
    span = float(at_us[-1] - at_us[0]) / 1e6 if len(at_us) > 1 else 0.0
    return (len(at_us) - 1) / span * MONTH_S if span else 1.0
