"""The past as the events that the policy engine is told: what a watch would have heard, with the promises of an alternative."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from qpanalytics.instants import TICK, instant, micros
from qpanalytics.ledger import tables
from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.policy.changes import Change
from qpanalytics.policy.engine import Engine
from qpanalytics.policy.events import (
    CannotTell,
    Event,
    Paused,
    Ping,
    Promised,
    QueueLook,
    Resumed,
    Seen,
    WorkerSeen,
    WorkersLook,
)
from qpanalytics.policy.rules import Policy

if TYPE_CHECKING:
    from qpanalytics.history import History

#: The engine starts so long before the window, so that what lasts into it is known.
LEAD = timedelta(days=2)
#: Fewer gaps between completions carry no longest one to go by.
LEAST_GAPS = 50


@dataclass(frozen=True, slots=True)
class Override:
    """Another value for checks whose name is like `checks`: grace and max runtime in seconds."""

    checks: str
    of: Literal["grace_s", "max_runtime_s", "severity"]
    value: float | str

    def takes(self, check: str) -> bool:
        """Whether a check of this name is meant."""
        return check == self.checks or fnmatchcase(check, self.checks)

    def of_version(self, check: str, version: Version) -> Version:
        """The version as it would have been."""
        changed: dict[str, Any] = {self.of: self.value}
        return replace(version, **changed) if self.takes(check) else version


@dataclass(frozen=True)
class Past:
    """What happened, without what was promised: shared by all policies that are replayed over it."""

    events: tuple[Event, ...]
    versions: dict[str, tuple[Version, ...]]
    sources: dict[str, str]
    afters: dict[str, str]
    lead_us: int
    until_us: int


def past(history: History, also: Iterable[Event] = (), *, ids: Sequence[int] | None = None) -> Past:
    """The pings, pauses and looks of a history's window, and from what was under way before it on; and what else is told.

    With `ids` only these checks, and no queues.
    """
    end = min(history.until, history.as_of + TICK)
    lead = history.since - LEAD if history.since > instant(0) + LEAD else history.since
    with history.session():
        with history.connection() as con:
            listed = con.execute("select check_id, check_name, source from checks order by check_id").fetchall()
            listed = [row for row in listed if ids is None or row[0] in ids]
            firsts = {c: at for c, at in tables.first_pings(con).items() if c in {row[0] for row in listed}}
            promised = tables.promises(con, firsts)
            pauses = tables.pauses(con, firsts)
        pings = history.sql("replay_pings", lead=lead, until=end, ids=None if ids is None else list(ids))
        names = {check: name for check, name, _ in listed}
        known = set(names.values())
        spans = [row for row in history.sql("replay_spans").to_pylist() if row["name"] in known]
        silent = [row for row in history.sql("replay_gaps").to_pylist() if row["name"] in known]
    lead_us, until_us = micros(lead), micros(end)
    columns = [pings.column(i).to_pylist() for i in range(pings.num_columns)]
    events: list[Event] = [*(Ping(*row) for row in zip(*columns, strict=True)), *also]
    events += _looks(history) if ids is None else []
    for check, stretches in pauses.items():
        for since, until in stretches:
            if since < until_us and until > lead_us:
                events.append(Paused(names[check], since))
                if until < FOREVER_US:
                    events.append(Resumed(names[check], until))
    events += [Seen(_feed(row["name"]), row["until_us"], row["since_us"]) for row in spans]
    for row in silent:
        longest = row["gap_us"] / 1e6 if row["n"] >= LEAST_GAPS else None
        # where nothing is known of its gaps, no silence says anything
        events.append(CannotTell(row["name"], lead_us, longest if longest is not None else FOREVER_US / 1e7))
    versions = {name: tuple(promised[check]) for check, name, _ in listed}
    afters = {check: after for check, _, after in history.joins if after is not None}
    return Past(tuple(events), versions, {name: source for _, name, source in listed}, afters, lead_us, until_us)


def _looks(history: History) -> list[Event]:
    """Looks at queues and workers in the window; with checks picked, none."""
    if history.pick.checks or history.pick.tags:
        return []
    found: list[Event] = []
    for row in history.looks("queue_looks").to_pylist():
        found.append(QueueLook(row["source"], row["queue"], micros(row["taken_at"]), **{name: row[name] for name in _QUEUE}))
    workers: dict[tuple[str, int], list[WorkerSeen]] = {}
    for row in history.looks("worker_looks").to_pylist():
        queues = None if row["queues"] is None else tuple(row["queues"])
        seen = WorkerSeen(row["worker"], row["state"], queues, row["oldest_running_s"], row["restarts"])
        workers.setdefault((row["source"], micros(row["taken_at"])), []).append(seen)
    return found + [WorkersLook(source, at, tuple(seen)) for (source, at), seen in workers.items()]


_QUEUE = (
    "depth", "oldest_age_s", "oldest_is", "active", "orphaned", "retrying", "dead", "processed_total", "failed_total", "paused",
)  # fmt: skip


def sent(happened: Past, policy: Policy, overrides: Iterable[Override] = ()) -> list[Change]:
    """All changes that a policy would have led to."""
    engine = Engine(policy, live=False)
    first: dict[str, int] = {}
    for event in happened.events:
        if isinstance(event, Ping):
            first.setdefault(event.check, event.at)
    changed = list(overrides)
    for check, versions in happened.versions.items():
        promise = _overridden(check, versions, changed)
        engine.feed(
            Promised(
                check, min(happened.lead_us, first.get(check, happened.lead_us)), promise, happened.sources[check],
                happened.afters.get(check), _feed(check),
            )
        )  # fmt: skip
    engine.feed(*happened.events)
    return engine.advance(happened.until_us - 1)


def _overridden(check: str, versions: Sequence[Version], overrides: Sequence[Override]) -> tuple[Version, ...]:
    found = []
    for version in versions:
        for override in overrides:
            version = override.of_version(check, version)
        found.append(version)
    return tuple(found)


def _feed(check: str) -> str:
    """Each check has its own looks: files end where they end."""
    return f"check {check}"


