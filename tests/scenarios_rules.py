"""A few stories for each rule, small enough to be worked out by hand."""

from __future__ import annotations

from scenarios import Scenario
from scenarios_intervals import INTERVALS
from scenarios_outcomes import OUTCOMES, STATUSES
from scenarios_windows import RUNS, WINDOWS

SCENARIOS: list[Scenario] = WINDOWS + RUNS + OUTCOMES + INTERVALS + STATUSES
