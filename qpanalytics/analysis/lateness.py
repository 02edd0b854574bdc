"""How late runs arrive: completion minus expected time."""

from __future__ import annotations

import pandas as pd

from qpanalytics.analysis import quantiles, reading
from qpanalytics.analysis.reading import By, Reading, Row
from qpanalytics.analysis.stats import Floats
from qpanalytics.analysis.success import counted, coverage
from qpanalytics.words import Columns

_N = {"n": "expected runs counted, as in success: on time, late, missed, failed and hung ones, all vouched for"}
_GAPS = {
    "gap_n": "gaps between completions in the 90 days up to the end of the window or as_of, whatever the schedule",
    "gap_p50_s": "their median, seconds",
    "gap_p95_s": "their 95th percentile, seconds",
    "gap_max_s": "the longest of them, seconds",
}
_COVERAGE = {"coverage": "share of the window that is vouched for, 0 to 1, from where the check began"}
_WHY = {"why": "reason for each NaN, most important first, else empty"}


def columns(by: By = "check", *, against_before: bool = False) -> Columns:
    """The columns of `lateness(by=..., against_before=...)`: gaps are known per check, coverage of whole windows."""
    return Columns(
        **reading.KEYS[by],
        **_N,
        **quantiles.meanings("lateness (negative is early)"),
        **(quantiles.BEFORE if against_before else {}),
        **(_GAPS if by == "check" else {}),
        **(_COVERAGE if by not in ("hour", "weekday") else {}),
        **_WHY,
    )


COLUMNS = columns()


def lateness(history: Reading, *, by: str = "check", against_before: bool = False, prob: float = 0.95) -> pd.DataFrame:
    """How late runs arrive in the window: quantiles of completion minus expected time, in seconds; negative is early.

    One row per check, by name, also for checks with nothing to count. Missed, failed and hung runs count as later than
    every arrival, so leaving them out cannot make a check look better: a quantile that falls among them is NaN, with
    "3 of 60 never came" in `why`. `max_s` is the latest arrival. Excused, unknown, pending and unvouched runs are left
    out, so `n` is that of `success`.

    Ends of intervals are order statistics (see `stats.quantile_interval`): they hold for any shape of delay with the
    confidence `prob` or more, and are NaN where `n` is too small, at 95 % below 6 for p50, 36 for p90, 72 for p95 and
    368 for p99. A p99 without an end is the latest run under another name.

    Where completions do not belong to single ticks ("cannot tell"), every figure but the gaps is NaN: the time between
    completions is then what can be judged. `by="tag"` and `by="source"` pool the runs of their checks, frequent ones
    outweigh the others, and such checks are left out; `by="hour"` and `by="weekday"` split each check by its own clock.

    `against_before` adds the window of equal length just before, and an interval for the change of the median
    (`stats.quantile_change`). It says whether a change is more than scatter, not whether it matters.
    """
    grouped = reading.grouping(by)
    rows, samples = _samples(history, grouped)
    data = reading.keys(rows, grouped)
    data["n"] = reading.counts(row["n"] for row in rows)
    data |= quantiles.figures(samples, prob)
    if grouped == "check":
        data["gap_n"] = reading.counts(row["gap_n"] for row in rows)
        data |= {name: reading.reals(row[name] for row in rows) for name in ("gap_p50_s", "gap_p95_s", "gap_max_s")}
    data["coverage"] = coverage(rows)
    why = [[row["reason"], *quantiles.reasons(sample, prob)] for row, sample in zip(rows, samples, strict=True)]
    if against_before:
        rows_before, samples_before = _samples(history.before(), grouped)
        data |= quantiles.against(rows, samples, rows_before, samples_before, prob, why)
    if grouped == "check":
        for reasons, row in zip(why, rows, strict=True):
            reasons.append("" if row["gap_n"] else "no two completions to measure a gap")
    data["why"] = reading.texts(reading.joined(*reasons) for reasons in why)
    return reading.frame(columns(grouped, against_before=against_before), data)


def _samples(history: Reading, by: By) -> tuple[list[Row], list[Floats]]:
    """What `success` counts, and for each row the ascending lateness of its runs; none where ticks mean nothing."""
    with history.session():
        rows = counted(history, by)
        table = history.sql("lateness", by=reading.cell_of(by))
    cells = zip(table.column("check_id").to_pylist(), table.column("part").to_pylist(), strict=True)
    found = dict(zip(cells, quantiles.lists(table.column("arrivals")), strict=True))

    def sample(row: Row) -> Floats:
        return found.get((row["check_id"], row["part"]), quantiles.NONE) if row["judged"] else quantiles.NONE

    if by in reading.POOLED:
        return rows, [quantiles.pool(sample(member) for member in row["members"]) for row in rows]
    return rows, [sample(row) for row in rows]
