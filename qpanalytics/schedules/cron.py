"""Cron expressions with Debian's rules, as `cronsim` reads them: 5 fields, or 6 with seconds first."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from cronsim import CronSim, CronSimError

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules.expand import Expanded
from qpanalytics.spell import plural, quoted

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Which days match hangs on the shape of the year alone, of which there are 14: leap or not, and its first weekday.
_LIKE = {(isleap(year), date(year, 1, 1).weekday()): year for year in range(1972, 2000)}
# What cronsim raises on odd text: its own error, int() of thousands of digits, an assertion on "L/2" within a list.
_REFUSALS = (CronSimError, ValueError, AssertionError, TypeError, RecursionError)


class Cron(Expanded):
    """One or several cron expressions in one time zone."""

    kind = "cron"


class CronRule:
    """One cron expression in one time zone."""

    def __init__(self, text: str, zone: tzinfo) -> None:
        """ScheduleError if `text` does not parse or never fires."""
        self.text = text
        self.zone = zone
        fields = text.upper().split()
        try:
            parsed = CronSim(text, datetime(2000, 1, 1, tzinfo=zone))
            next(parsed)
        except StopIteration:
            raise ScheduleError(f"schedule: {quoted(text)} never fires", field="schedule") from None
        except _REFUSALS as error:
            raise ScheduleError(f"schedule: {_advice(text, fields, error)}", field="schedule") from None
        self._day_fields = " ".join(fields[-3:])
        self._times = tuple(
            hour * 3_600 + minute * 60 + second
            for hour in sorted(parsed.hours)
            for minute in sorted(parsed.minutes)
            for second in sorted(parsed.seconds)
        )

    def days(self, year: int) -> tuple[int, ...]:
        return _days(self._day_fields, _LIKE[isleap(year), date(year, 1, 1).weekday()])

    def times(self) -> tuple[int, ...]:
        return self._times

    def walk(self, start: datetime) -> Iterator[datetime]:
        return CronSim(self.text, start)

    def moved(self, zone: tzinfo) -> CronRule:
        return CronRule(self.text, zone)


@lru_cache(maxsize=512)
def _days(day_fields: str, year: int) -> tuple[int, ...]:
    """Days of the year (0 is 1 January) that match day-of-month, month and day-of-week, as cronsim judges them."""
    first = date(year, 1, 1)
    judge = CronSim(f"0 0 {day_fields}", datetime(year, 1, 1, tzinfo=UTC))
    days = ((number, first + timedelta(days=number)) for number in range(366 if isleap(year) else 365))
    return tuple(number for number, day in days if day.month in judge.months and judge.match_day(day))


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
