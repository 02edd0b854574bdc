"""The changes of a fleet that it is sure of, and where each check's present regime began."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from qpanalytics.analysis import breaks, failing
from qpanalytics.analysis.breaks import Break, Judged
from qpanalytics.analysis.discoveries import q_values
from qpanalytics.analysis.levels import levels
from qpanalytics.analysis.reading import Reading
from qpanalytics.analysis.series import METRICS, Checked, Series, checked
from qpanalytics.instants import instant

#: At this rate of false discoveries a change is one.
SURE = 0.01
#: A change of a level by less is none that matters, as a share of the level and (lateness, start delay) of the grace.
MATTERS, MATTERS_OF_GRACE = 0.05, 0.01


@dataclass(frozen=True)
class Settled:
    """One metric of one check, and the changes that are sure, by time. `levels` are before and after of each.

    `unsure` is the likeliest of those that are not, with its q value.
    """

    check: Checked
    metric: str
    series: Series | None = None
    logs: bool = False
    breaks: list[Break] = field(default_factory=list)
    q: list[float] = field(default_factory=list)
    levels: list[tuple[float, float]] = field(default_factory=list)
    unsure: tuple[Break, float] | None = None

    @property
    def in_force(self) -> list[bool]:
        """Which of them describe the present: no later one of all days, nor of the same weekday; blips never."""
        steps = [b for b in self.breaks if b.kind != "blip"]
        return [b.kind != "blip" and not any(c.at > b.at and c.weekday in (0, b.weekday) for c in steps) for b in self.breaks]


def settled(history: Reading) -> list[Settled]:
    """Every metric of every check of the history, by check name, with the changes that matter and are sure."""
    found = [(check, metric, _judged(check, metric)) for check in checked(history) for metric in METRICS]
    p: list[float] = []
    for check, metric, judged in found:
        if metric in check.series:
            p += [b.p for b in judged.breaks] or [1.0]
    q = iter(q_values(np.array(p)).tolist())
    return [
        _sure(check, metric, judged, [next(q) for _ in range(max(len(judged.breaks), 1))])
        if metric in check.series
        else Settled(check, metric)
        for check, metric, judged in found
    ]


def regimes(history: Reading) -> dict[str, dict[str, datetime]]:
    """When the present regime of each check began, by check and metric (`duration`, `lateness`, ...).

    That is the latest instant at which its last step in force may have been (the end of `changed_hi_at`), so that no run
    of the old regime is taken for one of the new; of a trend the whole since it began. A metric without a change in the
    window is not named, nor is a change of single weekdays: all runs of the window are then of one regime. What decides
    on a grace wants only the runs since `lateness` changed.
    """
    found: dict[str, dict[str, datetime]] = {}
    for one in settled(history):
        since = found.setdefault(one.check.check, {})
        for b, in_force in zip(one.breaks, one.in_force, strict=True):
            if in_force and not b.weekday and one.series is not None:
                since[one.metric] = instant(round(one.series.at_s[b.hi if b.kind == "step" else b.at] * 1e6))
    return found


def _judged(check: Checked, metric: str) -> Judged:
    series = check.series.get(metric)
    if series is None:
        return Judged()
    shares = metric == "failures"
    whole = failing.judge(series.values) if shares else breaks.judge(series.at_s, series.values, series.weekday, series.hour)
    grace = (check.grace_s or 0.0) * MATTERS_OF_GRACE if metric in ("lateness", "start_delay") else 0.0
    levels_of = levels(series.at_s, series.values, series.weekday, whole, shares=shares)
    matter = [abs(after - before) >= max(MATTERS * abs(before), grace) for before, after in levels_of]
    return replace(whole, breaks=[b for b, much in zip(whole.breaks, matter, strict=True) if much])


def _sure(check: Checked, metric: str, judged: Judged, q: list[float]) -> Settled:
    """The sure ones of the changes of a series, each of which now lasts until the next of these."""
    series = check.series[metric]
    found = list(zip(judged.breaks, q, strict=False))
    kept = [(b, value) for b, value in found if value <= SURE]
    unsure = min((one for one in found if one[1] > SURE), key=lambda one: one[1], default=None)
    steps = [b for b, _ in kept if b.kind != "blip"]
    n = len(series.values)

    def lasting(b: Break) -> Break:
        after = [c.at for c in steps if c.at > b.at and c.weekday in (0, b.weekday)]
        return b if b.kind == "blip" else replace(b, end=min(after, default=n))

    sure = replace(judged, breaks=[lasting(b) for b, _ in kept])
    shown: list[Any] = levels(series.at_s, series.values, series.weekday, sure, shares=metric == "failures")
    return Settled(check, metric, series, judged.logs, sure.breaks, [value for _, value in kept], shown, unsure)
