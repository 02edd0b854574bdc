"""What to type to see the figures behind a finding."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.store.db import MemoryStore
from qpanalytics.verdict.cases import baseline
from qpanalytics.verdict.voice import quoted

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.verdict.finding import Finding

_VERBS = {
    "later": "occurrences",
    "slower": "runs",
    "drifting": "drift",
    "faster": "drift",
    "noisy": "replay",
    "not_vouched": "coverage",
    "never_seen": "checks",
    "not_judged": "success",
    "cannot_tell": "lateness",
    "late": "lateness",
}
_SPECIAL = "[]*?"
"""What `--check` reads as a pattern. The name itself always matches its own pattern, so nothing needs escaping."""


def command(finding: Finding, history: History) -> str:
    """A command that shows the runs or figures of a finding; empty where the history has no file to open."""
    if isinstance(history.store, MemoryStore):
        return ""
    since, until = history.since, min(history.until, history.as_of)
    if finding.about != "check":
        return _of_looks(finding, history)
    verb = _VERBS.get(finding.kind, "occurrences")
    if not finding.figures.get("judged", True):
        verb = "runs"
    if finding.kind == "down":
        until = history.as_of
    if finding.figures.get("windows_back", 1) > 1 and (span := baseline(history)):
        since = span[0]
    parts = ["qpa", verb]
    if len(finding.checks) == 1:
        parts += ["--check", quoted(finding.check)]
    elif finding.source and finding.kind not in ("never_seen", "not_judged", "cannot_tell"):
        parts += ["--source", quoted(finding.source)]
    if verb == "drift":  # which looks at a year by itself
        parts += ["--until", stamp(until)]
    elif verb != "checks":
        parts += ["--since", stamp(since), "--until", stamp(until)]
    if finding.kind == "noisy" and finding.figures["grace_s"] and len(finding.checks) == 1:
        parts += ["--grace", quoted(f"{finding.check}={spell.duration(finding.figures['grace_s'])}")]
    if str(history.store.path) != "qpa.duckdb":
        parts += ["--db", quoted(str(history.store.path))]
    return " ".join(parts)


def _of_looks(finding: Finding, history: History) -> str:
    """The looks behind a finding about a queue or worker, up to as_of; of a source, its coverage."""
    f = finding.figures
    parts = ["qpa", "workers" if finding.about == "worker" or f.get("of") == "workers" else "queues"]
    name = f.get("worker") if finding.about == "worker" else f.get("queue")
    if name and len(finding.checks) == 1:
        parts += [f"--{finding.about}", quoted(name)]
    parts += ["--source", quoted(finding.source), "--history", "--since", stamp(history.since)]
    until = min(history.until, history.looks_as_of)
    if f.get("taken_at"):  # the last look shall be in it
        until = max(until, datetime.fromisoformat(f["taken_at"]).replace(second=0, microsecond=0) + timedelta(minutes=1))
    parts += ["--until", stamp(until)]
    if str(history.store.path) != "qpa.duckdb":
        parts += ["--db", quoted(str(history.store.path))]
    return " ".join(parts)


def stamp(at: datetime) -> str:
    """The shortest text that means this instant: a date where it is midnight in UTC, else no finer than it is."""
    at = at.astimezone(UTC)
    if at.time() == time():
        return at.date().isoformat()
    return f"{at:%Y-%m-%dT%H:%MZ}" if not at.second and not at.microsecond else spell.iso(at)
