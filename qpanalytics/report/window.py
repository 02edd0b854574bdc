"""Which days a digest is about: local midnights of the reader's zone, also where a clock change makes a day 23 h long."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def period_window(period: str, as_of: datetime, tz: str = "UTC") -> tuple[datetime, datetime]:
    """The last full day, Monday-to-Sunday week or calendar month in `tz` that ended by `as_of`: [since, until), UTC."""
    today = as_of.astimezone(ZoneInfo(tz)).date()
    if period == "daily":
        first, end = today - timedelta(days=1), today
    elif period == "weekly":
        end = today - timedelta(days=today.weekday())
        first = end - timedelta(days=7)
    elif period == "monthly":
        end = today.replace(day=1)
        first = (end - timedelta(days=1)).replace(day=1)
    else:
        raise ValueError(f"{period!r} is no period; there are daily, weekly, monthly")
    return midnight(first, tz), midnight(end, tz)


def midnight(day: date, tz: str) -> datetime:
    """The instant at which `day` begins in `tz`, UTC; where a zone skips midnight, the first instant after."""
    return datetime.combine(day, time(0), ZoneInfo(tz)).astimezone(UTC)


def days_before(until: datetime, days: int, tz: str) -> tuple[date, datetime]:
    """The first of the `days` local days that end with the one that holds the last instant before `until`, and its begin."""
    last = (until - timedelta(microseconds=1)).astimezone(ZoneInfo(tz)).date()
    first = last - timedelta(days=days - 1)
    return first, midnight(first, tz)
