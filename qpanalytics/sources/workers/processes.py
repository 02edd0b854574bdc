"""What the readers of process tables (systemd, supervisord, Docker) share: rows that say what such a table cannot know.

A process table is live, so a running process was last seen at the look itself. It knows nothing of jobs and queues, and a
process that hangs is as alive to it as one that works: a health check, a watchdog or the queue's own heartbeats tell that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from qpanalytics.sources.base import WorkerLook, reasons
from qpanalytics.sources.queues.gate import number, stamp
from qpanalytics.spell import EARLIEST, LATEST, iso, plain

State = Literal["alive", "stale", "gone", "unknown"]
#: The most characters of a name or reason from outside that a row holds.
LONGEST = 200


def shown(text: str) -> str:
    """A name or text from outside on one safe line, cut to what a row holds."""
    return plain(text[:LONGEST])


def count(value: Any) -> int | None:
    """A number from outside that counts something; None for anything else."""
    found = None if isinstance(value, float) else number(value)
    return found if found is not None and 0 <= found < 2**32 else None


def instant(value: Any) -> datetime | None:
    """An instant from outside, None where it is none or lies where no process ran."""
    found = stamp(value)
    return found if found is not None and EARLIEST < found < LATEST else None


def matches(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one of the names is, or fits, one of the patterns; no patterns mean all names."""
    return not patterns or any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns for name in names)


def row(
    worker: str,
    state: State,
    *,
    system: str,
    last_seen_at: datetime | None,
    restarts: int | None,
    queues: Sequence[str],
    expected_period_s: float | None = None,
    notes: Mapping[str, str],
) -> WorkerLook:
    """A worker's row. `notes` are the reasons of figures that this system could have told, and what is odd of its state."""
    unknown = {figure: notes[figure] for figure in ("state",) if notes.get(figure)}
    unknown["busy"] = unknown["oldest_running_s"] = f"{system} sees processes, not jobs"
    if expected_period_s is None:
        unknown["expected_period_s"] = f"{system} looks at the process itself, which sends no heartbeats"
    if not queues:
        unknown["queues"] = f"{system} does not know them, and this source names none"
    unknown |= {figure: note for figure, note in notes.items() if note and figure not in unknown}
    return WorkerLook(
        worker=shown(worker), state=state, last_seen_at=last_seen_at, expected_period_s=expected_period_s,
        queues=tuple(queues) or None, restarts=restarts, why=reasons(unknown),
    )  # fmt: skip


def missing(
    patterns: Sequence[str],
    found: Sequence[tuple[Sequence[str], WorkerLook]],
    cursor: Mapping[str, Any],
    taken_at: datetime,
    *,
    system: str,
    thing: str,
    queues: Sequence[str],
) -> tuple[list[WorkerLook], dict[str, str]]:
    """A row for each configured name or pattern that fits none of `found` (names and row), so that none is missing.

    Such a worker is `gone` if an earlier look saw it running, else `unknown`: the name may be wrong. The second value is
    what the next look wants as `cursor["seen"]`: when each pattern last had a process that runs.
    """
    before = cursor.get("seen")
    seen = {name: str(at) for name, at in before.items() if name in patterns} if isinstance(before, Mapping) else {}
    rows = []
    for pattern in dict.fromkeys(patterns):
        fitting = [look for names, look in found if matches((pattern,), names)]
        if any(look.state in ("alive", "stale") for look in fitting):
            seen[pattern] = iso(taken_at)
        if fitting:
            continue
        last = stamp(seen.get(pattern))
        said = f"no {thing} matches" if any(sign in pattern for sign in "*?[") else f"no such {thing}"
        said = said if last is None else f"{said} any more"
        notes = {"state": said, "restarts": said} | ({"last_seen_at": said} if last is None else {})
        state: State = "unknown" if last is None else "gone"
        rows.append(row(pattern, state, system=system, last_seen_at=last, restarts=None, queues=queues, notes=notes))
    return rows, seen
