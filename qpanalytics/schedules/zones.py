"""Time zones: names checked before they come near the file system, and when a zone's offset changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from qpanalytics.errors import ScheduleError
from qpanalytics.spell import quoted

DAY_S = 86_400
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
# What the zone directories hold besides zones, or what would mean another thing on another machine.
_NOT_ZONES = re.compile(r"(posix|right)/.*|localtime|posixrules|Factory")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_LOOK_S = 6 * DAY_S


@dataclass(frozen=True, slots=True)
class Change:
    """A zone's offset from UTC changes at `at` (epoch seconds), from `before` to `after` seconds."""

    at: int
    before: int
    after: int


def find(name: str) -> tzinfo | None:
    """The zone of that name, None if there is none. UTC is `datetime.UTC`, for which the parsers have a short way."""
    if name == "UTC":
        return UTC
    if not _NAME.fullmatch(name) or _NOT_ZONES.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a folder
        return None


def zone(name: str) -> tzinfo:
    """The zone of that name; ScheduleError(field="tz") names the nearest known one."""
    found = find(name) if isinstance(name, str) else None
    if found is not None:
        return found
    raise ScheduleError(f"tz: {quoted(str(name))} is not a time zone; {suggestion(name)}", field="tz")


def suggestion(name: object) -> str:
    """What to write instead of an unknown zone."""
    from difflib import get_close_matches

    if isinstance(name, str) and 2 <= len(name) <= 40:
        known = {one.lower(): one for one in available_timezones() if not _NOT_ZONES.fullmatch(one)}
        wanted = name.strip().lower().replace(" ", "_")
        if near := get_close_matches(wanted, known, n=1, cutoff=0.75 if len(name) > 4 else 1):
            return f'did you mean "{known[near[0]]}"?'
        cities = {one.rsplit("/", 1)[-1]: one for one in known if "/" in one}
        if near := get_close_matches(wanted.rsplit("/", 1)[-1], cities, n=1, cutoff=0.8):
            return f'did you mean "{known[cities[near[0]]]}"?'
    return 'try "UTC" or a name such as "Europe/Berlin"'


def at(epoch_s: int, tz: tzinfo) -> datetime:
    """The instant as a datetime of the zone."""
    return (_EPOCH + timedelta(seconds=epoch_s)).astimezone(tz)


def offset(epoch_s: int, tz: tzinfo) -> int:
    """Seconds that the zone is ahead of UTC at an instant."""
    ahead = at(epoch_s, tz).utcoffset()
    assert ahead is not None
    return ahead.days * DAY_S + ahead.seconds


def changes(start_s: int, end_s: int, tz: tzinfo) -> list[Change]:
    """The zone's changes of offset in [start, end), in order."""
    if tz is UTC:
        return []
    years = range(year_of(start_s // DAY_S), year_of(end_s // DAY_S) + 1)
    return [one for year in years for one in _changes_of_year(tz, year) if start_s <= one.at < end_s]


def year_of(day: int) -> int:
    """The year of a day that is counted from 1 January 1970."""
    return date.fromordinal(day + _EPOCH_ORDINAL).year


def forget() -> None:
    """Nothing is remembered of any zone, as in a new process."""
    _changes_of_year.cache_clear()


@lru_cache(maxsize=1024)
def _changes_of_year(tz: tzinfo, year: int) -> tuple[Change, ...]:
    """Looks every six days and bisects: in the tz database no two changes since 1970 are less than 6.9 days apart."""
    first = (date(year, 1, 1).toordinal() - _EPOCH_ORDINAL) * DAY_S
    last = (date(year + 1, 1, 1).toordinal() - _EPOCH_ORDINAL) * DAY_S
    found = []
    before = offset(first, tz)
    for low in range(first, last, _LOOK_S):
        high = min(low + _LOOK_S, last)
        after = offset(high, tz)
        if after != before:
            lo, hi = low, high  # the offset is `before` at lo and `after` at hi
            while hi - lo > 1:
                middle = (lo + hi) // 2
                lo, hi = (middle, hi) if offset(middle, tz) == before else (lo, middle)
            found.append(Change(hi, before, after))
        before = after
    return tuple(found)
