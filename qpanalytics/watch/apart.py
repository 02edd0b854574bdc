"""Commands of ours in processes of their own: reports and pruning need much memory, take long, and must not outlive the
watch nor hold up its end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from qpanalytics import spell
from qpanalytics.watch.feeding import ended


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit status and what it said; None where it was broken off."""

    status: int | None
    said: str


def run(args: Sequence[str], stop: threading.Event, module: str = "qpanalytics") -> Done:
    """Runs `qpa`, or another module of ours, with these arguments until it ends, or `stop` ends it."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    out = ended(child, stop)
    return Done(None if out is None else child.returncode, spell.plain(" ".join((out or "").split())))
