"""Grace recommendations from 180 days judged on the 60 that follow: python tests/bench/grace.py [CHECKS] [SEED]

240 stationary checks (tests/grace_fleet.py); rules of thumb beside them on the same runs. `--cli` also asks `qpa grace`, over a
store that is made of the same pings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grace_fleet import BEGIN_S, DAY_S, KNOWN_DAYS, Check, fleet

BUDGETS = (0.25, 0.5, 1.0)


def judged(checks: list[Check], budget: float) -> None:
    advice = [check.advice(budget) for check in checks]
    report(f"budget {budget:g}", checks, [a.best and (a.best.limit_s, a.best.lo, a.best.hi) for a in advice])
    for why in sorted({a.why for a in advice if a.why})[:3]:
        print(f"    {sum(a.why == why for a in advice)} refused: {why}")


def report(title: str, checks: list[Check], given: list[tuple[float, float, float] | None]) -> None:
    """Mean false alarms with their standard error, how often the interval held, grace over the longest seen."""
    rows = []
    for check, one in zip(checks, given, strict=True):
        if one is not None:
            limit, lo, hi = one
            came = check.false_alarms(limit)
            longest = check.known.longest_s
            rows.append((came, lo - 1e-9 <= came <= hi + 1e-9, limit / longest))
    came, held, ratio = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    error = came.std(ddof=1) / len(came) ** 0.5
    print(
        f"{title}: {len(rows)} of {len(checks)} recommended, {came.mean():.2f} +- {error:.2f} false alarms a month, "
        f"interval held {held.mean():.1%}, grace / longest median {np.median(ratio):.2f}"
    )


def rules(checks: list[Check]) -> None:
    for title, rule in (
        ("longest seen", lambda c: c.known.longest_s),
        ("p99 + 20 %", lambda c: 1.2 * float(np.quantile(c.known.value_s[np.isfinite(c.known.value_s)], 0.99))),
        ("20 % of the period", lambda c: 0.2 * c.gap_s),
    ):
        report(title, checks, [(rule(c), 0.0, np.inf) for c in checks])


def asked(checks: list[Check], budget: float) -> None:
    """The same through the command line, from pings in a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        until = BEGIN_S + KNOWN_DAYS * DAY_S
        with (folder / "pings.csv").open("w") as pings, (folder / "checks.csv").open("w") as promised:
            pings.write("check,received_at\n")
            promised.write("check,schedule,tz,valid_from,grace_s\n")
            for i, check in enumerate(checks):
                cron = {86_400: "0 0 * * *", 21_600: "0 */6 * * *", 3600: "0 * * * *", 900: "*/15 * * * *"}[round(check.gap_s)]
                promised.write(f"c{i:03},{cron},UTC,{_iso(BEGIN_S)},{0.2 * check.gap_s}\n")
                for at, late in zip(check.at_s, check.late_s, strict=True):
                    if np.isfinite(late) and at + late < until:
                        pings.write(f"c{i:03},{at + late:.6f}\n")
        told = ("--db", str(folder / "qpa.duckdb"))
        qpa = (sys.executable, "-m", "qpanalytics")
        imported = (
            *qpa,
            "import",
            str(folder / "pings.csv"),
            "--checks",
            str(folder / "checks.csv"),
            "--covers-until",
            _iso(until),
        )
        subprocess.run([*imported, *told], check=True, capture_output=True)
        words = [*qpa, "grace", "--format", "json", "--budget", str(budget), "--as-of", _iso(until), *told]
        rows = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    given = [
        None if row["recommended_s"] is None else (row["recommended_s"], row["false_alarms_lo"], row["false_alarms_hi"])
        for row in rows
    ]
    report(f"qpa grace, budget {budget:g}", checks, given)


def _qpa(*words: str) -> bytes:
    return subprocess.run([sys.executable, "-m", "qpanalytics", *words], check=True, capture_output=True).stdout


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    checks = fleet(numbers[0] if numbers else 240, numbers[1] if len(numbers) > 1 else 20261129)
    for budget in BUDGETS:
        judged(checks, budget)
    rules(checks)
    if "--cli" in sys.argv:
        asked(checks, 1.0)
