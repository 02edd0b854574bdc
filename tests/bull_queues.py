"""Real BullMQ 5, BullMQ 6 and Bull 4 for tests: their queues and workers run by node, from the packages in `.node`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import redis_server

from qpanalytics import sources
from qpanalytics.settings import SourceTable
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook

SCRIPTS = Path(__file__).with_name("node")
PACKAGES = SCRIPTS.parent.parent / ".node" / "node_modules"
#: As tests/run installs them, under these names.
LIBRARIES = ("bullmq5", "bullmq6", "bull")


def missing() -> str | None:
    """Why the real thing cannot run here; None where it can."""
    if shutil.which("node") is None:
        return "there is no node"
    absent = [name for name in LIBRARIES if not (PACKAGES / name).is_dir()]
    return f"{', '.join(absent)} is not installed; tests/run does" if absent else None


def call(library: str, port: int, *queues: dict[str, Any]) -> list[list[str | None]]:
    """Runs `calls` of each queue, `[method, ...arguments]`, and gives the ids of the jobs they made."""
    done = subprocess.run(
        ["node", str(SCRIPTS / "queue.js"), library, str(port)],
        input=json.dumps(queues), text=True, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Worker:
    """A worker of one queue in a process of its own."""

    def __init__(self, library: str, port: int, **asked: Any) -> None:
        self._process = subprocess.Popen(
            ["node", str(SCRIPTS / "worker.js"), library, str(port), json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line.strip())

    def says(self, *words: str) -> None:
        """Waits until it has said each of these."""
        left, until = list(words), time.monotonic() + 20
        while left:
            line = self._lines.get(timeout=max(until - time.monotonic(), 0.01))
            if line in left:
                left.remove(line)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()


@contextmanager
def workers(library: str, port: int) -> Iterator[Callable[..., Worker]]:
    """Starts workers; all of them are killed at the end, frozen ones too."""
    started: list[Worker] = []

    def start(**asked: Any) -> Worker:
        started.append(Worker(library, port, **asked))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.kill()


def until(holds: Callable[[], Any], what: str, seconds: float = 15) -> None:
    """Waits until `holds()`, with a deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} has not come"
        time.sleep(0.02)


# What was read --------------------------------------------------------------------------------------------------------


def now() -> datetime:
    return datetime.now(UTC)


def source(server: redis_server.Server, db: int = 0, system: str = "bullmq", **table: Any) -> Any:
    described = SourceTable(name="shop", kind=system, url=server.url(db), password="env:QPA_REDIS", **table)
    return sources.open_configured(described, {"QPA_REDIS": redis_server.PASSWORD}, Path(), now)


def queue(snapshot: Snapshot, name: str) -> QueueLook:
    return next(row for row in snapshot.queues if row.queue == name)


def worker(snapshot: Snapshot, name: str) -> WorkerLook:
    return next(row for row in snapshot.workers if (row.queues or ("",))[0] == name)


def unexplained(snapshot: Snapshot) -> list[str]:
    """Figures that are None without a word about them."""
    return [
        f"{getattr(row, 'queue', None) or getattr(row, 'worker', None)}: {figure}"
        for row in (*snapshot.queues, *snapshot.workers)
        for figure, value in asdict(row).items()
        if value is None and figure not in {part for told in row.why.split("; ") for part in told.split(": ")[0].split(", ")}
    ]
