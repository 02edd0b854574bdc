"""When the watch itself cannot see: a store that others hold, a clock that was set back.

The store is told of as a source that cannot be reached, so that it goes the way of every alert: opened once it lasts,
resolved when it is over. While a clock is behind nothing can be opened, so that is one message to every channel.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts.base import Digest
from qpanalytics.instants import micros
from qpanalytics.policy import events

if TYPE_CHECKING:
    from qpanalytics.watch.feeding import Feeding
    from qpanalytics.watch.kept import Kept

#: What the store is called among sources; `verdict.say_incidents` knows such names by their article.
STORE = "the store"


def note(kept: Kept, fed: Feeding, now: datetime) -> None:
    """Notes how the store was found when it was fed."""
    why = fed.held or fed.wrong
    if why:
        kept.held = micros(now) if kept.held is None else kept.held
        kept.holder = why
        return
    kept.freed = kept.freed or kept.held is not None
    kept.held, kept.holder, kept.fed = None, "", micros(now)


def sights(kept: Kept, now: datetime) -> list[events.Event]:
    """What the engine is told of the store; noted in `kept` as told."""
    if kept.held is not None:
        return [events.Unreachable(STORE, micros(now), kept.holder)]
    if kept.freed:
        kept.freed = False
        return [events.Seen(STORE, micros(now))]
    return []


def set_back(until: datetime, now: datetime, tz: str) -> Digest:
    """What is told of a clock that went back for good: nothing is judged before it is where it was."""
    by = spell.duration((until - now).total_seconds())
    return Digest(
        f"qpa watch: the clock was set back by {by}; nothing is judged before {spell.clock(until, tz)}",
        "Deadlines up to then were judged by the clock as it was. Pings are kept, and judged when the time has come.",
        now,
        "summary",
    )
