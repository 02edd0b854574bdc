"""Expected times of one or several rules, the next and the last of them, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qpanalytics.schedules import stepping, zones
from qpanalytics.schedules.layout import DAY_US, FIRST_S, LAST_S, LOOK_BACK_S, MOST_TICKS, day_number, days_between, ticks
from qpanalytics.schedules.rules import MICRO, Rule
from qpanalytics.schedules.zones import DAY_S

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Instants

_USUAL_US = 1_735_689_600 * MICRO  # 2025-01-01
_LOOK_DAYS = 3_660


class Expanded:
    """What cron and OnCalendar schedules share: a union of rules, expanded when asked."""

    kind: str
    period_s: float | None = None

    def __init__(self, text: str, tz: str, rules: Sequence[Rule]) -> None:
        self.text = text
        self.tz = tz
        self.rules = tuple(rules)
        self._gaps: tuple[float, float] | None = None
        self._a_day = sum(rule.a_day for rule in rules)
        # How far to look at once: a decade for a daily rule, five days for one tick a second.
        self._step_days = min(_LOOK_DAYS, max(1, 500_000 // self._a_day))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r}, {self.tz!r})"

    def ticks(self, start_us: int, end_us: int) -> Instants:
        """Epoch microseconds of the expected times in [start, end), ascending; an instant of two rules counts once.

        Nothing lies outside the years 1970 to 2261. More than 20 million at once are refused (ScheduleError).
        """
        import numpy as np

        room, each = MOST_TICKS, []
        for rule in self.rules:
            each.append(ticks(rule, start_us, end_us, room))
            room -= each[-1].size
        return each[0] if len(each) == 1 else np.unique(np.concatenate(each))

    def after(self, t_us: int) -> int | None:
        """The first expected time strictly after `t_us`, epoch microseconds; None if there is none until 2262."""
        if stepping.pays() and (found_us := stepping.after(self.rules, t_us)) is not None:
            return found_us
        start, span = max(t_us + 1, FIRST_S), DAY_US
        near = [_next(rule, (start - 1) // MICRO) for rule in self.rules]
        if None not in near:
            return min(one for one in near if one is not None) * MICRO
        while start < LAST_S * MICRO:
            found = self.ticks(start, start + span)
            if found.size:
                return int(found[0])
            start, span = start + span, min(span * 4, self._step_days * DAY_US)
        return None

    def before(self, t_us: int) -> int | None:
        """The last expected time strictly before `t_us`, epoch microseconds; None if there is none within 10 years."""
        if stepping.pays() and (found_us := stepping.before(self.rules, t_us)) is not None:
            return found_us
        end, span = min(t_us, LAST_S * MICRO), DAY_US
        near = [_last(rule, -(-end // MICRO)) for rule in self.rules]
        if None not in near:
            return max(one for one in near if one is not None) * MICRO
        earliest = max(end - _LOOK_DAYS * DAY_US, FIRST_S)
        while end > earliest:
            found = self.ticks(end - span, end)
            if found.size:
                return int(found[-1])
            end, span = end - span, min(span * 4, self._step_days * DAY_US)
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
            if len(rules) == 1:
                self._gaps = self._measured_alone()
                return self._gaps
            if len({rule.zone for rule in rules}) == 1:
                rules = tuple(rule.without_changes() for rule in rules)
            self._gaps = Expanded(self.text, self.tz, rules)._measured()
        return self._gaps

    def _enough_days(self) -> int:
        """Over a year; fewer days, but over a week, of what ticks so often that 400 would be over 30 million ticks."""
        return min(400, max(8, 30_000_000 // self._a_day))

    def _measured(self) -> tuple[float, float]:
        """Shortest and longest gap from the first tick of 2025 on, over enough days and at least two gaps."""
        import numpy as np

        first = self.after(_USUAL_US - 1)
        if first is None:
            first = self.after(-1)
        shortest, longest, gaps = math.inf, 0.0, 0
        start = last = first or 0
        enough, step = start + self._enough_days() * DAY_US, self._step_days * DAY_US
        while start < LAST_S * MICRO and (gaps < 2 or start < enough):
            found = self.ticks(start, start + step)
            between = np.diff(found, prepend=last)
            between = between[between > 0]
            if between.size:
                shortest = min(shortest, float(between.min()) / MICRO)
                longest = max(longest, float(between.max()) / MICRO)
                gaps += between.size
                last = int(found[-1])
            start += step
        return shortest, longest

    def _measured_alone(self) -> tuple[float, float]:
        """The same of a single rule in local time, from its days and times without laying them out."""
        import numpy as np

        rule, last_day = self.rules[0], LAST_S // DAY_S
        first = _first_day(rule, day_number(2025), last_day)
        if first is None:
            first = _first_day(rule, 0, last_day)
        times = rule.times()
        within = np.diff(times)
        found = [(int(within.min()), int(within.max()))] if within.size else []
        start, gaps = first if first is not None else last_day, 0
        last, enough = start, start + self._enough_days()
        while start < last_day and (gaps < 2 or start < enough):
            days = days_between(rule, start, min(start + self._step_days, last_day) - 1)
            between = np.diff(days, prepend=last)
            between = between[between > 0] * DAY_US + (times[0] - times[-1])
            if between.size:
                found.append((int(between.min()), int(between.max())))
            if days.size:
                last = int(days[-1])
            gaps += between.size + days.size * within.size
            start += self._step_days
        if not gaps:
            return math.inf, 0.0
        return min(low for low, _ in found) / MICRO, max(high for _, high in found) / MICRO


def _first_day(rule: Rule, day: int, last_day: int) -> int | None:
    """The first matching day from `day` on."""
    for year in range(zones.year_of(day), zones.year_of(last_day)):
        days = rule.days(year)
        if days.size:
            return day_number(year) + int(days[0])
    return None


def _next(rule: Rule, t_s: int) -> int | None:
    """The first tick strictly after, epoch seconds; None if it is far or a change of offset too near to be sure."""
    ahead = zones.offset(t_s, rule.zone)
    day, time_s = divmod(t_s + ahead, DAY_S)
    year = zones.year_of(day)
    days, number, times = rule.days(year), day - day_number(year), rule.times()
    at = int(days.searchsorted(number))
    place = int(times.searchsorted(time_s * MICRO, "right"))
    if at == days.size or days[at] != number:
        place = 0
    elif place == times.size:
        at, place = at + 1, 0
    if at < days.size:
        day = day_number(year) + int(days[at])
    elif (days := rule.days(year + 1)).size:
        day = day_number(year + 1) + int(days[0])
    else:
        return None
    found = day * DAY_S + int(times[place]) // MICRO - ahead
    return found if found < LAST_S and _is_calm(rule, t_s, found) else None


def _last(rule: Rule, t_s: int) -> int | None:
    """The last tick strictly before, epoch seconds; None if it is far or a change of offset too near to be sure."""
    if t_s <= FIRST_S:
        return None
    ahead = zones.offset(t_s, rule.zone)
    day, time_s = divmod(t_s + ahead, DAY_S)
    year = zones.year_of(day)
    days, number, times = rule.days(year), day - day_number(year), rule.times()
    at = int(days.searchsorted(number))
    place = int(times.searchsorted(time_s * MICRO)) - 1
    if at == days.size or days[at] != number or place < 0:
        at, place = at - 1, -1
    if at >= 0:
        day = day_number(year) + int(days[at])
    elif (days := rule.days(year - 1)).size:
        day = day_number(year - 1) + int(days[-1])
    else:
        return None
    found = day * DAY_S + int(times[place]) // MICRO - ahead
    return found if found >= FIRST_S and _is_calm(rule, found, t_s) else None


def _is_calm(rule: Rule, start_s: int, end_s: int) -> bool:
    """Whether no change of offset can tell on the ticks from start to end."""
    return not zones.changes(start_s - 2 * LOOK_BACK_S, end_s + DAY_S, rule.zone)
