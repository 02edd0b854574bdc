"""The table `[watch]` of `qpa.toml`: how the scheduled run goes, and when reports are due."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer

from qpanalytics import schedules
from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.settings_values import Period, Reference, Table, Text, text
from qpanalytics.spell import quoted

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
Cadence = Literal["daily", "weekly", "monthly"]


@dataclass(frozen=True)
class Due:
    """When a report is due: a cron expression in a zone, and the text it was written as. `tz` None is the reports' own."""

    cron: str
    tz: str | None
    said: str

    def schedule(self, tz: str) -> schedules.Schedule:
        """Its instants; `tz` is where it names no zone."""
        return schedules.parse(self.cron, self.tz or tz)


_EXAMPLES = {"daily": "07:00 Europe/Berlin", "weekly": "Mon 07:00 Europe/Berlin", "monthly": "1 07:00 Europe/Berlin"}


def due(value: object, cadence: Cadence) -> Due:
    """What "07:00", "Mon 07:00" or "1 07:00" means, with or without a zone. ValueError with what to write instead."""
    said = text(value)
    example = f"try {quoted(_EXAMPLES[cadence])}"
    found = re.fullmatch(r"(?:(\w+)\s+)?([01]?\d|2[0-3]):([0-5]\d)(?:\s+(\S+))?", said, re.ASCII)
    if found is None:
        raise ValueError(f"{quoted(said)} is not a time for a {cadence} report; {example}")
    day, hour, minute, tz = found.groups()
    if tz is not None:
        try:
            zones.zone(tz)
        except ScheduleError as error:
            raise ValueError(str(error).removeprefix("tz: ")) from None
    month_day, week_day = "*", "*"
    if cadence == "weekly" and (day or "").upper()[:3] in DAYS and len(day) in (3, *range(6, 10)):
        week_day = day.upper()[:3]
    elif cadence == "monthly" and (day or "").isdigit() and 1 <= int(day) <= 28:
        month_day = str(int(day))
    elif cadence != "daily" or day is not None:
        what = {"daily": "no day", "weekly": "a day of the week", "monthly": "a day from 1 to 28"}[cadence]
        raise ValueError(f"{quoted(said)} is not a time for a {cadence} report, which has {what}; {example}")
    return Due(f"{int(minute)} {int(hour)} {month_day} * {week_day}", tz, said)


def _shown(value: Due) -> str:
    return value.said


Daily = Annotated[Due, BeforeValidator(lambda value: due(value, "daily")), PlainSerializer(_shown)]
Weekly = Annotated[Due, BeforeValidator(lambda value: due(value, "weekly")), PlainSerializer(_shown)]
Monthly = Annotated[Due, BeforeValidator(lambda value: due(value, "monthly")), PlainSerializer(_shown)]


class WatchTable(Table):
    """How the watch goes. Durations are seconds.

    Every `tick` what came is evaluated; each source is looked at when its own `every` has passed (without one, every
    tick). `daily`, `weekly` and `monthly` are when those reports are made, in the zone they name, else that of
    `[report]`; they go into the folder `reports`. `ping_url` is asked for after each good tick, so that another monitor
    can watch this one. `metrics` is a file for the node exporter's textfile collector. What came goes into the store
    every `feed`: alerts do not wait for it, figures and reports do.
    """

    tick: Period = 60.0
    daily: Daily | None = None
    weekly: Weekly | None = None
    monthly: Monthly | None = None
    reports: Text = "reports"
    ping_url: Reference | None = None
    metrics: Text | None = None
    feed: Period = 300.0
