"""A file that grows by one JSON line a message, or standard output for `path = "-"`.

A line is written at once and synced. After a kill between that and its record the message is not written again: its key
is looked for in the end of the file first.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts.base import DeliveryError, Memory, Message, Secrets, Sent, wanted
from qpanalytics.alerts.webhook import payload

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

#: So much of the file's end is searched for a key.
TAIL = 1_000_000
#: What may pass: no room, another writer, a disk or network that is away.
_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.ESTALE)


class File:
    """One file."""

    distinguishes = True

    def __init__(self, name: str, path: Path) -> None:
        self.name, self._path = name, path

    def send(self, message: Message, key: str) -> Sent:
        """Appends a line, unless it is there already."""
        line = as_line(message, key)
        try:
            # without waiting for the other end, should it be a pipe
            number = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            try:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    raise OSError(errno.EINVAL, 'it is no file; for standard output write path = "-"')
                return self._append(number, line, key)
            finally:
                os.close(number)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            said = f"{spell.plain(self.name)}: {spell.quoted(str(self._path), 200)} cannot be written: {reason}."
            permanent = error.errno not in _MAY_PASS
        raise DeliveryError(said, permanent=permanent)

    def _append(self, number: int, line: bytes, key: str) -> Sent:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another program that appends to it is waited for by a retry
        size = os.fstat(number).st_size
        tail = os.pread(number, min(TAIL, size), max(size - TAIL, 0)) if size else b""
        if f'"key":"{key}"'.encode() in tail:
            return Sent(why="it was there already")
        if tail and not tail.endswith(b"\n"):  # somebody's line broke off
            line = b"\n" + line
        if os.write(number, line) < len(line):
            os.ftruncate(number, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(number)
        return Sent()

    def close(self) -> None:
        pass


class Stdout:
    """Standard output."""

    distinguishes = False

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message, key: str) -> Sent:
        """Writes a line and flushes it."""
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(as_line(message, key))
            sys.stdout.buffer.flush()
        except (OSError, ValueError):
            said = f"{spell.plain(self.name)}: standard output is closed."
        else:
            return Sent()
        raise DeliveryError(said)

    def close(self) -> None:
        pass


def as_line(message: Message, key: str) -> bytes:
    """A message as one JSON line; beyond ASCII everything is escaped, so it is safe to look at."""
    return json.dumps({"key": key, **payload(message)}, separators=(",", ":")).encode("ascii") + b"\n"


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> File | Stdout:
    """`path`, seen from the folder of `qpa.toml`; "-" is standard output."""
    path = str(wanted(table, "path", '"alerts.jsonl"'))
    return Stdout(table.name) if path == "-" else File(table.name, secrets.folder / path)
