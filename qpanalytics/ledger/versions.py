"""The promises of a check over time: which schedule, zone, grace and limits hold between which instants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from qpanalytics import schedules

#: Beyond every instant that the store can hold, in epoch microseconds.
FOREVER_US = 1 << 62
#: An early completion that still counts for its tick: this share of the gap before it, at most this long.
EARLY_SHARE = 100
EARLY_MOST_US = 10_000_000


@lru_cache(maxsize=4096)
def schedule_of(text: str, tz: str) -> schedules.Schedule:
    """The parsed schedule; parsing is the dear part for many checks with one expression."""
    return schedules.parse(text, tz)


@lru_cache(maxsize=4096)
def default_grace_s(text: str, tz: str) -> float:
    """Grace where none is given: 20 % of the schedule's shortest gap, at least 1 min, at most 1 h."""
    return min(max(0.2 * schedule_of(text, tz).shortest_gap_s(), 60.0), 3600.0)


@dataclass(frozen=True)
class Version:
    """One promise, in force in [from_us, to_us) (epoch microseconds)."""

    from_us: int
    to_us: int
    schedule: str | None = None
    tz: str = "UTC"
    grace_s: float | None = None
    early_s: float | None = None
    max_runtime_s: float | None = None
    severity: str | None = None
    tags: tuple[str, ...] = ()
    stated_from_us: int | None = field(default=None, compare=False)

    @property
    def counts(self) -> bool:
        """Whether it has a beginning that ticks can be counted from."""
        return self.from_us > -FOREVER_US

    @property
    def kind(self) -> str | None:
        """cron, oncalendar, interval, or None without a schedule."""
        return None if self.schedule is None else schedule_of(self.schedule, self.tz).kind

    @property
    def grace_us(self) -> int:
        """The grace in force, in microseconds; 0 without a schedule."""
        if self.schedule is None:
            return 0
        given = self.grace_s if self.grace_s is not None else default_grace_s(self.schedule, self.tz)
        return round(given * 1e6)


def effective(rows: Iterable[Mapping[str, Any]], first_ping_us: int | None) -> list[Version]:
    """The versions of one check, sorted and disjoint, from its stored rows.

    A row of the configuration with a schedule takes the place of what the source says from its `valid_from` on; one
    without a schedule adds its fields to each version. A version without `valid_from` counts from the check's first
    ping; without a ping it holds, but has no beginning to count ticks from.
    """
    stated = [r for r in rows if r["origin"] == "source"]
    added = [r for r in rows if r["origin"] == "config"]
    scheduled = [r for r in added if r["schedule"] is not None]
    if scheduled:
        first = min(_from(r, None) for r in scheduled)
        stated = [r for r in stated if _from(r, None) < first]
    versions = [_version(r, first_ping_us) for r in [*stated, *scheduled]]
    # One without a date stands before all that have one, however late its first ping came.
    versions.sort(key=lambda v: (v.stated_from_us is not None, v.from_us))
    cut = [
        replace(v, to_us=min(v.to_us, later.from_us)) for v, later in pairwise(versions)
    ] + versions[-1:]
    for row in added:
        if row["schedule"] is None:
            cut = [_overlaid(v, row) for v in cut] or [_version(row, first_ping_us)]
    return [v for v in cut if v.from_us < v.to_us]


def chains(versions: Sequence[Version], pauses: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in which promises hold without a break: versions that touch joined, pauses cut out."""
    spans: list[tuple[int, int]] = []
    for v in versions:
        if spans and spans[-1][1] == v.from_us:
            spans[-1] = (spans[-1][0], v.to_us)
        else:
            spans.append((v.from_us, v.to_us))
    for since, until in sorted(pauses):
        spans = [part for a, b in spans for part in ((a, min(b, since)), (max(a, until), b)) if part[0] < part[1]]
    return spans


def in_force(versions: Sequence[Version], at_us: int) -> Version | None:
    """The version in force at an instant."""
    return next((v for v in versions if v.from_us <= at_us < v.to_us), None)


def _from(row: Mapping[str, Any], first_ping_us: int | None) -> int:
    stated: int | None = row["valid_from_us"]
    if stated is not None:
        return stated
    if first_ping_us is not None:
        return first_ping_us
    return -FOREVER_US


def _version(row: Mapping[str, Any], first_ping_us: int | None) -> Version:
    return Version(
        from_us=_from(row, first_ping_us),
        to_us=FOREVER_US if row["valid_to_us"] is None else row["valid_to_us"],
        schedule=row["schedule"],
        tz=row["tz"] or "UTC",
        grace_s=row["grace_s"],
        early_s=row["early_s"],
        max_runtime_s=row["max_runtime_s"],
        severity=row["severity"],
        tags=tuple(row["tags"] or ()),
        stated_from_us=row["valid_from_us"],
    )


def _overlaid(version: Version, row: Mapping[str, Any]) -> Version:
    given = {
        name: row[name] for name in ("tz", "grace_s", "early_s", "max_runtime_s", "severity") if row[name] is not None
    }
    if row["tags"]:
        given["tags"] = tuple(dict.fromkeys((*version.tags, *row["tags"])))
    return replace(version, **given)
