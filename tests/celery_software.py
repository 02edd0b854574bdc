"""A real Celery app for tests, and its workers as processes. It is also the module that the workers load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from celery import Celery


def application(broker: str, **options: Any) -> Celery:
    """The app on one broker; `options` are of its transport."""
    made = Celery("shop", broker=broker, set_as_current=False)
    made.conf.update(
        broker_transport_options=options, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1,
        task_ignore_result=True,
    )  # fmt: skip

    @made.task(name="shop.nap", shared=False)
    def nap(seconds: float) -> None:
        time.sleep(seconds)

    @made.task(name="shop.late_nap", acks_late=True, shared=False)
    def late_nap(seconds: float) -> None:
        time.sleep(seconds)

    return made


if "QPA_TEST_BROKER" in os.environ:
    app = application(os.environ["QPA_TEST_BROKER"], **json.loads(os.environ["QPA_TEST_OPTIONS"]))


class Workers:
    """Worker processes by node name; all end with the block, whatever happened to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, broker: str, queues: str, *more: str, **options: Any) -> None:
        environment = {**os.environ, "QPA_TEST_BROKER": broker, "QPA_TEST_OPTIONS": json.dumps(options)}
        with (self.folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "celery_software", "worker", "-n", name, "-Q", queues, "-c", "1",
                 "--without-mingle", "--without-gossip", "-l", "info", *more],
                cwd=Path(__file__).parent, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def ready(self, seconds: float = 30.0) -> None:
        """Waits until each of them says so."""
        until(lambda: all("ready." in (self.folder / f"{name}.log").read_text() for name in self.running), seconds)

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to a worker and what it started."""
        os.killpg(self.running[name].pid, number)

    def end(self) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):  # its children may have outlived it
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.running.values():
            process.wait()


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    made = Workers(folder)
    try:
        yield made
    finally:
        made.end()


def until(holds: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What `holds` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found
