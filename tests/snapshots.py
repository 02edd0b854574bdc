"""Looks at queues and workers for tests: a real source that speaks the protocol, and a store that they are collected into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qpanalytics.collect.feed import Fed, feed
from qpanalytics.collect.run import Collector, Look
from qpanalytics.errors import SourceError
from qpanalytics.history import History, Pick
from qpanalytics.instants import TICK
from qpanalytics.settings import PromiseTable
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook
from qpanalytics.store.db import Store
from qpanalytics.store.state import State

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday


@dataclass
class Shown:
    """A source that shows what it is told to, and fails so often before it does."""

    name: str = "shop"
    system: str = "sidekiq"
    taken_at: datetime = START
    queues: Sequence[QueueLook] = ()
    workers: Sequence[WorkerLook] = ()
    failing: int = 0
    permanent: bool = False
    notes: tuple[str, ...] = ()
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """What it was told, with a cursor that counts the looks."""
        self.asked.append(dict(cursor))
        if self.failing:
            self.failing -= 1
            raise SourceError(f"{self.name}: 10.0.0.5:6379 did not answer in 10 s.", permanent=self.permanent)
        seen = int(cursor.get("seen", 0))
        return Snapshot(self.taken_at, self.queues, self.workers, {"seen": seen + 1}, offset_s=0.25, notes=self.notes)

    def close(self) -> None:
        """Nothing to give back."""


class World:
    """A store with its state and a clock that stands until it is moved."""

    def __init__(self, folder: Path, now: datetime = START) -> None:
        self.store = Store(folder / "qpa.duckdb", patience_s=0.2)
        self.state = State.beside(self.store.path)
        self.now = now

    def look(self, *sources: Any) -> list[Look]:
        """One look at each, nothing is fed."""
        return Collector(self.state, lambda: self.now).collect(sources)

    def collect(self, *sources: Any) -> Fed:
        """One look at each, fed to the store."""
        self.look(*sources)
        return feed(self.store, self.state)

    def history(
        self, *, since: datetime | None = None, promises: Sequence[PromiseTable] = (), sources: tuple[str, ...] = (), **more: Any
    ) -> History:
        """All that was seen up to now."""
        return History(
            self.store, as_of=self.now, since=since or self.now - timedelta(days=90), until=self.now + TICK,
            pick=Pick(sources=sources), promises=tuple(promises), **more,
        )  # fmt: skip

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the store holds."""
        with self.store.read() as con:
            return con.execute(sql).fetchall()


def filled(
    folder: Path, looks: Mapping[datetime, Sequence[QueueLook | WorkerLook]], *, source: str = "shop", **more: Any
) -> History:
    """A history of these looks at one source, as of the last of them."""
    world = World(folder)
    shown = Shown(source)
    for at, rows in sorted(looks.items()):
        world.now = shown.taken_at = at
        shown.queues = [row for row in rows if isinstance(row, QueueLook)]
        shown.workers = [row for row in rows if isinstance(row, WorkerLook)]
        world.look(shown)
    feed(world.store, world.state)
    world.state.close()
    return world.history(**more)


def minutes(number: float) -> datetime:
    """So many minutes after the start."""
    return START + timedelta(minutes=number)
