"""`every 15 min`: no clock times; each completion sets when the next is due."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qpanalytics.errors import ScheduleError
from qpanalytics.spell import DAY, duration, parse_duration, quoted

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Instants

SHORTEST_S, LONGEST_S = 1.0, 3_660.0 * DAY


class Interval:
    """A rolling period. It has no ticks: the ledger counts from the completions."""

    kind = "interval"

    def __init__(self, text: str, tz: str) -> None:
        """ScheduleError if `text` is not "every" and a period of 1 s to 10 years."""
        self.text = text
        self.tz = tz
        words = text[len("every") :].strip()
        if re.fullmatch(r"(min|hour|day|week)", words, re.IGNORECASE):  # "every hour"
            words = {"min": "1 min", "hour": "1 h", "day": "1 d", "week": "1 w"}[words.lower()]
        if re.fullmatch(r"[0-9.]*", words):
            raise _refused(text, "it has no unit" if words else "it has no period")
        try:
            period_s = parse_duration(words)
        except ValueError as error:
            raise _refused(text, str(error).split(";")[0], str(error).rpartition('try "')[2].rstrip('"')) from None
        if not SHORTEST_S <= period_s <= LONGEST_S:
            raise _refused(text, f"a period is {duration(SHORTEST_S)} to 10 years")
        self.period_s: float | None = period_s
        self._gap_s = period_s

    def __repr__(self) -> str:
        return f"Interval({self.text!r}, {self.tz!r})"

    def ticks(self, start_us: int, end_us: int) -> Instants:
        """None: what is expected hangs on the pings."""
        import numpy as np

        return np.empty(0, dtype=np.int64)

    def after(self, t_us: int) -> int | None:
        return None

    def before(self, t_us: int) -> int | None:
        return None

    def shortest_gap_s(self) -> float:
        return self._gap_s

    def gaps_differ(self) -> bool:
        return False


def _refused(text: str, why: str, instead: str = "15 min") -> ScheduleError:
    return ScheduleError(f'schedule: {quoted(text)} is not a period ({why}); try "every {instead}"', field="schedule")
