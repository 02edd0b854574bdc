"""A history made of rows: the logical relations as plain tables, so that an analysis is tested on what fits a screen.

It has what `analysis.reading.Reading` asks for. Times are text like "2026-11-16 03:00", UTC where no offset is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import duckdb

Row = dict[str, Any]

TABLES = {
    "checks": "check_id int, check_name varchar, source varchar, key varchar, name varchar, status varchar, "
    "schedule varchar, kind varchar, tz varchar, grace_s double, early_s double, max_runtime_s double, "
    "severity varchar, tags varchar[], first_valid_from timestamptz, valid_to timestamptz, first_ping_at timestamptz, "
    "last_ping_at timestamptz, last_duration_s double, next_expected_at timestamptz, deadline_at timestamptz",
    "occurrences": "check_id int, version int, expected_at timestamptz, window_start_at timestamptz, "
    "end_at timestamptz, deadline_at timestamptz, started_at timestamptz, completed_at timestamptz, outcome varchar, "
    "lateness_s double, start_delay_s double, duration_s double, attempts int, failures int, extra int, "
    "vouched boolean, gap_s double",
    "runs": "check_id int, run_id varchar, started_at timestamptz, completed_at timestamptz, duration_s double, "
    "result varchar, exit_status smallint, overran boolean, expected_at timestamptz",
    "vouched": "check_id int, since_at timestamptz, until_at timestamptz",
    "downs": "check_id int, since_at timestamptz, until_at timestamptz, cause varchar",
    "telling": "check_id int, hits bigint, spread double, cannot_tell boolean, gap_n bigint, gap_p50_s double, "
    "gap_p95_s double, gap_max_s double",
    "lost": "source varchar, check_id int, lost bigint",
}
IN_WINDOW = {"occurrences": "expected_at", "runs": "coalesce(completed_at, started_at)"}
WEEK = ("2026-11-16", "2026-11-23")  # Monday to Sunday


class Relations:
    """`since`, `until` and `as_of` (by default the end of the window) and rows under the names of `TABLES`.

    Every check is vouched for from 2026-01-01 to as_of unless `vouched` is given.
    """

    def __init__(
        self, *, since: str = WEEK[0], until: str = WEEK[1], as_of: str | None = None, **rows: list[Row]
    ) -> None:
        self.rows = rows
        self.since, self.until = at(since), at(until)
        self.as_of = at(as_of) if as_of else self.until
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("set TimeZone = 'UTC'")
        rows.setdefault(
            "vouched",
            [span(check["check_name"], "2026-01-01", self.as_of.isoformat()) for check in rows.get("checks", [])],
        )
        ids = {check["check_name"]: number for number, check in enumerate(rows["checks"], 1)}
        for name, columns in TABLES.items():
            self.con.execute(f"create table {name} ({columns})")
            types = dict(column.split() for column in columns.split(", "))
            told = [{"check_id": ids[row["check_name"]], **row} for row in rows.get(name, [])]
            for row in told:
                if name != "checks":
                    del row["check_name"]
                assert row.keys() <= types.keys(), row
            if told:
                marks = ", ".join(f"?::{type_}" for type_ in types.values())
                self.con.execute(
                    f"insert into {name} values {', '.join([f'({marks})'] * len(told))}",  # noqa: S608
                    [row.get(field) for row in told for field in types],
                )
            if name in IN_WINDOW:
                self.con.execute(
                    f"delete from {name} where not ({IN_WINDOW[name]} >= $since and {IN_WINDOW[name]} < $until)",  # noqa: S608
                    {"since": self.since, "until": self.until},
                )

    def sql(self, name: str, **params: Any) -> Any:
        text = (resources.files("qpanalytics.analysis") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        given = {"since": self.since, "until": self.until, "as_of": self.as_of, **params}
        wanted = set(re.findall(r"\$(\w+)", re.sub("--.*", "", text)))
        query = self.con.sql(text, params={name: value for name, value in given.items() if name in wanted})
        return query.to_arrow_table()

    @contextmanager
    def session(self) -> Iterator[None]:
        yield

    def before(self) -> Relations:
        length = self.until - self.since
        return Relations(
            since=(self.since - length).isoformat(),
            until=self.since.isoformat(),
            as_of=self.as_of.isoformat(),
            **self.rows,
        )


def at(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def check(name: str, schedule: str | None = "0 3 * * *", **more: Any) -> Row:
    """A check from file "jobs", begun long ago."""
    known: Row = {"source": "jobs", "tz": "UTC" if schedule else None, "tags": [], "first_valid_from": at("2026-01-01")}
    return {"check_name": name, "schedule": schedule, **known, **more}


def occurrences(name: str, outcomes: str, *, first: str = "2026-11-16 03:00", every_s: int = 86400) -> list[Row]:
    """One a step from `first`: "12.5 L900 M F H X U P" is on time after 12.5 s, late after 900 s, missed, failed, hung,
    excused, unknown, pending; a `?` before it means not vouched for."""
    names = {"L": "late", "M": "missed", "F": "failed", "H": "hung", "X": "excused", "U": "unknown", "P": "pending"}
    rows = []
    for step, word in enumerate(outcomes.split()):
        sign = word.lstrip("?")
        letter, figure = (sign[0], sign[1:]) if sign[0] in names else ("", sign)
        rows.append(
            {
                "check_name": name,
                "expected_at": datetime.fromtimestamp(at(first).timestamp() + step * every_s, UTC),
                "outcome": names.get(letter, "on_time"),
                "lateness_s": float(figure) if figure else None,
                "vouched": not word.startswith("?") and letter != "U",
            }
        )
    return rows


def runs(name: str, results: str, *, first: str = "2026-11-16 03:00", every_s: int = 86400) -> list[Row]:
    """One a step from `first`, its start: "60" took 60 s, "ok" has no duration, "F" failed, "open" still runs."""
    rows = []
    for step, word in enumerate(results.split()):
        began = at(first).timestamp() + step * every_s
        duration = float(word) if word[0].isdigit() else None
        result = {"F": "fail", "open": "open"}.get(word, "success")
        rows.append(
            {
                "check_name": name,
                "started_at": None if word == "ok" else datetime.fromtimestamp(began, UTC),
                "completed_at": None if word == "open" else datetime.fromtimestamp(began + (duration or 0), UTC),
                "duration_s": duration,
                "result": result,
            }
        )
    return rows


def span(name: str, since: str, until: str | None) -> Row:
    return {"check_name": name, "since_at": at(since), "until_at": at(until) if until else None}


def down(name: str, since: str, until: str | None, cause: str = "missed") -> Row:
    return {**span(name, since, until), "cause": cause}


def told(name: str, *, spread: float = 0.02, cannot_tell: bool = False, gaps: tuple[float, ...] = ()) -> Row:
    """What `telling` says of a check; `gaps` are its median, 95th percentile and maximum."""
    figures = dict(zip(("gap_p50_s", "gap_p95_s", "gap_max_s"), gaps, strict=False))
    return {
        "check_name": name,
        "hits": 60,
        "spread": spread,
        "cannot_tell": cannot_tell,
        "gap_n": 59 if gaps else 0,
        **figures,
    }
