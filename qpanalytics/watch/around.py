"""What a watch is given from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass
class Surroundings:
    """What the watch is given from outside: where things are, what time it is, how to speak.

    `config` is the file of the configuration where it is not `./qpa.toml`. `fixed` is the one instant of `--as-of`.
    """

    store: Path
    folder: Path
    environ: Mapping[str, str]
    wall: Callable[[], datetime]
    say: Callable[[str], None]
    config: Path | None = None
    fixed: datetime | None = None


class Anew:
    """Says what is wrong with something, once while it lasts; called with nothing to say when it is well."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: dict[str, str] = {}

    def __call__(self, about: str, said: str) -> None:
        if said and self._said.get(about) != said:
            self._say(said)
        self._said[about] = said
