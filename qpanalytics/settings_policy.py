"""The tables `[[route]]` and `[policy]` of `qpa.toml`: what is worth an alert, who gets it, and when it is held back."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from qpanalytics.settings_values import Count, Names, Period, Rank, Ranks, Seconds, Table, Texts, Zone, text
from qpanalytics.spell import quoted
from qpanalytics.words import Severity


def _hours(value: object) -> str:
    said = text(value)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", said):
        raise ValueError(f'{quoted(said)} is not two times of day; try "22:00-07:00"')
    return said


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{quoted(str(value))} is not a share from 0 to 1; try 0.9")
    return float(value)


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"{quoted(str(value))} is not a whole number from 1")
    return value


Hours = Annotated[str, BeforeValidator(_hours)]
Share = Annotated[float, BeforeValidator(_share)]
Times = Annotated[int, BeforeValidator(_positive)]


class EscalateTable(Table):
    """Who else is told, and after how many seconds without an acknowledgement."""

    after: Period
    to: Names


class RouteTable(Table):
    """Which alerts go to which channels; what it does not name, it does not look at."""

    to: Names
    severity: Ranks = ()
    tags: Texts = ()
    checks: Names = ()
    sources: Names = ()
    conditions: Names = ()
    between: Hours | None = None
    tz: Zone = "UTC"
    escalate: EscalateTable | None = None



class WhereTable(Table):
    """Another number of failures in a row, or another severity, for checks of these names (globs) or tags."""

    checks: Names = ()
    tags: Texts = ()
    failures_in_a_row: Times | None = None
    severity: Rank | None = None

    @model_validator(mode="after")
    def _says_something(self) -> WhereTable:
        if not self.checks and not self.tags:
            raise ValueError('is for no check; add checks = ["sync-*"] or tags = ["db"]')
        if self.failures_in_a_row is None and self.severity is None:
            raise ValueError("changes nothing; add failures_in_a_row = 2 or severity")
        return self


class PolicyTable(Table):
    """When trouble becomes an alert, and how often. Durations are seconds.

    `failures_in_a_row` bad runs make an incident of a check; so do `often` bad ones among the last `often_of`. A run that
    takes less than `too_fast` of what is usual, twice in a row, did nothing. Of queues, a promise has to be broken (and
    kept again) for `hold`. A source that shows nothing for `unreachable` is told of, and one seen for less than the share
    `coverage` of a day. `group_least` checks of one host, tag or source that go wrong within `group_within` are one
    incident, which is told again when it grows: at once, then after minutes that double. One that lasts is told again after
    `remind`, then after twice as long and so on up to once a day, unless somebody has
    acknowledged it. What is not of the severities
    `spares` waits while it is `quiet` (in `tz`). More than `limit` alerts to one channel in `limit_per` are held back and
    told in one summary. What is older than `catch_up` when it is seen, and over, is only told in a summary.
    """

    failures_in_a_row: Times = 1
    often: Count = 5
    often_of: Times = 20
    too_fast: Share = 0.1
    hold: Seconds = 120.0
    unreachable: Period = 300.0
    coverage: Share = 0.9
    group_within: Period = 300.0
    group_least: Times = 3
    remind: Period | None = 14_400.0
    quiet: Hours | None = None
    tz: Zone = "UTC"
    spares: Ranks = (Severity.CRITICAL,)
    limit: Times = 10
    limit_per: Period = 3600.0
    catch_up: Period = 300.0
    where: tuple[WhereTable, ...] = Field(default=())

    @model_validator(mode="after")
    def _often_enough(self) -> PolicyTable:
        if self.often > self.often_of or self.often_of > 60:
            raise ValueError("often is at most often_of, and that at most 60")
        return self
