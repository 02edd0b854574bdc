"""One watch at a time for a store: a lock on a file beside it, which the system takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from qpanalytics import spell
from qpanalytics.errors import StoreError

#: How often somebody who waits looks again, seconds.
AGAIN_S = 0.5


class Lock:
    """The lock of one store. `wait(seconds)` sleeps and returns True if the waiting is to end."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + "-watch")
        self._file: int | None = None

    def take(self, wait: Callable[[float], bool], say: Callable[[str], None], patience_s: float | None = None) -> bool:
        """Takes the lock, after as long as that needs; who has it is said once. False where the waiting ended before.

        `patience_s` is how long to wait at most; None waits for ever.
        """
        waited = 0.0
        while not self._taken():
            if waited == 0:
                say(f"another qpa watch{self._holder()} watches this store; waiting for it to end")
            if (patience_s is not None and waited >= patience_s) or wait(AGAIN_S):
                return False
            waited += AGAIN_S
        return True

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            os.close(self._file)  # which gives the lock back; the file stays, or two could hold locks on two of its name
            self._file = None

    def _taken(self) -> bool:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            there = self.path.parent.is_dir()
            todo = "make the folder writable" if there else "make the folder first, or set another [store] path"
            raise StoreError(
                f"{spell.plain(str(self.path))} cannot be made: {error.strerror or error}. "
                f"The watch keeps it beside the store; {todo}."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds all the same, only without a name
        self._file = file
        return True

    def _holder(self) -> str:
        try:
            number = self.path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return ""
        return f" (process {number})" if number.isdigit() else ""
