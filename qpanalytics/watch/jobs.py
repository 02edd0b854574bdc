"""Work that goes on beside the ticks: each job in a thread of its own, never twice at once, and none for longer than the
watch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from qpanalytics.errors import QpaError


class Jobs:
    """The jobs by name. `failed(name, error)` is told what a job died of; it is called from the job's thread."""

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}
        self._ended = threading.Event()

    def start(self, name: str, work: Callable[[], None]) -> bool:
        """Begins a job, unless the last one of its name goes on still; whether it did."""
        with self._lock:
            if self._ended.is_set() or name in self._running:
                return False
            thread = threading.Thread(target=self._run, args=(name, work), name=f"qpa-{name}", daemon=False)
            self._running[name] = thread
            thread.start()
        return True

    def running(self) -> list[str]:
        """The names of jobs that go on."""
        with self._lock:
            return sorted(self._running)

    def stop(self, within_s: float) -> list[str]:
        """Begins no more and waits for those under way; the names of those that did not end in time."""
        self._ended.set()
        until = monotonic() + within_s
        with self._lock:
            threads = dict(self._running)
        for thread in threads.values():
            thread.join(max(until - monotonic(), 0.0))
        return sorted(name for name, thread in threads.items() if thread.is_alive())

    def _run(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (QpaError, OSError) as error:
            self._failed(name, error)
        except Exception as error:
            # a bug in one job must not end the watch, nor may what the error quotes go anywhere
            self._failed(name, RuntimeError(f"{type(error).__name__}; please report this"))
        finally:
            with self._lock:
                self._running.pop(name, None)
