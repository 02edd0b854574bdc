"""What is due on the calendar: reports, pruning, daily facts. A due time that passed while nobody watched is made up for once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from qpanalytics.instants import instant, micros

if TYPE_CHECKING:
    from qpanalytics.settings import Settings

#: When old pings are pruned, if `[store] keep` says how long they are kept.
PRUNE = "30 4 * * *"
#: When the history is asked for what it alone can tell; see `daily`.
FACTS = "30 5 * * *"
#: A report that is later than this is not made up for: the next one is near.
TOO_LATE_US = {"daily": 18 * 3_600_000_000, "weekly": 5 * 86_400_000_000, "monthly": 14 * 86_400_000_000}


def due(settings: Settings, made: Mapping[str, int], now: datetime) -> dict[str, datetime]:
    """What is due now: the name of a report (or "prune", "facts"), and the instant it was due at.

    `made` says for which due time each was made last. What was never made waits for its next due time: nobody asks for the
    report of a week in which nobody watched.
    """
    from qpanalytics import schedules

    found: dict[str, datetime] = {}
    watch, tz = settings.watch, settings.report.tz
    times = {name: when.schedule(tz) for name in TOO_LATE_US if (when := getattr(watch, name)) is not None}
    times["facts"] = schedules.parse(FACTS, tz)
    if settings.store.keep is not None:
        times["prune"] = schedules.parse(PRUNE, tz)
    at = micros(now)
    for name, schedule in times.items():
        last = schedule.before(at + 1)
        if last is not None and name in made and last > made[name] and at - last < TOO_LATE_US.get(name, at):
            found[name] = instant(last)
    return found


def begun(settings: Settings, made: dict[str, int], now: datetime) -> None:
    """Notes reports that are configured and were never made as made until now."""
    for name in (*TOO_LATE_US, "prune", "facts"):
        made.setdefault(name, micros(now))
