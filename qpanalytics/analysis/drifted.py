"""What a daily look for drift would have told during a window: each change from when it could first have been told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from qpanalytics.analysis.drift import NEW, drift
from qpanalytics.analysis.grace import a_year
from qpanalytics.instants import micros
from qpanalytics.policy.events import Told

if TYPE_CHECKING:
    from qpanalytics.history import History


def drifted(history: History) -> list[Told]:
    """For `replay(also=)`: what runs later or longer begins to be told at its `known_at`, and is no news after 7 days.

    Changes are those of the year that the window ends with, as they are known at its end; one that was believed for a
    while and then not is none of them.
    """
    found = drift(a_year(history))
    grown = found[found.kind.notna() & found.metric.isin(["duration", "lateness"]) & (found.after_s > found.before_s)]
    told: list[Told] = []
    for row in grown.to_dict("records"):
        known_at = row["known_at"]
        if pd.isna(known_at) or not history.since <= known_at < history.until:
            continue
        figures = {name: row[name] for name in ("metric", "before_s", "after_s")}
        told.append(Told(row["check"], micros(known_at.to_pydatetime()), figures=figures))
        told.append(Told(row["check"], micros((known_at + NEW).to_pydatetime()), lasts=False))
    return sorted(told, key=lambda one: one.at)
