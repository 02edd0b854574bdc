"""What a condition says of one fact, and the hold that keeps a value on the border from flapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qpanalytics.promised import Promise
from qpanalytics.settings_policy import PolicyTable

About = Literal["check", "queue", "worker", "source"]
Memory = dict[str, Any]

SECOND, HOUR = 1_000_000, 3_600_000_000
NOTHING = Promise()


@dataclass(frozen=True, slots=True)
class Sign:
    """From `at` on it is so (`bad`) or no longer. `kind` is the stage of it; `evidence` plain JSON values."""

    bad: bool
    at: int
    kind: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that became known. `what` is what a check's clock tells, or the kind of look; `seen` is the look itself."""

    what: str
    at: int
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seen: Any = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What a condition may go by beside the fact: the policy's numbers, what was promised, how many failures in a row."""

    table: PolicyTable
    in_a_row: int = 1
    promise: Promise = NOTHING
    scheduled: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong. `judge` takes its own memory (JSON values, kept between facts), a fact and the setting.

    `most` is the highest severity it is told with: what is only odd wakes nobody. `meaning` is for people. While the same
    thing is in trouble of one of the kinds `covered_by`, it belongs to that and is not told by itself.
    """

    kind: str
    about: About
    meaning: str
    judge: Callable[[Memory, Fact, Setting], Sign | None]
    most: str = "critical"
    covered_by: tuple[str, ...] = ()
    #: Facts that it listens to; empty: all.
    hears: tuple[str, ...] = ()


def held(memory: Memory, bad: bool | None, at: int, hold_s: float, looks: int = 2) -> bool | None:
    """True or False when a state has lasted for `hold_s` and so many looks; None where nothing changes.

    `bad` None, unknown, changes nothing.
    """
    if bad is None:
        return None
    if bad == memory.get("on", False):
        memory.pop("since", None)
        memory.pop("n", None)
        return None
    since = memory.setdefault("since", at)
    memory["n"] = memory.get("n", 0) + 1
    if memory["n"] < looks or at - since < hold_s * SECOND:
        return None
    memory["on"] = bad
    del memory["since"], memory["n"]
    return bad


def sign(kind: str, turned: bool | None, at: int, **evidence: Any) -> Sign | None:
    """The sign of a state that `held`."""
    return None if turned is None else Sign(turned, at, kind, evidence)


def over(memory: Memory, value: float | None, most: float | None) -> bool | None:
    """Whether a figure is over its promise; once it is, only nine tenths of it are under."""
    if value is None or most is None:
        return None
    return value > (0.9 * most if memory.get("on") else most)


def capped(severity: str, most: str) -> str:
    """The severity, at most `most`."""
    order = ("critical", "warning", "info")
    return max(severity, most, key=order.index)
