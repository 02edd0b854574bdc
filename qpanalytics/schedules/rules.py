"""One expression in one zone: which local days, which times of day, and what becomes of them when the clocks change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from copy import copy
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np

    Instants = np.ndarray[tuple[int], np.dtype[np.int64]]
    Days = np.ndarray[tuple[int], np.dtype[np.int16]]

MICRO = 1_000_000


class Parsed(Protocol):
    """What the parsers say of the time of day."""

    hours: set[int]
    minutes: set[int]
    seconds: set[int]


class Rule(ABC):
    """One parsed expression. Local time runs by its days and times; a zone's changes of offset bend it."""

    #: Whether a time that the clocks skip has its tick right after the gap; else it has none.
    caught_up: bool
    #: Whether it runs in real time: in both passes of a repeated hour, and never in place of a skipped one.
    real_time: bool

    def __init__(self, text: str, zone: tzinfo, parsed: Parsed) -> None:
        self.text = text
        self.zone = zone
        self._parts: tuple[Collection[int], ...] = (parsed.hours, parsed.minutes, parsed.seconds)
        self.a_day = len(parsed.hours) * len(parsed.minutes) * len(parsed.seconds)
        self._times: Instants | None = None

    @abstractmethod
    def days(self, year: int) -> Days:
        """Days of the year (0 is 1 January) that match, ascending."""

    @abstractmethod
    def walk(self, start: datetime) -> Iterator[datetime]:
        """The parser's own ticks strictly after `start`, which is in the rule's zone."""

    def times(self) -> Instants:
        """Times of day that match, microseconds after local midnight, ascending."""
        if self._times is None:
            import numpy as np

            found: Instants = np.zeros(1, dtype=np.int64)
            for part, unit_s in zip(self._parts, (3_600, 60, 1), strict=True):
                found = np.add.outer(found, np.array(sorted(part), dtype=np.int64) * (unit_s * MICRO)).ravel()
            self._times = found
        return self._times

    def without_changes(self) -> Self:
        """The same days and times in UTC, where no clock is ever changed."""
        moved = copy(self)
        moved.zone, moved.real_time = UTC, False
        return moved
