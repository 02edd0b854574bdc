"""Instants between people's aware datetimes and the epoch microseconds that ledger and analysis count in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The least difference of two instants; a window that reaches to an instant ends so much after it.
TICK = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """An aware time as whole microseconds since 1970 UTC."""
    return (at - EPOCH) // TICK


def instant(us: int) -> datetime:
    """Microseconds since 1970 as a time in UTC."""
    return EPOCH + timedelta(microseconds=us)
