"""One line of what `qpa doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Seen:
    """`grade` says whether somebody has to do something; `said` says what is so, and what to do."""

    grade: Literal["ok", "note", "bad"]
    said: str
