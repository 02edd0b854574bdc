"""Everything a digest shows, as frozen data: what `facts` fills in and what page, text and mail only format.

Sentences about checks (findings, what was not seen, accounting rules) arrive worded, in the one voice of `verdict`.
Figures arrive as numbers with their unit in the name and are worded by `wording`, so that a test can add up a table.
Nothing in here reads a store or a clock: equal `Facts` give byte-identical pages.

Units: `_s` float seconds, `_us` epoch microseconds UTC, `_at` aware UTC datetimes, `date` a calendar day in the zone of
the report. Unknown is None with a `why`, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import Literal

from qpanalytics.report.queue_model import QueueFacts

Period = Literal["daily", "weekly", "monthly", "custom"]
Tone = Literal["bad", "warn", "quiet", "good"]
Unit = Literal["count", "share", "seconds"]

CELLS = ("on_time", "late", "missed", "failed", "hung", "excused", "unknown", "pending", "ran")
"""What a cell of a strip can say: an outcome, or `ran` where nothing was promised or ticks cannot tell."""

PROMISED = ("on_time", "late", "missed", "failed", "hung")
"""The outcomes that a rate counts; excused, unknown and pending ones are left out of it."""

FEW = 20
"""Below so many occurrences a share is given as "4 of 4": a percentage would claim a precision that is not there."""


@dataclass(frozen=True, slots=True)
class Window:
    """The span a digest is about, [since_at, until_at), and the zone its days and clock times are given in."""

    period: Period
    since_at: datetime
    until_at: datetime
    as_of: datetime
    tz: str = "UTC"

    @property
    def noun(self) -> str:
        """What the reader calls it: "week" in "this week" and "the week before"."""
        return {"daily": "day", "weekly": "week", "monthly": "month"}.get(self.period, "window")


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the expected runs of a check or of many, and for how long they were down.

    `down_s` is clipped to the window; None where it cannot be told (no schedule, or not to be judged by its ticks).
    """

    on_time: int = 0
    late: int = 0
    missed: int = 0
    failed: int = 0
    hung: int = 0
    excused: int = 0
    unknown: int = 0
    pending: int = 0
    downs: int = 0
    down_s: float | None = None

    @property
    def n(self) -> int:
        """The occurrences that count: seen, due and not excused."""
        return sum(getattr(self, outcome) for outcome in PROMISED)

    @staticmethod
    def total(tallies: Iterable[Tally]) -> Tally:
        """The sum of many; unknown time down adds nothing, and the sum is None only where every part is."""
        parts = list(tallies)
        counts = {f.name: sum(getattr(part, f.name) for part in parts) for f in fields(Tally) if f.name != "down_s"}
        known = [part.down_s for part in parts if part.down_s is not None]
        return Tally(**counts, down_s=math.fsum(known) if known else None)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the large numbers under the headline, with the same number of the window before.

    `unit` "count": `value` is a number of occurrences. "seconds": a length of time. "share": `value` of `of`
    occurrences. `checks` says how many checks it comes from, where that helps; `before` is None where there is nothing
    to compare with. `parts` are what a count is made of, each with its word. `key` names the sum of the table it must
    equal (see `figures`), or is a name of its own.
    """

    key: str
    label: str
    value: float
    unit: Unit = "count"
    of: int | None = None
    before: float | None = None
    before_of: int | None = None
    checks: int | None = None
    parts: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Strip:
    """One cell a day, oldest first: the worst outcome of the day, None where no run was expected.

    `began` is the day from which on the check is known; days before it are not days on which nothing was due.
    """

    first_day: date
    cells: tuple[str | None, ...]
    began: date | None = None

    def __post_init__(self) -> None:
        strange = sorted({cell for cell in self.cells if cell is not None and cell not in CELLS})
        if strange:
            raise ValueError(f"a strip has no cell {strange[0]!r}; it has {', '.join(CELLS)} and None")

    @property
    def days(self) -> tuple[date, ...]:
        """The day of each cell."""
        return tuple(self.first_day + timedelta(days=i) for i in range(len(self.cells)))

    @property
    def before(self) -> int:
        """How many of its days lie before the check began; a cell that says something is never one of them."""
        if self.began is None:
            return 0
        told = next((i for i, cell in enumerate(self.cells) if cell is not None), len(self.cells))
        return min(max((self.began - self.first_day).days, 0), told)


@dataclass(frozen=True, slots=True)
class Trend:
    """One value a day, oldest first, seconds (the median duration of the day); None on days without one."""

    first_day: date
    values_s: tuple[float | None, ...]
    what: str = "Duration"


@dataclass(frozen=True, slots=True)
class Quantile:
    """A 95th percentile, seconds.

    `value_s` is None where n cannot carry it or where it falls among runs that never came; `never` counts those, and
    `why` is the reason in a few words ("too few", "not reported"). `lo_s` and `hi_s` are the ends of its 95 % interval.
    `before_s` is the value of the window before and given only where the change is real (the intervals do not overlap).
    """

    value_s: float | None
    why: str = ""
    never: int = 0
    n: int = 0
    lo_s: float | None = None
    hi_s: float | None = None
    before_s: float | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """The time between completions of a check that cannot be judged by its ticks, over the last 90 days; seconds."""

    n: int
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One line of the table of checks.

    Three sorts. With a schedule: `tally`, `lateness`, `grace_s`. Cannot be judged by its ticks: `gaps` is given, shown
    instead of rate and lateness, and `tally` stays empty. Without a schedule: `schedule` is None, and only `runs` and
    `failures` (completions of the window, and how many of them failed), strip and durations are shown. `down_since_at`
    is given where the check is down at as_of, also if it went down after the window. `suggested_s` is the grace that keeps
    the budget of false alarms; None where none is recommended, or nobody asked.
    """

    check: str
    schedule: str | None
    tz: str | None
    strip: Strip
    tally: Tally = field(default_factory=Tally)
    lateness: Quantile = Quantile(None)
    duration: Quantile = Quantile(None)
    trend: Trend | None = None
    grace_s: float | None = None
    suggested_s: float | None = None
    gaps: Gaps | None = None
    runs: int = 0
    failures: int = 0
    tags: tuple[str, ...] = ()
    down_since_at: datetime | None = None

    @property
    def judged(self) -> bool:
        """Whether it has expected runs that can be counted."""
        return self.schedule is not None and self.gaps is None

    @property
    def reported(self) -> int:
        """The failures it reported where only these can be counted; those of other rows stand in their tally."""
        return 0 if self.judged else self.failures


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth saying, as `verdict` worded it.

    `label` is its kind in a word or two ("Down", "Slower"); `sentence` the whole first sentence, which usually begins
    with `subject` (the name, printed bold); `detail` figures and action; `command` what to type next. `checks` are all
    checks it is about, `queues` and `workers` those: the headline counts them. `picture` is the small figure beside it.
    """

    kind: str
    label: str
    tone: Tone
    sentence: str
    subject: str = ""
    checks: tuple[str, ...] = ()
    detail: str = ""
    command: str = ""
    picture: Strip | Trend | None = None
    queues: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal stretch of the line in a figure: the value that held from `since_us` to `until_us`, seconds."""

    since_us: int
    until_us: int
    value_s: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Where a line leads: `path` from the last run to the limit, met at `met_us`, or at any time from `lo_us` to `hi_us`."""

    path: tuple[tuple[int, float], ...]
    met_us: int
    lo_us: int
    hi_us: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Dots:
    """A figure of one dot a run (duration or lateness, seconds) with a line for what holds (the 95th percentile).

    `limit_s` draws the grace or max runtime; `changes` are dotted uprights with a label ("change on 12 Nov"), epoch
    microseconds; `path` is a line that need not be level, with its label at its end, and `ahead` where it leads; `alt` is the
    sentence with the finding, for those who do not see the figure.
    """

    check: str
    title: str
    caption: str
    alt: str
    since_us: int
    until_us: int
    points: tuple[tuple[int, float], ...]
    tz: str = "UTC"
    levels: tuple[Level, ...] = ()
    changes: tuple[tuple[int, str], ...] = ()
    limit_s: float | None = None
    limit_label: str = ""
    path: tuple[tuple[int, float], ...] = ()
    path_label: str = ""
    ahead: Ahead | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """An upright line at `value_s` in a figure of arrivals ("grace 5 min: 5 came later")."""

    value_s: float
    label: str
    tone: Tone = "quiet"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How late runs arrive: the share of all expected runs that had arrived by so many seconds.

    `lateness_s` is one value for each run that came, in any order; `never` counts those that did not, so the steps end
    below 100 % where runs were missed. Negative is early.
    """

    check: str
    title: str
    caption: str
    alt: str
    lateness_s: tuple[float, ...]
    never: int = 0
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """One digest.

    `needs` all findings that ask for somebody, worst first (a page shows the first seven); `quieten` what pages for nothing;
    `better` what recovered;
    `notes` what is worth knowing and asks for nothing (new, not judged yet, cannot tell). `rows` are the checks
    that did not keep every promise or cannot be judged, worst first; `kept` the others, folded; every check is in
    exactly one of the two. `totals` must equal the sum of the tallies of both (`Tally.total`), and `figures`
    usually come from the function of that name. `coverage` is the share of the window that was vouched for, 0 to 1,
    None where nothing states it; `unseen_s` what is missing, seconds added over checks; `unseen` a sentence for
    each thing that could not be seen. `notices` stand under the headline (a report that ends where its files end).
    `rules` are the accounting rules, `command` gives the same numbers. `made_by` names version and store; no time
    is known but those of `window`. `queues` is None where nothing was ever looked at. `alerts` tells how alerting itself
    did, one sentence each.
    """

    window: Window
    totals: Tally
    figures: tuple[Figure, ...]
    rows: tuple[CheckRow, ...]
    kept: tuple[CheckRow, ...] = ()
    needs: tuple[Finding, ...] = ()
    quieten: tuple[Finding, ...] = ()
    better: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    evidence: tuple[Dots | Arrivals, ...] = ()
    coverage: float | None = None
    unseen_s: float | None = None
    unseen: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    command: str = ""
    made_by: str = ""
    queues: QueueFacts | None = None
    alerts: tuple[str, ...] = ()

    @property
    def checks(self) -> int:
        """How many checks the digest is about."""
        return len(self.rows) + len(self.kept)

    @property
    def need(self) -> int:
        """How many checks need somebody: the different ones that `needs` are about."""
        return len({check for finding in self.needs for check in finding.checks})

    @property
    def need_queues(self) -> int:
        """How many queues need somebody."""
        return len({queue for finding in self.needs for queue in finding.queues})

    @property
    def need_workers(self) -> int:
        """How many worker processes need somebody."""
        return len({worker for finding in self.needs for worker in finding.workers})

    @property
    def all_rows(self) -> Sequence[CheckRow]:
        """Every check, worst first, the kept promises last."""
        return (*self.rows, *self.kept)


def figures(totals: Tally, before: Tally | None, rows: Iterable[CheckRow], reported_before: int = 0) -> tuple[Figure, ...]:
    """The large numbers of a digest: on time, missed, failed or hung, time down, and late where something was.

    `totals` is what `rows` add up to, `before` the same sum over the window before. Failed are also the failures that
    checks without countable runs reported: "failed 0" above a check that failed five times is not true.
    `reported_before` are those of the window before. Time down is left out where no check can tell it.
    """
    rows = tuple(rows)
    was = before if before is not None and before.n else None

    def count(key: str, label: str, *outcomes: str, reported: bool = False) -> Figure:
        def of(tally: Tally) -> int:
            return sum(getattr(tally, outcome) for outcome in outcomes)

        hit = sum(1 for row in rows if of(row.tally) or (reported and row.reported))
        told = sum(row.reported for row in rows) if reported else 0
        earlier = None if was is None else of(was) + (reported_before if reported else 0)
        return Figure(key, label, of(totals) + told, before=earlier, checks=hit)

    made = [
        Figure(
            "on_time",
            "On time",
            totals.on_time,
            "share",
            totals.n,
            was.on_time if was else None,
            was.n if was else None,
        ),
        count("missed", "Missed", "missed"),
        count("failed_or_hung", "Failed or hung", "failed", "hung", reported=True),
    ]
    if totals.late or (was and was.late):
        made.insert(1, count("late", "Late", "late"))
    if totals.down_s is not None:
        made.append(Figure("down_s", "Time down", totals.down_s, "seconds", before=was.down_s if was else None))
    return tuple(made)
