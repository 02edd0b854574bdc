"""How much of the window was observed, so that nothing could have been overlooked, and where the holes are."""

from __future__ import annotations

import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis import reading
from qpanalytics.analysis.reading import Reading, Row
from qpanalytics.analysis.success import coverage as share
from qpanalytics.errors import UsageError
from qpanalytics.words import Columns

COLUMNS = Columns(
    source="name of the source",
    check="name of the check",
    since_at="start of the window, or where the check began if that is later; NaT where the check began after it",
    until_at="end of the window, or as_of if that is sooner",
    coverage="share of it that is vouched for, 0 to 1; NaN with why",
    lost="pings that the source numbered and that never reached us; NULL where it numbers nothing",
    why="what was not seen, and the reason for each NaN or NULL, else empty",
)

GAP_COLUMNS = Columns(
    source="name of the source",
    check="name of the check",
    since_at="start of the stretch, not before the window",
    until_at="end of the stretch, not after the window or as_of",
    why="where it lies: before the first data, after the last, or between two files or fetches",
)


SOURCE_COLUMNS = Columns(
    source="name of the source",
    checks="its checks that were there in the window",
    coverage="share of their windows that is vouched for, 0 to 1, a check with a longer one weighing more; NaN with why",
    lost="pings that it numbered and that never reached us; NULL where it numbers nothing",
    why="how many checks were not seen whole, and the reason for each NaN or NULL, else empty",
)


def coverage(history: Reading, *, by: str = "check") -> pd.DataFrame:
    """How much of the window was observed, per check, or with `by="source"` over the checks of each source.

    One row per check, by name. Time is covered where a file or a fetch vouches for it: every ping of it would be
    there. What is not covered counts neither for nor against a check: its expected runs are `unknown`, and a rate over
    the rest says nothing about them. A check is asked only from where it began (its first `valid_from`, else its first
    ping), so a new one does not look unobserved. `lost` counts gaps in the source's own numbering, between pings that
    we saw or that it counted; files number nothing, and then a hole that nobody fetched is the only one to be known.
    """
    if by not in ("check", "source"):
        raise UsageError(f'coverage is by check or source, not by "{by}"')
    with history.session():
        table = history.sql("coverage")
        holes = history.sql("gaps")
    rows: list[Row] = table.select(
        ["check_id", "check_name", "source", "absent", "window_us", "vouched_us", "lost"]
    ).to_pylist()
    if by == "source":
        return _by_source(rows)
    unseen: dict[int, list[str]] = {}
    for gap in holes.select(["check_id", "why"]).to_pylist():
        unseen.setdefault(gap["check_id"], []).append(gap["why"])
    return reading.frame(
        COLUMNS,
        {
            "source": reading.texts(row["source"] for row in rows),
            "check": reading.texts(row["check_name"] for row in rows),
            "since_at": reading.times(table, "since_at"),
            "until_at": reading.times(table, "until_at"),
            "coverage": share(rows),
            "lost": reading.known_counts(row["lost"] for row in rows),
            "why": reading.texts(_why(row, unseen.get(row["check_id"], [])) for row in rows),
        },
    )


def _lost(row: Row) -> str:
    return f"{spell.plural(row['lost'], 'ping')} lost: counted by the source, never shown to us" if row["lost"] else ""


def _by_source(rows: list[Row]) -> pd.DataFrame:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["source"], []).append(row)
    summed = [
        {
            "source": source,
            "checks": sum(not row["absent"] for row in members),
            "window_us": reading.total(members, "window_us"),
            "vouched_us": reading.total(members, "vouched_us"),
            "lost": reading.total(members, "lost"),
            "partly": sum(row["vouched_us"] < row["window_us"] for row in members),
        }
        for source, members in sorted(groups.items())
    ]
    return reading.frame(
        SOURCE_COLUMNS,
        {
            "source": reading.texts(row["source"] for row in summed),
            "checks": reading.counts(row["checks"] for row in summed),
            "coverage": share(summed),
            "lost": reading.known_counts(row["lost"] for row in summed),
            "why": reading.texts(
                reading.joined(
                    "" if row["checks"] else "none of its checks was there in this window",
                    f"{row['partly']} of {row['checks']} checks not seen whole" if row["partly"] else "",
                    _lost(row),
                    "this source does not number its pings" if row["lost"] is None else "",
                )
                for row in summed
            ),
        },
    )


def gaps(history: Reading) -> pd.DataFrame:
    """The stretches of the window that nobody observed: one row per check and stretch, by name, then by time."""
    table = history.sql("gaps")
    return reading.frame(
        GAP_COLUMNS,
        {
            "source": reading.texts(table.column("source").to_pylist()),
            "check": reading.texts(table.column("check_name").to_pylist()),
            "since_at": reading.times(table, "since_at"),
            "until_at": reading.times(table, "until_at"),
            "why": reading.texts(table.column("why").to_pylist()),
        },
    )


def _why(row: Row, unseen: list[str]) -> str:
    return reading.joined(
        row["absent"],
        f"not seen: {', '.join(dict.fromkeys(unseen))}" if unseen else "",
        _lost(row),
        "this source does not number its pings" if row["lost"] is None else "",
    )
