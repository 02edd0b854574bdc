"""Takes what was set aside into the store, in a process of its own: DuckDB's memory goes back to the system with it, and a
feeding that takes long can be ended with the watch. `python -m qpanalytics.watch.feeding STORE` answers one line of JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from qpanalytics.errors import StoreBusy, StoreError
from qpanalytics.store.state import State

#: How long a store that another program holds is waited for; the next feeding tries again.
PATIENCE_S = 3.0
#: How often it is asked whether the feeding is to be broken off, seconds.
GLANCE_S = 0.2


@dataclass(frozen=True)
class Feeding:
    """How one went: pings that were new, or who holds the store, or what else kept it from being written."""

    pings: int = 0
    held: str = ""
    wrong: str = ""


def feed_here(store: Path) -> Feeding:
    """Feeds the store from the state beside it."""
    from qpanalytics.collect.feed import fed_up_to, feed
    from qpanalytics.collect.run import agree_on_cursors
    from qpanalytics.store.db import Store

    opened = Store(store, patience_s=PATIENCE_S)
    try:
        with State.beside(store) as state:
            if opened.exists():
                with opened.read() as con:
                    last = fed_up_to(con, state.identity)
                agree_on_cursors(state, last)
            else:
                agree_on_cursors(state, 0)
            return Feeding(feed(opened, state).pings)
    except StoreBusy as busy:
        return Feeding(held=str(busy))
    except StoreError as error:
        return Feeding(wrong=str(error))


def feed_apart(store: Path, stop: threading.Event) -> Feeding | None:
    """The same in a process of its own, which ends with `stop`; None if it was broken off."""
    child = subprocess.Popen(
        [sys.executable, "-m", "qpanalytics.watch.feeding", str(store)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    return Feeding(**json.loads(out)) if (out := ended(child, stop)) is not None and out.startswith("{") else None


def ended(child: subprocess.Popen[str], stop: threading.Event) -> str | None:
    """What a child said until it ended; None if it was ended by `stop`."""
    try:
        while True:
            try:
                out, _ = child.communicate(timeout=GLANCE_S)
                return out
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    return None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()


def quietly(work: Callable[[], Feeding]) -> int:
    """Prints how the feeding went, for the parent; a Ctrl-C at the terminal is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(asdict(work())), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(quietly(lambda: feed_here(Path(sys.argv[1]))))
