"""A real supervisord for tests, whose programs are in every state that it knows."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "qpa", "look-but-do-not-touch"
CONFIG = """
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
loglevel=error
pidfile={folder}/pid
childlogdir={folder}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[unix_http_server]
file={folder}/s.sock
[inet_http_server]
port=127.0.0.1:{port}
username={user}
password={password}
"""
PROGRAMS = {
    "web": "command=sleep 600\nstartsecs=0\nautorestart=true",
    "work": "command=sleep 600\nstartsecs=0\nautorestart=false\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d",
    "größe": "command=sleep 600\nstartsecs=0",
    "slow": "command=sleep 600\nstartsecs=600",
    "stubborn": "command=sh -c \"trap '' TERM; while :; do sleep 1; done\"\nstartsecs=0\nstopwaitsecs=600",
    "stopped": "command=sleep 600\nautostart=false",
    "halted": "command=sleep 600\nstartsecs=0",
    "done": "command=true\nstartsecs=0\nautorestart=false",
    "bad": "command=sh -c 'exit 3'\nstartsecs=0\nautorestart=false",
    "shot": "command=sh -c 'kill -9 $$'\nstartsecs=0\nautorestart=false",
    "fatal": "command=sh -c 'exit 1'\nstartsecs=60\nstartretries=0",
    "nofile": "command=/no/such/program\nstartretries=0",
    # Each try waits a second longer than the one before, so it is mostly in BACKOFF.
    "loop": "command=sh -c 'exit 1'\nstartsecs=60\nstartretries=1000",
}


@dataclass
class Supervisord:
    """`admin` may do anything; readers are given `unix` or `http` with USER and PASSWORD."""

    unix: str
    http: str
    admin: Any

    def pid(self, worker: str) -> int:
        return int(self.admin.getProcessInfo(worker)["pid"])

    def until(self, settled: Callable[[dict[str, str]], bool], patience_s: float = 15.0) -> dict[str, str]:
        """The states by name, once they are as wanted."""
        until = time.monotonic() + patience_s
        while True:
            states = {one["name"]: one["statename"] for one in self.admin.getAllProcessInfo()}
            if settled(states):
                return states
            assert time.monotonic() < until, states
            time.sleep(0.05)


@contextmanager
def running(programs: dict[str, str] = PROGRAMS) -> Iterator[Supervisord]:
    """One on a Unix socket and a free port of the loopback; nothing of it is left behind."""
    program = shutil.which("supervisord", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if program is None:
        pytest.skip("supervisord is not installed (pip install supervisor)")
    with tempfile.TemporaryDirectory(dir="/tmp") as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        text = CONFIG.format(folder=folder, port=port, user=USER, password=PASSWORD)
        text += "".join(
            f"[program:{name}]\n{lines}\nstdout_logfile=NONE\nstderr_logfile=NONE\n" for name, lines in programs.items()
        )
        (folder / "conf").write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [program, "-c", str(folder / "conf")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        http = f"http://127.0.0.1:{port}"
        proxy = xmlrpc.client.ServerProxy(http.replace("//", f"//{USER}:{PASSWORD}@") + "/RPC2")
        found = Supervisord(f"unix://{folder}/s.sock", http, proxy.supervisor)
        pids: list[int] = []
        try:
            until = time.monotonic() + 20
            while True:
                with suppress(OSError):
                    found.admin.getState()
                    break
                assert process.poll() is None, "supervisord ended at once"
                assert time.monotonic() < until, "supervisord did not come up"
                time.sleep(0.05)
            yield found
        finally:
            # Its own end would wait for programs that do not want to stop. It must not start again what is killed.
            process.send_signal(signal.SIGSTOP)
            pids = _children(process.pid)
            process.kill()
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # supervisord makes each program the head of a group
            process.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
