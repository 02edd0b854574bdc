"""The logical relations of a reading session: the ledger as it stood at `as_of`, over a window, for chosen checks.

Stored facts are those after everything that was ever pinged. Seen from an earlier instant a few windows look otherwise:
those whose runs were still under way then, and those after a check's last completion. These are derived again from the
same statements; ticks after the stored horizon are made here. So nothing is written by a reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from qpanalytics.instants import TICK, micros
from qpanalytics.ledger import tables
from qpanalytics.ledger.versions import FOREVER_US, Version, chains, in_force
from qpanalytics.ledger.windows import fixed_windows, trailing_windows

#: How far back the questions look that are asked of the recent past: can ticks be told apart, how long are gaps.
TRAILING = timedelta(days=90)
#: Rows that are sorted at a time.
SORTED = 1_000_000


@dataclass(frozen=True)
class Scope:
    """What a session shows: occurrences of [since, until) as known at as_of, of the checks in `firsts`.

    `firsts` holds each check's first ping (epoch microseconds, None without one), `promised` its versions. `back_to` is how
    far back `judged` reaches where that is further than the window and the trailing days.
    """

    as_of: datetime
    since: datetime
    until: datetime
    firsts: Mapping[int, int | None]
    promised: Mapping[int, Sequence[Version]]
    excuses: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    back_to: datetime | None = None


def prepare(con: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Makes the temporary relations of `scope` on `con`.

    `occurrences`, `runs`, `vouched`, `downs`, `telling`, `standing`, and underneath them `judged` (occurrences back to
    the last success before the window, and 90 days at least), `recent` (those of them that the window itself needs) and
    `now_runs` (runs as they stood at as_of). `judged` and `now_runs` are views: stored rows are read where they lie, since
    millions of them would be held twice.
    """
    as_of_us = micros(scope.as_of)
    promised, firsts = scope.promised, scope.firsts
    paused = tables.pauses(con, firsts)
    spans = {c: chains(vs, paused.get(c, ())) if vs else [(-FOREVER_US, FOREVER_US)] for c, vs in promised.items()}

    tables.put(con, "kinds", _kinds(promised, paused, as_of_us))
    tables.put(con, "promises", tables.promises_table(promised))
    tables.put(con, "begins", _begins(promised, firsts))
    tables.put(con, "promised_spans", tables.spans_table(spans))
    tables.put(con, "watched_spans", tables.spans_table({c: _watched(vs, paused.get(c, ())) for c, vs in promised.items()}))
    tables.put(con, "excuses", tables.spans_table(_merged(firsts, paused, scope.excuses)))
    _run(con, "vouched", tables.sql_of("vouched"), as_of=scope.as_of)
    _run(con, "seen_pings", _SEEN_PINGS, as_of=scope.as_of)
    _view(con, "stood", _STOOD, as_of=scope.as_of)

    tell_to = min(scope.as_of, scope.until)
    tell_from = tell_to - TRAILING
    least = min(scope.since, tell_from)
    _run(con, "reach", _REACH, least=least, back=min(least, scope.back_to or least), since=scope.since)
    ahead, upcoming = _ahead(con, promised, spans, firsts, as_of_us)
    tables.put(con, "ahead", ahead)
    tables.put(con, "upcoming", upcoming)
    _facts(con, scope.as_of)
    _run(con, "pardoned", _PARDONED)
    _view(con, "judged", tables.sql_of("outcomes"), as_of=scope.as_of)
    _run(con, "nearer", _NEARER, since=scope.since)
    _view(con, "near_facts", _NEAR_FACTS)
    # the outcomes of few windows, not few of the outcomes of all
    _run(con, "recent", tables.sql_of("outcomes").replace("from facts", "from near_facts"), as_of=scope.as_of)
    _run_by_groups(con, "telling", _rows(con, _LATELY, since=tell_from), tell_from=tell_from, tell_to=tell_to + TICK)
    _run_by_groups(con, "downs_ever", _rows(con, _RECENTLY), as_of=scope.as_of)
    _run(con, "standing", tables.sql_of("status"), as_of=scope.as_of)
    _run(con, "downs", _DOWNS, since=scope.since, until=scope.until)
    _view(con, "occurrences", _OCCURRENCES, since=scope.since, until=scope.until)
    _run(con, "runs", _RUNS, since=scope.since, until=scope.until, as_of=scope.as_of)


_SEEN_PINGS = """
with kept as (
    select check_id, min(received_at) as first_at, max(received_at) as last_at
    from store.pings semi join kinds using (check_id) where received_at <= $as_of group by check_id
),
-- of pings that were pruned, their runs tell
gone as (
    select check_id, q.first_at, max(told_at) filter (where told_at <= $as_of) as last_at
    from store.pruned q semi join kinds using (check_id) left join (
        select check_id, unnest([started_at, completed_at]) as told_at from store.runs semi join store.pruned using (check_id)
    ) r using (check_id)
    where q.first_at <= $as_of group by check_id, q.first_at
)
select check_id, coalesce(g.first_at, k.first_at) as first_ping_at, greatest(k.last_at, g.last_at, g.first_at) as last_ping_at
from kept k full join gone g using (check_id)
"""
_STOOD = """
select check_id, run_id, started_at, seq, version, expected_at, own_limit_at,
    case when completed_at <= $as_of then limit_at else own_limit_at end as limit_at,
    case when completed_at <= $as_of then completed_at end as completed_at,
    case when completed_at <= $as_of then duration_s end as duration_s,
    case when completed_at <= $as_of then success end as success,
    case when completed_at <= $as_of then exit_status end as exit_status,
    case when abandoned_at <= $as_of then abandoned_at end as abandoned_at
from store.runs semi join kinds using (check_id) where coalesce(started_at, completed_at) <= $as_of
"""
# The same with the places of runs that had not completed by then.
_NOW_RUNS = """
select r.* exclude (version, expected_at, limit_at, own_limit_at),
    case when a.seq is null then r.version else m.version end as version,
    case when a.seq is null then r.expected_at else m.expected_at end as expected_at,
    case when a.seq is null then r.limit_at else coalesce(m.limit_at, a.limit_at) end as limit_at,
    case when a.seq is null then r.own_limit_at else coalesce(m.limit_at, a.limit_at) end as own_limit_at
from stood r left join adrift a using (check_id, seq) left join moved m using (check_id, seq)
"""
# Downs that began before the window are counted from the success before it, so facts reach back that far (`from_at`), or
# further where somebody asks (`facts_at`).
_REACH = """
select k.check_id, coalesce(max(r.completed_at), '-infinity'::timestamptz) as success_at,
    least($least, coalesce(max(r.completed_at), '-infinity'::timestamptz)) as from_at,
    least($back, coalesce(max(r.completed_at), '-infinity'::timestamptz)) as facts_at
from kinds k left join stood r on r.check_id = k.check_id and r.success and r.completed_at <= $since
group by k.check_id
"""
# How far back the window itself looks: to the last run before it that was kept, for trouble that lasts into it, and to the
# last that went wrong, for how long things have been well since.
_NEARER = """
select r.check_id, r.success_at,
    case when max(expected_at) filter (where outcome in ('on_time', 'late')) is null then '-infinity'::timestamptz
        else least($since, max(expected_at) filter (where outcome in ('on_time', 'late')),
            coalesce(max(expected_at) filter (where outcome not in ('on_time', 'late')), $since)) end as from_at
from reach r left join (
    select check_id, expected_at, outcome from judged join reach using (check_id)
    where expected_at < $since and expected_at >= from_at
        and vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
) using (check_id)
group by r.check_id, r.success_at
"""
# Beside the outcomes: a statement that names its facts twice has all of them written down in between.
_PARDONED = """
select distinct f.check_id, f.version, f.expected_at
from facts f join excuses e on e.check_id = f.check_id and e.since_at <= f.deadline_at
    and coalesce(e.until_at > f.expected_at, true)
"""
_NEAR_FACTS = """
select f.* from facts f join nearer n using (check_id) where f.expected_at >= n.from_at or f.deadline_at >= n.success_at
"""
_LATELY = """
select check_id, count(r.check_id) from kinds left join (from stood where completed_at >= $since) r using (check_id)
group by check_id order by check_id
"""
_RECENTLY = """
select check_id, count(r.check_id) from kinds left join recent r using (check_id) group by check_id order by check_id
"""
_DOWNS = """
select * from downs_ever where since_at < $until and (until_at is null or until_at > $since)
order by check_id, since_at
"""
_OCCURRENCES = """
select * from recent where expected_at >= $since and expected_at < $until
"""
_RUNS = """
select check_id, run_id, started_at, completed_at, duration_s,
    case when completed_at is not null then case when success then 'success' else 'fail' end
        when abandoned_at is not null then 'abandoned' else 'open' end as result,
    exit_status,
    coalesce(case when completed_at is not null then completed_at > limit_at
        when abandoned_at is not null then abandoned_at > limit_at else limit_at <= $as_of end, false) as overran,
    expected_at, seq
from now_runs
where coalesce(completed_at, started_at) >= $since and coalesce(completed_at, started_at) < $until
order by check_id, seq
"""
_VISIBLE = """
select o.* from store.occurrences o join reach r using (check_id)
where o.expected_at >= r.facts_at
    and case when o.closed_at is null then o.window_start_at else o.closed_at end <= $as_of
"""
# Runs of rolling schedules that had not completed by then lie where they started, not where they ended.
_MOVED = """
with places as (
    select check_id, version, expected_at, window_start_at, end_at, deadline_at, max_runtime_s, closed_at is not null as rolls
    from visible semi join adrift using (check_id) where end_at is null or window_start_at < end_at
    union all
    select check_id, version, expected_at, window_start_at, end_at, deadline_at, max_runtime_s, rolls from ahead
),
found as (
    select r.check_id, r.seq, r.started_at, p.* exclude (check_id)
    from adrift r asof join (from places where not rolls) p on p.check_id = r.check_id and r.started_at >= p.window_start_at
    where p.end_at is null or r.started_at < p.end_at
    union all
    select r.check_id, r.seq, r.started_at, p.* exclude (check_id)
    from adrift r asof join (from places where rolls) p on p.check_id = r.check_id and r.started_at >= p.window_start_at
    where r.started_at < p.end_at
)
select check_id, seq, version, expected_at,
    case when max_runtime_s is not null then started_at + to_microseconds((max_runtime_s * 1e6)::bigint)
        when end_at is not null then greatest(deadline_at, end_at) end as limit_at
from found qualify row_number() over (partition by check_id, seq order by rolls) = 1
"""
# In flight towards a rolling window that was not there yet, or never ended and after the last stored window. In no
# window the promise in force at its start limits a run.
_ADRIFT = """
select r.check_id, r.seq, r.started_at,
    case when r.started_at < v.to_at then r.started_at + to_microseconds((v.max_runtime_s * 1e6)::bigint) end as limit_at
from stood r
join kinds k on k.check_id = r.check_id and k.rolls
left join (from store.occurrences where closed_at > $as_of) w
    on w.check_id = r.check_id and w.version = r.version and w.expected_at = r.expected_at
asof left join promises v on v.check_id = r.check_id and r.started_at >= v.from_at
where r.completed_at is null and (r.expected_at is null or w.check_id is not null)
"""
_WINDOW = """check_id, version, expected_at, window_start_at, end_at, deadline_at, gap_s, max_runtime_s, anchored, closed_at"""


def _facts(con: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
    """`facts`: stored rows that look the same at `as_of`, and the others derived again."""
    _view(con, "visible", _VISIBLE, as_of=as_of)
    _run(con, "adrift", _ADRIFT, as_of=as_of)
    _run(con, "moved", _MOVED)
    _view(con, "now_runs", _NOW_RUNS)
    con.execute(
        f"""
        create or replace temp table windows as
        select {_WINDOW} from visible v where v.last_event_at > $as_of
            or (check_id, version, expected_at) in (select (check_id, version, expected_at) from moved)
        union all
        select {_WINDOW} from ahead
        """,  # noqa: S608 - a list of columns
        {"as_of": as_of},
    )
    con.execute(
        "create or replace temp table seen as from now_runs semi join windows using (check_id, version, expected_at)"
    )
    con.execute(
        f"""
        create or replace temp table rederived as {tables.sql_of("facts")}
        """
    )
    con.execute(
        """
        create or replace temp view facts as
        select * from visible anti join windows using (check_id, version, expected_at)
        union all by name from rederived
        """
    )


def _run_by_groups(
    con: duckdb.DuckDBPyConnection, name: str, counts: Sequence[tuple[int, int]], **params: datetime
) -> None:
    """What the statement of this name makes of the checks in `asked`, for some million of their rows at a time.

    It sorts them. `counts` has each check and its rows.
    """
    for number, group in enumerate(_groups(counts)):
        tables.put(con, "asked", pa.table({"check_id": pa.array(group, pa.int32())}))
        begin = f"insert into {name}" if number else f"create or replace temp table {name} as"
        con.execute(f"{begin} {tables.sql_of(name)}", params)


def _rows(con: duckdb.DuckDBPyConnection, select: str, **params: datetime) -> list[tuple[int, int]]:
    return con.execute(select, params).fetchall()


def _groups(counts: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Checks that have up to `SORTED` rows together, or one that has more; at least one group."""
    group: list[int] = []
    room = SORTED
    for check, rows in counts:
        if group and room < rows:
            yield group
            group, room = [], SORTED
        group.append(check)
        room -= rows
    yield group


def _ahead(
    con: duckdb.DuckDBPyConnection,
    promised: Mapping[int, Sequence[Version]],
    spans: Mapping[int, Sequence[tuple[int, int]]],
    firsts: Mapping[int, int | None],
    as_of_us: int,
) -> tuple[pa.Table, pa.Table]:
    """Windows up to as_of that are not stored, and per check the next expected time after it."""
    stored = con.execute(
        "select l.check_id, epoch_us(l.horizon_at) from store.ledger l semi join kinds using (check_id)"
    ).fetchall()
    horizons = dict(stored)
    reach = dict(con.execute("select check_id, epoch_us(greatest(facts_at, '1900-01-01')) from reach").fetchall())
    anchors = _anchors(con, spans)
    parts: list[pa.Table] = []
    coming: list[tuple[int, int, int]] = []
    for check, versions in promised.items():
        if firsts.get(check) is None:
            since = reach[check]
        else:
            horizon = horizons.get(check)
            since = FOREVER_US if horizon is None else max(horizon, reach[check])
        nexts: list[int] = []
        if since < FOREVER_US:
            windows, _ = fixed_windows(versions, since, as_of_us)
            parts.append(_with_rolls(tables.windows_table(check, versions, windows), rolls=False))
        _, after = fixed_windows(versions, as_of_us + 1, as_of_us)
        if after is not None:
            nexts.append(after)
        for number, (a, b) in enumerate(spans[check]):
            anchor = anchors.get((check, number))
            if anchor is not None and a <= as_of_us:
                rolling, ahead = trailing_windows(versions, a, b, anchor, as_of_us)
                parts.append(_with_rolls(tables.windows_table(check, versions, rolling), rolls=True))
                if ahead is not None:
                    nexts.append(ahead)
        if nexts:
            version = in_force(versions, min(nexts))
            coming.append((check, min(nexts), min(nexts) + (0 if version is None else version.grace_us)))
    empty = _with_rolls(tables.WINDOWS_SCHEMA.empty_table(), rolls=False)
    upcoming = pa.table(
        [
            pa.array([c[0] for c in coming], type=pa.int32()),
            tables.instants([c[1] for c in coming]),
            tables.instants([c[2] for c in coming]),
        ],
        names=["check_id", "expected_at", "deadline_at"],
    )
    return pa.concat_tables([empty, *parts]), upcoming


def _anchors(
    con: duckdb.DuckDBPyConnection, spans: Mapping[int, Sequence[tuple[int, int]]]
) -> dict[tuple[int, int], int]:
    """The last completion within each chain of the rolling checks, by (check, place of the chain)."""
    out: dict[tuple[int, int], int] = {}
    rows = con.execute(
        """
        select s.check_id, epoch_us(s.since_at), epoch_us(max(r.completed_at))
        from promised_spans s join kinds k on k.check_id = s.check_id and k.rolls
        join stood r on r.check_id = s.check_id and r.completed_at >= s.since_at
            and (s.until_at is null or r.completed_at < s.until_at)
        group by all
        """
    ).fetchall()
    for check, since, last in rows:
        for number, (a, _) in enumerate(spans[check]):
            if a == since:
                out[check, number] = last
    return out


def _with_rolls(table: pa.Table, *, rolls: bool) -> pa.Table:
    return table.append_column("rolls", pa.array([rolls] * table.num_rows, type=pa.bool_()))


def _watched(versions: Sequence[Version], paused: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where a check can be down: its chains, and the time before its first promise, when failures are all there is."""
    first = versions[0].from_us if versions else FOREVER_US
    before = chains([Version(-FOREVER_US, first)], paused) if first > -FOREVER_US else []
    return before + chains(versions, paused)


def _kinds(
    promised: Mapping[int, Sequence[Version]], paused: Mapping[int, Sequence[tuple[int, int]]], as_of_us: int
) -> pa.Table:
    """Whether a check rolls, and whether nothing is promised at as_of: paused, or every promise so far has ended."""
    rows = []
    for check, versions in promised.items():
        begun = any(v.from_us <= as_of_us for v in versions)
        resting = any(a <= as_of_us < b for a, b in paused.get(check, ()))
        ended = begun and in_force(versions, as_of_us) is None
        rows.append((check, any(v.kind == "interval" for v in versions), resting or ended))
    return pa.table(
        [
            pa.array([r[0] for r in rows], type=pa.int32()),
            pa.array([r[1] for r in rows], type=pa.bool_()),
            pa.array([r[2] for r in rows], type=pa.bool_()),
        ],
        names=["check_id", "rolls", "paused"],
    )


def _begins(promised: Mapping[int, Sequence[Version]], firsts: Mapping[int, int | None]) -> pa.Table:
    rows = []
    for check, versions in promised.items():
        # One without a date holds from the first ping on, whatever was stated of later times.
        stated = [v.stated_from_us for v in versions]
        known = [us for us in (firsts.get(check) if None in (stated or [None]) else None, *stated) if us is not None]
        rows.append((check, min(known, default=FOREVER_US)))
    return pa.table(
        [pa.array([r[0] for r in rows], type=pa.int32()), tables.instants([r[1] for r in rows])],
        names=["check_id", "first_at"],
    )


def _merged(
    check_ids: Iterable[int], *sources: Mapping[int, Sequence[tuple[int, int]]]
) -> dict[int, list[tuple[int, int]]]:
    """The union of spans per check, sorted and disjoint."""
    out: dict[int, list[tuple[int, int]]] = {}
    for check in check_ids:
        joined: list[tuple[int, int]] = []
        for a, b in sorted(span for source in sources for span in source.get(check, ())):
            if joined and a <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], b))
            else:
                joined.append((a, b))
        if joined:
            out[check] = joined
    return out


def _run(con: duckdb.DuckDBPyConnection, name: str, select: str, **params: datetime) -> None:
    con.execute(f"create or replace temp table {name} as {select}", params)


def _view(con: duckdb.DuckDBPyConnection, name: str, select: str, **params: datetime) -> None:
    """A view cannot hold parameters, so its instants stand in it as numbers."""
    for parameter, at in params.items():
        select = select.replace(f"${parameter}", f"make_timestamptz({micros(at)})")
    con.execute(f"create or replace temp view {name} as {select}")
