"""The larger figures of one check: how long its runs take, how late they come, and the time between completions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.instants import TICK, micros
from qpanalytics.report import wording
from qpanalytics.report.model import FEW, Arrivals, Dots, Level
from qpanalytics.report.pictures import FEWEST, arrivals
from qpanalytics.verdict.voice import length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.analysis.stats import Floats
    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case
    from qpanalytics.verdict.finding import Finding

STRETCH = timedelta(days=30)
"""Medians and p95 are drawn for so long each: a drift shows as steps, and a month of daily runs carries them."""

APART = 0.14
"""Two lines nearer than this share of the figure's height have one label."""


@dataclass(frozen=True)
class Points:
    """Lateness of the counted runs (NaN-free, infinity where none came) and durations, ascending; and both in time."""

    lateness: Floats
    duration: Floats
    late_at: tuple[tuple[int, float | None], ...]
    took_at: tuple[tuple[int, float], ...]


def points(history: History, case: Case) -> Points:
    """Both quantities of the window."""
    table = history.sql("points", ids=[case.check_id], from_at=history.since, to_at=history.until).to_pylist()
    late = tuple((row["at_us"], row["value_s"]) for row in table if row["what"] == "lateness")
    took = tuple((row["at_us"], row["value_s"]) for row in table if row["what"] == "duration")
    arrived = np.sort(np.array([np.inf if value is None else value for _, value in late], dtype=np.float64))
    return Points(arrived, np.sort(np.array([value for _, value in took], dtype=np.float64)), late, took)


def figures(history: History, case: Case, of: Points, said: Sequence[Finding], tz: str) -> tuple[Dots | Arrivals, ...]:
    """Two of them where the data carries two: durations, and lateness or else the time between completions."""
    made: list[Dots | Arrivals] = []
    if len(of.took_at) >= FEWEST:
        slower = next((f.sentence for f in said for f in (f, *f.also) if f.kind == "slower" and f.sentence), "")
        limit_s = case.max_runtime_s
        made.append(_dots(history, case, "How long runs take", "successful runs", of.took_at, tz, limit_s, "limit", slower))
    came = [value for _, value in of.late_at]
    if case.judged and sum(value is not None for value in came) >= FEWEST:
        steps = arrivals(history, case, came)
        made.append(Arrivals(**{**{f: getattr(steps, f) for f in steps.__slots__}, "title": "How late runs arrive"}))
        if len(made) == 1:
            late = tuple((at, value) for at, value in of.late_at if value is not None)
            made.append(_dots(history, case, "How late each run ends", "runs that came", late, tz, case.grace_s, "grace"))
    if not case.judged:
        rows = history.sql("one_gaps", id=case.check_id, from_at=history.since, to_at=history.until).to_pylist()
        gaps = tuple((row["at_us"], row["gap_s"]) for row in rows)
        if len(gaps) >= FEWEST:
            made.append(_dots(history, case, "Time between completions", "completions", gaps, tz, None, ""))
    return tuple(made)


def _dots(
    history: History, case: Case, title: str, what: str, at: tuple[tuple[int, float], ...], tz: str,
    limit_s: float | None, limit: str, alt: str = "",
) -> Dots:  # fmt: skip
    values = np.sort(np.array([value for _, value in at], dtype=np.float64))
    p50, p95 = stats.quantile(values, 0.5), stats.quantile(values, 0.95)
    numbers = f"median {length(p50)}" + (f", 95th percentile {length(p95)}" if len(values) >= FEW else "")
    until = min(history.until, history.as_of + TICK)
    begins = max(history.since, until - (until - history.since))
    return Dots(
        check=case.check,
        title=title,
        caption=f"Dots are {spell.number(len(at))} {what}; lines, for 30 days each: the median, "
        "and above it the 95th percentile where 20 runs carry it",
        alt=f"{case.check}: {title.lower()}: {numbers}, longest {length(float(values[-1]))}. {alt}".strip(),
        since_us=micros(_begin(begins, at)),
        until_us=micros(until),
        points=at,
        tz=tz,
        levels=_levels(at, _begin(begins, at), until),
        limit_s=limit_s,
        limit_label="" if limit_s is None else f"{limit} {spell.duration(limit_s)}",
    )


def _begin(since: datetime, at: tuple[tuple[int, float], ...]) -> datetime:
    """A check that is younger than the window is drawn from its first run on."""
    from qpanalytics.instants import instant

    first = instant(min(us for us, _ in at))
    return max(since, first - timedelta(days=1))


def _levels(at: tuple[tuple[int, float], ...], since: datetime, until: datetime) -> tuple[Level, ...]:
    """Median and 95th percentile of each 30 days back from the end; the last of each has its value beside it."""
    highest = max(value for _, value in at) or 1.0
    found: list[Level] = []
    end, last = until, True
    while end > since:
        start = max(end - STRETCH, since)
        values = np.sort(np.array([v for us, v in at if micros(start) <= us < micros(end)], dtype=np.float64))
        if len(values) >= FEWEST:
            p50, p95 = stats.quantile(values, 0.5), stats.quantile(values, 0.95)
            apart = len(values) >= FEW and p95 - p50 > APART * highest
            found.append(Level(micros(start), micros(end), p50, f"median {wording.about(p50)}" if last else ""))
            if len(values) >= FEW:
                label = f"p95 {wording.about(p95)}" if last and apart else ""
                found.append(Level(micros(start), micros(end), p95, label))
            last = False
        end = start
    return tuple(found)
