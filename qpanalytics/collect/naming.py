"""What a check is called: by people at its source, and by us, for good, once it was seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpanalytics.sources.base import SeenCheck


def label(check: SeenCheck) -> str:
    """What people call it; a check without any name is called by its key."""
    return check.label.strip() or f"unnamed-{check.key[:6]}"


def candidates(key: str, label: str, source: str, *, twin: bool) -> Iterable[str]:
    """Public names by falling beauty; `twin`: another check of the same source has the label."""
    yield label
    yield f"{label}-{key[:6]}" if twin else f"{source}/{label}"
    yield f"{source}/{label}-{key[:6]}"
    number = 2
    while True:
        yield f"{source}/{label}-{number}"
        number += 1
