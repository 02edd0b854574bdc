"""A real systemd for tests: a user's manager in namespaces of its own, and a `systemctl` that asks it.

Units of a user show exactly as those of the machine do. Needs root, for the namespaces; skips where they cannot be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

CONTROL_GROUPS = [Path("/sys/fs/cgroup") / name for name in ("", "unified", "systemd")]
PROGRAM = Path("/lib/systemd/systemd")
#: systemd will not be a user's manager as process 1, so that is `timeout`, which also bounds it all.
INIT = """
for group in {groups}; do echo $$ > $group/cgroup.procs || exit 9; done
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t proc proc /proc || exit 9
export XDG_RUNTIME_DIR={folder}/run XDG_CONFIG_HOME={folder} SYSTEMD_LOG_TARGET=null
exec timeout 600 {program} --user --unit=basic.target
"""
CLIENT = """#!/bin/sh
XDG_RUNTIME_DIR={folder}/run exec nsenter -t {pid} -m -p {systemctl} --user "$@"
"""


@dataclass
class Manager:
    """`folder` holds the `systemctl` that asks it."""

    folder: Path

    def ctl(self, *arguments: str) -> str:
        return subprocess.run(
            [self.folder / "systemctl", *arguments], capture_output=True, text=True, timeout=20, check=False
        ).stdout

    def until(self, unit: str, sub: str, patience_s: float = 15.0) -> None:
        """Waits for a unit's SubState."""
        until = time.monotonic() + patience_s
        while (now := self.ctl("show", "-p", "SubState", "--value", unit).strip()) != sub:
            assert time.monotonic() < until, f"{unit} is {now}, not {sub}"
            time.sleep(0.05)


@contextmanager
def running(units: dict[str, str]) -> Iterator[Manager]:
    """One that knows these units: file names and their text. Nothing of it is left behind."""
    needed = ("unshare", "nsenter", "systemctl")
    if os.geteuid() != 0 or not PROGRAM.exists() or not all(map(shutil.which, needed)):
        pytest.skip("systemd in namespaces needs root, systemd and util-linux")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        (folder / "run").mkdir(mode=0o700)
        (folder / "systemd/user").mkdir(parents=True)
        for file, text in units.items():
            (folder / "systemd/user" / file).write_text(text, encoding="utf-8")
        # A group of its own, so that it touches no other's and all that it makes can be taken away again.
        groups = [root / folder.name for root in CONTROL_GROUPS if (root / "cgroup.procs").exists()]
        try:
            for group in groups:
                group.mkdir()
        except OSError:
            for group in groups:
                _removed(group)
            pytest.skip("control groups cannot be made here")
        script = INIT.format(folder=folder, program=PROGRAM, groups=" ".join(map(str, groups)))
        process = subprocess.Popen(
            ["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until = time.monotonic() + 10
            while not (folder / "run/systemd/private").exists():
                if process.poll() is not None or time.monotonic() > until:
                    pytest.skip("systemd does not come up in namespaces here")
                time.sleep(0.05)
            child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            client = folder / "systemctl"
            client.write_text(CLIENT.format(folder=folder, pid=child, systemctl=shutil.which("systemctl")), encoding="utf-8")
            client.chmod(0o755)
            manager = Manager(folder)
            while manager.ctl("show", "-p", "ActiveState", "--value", "basic.target").strip() != "active":
                if time.monotonic() > until:
                    pytest.skip("systemd does not come up in namespaces here")
                time.sleep(0.05)
            yield manager
        finally:
            process.kill()  # its first process goes with it, and with that one all of the namespace
            process.wait()
            for group in groups:
                _removed(group)


def _removed(group: Path) -> None:
    """A control group and those in it; one whose processes have not quite ended takes a moment."""
    until = time.monotonic() + 5
    while group.exists() and time.monotonic() < until:
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
        time.sleep(0.02)
