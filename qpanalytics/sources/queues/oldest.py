"""How long the next job of a list has waited, where the list holds whole payloads: read little, and trust no payload.

`Ends` remembers from look to look which queues had a huge job at their end, so that it is not moved every time; `written`
finds the time stamp that a payload carries, in megabytes without parsing them. Celery, Sidekiq and plain lists need both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from qpanalytics.sources.queues.gate import stamp

#: The most that is read for one queue's age at each look, bytes. A job of 50 MB blocks its server for 0.1 s.
MOST_BYTES = 256_000
#: Where the last read was larger, the age is read at every such look only.
EVERY = 10
#: How far from either end of a large payload its time stamp is looked for, bytes, and how often.
REACH, TRIES = 64_000, 20

_FIELD = re.compile(
    rb'\s*"((?:[^"\\]|\\.)*+)"\s*:\s*("(?:[^"\\]|\\.)*+"|-?[0-9][0-9.eE+-]*|true|false|null)\s*,', re.DOTALL
)  # a member of an object that is no object or list itself


class Ends:
    """Which end elements to read at this look, by what `cursor` remembers of the looks before; `cursor()` is for the next.

    A key is a queue's name or a process's. Ask `wanted` once for each that has anything to read, and tell `read` its size.

    >>> ends = Ends({})
    >>> ends.wanted("mail")
    True
    >>> ends.read("mail", 50_000_000)
    >>> Ends(ends.cursor()).wanted("mail")
    False
    """

    def __init__(self, cursor: Mapping[str, Any], *, name: str = "large", every: int = EVERY) -> None:
        self.name, self.every = name, every
        self._before: dict[str, tuple[int, int]] = {}
        self._next: dict[str, list[int]] = {}
        kept = cursor.get(name)
        for key, value in (kept if isinstance(kept, Mapping) else {}).items():
            if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(part, int) for part in value):
                self._before[key] = (value[0], value[1])

    def wanted(self, key: str) -> bool:
        """Whether it is read at this look. Where it is not, that is remembered."""
        size, looks = self._before.get(key, (0, 0))
        if looks <= 0:
            return True
        self._next[key] = [size, looks - 1]
        return False

    def read(self, key: str, size: int, most: int = MOST_BYTES) -> None:
        """Takes note of how large the reply was, bytes."""
        if size > most:
            self._next[key] = [size, self.every - 1]

    def why(self, key: str) -> str:
        """Why it was not read."""
        size = self._before.get(key, (0, 0))[0]
        return f"the last one read had {size / 1e6:.1f} MB, so it is read at every {self.every}th look only"

    def cursor(self) -> dict[str, Any]:
        """What the next look wants to remember; what this one did not ask for is forgotten."""
        return {self.name: self._next} if self._next else {}


def written(payload: bytes, names: Sequence[str]) -> tuple[datetime | None, str]:
    """The time stamp in a JSON object: the first of `names` that its outermost level has, and that name; else None and "".

    Of a payload above `MOST_BYTES` only both ends are looked at, so a stamp between two huge members is not found. Text
    in arguments that looks like a stamp is none.
    """
    fields = _object(payload) if len(payload) <= MOST_BYTES else _ends(payload, names)
    for name in names:
        if (found := stamp(fields.get(name))) is not None:
            return found, name
    return None, ""


def _object(payload: bytes) -> dict[str, Any]:
    """The JSON object in `payload`; an empty one where there is none."""
    try:
        found = orjson.loads(payload)
    except ValueError:
        try:
            found = json.loads(payload.decode("utf-8", "replace"))  # NaN and integers beyond 64 bits
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, dict) else {}


def _ends(payload: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Members of a large object: the leading ones up to the first list or object, and those after any of `names` near its end.

    From a member of the outermost level to the end the text is an object that lacks its opening brace; from anywhere
    else it is not, so what parses is right.
    """
    found: dict[str, Any] = {}
    start = re.match(rb"\s*\{", payload)
    if start is None:
        return found
    head, place = payload[:REACH], start.end()
    while member := _FIELD.match(head, place):
        found |= _object(b'{"' + member[1] + b'":' + member[2] + b"}")
        place = member.end()
    tail = payload[-REACH:]
    for name in names:
        key, place = b'"' + name.encode() + b'"', len(tail)
        for _ in range(TRIES):
            if (place := tail.rfind(key, 0, place)) < 0:
                break
            if members := _object(b"{" + tail[place:]):
                return found | members
    return found
