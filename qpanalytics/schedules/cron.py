"""Cron expressions with Debian's rules, as `cronsim` reads them: 5 fields, or 6 with seconds first."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules.expand import Expanded
from qpanalytics.schedules.rules import Rule
from qpanalytics.spell import plural, quoted

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Days

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# What cronsim raises on odd text: its own error, int() of thousands of digits, an assertion on "L/2" within a list.
_REFUSALS = (CronSimError, ValueError, AssertionError, TypeError, RecursionError)


class Cron(Expanded):
    """One or several cron expressions in one time zone."""

    kind = "cron"


class CronRule(Rule):
    """One cron expression in one time zone.

    As in Debian's cron, an expression of five fields whose minute and hour do not begin with a star is for fixed times: one
    that the clocks skip fires right after the gap, one that comes twice only the first time. All else runs in real time.
    """

    caught_up = True

    def __init__(self, text: str, zone: tzinfo) -> None:
        """ScheduleError if `text` does not parse or never fires."""
        fields = text.upper().split()
        try:
            parsed = _Walk(text, datetime(2000, 1, 1, tzinfo=zone))
            if not _surely_fires(parsed):
                next(parsed)
        except _EndlessError:
            pass
        except StopIteration:
            raise ScheduleError(f"schedule: {quoted(text)} never fires", field="schedule") from None
        except _REFUSALS as error:
            raise ScheduleError(f"schedule: {_advice(text, fields, error)}", field="schedule") from None
        super().__init__(text, zone, parsed)
        self.real_time = parsed.fixup_tz is None and zone is not UTC
        self._day_fields = " ".join(fields[-3:])
        self._parsed = parsed

    def days(self, year: int) -> Days:
        return _days(_DayFields(self._day_fields, self._parsed), _like(year))

    def walk(self, start: datetime) -> Iterator[datetime]:
        walk = _Walk(self.text, start)
        with suppress(_EndlessError):
            while True:
                try:
                    yield next(walk)
                except StopIteration:
                    return
                walk.turns = 0


class _EndlessError(Exception):
    """cronsim is sent round in circles."""


class _Walk(CronSim):
    """cronsim that gives up: where a fold holds midnight, as in St. John's until 2011, it may look for the next day for ever.

    It takes at most some thousand turns to find the next tick, or that there is none in 50 years.
    """

    turns = 0

    def advance_month(self) -> None:
        self.turns += 1
        if self.turns > 20_000:
            raise _EndlessError
        super().advance_month()


def _surely_fires(parsed: CronSim) -> bool:
    """Whether there is a day to fire on in most months that match, without having to look for it.

    Where that is not plain, as for the 31st, cronsim looks; also for what runs in real time on a few days a year, all of
    which may lie in the gap: */30 2 * 3 0L in Berlin never fires.
    """
    by_day = any(day <= 28 for day in parsed.days)  # the last day and the last working day are negative
    by_weekday = any(isinstance(one, int) for one in parsed.weekdays)
    fires = by_day and by_weekday and _one_is_free(parsed) if parsed.day_and else by_day or by_weekday
    return fires and (len(parsed.months) > 6 or parsed.fixup_tz is not None or parsed.dt.tzinfo is UTC)


def _one_is_free(parsed: CronSim) -> bool:
    """Whether only one of the day of the month and the weekday restricts the days."""
    return len(parsed.days) == 31 or set(range(7)) <= parsed.weekdays


class _DayFields:
    """Day of month, month and weekday: equal if their text is."""

    __slots__ = ("parsed", "text")

    def __init__(self, text: str, parsed: CronSim) -> None:
        self.text = text
        self.parsed = parsed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DayFields) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=512)
def _like(year: int) -> int:
    """A year with the same days: leap or not, and its first weekday, on which alone it hangs which days match."""
    return next(like for like in range(1972, 2000) if _shape(like) == _shape(year))


def _shape(year: int) -> tuple[bool, int]:
    return isleap(year), date(year, 1, 1).weekday()


@lru_cache(maxsize=4096)
def _days(fields: _DayFields, like: int) -> Days:
    """Days of the year (0 is 1 January) that match day of month, month and weekday by cronsim's rules."""
    import numpy as np

    from qpanalytics.schedules.year import among, year

    parsed, days = fields.parsed, year(like)
    by_day = among(days.day, parsed.days)
    if CronSim.LAST in parsed.days:
        by_day |= days.to_end == 0
    if CronSim.LAST_WEEKDAY in parsed.days:
        by_day |= days.last_workday
    by_weekday = np.zeros(len(days.day), dtype=np.bool_)
    for one in parsed.weekdays:  # 0 and 7 are Sunday; 5 and "last" are the month's last Friday, 5 and 2 its second
        number, which = one if isinstance(one, tuple) else (one, None)
        match = days.weekday == (number - 1) % 7
        if which == CronSim.LAST:
            match &= days.to_end < 7
        elif which is not None:
            match &= (days.day + 6) // 7 == which
        by_weekday |= match
    matching = by_day & by_weekday if parsed.day_and else by_day | by_weekday
    return np.flatnonzero(among(days.month, parsed.months) & matching).astype(np.int16)


def forget() -> None:
    """Nothing is remembered of any expression, as in a new process."""
    _days.cache_clear()


def _advice(text: str, fields: list[str], error: Exception) -> str:
    """What is wrong with an expression that cronsim refused, and what to write."""
    shown = quoted(text)
    if nickname := _NICKNAMES.get(text.strip().lower()):
        return f'{shown} is not a cron expression; write "{nickname}"'
    if len(fields) not in (5, 6):
        return f"{shown} is not a cron expression ({plural(len(fields), 'field')}, not 5); {EXAMPLES}"
    try:  # cronsim also calls a day bad that none of the months has
        CronSim(" ".join([*fields[:-2], "*", fields[-1]]), datetime(2000, 1, 1, tzinfo=UTC))
        CronSim(" ".join(["0", "0", "*", fields[-2], "*"]), datetime(2000, 1, 1, tzinfo=UTC))
    except _REFUSALS:
        what = str(error).lower() if isinstance(error, CronSimError) else "a field that makes no sense"
        return f"{shown} is not a cron expression ({what}); {EXAMPLES}"
    return f"{shown} never fires: none of its months has that day; {EXAMPLES}"


EXAMPLES = 'try "0 3 * * *", "every 15 min" or "OnCalendar=daily"'
