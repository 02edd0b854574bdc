"""Looks at queues and workers in tests: a configured source as the restricted user, and what to ask of its rows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis_server import PASSWORD, Server

from qpanalytics.settings import SourceTable
from qpanalytics.sources import open_configured
from qpanalytics.sources.base import QueueLook, Snapshot, SnapshotSource, WorkerLook

EMPTY = ("oldest_at", "oldest_age_s", "oldest_is")


@contextmanager
def source(server: Server, kind: str, *, db: int = 0, **options: Any) -> Iterator[SnapshotSource]:
    """A source of a kind, as `qpa.toml` would make it for the restricted user."""
    table = SourceTable.model_validate(
        {"name": "shop", "kind": kind, "url": server.url(db), "password": "env:SECRET", **options}, context="toml"
    )
    opened = open_configured(table, {"SECRET": PASSWORD}, Path(), lambda: datetime.now(UTC))
    assert isinstance(opened, SnapshotSource)
    try:
        yield opened
    finally:
        opened.close()


def look(server: Server, kind: str, cursor: Mapping[str, Any] | None = None, *, db: int = 0, **options: Any) -> Snapshot:
    """One look of a source that is opened for it."""
    with source(server, kind, db=db, **options) as opened:
        return opened.snapshot(cursor or {})


def queue(snapshot: Snapshot, name: str) -> QueueLook:
    """The one row of a queue."""
    (row,) = [row for row in snapshot.queues if row.queue == name]
    return row


def worker(snapshot: Snapshot, name: str) -> WorkerLook:
    """The one row of a worker whose name holds `name`."""
    (row,) = [row for row in snapshot.workers if name in row.worker]
    return row


def unexplained(row: QueueLook | WorkerLook) -> list[str]:
    """Figures that are None without a reason in `why`."""
    named = set(re.findall(r"\w+", " ".join(part.partition(":")[0] for part in row.why.split("; "))))
    return [field.name for field in fields(row) if getattr(row, field.name) is None and field.name not in named]


def until(true: Callable[[], Any], what: str, *, seconds: float = 30.0) -> None:
    """Waits for something to become true; an assertion with `what` where it does not."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"gave up waiting until {what}"
        time.sleep(0.02)


def kill(process: Any) -> None:
    """Ends a process of a test, also a frozen one, and all that it started, also what left its group."""
    for pid in (process.pid, *started(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    process.wait()


def started(pid: int) -> list[int]:
    """The processes that one started, and those that they started."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *started(child))]


def near(age: float | None, seconds: float) -> bool:
    """Whether an age is what it was when the test began, or a little more on a slow machine."""
    return age is not None and -1.0 <= age - seconds < 10.0
