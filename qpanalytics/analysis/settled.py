"""The changes of a fleet that it is sure of, and where each check's present regime began."""

from __future__ import annotations

from collections.abc import Sequence
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
MATTERS, MATTERS_OF_GRACE = 0.05, 0.002


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

    def promised(self, b: Break) -> bool:
        """Whether its schedule or a limit was changed when `b` happened."""
        assert self.series is not None
        at_s = self.series.at_s
        return any(at_s[max(b.lo - 1, 0)] <= begun <= at_s[b.hi] for begun in self.check.promised_s)


def settled(
    history: Reading,
    *,
    since: datetime | None = None,
    ids: Sequence[int] | None = None,
    metrics: Sequence[str] = METRICS,
) -> list[Settled]:
    """Every metric of every check of the history, by check name, with the changes that matter and are sure.

    `since`, `ids` as in `checked`. How sure a change is depends on how many series are looked at, so fewer `metrics` or
    checks find a little more.
    """
    found = [(check, metric, _judged(check, metric)) for check in checked(history, since, ids) for metric in metrics]
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


@dataclass(frozen=True)
class Present:
    """The change that a metric's present regime began with; of a trend, which goes on, the whole since it began.

    A step is dated by the latest instant at which it may have been (the end of `changed_hi_at`), so that no run of the old
    regime is taken for one of the new. `before_s` and `after_s` are its levels, as in `qpa drift`.
    """

    kind: str
    since_at: datetime
    before_s: float
    after_s: float


def present(
    history: Reading,
    *,
    since: datetime | None = None,
    ids: Sequence[int] | None = None,
    metrics: Sequence[str] = METRICS,
) -> dict[str, dict[str, Present]]:
    """The change that each check's present regime began with, by check and metric; arguments as in `settled`.

    A metric without a change in the window is not named, nor is a change of single weekdays: all runs of the window are then
    of one regime. What decides on a grace wants only the runs since `lateness` changed.
    """
    found: dict[str, dict[str, Present]] = {}
    for one in settled(history, since=since, ids=ids, metrics=metrics):
        own = found.setdefault(one.check.check, {})
        for b, in_force, (before, after) in zip(one.breaks, one.in_force, one.levels, strict=True):
            if in_force and not b.weekday and one.series is not None:
                first = one.series.at_s[b.hi if b.kind == "step" else b.at]
                own[one.metric] = Present(b.kind, instant(round(first * 1e6)), before, after)
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
