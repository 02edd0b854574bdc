"""Turn the recorded replies of a Healthchecks server into `data/recorded-project`.

    python tests/tools/make_recorded_project.py RECORDINGS [OUT]

RECORDINGS holds three looks at one project (`p1_`, `p2_`, `p3_`), each `list_checks.json` and one `pings_CHECK.json`
for each check. The union of the pings by (check, n) becomes `pings.csv.gz`, the promises become `checks.csv`; both are
the same, byte for byte, each time. What is chosen and what is left out is told in `data/README.md` and printed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

LOOKS = ("p1", "p2", "p3")
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

# Two checks share a name and a slug and one has neither, so the recordings' own file names serve as names here.
BY_TAG = {"a": "worker-a", "b": "worker-b"}

# Told beside the recordings, not in the replies: the list of checks shows only the promise of its own moment.
GRACE_CHANGES = {"ny-report": ("2026-11-10T00:00:00Z", 3600)}

# The flip of this check that falls on no deadline, and after which every ping was stored but not counted.
PAUSED = {"paused-import": "2026-11-03T12:00:00Z"}

# Between the first two looks more pings came than the server shows, so the first of these was never seen. One file
# cannot say that a single check was out of sight for a while, so that check begins after its hole.
BEGINS_AT_N = {"hourly-sync": 2455}

# Ours, not the server's: which checks a reader should look at first.
SEVERITY = {"db-backup": "critical"}


def reply(path: Path) -> Any:
    """The JSON body of one recorded reply."""
    return json.loads(path.read_text())["response"]["body_json"]


def name_of(check: dict[str, Any]) -> str:
    """The name a check has in our files."""
    if check["slug"] == "worker":
        return BY_TAG[check["tags"].split()[-1]]
    return check["slug"] or "unnamed"


def pings(folder: Path) -> tuple[dict[str, dict[int, dict[str, Any]]], Counter[str]]:
    """Pings by check and number, over all looks; and how many there are of what our files leave out."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    left_out: Counter[str] = Counter()
    for look in LOOKS:
        for path in sorted(folder.glob(f"{look}_pings_*.json")):
            check = path.stem.removeprefix(f"{look}_pings_")
            found.setdefault(check, {}).update({ping["n"]: ping for ping in reply(path)["pings"]})
    for check, of_check in found.items():
        for n, ping in list(of_check.items()):
            if ping["type"] == "ign":
                left_out[f"{check}: ignored by the server"] += 1
                del of_check[n]
            elif n < BEGINS_AT_N.get(check, 1):
                left_out[f"{check}: before the hole"] += 1
                del of_check[n]
    return found, left_out


def utc(text: str) -> str:
    """A time of the server (six decimals, or none at all when they are zero) with `Z` for its zero offset."""
    return text.replace("+00:00", "Z")


def ping_rows(found: dict[str, dict[int, dict[str, Any]]]) -> list[tuple[str, str, str, str]]:
    """Rows of `pings.csv`, by time. Run ids are numbered anew in each check: they are random otherwise."""
    rows = []
    for check, of_check in found.items():
        runs: dict[str, str] = {}
        for n in sorted(of_check):
            ping = of_check[n]
            rid = ping.get("rid")
            run = runs.setdefault(rid, f"r{len(runs) + 1}") if rid else ""
            rows.append((datetime.fromisoformat(ping["date"]), check, n, utc(ping["date"]), ping["type"], run))
    return [(check, at, kind, run) for _, check, _, at, kind, run in sorted(rows)]


def schedule_of(check: dict[str, Any]) -> str:
    """The schedule in our words: a cron expression, `OnCalendar=...`, or `every ...` for a simple timeout."""
    if "timeout" in check:
        size, unit = next((size, unit) for size, unit in UNITS if check["timeout"] % size == 0)
        return f"every {check['timeout'] // size} {unit}"
    schedule = str(check["schedule"])
    return schedule if len(schedule.split()) == 5 else f"OnCalendar={schedule}"


def check_rows(folder: Path, found: dict[str, dict[int, dict[str, Any]]]) -> list[dict[str, str]]:
    """Rows of `checks.csv`: one a version, in the order of the last look."""
    seen: dict[str, str] = {}
    last: dict[str, dict[str, Any]] = {}
    for look in LOOKS:
        path = folder / f"{look}_list_checks.json"
        recorded_at = utc(json.loads(path.read_text())["recorded_at"])
        for check in reply(path)["checks"]:
            seen.setdefault(name_of(check), recorded_at)
            last[name_of(check)] = check
    rows = []
    for name, check in last.items():
        of_check = found.get(name, {})
        first = utc(of_check[min(of_check)]["date"][:19] + "Z") if of_check else None
        # The server expects nothing before a first ping. An interval has no ticks before it either and may begin when
        # it was first listed; a cron expression may not, or its ticks up to then would count as missed.
        begins = min(filter(None, (first, seen[name]))) if "timeout" in check or not first else first
        if name in BEGINS_AT_N and first:
            begins = first
        grace = int(check["grace"])
        starts = any(ping["type"] == "start" for ping in of_check.values())
        row = {
            "check": name,
            "name": check["name"],
            "valid_from": begins,
            "valid_to": PAUSED.get(name, ""),
            "schedule": schedule_of(check),
            "tz": check.get("tz", ""),
            "grace_s": str(grace),
            "max_runtime_s": str(grace) if starts else "",
            "severity": SEVERITY.get(name, "info" if "staging" in check["tags"].split() else ""),
            "tags": check["tags"],
        }
        if name in GRACE_CHANGES:
            changed_at, before = GRACE_CHANGES[name]
            rows.append(row | {"valid_to": changed_at, "grace_s": str(before)})
            row["valid_from"] = changed_at
        rows.append(row)
    return rows


def write(folder: Path, out: Path) -> None:
    """Write both files into `out` and print what they hold and what was left out."""
    out.mkdir(parents=True, exist_ok=True)
    found, left_out = pings(folder)
    checks = check_rows(folder, found)
    with (out / "checks.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(checks[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(checks)
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("check", "received_at", "kind", "run_id"))
    rows = ping_rows(found)
    lines.writerows(rows)
    # gzip writes the time of its making unless told otherwise
    (out / "pings.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    print(f"{len(rows)} pings of {len({row[0] for row in rows})} checks, {len(checks)} rows of checks")
    for what, n in sorted(left_out.items()):
        print(f"left out: {n} {what}")


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    write(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else root / "data" / "recorded-project")
