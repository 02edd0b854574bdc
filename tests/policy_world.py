"""A small world for the policy engine: checks with their promises, pings and looks in a line of text, and what was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from qpanalytics.instants import instant, micros
from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.policy.changes import Change, IncidentChange, Notice
from qpanalytics.policy.engine import Engine
from qpanalytics.policy.events import Event, Ping, Promised, QueueLook, Seen
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings

MINUTE, HOUR = 60_000_000, 3_600_000_000


def us(text: str) -> int:
    """Microseconds of "03:10", of 2 November 2026, or of "3 03:10:30", of another day of that month; UTC."""
    day, _, clock = text.rpartition(" ")
    return micros(datetime.fromisoformat(f"2026-11-{int(day or 2):02} {clock}").replace(tzinfo=UTC))


def said(at: int) -> str:
    """The instant as `us` reads it, without the seconds where there are none."""
    when = instant(at)
    clock = f"{when:%H:%M:%S}".removesuffix(":00")
    return clock if when.day == 2 else f"{when.day} {clock}"


class World:
    """An engine with checks of source `prod`: each nightly at 03:00 with ten minutes of grace unless told otherwise.

    `until` lets time go by to an instant, seen by the source unless `blind`, and returns the lines of what was said.
    """

    def __init__(self, *checks: Promised, live: bool = True, **settings: Any) -> None:
        settings.setdefault("channel", [{"name": "oncall", "kind": "file"}])
        self.policy = Policy.of(Settings.model_validate(settings))
        self.live = live
        self.engine = Engine(self.policy, live=live)
        self.states: dict[str, Any] = {}
        self.changes: list[Change] = []
        self.engine.feed(*checks, Seen("prod", us("00:00"), us("1 00:00")))

    def feed(self, *events: Event) -> None:
        self.engine.feed(*events)

    def pings(self, text: str) -> None:
        """ "03:01 a, 03:02 b start, 3 03:00 a fail": when, whose, and what where it is no success."""
        for line in text.split(","):
            words = line.split()
            kind = words.pop() if words[-1] in ("start", "fail", "success", "log") else "success"
            self.feed(Ping(words[-1], us(" ".join(words[:-1])), kind))

    def until(self, when: str, *, blind: bool = False) -> list[str]:
        if not blind:
            self.feed(Seen("prod", us(when)))
        self.changes = self.engine.advance(us(when))
        return [line(change) for change in self.changes]

    def again(self) -> None:
        """Ends the engine and takes up another one from what was kept of it, as JSON."""
        for key, state in json.loads(json.dumps(self.engine.changed_states())).items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = state
        self.engine = Engine(self.policy, self.states, live=self.live)

    def incident(self) -> str:
        """The id of the only open incident."""
        (found,) = self.engine.incidents()
        return found.incident


def nightly(
    name: str, schedule: str = "0 3 * * *", *, grace_s: float = 600.0, source: str = "prod", after: str | None = None,
    tags: Sequence[str] = (), severity: str | None = None, max_runtime_s: float | None = None, tz: str = "UTC",
) -> Promised:  # fmt: skip
    """The promise of one check, from the first of the month on."""
    version = Version(
        us("1 00:00"), FOREVER_US, schedule, tz, grace_s, None, max_runtime_s, severity, tuple(tags), us("1 00:00")
    )
    return Promised(name, us("1 00:00"), (version,), source, after)


def line(change: Change) -> str:
    """ "03:10 opened missed a", "03:10 open oncall: a, b", "07:00 summary oncall: a"."""
    if isinstance(change, IncidentChange):
        names = [change.member.name] if change.member else [m.name for m in change.incident.members]
        why = f" ({change.incident.why})" if change.incident.why else ""
        return f"{said(change.at)} {change.step} {change.incident.kind} {', '.join(names)}{why}"
    covered = [change.incident] if change.incident else list(change.covers)
    names = [m.name for incident in covered for m in incident.members]
    return f"{said(change.at)} {change.event} {change.channel}: {', '.join(names)}"


def sent(lines: Sequence[str]) -> list[str]:
    """Only what was sent."""
    return [text for text in lines if ":" in text.split()[-2] or ":" in " ".join(text.split()[1:])]


def notices(changes: Sequence[Change]) -> list[Notice]:
    return [change for change in changes if isinstance(change, Notice)]


def look(when: str, **figures: Any) -> QueueLook:
    """A look at the queue `mail`."""
    return QueueLook("shop", "mail", us(when), **figures)
