"""The larger figures of one check: how long its runs take, how late they come, and the time between completions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.instants import TICK, instant, micros
from qpanalytics.report import leading, wording
from qpanalytics.report.model import FEW, Arrivals, Dots, Level, Mark
from qpanalytics.report.pictures import FEWEST, arrivals
from qpanalytics.verdict.voice import Voice, length, pair

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
    """Lateness of the counted runs (infinity where none came) and durations, ascending, seconds; and by instant, in
    epoch microseconds, these and the time since the completion before.
    """

    lateness: Floats
    duration: Floats
    late_at: tuple[tuple[int, float | None], ...]
    took_at: tuple[tuple[int, float], ...]
    gap_at: tuple[tuple[int, float], ...]

    @property
    def gaps(self) -> Floats:
        """The times between completions, ascending."""
        return _ascending(self.gap_at)


def points(history: History, case: Case) -> Points:
    """Both quantities of the window."""
    table = history.sql("points", ids=[case.check_id], from_at=history.since, to_at=history.until).to_pylist()
    late = tuple((row["at_us"], row["value_s"]) for row in table if row["what"] == "lateness")
    took = tuple((row["at_us"], row["value_s"]) for row in table if row["what"] == "duration")
    arrived = np.sort(np.array([np.inf if value is None else value for _, value in late], dtype=np.float64))
    rows = history.sql("one_gaps", id=case.check_id, from_at=history.since, to_at=history.until).to_pylist()
    return Points(arrived, _ascending(took), late, took, tuple((row["at_us"], row["gap_s"]) for row in rows))


def _ascending(at: Sequence[tuple[int, float]]) -> Floats:
    return np.sort(np.array([value for _, value in at], dtype=np.float64))


def figures(
    history: History, case: Case, of: Points, said: Sequence[Finding], tz: str, suggested_s: float | None = None
) -> tuple[Dots | Arrivals, ...]:
    """Two of them where the data carries two: durations, and lateness or else the time between completions.

    `suggested_s` is the grace that is recommended, for a line beside the present one.
    """
    made: list[Dots | Arrivals] = []
    if len(of.took_at) >= FEWEST:
        grown = next((f.sentence for f in said for f in (f, *f.also) if f.kind in _GROWN and f.sentence), "")
        limit_s = case.max_runtime_s
        dots = _dots(history, case, "How long runs take", "successful runs", of.took_at, tz, limit_s, "limit", grown)
        made.append(_marked(history, case, dots, "duration"))
    came = [value for _, value in of.late_at]
    if case.judged and sum(value is not None for value in came) >= FEWEST:
        steps = arrivals(history, case, came)
        made.append(replace(steps, title="How late runs arrive", marks=_marks(case, steps, suggested_s)))
        if len(made) == 1:
            late = tuple((at, value) for at, value in of.late_at if value is not None)
            dots = _dots(history, case, "How late each run ends", "runs that came", late, tz, case.grace_s, "grace")
            made.append(_marked(history, case, dots, "lateness"))
    if not case.judged and len(of.gap_at) >= FEWEST:
        made.append(_dots(history, case, "Time between completions", "completions", of.gap_at, tz, None, ""))
        if len(made) == 1:
            made.append(_silence(case, of.gaps))
    return tuple(made)


_GROWN = ("drifting", "faster", "slower")


def _marked(history: History, case: Case, of: Dots, metric: str) -> Dots:
    """With the changes within the figure, in words for those who do not see it, and the way ahead."""
    voice = Voice(history.since, history.until, history.as_of, of.tz)
    changes = [m for m in case.moved if m.metric == metric]
    told = [
        f"{m.kind} {'on' if m.kind == 'step' else 'since'} {voice.dated(instant(m.changed_us))} ({m.told} {pair(*m.pair_s)})"
        for m in changes
        if of.since_us <= m.changed_us <= of.until_us
    ]
    said = f" Changes: {', '.join(told)}." if told else ""
    return leading.marked(replace(of, alt=of.alt + said), changes, voice)


def _marks(case: Case, of: Arrivals, suggested_s: float | None) -> tuple[Mark, ...]:
    """The grace now and the suggested one, with the runs that came later than that."""
    if suggested_s is None or case.grace_s is None:
        return of.marks
    if suggested_s == case.grace_s:
        return tuple(replace(mark, label=f"{mark.label}, as suggested") for mark in of.marks)
    later = sum(value > suggested_s for value in of.lateness_s)
    said = f"suggested {spell.duration(suggested_s)}: {spell.number(later) if later else 'none'} later"
    return (*of.marks, Mark(suggested_s, said))


def _silence(case: Case, gaps: Floats) -> Arrivals:
    """How long one can wait for the next completion before it is out of the ordinary."""
    p95 = stats.quantile(gaps, 0.95)
    marks = (Mark(p95, f"p95 {wording.about(p95)}"),) if len(gaps) >= FEW else ()
    return Arrivals(
        check=case.check,
        title="How long until the next one",
        caption=f"Share of {spell.number(len(gaps))} completions that came within so long of the one before",
        alt=f"{case.check}: half of its completions came within {length(stats.quantile(gaps, 0.5))} of the one before, "
        f"the longest wait was {length(float(gaps[-1]))}.",
        lateness_s=tuple(gaps.tolist()),
        marks=marks,
    )


def _dots(
    history: History, case: Case, title: str, what: str, at: tuple[tuple[int, float], ...], tz: str,
    limit_s: float | None, limit: str, alt: str = "",
) -> Dots:  # fmt: skip
    values = _ascending(at)
    p50, p95 = stats.quantile(values, 0.5), stats.quantile(values, 0.95)
    numbers = f"median {length(p50)}" + (f", 95th percentile {length(p95)}" if len(values) >= FEW else "")
    until = min(history.until, history.as_of + TICK)
    begins = _begin(history.since, at)
    change = _change(at, begins, until)
    return Dots(
        check=case.check,
        title=title,
        caption=f"{spell.number(len(at))} {what}; lines: median and, above it, p95 of 30 days each{change and f'. {change}'}",
        alt=f"{case.check}: {title.lower()}: {numbers}, longest {length(float(values[-1]))}. {change} {alt}".strip(),
        since_us=micros(begins),
        until_us=micros(until),
        points=at,
        tz=tz,
        levels=_levels(at, begins, until),
        limit_s=limit_s,
        limit_label="" if limit_s is None else f"{limit} {spell.duration(limit_s)}",
    )


def _begin(since: datetime, at: tuple[tuple[int, float], ...]) -> datetime:
    """A check that is younger than the window is drawn from its first run on."""
    first = instant(min(us for us, _ in at))
    return max(since, first - timedelta(days=1))


def _change(at: tuple[tuple[int, float], ...], since: datetime, until: datetime) -> str:
    """Whether the median of the last 30 days is another than that of the first; empty where that cannot be asked."""
    if until - since < 2 * STRETCH:
        return ""
    first = _ascending([(us, v) for us, v in at if us < micros(since + STRETCH)])
    last = _ascending([(us, v) for us, v in at if us >= micros(until - STRETCH)])
    if min(len(first), len(last)) < FEW:
        return ""
    change, lo, hi = stats.quantile_change(last, first)
    if not (lo > 0 or hi < 0):
        return f"Median of the last 30 days against the first: no change to be told from scatter (n {len(last)} and {len(first)})"
    more, (low, high) = ("more", (lo, hi)) if change > 0 else ("less", (-hi, -lo))
    return (
        f"Median of the first 30 days {pair(stats.quantile(first, 0.5), stats.quantile(last, 0.5))} of the last; "
        f"95 % sure {wording.about(low)} to {wording.about(high)} {more} (n {len(first)} and {len(last)})"
    )


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
            lower, upper = f"median {wording.about(p50)}", f"p95 {wording.about(p95)}"
            if len(values) >= FEW and p95 - p50 <= APART * highest:
                lower, upper = "", f"{lower}, {upper}"
            found.append(Level(micros(start), micros(end), p50, lower if last else ""))
            if len(values) >= FEW:
                found.append(Level(micros(start), micros(end), p95, upper if last else ""))
            last = False
        end = start
    return tuple(found)
