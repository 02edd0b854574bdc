"""When a job is expected: cron, OnCalendar and interval schedules in their time zones.

    >>> every_night = parse("30 2 * * *", "Europe/Berlin")
    >>> from qpanalytics import spell
    >>> spell.iso(every_night.after(1_774_744_200_000_000))  # Berlin has no 02:30 on 29 March 2026: it fires at 03:00
    '2026-03-29T01:00:00Z'

Nothing outside this folder imports `cronsim` or `oncalendar`; NumPy is imported when ticks are asked for.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import cron, oncalendar, zones
from qpanalytics.schedules.interval import Interval
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Instants

__all__ = ["Schedule", "parse"]

LONGEST_TEXT, MOST_PARTS = 4_000, 100


@runtime_checkable
class Schedule(Protocol):
    """Expected times in epoch microseconds UTC. An interval schedule has a period and no ticks."""

    kind: str  # "cron", "oncalendar" or "interval"
    text: str
    tz: str
    period_s: float | None

    def ticks(self, start_us: int, end_us: int) -> Instants:
        """The expected times in [start, end), ascending, each once."""

    def after(self, t_us: int) -> int | None:
        """The first expected time strictly after."""

    def before(self, t_us: int) -> int | None:
        """The last expected time strictly before, None if there is none within 10 years."""

    def shortest_gap_s(self) -> float:
        """Seconds between the closest neighbours of a usual year."""

    def gaps_differ(self) -> bool:
        """Whether the longest gap of a usual year is over three times the shortest."""


def parse(text: str, tz: str = "UTC") -> Schedule:
    """The schedule that `text` describes: cron expressions joined by ` ; `, `every 15 min`, or `OnCalendar=...`.

    ScheduleError (with `field` "schedule" or "tz") for what does not parse, has no tick at all, or is no known zone.
    """
    zone = zones.zone(tz)
    if len(text) > LONGEST_TEXT:
        raise _refused(text, f"has {len(text):,} characters; {LONGEST_TEXT:,} are the most")
    if re.search(r"[^\x20-\x7e\t\r\n]", text):
        raise _refused(text, f"holds characters that no schedule has; {cron.EXAMPLES}")
    parts = [" ".join(part.split()) for part in re.split(r"[;\n]", text)]
    parts = list(dict.fromkeys(part for part in parts if part))
    if not parts:
        raise _refused(text, f"is empty; {cron.EXAMPLES}")
    if len(parts) > MOST_PARTS:
        raise _refused(text, f"joins {len(parts)} schedules; {MOST_PARTS} are the most")
    text = " ; ".join(parts)
    kinds = {_kind(part) for part in parts}
    if "oncalendar" in kinds:
        lines = [re.sub(r"^oncalendar\s*=\s*", "", part, flags=re.IGNORECASE) for part in parts]
        return oncalendar.OnCalendar(text, tz, [oncalendar.CalendarRule(line, zone) for line in lines])
    if "interval" in kinds:
        if len(parts) > 1:
            raise _refused(text, "joins a period with something else; a period stands alone")
        return Interval(text, tz)
    try:
        return cron.Cron(text, tz, [cron.CronRule(part, zone) for part in parts])
    except ScheduleError as error:
        raise _meant_calendar(parts, zone) or error from None


def _meant_calendar(parts: list[str], zone: tzinfo) -> ScheduleError | None:
    """What to say of an OnCalendar expression without its prefix, as `systemctl cat` and Healthchecks show it."""
    try:
        for part in parts:
            oncalendar.CalendarRule(part, zone)
    except ScheduleError:
        return None
    text = " ; ".join(parts)
    return _refused(text, f"is not a cron expression; write {quoted('OnCalendar=' + text)}")


def _kind(part: str) -> str:
    if re.match(r"oncalendar\s*=", part, re.IGNORECASE):
        return "oncalendar"
    return "interval" if re.match(r"every\b", part, re.IGNORECASE) else "cron"


def _refused(text: str, why: str) -> ScheduleError:
    return ScheduleError(f"schedule: {quoted(text)} {why}", field="schedule")
