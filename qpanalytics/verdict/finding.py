"""`Finding`: one thing worth saying about a check, or about several for one reason; figures first, words later."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal[
    "down", "hung", "failing", "missing", "later", "slower", "not_vouched",
    "late", "recovered", "never_seen", "not_judged", "cannot_tell",
]  # fmt: skip
Tone = Literal["bad", "warn", "quiet", "good"]

ASKING: tuple[Kind, ...] = ("down", "hung", "failing", "missing", "later", "slower", "not_vouched")
"""The kinds that ask for somebody, most urgent first: what is broken now, what broke, what changed, what is unseen."""

KINDS: tuple[Kind, ...] = (*ASKING, "late", "recovered", "never_seen", "not_judged", "cannot_tell")
"""All kinds in the order in which they are told."""

SEVERITIES = ("critical", "warning", "info")

LABELS: dict[Kind, str] = {
    "down": "Down",
    "hung": "Hung",
    "failing": "Failing",
    "missing": "Missing",
    "later": "Later",
    "slower": "Slower",
    "not_vouched": "Not seen",
    "late": "Often late",
    "recovered": "Recovered",
    "never_seen": "Never seen",
    "not_judged": "Not judged yet",
    "cannot_tell": "Cannot tell",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth saying.

    `check` is the first of `checks`, which are all it is about. `severity` comes from the check's own and the kind.
    `figures` are plain JSON values (times ISO 8601 in UTC, durations seconds) from which `say` makes `sentence` and
    `detail`; `also` are lesser findings about the same check, told in the detail. `size` orders findings of one kind.
    `subject` is the name in the sentence; `command` shows the figures, empty for a history that no command can open.
    """

    kind: Kind
    severity: str
    checks: tuple[str, ...]
    source: str = ""
    since_at: datetime | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    size: float = 0.0
    also: tuple[Finding, ...] = ()
    subject: str = ""
    sentence: str = ""
    detail: str = ""
    command: str = ""

    @property
    def check(self) -> str:
        """The first check it is about."""
        return self.checks[0]

    @property
    def asks(self) -> bool:
        """Whether it asks for somebody.

        Whoever calls a check `info` wants to be told, not asked, until the check is down.
        """
        return self.kind in ASKING and (self.severity != "info" or self.kind == "down")

    @property
    def label(self) -> str:
        """The kind in a word or two."""
        return LABELS[self.kind]

    @property
    def tone(self) -> Tone:
        """How loudly a page may say it."""
        if self.kind == "recovered":
            return "good"
        if not self.asks:
            return "quiet"
        if self.kind == "down":
            return "warn" if self.severity == "info" else "bad"
        return "bad" if self.severity == "critical" else "warn"

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts findings as they are told: what asks for somebody, by kind, severity, size and name."""
        known = self.kind == "not_vouched" and not self.asks  # what has been silent for long is the least news
        place = len(KINDS) if known else KINDS.index(self.kind)
        return (not self.asks, place, SEVERITIES.index(self.severity), -self.size, self.check)
