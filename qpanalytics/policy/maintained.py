"""When nothing is held against a check: the spans of `[[maintenance]]`, looked up at an instant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qpanalytics.settings import Maintenance

DAY = 86_400_000_000


class Maintained:
    """The maintenance of a policy. Spans are laid out for some weeks at a time."""

    def __init__(self, tables: Sequence[Maintenance]) -> None:
        self._tables = tuple(tables)
        self._known: dict[int, tuple[int, int, list[tuple[int, int]]]] = {}

    def touches(self, name: str, tags: Iterable[str], since: int, until: int) -> bool:
        """Whether any that covers `name` lies in [since, until], also for a moment."""
        return any(a <= until and b > since for a, b in self._spans(name, tags, since, until + 1))

    def until(self, name: str, tags: Iterable[str], at: int) -> int | None:
        """The end of the maintenance that holds at an instant; None where there is none."""
        return max((b for a, b in self._spans(name, tags, at, at + 1) if a <= at < b), default=None)

    def _spans(self, name: str, tags: Iterable[str], since: int, until: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for number, table in enumerate(self._tables):
            if not table.covers(name, tags):
                continue
            begin, end, spans = self._known.get(number, (0, 0, []))
            if not begin <= since or not until <= end:
                begin, end = since - DAY, until + 40 * DAY
                spans = table.spans(begin, end)
                self._known[number] = begin, end, spans
            found += spans
        return found
