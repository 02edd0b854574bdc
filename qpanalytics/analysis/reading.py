"""What the analyses share: what they ask of a history, the groupings, and how rows become a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import pandas as pd

from qpanalytics.errors import UsageError
from qpanalytics.words import Columns

By = Literal["check", "tag", "source", "hour", "weekday"]
Row = dict[str, Any]

KEYS: dict[By, dict[str, str]] = {
    "check": {"check": "name of the check"},
    "tag": {
        "tag": "tag; empty for checks without one; a check with two tags counts in both rows",
        "checks": "checks summed in this row",
    },
    "source": {"source": "name of the source", "checks": "checks summed in this row"},
    "hour": {"check": "name of the check", "hour": "hour of the day, 0 to 23, in the check's own time zone"},
    "weekday": {"check": "name of the check", "weekday": "1 is Monday, 7 is Sunday, in the check's own time zone"},
}

POOLED = ("tag", "source")  # made of whole checks; hours and weekdays split a check


class Reading(Protocol):
    """The part of a `History` that an analysis needs; all instants are UTC, the window is [since, until)."""

    @property
    def as_of(self) -> datetime: ...
    @property
    def since(self) -> datetime: ...
    @property
    def until(self) -> datetime: ...

    def sql(self, name: str, /, **params: Any) -> Any:
        """What `sql/<name>.sql` returns over this history, as a pyarrow table."""

    def session(self) -> AbstractContextManager[Any]:
        """One reading of the store, shared by everything asked within the block."""

    def before(self) -> Reading:
        """The same store in the window of equal length just before."""


def grouping(by: str) -> By:
    """`by`, if rows can be made by it; `UsageError` otherwise."""
    if by not in get_args(By):
        raise UsageError(f'cannot group by "{by}"; take one of {", ".join(get_args(By))}')
    return cast(By, by)


def cell_of(by: By) -> str:
    """The cells that the SQL makes before any pooling."""
    return "check" if by in POOLED else by


def pooled(rows: Iterable[Row], by: By) -> dict[str, list[Row]]:
    """The rows of the checks under each tag or source, by name."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        names = [row["source"]] if by == "source" else sorted(set(row["tags"])) or [""]
        for name in names:
            groups.setdefault(name, []).append(row)
    return dict(sorted(groups.items()))


def total(rows: Iterable[Row], field: str) -> Any:
    """Sum of what is known of a field; None where nothing is."""
    known = [row[field] for row in rows if row[field] is not None]
    return sum(known) if known else None


def cannot_tell(spread: float) -> str:
    """The reason for a check whose completions do not belong to single ticks. `spread` is a share of the gap."""
    return f"cannot tell: completions come at any time between two ticks (spread {spread:.2f} of the gap)"


def joined(*reasons: str) -> str:
    """Reasons as one text, most important first, each said once; empty ones are left out."""
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def keys(rows: Sequence[Row], by: By) -> Row:
    """The columns that say what each row is about."""
    if by in POOLED:
        return {by: texts(row["name"] for row in rows), "checks": counts(row["checks"] for row in rows)}
    names: Row = {"check": texts(row["name"] for row in rows)}
    return names if by == "check" else names | {by: counts(row["part"] for row in rows)}


def split(table: Any) -> dict[int, dict[str, Any]]:
    """The columns of a table that is ordered by check, as one set of arrays a check; of weekdays and hours int64."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    ids = columns.pop("check_id")
    for name in {"weekday", "hour"} & columns.keys():
        columns[name] = columns[name].astype(np.int64)
    if not len(ids):
        return {}
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    ends = np.append(starts[1:], len(ids))
    return {int(ids[a]): {name: column[a:b] for name, column in columns.items()} for a, b in zip(starts, ends, strict=True)}


def texts(values: Iterable[str]) -> pd.Series[str]:
    return pd.Series(list(values), dtype="str")


def counts(values: Iterable[int]) -> pd.Series[int]:
    return pd.Series(list(values), dtype="int64")


def known_counts(values: Iterable[int | None]) -> pd.Series[int]:
    """Counts that may be unknown: NULL, not zero."""
    return pd.Series(list(values), dtype="Int64")


def reals(values: Iterable[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def frame(columns: Columns, data: Row) -> pd.DataFrame:
    """The declared columns of `data`, in their order."""
    return columns.order(pd.DataFrame(data))


def times(table: Any, name: str) -> pd.Series[pd.Timestamp]:
    """A time column of an arrow table, UTC in microseconds; NaT where unknown."""
    return cast("pd.Series[pd.Timestamp]", table.column(name).to_pandas().astype("datetime64[us, UTC]"))
