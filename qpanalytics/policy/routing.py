"""Who is told of an incident: which routes match, and whether a time of day is within hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from fnmatch import fnmatchcase
from functools import lru_cache

from qpanalytics.instants import instant, micros
from qpanalytics.policy.changes import Member
from qpanalytics.policy.rules import Policy
from qpanalytics.schedules import zones
from qpanalytics.settings_policy import RouteTable

#: What a route that names no severity is for: the rest waits for the digest.
WORTH_A_PAGE = ("critical", "warning")
DAY_MIN = 24 * 60


def ways(policy: Policy, members: Iterable[Member], at: int) -> list[tuple[int, RouteTable]]:
    """The routes that an incident of these takes at an instant, with their number from 1; 0 is the way without any route.

    A route is taken if one member that is still wrong, and is put down to no other, is all that it names.
    """
    members = [m for m in members if m.resolved_at is None and m.follows is None]
    return [
        (number, route)
        for number, route in numbered(policy)
        if (route.between is None or within(route.between, route.tz, at)) and any(matches(route, m) for m in members)
    ]


def numbered(policy: Policy) -> list[tuple[int, RouteTable]]:
    """The routes with their numbers; without any, all that is worth a page goes to every channel."""
    if policy.routes:
        return list(enumerate(policy.routes, 1))
    return [(0, RouteTable(to=policy.channels))] if policy.channels else []


def matches(route: RouteTable, member: Member) -> bool:
    """Whether a route is for such trouble; what it does not name, it does not look at."""
    return (
        member.severity in (route.severity or WORTH_A_PAGE)
        and (not route.conditions or _like(member.kind, route.conditions))
        and (not route.checks or _like(member.name, route.checks))
        and (not route.sources or _like(member.source, route.sources))
        and (not route.tags or not set(route.tags).isdisjoint(member.tags))
    )


def _like(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def within(hours: str, tz: str, at: int) -> bool:
    """Whether an instant lies within hours such as "22:00-07:00" of a time zone; the same twice is all day."""
    since, until = _minutes(hours)
    local = instant(at).astimezone(_zone(tz))
    now = local.hour * 60 + local.minute
    return since <= now < until if since < until else now >= since or now < until


def end_of(hours: str, tz: str, at: int) -> int:
    """When the hours that an instant lies within are over, on the clock of the zone."""
    _, until = _minutes(hours)
    zone = _zone(tz)
    local = instant(at).astimezone(zone)
    ahead = (until - (local.hour * 60 + local.minute)) % DAY_MIN or DAY_MIN
    end = micros(instant(at)) + ahead * 60_000_000 - (local.second * 1_000_000 + local.microsecond)
    # a change of clocks in between shifts it
    there = instant(end).astimezone(zone)
    end += ((until - (there.hour * 60 + there.minute) + DAY_MIN // 2) % DAY_MIN - DAY_MIN // 2) * 60_000_000
    return end


def _minutes(hours: str) -> tuple[int, int]:
    since, until = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    return since, until


@lru_cache(maxsize=64)
def _zone(tz: str) -> tzinfo:
    return zones.zone(tz)


def severities(members: Sequence[Member]) -> str:
    """The worst severity of what is still wrong, else of all."""
    wrong = [m for m in members if m.resolved_at is None and m.follows is None] or list(members)
    return min((m.severity for m in wrong), key=("critical", "warning", "info").index)
