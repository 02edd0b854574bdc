"""Which days a digest is about: from midnight to midnight in the reader's zone, also where a day has 23 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from qpanalytics import spell
from qpanalytics.errors import UsageError


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
        raise UsageError(f"{spell.quoted(period)} is no period; there are daily, weekly, monthly and custom")
    return midnight(first, tz), midnight(end, tz)


def midnight(day: date, tz: str) -> datetime:
    """The instant at which `day` begins in `tz`, UTC; where a zone skips midnight, the first instant after."""
    return datetime.combine(day, time(0), ZoneInfo(tz)).astimezone(UTC)
