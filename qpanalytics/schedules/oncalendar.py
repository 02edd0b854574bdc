"""systemd's OnCalendar expressions, as `oncalendar` reads them; a line may end in its own time zone."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from oncalendar import BaseIterator, OnCalendarError

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.schedules.expand import Expanded
from qpanalytics.spell import quoted

EXAMPLES = 'try "OnCalendar=daily", "OnCalendar=Mon..Fri 09:00" or "OnCalendar=*-*-* 02:30 Europe/Berlin"'
# What oncalendar raises on odd text: its own error, int() of thousands of digits, a recursion for each trailing comma.
_REFUSALS = (OnCalendarError, ValueError, AssertionError, IndexError, TypeError, RecursionError)


class OnCalendar(Expanded):
    """One or several OnCalendar expressions, each in its own zone or the schedule's."""

    kind = "oncalendar"


class CalendarRule:
    """One OnCalendar expression in one time zone."""

    def __init__(self, text: str, zone: tzinfo) -> None:
        """ScheduleError if `text` does not parse or has no tick at all."""
        self.text = text
        self.zone = zone
        self._expression = text
        head, _, last = text.rpartition(" ")
        if head and (own := zones.find(last)) is not None:
            self._expression, self.zone = head.strip(), own
        try:
            parsed = BaseIterator(self._expression, datetime(1970, 1, 1, tzinfo=UTC).astimezone(self.zone))
            next(parsed)
        except StopIteration:
            why = "there is no such time"
            raise ScheduleError(f"schedule: {quoted(text)} never fires: {why}; {EXAMPLES}", field="schedule") from None
        except _REFUSALS as error:
            raise ScheduleError(f"schedule: {_advice(text, head, last, error)}", field="schedule") from None
        self._times = tuple(
            hour * 3_600 + minute * 60 + second
            for hour in sorted(parsed.hours)
            for minute in sorted(parsed.minutes)
            for second in sorted(parsed.seconds)
        )

    def days(self, year: int) -> tuple[int, ...]:
        return _days(self._expression, year)

    def times(self) -> tuple[int, ...]:
        return self._times

    def walk(self, start: datetime) -> Iterator[datetime]:
        return BaseIterator(self._expression, start)

    def moved(self, zone: tzinfo) -> CalendarRule:
        moved = CalendarRule(self.text, zone)
        moved.zone = zone
        return moved


@lru_cache(maxsize=1024)
def _days(expression: str, year: int) -> tuple[int, ...]:
    """Days of the year (0 is 1 January) that match, as oncalendar judges them."""
    judge = BaseIterator(expression, datetime(1970, 1, 1, tzinfo=UTC))
    if year not in judge.years:
        return ()
    first = date(year, 1, 1)
    days = ((number, first + timedelta(days=number)) for number in range(366 if isleap(year) else 365))
    return tuple(
        number for number, day in days if day.month in judge.months and judge.match_dow(day) and judge.match_dom(day)
    )


def _advice(text: str, head: str, last: str, error: Exception) -> str:
    """What is wrong with an expression that oncalendar refused, and what to write."""
    if head and "/" in last and last[0].isalpha():
        return f"{quoted(text)} ends in {quoted(last)}, which is not a time zone; {zones.suggestion(last)}"
    what = str(error).lower() if isinstance(error, OnCalendarError) else "a field that makes no sense"
    return f"{quoted(text)} is not an OnCalendar expression ({what}); {EXAMPLES}"
