"""Everything the page of one check shows, as frozen data: what `facts` fills in and page and text only format.

Units as in `report.model`: `_s` float seconds, `_us` epoch microseconds UTC, `_at` aware UTC datetimes. Unknown is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from qpanalytics.report.model import Arrivals, CheckRow, Dots, Finding, Quantile, Strip, Tally, Window


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised of the check at as_of, and how it stands; None where nothing was stated or is known."""

    source: str
    key: str
    name: str
    status: str
    schedule: str | None
    tz: str | None
    grace_s: float | None
    max_runtime_s: float | None
    severity: str
    tags: tuple[str, ...] = ()
    next_expected_at: datetime | None = None
    deadline_at: datetime | None = None
    last_ping_at: datetime | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, with the ends of the 95 % Wilson interval of the share, 0 to 1; None where `n` is 0."""

    k: int
    n: int
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True, slots=True)
class Down:
    """One stretch that was down: since when, until when (None: still), why, and how much of it the window holds.

    `cause` is `missed`, `failed`, `hung`, or `late` where all that was missing came in the end. `runs` of it were lost;
    `never_began` of them without a start ping, where it
    usually sends one. `known_after_s` is how long after the expected time of the first of them
    the check was down, the soonest anybody could have been told; None where no expected run lies behind it.
    """

    since_us: int
    until_us: int | None
    cause: str
    down_s: float
    runs: int = 0
    never_began: int = 0
    known_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GracePrice:
    """What another grace would have said of the runs of the window.

    `told` runs would have been called late and came by themselves; `a_month` is that for 30 days, with the ends of its
    95 % interval. A run that never comes is told `grace_s` after its expected time.
    """

    grace_s: float
    now: bool
    told: int
    a_month: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run: when it was expected, began and ended, and how; `said` is the first line of its finishing ping's body."""

    expected_us: int | None
    started_us: int | None
    completed_us: int | None
    duration_s: float | None
    result: str
    overran: bool
    exit_status: int | None
    lateness_s: float | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """One check over one window.

    `row` holds its figures as the table of a digest does; `on_time` and `came` (on time or late) are shares of its
    expected runs, `failed` of all completions seen; `gap_*` are times between completions. `strips` are up to 30 days
    each, oldest first; `days_left_out` were too many to draw. `states` are sentences about what cannot be said and why,
    `patterns` about days or hours that are worse than others. `downs` are the latest first and add up, with
    `downs_more_s` of those not listed, to the time down. `never` runs did not succeed and would be told under any grace.
    `runs_more` ended before the ones listed. The rest is as in `report.model.Facts`.
    """

    window: Window
    check: str
    promise: Promise
    row: CheckRow
    before: Tally | None
    on_time: Share
    came: Share
    failed: Share
    lateness_p50: Quantile
    duration_p50: Quantile
    gap_p50: Quantile
    gap_p95: Quantile
    gap_max_s: float | None
    strips: tuple[Strip, ...]
    days_left_out: int = 0
    cannot_tell: bool = False
    states: tuple[str, ...] = ()
    needs: tuple[Finding, ...] = ()
    better: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    figures: tuple[Dots | Arrivals, ...] = ()
    patterns: tuple[str, ...] = ()
    downs: tuple[Down, ...] = ()
    downs_more: int = 0
    downs_more_s: float = 0.0
    graces: tuple[GracePrice, ...] = ()
    priced: int = 0
    never: int = 0
    runs: tuple[RunLine, ...] = ()
    runs_more: int = 0
    coverage: float | None = None
    unseen_s: float | None = None
    unseen: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    command: str = ""
    made_by: str = ""
