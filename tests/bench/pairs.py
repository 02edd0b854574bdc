"""Speed as a ratio: ours and a peer timed in turn in one process, each alone in another for its memory, as one JSON object.

A side is made from the folder of prepared data and the options; what it returns is timed, and answers with a count, which
must be the same on both sides, else the two did not do the same. The first pair, which also imports and compiles, is told apart.
`started_mb` is what a process of the script holds before either side begins.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

Options = argparse.Namespace
Side = Callable[[Path, Options], Callable[[], int]]
Answer = TypeVar("Answer")
_SIDES = ("ours", "peer")


def took(make: Callable[[], Answer]) -> tuple[float, Answer]:
    """Seconds that `make` took, and its answer."""
    gc.collect()
    start = time.perf_counter()
    answer = make()
    return time.perf_counter() - start, answer


def compare(
    what: str,
    races: Mapping[str, tuple[Side, Side]],
    *,
    prepare: Callable[[Path, Options], object] = lambda _folder, _options: None,
    rows: int,
    pairs: int = 7,
    options: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> None:
    """Prints what `what` says of `races`, each a name with our side and its peer; below 1, ours is the faster."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)  # folder, race, side: it once, or nothing, for the memory
    options(parser)
    asked = parser.parse_args()
    if asked.alone:
        folder, name, side = asked.alone
        if side in _SIDES:
            races[name][_SIDES.index(side)](Path(folder), asked)()
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(folder, asked)
        found: dict[str, object] = {"what": what, **{k: v for k, v in vars(asked).items() if k != "alone"}}
        found["machine"] = machine()
        for name, (ours, peer) in races.items():
            found[name] = {**_raced(ours(folder, asked), peer(folder, asked), asked.pairs), **_memory(folder, name)}
    print(json.dumps(found, indent=2))


def _raced(ours: Callable[[], int], peer: Callable[[], int], pairs: int) -> dict[str, Any]:
    sides = (ours, peer)
    times: list[tuple[float, float]] = []
    for number in range(pairs + 1):
        pair, counts = [0.0, 0.0], [0, 0]
        for side in (0, 1) if number % 2 else (1, 0):  # in turn first, so that neither gains by its place
            pair[side], counts[side] = took(sides[side])
        if counts[0] != counts[1]:
            raise SystemExit(f"ours counts {counts[0]} and the peer {counts[1]}: they did not do the same")
        times.append((pair[0], pair[1]))
    first, *others = times
    ratios = [a / b for a, b in others]
    return {
        "n": counts[0],
        "ratio": _short(statistics.median(ratios)),
        "ratio_min": _short(min(ratios)),
        "ratio_max": _short(max(ratios)),
        "ratio_first": _short(first[0] / first[1]),
        "ours_s": _short(statistics.median(a for a, _ in others)),
        "peer_s": _short(statistics.median(b for _, b in others)),
    }


def _short(figure: float) -> float:
    return float(f"{figure:.3g}")


def _memory(folder: Path, race: str) -> dict[str, float]:
    script = [sys.executable, *sys.argv, "--alone", str(folder), race]
    return {f"{side}_mb": peak_mb([*script, side]) for side in ("started", *_SIDES)}


# A child counts the memory of the process that started it as its own until it has its program, so a small one starts it.
_STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_mb(command: list[str]) -> float:
    """The most memory that a process, or one that it started, held (ru_maxrss; kB, on a Mac bytes), in MB of 10^6 bytes."""
    done = subprocess.run([sys.executable, "-S", "-c", _STARTER, *command], check=True, stdout=subprocess.PIPE, text=True)
    return round(int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def machine() -> dict[str, object]:
    """What the seconds depend on."""
    versions = {name: metadata.version(name) for name in ("duckdb", "pandas")}
    return {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "python": platform.python_version(), **versions}
