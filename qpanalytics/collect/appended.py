"""One look at files that grow: what was appended is set aside together with the places to go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.collect import pieces
from qpanalytics.store.state import State

if TYPE_CHECKING:
    from qpanalytics.collect.run import Look
    from qpanalytics.sources.base import TailSource

#: The key of the cursor that says up to when the source as a whole was read; no path is empty.
WHOLE = ""


def read(
    state: State, source: TailSource, look: str, at: datetime, found: Look, until: datetime, clock: Callable[[], datetime]
) -> None:
    """Reads what is new until the instant `until`; what is left is read by the next look, which alone vouches for it.

    SourceError of the source; what was read before it is kept.
    """
    cursors = state.cursors(source.name)
    before = cursors.pop(WHOLE, {}).get("at")
    first: datetime | None = None
    checks: set[str] = set()
    found.checks = 0
    for part in source.read(cursors):
        state.keep([pieces.lines(look, source.name, at, part)], [(source.name, part.path, part.next_cursor)])
        found.asked += 1
        found.pings += len(part.rows)
        found.bad += part.bad
        checks |= {name for name, _ in part.rows}
        found.checks = len(checks)
        if part.why:
            found.notes.append(f"{spell.plain(part.path)}: {part.why}")
        first = min([*((first,) if first else ()), *(ping.received_at for _, ping in part.rows)], default=first)
        if clock() >= until:
            found.notes.append("there is more to read than one look has time for; the next one goes on")
            return
    settled = source.settled_at(at)
    since = datetime.fromisoformat(str(before)) if before else min(first or settled, settled)
    if since <= settled:  # a clock that was set back vouches for nothing until it is where it was
        moved: list[tuple[str, str, Mapping[str, Any]]] = [(source.name, WHOLE, {"at": spell.iso(settled)})]
        state.keep([pieces.quiet(look, source.name, at, since, settled)], moved)
