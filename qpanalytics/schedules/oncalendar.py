"""systemd's OnCalendar expressions, as `oncalendar` reads them; a line may end in its own time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from oncalendar import BaseIterator, OnCalendarError

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.schedules.expand import Expanded
from qpanalytics.schedules.rules import Rule
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Days

EXAMPLES = 'try "OnCalendar=daily", "OnCalendar=Mon..Fri 09:00" or "OnCalendar=*-*-* 02:30 Europe/Berlin"'
# What oncalendar raises on odd text: its own error, int() of thousands of digits, a recursion for each trailing comma.
_REFUSALS = (OnCalendarError, ValueError, AssertionError, IndexError, TypeError, RecursionError)


class OnCalendar(Expanded):
    """One or several OnCalendar expressions, each in its own zone or the schedule's."""

    kind = "oncalendar"


class CalendarRule(Rule):
    """One OnCalendar expression in one time zone: no tick for a time that the clocks skip, one for a time that comes twice."""

    caught_up = False
    real_time = False

    def __init__(self, text: str, zone: tzinfo) -> None:
        """ScheduleError if `text` does not parse or has no tick at all."""
        self._expression = text
        head, _, last = text.rpartition(" ")
        if head and (own := zones.find(last)) is not None:
            self._expression, zone = head.strip(), own
        try:
            parsed = BaseIterator(self._expression, datetime(1970, 1, 1, tzinfo=UTC).astimezone(zone))
            next(parsed)
        except StopIteration:
            why = "there is no such time"
            raise ScheduleError(f"schedule: {quoted(text)} never fires: {why}; {EXAMPLES}", field="schedule") from None
        except _REFUSALS as error:
            raise ScheduleError(f"schedule: {_advice(text, head, last, error)}", field="schedule") from None
        super().__init__(text, zone, parsed)

    def days(self, year: int) -> Days:
        return _days(self._expression, year)

    def walk(self, start: datetime) -> Iterator[datetime]:
        return BaseIterator(self._expression, start)


@lru_cache(maxsize=4096)
def _days(expression: str, number: int) -> Days:
    """Days of the year (0 is 1 January) that match, as oncalendar judges them."""
    import numpy as np

    from qpanalytics.schedules.year import among, year

    judge = BaseIterator(expression, datetime(1970, 1, 1, tzinfo=UTC))
    if number not in judge.years:
        return np.empty(0, dtype=np.int16)
    days = year(number)
    from_the_end = {-1 - day for day in judge.days if day < 0}
    matching = among(days.day, judge.days) | among(days.to_end, from_the_end)
    matching &= among(days.month, judge.months) & among(days.weekday, judge.weekdays)
    return np.flatnonzero(matching).astype(np.int16)


def _advice(text: str, head: str, last: str, error: Exception) -> str:
    """What is wrong with an expression that oncalendar refused, and what to write."""
    if head and "/" in last and last[0].isalpha():
        return f"{quoted(text)} ends in {quoted(last)}, which is not a time zone; {zones.suggestion(last)}"
    what = str(error).lower() if isinstance(error, OnCalendarError) else "a field that makes no sense"
    return f"{quoted(text)} is not an OnCalendar expression ({what}); {EXAMPLES}"
