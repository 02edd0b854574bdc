"""`Finding`: one thing worth saying about a check, or about several for one reason; figures first, words later."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal[
    "down", "hung", "failing", "missing", "drifting", "faster", "later", "slower", "not_vouched",
    "late", "noisy", "recovered", "never_seen", "not_judged", "cannot_tell",
    # of queues and workers
    "workers_gone", "crash_loop", "alive_not_draining", "stuck", "promise_broken", "not_draining", "retry_storm", "orphaned",
    "too_few_workers", "dead_grew", "empty_unexplained", "job_silent", "unwatched",
]  # fmt: skip
Tone = Literal["bad", "warn", "quiet", "good"]

ASKING: tuple[Kind, ...] = (
    "down", "workers_gone", "crash_loop", "alive_not_draining", "stuck",
    "hung", "failing", "promise_broken", "not_draining", "retry_storm", "orphaned", "too_few_workers", "missing",
    "dead_grew", "empty_unexplained", "drifting", "faster", "later", "slower", "unwatched", "not_vouched",
)  # fmt: skip
"""The kinds that ask for somebody, most urgent first: what is broken now, what broke, what changed, what is unseen."""

KINDS: tuple[Kind, ...] = (*ASKING, "late", "noisy", "job_silent", "recovered", "never_seen", "not_judged", "cannot_tell")
"""All kinds in the order in which they are told."""

SEVERITIES = ("critical", "warning", "info")

LABELS: dict[Kind, str] = {
    "down": "Down",
    "hung": "Hung",
    "failing": "Failing",
    "missing": "Missing",
    "drifting": "Drifting",
    "faster": "Faster",
    "later": "Later",
    "slower": "Slower",
    "not_vouched": "Not seen",
    "late": "Often late",
    "noisy": "Noisy",
    "recovered": "Recovered",
    "never_seen": "Never seen",
    "not_judged": "Not judged yet",
    "cannot_tell": "Cannot tell",
    "workers_gone": "Workers gone",
    "crash_loop": "Crash loop",
    "alive_not_draining": "Not draining",
    "stuck": "Stuck",
    "promise_broken": "Promise broken",
    "not_draining": "Not draining",
    "retry_storm": "Retry storm",
    "orphaned": "Orphaned",
    "too_few_workers": "Too few workers",
    "dead_grew": "Dead jobs",
    "empty_unexplained": "Empty",
    "job_silent": "Silent job",
    "unwatched": "Not seen",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth saying.

    `check` is the first of `checks`, which are all it is about. `severity` comes from the check's own and the kind.
    `figures` are plain JSON values (times ISO 8601 in UTC, durations seconds) from which `say` makes `sentence` and
    `detail`; `also` are lesser findings about the same check, told in the detail. `size` orders findings of one kind.
    `subject` is the name in the sentence; `command` shows the figures, empty for a history that no command can open.
    `about` says what the names in `checks` are of: checks, queues, workers, or sources of looks at these.
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
    about: Literal["check", "queue", "worker", "source"] = "check"

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
        known = self.kind in ("not_vouched", "unwatched") and not self.asks  # what has been silent for long is the least news
        place = len(KINDS) if known else KINDS.index(self.kind)
        return (not self.asks, place, SEVERITIES.index(self.severity), -self.size, self.check)
