"""The vocabulary of the project: outcomes, statuses, kinds, and how a frame declares its columns."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Kind(StrEnum):
    """What one ping says. `ign` is a ping that the monitor stored and did not count."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"
    LOG = "log"
    IGN = "ign"


class Outcome(StrEnum):
    """What became of one expected run, at an instant."""

    ON_TIME = "on_time"
    LATE = "late"
    MISSED = "missed"
    FAILED = "failed"
    HUNG = "hung"
    EXCUSED = "excused"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How one check stands, at an instant."""

    NEW = "new"
    UP = "up"
    STARTED = "started"
    GRACE = "grace"
    DOWN = "down"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much a check matters to the people who own it."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Columns:
    """The declared columns of a frame, in order, each with a sentence that gives unit and meaning."""

    def __init__(self, **meanings: str) -> None:
        self.meanings = meanings

    def __iter__(self) -> Iterator[str]:
        return iter(self.meanings)

    def order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` with exactly the declared columns, in the declared order; a missing one is an error."""
        return frame[list(self.meanings)]

    def table(self) -> str:
        """The columns as a Markdown table, for the documentation."""
        rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in self.meanings.items())
        return f"| column | meaning |\n|---|---|\n{rows}"
