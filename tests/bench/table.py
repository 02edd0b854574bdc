"""A Markdown table of what benches said: python tests/bench/table.py ledger.json importing.json ..."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def rows(name: str, said: dict[str, Any]) -> list[str]:
    """A line for each race of one bench."""
    races = {race: found for race, found in said.items() if isinstance(found, dict) and "ratio" in found}
    return [
        f"| `{name}` {race} | {found['n']:,} | {found['ours_s']:g} s | {found['peer_s']:g} s | {found['ratio']:g} "
        f"| {found['ours_mb']:,.0f} MB | {found['peer_mb']:,.0f} MB |"
        for race, found in races.items()
    ]


if __name__ == "__main__":
    print("| bench | n | ours | peer | ours / peer | our peak memory | the peer's |\n|---|---|---|---|---|---|---|")
    for path in map(Path, sys.argv[1:]):
        print("\n".join(rows(path.stem, json.loads(path.read_text()))))
