"""From local days and times of day to UTC instants, fast, and tick for tick what the parsers would give.

The parsers walk from tick to tick at 27 to 50 us each. Between two changes of a zone's offset local time is UTC plus a
constant, so the ticks there are simply days x times of day, which NumPy lays out at once. From an hour before a change
until some hours after it the parser itself walks on, from the last tick before, and the layout resumes with the first
tick that it gives after that: a walk depends on nothing but the tick it stands on, so the whole is one unbroken walk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, Protocol

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.schedules.zones import DAY_S
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    import numpy as np

    Instants = np.ndarray[tuple[int], np.dtype[np.int64]]

MICRO = 1_000_000
FIRST_S, LAST_S = 0, 9_214_646_400  # 1970-01-01 to 2262-01-01
_USUAL_US = 1_735_689_600 * MICRO  # 2025-01-01
MOST_TICKS = 20_000_000  # 160 MB; a tick every minute for 38 years
HOUR_S = 3_600
_LOOK_BACK_S = 3 * DAY_S  # how long after a change the parser's walk can still be off the plain layout
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Rule(Protocol):
    """One parsed expression: which local days, which times of day, and how the parser walks."""

    text: str
    zone: tzinfo

    def days(self, year: int) -> Sequence[int]:
        """Days of the year (0 is 1 January) that match."""

    def times(self) -> Sequence[int]:
        """Times of day that match, seconds after local midnight, ascending."""

    def walk(self, start: datetime) -> Iterator[datetime]:
        """The parser's own ticks strictly after `start`, which is in the rule's zone."""

    def moved(self, zone: tzinfo) -> Rule:
        """The same expression in another zone."""


@dataclass(frozen=True)
class Block:
    """A stretch [start, end) around a change of offset that is left to the parser; epoch seconds."""

    start: int
    end: int
    ahead: int  # offset before the change


def ticks(rule: Rule, start_s: int, end_s: int, room: int = MOST_TICKS) -> Instants:
    """Epoch seconds of the rule's ticks in [start, end), ascending, each once; ScheduleError if over `room`."""
    import numpy as np

    start_s, end_s = max(start_s, FIRST_S), min(end_s, LAST_S)
    if start_s >= end_s:
        return np.empty(0, dtype=np.int64)
    blocks = _blocks(rule.zone, start_s, end_s)
    resume = min([start_s, *(block.start for block in blocks)])
    parts: list[Instants] = []
    for block in blocks:
        if resume >= block.end:  # a rare rule, whose next tick lies beyond this change
            continue
        parts.append(_plain(rule, resume, block.start, block.ahead, room))
        room -= parts[-1].size
        walked, resume = _walked(rule, block)
        parts.append(np.array(walked, dtype=np.int64))
    if resume < end_s:
        parts.append(_plain(rule, resume, end_s, zones.offset(resume, rule.zone), room))
    found = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return found[np.searchsorted(found, start_s) : np.searchsorted(found, end_s)]


def _blocks(tz: tzinfo, start_s: int, end_s: int) -> list[Block]:
    blocks = []
    for change in zones.changes(max(start_s - 2 * _LOOK_BACK_S, FIRST_S), end_s + DAY_S, tz):
        # After the clock went back, the parser must have passed the repeated time; two hours are for whole-hour steps.
        end = change.at + abs(change.after - change.before) + 2 * HOUR_S
        block = Block(change.at - HOUR_S, end, change.before)
        if block.start < end_s and block.end + _LOOK_BACK_S > start_s:
            blocks.append(block)
    return blocks


def _walked(rule: Rule, block: Block) -> tuple[list[int], int]:
    """The parser's ticks within the block, and its first one after it."""
    local = block.start + block.ahead
    day_before = local // DAY_S * DAY_S - DAY_S - block.ahead
    recent = _plain(rule, day_before, block.start, block.ahead)
    # Without a tick since then the day before does not match, and the walk gets to the block by whole days.
    state = int(recent[-1]) if recent.size else day_before - 1
    walked: list[int] = []
    for tick in rule.walk(zones.at(state, rule.zone)):
        tick_s = round(tick.timestamp())
        if tick_s >= block.end:
            return walked, tick_s
        walked.append(tick_s)
    return walked, LAST_S


def _plain(rule: Rule, start_s: int, end_s: int, ahead: int, room: int = MOST_TICKS) -> Instants:
    """The ticks in [start, end) where the zone is `ahead` seconds of UTC throughout."""
    import numpy as np

    if start_s >= end_s:
        return np.empty(0, dtype=np.int64)
    first, last = (start_s + ahead) // DAY_S, (end_s - 1 + ahead) // DAY_S
    first_year, last_year = (date.fromordinal(int(day) + _EPOCH_ORDINAL).year for day in (first, last))
    days = np.concatenate(
        [
            np.asarray(rule.days(year), dtype=np.int64) + (date(year, 1, 1).toordinal() - _EPOCH_ORDINAL)
            for year in range(first_year, last_year + 1)
        ]
    )
    days = days[(days >= first) & (days <= last)]
    times = np.asarray(rule.times(), dtype=np.int64)
    if (days.size - 2) * times.size > room:  # the first and the last day may be cut
        raise ScheduleError(
            f"schedule: {quoted(rule.text)} has over {MOST_TICKS // MICRO} million expected times in this stretch; "
            "ask for a shorter one",
            field="schedule",
        )
    found = (days[:, None] * DAY_S + (times - ahead)[None, :]).ravel()
    return found[np.searchsorted(found, start_s) : np.searchsorted(found, end_s)]


class Expanded:
    """What cron and OnCalendar schedules share: a union of rules, expanded when asked."""

    kind: str
    period_s: float | None = None

    def __init__(self, text: str, tz: str, rules: Sequence[Rule]) -> None:
        self.text = text
        self.tz = tz
        self.rules = tuple(rules)
        self._gaps: tuple[float, float] | None = None
        self._a_day = sum(len(rule.times()) for rule in rules)
        # How far after() and before() look at once: a decade for a daily rule, five days for one tick a second.
        self._step_us = min(3_660, max(1, 500_000 // self._a_day)) * DAY_S * MICRO

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r}, {self.tz!r})"

    def ticks(self, start_us: int, end_us: int) -> Instants:
        """Epoch microseconds of the expected times in [start, end), ascending; an instant of two rules counts once.

        Nothing lies outside the years 1970 to 2261. More than 20 million at once are refused (ScheduleError).
        """
        import numpy as np

        start_s, end_s = -(-start_us // MICRO), -(-end_us // MICRO)
        room, each = MOST_TICKS, []
        for rule in self.rules:
            each.append(ticks(rule, start_s, end_s, room))
            room -= each[-1].size
        return (each[0] if len(each) == 1 else np.unique(np.concatenate(each))) * MICRO

    def after(self, t_us: int) -> int | None:
        """The first expected time strictly after `t_us`, epoch microseconds; None if there is none until 2262."""
        start, span = max(t_us + 1, FIRST_S), DAY_S * MICRO
        while start < LAST_S * MICRO:
            found = self.ticks(start, start + span)
            if found.size:
                return int(found[0])
            start, span = start + span, min(span * 4, self._step_us)
        return None

    def before(self, t_us: int) -> int | None:
        """The last expected time strictly before `t_us`, epoch microseconds; None if there is none within 10 years."""
        end, span = min(t_us, LAST_S * MICRO), DAY_S * MICRO
        earliest = max(end - 3_660 * DAY_S * MICRO, FIRST_S)
        while end > earliest:
            found = self.ticks(end - span, end)
            if found.size:
                return int(found[-1])
            end, span = end - span, min(span * 4, self._step_us)
        return None

    def shortest_gap_s(self) -> float:
        """Seconds between the two closest neighbours of a usual year; infinite if there is only one tick at all.

        Local time without its changes: a day of 23 hours a year must not shape what a daily job is held to.
        """
        return self._extremes()[0]

    def gaps_differ(self) -> bool:
        """Whether the longest gap of a usual year is over three times the shortest, so that one grace fits badly."""
        shortest, longest = self._extremes()
        return longest > 3 * shortest

    def _extremes(self) -> tuple[float, float]:
        if self._gaps is None:
            rules = self.rules
            if len({rule.zone for rule in rules}) == 1:
                rules = tuple(rule.moved(UTC) for rule in rules)
            self._gaps = Expanded(self.text, self.tz, rules)._measured()
        return self._gaps

    def _measured(self) -> tuple[float, float]:
        """Shortest and longest gap from the first tick of 2025 on, over 400 days and at least two gaps.

        Fewer days, but over a week, of what ticks so often that 400 would be over 30 million ticks.
        """
        import numpy as np

        first = self.after(_USUAL_US - 1)
        if first is None:
            first = self.after(-1)
        shortest, longest, gaps = math.inf, 0.0, 0
        start = last = first or 0
        enough = start + min(400, max(8, 30_000_000 // self._a_day)) * DAY_S * MICRO
        while start < LAST_S * MICRO and (gaps < 2 or start < enough):
            found = self.ticks(start, start + self._step_us)
            between = np.diff(found, prepend=last)
            between = between[between > 0]
            if between.size:
                shortest = min(shortest, float(between.min()) / MICRO)
                longest = max(longest, float(between.max()) / MICRO)
                gaps += between.size
                last = int(found[-1])
            start += self._step_us
        return shortest, longest
