"""The clock of the policy engine behind the oracle's interface: one check, told in order of time what the oracle is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from oracle import Ping, Version, merged
from oracle_runs import visible

from qpanalytics.ledger.versions import FOREVER_US, effective
from qpanalytics.ledger.versions import Version as Promise
from qpanalytics.policy.statuses import Clock

Span = tuple[int, int]


def promises(versions: Sequence[Version]) -> tuple[Promise, ...]:
    """The oracle's versions as the ledger and the policy have them."""
    rows = [
        {"origin": "source", "valid_from_us": v.valid_from, "valid_to_us": v.valid_to, "schedule": v.schedule, "tz": v.tz,
         "grace_s": v.grace_s, "early_s": v.early_s, "max_runtime_s": v.max_runtime_s, "severity": None, "tags": ()}
        for v in sorted(versions, key=lambda v: (v.valid_from is not None, v.valid_from or 0))
    ]  # fmt: skip
    return tuple(effective(rows, None))


@dataclass
class Spans:
    """What was vouched for, as far as it is known by `now`."""

    spans: list[Span]
    now: int = -FOREVER_US

    def saw(self, since: int, until: int) -> bool:
        return any(a <= since and until <= min(b, self.now) for a, b in self.spans)

    def begun(self, at: int) -> bool:
        return any(a <= at for a, _ in self.spans)


@dataclass
class Told:
    """What the clock told, in order."""

    rows: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, what: str, at: int, evidence: dict[str, Any]) -> None:
        self.rows.append((what, at, evidence))


def _hear(ping: Ping, clock: Clock) -> None:
    clock.hear(ping.received_at, ping.kind, ping.run_id, ping.duration_s, {})


def walk(
    pings: Sequence[Ping],
    versions: Sequence[Version],
    instants: Iterable[int],
    *,
    pauses: Sequence[Span] = (),
    vouched: Sequence[Span] = (),
    tell: Callable[[str, int, dict[str, Any]], None] | None = None,
    each: Callable[[Clock], Clock] = lambda clock: clock,
) -> dict[int, str]:
    """The status at each instant, of one clock that goes through time once; `each` may put another in its place."""
    seen = Spans(merged(vouched))
    clock = Clock("job", seen, tell or Told())
    clock.promise(promises(versions))
    events: list[tuple[int, int, int, Callable[[Clock], None]]] = []
    for place, ping in enumerate(visible(pings, FOREVER_US)):
        events.append((ping.received_at, 2, place, partial(_hear, ping)))
    for since, until in pauses:
        events.append((since, 1, 0, partial(Clock.pause, at=since)))
        events.append((until, 0, 0, partial(Clock.resume, at=until)))
    asked = sorted(set(instants))
    said: dict[int, str] = {}
    events += [(at, 3, 0, partial(Clock.run, upto=at)) for at in asked]
    for at, rank, _, do in sorted(events, key=lambda e: e[:3]):
        seen.now = at - 1
        clock.run(at - 1)
        seen.now = at
        do(clock)
        if rank == 3:
            said[at] = clock.status(at)
            clock = each(clock)
    return said
