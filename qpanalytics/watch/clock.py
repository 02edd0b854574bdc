"""What time it is, for a program that must not be fooled: a clock that is set is not believed at once.

The wall clock is compared with the time since the machine started, which also runs while it is suspended. Where the two
part by more than a little, somebody set the clock. For `DOUBT` the time goes on as if that had not happened; a clock that
is put right again within it has done no harm. One that stays as it is, is believed: forwards the time jumps, and what lay
between was seen by nobody; backwards nothing is judged until it is where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from qpanalytics.instants import instant, micros

#: A clock that moved by less is being kept right, as it should be.
STEP_US = 60_000_000
#: How long a clock that was set is not believed.
DOUBT = timedelta(minutes=10)


@dataclass(frozen=True)
class Read:
    """One reading of both clocks. `boot` counts microseconds since the start of the machine, `which` tells the start."""

    wall: datetime
    boot: int
    which: str

    @classmethod
    def now(cls, wall: Callable[[], datetime]) -> Read:
        """Both clocks as they are."""
        counter = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(wall(), time.clock_gettime_ns(counter) // 1000, _boot_id())


@dataclass(frozen=True)
class Told:
    """The time to go by. `jumped` is where it was before a jump that is believed from now on; `doubted` what is not yet."""

    now: datetime
    jumped: datetime | None = None
    doubted: timedelta | None = None


class Steady:
    """The time to go by; `said` is its memory, JSON values, so that it outlives the process."""

    def __init__(self, said: dict[str, Any] | None = None) -> None:
        self.said = said or {}

    def now(self, read: Read) -> datetime:
        """The time by a reading, as far as is known from the last `tell`."""
        trusted = self.said.get("offset")
        if trusted is None or self.said.get("which") != read.which:
            return read.wall
        return read.wall if abs(micros(read.wall) - read.boot - trusted) < STEP_US else instant(read.boot + trusted)

    def tell(self, read: Read) -> Told:
        """What time it is, by a new reading."""
        wall = micros(read.wall)
        offset = wall - read.boot
        if self.said.get("which") != read.which:
            self.said = {"which": read.which, "offset": offset}
            return Told(read.wall)
        trusted = int(self.said["offset"])
        step = offset - trusted
        if abs(step) < STEP_US:
            self.said = {"which": read.which, "offset": offset}  # it follows a clock that is slewed
            return Told(read.wall)
        doubt = self.said.get("doubt")
        if doubt is None or abs(offset - doubt[1]) >= STEP_US:
            doubt = [read.boot, offset]
        now = instant(read.boot + trusted)
        if read.boot - doubt[0] >= DOUBT // timedelta(microseconds=1):
            self.said = {"which": read.which, "offset": offset}
            return Told(read.wall, jumped=now)
        self.said = {"which": read.which, "offset": trusted, "doubt": doubt}
        return Told(now, doubted=timedelta(microseconds=step))


def _boot_id() -> str:
    """Tells one start of the machine from another."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "here"
