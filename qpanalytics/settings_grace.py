"""The table `[grace]` of `qpa.toml`: how many false alarms are acceptable, and from when on a late run is trouble."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

from pydantic import BeforeValidator

from qpanalytics.settings_values import Period, Table
from qpanalytics.spell import quoted
from qpanalytics.words import Severity

BUDGET = 0.5
"""False alarms a month and check where nobody said otherwise: one in two months."""


def budget(value: object) -> float:
    """False alarms a month: a number above 0; ValueError with what to write instead."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{quoted(str(value))} is not a number of false alarms a month; try 0.5")
    if not isfinite(value) or value <= 0:
        raise ValueError(
            f"{value:g} false alarms a month is nothing that can be promised; a run can be later than any before it. Try 0.5"
        )
    return float(value)


Budget = Annotated[float, BeforeValidator(budget)]


class SeverityTable(Table):
    """Other budgets for checks of these severities."""

    critical: Budget | None = None
    warning: Budget | None = None
    info: Budget | None = None


class GraceTable(Table):
    """What grace recommendations are priced with.

    `budget` is in false alarms a check and month (30 days), `severity` holds other ones. From `late_is_real` seconds after
    its expected time on, a late run is a real problem and no false alarm, even though it came by itself; None is half the
    time to the next expected run. Whoever judges pages (grace recommendations, the replay of alert rules) takes it from here.
    """

    budget: Budget = BUDGET
    severity: SeverityTable = SeverityTable()
    late_is_real: Period | None = None

    def of(self, severity: str) -> float:
        """The budget of a check of that severity."""
        own: float | None = getattr(self.severity, Severity(severity).value)
        return self.budget if own is None else own
