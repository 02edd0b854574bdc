"""What the rules look at: everything that the analyses know of one check in a window, side by side with before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import instants
from qpanalytics.analysis import grace, stats
from qpanalytics.analysis.durations import durations
from qpanalytics.analysis.lateness import lateness
from qpanalytics.analysis.moved import Moved, moved
from qpanalytics.analysis.noise import Noise, noise
from qpanalytics.analysis.quantiles import lists
from qpanalytics.analysis.reading import Row
from qpanalytics.analysis.success import counted
from qpanalytics.ledger.reading import TRAILING

if TYPE_CHECKING:
    from qpanalytics.analysis.stats import Floats
    from qpanalytics.history import History

EARLIER = 4
"""A slow growth hides from the window before (a backup that takes 4 % longer each week): change is also asked against
the window that lies so many windows back, where the trailing 90 days hold it."""

ADVISED = 40
"""A grace is suggested for so many checks, those with the most late runs first; `qpa grace` has them all."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the expected runs of a window; `n` is those that count: vouched, due and not excused."""

    n: int = 0
    on_time: int = 0
    late: int = 0
    missed: int = 0
    failed: int = 0
    hung: int = 0
    excused: int = 0
    unknown: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """The runs of a window that went wrong, each list in epoch microseconds of the expected time, and what followed.

    `episodes` are rows of them without a good run between; `kept_since` good runs after the last bad one up to as_of;
    `streak` bad ones after the last good one, from `streak_us` on. Where ticks cannot be judged or nothing is promised
    it is completions that count, and only failures are bad.
    """

    n: int = 0
    missed_us: tuple[int, ...] = ()
    failed_us: tuple[int, ...] = ()
    hung_us: tuple[int, ...] = ()
    never_began: int = 0
    episodes: int = 0
    kept_since: int = 0
    streak: int = 0
    streak_us: int | None = None
    streak_never_began: int = 0

    @property
    def all_us(self) -> tuple[int, ...]:
        """Everything that went wrong, in order of time."""
        return tuple(sorted((*self.missed_us, *self.failed_us, *self.hung_us)))


@dataclass(frozen=True, slots=True)
class Against:
    """A quantity compared with an earlier window: medians, and the interval of their change (now minus then)."""

    windows: int
    n: int
    p50_s: float
    now_s: float
    lo_s: float
    hi_s: float

    @property
    def change_s(self) -> float:
        """By how much the median grew, seconds; negative: it fell."""
        return self.now_s - self.p50_s


@dataclass(frozen=True, slots=True)
class Measure:
    """Lateness or duration of a check in the window, seconds; NaN where it has none, with `why`."""

    n: int
    p50_s: float
    p95_s: float
    p95_lo_s: float
    p95_hi_s: float
    max_s: float
    p95_before_s: float
    why: str
    against: tuple[Against, ...] = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch that nobody observed; None: from the beginning, or still. `runs` expected in it cannot be counted."""

    since_us: int | None
    until_us: int | None
    from_us: int
    to_us: int
    runs: int


@dataclass(frozen=True, slots=True)
class Case:
    """One check over one window, as of an instant."""

    check_id: int
    check: str
    source: str
    status: str
    schedule: str | None
    kind: str | None
    tz: str | None
    grace_s: float | None
    max_runtime_s: float | None
    severity: str
    tags: tuple[str, ...]
    began_at: datetime | None
    first_ping_at: datetime | None
    ended_at: datetime | None
    next_expected_at: datetime | None
    down_since_at: datetime | None
    down_cause: str | None
    cannot_tell: bool
    gap_n: int
    gap_p50_s: float | None
    gap_p95_s: float | None
    gap_max_s: float | None
    now: Counts
    before: Counts
    downs: int | None
    down_s: float | None
    down_before_s: float | None
    window_s: float
    vouched_s: float
    lost: int | None
    lateness: Measure
    duration: Measure
    trouble: Trouble
    trouble_before: Trouble
    holes: tuple[Hole, ...]
    sends_starts: bool
    last_success_at: datetime | None
    open_since_at: datetime | None
    exit_status: int | None
    never_ended: int
    overran: int
    completions: int
    failures: int
    ever_n: int
    moved: tuple[Moved, ...] = ()
    noise: Noise | None = None
    suggested_s: float | None = None

    @property
    def judged(self) -> bool:
        """Whether expected runs mean something: there is a schedule, and completions belong to its ticks."""
        return self.schedule is not None and not self.cannot_tell

    @property
    def drifts(self) -> tuple[Moved, ...]:
        """The changes that describe the present."""
        return tuple(m for m in self.moved if m.in_force)

    def ended_by(self, at: datetime) -> bool:
        """Whether its last promise had ended by then."""
        return self.ended_at is not None and self.ended_at <= at


@contextmanager
def opened(history: History) -> Iterator[History]:
    """`history` and the window before it, each read once for everything asked of what is given within the block.

    The window before is asked all that it will be and given back first: two at once take twice the memory. What is given
    reaches back over the year that the window ends with, for changes and for what a grace costs.
    """
    history = history.reaching(grace.year_before(history))
    by: dict[str, Any] = {"by": "check"}
    history.before().ask(("coverage", {}), ("success", by), ("lateness", by), ("durations", by), ("trouble", {}))
    with history.session():
        yield history


def cases(history: History, *, closely: bool = False) -> list[Case]:
    """One case per check, by name; also for those of which nothing is known. Within `opened` it reads once.

    `closely` looks for changes in all checks, also for those that are over: for a page of one.
    """
    rows = counted(history, "check")
    then = {row["check_id"]: row for row in counted(history.before(), "check")}
    stand = _standing(history)
    late = _measures(lateness(history, against_before=True).to_dict("records"))
    long = _measures(durations(history, against_before=True).to_dict("records"))
    earlier = _earlier(history)
    habits = {row["check_id"]: row for row in history.sql("habits").to_pylist()}
    trouble, trouble_before = _troubles(history), _troubles(history.before())
    holes = _holes(history)
    year = grace.year_before(history)
    changes = moved(history, year, closely=closely)
    advice = _advice(history, rows, year)
    noises = noise(history, {row["check_id"]: (row["late"] or 0, row["n"]) for row in rows if row["judged"]}, advice)
    return [
        _case(
            row,
            then.get(row["check_id"]),
            stand[row["check_id"]],
            habits[row["check_id"]],
            lateness=_compared(late[row["name"]], earlier.get(row["check_id"], {}).get("lateness"), row["judged"]),
            duration=_compared(long[row["name"]], earlier.get(row["check_id"], {}).get("duration"), True),
            trouble=trouble.get(row["check_id"], Trouble()),
            trouble_before=trouble_before.get(row["check_id"], Trouble()),
            holes=tuple(holes.get(row["check_id"], ())),
            moved=changes.get(row["check_id"], ()),
            noise=noises.get(row["check_id"]),
            suggested_s=_suggested(advice.get(row["check_id"])),
        )
        for row in rows
    ]


def _advice(history: History, rows: list[Row], since: datetime) -> dict[int, grace.Advice]:
    """What grace is recommended, of those checks that may need another one most."""
    able = sorted((row for row in rows if row["judged"]), key=lambda row: (-(row["late"] or 0), row["name"]))
    ids = [row["check_id"] for row in able[:ADVISED]]
    return {one.limited.check_id: one for one in grace.advise(history, since=since, ids=ids)} if ids else {}


def _suggested(advice: grace.Advice | None) -> float | None:
    return None if advice is None or advice.best is None else advice.best.limit_s


def baseline(history: History) -> tuple[datetime, datetime] | None:
    """The window that lies `EARLIER` windows back; None where the trailing 90 days do not hold it."""
    length = history.until - history.since
    # Days of 23 and 25 hours make a week an hour shorter or longer; that moves no daily run into another window.
    since, until = history.since - EARLIER * length, history.until - EARLIER * length
    return (since, until) if since >= min(history.as_of, history.until) - TRAILING else None


def _case(row: Row, then: Row | None, stand: Row, habits: Row, **measured: Any) -> Case:
    return Case(
        check_id=row["check_id"],
        check=row["name"],
        source=row["source"],
        status=stand["status"],
        schedule=stand["schedule"],
        kind=stand["kind"],
        tz=stand["tz"],
        grace_s=stand["grace_s"],
        max_runtime_s=stand["max_runtime_s"],
        severity=stand["severity"],
        tags=tuple(row["tags"]),
        began_at=instant(stand["began_us"]),
        first_ping_at=instant(stand["first_us"]),
        ended_at=instant(stand["ended_us"]),
        next_expected_at=instant(stand["next_us"]),
        down_since_at=instant(stand["down_us"]),
        down_cause=stand["down_cause"],
        cannot_tell=row["cannot_tell"],
        gap_n=row["gap_n"],
        gap_p50_s=row["gap_p50_s"],
        gap_p95_s=row["gap_p95_s"],
        gap_max_s=row["gap_max_s"],
        now=_counts(row),
        before=_counts(then) if then is not None else Counts(),
        downs=row["downs"],
        down_s=None if row["down_us"] is None or row["schedule"] is None else row["down_us"] / 1e6,
        down_before_s=None if then is None or then["down_us"] is None else then["down_us"] / 1e6,
        window_s=row["window_us"] / 1e6,
        vouched_s=row["vouched_us"] / 1e6,
        lost=row["lost"],
        # one start in two is a habit: a job that always sends them loses some, one that never does sends none
        sends_starts=habits["starts"] * 2 > habits["runs"],
        last_success_at=instant(habits["last_success_us"]),
        open_since_at=instant(habits["open_us"]),
        exit_status=habits["exit_status"],
        never_ended=habits["never_ended"],
        overran=habits["overran"],
        completions=habits["completions"],
        failures=habits["failures"],
        ever_n=habits["ever_n"],
        **measured,
    )


def _counts(row: Row) -> Counts:
    return Counts(**{name: row[name] for name in Counts.__dataclass_fields__})


def _standing(history: History) -> dict[int, Row]:
    return {row["check_id"]: row for row in history.sql("standing").to_pylist()}


def _troubles(history: History) -> dict[int, Trouble]:
    found = {}
    for row in history.sql("trouble").to_pylist():
        check = row.pop("check_id")
        values: Row = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        found[check] = Trouble(**values)
    return found


def _holes(history: History) -> dict[int, list[Hole]]:
    found: dict[int, list[Hole]] = {}
    for row in history.sql("unseen").to_pylist():
        found.setdefault(row.pop("check_id"), []).append(Hole(**row))
    return found


def _measures(rows: list[dict[Any, Any]]) -> dict[str, Measure]:
    return {
        row["check"]: Measure(
            row["n"],
            row["p50_s"],
            row["p95_s"],
            row["p95_lo_s"],
            row["p95_hi_s"],
            row["max_s"],
            row["p95_before_s"],
            row["why"],
            (Against(1, row["n_before"], row["p50_before_s"], row["p50_s"], row["change_lo_s"], row["change_hi_s"]),),
        )
        for row in rows
    }


def _earlier(history: History) -> dict[int, dict[str, Against]]:
    """The change of both medians against the window some windows back, per check."""
    span = baseline(history)
    if span is None:
        return {}
    then = _samples(history, *span)
    now = _samples(history, history.since, history.until)
    found: dict[int, dict[str, Against]] = {}
    for check in now.keys() & then.keys():
        for name in ("lateness", "duration"):
            a, b = now[check][name], then[check][name]
            if len(a) and len(b):
                _, lo, hi = stats.quantile_change(a, b)
                found.setdefault(check, {})[name] = Against(
                    EARLIER, len(b), stats.quantile(b, 0.5), stats.quantile(a, 0.5), lo, hi
                )
    return found


def _samples(history: History, since: datetime, until: datetime) -> dict[int, dict[str, Floats]]:
    table = history.sql("samples", from_at=since, to_at=until)
    arrivals, ran = lists(table.column("arrivals")), lists(table.column("durations"))
    return {
        check: {"lateness": a, "duration": d}
        for check, a, d in zip(table.column("check_id").to_pylist(), arrivals, ran, strict=True)
    }


def _compared(of: Measure, earlier: Against | None, judged: bool) -> Measure:
    if not judged or earlier is None or isnan(of.p50_s):
        return of
    return replace(of, against=(*of.against, earlier))


def instant(us: int | None) -> datetime | None:
    """Epoch microseconds as a UTC instant."""
    return None if us is None else instants.instant(us)


def known(value: float | None) -> float | None:
    """A number that JSON can hold: NaN is None."""
    return None if value is None or np.isnan(value) else float(value)
