"""`qpa` in a process of its own, quickly: forked from one that has its modules loaded already.

Each command has its own file descriptors, environment, time zone, folder and exit status, and the interpreter ends as it
always does; only the half second in which a new Python imports everything is saved. What Python reads when it starts
(`PYTHON...`, the locale) cannot be told to it later: such a command gets a new Python. So do tests of signals, pipes and
shells, which start their own.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = "check,schedule,tz,valid_from,grace_s\nbackup,0 3 * * *,UTC,2026-10-01T00:00:00Z,600\n"
PINGS = "check,received_at,kind\n" + "".join(f"backup,2026-10-{day:02d}T03:00:20Z,success\n" for day in range(1, 31) if day != 12)
WAIT_S = 120.0
#: What forks must have no other threads: those of numpy and of pyarrow's memory.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


def qpa(folder: Path, *args: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in `folder`, by default in a time zone that is not UTC."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo", **environment}
    words = [str(arg) for arg in args]
    waiting = _server(random.SystemRandom().randrange(2))
    if any(name.startswith(("PYTHON", "LC_", "LANG")) for name in environment) or not waiting.ready:
        return fresh(folder, *words, env=env)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        asked = {"folder": str(folder), "words": words, "env": env}
        paths = {name: f"/proc/{os.getpid()}/fd/{file.fileno()}" for name, file in (("out", out), ("err", err))}
        status = waiting.run({**asked, **paths})
        said = [file.seek(0) or file.read().decode().replace("\r\n", "\n").replace("\r", "\n") for file in (out, err)]
    return subprocess.CompletedProcess(["qpa", *words], status, *said)


def fresh(folder: Path, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the command in a new Python."""
    return subprocess.run(
        [sys.executable, "-m", "qpanalytics", *words],
        cwd=folder, env=env, capture_output=True, text=True, encoding="utf-8", timeout=WAIT_S, check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], *words: str, status: int = 2) -> None:
    """One line on stderr that says what, where and what to do; nothing else."""
    assert done.returncode == status, done
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("qpa: "), done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    for word in words:
        assert word in done.stderr, (word, done.stderr)


class _Server:
    """The process that the others are forked from; it ends with the one that started it, or when a command hangs."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **ONE_THREAD},
        )  # fmt: skip
        assert self.process.stdout is not None
        #: False where it cannot be had: every command is a new Python then
        self.ready = self.process.stdout.readline() == b"ready\n"
        atexit.register(self.end)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(WAIT_S)

    def run(self, asked: dict[str, object]) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], WAIT_S)[0]:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: only what this object started
            self.process.wait()
            _server.cache_clear()
            raise subprocess.TimeoutExpired(["qpa", *map(str, asked["words"])], WAIT_S)  # type: ignore[call-overload]
        return os.waitstatus_to_exitcode(int(self.process.stdout.readline()))


@functools.cache
def _server(number: int) -> _Server:
    """One of two, so that what depends on the order in a set differs between commands as it does between Pythons."""
    return _Server()


def _serve() -> None:
    """One line asks for a command, one line answers with its wait status; a command leaves by way of this module's end."""
    import gc
    import importlib
    import pkgutil

    import pandas  # noqa: F401
    import rich.progress
    import rich.table  # noqa: F401

    import qpanalytics
    from qpanalytics.cli.app import main

    for module in pkgutil.walk_packages(qpanalytics.__path__, "qpanalytics."):
        if not module.name.startswith(("qpanalytics.plot", "qpanalytics.__main__")):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    if not os.path.exists("/proc/self/task") or len(os.listdir("/proc/self/task")) > 1:
        return  # a process with threads cannot be forked safely
    gc.freeze()
    os.write(1, b"ready\n")
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            asked = json.loads(line)
            for number, path, how in ((0, os.devnull, os.O_RDONLY), (1, asked["out"], os.O_RDWR), (2, asked["err"], os.O_RDWR)):
                os.dup2(os.open(path, how), number)
            os.environ.clear()
            os.environ.update(asked["env"])
            time.tzset()
            os.chdir(asked["folder"])
            sys.argv = ["qpa", *asked["words"]]
            main()
            return
        os.write(1, b"%d\n" % os.waitpid(child, 0)[1])


if __name__ == "__main__":
    _serve()
