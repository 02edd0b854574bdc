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
    """What one grace costs; `names` say if it is the present one (`now`), `suggested`, or the `longest seen`.

    `told` runs would have been called late and came by themselves; `a_month` are to be expected in 30 days, `lo` to `hi` of
    them, per month, in the next 60 days (95 %). A run that never comes is told `grace_s` after its expected time; `missed`
    real problems were over by then and would not have been told.
    """

    grace_s: float
    names: tuple[str, ...]
    told: int
    a_month: float
    lo: float
    hi: float
    missed: int


@dataclass(frozen=True, slots=True)
class Prices:
    """What graces cost, over `n` runs expected from `since_us` on: the first known, or since lateness `changed`.

    `suggested_s` keeps `budget` false alarms a month; None where `why` says the reason. `rows` are empty under 20 runs. A
    `stratum` are days that need `stratum_s`, where `elsewhere_s` is enough for the others.
    """

    n: int
    since_us: int
    changed: bool
    budget: float
    why: str = ""
    suggested_s: float | None = None
    rows: tuple[GracePrice, ...] = ()
    stratum: str = ""
    stratum_s: float | None = None
    elsewhere_s: float | None = None


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
    `downs_more_s` of those not listed, to the time down.
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
    quieten: tuple[Finding, ...] = ()
    better: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    figures: tuple[Dots | Arrivals, ...] = ()
    patterns: tuple[str, ...] = ()
    downs: tuple[Down, ...] = ()
    downs_more: int = 0
    downs_more_s: float = 0.0
    prices: Prices | None = None
    runs: tuple[RunLine, ...] = ()
    runs_more: int = 0
    coverage: float | None = None
    unseen_s: float | None = None
    unseen: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    command: str = ""
    made_by: str = ""
