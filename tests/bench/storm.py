"""Checks that go missing in the same minute: python tests/bench/storm.py [CHECKS]. What it costs, and what is told."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from watching import Watched, at, check


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as name:
        watched = Watched(Path(name), *(check(f"job-{k}", "0 * * * *", "5 min") for k in range(n)))
        with (Path(name) / "pings.csv").open("w") as file:
            file.write("check,received_at\n")
            file.writelines(f"job-{k},2026-11-24T06:00:01Z\n" for k in range(n))
        for clock in ("06:01", "06:02", "07:04", "07:05:30", "07:06:30", "07:11:30"):
            began = time.process_time()
            watched.round(at(clock))
            print(f"{clock}: {time.process_time() - began:.2f} s of CPU, {len(watched.said())} messages so far")
        print(*(said.title for said in watched.said()), sep="\n")


if __name__ == "__main__":
    main()
