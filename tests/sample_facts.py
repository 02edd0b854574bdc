"""A made-up fleet of fifty checks as `Facts`: every outcome, every sort of row, and names that mean harm.

The week is Mon 16 to Sun 22 Nov 2026 in Berlin, strips cover 28 days from Mon 26 Oct. Strips, tallies and totals agree
by construction: each row is told what happened on which day, and all of its numbers are counted from that.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from qpanalytics.report.model import (
    Arrivals,
    CheckRow,
    Dots,
    Facts,
    Finding,
    Gaps,
    Level,
    Mark,
    Quantile,
    Strip,
    Tally,
    Trend,
    Window,
    figures,
)

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = date(2026, 10, 26)
DAYS = 28
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WORST_FIRST = ("failed", "hung", "missed", "late", "unknown", "excused", "on_time")

HOSTILE = (
    '<script>alert("xss")</script>',
    "it's \"quoted\" & 'single' <b>bold</b>",
    "line\nbreak\tand \x1b[31mred\x1b[0m",
    "invoice-\u202egpj.exe",
    "🚀 deploy-café ☃",
    "unbroken-" + "x" * 191,
    "\u200fגיבוי לילי\u200f (תל אביב)",
    "{{ 7 * 7 }}{% raw %}",
    "</style></title><img src=x onerror=alert(1)>",
    "http://cron.example/run?job=1&force=yes",
)


def window() -> Window:
    return Window(
        "weekly",
        since_at=datetime(2026, 11, 16, tzinfo=BERLIN).astimezone(UTC),
        until_at=datetime(2026, 11, 23, tzinfo=BERLIN).astimezone(UTC),
        as_of=datetime(2026, 11, 23, 7, tzinfo=BERLIN).astimezone(UTC),
        tz="Europe/Berlin",
    )


def row(
    check: str,
    schedule: str | None = "0 3 * * *",
    tz: str | None = "UTC",
    *,
    a_day: int = 1,
    weekdays: tuple[int, ...] = tuple(range(7)),
    events: Mapping[int, Mapping[str, int]] | None = None,
    lateness_s: float | None = 20.0,
    duration_s: float | None = 60.0,
    before_s: float | None = None,
    grace_s: float | None = 600.0,
    down_s: float = 0.0,
    downs: int = 0,
    grows: float = 1.0,
    born: int = 0,
) -> CheckRow:
    """A check that runs `a_day` times on `weekdays` (0 is Monday); `events` is what went otherwise on which day."""
    dice = random.Random(check)
    cells: list[str | None] = []
    values: list[float | None] = []
    week = dict.fromkeys(WORST_FIRST, 0)
    for i in range(DAYS):
        if i < born or (FIRST + timedelta(days=i)).weekday() not in weekdays:
            cells.append(None)
            values.append(None)
            continue
        other = dict((events or {}).get(i, {}))
        told = other | {"on_time": a_day - sum(other.values())}
        cells.append(next(outcome for outcome in WORST_FIRST if told.get(outcome)))
        ran = told["on_time"] + told.get("late", 0)
        noise = 1 + dice.uniform(-0.12, 0.12)
        values.append(duration_s * noise * (grows if i >= 20 else 1) if ran and duration_s else None)
        if i >= 21:
            for outcome, n in told.items():
                week[outcome] += n
    n = sum(week[outcome] for outcome in ("on_time", "late", "missed", "failed", "hung"))
    never = week["missed"]
    enough = n * 4 >= 20  # the sample takes quantiles over four weeks
    p95 = duration_s * grows * 1.1 if duration_s is not None else None
    return CheckRow(
        check,
        schedule,
        tz,
        Strip(FIRST, tuple(cells)),
        Tally(**week, downs=downs, down_s=down_s),
        lateness=Quantile(lateness_s, n=n)
        if enough and never * 20 <= n and lateness_s is not None
        else Quantile(None, "" if never else "too few", never=never, n=n),
        duration=Quantile(p95, n=n, lo_s=p95 * 0.9, hi_s=p95 * 1.15, before_s=before_s)
        if enough and p95 is not None
        else Quantile(None, "too few" if duration_s else "not told", n=n),
        trend=Trend(FIRST, tuple(values)) if any(v is not None for v in values) else None,
        grace_s=grace_s,
    )


def bad_rows() -> tuple[CheckRow, ...]:
    fleet = (
        row("invoice-export", "30 2 * * 1-5", "Europe/Berlin", weekdays=(0, 1, 2, 3, 4), duration_s=110,
            events={21: {"missed": 1}, 23: {"missed": 1}, 25: {"missed": 1}}, grace_s=30 * MINUTE,
            down_s=116 * HOUR, downs=3),
        row("etl-orders", "30 * * * *", a_day=24, duration_s=10 * MINUTE, lateness_s=50, grace_s=20 * MINUTE,
            events={9: {"failed": 2}, 10: {"failed": 1}, 22: {"failed": 2}, 24: {"unknown": 1}, 25: {"hung": 1}},
            down_s=62 * MINUTE, downs=2),
        row("backup-db", "0 2 * * *", "Europe/Berlin", duration_s=4 * MINUTE, grows=1.6, before_s=4 * MINUTE,
            lateness_s=5 * MINUTE, grace_s=10 * MINUTE),
        row("sync-crm", "*/15 * * * *", a_day=96, duration_s=40, lateness_s=3 * MINUTE, grace_s=5 * MINUTE,
            events={i: {"late": 2} for i in (20, 22, 23, 25, 27)}, down_s=31 * MINUTE, downs=5),
        row(HOSTILE[0], events={26: {"late": 1}}, down_s=4 * MINUTE, downs=1),
        row(HOSTILE[1], events={24: {"failed": 1}}, down_s=DAY, downs=1),
        row(HOSTILE[3], "15 4 * * *", "Asia/Jerusalem", events={27: {"missed": 1}}, down_s=20 * HOUR, downs=1),
        row(HOSTILE[5], "*/30 * * * *", a_day=48, events={23: {"hung": 1}}, down_s=30 * MINUTE, downs=1),
    )  # fmt: skip
    unjudged = (
        CheckRow(
            "nightly-ci",
            "17 * * * *",
            "UTC",
            Strip(FIRST, ("ran",) * DAYS),
            gaps=Gaps(167, 72 * MINUTE, 3.4 * HOUR, 6 * HOUR),
            duration=Quantile(130.0, n=167, lo_s=121.0, hi_s=140.0),
            trend=Trend(FIRST, tuple(120.0 + i % 5 for i in range(DAYS))),
            grace_s=12 * MINUTE,
            runs=167,
        ),
        CheckRow(
            HOSTILE[2],
            None,
            None,
            Strip(FIRST, tuple("failed" if i == 24 else "ran" if i % 3 == 0 else None for i in range(DAYS))),
            duration=Quantile(None, "too few", n=3),
            runs=3,
            failures=1,
        ),
        row("geoip-refresh", "0 5 * * *", events={i: {"excused": 1} for i in (22, 23, 24)}, duration_s=25),
        row("thumbnail-gc", "0 4 * * 0", weekdays=(6,), grace_s=HOUR),
        row(HOSTILE[6], "OnCalendar=Mon..Fri 06:00", "Asia/Jerusalem", weekdays=(0, 1, 2, 3, 4), born=21),
    )
    return (*fleet, *unjudged)


def kept_rows(n: int) -> tuple[CheckRow, ...]:
    jobs = ("cert-renew", "search-reindex", "rotate-logs", "mail-queue", "warehouse-load", "cache-warm", "report-pdf")
    named = [HOSTILE[4], *HOSTILE[7:]]
    rows = []
    for i in range(n):
        check = named[i] if i < len(named) else f"{jobs[i % len(jobs)]}-{i // len(jobs) + 1}"
        hourly = i % 3 == 1
        rows.append(
            row(
                check,
                f"{i} * * * *" if hourly else f"{i} {i % 6} * * *",
                ("UTC", "Europe/Berlin", "America/New_York")[i % 3],
                a_day=24 if hourly else 1,
                lateness_s=4.0 + 3 * i,
                duration_s=9.0 * (i + 1),
                grace_s=(10 * MINUTE, HOUR, DAY)[i % 3],
            )
        )
    return tuple(rows)


def us(*when: int) -> int:
    """Epoch microseconds of a moment in Berlin."""
    return round(datetime(*when, tzinfo=BERLIN).timestamp()) * 1_000_000  # type: ignore[misc,arg-type]


def backup_dots() -> Dots:
    dice = random.Random(4)
    points = []
    for i in range(90):
        day = datetime(2026, 8, 25, 2, tzinfo=BERLIN) + timedelta(days=i)
        seconds = dice.gauss(215, 22) if i < 79 else dice.gauss(360, 25)
        points.append((round(day.timestamp()) * 1_000_000, round(seconds, 1)))
    changed = us(2026, 11, 12)
    return Dots(
        "backup-db",
        "backup-db: duration of each run",
        "Dots are runs, the line is the 95th percentile",
        "Duration of backup-db: 95th percentile 4 min until 12 Nov, 7 min since; its grace is 10 min",
        since_us=us(2026, 8, 25),
        until_us=us(2026, 11, 23),
        points=tuple(points),
        tz="Europe/Berlin",
        levels=(Level(us(2026, 8, 25), changed, 246, "p95 4 min"), Level(changed, us(2026, 11, 23), 400, "p95 7 min")),
        changes=((changed, "change on 12 Nov"),),
        limit_s=600.0,
        limit_label="grace 10 min",
    )


def crm_arrivals() -> Arrivals:
    dice = random.Random(5)
    came = [abs(dice.gauss(150, 40)) for _ in range(662)] + [330.0 + 38 * i for i in range(9)]
    return Arrivals(
        "sync-crm",
        "sync-crm: how late runs arrive",
        "Share of 672 runs that had arrived by then",
        "98.5 % of the runs of sync-crm arrive within its grace of 5 min, all but one within 12 min",
        lateness_s=tuple(round(s, 3) for s in came),
        never=1,
        marks=(Mark(300.0, "grace 5 min: 10 came later", "bad"), Mark(720.0, "12 min: 1")),
    )


def findings(rows: tuple[CheckRow, ...]) -> tuple[Finding, ...]:
    of = {r.check: r for r in rows}
    xss, quoted, override, long = HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[5]
    return (
        Finding("down", "Down", "bad", "invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 02:30.",
                "invoice-export", ("invoice-export",),
                "No start ping on those days, so the job never began.", picture=of["invoice-export"].strip),
        Finding("down", "Down", "bad", f"{override} missed 1 of 7 runs, on Sun; down since Sun 04:15.", override,
                (override,), "No start ping on that day, so the job never began.", picture=of[override].strip),
        Finding("failing", "Failing", "bad", f"{quoted} failed 1 of 7 runs, on Thu.", quoted, (quoted,),
                "Exit status 137 at 03:00:12.", picture=of[quoted].strip),
        Finding("hung", "Hung", "warn", "etl-orders hung on Fri 11:30 and failed twice on Tue.", "etl-orders",
                ("etl-orders",), "It ran 2 h 10 min and was never finished; max runtime 1 h.",
                "qpa runs --check etl-orders", of["etl-orders"].strip),
        Finding("slower", "Slower", "warn", "backup-db runs longer: p95 4 min -> 7 min since 12 Nov.", "backup-db",
                ("backup-db",), "10 min of grace leave 3 min.", "qpa durations --check backup-db",
                of["backup-db"].trend),
        Finding("later", "Later", "warn", "sync-crm came late 8 times this week, 2 the week before.", "sync-crm",
                ("sync-crm",), "Each time it arrived within 12 min; grace is 5 min.", "qpa lateness --check sync-crm",
                of["sync-crm"].strip),
        Finding("hung", "Hung", "warn", f"{long} hung on Wed 14:30.", long, (long,),
                "An open run passed its max runtime of 20 min.", picture=of[long].strip),
        Finding("later", "Later", "warn", f"{xss} came late once, on Sat.", xss, (xss,), picture=of[xss].strip),
    )  # fmt: skip


def sample(kept: int = 37) -> Facts:
    """Fifty checks: thirteen that need a look or cannot be judged, 37 that kept every promise."""
    rows, good = bad_rows(), kept_rows(kept)
    totals = Tally.total(r.tally for r in (*rows, *good))
    before = Tally(on_time=totals.n - 9, late=3, missed=2, failed=4, downs=4, down_s=2 * HOUR + 5 * MINUTE)
    return Facts(
        window(),
        totals,
        figures(totals, before, (*rows, *good)),
        rows,
        good,
        needs=findings(rows),
        better=(
            Finding("recovered", "Recovered", "good", "report-pdf-2 recovered: 2 failures two weeks ago, none since.",
                    "report-pdf-2", ("report-pdf-2",)),
        ),
        notes=(
            Finding("cannot_tell", "Cannot tell", "quiet", "nightly-ci is too irregular to be judged by its ticks.",
                    "nightly-ci", ("nightly-ci",), "The time between completions is shown instead."),
            Finding("few", "Not judged yet", "quiet", "thumbnail-gc: 4 occurrences so far, verdicts start at 20.",
                    "thumbnail-gc", ("thumbnail-gc",)),
            Finding("new", "New", "quiet", f"{HOSTILE[6]} is new since Mon 16 Nov.", HOSTILE[6], (HOSTILE[6],)),
        ),
        evidence=(backup_dots(), crm_arrivals()),
        coverage=0.9973,
        unseen_s=18 * MINUTE,
        unseen=(
            "healthchecks: 18 min on Thu 19 Nov 03:12 to 03:30 (HTTP 503, 2 tries); 1 etl-orders occurrence is counted "
            "as not seen, not as missed.",
            "nightly-ci: too irregular for its ticks; rate and lateness are not given.",
        ),
        rules=(
            "On time = a success arrived before its deadline, over all occurrences we saw; excused and unseen ones are "
            "left out.",
            "Time down is clipped to the window.",
        ),
        command="qpa report --weekly --as-of 2026-11-23T06:00:00Z --tz Europe/Berlin",
        made_by="qpanalytics 0.1.0 from qpa.duckdb",
    )  # fmt: skip


def quiet() -> Facts:
    """A week in which twenty-four checks kept every promise and everything was seen."""
    good = kept_rows(24)
    totals = Tally.total(r.tally for r in good)
    return Facts(window(), totals, figures(totals, totals, good), (), good, coverage=1.0)
