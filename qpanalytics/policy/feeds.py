"""What was seen, and up to when: the spans that looks vouched for, and the checks that wait to be seen further."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush
from typing import Any

#: So many spans are kept; windows that reach further back have been judged.
KEPT = 8
NEVER = -(1 << 62)


class Feed:
    """The looks of one source, or at one check: disjoint closed spans in order of time."""

    def __init__(self, name: str, said: dict[str, Any] | None = None, *, most: int = KEPT) -> None:
        said = said or {}
        self.name, self._most = name, most
        self.spans: list[list[int]] = said.get("spans", [])
        self.first: int | None = said.get("first")
        self.changed = False
        #: Checks whose next due time was not seen yet.
        self._waiting: list[tuple[int, str]] = []

    def said(self) -> dict[str, Any]:
        """As JSON values."""
        return {"spans": self.spans, "first": self.first}

    @property
    def until(self) -> int:
        """Up to when anything was seen."""
        return self.spans[-1][1] if self.spans else NEVER

    def see(self, since: int | None, until: int) -> bool:
        """Adds a span; whether that is anything new. `since` None: from where the last ended."""
        if since is None:
            since = min(self.until, until) if self.spans else until
        if any(a <= since and until <= b for a, b in self.spans):
            return False
        self.changed = True
        self.first = since if self.first is None else min(self.first, since)
        if self.spans and since > self.spans[-1][1]:
            self.spans = [*self.spans, [since, until]][-self._most :]
            return True
        merged = [since, until]
        kept = []
        for a, b in self.spans:
            if b < merged[0] or a > merged[1]:
                kept.append([a, b])
            else:
                merged = [min(a, merged[0]), max(b, merged[1])]
        self.spans = sorted([*kept, merged])[-self._most :]
        return True

    def saw(self, since: int, until: int) -> bool:
        """Whether all of [since, until] lies in one span."""
        place = bisect_right(self.spans, since, key=lambda span: span[0]) - 1
        return place >= 0 and until <= self.spans[place][1]

    def begun(self, at: int) -> bool:
        """Whether anything was seen by then."""
        return self.first is not None and self.first <= at

    def wait(self, due: int, check: str) -> None:
        """The check has something due that was not seen yet."""
        heappush(self._waiting, (due, check))

    def ready(self) -> list[str]:
        """The checks whose due time was seen by now."""
        found = []
        while self._waiting and self._waiting[0][0] <= self.until:
            found.append(heappop(self._waiting)[1])
        return found
