"""What the two weekly reports on the bundled data should tell, worked out apart from the package.

    python tests/tools/expected_weeks.py > tests/expected_weeks.json

The ledger is that of `plain_ledger.py`; `HOW` says by what rules.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from plain_ledger import DAY, Check, Occurrence, Run, downs_of, instant, iso, read, rolling, runs_of, ticking

DATA = Path(__file__).resolve().parents[2] / "data"
WEEK = 7 * DAY
OUTCOMES = ("n", "on_time", "late", "missed", "failed", "hung", "pending", "unknown")

HOW = [
    "Worked out by tests/tools/expected_weeks.py from the files in data/ alone; no code of the package was used.",
    "An occurrence belongs to a week if its expected time does. Cron and OnCalendar: the window of a tick runs from"
    " early_s before it (else 1 % of the gap before it, at most 10 s) to where the next one's begins; the run that"
    " succeeded first in it decides, else a failure, else an open run past its limit (hung), else it is missed."
    " A run belongs to the window of its start ping, else of its completion.",
    "Intervals roll: each completion settles the last anchor + k * period up to it (the first, if it came sooner),"
    " those before are missed. missed_with_an_open_run counts those of them in which a run began that never ended:"
    " hung would be as true a word.",
    "Grace not given is 20 % of the shortest gap, at least 60 s, at most 3600 s.",
    "unknown: nothing came, and the file does not reach from the expected time to the deadline.",
    "lateness: over the arrivals (successes), seconds, linear between order statistics. all_p50_s and all_p95_s count"
    " missed and hung as later than every arrival; null where the quantile falls among them; absent without any.",
    "spread: (p90 - p10) of lateness over the gap, over the hits of the 90 days before as_of, from 50 hits on. Above"
    " 0.6 cannot_tell is true: which tick a run answered has no answer, so of a cron check only gaps mean anything"
    " (seconds between completions, by the later one's time) and neither downs nor status is given. An interval has"
    " no ticks to mistake: there the figures stay.",
    "downs: stretches of the week in which the check was down, clipped to it. A deadline without a success since its"
    " expected time, a failure, or a run past its limit begins one; the next success ends it.",
    "status: at as_of, not at the end of the week; absent where not judged.",
    "runs: those with a start that ended in the week, and how long they took, seconds; over_the_limit of these;"
    " never_ended: began in the week and had not ended by as_of.",
    "totals: sums over all checks, totals_of_the_judged over those that can be judged (cannot_tell is not true).",
    "retired_at: the last promise ended before the week, so nothing was expected in it.",
]


def quantile(values: list[float], q: float) -> float | None:
    """Quantile, linear between order statistics; None without values or where it falls on an infinite one."""
    if not values:
        return None
    values = sorted(values)
    position = (len(values) - 1) * q
    low = math.floor(position)
    high = math.ceil(position)
    if math.isinf(values[high]):
        return None
    return round(values[low] + (values[high] - values[low]) * (position - low), 3)


def counts(occurrences: list[Occurrence], runs: list[Run], since: float, until: float) -> dict[str, Any]:
    """What became of the occurrences of one window."""
    mine = [o for o in occurrences if since <= o.expected < until]
    late = [o.lateness for o in mine if o.lateness is not None]
    out: dict[str, Any] = {"n": len(mine), **dict(sorted(Counter(o.outcome for o in mine).items()))}
    if late:
        out["lateness"] = {
            "p50_s": quantile(late, 0.5),
            "p95_s": quantile(late, 0.95),
            "max_s": round(max(late), 3),
        }
        if never := out.get("missed", 0) + out.get("hung", 0):
            everything = [*late, *[math.inf] * never]
            out["lateness"] |= {"all_p50_s": quantile(everything, 0.5), "all_p95_s": quantile(everything, 0.95)}
    if extra := sum(o.extra for o in mine):
        out["extra"] = extra
    for key in ("missed", "failed", "hung", "unknown"):
        at = [iso(o.expected) for o in mine if o.outcome == key]
        if 0 < len(at) <= 10:
            out[f"{key}_at"] = at
    never_ended = [run.at for run in runs if run.ended is None]
    stuck = [
        o for o in mine if o.outcome == "missed" and any(o.expected <= at < o.expected + o.gap for at in never_ended)
    ]
    if stuck:
        out["missed_with_an_open_run"] = len(stuck)
    return out


def status(check: Check, occurrences: list[Occurrence], runs: list[Run], down: bool, as_of: float) -> str:
    """The status at `as_of` of a check that can be judged."""
    last = check.versions[-1]
    if check.covered_until < as_of:
        return "unknown"
    if down:
        return "down"
    good = [run.ended for run in runs if run.ok and run.ended is not None]
    # An early ping answers a tick that is still to come, so a little before each tick counts
    due = [o for o in occurrences if o.expected <= as_of < o.deadline and not any(at >= o.expected - 10 for at in good)]
    if (last.period_s is None and due) or any(o.outcome == "pending" for o in due):
        return "grace"
    if any(
        run.ended is None and run.started and not (last.limit_s and run.started + last.limit_s <= as_of) for run in runs
    ):
        return "started"
    return "up" if good else "new"


def tell(check: Check, since: float, until: float, as_of: float) -> dict[str, Any]:
    """The facts of one check for one week."""
    pings = [ping for ping in check.pings if ping[0] <= as_of]
    runs = runs_of(pings)
    last = check.versions[-1]
    out: dict[str, Any] = {"first_ping_at": iso(pings[0][0]), "last_ping_at": iso(pings[-1][0])} if pings else {}
    if last.until <= since:
        return out | {"retired_at": iso(last.until)}
    if check.covered_until < until:
        out["covered_until"] = iso(check.covered_until)
    occurrences = ticking(check, runs, as_of - 100 * DAY, as_of) + rolling(check, runs, as_of)
    occurrences.sort(key=lambda o: o.expected)
    out["week"] = counts(occurrences, runs, since, until)
    out["week_before"] = counts(occurrences, runs, since - WEEK, since)
    hits = [o for o in occurrences if as_of - 90 * DAY <= o.expected and o.lateness is not None]
    spread = 0.0
    if len(hits) >= 50:
        shares = [o.lateness / o.gap for o in hits if o.lateness is not None]
        spread = (quantile(shares, 0.9) or 0) - (quantile(shares, 0.1) or 0)
        out |= {"spread": round(spread, 3), "cannot_tell": spread > 0.6}
    if spread > 0.6:
        ended = sorted(run.ended for run in runs if run.ended is not None)
        gaps = [b - a for a, b in pairwise(ended) if since <= b < until]
        out["gaps"] = {
            "n": len(gaps),
            "p50_s": quantile(gaps, 0.5),
            "p95_s": quantile(gaps, 0.95),
            "max_s": round(max(gaps), 3),
        }
    if spread <= 0.6 or last.period_s:
        spans = downs_of(check, occurrences, runs, as_of)
        inside = [(max(a, since), min(b, until)) for a, b in spans if a < until and b > since]
        out["downs"] = {"n": len(inside), "down_s": round(sum(b - a for a, b in inside), 3)}
        if 0 < len(inside) <= 20:
            out["downs"]["at"] = [[iso(a), iso(b)] for a, b in inside]
        out["status"] = status(check, occurrences, runs, any(b >= as_of for _, b in spans), as_of)
    took = [run.ended - run.started for run in runs if run.started and run.ended and since <= run.ended < until]
    if took:
        out["runs"] = {
            "n": len(took),
            "p50_s": quantile(took, 0.5),
            "p95_s": quantile(took, 0.95),
            "max_s": round(max(took), 3),
        }
        out["runs"]["over_the_limit"] = sum(took_s > last.limit_s for took_s in took) if last.limit_s else 0
        out["runs"]["never_ended"] = sum(run.ended is None and since <= run.at < until for run in runs)
    return out


def totals(checks: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Outcomes of the week over several checks."""
    sums: Counter[str] = Counter()
    for told in checks:
        sums.update({key: n for key, n in told.get("week", {}).items() if key in OUTCOMES})
    return dict(sorted(sums.items()))


def weekly(folders: list[Path], as_of_text: str, covered_until: str | None = None) -> dict[str, Any]:
    """The facts of the last full Monday to Sunday (UTC) before `as_of`."""
    as_of = instant(as_of_text)
    day = datetime.fromtimestamp(as_of, UTC).replace(hour=0, minute=0, second=0)
    until = (day - timedelta(days=day.weekday())).timestamp()
    since = until - WEEK
    checks: dict[str, Any] = {}
    for folder in folders:
        for name, check in sorted(read(folder, instant(covered_until) if covered_until else None).items()):
            checks[f"{folder.name}/{name}"] = tell(check, since, until, as_of)
    return {
        "as_of": as_of_text,
        "since": iso(since),
        "until": iso(until),
        "totals": totals(checks.values()),
        "totals_of_the_judged": totals(told for told in checks.values() if not told.get("cannot_tell")),
        "checks": checks,
    }


def monday(at: float) -> str:
    """The Monday (UTC) of the week that `at` falls in."""
    day = datetime.fromtimestamp(at, UTC).date()
    return str(day - timedelta(days=day.weekday()))


def weekly_medians(values: list[tuple[float, float]], since: float, until: float) -> list[list[Any]]:
    """[Monday, n, median] of each week in [since, until)."""
    by_week: dict[str, list[float]] = defaultdict(list)
    for at, value in values:
        if since <= at < until:
            by_week[monday(at)].append(value)
    return [[week, len(seen), quantile(seen, 0.5)] for week, seen in sorted(by_week.items())]


def drifts() -> dict[str, Any]:
    """Week by week, the two figures that grow: a daemon's lateness and a backup's run time."""
    ranking = read(DATA / "histories" / "crond-daily-ranking")["ranking"]
    until = instant("2026-08-17T00:00:00Z")
    occurrences = ticking(ranking, runs_of(ranking.pings), until - 20 * WEEK, until)
    late = [(o.expected, o.lateness) for o in occurrences if o.lateness is not None]
    backup = runs_of(read(DATA / "recorded-project")["db-backup"].pings)
    took = [(run.ended, run.ended - run.started) for run in backup if run.ok and run.started and run.ended]
    monday_after = instant("2026-11-23T00:00:00Z")
    return {
        "crond-daily-ranking/ranking lateness_s": weekly_medians(late, until - 20 * WEEK, until),
        "recorded-project/db-backup duration_s": weekly_medians(took, monday_after - 10 * WEEK, monday_after),
    }


def everything() -> dict[str, Any]:
    histories = sorted(path for path in (DATA / "histories").iterdir() if path.is_dir())
    return {
        "how": HOW,
        "weekly_medians": drifts(),
        "histories": weekly(histories, "2026-08-17T07:00:00Z"),
        "recorded-project": weekly([DATA / "recorded-project"], "2026-11-24T06:30:00Z", "2026-11-24T06:30:00Z"),
    }


def written(value: Any, depth: int = 0) -> str:
    """JSON with a line for each check, so that a change of one is a change of one line."""
    if depth == 3 or not isinstance(value, dict):
        return json.dumps(value)
    inner = ",\n".join(f"{' ' * depth} {json.dumps(key)}: {written(item, depth + 1)}" for key, item in value.items())
    return f"{{\n{inner}\n{' ' * depth}}}"


if __name__ == "__main__":
    print(written(everything()))
