"""The series of each check that can drift: how long runs took, how late they came, how late they began, which went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from qpanalytics.analysis import reading
from qpanalytics.analysis.reading import Reading
from qpanalytics.analysis.seasons import Ints
from qpanalytics.analysis.stats import Floats

#: What is judged, in the order of rows. All but `failures` are in seconds; those are shares of runs.
METRICS = ("duration", "lateness", "start_delay", "failures")


@dataclass(frozen=True)
class Series:
    """Runs in order: when (epoch seconds), the value, and weekday (1 is Monday) and hour in the check's own zone."""

    at_s: Floats
    values: Floats
    weekday: Ints
    hour: Ints

    def known(self) -> Series:
        """The runs that have a value."""
        keep = np.isfinite(self.values)
        return self if keep.all() else Series(self.at_s[keep], self.values[keep], self.weekday[keep], self.hour[keep])

    def since(self, at_s: float) -> Series:
        """The runs from that instant on."""
        first = int(np.searchsorted(self.at_s, at_s))
        return Series(self.at_s[first:], self.values[first:], self.weekday[first:], self.hour[first:])


@dataclass(frozen=True)
class Checked:
    """One check, its promise, and its series; where one is missing, the reason. `promised_s`: when its promise was changed."""

    check_id: int
    check: str
    schedule: str | None
    tz: str | None
    grace_s: float | None
    max_runtime_s: float | None
    series: dict[str, Series] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    promised_s: tuple[float, ...] = ()


def checked(history: Reading, since: datetime | None = None, ids: Sequence[int] | None = None) -> Iterator[Checked]:
    """Every check of the history by name, with the series of its window.

    `since`: from then on instead, as far as the session reaches back; `ids`: only these have series.
    """
    span: dict[str, Any] = {"from_at": since or history.since, "to_at": history.until, "ids": None if ids is None else list(ids)}
    with history.session():
        rows = history.sql("drift_checks").to_pylist()
        ran = reading.split(history.sql("drift_runs", **span))
        expected = reading.split(history.sql("drift_occurrences", **span))
        changed = {row["check_id"]: tuple(row["begun_s"]) for row in history.sql("drift_promises").to_pylist()}
    for row in rows:
        runs, ticks = ran.get(row["check_id"]), expected.get(row["check_id"])
        unclear = reading.cannot_tell(row["spread"]) if row["cannot_tell"] else ""
        no_ticks = "no schedule" if row["schedule"] is None else unclear
        found: dict[str, Series] = {}
        why: dict[str, str] = {}
        if not no_ticks and ticks is None:
            no_ticks = "no expected run was counted in this window"
        good = None if runs is None else {name: column[~runs["bad"].astype(bool)] for name, column in runs.items()}
        _take(found, why, "duration", good, "duration_s", "" if runs is not None else "no run ended in this window")
        _take(found, why, "lateness", ticks, "lateness_s", no_ticks)
        _take(found, why, "start_delay", ticks, "start_delay_s", no_ticks)
        judged = runs if row["schedule"] is None or unclear else ticks
        _take(found, why, "failures", judged, "bad", "" if judged is not None else "no run was counted in this window")
        promise = {name: row[name] for name in ("schedule", "tz", "grace_s", "max_runtime_s")}
        yield Checked(
            row["check_id"], row["check_name"], **promise, series=found, why=why, promised_s=changed.get(row["check_id"], ())
        )


def _take(
    found: dict[str, Series], why: dict[str, str], metric: str, rows: dict[str, Any] | None, name: str, reason: str
) -> None:
    if reason or rows is None:
        why[metric] = reason or "no runs in this window"
        return
    one = Series(rows["at_s"], rows[name].astype(np.float64), rows["weekday"], rows["hour"]).known()
    if len(one.values):
        found[metric] = one
    else:
        why[metric] = _UNKNOWN[metric]


_UNKNOWN = {
    "duration": "no successful run with a duration in this window",
    "lateness": "no expected run succeeded in this window",
    "start_delay": "no start pings in this window",
    "failures": "no run was counted in this window",
}
