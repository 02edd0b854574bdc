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
