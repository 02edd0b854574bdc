"""The expected times of a schedule one by one: the next, the last before. Remembered, since many checks share a schedule."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache

from qpanalytics.ledger.versions import schedule_of
from qpanalytics.schedules import Schedule

#: Asked so often it is worth laying out this many ticks at a time; a minute of the watch asks less, and needs no NumPy.
OFTEN, AHEAD = 200, 512
#: More are not kept: some 8 MB.
MOST = 200_000


class Ticks:
    """Neighbours of instants among the ticks of one schedule, epoch microseconds."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._known: list[int] = []
        self._since = self._until = 0  # every tick of [since, until) is known
        self._asked = 0

    def after(self, t: int) -> int | None:
        """The first tick strictly after; None if there is none."""
        if self._since <= t < self._until:
            place = bisect_right(self._known, t)
            if place < len(self._known):
                return self._known[place]
        self._asked += 1
        found = self.schedule.after(t)
        if self._asked > OFTEN and found is not None and (t >= self._until or not self._known):
            self._extend(t, found)
        return found

    def before(self, t: int) -> int | None:
        """The last tick strictly before; None if there is none near."""
        if self._since <= t <= self._until:
            place = bisect_left(self._known, t)
            if place:
                return self._known[place - 1]
        return self.schedule.before(t)

    def _extend(self, t: int, found: int) -> None:
        """Knows the ticks from the one before `t` on to some hundred further."""
        second = self.schedule.after(found)
        if second is None:
            return
        until = found + AHEAD * (second - found)
        if self._known and self._until <= t + 1 and len(self._known) < MOST and t - self._until < until - found:
            self._known += self.schedule.ticks(self._until, until).tolist()
        else:
            first = self.schedule.before(t)
            self._since = t if first is None else first
            self._known = self.schedule.ticks(self._since, until).tolist()
        self._until = until


@lru_cache(maxsize=4096)
def ticks_of(text: str, tz: str) -> Ticks:
    """The ticks of a schedule; the same object for the same text and zone."""
    return Ticks(schedule_of(text, tz))
