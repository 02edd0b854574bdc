"""What `qpa doctor` says of the watch: whether it evaluates, and whether the store is kept from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.cli.seen import Seen
from qpanalytics.errors import QpaError

if TYPE_CHECKING:
    from qpanalytics.settings import Settings

#: A watch that missed so many ticks is not there.
TICKS = 5


def watched(settings: Settings, store: Path, clock: datetime) -> Iterator[Seen]:
    """A line on its last evaluation, and one on who holds the store; nothing where nobody ever watched."""
    from qpanalytics.store.state import State
    from qpanalytics.watch.told import overview

    if not State.path_beside(store).exists():
        return
    try:
        with State.beside(store) as state:
            seen = overview(state, clock)
    except QpaError as error:
        yield Seen("bad", f"watch: {error}")
        return
    if seen["ticked_at"] is None:
        return
    ago = spell.duration(max(seen["age_s"], 0.0))
    if seen["age_s"] > TICKS * settings.watch.tick:
        yield Seen("bad", f"watch: nothing was evaluated for {ago}, so nobody is told of anything. Start it: qpa watch")
    else:
        yield Seen("ok", f"watch: evaluated {ago} ago, {spell.plural(seen['open'], 'incident')} open")
    if seen["held_at"] is not None:
        since = spell.duration((clock - seen["held_at"]).total_seconds())
        yield Seen("bad", f"watch: the store could not be fed for {since}: {spell.plain(seen['holder'])}")
