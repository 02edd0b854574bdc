"""What a digest shows of queues and workers, as frozen data; see `model` for the rest and for units.

Rates are jobs a minute. Unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PerMinute:
    """A rate with its 95 % interval (None where the steps cannot carry one) and the steps between looks it is of."""

    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the table of queues.

    `depth`, `age_s`, `retrying`, `dead` and `alive` are of the last look, at `taken_at`; `depth_range` and `age_max_s` of the
    looks in the window, `arrivals` and `service` over it. `drains` is `yes`, `maybe`, `no`, `empty` or empty text where that
    is not known, by the rates of now. `shown`: the last look still showed the queue. `expected` workers are those promised
    (`promised_workers`), else the usual number. `broken`: the promise was broken in the window or is.
    `whole`: it stands for all queues of a source together.
    """

    label: str
    depth: int | None = None
    depth_range: tuple[float, float] | None = None
    promised_depth: float | None = None
    age_s: float | None = None
    age_least: bool = False
    age_max_s: float | None = None
    promised_s: float | None = None
    arrivals: PerMinute = PerMinute()
    service: PerMinute = PerMinute()
    drains: str = ""
    drain_s: float | None = None
    drain_lo_s: float | None = None
    drain_hi_s: float | None = None
    retrying: int | None = None
    dead: int | None = None
    alive: int | None = None
    expected: int | None = None
    promised_workers: bool = False
    broken: bool = False
    paused: bool = False
    shown: bool = True
    fresh: bool = True
    taken_at: datetime | None = None
    why: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class WorkersLine:
    """The workers of one source: alive at the last look of those listed there, and the usual number in the window."""

    source: str
    alive: int | None
    listed: int
    usual: int | None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One panel of a figure over time: (epoch microseconds, value) by look, None where not known.

    `unit` is `jobs`, `workers` or `s` (seconds); `limit` what was promised, or
    is `usual`, with its label; `filled` shades below the line.
    """

    name: str
    unit: str
    points: tuple[tuple[int, float | None], ...]
    limit: float | None = None
    limit_label: str = ""
    usual: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Levels:
    """One or two panels over the window, one above the other, and what is marked in both (resets of counters)."""

    title: str
    caption: str
    alt: str
    since_us: int
    until_us: int
    panels: tuple[Line, ...]
    marks: tuple[tuple[int, str], ...] = ()
    tz: str = "UTC"


@dataclass(frozen=True, slots=True)
class Rates:
    """What comes and what goes, jobs a minute in each stretch: (from, to, came, went); None where not counted."""

    title: str
    caption: str
    alt: str
    since_us: int
    until_us: int
    steps: tuple[tuple[int, int, float | None, float | None], ...]
    marks: tuple[tuple[int, str], ...] = ()
    tz: str = "UTC"


@dataclass(frozen=True, slots=True)
class Heat:
    """By weekday (0 is Monday) and hour of the reader's clock: jobs that came more than went, a day; None not looked at."""

    title: str
    caption: str
    alt: str
    cells: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """The part of a digest about queues.

    `rows` are the queues that findings name, that nobody works on or that cannot be judged, worst first, `well` the others by
    name; every queue is in exactly one of the two. `taken` says in words when the last looks were.
    """

    rows: tuple[QueueRow, ...] = ()
    well: tuple[QueueRow, ...] = ()
    workers: tuple[WorkersLine, ...] = ()
    figures: tuple[Levels | Rates | Heat, ...] = ()
    taken: str = ""

    @property
    def number(self) -> int:
        """How many queues there are; rows for all of a source are none."""
        return sum(not row.whole for row in (*self.rows, *self.well))
