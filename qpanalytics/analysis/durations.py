"""How long runs take, from their start to their success."""

from __future__ import annotations

import pandas as pd

from qpanalytics.analysis import quantiles, reading
from qpanalytics.analysis.reading import By, Reading, Row
from qpanalytics.analysis.stats import Floats
from qpanalytics.analysis.success import SEEN, coverage
from qpanalytics.words import Columns

_N = {
    "n": "successful runs of the window whose duration is known",
    "failed_n": "failed runs of the window; not in n",
}
_COVERAGE = {"coverage": "share of the window that is vouched for, 0 to 1, from where the check began"}
_WHY = {"why": "reason for each NaN, most important first, else empty"}
_SUMMED = ("runs", "succeeded", "failed_n", *SEEN)


def columns(by: By = "check", *, against_before: bool = False) -> Columns:
    """The columns of `durations(by=..., against_before=...)`."""
    return Columns(
        **reading.KEYS[by],
        **_N,
        **quantiles.meanings("duration"),
        **(quantiles.BEFORE if against_before else {}),
        **(_COVERAGE if by not in ("hour", "weekday") else {}),
        **_WHY,
    )


COLUMNS = columns()


def durations(history: Reading, *, by: str = "check", against_before: bool = False, prob: float = 0.95) -> pd.DataFrame:
    """How long runs take in the window: quantiles of the duration of successful runs, in seconds.

    One row per check, by name, also for checks without a duration. A run belongs to the window in which it ended,
    whether or not one was expected. Failed runs are left out, since a run that gives up at once would make the job
    look faster (`failed_n` counts them); so are runs that never ended, which makes a check that hangs look faster than
    it is: `success` counts those as hung. A source that sends neither starts nor durations has none, and `why` says so.

    Intervals, NaN where `n` is too small, `by` (hours and weekdays go by the start of the run, else by its end),
    `against_before` and `prob` are as in `lateness`.
    """
    grouped = reading.grouping(by)
    rows, samples = _samples(history, grouped)
    data = reading.keys(rows, grouped)
    data |= {field: reading.counts(row[field] for row in rows) for field in ("n", "failed_n")}
    data |= quantiles.figures(samples, prob)
    data["coverage"] = coverage(rows)
    why = [[row["reason"], *quantiles.reasons(sample, prob)] for row, sample in zip(rows, samples, strict=True)]
    if against_before:
        rows_before, samples_before = _samples(history.before(), grouped)
        data |= quantiles.against(rows, samples, rows_before, samples_before, prob, why)
    data["why"] = reading.texts(reading.joined(*reasons) for reasons in why)
    return reading.frame(columns(grouped, against_before=against_before), data)


def _samples(history: Reading, by: By) -> tuple[list[Row], list[Floats]]:
    """Counts per row, and for each row the ascending durations."""
    with history.session():
        seen = {
            row["check_id"]: row for row in history.sql("coverage").select(["check_id", "absent", *SEEN]).to_pylist()
        }
        table = history.sql("durations", by=reading.cell_of(by))
    samples = quantiles.lists(table.column("durations"))
    rows: list[Row] = table.drop_columns(["durations"]).to_pylist()
    for row, sample in zip(rows, samples, strict=True):
        row.update(seen[row["check_id"]], sample=sample, name=row["check_name"], id=(row["check_id"], row["part"]))
    if by in reading.POOLED:
        rows = [_pool(name, members) for name, members in reading.pooled(rows, by).items()]
    for row in rows:
        row["n"] = len(row["sample"])
        row["reason"] = _reason(row)
    return rows, [row["sample"] for row in rows]


def _pool(name: str, members: list[Row]) -> Row:
    row: Row = {field: reading.total(members, field) for field in _SUMMED}
    sample = quantiles.pool(member["sample"] for member in members)
    return row | {"id": name, "name": name, "absent": "", "checks": len(members), "sample": sample}


def _reason(row: Row) -> str:
    """Why there is no duration at all, else empty."""
    if row["n"]:
        return ""
    if row["succeeded"]:
        return "no durations from this source"
    if row["failed_n"]:
        return f"no run succeeded in this window, {row['failed_n']} failed"
    if row["runs"]:
        return "no run ended in this window"
    if row["absent"]:
        return str(row["absent"])
    return "no runs in this window" if row["vouched_us"] else "nothing was observed"
