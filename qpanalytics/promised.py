"""What was promised of a queue: the strictest of all that `[[promise]]` says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpanalytics.settings import PromiseTable

SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised of one queue, the strictest of all that is said of it; None where nothing was."""

    oldest_s: float | None = None
    depth: float | None = None
    workers: float | None = None
    severity: str = "warning"

    @property
    def any(self) -> bool:
        """Whether anything was promised."""
        return any(part is not None for part in (self.oldest_s, self.depth, self.workers))


def promised(said: Sequence[PromiseTable], source: str, queue: str) -> Promise:
    """What was promised of a queue: the strictest of each part of all promises that are for it."""
    mine = [one for one in said if meant(one, source, queue)]
    if not mine:
        return Promise()

    def least(values: Iterable[float | None]) -> float | None:
        return min((float(v) for v in values if v is not None), default=None)

    most = [one.workers for one in mine if one.workers is not None]
    severity = min((one.severity or "warning" for one in mine), key=SEVERITIES.index)
    return Promise(
        least(p.oldest for p in mine), least(p.depth for p in mine), float(max(most)) if most else None, severity
    )


def meant(said: PromiseTable, source: str, queue: str) -> bool:
    """Whether a promise is for this queue: by its name or a shell pattern, which never means `*`."""
    return said.source in (None, source) and (said.queue == queue or (queue != "*" and fnmatchcase(queue, said.queue)))
