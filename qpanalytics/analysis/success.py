"""How reliably expected runs happened: rates with their intervals, downs, and how much of the window was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from qpanalytics.analysis import reading, stats
from qpanalytics.analysis.reading import By, Reading, Row
from qpanalytics.words import Columns

GOOD = ("on_time", "late")
COUNTED = (*GOOD, "missed", "failed", "hung")
OUTCOMES = (*COUNTED, "excused", "unknown")
SEEN = ("window_us", "vouched_us")

_FIGURES = {
    "n": "expected runs counted: on_time + late + missed + failed + hung, all of them vouched for",
    "on_time": "a success came within the grace",
    "late": "a success came after the grace",
    "missed": "nothing came before the grace was over",
    "failed": "it ran and failed",
    "hung": "it began and did not end within its limit",
    "excused": "expected while paused or in maintenance; not in n",
    "unknown": "expected while nobody was looking; not in n",
    "rate": "(on_time + late) / n, 0 to 1; NaN with why",
    "rate_lo": "lower end of its 95 % interval (Wilson)",
    "rate_hi": "upper end of its 95 % interval",
    "on_time_rate": "on_time / n, 0 to 1",
}
_DOWNS = {
    "downs": "stretches of down time within the window and what was seen of it; NULL where it cannot be known",
    "down_s": "their length, seconds, clipped to the window and to as_of; over several checks the sum of each one's",
}
_BEFORE = {
    "n_before": "n in the window of equal length just before",
    "rate_before": "rate in that window",
    "on_time_rate_before": "on_time_rate in that window",
    "missed_before": "missed in that window",
}
_DOWN_BEFORE = {"down_s_before": "down_s in that window"}
_CHANGE = {
    "rate_change": "rate - rate_before; means something only together with its interval",
    "change_lo": "lower end of its 95 % interval (Newcombe); above 0: better than before",
    "change_hi": "upper end of its 95 % interval; below 0: worse than before",
}
_COVERAGE = {"coverage": "share of the window that is vouched for, 0 to 1, from where the check began"}
_WHY = {"why": "reason for each NaN or NULL, most important first, else empty"}


def columns(by: By = "check", *, against_before: bool = False) -> Columns:
    """The columns of `success(by=..., against_before=...)`: hours and weekdays have neither downs nor coverage."""
    whole = by not in ("hour", "weekday")
    meanings = reading.KEYS[by] | _FIGURES | (_DOWNS if whole else {})
    if against_before:
        meanings = meanings | _BEFORE | (_DOWN_BEFORE if whole else {}) | _CHANGE
    return Columns(**(meanings | (_COVERAGE if whole else {}) | _WHY))


COLUMNS = columns()


def success(history: Reading, *, by: str = "check", against_before: bool = False, prob: float = 0.95) -> pd.DataFrame:
    """How reliably expected runs happened in the window.

    One row per check, by name, also for checks with nothing to count: `rate` is then NaN and `why` says the reason.
    `by="tag"` and `by="source"` sum over checks, so that a check which runs every minute outweighs one that runs
    daily; `by="hour"` and `by="weekday"` split each check by its own clock and show only hours and days in which a
    run was expected.

    Only expected runs that were vouched for are counted: a run that was seen while others may have been overlooked
    would make the rate look better than it was. Excused, unknown and pending ones are left out of `n`. Late runs count
    as success in `rate` and as failure in `on_time_rate`. Where completions do not belong to single ticks ("cannot
    tell") there is no rate and no down time, only the counts; sums over tags and sources leave such checks out whole.

    The interval takes runs as independent; failures come in rows, and checks fail together, so truth is less certain
    than the interval, most of all for tags and sources. `against_before` adds the window of equal length just before:
    a change whose interval holds 0 is not one to act on. `prob` is the confidence of the intervals.
    """
    grouped = reading.grouping(by)
    rows = counted(history, grouped)
    data = reading.keys(rows, grouped) | _figures(rows, prob)
    reasons = [[row["reason"]] for row in rows]
    if against_before:
        earlier = {row["id"]: row for row in counted(history.before(), grouped)}
        before = [earlier.get(row["id"], _nothing()) for row in rows]
        data |= _compared(rows, before, prob)
        for why, row in zip(reasons, before, strict=True):
            why.append(f"before: {row['reason']}" if row["reason"] and row["reason"] not in why else "")
    data["why"] = reading.texts(reading.joined(*why) for why in reasons)
    return reading.frame(columns(grouped, against_before=against_before), data)


def counted(history: Reading, by: By) -> list[Row]:
    """Counts per row, before any rate: also what `lateness` counts by, so that the two agree on n.

    `id` tells rows apart across windows, `judged` whether rates may be made of the counts, `reason` why they are
    missing. `downs` and `down_us` are None where they cannot be known.
    """
    with history.session():
        seen = {
            row["check_id"]: row for row in history.sql("coverage").select(["check_id", "absent", "lost", *SEEN]).to_pylist()
        }
        rows: list[Row] = history.sql("success", by=reading.cell_of(by)).to_pylist()
    for row in rows:
        row.update(seen[row["check_id"]])
        row["id"] = (row["check_id"], row["part"])
        row["name"] = row["check_name"]
        row["n"] = sum(row[outcome] for outcome in COUNTED)
        row["judged"] = not row["cannot_tell"]
        if row["cannot_tell"] or not row["vouched_us"]:
            row["downs"] = row["down_us"] = None
        row["reason"] = _reason(row)
    if by in reading.POOLED:
        return [_sum(name, members) for name, members in reading.pooled(rows, by).items()]
    return rows


def _sum(name: str, members: list[Row]) -> Row:
    """One row for several checks; those whose ticks mean nothing are left out of every figure, and that is said."""
    judged = [row for row in members if row["judged"]]
    row = {field: reading.total(judged, field) for field in (*OUTCOMES, "n", "downs", "down_us", *SEEN)}
    for field in (*OUTCOMES, "n", *SEEN):
        row[field] = row[field] or 0
    left_out = len(members) - len(judged)
    row["reason"] = reading.joined(
        "" if row["n"] else "no expected runs were counted",
        f"cannot tell: {left_out} of {len(members)} checks left out" if left_out else "",
    )
    return row | {"id": name, "name": name, "checks": len(judged), "members": judged, "judged": True}


def _reason(row: Row) -> str:
    """Why a check has no rate, else empty."""
    if row["cannot_tell"]:
        return reading.cannot_tell(row["spread"])
    if row["n"]:
        return ""
    if row["schedule"] is None:
        return "no schedule"
    if row["absent"]:
        return str(row["absent"])
    if not row["expected"]:
        return "no expected runs in this window" if row["vouched_us"] else "nothing was observed"
    unseen = row["unknown"] + row["unvouched"]
    if unseen == row["expected"]:
        return "nothing was observed"
    parts = {"excused": row["excused"], "still pending": row["pending"], "not observed": unseen}
    return "no run to count: " + ", ".join(f"{number} {what}" for what, number in parts.items() if number)


def _nothing() -> Row:
    """A row for a tag, source or hour that the window before does not have."""
    blank = dict.fromkeys((*OUTCOMES, "n"), 0)
    return blank | {"downs": None, "down_us": None, "judged": True, "reason": "no expected runs in this window"}


def _rates(rows: list[Row]) -> tuple[Any, Any, Any]:
    """Successes, those on time, and n, as floats; n is 0 where no rate may be made."""
    good = reading.reals(sum(row[outcome] for outcome in GOOD) * row["judged"] for row in rows)
    on_time = reading.reals(row["on_time"] * row["judged"] for row in rows)
    return good, on_time, reading.reals(row["n"] * row["judged"] for row in rows)


def _figures(rows: list[Row], prob: float) -> Row:
    good, on_time, n = _rates(rows)
    lo, hi = stats.wilson(good, n, prob)
    with np.errstate(invalid="ignore"):
        figures = {"rate": good / n, "rate_lo": lo, "rate_hi": hi, "on_time_rate": on_time / n}
    return {
        **{field: reading.counts(row[field] for row in rows) for field in ("n", *OUTCOMES)},
        **figures,
        "downs": reading.known_counts(row["downs"] for row in rows),
        "down_s": reading.reals(row["down_us"] for row in rows) / 1e6,
        "coverage": coverage(rows),
    }


def coverage(rows: list[Row]) -> Any:
    """Vouched share of each row's window, NaN where the check was not there yet."""
    with np.errstate(invalid="ignore"):
        return reading.reals(row["vouched_us"] for row in rows) / reading.reals(row["window_us"] for row in rows)


def _compared(rows: list[Row], before: list[Row], prob: float) -> Row:
    good, _, n = _rates(rows)
    good_before, on_time_before, n_before = _rates(before)
    change, lo, hi = stats.rate_change(good, n, good_before, n_before, prob)
    with np.errstate(invalid="ignore"):
        rates = {"rate_before": good_before / n_before, "on_time_rate_before": on_time_before / n_before}
    return {
        "n_before": reading.counts(row["n"] for row in before),
        **rates,
        "missed_before": reading.counts(row["missed"] for row in before),
        "down_s_before": reading.reals(row["down_us"] for row in before) / 1e6,
        "rate_change": change,
        "change_lo": lo,
        "change_hi": hi,
    }
