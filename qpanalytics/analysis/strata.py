"""Days that run later than others: a job that takes an hour more each Sunday needs two graces, not one long one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qpanalytics.analysis import pricing
from qpanalytics.analysis.limited import Limited
from qpanalytics.analysis.pricing import LEAST

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

HALVES = 0.5
"""Two graces are worth having where they are half of the one for most days, at most."""


@dataclass(frozen=True)
class Stratum:
    """The days that need a longer limit, and both limits, seconds; together they keep the budget of the one limit."""

    name: str
    own_s: float
    elsewhere_s: float


def stratum(one: Limited, start: int, budget: float, clusters: float, limit_s: float) -> Stratum | None:
    """The days that are best told apart from place `start` on, if that halves `limit_s` for the others; else None.

    Each side must have 20 runs that came, and gets half of the budget.
    """
    sample = one.sample
    if len(one.weekday) != len(sample):
        return None
    days = [(name, one.weekday == number) for number, name in enumerate(DAYS, 1)]
    days += [("weekend", one.weekday >= 6), ("last day of the month", one.month_end > 0)]
    behind = np.arange(len(sample)) >= start
    regime = replace(sample.part(behind), a_month=sample.a_month)
    found = []
    for name, own in days:
        sides = [regime.part(own[behind]), regime.part(~own[behind])]
        if min(side.arrived for side in sides) < LEAST:
            continue
        own_s, elsewhere_s = (pricing.least_limit(side, budget / 2, clusters) for side in sides)
        if elsewhere_s <= HALVES * limit_s and elsewhere_s < own_s:  # NaN compares false
            found.append((elsewhere_s, own_s, name))
    if not found:
        return None
    elsewhere_s, own_s, name = min(found)
    return Stratum(name, own_s, elsewhere_s)
