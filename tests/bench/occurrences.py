"""`qpa import` and `qpa occurrences` as processes against a pandas script that does the same: python tests/bench/occurrences.py

Both begin with a CSV file and end with one of occurrences; a store and all else that `qpa` keeps is what the peer lacks.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pairs


def prepare(folder: Path, asked: pairs.Options) -> None:
    import pings  # not at the top: the process that starts `qpa` for its memory must be small

    pings.write(pings.pings(asked.rows), folder / "pings.csv")
    pings.checks_csv(folder / "checks.csv")
    (folder / "as_of").write_text(f"{pings.expected(asked.rows)[-1] + pings.PERIOD:%Y-%m-%dT%H:%M:%SZ}")


def commands(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    out = folder / "ours.csv"
    qpa = [sys.executable, "-m", "qpanalytics"]
    window = ["--since", "2026-01-01", "--as-of", (folder / "as_of").read_text()]

    def make() -> int:
        (folder / "qpa.duckdb").unlink(missing_ok=True)
        _run(folder, [*qpa, "import", "pings.csv", "--checks", "checks.csv"], Path("/dev/null"))
        _run(folder, [*qpa, "occurrences", *window, "--format", "csv"], out)
        return _came(out)

    return make


def script(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    out = folder / "bare.csv"

    def make() -> int:
        _run(folder, [sys.executable, str(Path(__file__).with_name("bare_pandas.py")), "pings.csv", str(out)], Path("/dev/null"))
        return _came(out)

    return make


def _run(folder: Path, command: list[str], out: Path) -> None:
    with out.open("wb") as file:
        subprocess.run(command, cwd=folder, check=True, stdout=file)


def _came(out: Path) -> int:
    return len(re.findall(rb",(?:on_time|late)\b", out.read_bytes()))


if __name__ == "__main__":
    pairs.compare(
        "qpa import and qpa occurrences as processes, against a pandas script",
        {"processes": (commands, script)},
        prepare=prepare, rows=50_000, pairs=5,
    )  # fmt: skip
