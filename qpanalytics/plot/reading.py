"""What figures are drawn from: the checks that were asked for, instants as a reader's clock shows them, fewer points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import reading as analysis
from qpanalytics.errors import ScheduleError, UsageError
from qpanalytics.instants import EPOCH, TICK, instant, micros
from qpanalytics.schedules import zones

if TYPE_CHECKING:
    import numpy.typing as npt

    from qpanalytics.history import History

LATEST = 10**18
"""Microseconds after every instant: where a window has no end of its own."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One check as figures know it. `unclear` is the reason where ticks cannot be judged, else empty."""

    check_id: int
    check: str
    schedule: str | None
    grace_s: float | None
    max_runtime_s: float | None
    unclear: str

    @property
    def title(self) -> str:
        """Its name, cut where it is very long."""
        return self.check if len(self.check) <= 60 else self.check[:59] + "…"


def zone(tz: str) -> tzinfo:
    """The reader's time zone; UsageError names the nearest where there is none of that name."""
    try:
        return zones.zone(tz)
    except ScheduleError as error:
        raise UsageError(str(error)) from None


def checks(history: History, check: str | None = None) -> list[Drawn]:
    """All checks of the history by name, or the one of that name; UsageError with the nearest name if there is none."""
    rows = history.sql("drawn_checks").to_pylist()
    found = [
        Drawn(
            row["check_id"],
            row["check_name"],
            row["schedule"],
            row["grace_s"],
            row["max_runtime_s"],
            analysis.cannot_tell(row["spread"]) if row["cannot_tell"] else "",
        )
        for row in rows
    ]
    if check is None:
        return found
    if not isinstance(check, str):
        raise UsageError(f"check: one name is wanted, not {type(check).__name__}; leave it out to see all checks")
    chosen = [one for one in found if one.check == check]
    if not chosen:
        raise UsageError(f"this history has no check {spell.quoted(check)}; {_hint(check, [one.check for one in found])}")
    return chosen


def _hint(check: str, known: Sequence[str]) -> str:
    if not known:
        return "it has no checks at all"
    folded = {name.lower(): name for name in reversed(known)}
    near = get_close_matches(check.lower()[:200], folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {spell.quoted(folded[near[0]])}?"
    return f"it has {', '.join(spell.quoted(name) for name in known[:5])}{', ...' if len(known) > 5 else ''}"


def rows(history: History, name: str, ids: Sequence[int], **more: Any) -> dict[str, list[Any]]:
    """The columns of `analysis/sql/<name>.sql` for these checks."""
    found: dict[str, list[Any]] = history.sql(name, ids=list(ids), **more).to_pydict()
    return found


def walls(at_us: Sequence[int | None], tz: tzinfo) -> list[str | None]:
    """Instants as the clock of the zone shows them, whole seconds: Plotly knows no zones but takes such texts."""
    return [None if at is None else instant(at).astimezone(tz).strftime("%Y-%m-%d %H:%M:%S") for at in at_us]


def span(history: History, at_us: Sequence[int]) -> tuple[datetime, datetime]:
    """The stretch a figure shows: the window, but not before the first or after the last that is known.

    A history of frames begins in 1970, and a window may reach into the future.
    """
    first, last = (instant(min(at_us)), instant(max(at_us))) if at_us else (history.since, history.until)
    until = min(history.until, max(history.as_of + TICK, last))
    since = history.since if history.since > EPOCH else first
    # a tenth of air where the window begins long before the first ping: that there was nothing is seen, not measured
    return max(since, min(first - (last - first) / 10, until - timedelta(hours=1))), until


def axis(since: datetime, until: datetime, tz: tzinfo, named: str) -> dict[str, Any]:
    """A time axis over [since, until), days by their names in the reader's zone."""
    air = (until - since) / 60
    ends = walls([micros(since - air), micros(until + air)], tz)
    formats = [
        {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
        {"dtickrange": [60_000, 86_400_000], "value": "%H:%M\n%-d %b"},
        {"dtickrange": [86_400_000, "M1"], "value": "%-d %b\n%Y"},
        {"dtickrange": ["M1", None], "value": "%b\n%Y"},
    ]
    return {"type": "date", "range": ends, "tickformatstops": formats, "title": {"text": named}, "nticks": 8}


def days_axis(first: date, last: date, named: str = "") -> dict[str, Any]:
    """An axis of whole days, each at its midnight; both are on it."""
    ends = [f"{first - timedelta(days=1)} 12:00:00", f"{last} 12:00:00"]
    span = (last - first).days + 1
    step = next((s for s in (1, 2, 7, 14, 28) if span / s <= 9), None)
    ticks = {"nticks": 8} if step is None else {"dtick": step * 86_400_000, "tick0": f"{first - timedelta(days=first.weekday())}"}
    return {"type": "date", "range": ends, "tickformat": "%-d %b\n%Y", "title": {"text": named}, **ticks}


def thinned(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.int64]:
    """Which of many points to draw, in order: of each of `most / 3` equal groups the lowest, the middle, the highest.

    So neither a bad night nor the usual run is lost. All of them where there are no more than `most`.
    """
    n = len(values)
    if n <= most:
        return np.arange(n)
    kept: set[int] = set()
    for group in np.array_split(np.arange(n), max(most // 3, 1)):
        order = group[np.argsort(values[group], kind="stable")]
        kept |= {int(order[0]), int(order[len(order) // 2]), int(order[-1])}
    return np.array(sorted(kept), dtype=np.int64)


def window(history: History, at_us: Sequence[int], tz: tzinfo) -> str:
    """From when to when the points lie, in words: "from Thu 11 Sep 2026 to Tue 24 Nov 2026"."""
    first, last = instant(min(at_us)), instant(max(at_us))
    begun, ended = spell.day(first, tz), spell.day(last, tz)
    years = first.astimezone(tz).year, last.astimezone(tz).year
    if begun == ended and years[0] == years[1]:
        return f"on {begun} {years[1]}"
    return f"from {begun}{f' {years[0]}' if years[0] != years[1] else ''} to {ended} {years[1]}"


def nothing(history: History, one: Drawn | None, what: str, tz: tzinfo) -> str:
    """Why there is nothing to draw, for a reader."""
    if one is None and not history.sql("drawn_checks").num_rows:
        return "there is no check in this history yet."
    if history.since <= EPOCH:
        return f"no {what} is known."
    return f"no {what} from {spell.span(history.since, history.until, tz)}."
