"""The ledger of one check in plain, slow Python: how pings become runs, occurrences and downs.

Written apart from the package and sharing no code with it (only the parsers `cronsim` and `oncalendar` are the same),
so that what the package tells of the bundled data can be held against it. Instants are epoch seconds.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim
from oncalendar import OnCalendar

DAY = 86400.0
UNIT_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass
class Version:
    """One promise of one check, from `since` until `until`."""

    since: float
    until: float
    schedule: str
    tz: str
    grace_s: float | None
    early_s: float | None
    limit_s: float | None

    @property
    def period_s(self) -> float | None:
        match = re.fullmatch(r"every (\d+) (s|min|h|d)", self.schedule)
        return float(match[1]) * UNIT_S[match[2]] if match else None


@dataclass
class Run:
    """One execution: `started` or `ended` may be unknown, not both."""

    started: float | None
    ended: float | None = None
    ok: bool = False

    @property
    def at(self) -> float:
        return self.started if self.started is not None else self.ended or math.nan


@dataclass
class Occurrence:
    """One expected run; `run` is the one that settled it."""

    expected: float
    deadline: float
    outcome: str
    gap: float
    run: Run | None = None
    extra: int = 0

    @property
    def lateness(self) -> float | None:
        if self.run is None or not self.run.ok or self.run.ended is None:
            return None
        return self.run.ended - self.expected


@dataclass
class Check:
    """A check with its promises and pings, `covered_until` where its file ends."""

    versions: list[Version] = field(default_factory=list)
    pings: list[tuple[float, str, str]] = field(default_factory=list)
    covered_until: float = 0.0


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def iso(at: float) -> str:
    """ISO 8601 in UTC, to the microsecond where a second is not whole."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def read(folder: Path, covered_until: float | None = None) -> dict[str, Check]:
    """The checks of one folder, by name."""
    checks: dict[str, Check] = defaultdict(Check)
    with (folder / "checks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            number = {key: float(row[key]) if row.get(key) else None for key in ("grace_s", "early_s", "max_runtime_s")}
            version = Version(
                instant(row["valid_from"]),
                instant(row["valid_to"]) if row["valid_to"] else math.inf,
                row["schedule"],
                row["tz"] or "UTC",
                number["grace_s"],
                number["early_s"],
                number["max_runtime_s"],
            )
            versions = checks[row["check"]].versions
            if versions:
                versions[-1].until = min(versions[-1].until, version.since)
            versions.append(version)
    with gzip.open(folder / "pings.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            checks[row["check"]].pings.append((instant(row["received_at"]), row["kind"], row.get("run_id") or ""))
    end = max(ping[0] for check in checks.values() for ping in check.pings)
    for check in checks.values():
        check.covered_until = max(end, covered_until or 0.0)
    return dict(checks)


def runs_of(pings: list[tuple[float, str, str]]) -> list[Run]:
    """Starts paired with finishes: by run id, else a finish closes the latest open start and drops earlier ones."""
    runs: list[Run] = []
    opened: dict[str, list[Run]] = defaultdict(list)
    for at, kind, run_id in pings:
        if kind == "start":
            runs.append(Run(at))
            opened[run_id].append(runs[-1])
        elif kind in ("success", "fail"):
            if opened[run_id]:
                run = opened[run_id].pop()
                opened[run_id].clear()
            else:
                run = Run(None)
                runs.append(run)
            run.ended, run.ok = at, kind == "success"
    return runs


def ticks_of(version: Version, since: float, until: float) -> list[float]:
    """Expected instants in [since, until), and one beyond."""
    found: set[float] = set()
    if version.schedule.startswith("OnCalendar="):
        moment = datetime.fromtimestamp(since - 1, UTC).astimezone(ZoneInfo(version.tz))
        lines: list[Any] = [OnCalendar(version.schedule.removeprefix("OnCalendar="), moment)]
    else:
        moment = datetime.fromtimestamp(math.ceil(since / 60) * 60 - 60, UTC).astimezone(ZoneInfo(version.tz))
        lines = [CronSim(line.strip(), moment) for line in version.schedule.split(" ; ")]
    for line in lines:
        for hit in line:
            found.add(hit.timestamp())
            if hit.timestamp() >= until:
                break
    ordered = sorted(found)
    return ordered[: bisect_left(ordered, until) + 1]


def grace_of(version: Version, gaps: list[float]) -> float:
    if version.grace_s is not None:
        return version.grace_s
    return min(max(0.2 * min(gaps), 60.0), 3600.0)


def ticking(check: Check, runs: list[Run], since: float, as_of: float) -> list[Occurrence]:
    """Occurrences of cron and OnCalendar versions from `since` to `as_of`."""
    out: list[Occurrence] = []
    windows: list[tuple[float, float, float, Version, float]] = []
    for version in check.versions:
        begin, end = max(version.since, since), min(version.until, as_of + 1)
        if version.period_s is not None or begin >= end:
            continue
        ticks = ticks_of(version, begin - 8 * DAY, end + 8 * DAY)
        gaps = [b - a for a, b in pairwise(ticks)]
        grace = grace_of(version, gaps)
        opens = [
            b - (version.early_s if version.early_s is not None else min(0.01 * gap, 10.0))
            for b, gap in zip(ticks[1:], gaps, strict=True)
        ]
        mine = [
            (open_, close, tick, version, grace)
            for tick, open_, close in zip(ticks[1:], opens, opens[1:], strict=False)
            if begin <= tick < end
        ]
        if windows and mine and windows[-1][1] > mine[0][0]:
            windows[-1] = (windows[-1][0], mine[0][0], *windows[-1][2:])
        windows += mine
    runs = sorted(runs, key=lambda run: run.at)
    at = [run.at for run in runs]
    for open_, close, tick, version, grace in windows:
        inside = runs[bisect_left(at, open_) : bisect_left(at, close)]
        ended = sorted((run for run in inside if run.ended is not None), key=lambda run: run.ended or 0)
        good = [run for run in ended if run.ok]
        deadline = tick + grace
        open_runs = [run for run in inside if run.ended is None and run.started is not None]
        limit = min(
            (run.at + version.limit_s if version.limit_s else max(deadline, close) for run in open_runs),
            default=math.inf,
        )
        if good:
            outcome = "on_time" if (good[0].ended or 0) <= deadline else "late"
        elif ended:
            outcome = "failed"
        elif open_runs:
            outcome = "hung" if limit <= as_of else "pending"
        elif deadline > as_of:
            outcome = "pending"
        else:
            outcome = "missed"
        settled = good[0] if good else ended[0] if ended else None
        occurrence = Occurrence(tick, deadline, outcome, close - open_, settled, max(len(good) - 1, 0))
        if outcome in ("missed", "pending") and deadline > check.covered_until:
            occurrence.outcome = "unknown" if deadline <= as_of else outcome
        out.append(occurrence)
    return out


def rolling(check: Check, runs: list[Run], as_of: float) -> list[Occurrence]:
    """Occurrences of interval versions up to `as_of`."""
    out: list[Occurrence] = []
    ended = sorted((run for run in runs if run.ended is not None), key=lambda run: run.ended or 0)
    for version in check.versions:
        period = version.period_s
        if period is None:
            continue
        grace = grace_of(version, [period])
        mine = [run for run in ended if version.since <= (run.ended or 0) < version.until]
        for before, run in pairwise(mine):
            anchor, now = before.ended or 0.0, run.ended or 0.0
            ticks = [anchor + k * period for k in range(1, max(1, int((now - anchor) // period)) + 1)]
            for tick in ticks[:-1]:
                out.append(Occurrence(tick, tick + grace, "missed", period))
            outcome = "failed" if not run.ok else "on_time" if now <= ticks[-1] + grace else "late"
            out.append(Occurrence(ticks[-1], ticks[-1] + grace, outcome, period, run))
        if mine:
            tick = (mine[-1].ended or 0.0) + period
            while tick <= min(as_of, version.until):
                late = tick + grace <= as_of
                seen = tick + grace <= check.covered_until
                out.append(
                    Occurrence(tick, tick + grace, ("missed" if seen else "unknown") if late else "pending", period)
                )
                tick += period
    return out


def downs_of(check: Check, occurrences: list[Occurrence], runs: list[Run], as_of: float) -> list[tuple[float, float]]:
    """Merged stretches in which the check was down, up to `as_of`."""
    version = check.versions[-1]
    good = sorted(run.ended for run in runs if run.ok and run.ended is not None)
    spans: list[tuple[float, float]] = []

    def down(begins: float, satisfied_since: float) -> None:
        """Down from `begins` to the first success from `satisfied_since` on."""
        position = bisect_left(good, satisfied_since)
        ends = good[position] if position < len(good) else math.inf
        if begins <= as_of and ends > begins:
            spans.append((begins, min(ends, as_of)))

    for occurrence in occurrences:
        if occurrence.outcome in ("unknown", "pending") or (version.period_s and occurrence.lateness is not None):
            continue
        down(occurrence.deadline, occurrence.expected)
    if version.period_s:
        ended = sorted(run.ended for run in runs if run.ended is not None)
        for now in ended:
            if version.since <= now < version.until:
                due = now + version.period_s + grace_of(version, [version.period_s])
                later = bisect_left(ended, now + 1e-6)
                if (ended[later] if later < len(ended) else math.inf) > due and due <= version.until:
                    down(due, due)
    for run in runs:
        if run.ended is not None and not run.ok:
            down(run.ended, run.ended)
        if version.limit_s and run.started is not None:
            limit = run.started + version.limit_s
            if (run.ended if run.ended is not None else math.inf) > limit:
                down(limit, limit)
    merged: list[tuple[float, float]] = []
    for begins, ends in sorted(spans):
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged
