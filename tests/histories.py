"""Random small histories of one check, for Hypothesis: mostly where it hurts, at ticks, deadlines and limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from oracle import Ping, Version

from qpanalytics.schedules import parse

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
Span = tuple[int, int]

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
SCHEDULES = [
    ("0 * * * *", "UTC"),
    ("*/30 * * * *", BERLIN),
    ("30 2 * * *", BERLIN),
    ("0 3 * * *", "UTC"),
    ("30 1 * * *", NEW_YORK),
    ("0 */6 * * *", BERLIN),
    ("15 8,20 * * 1-5", NEW_YORK),
    ("0 6 * * * ; 0 6,18 * * *", "UTC"),
    ("OnCalendar=*-*-* *:00:00", BERLIN),
    ("OnCalendar=*-*-* 02:30:00", BERLIN),
    ("OnCalendar=Mon..Fri 08:00 ; OnCalendar=Sat 10:00", "UTC"),
    ("every 1 h", "UTC"),
    ("every 45 min", "UTC"),
    ("every 1 d", "UTC"),
    ("every 1000 s", "UTC"),
]
# The first and third weeks hold Berlin's clock changes, the second New York's.
BEGINNINGS = [
    int(datetime(*day, tzinfo=UTC).timestamp()) * SECOND for day in ((2026, 10, 24), (2026, 10, 31), (2026, 3, 28), (2026, 6, 2))
]
NUDGES = [
    0,
    0,
    0,
    0,
    0,
    1,
    -1,
    100_000,
    -100_000,
    SECOND,
    3 * SECOND,
    -5 * SECOND,
    -10 * SECOND,
    -10 * SECOND - 1,
    90 * SECOND,
]


@dataclass(frozen=True)
class History:
    """One check: everything that the oracle, or the ledger, is given. `pings` stand in the order of their file."""

    pings: list[Ping]
    versions: list[Version]
    pauses: list[Span]
    vouched: list[Span]
    as_of: int

    def __repr__(self) -> str:
        """Pasted into a test, with the names of this module and `oracle` imported, it is the history again."""
        return (
            f"History(\n  pings={self.pings},\n  versions={self.versions},\n"
            f"  pauses={self.pauses}, vouched={self.vouched}, as_of={self.as_of},  # {instant(self.as_of)}\n)"
        )


def instant(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


@st.composite
def promised(draw: st.DrawFn, begin: int) -> tuple[list[Version], int]:
    """One to three versions and how long a history of theirs stays small, microseconds."""
    chosen = draw(st.lists(st.sampled_from(SCHEDULES), min_size=1, max_size=3))
    gap = min(round(parse(schedule, tz).shortest_gap_s() * SECOND) for schedule, tz in chosen)
    span = min(14 * DAY, 60 * gap)
    later = draw(st.lists(near_multiples(gap, span), min_size=len(chosen) - 1, max_size=len(chosen) - 1))
    offsets = sorted([draw(st.sampled_from([*NUDGES, -gap, gap // 3])), *later])
    starts: list[int | None] = [begin + offset for offset in offsets]
    if draw(st.booleans()):
        starts[0] = None
    versions = []
    for place, (schedule, tz) in enumerate(chosen):
        valid_to: int | None = None
        following = begin + offsets[place + 1] if place + 1 < len(chosen) else begin + span
        if draw(st.integers(0, 3)) == 0:  # mostly until the next one; else a gap, or an end that the next one cuts
            valid_to = following + draw(st.sampled_from([0, -gap // 2, -gap, -3 * gap, gap]))
            valid_to = max(valid_to, begin + offsets[place])
        grace = draw(st.sampled_from([None, 60.0, 300.0, 0.25 * gap / SECOND, 1.5 * gap / SECOND]))
        early = draw(st.sampled_from([None, None, 0.0, 5.0, 120.0, 0.4 * gap / SECOND, 2.0 * gap / SECOND]))
        max_runtime = draw(st.sampled_from([None, None, 60.0, 600.0, 0.9 * gap / SECOND, 1.2 * gap / SECOND]))
        versions.append(Version(starts[place], valid_to, schedule, tz, grace, early, max_runtime))
    return versions, span


def near_multiples(gap: int, span: int) -> st.SearchStrategy[int]:
    return st.builds(int.__add__, st.integers(0, max(1, span // gap // 2)).map(lambda k: k * gap), st.sampled_from(NUDGES))


def landmarks(versions: list[Version], begin: int, span: int) -> list[int]:
    """Instants of the first half day of ticks, and then some, at which something could turn."""
    found = {begin}
    for version in versions:
        schedule = parse(version.schedule, version.tz)
        start = begin if version.valid_from is None else version.valid_from
        grace = round((version.grace_s or 600.0) * SECOND)
        if schedule.period_s is not None:
            ticks = [start + k * round(schedule.period_s * SECOND) for k in range(12)]
        else:
            ticks = [int(tick) for tick in schedule.ticks(start - DAY, start + span)[:40]]
        for before, tick in zip([ticks[0] - HOUR, *ticks] if ticks else [], ticks, strict=False):
            gap = tick - before
            early = min(gap // 100, 10 * SECOND) if version.early_s is None else round(version.early_s * SECOND)
            found |= {tick, tick + grace, tick - min(early, gap // 2)}
            if version.max_runtime_s is not None:
                found.add(tick + round(version.max_runtime_s * SECOND))
        found |= {edge for edge in (version.valid_from, version.valid_to) if edge is not None}
    return sorted(at for at in found if begin - DAY <= at <= begin + span + DAY)


def steps(versions: list[Version]) -> list[int]:
    """Distances that matter between two pings: periods, graces, max runtimes."""
    found = {0, 30 * SECOND, 7 * MINUTE}
    for version in versions:
        period_s = parse(version.schedule, version.tz).period_s
        known = [period_s, 2 * period_s if period_s else None, version.grace_s, version.max_runtime_s]
        found |= {round(seconds * SECOND) for seconds in known if seconds is not None}
    return sorted(found)


@st.composite
def told(draw: st.DrawFn, versions: list[Version], begin: int, span: int) -> list[Ping]:
    """0 to 40 pings: alone, or a start with its finish; near a landmark, or a step after another one."""
    near, far = st.sampled_from(landmarks(versions, begin, span)), st.sampled_from(steps(versions))
    nudge, run_id = st.sampled_from(NUDGES), st.sampled_from([None, None, None, "", "A", "B"])
    numbered = draw(st.booleans())
    pings: list[Ping] = []
    for _ in range(draw(st.integers(0, 22))):
        if draw(st.booleans()) and pings:
            at = draw(st.sampled_from(pings)).received_at + draw(far) + draw(nudge)
        else:
            at = draw(near) + draw(nudge)
        kind = draw(st.sampled_from(["success", "success", "success", "start", "start", "fail", "log", "ign", "pair"]))
        name = draw(run_id)
        n = draw(st.sampled_from([None, 1, 2, 3])) if numbered else None
        if kind == "pair":
            pings.append(Ping(at, "start", n=n, run_id=name))
            at += abs(draw(far) + draw(nudge))
            kind = draw(st.sampled_from(["success", "success", "fail"]))
            name = draw(st.sampled_from([name, name, None]))
        finish = kind in ("success", "fail")
        duration_s = draw(st.sampled_from([None, None, None, 0.0, 12.5])) if finish else None
        exit_status = draw(st.sampled_from([None, 1, 137])) if kind == "fail" else None
        pings.append(Ping(at, kind, n=n, run_id=name, duration_s=duration_s, exit_status=exit_status))
    if draw(st.integers(0, 4)) == 0 and pings:
        pings.append(draw(st.sampled_from(pings)))  # sent twice
    pings = pings[:40]
    shuffled: list[Ping] = draw(st.permutations(pings))
    return shuffled if draw(st.booleans()) else sorted(pings, key=lambda ping: ping.received_at)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A check with its promises, pings, pauses and what was vouched for, and the instant at which to look at it."""
    begin = draw(st.sampled_from(BEGINNINGS))
    versions, span = draw(promised(begin))
    pings = draw(told(versions, begin, span))
    edges = sorted({*landmarks(versions, begin, span), *(ping.received_at for ping in pings)})
    edge = st.builds(int.__add__, st.sampled_from(edges), st.sampled_from(NUDGES))
    spans = st.tuples(edge, edge).map(lambda ends: (min(ends), max(ends)))
    pauses = draw(st.lists(spans.filter(lambda span: span[0] < span[1] <= span[0] + 2 * DAY), max_size=2))
    if draw(st.sampled_from([True, True, True, False])):
        vouched = [(begin - 30 * DAY, begin + span + 30 * DAY)]
    else:
        vouched = draw(st.lists(spans, max_size=3))
    late = [begin + span, *sorted(ping.received_at for ping in pings)[len(pings) // 2 :]]
    as_of = draw(st.sampled_from(late)) + draw(st.sampled_from([*steps(versions), *NUDGES]))
    as_of = draw(st.sampled_from([as_of, as_of, draw(edge)]))
    return History(pings, versions, pauses, vouched, as_of)
