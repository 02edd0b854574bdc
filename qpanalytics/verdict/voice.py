"""What sentences are made of: days and moments in the reader's zone, counts, lists of names, shell commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from qpanalytics import spell

NAMES_SHOWN = 3
DAYS_SHOWN = 4
"""So many days are told by name; more are counted."""

_HOUR = timedelta(hours=1)  # days of 23 and 25 hours are days


@dataclass(frozen=True)
class Voice:
    """Who reads (`tz`) about which window, as of when. Times are told by day name within the window, else with date."""

    since: datetime
    until: datetime
    as_of: datetime
    tz: str = "UTC"

    @cached_property
    def zone(self) -> ZoneInfo:
        """The reader's zone."""
        return ZoneInfo(self.tz)

    @cached_property
    def noun(self) -> str:
        """What the window is called: day, week, month, else window."""
        length = self.until - self.since
        for days, noun in ((1, "day"), (7, "week")):
            if abs(length - timedelta(days=days)) <= _HOUR:
                return noun
        months = timedelta(days=28) - _HOUR <= length <= timedelta(days=31) + _HOUR
        begins = self._local(self.since)
        return "month" if months and begins.day == 1 and self._local(self.until).day == 1 else "window"

    @cached_property
    def named(self) -> bool:
        """Whether a day name alone says which day: the window holds none twice."""
        last = self._local(self.until - timedelta(microseconds=1))
        return (last.date() - self._local(self.since).date()).days < 7

    def now(self) -> str:
        """ "this week", "in this window"."""
        return f"this {self.noun}" if self.noun != "window" else "in this window"

    def before(self, windows: int = 1) -> str:
        """ "the week before", "4 weeks before"."""
        return f"the {self.noun} before" if windows == 1 else f"{windows} {self.noun}s before"

    def moment(self, at: datetime) -> str:
        """ "Fri 02:30" within the window, else "Fri 13 Nov 02:30", with the year where it is another."""
        if self.named and self.since <= at < self.until:
            return f"{self._weekday(at)} {spell.clock(at, self.zone)}"
        return f"{self.day(at)} {spell.clock(at, self.zone)}"

    def day(self, at: datetime) -> str:
        """ "Fri 13 Nov", with the year where it is another than that of the window."""
        local = self._local(at)
        year = "" if local.year == self._local(self.until).year else f" {local.year}"
        return f"{spell.day(at, self.zone)}{year}"

    def since_day(self, at: datetime) -> str:
        """ "Thu" within the window, else as `dated`."""
        return self._weekday(at) if self.named and self.since <= at < self.until else self.dated(at)

    def dated(self, at: datetime) -> str:
        """ "12 Nov", with the year where it is another than that of the window: for days of which the weekday says nothing."""
        return self.day(at).partition(" ")[2]

    def days(self, stamps: Sequence[str], *, clock: bool = False) -> str:
        """ ", on Mon, Wed and Fri" from ISO instants; with the time of day if there is one only and `clock` asks.

        Many days are counted: ", on 9 days". Empty where the window is a day anyway and times would not help.
        """
        times = [datetime.fromisoformat(stamp) for stamp in stamps]
        if not times:
            return ""
        if len(times) == 1 and clock:
            return f", on {self.moment(times[0])}"
        if self.noun == "day":
            return f", at {listed([spell.clock(t, self.zone) for t in times])}" if len(times) <= DAYS_SHOWN else ""
        found = sorted({self._local(t).date() for t in times})
        if len(found) > DAYS_SHOWN:
            return f", on {len(found)} days"
        return f", on {listed(self._dated(found))}"

    def _dated(self, days: Sequence[date]) -> list[str]:
        said = [spell.day(datetime(d.year, d.month, d.day, tzinfo=self.zone), self.zone) for d in days]
        if self.named:
            return [words.split()[0] for words in said]
        # "Mon 16, Wed 18 and Fri 20 Nov": the month where it changes, and at the end
        return [
            words if i + 1 == len(days) or days[i + 1].month != day.month else words.rpartition(" ")[0]
            for i, (day, words) in enumerate(zip(days, said, strict=True))
        ]

    def _weekday(self, at: datetime) -> str:
        return spell.day(at, self.zone).split()[0]

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def names(checks: Sequence[str]) -> str:
    """Up to three names and how many more: "a, b, c and 8 more"."""
    if len(checks) <= NAMES_SHOWN + 1:
        return listed(checks)
    return f"{', '.join(checks[:NAMES_SHOWN])} and {len(checks) - NAMES_SHOWN} more"


def length(seconds: float | None) -> str:
    """A measured length of time in the figures a reader can use: 7 min 2 s is 7 min, 4.6 s is 4.6 s."""
    if seconds is None:
        return "n/a"
    size = abs(seconds)
    step = 10 if 120 <= size < 300 else 60 if 300 <= size < 600 else 0
    return spell.duration(round(seconds / step) * step if step else seconds)


def pair(before: float, now: float) -> str:
    """ "16 min -> 19 min"; finer where both would read the same."""
    coarse = length(before), length(now)
    fine = spell.duration(before), spell.duration(now)
    first, second = coarse if coarse[0] != coarse[1] else fine
    return f"{first} -> {second}"


def quoted(text: str) -> str:
    """`text` as one word of a shell, also when it holds line ends or marks that turn the line around.

    `$'...'` is understood by bash, zsh, ksh and busybox; names of printable letters get plain quotes, for every shell.
    """
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_escaped(char) for char in text) + "'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    # Three octal digits cannot run into what follows; \x and \u could.
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogatepass"))
