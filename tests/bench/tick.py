"""What a minute's tick costs: `qpa watch --once` with 2,000 checks known and 10 new pings, as a process of its own.

    python tests/bench/tick.py [CHECKS] [STORE]

CPU time includes the start of Python and all imports. Given a STORE, its size is told, and that it was not opened: a tick
reads the state file beside it, whose size follows what is new, not the history.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

HEAVY = ("pandas", "numpy", "duckdb", "pyarrow", "httpx", "scipy")
RUN = f"""
import atexit, sys
atexit.register(lambda: print("imported:", *[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr))
from qpanalytics.cli.app import main
main()
"""


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tick(folder: Path, now: datetime) -> tuple[float, str]:
    """CPU seconds of a round at an instant, and what it said."""
    before = cpu_s()
    done = subprocess.run(
        [sys.executable, "-c", RUN, "watch", "--once", "--as-of", now.isoformat()],
        cwd=folder, env={**os.environ, "KEY": "x"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return cpu_s() - before, " | ".join((done.stdout + done.stderr).split("\n"))


def main() -> None:
    checks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    start = datetime(2026, 11, 24, 6, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        promise = 'schedule = "0 * * * *"\ngrace = "20 min"\n'
        lines = [f'[[check]]\ncheck = "job-{n}"\n{promise}tags = ["t{n % 50}"]\n' for n in range(checks)]
        (folder / "qpa.toml").write_text(
            '[[source]]\nname = "jobs"\nkind = "files"\nfiles = ["pings.csv"]\n[[channel]]\nname = "log"\nkind = "file"\n'
            'path = "told.jsonl"\n[watch]\nfeed = "1 h"\n' + "".join(lines)
        )
        if len(sys.argv) > 2:
            os.link(sys.argv[2], folder / "qpa.duckdb")
        pings = folder / "pings.csv"
        rows = [f"job-{n},{(start + timedelta(seconds=n / 100)).isoformat()}\n" for n in range(checks)]
        pings.write_text("check,received_at\n" + "".join(rows))
        print(f"{checks:,} checks; first round: {tick(folder, start + timedelta(minutes=1))}")
        quiet = [tick(folder, start + timedelta(minutes=2 + n)) for n in range(5)]
        busy = []
        for minute in range(10, 15):
            now = start + timedelta(minutes=minute)
            with pings.open("a") as file:
                file.writelines(f"job-{n},{now.isoformat()}\n" for n in range(10))
            busy.append(tick(folder, now + timedelta(seconds=30)))
        size = (folder / "qpa.duckdb").stat().st_size / 1e6
        state = sum(p.stat().st_size for p in folder.glob("qpa.duckdb-state*")) / 1e6
        print(f"store {size:,.1f} MB, state {state:,.1f} MB")
        for what, found in (("nothing new", quiet), ("10 new pings", busy)):
            each = sorted(seconds for seconds, _ in found)
            print(f"{what}: CPU {each[len(each) // 2]:.3f} s (worst {each[-1]:.3f} s); {found[-1][1]}")


if __name__ == "__main__":
    main()
