"""Old looks at queues and workers, kept fewer: the last of each stretch, and what the others showed beside.

All looks of 48 hours, then one for 5 minutes until 30 days, then one an hour. Nothing worth knowing is lost: the kept row
has least, most and mean of what moves in between, counters keep their last value, and how far they moved stands beside
it, so that a counter that began anew between two kept rows is still told from one that stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from qpanalytics.instants import instant, micros

#: From which age on one look is kept for so long a stretch, coarsest last. A coarser one is made of whole finer ones.
STEPS = ((timedelta(hours=48), timedelta(minutes=5)), (timedelta(days=30), timedelta(hours=1)))
MICRO = timedelta(microseconds=1)
#: What is thinned at a time; a whole number of stretches.
PART = timedelta(days=4)
#: How long before a stretch the look may lie that its first step of a counter is counted from.
LEAD = timedelta(hours=26)
#: How often the store is thinned while it is fed.
AT_MOST_EVERY = timedelta(hours=1)
#: In store.settings: when that was last done.
_DONE = "snapshots thinned"


@dataclass(frozen=True)
class Kind:
    """How the rows of one table are made one: figures by what is kept of them beside the last."""

    table: str
    name: str
    least: tuple[str, ...]
    most: tuple[str, ...]
    mean: tuple[str, ...]
    #: Counters: the column, and the one that holds how far it moved.
    gains: tuple[tuple[str, str], ...]
    #: Looks in which something held: the column, and the condition.
    counted: tuple[tuple[str, str], ...]
    last: tuple[str, ...]
    #: Whether the time over which the counters are known and how often they began anew are kept as well.
    timed: bool = False


QUEUES = Kind(
    "queue_snapshots", "queue",
    least=("depth", "active", "delayed", "retrying", "dead"),
    most=("depth", "oldest_age_s", "active", "orphaned", "delayed", "overdue", "retrying", "dead", "failed"),
    mean=("depth", "active"),
    gains=(("processed_total", "processed_gain"), ("failed_total", "failed_gain")),
    counted=(("paused_looks", "paused"),),
    last=(
        "system", "depth", "oldest_at", "oldest_age_s", "oldest_is", "active", "orphaned", "delayed", "overdue", "retrying",
        "dead", "failed", "processed_total", "failed_total", "paused", "why",
    ),
    timed=True,
)  # fmt: skip
WORKERS = Kind(
    "worker_snapshots", "worker",
    least=("busy",), most=("busy", "oldest_running_s"), mean=("busy",),
    gains=(("restarts", "restarts_gain"),),
    counted=(("stale_looks", "state = 'stale'"), ("gone_looks", "state = 'gone'")),
    last=(
        "system", "state", "busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues", "restarts", "why",
    ),
)  # fmt: skip
KINDS = (QUEUES, WORKERS)


def beside(figure: str, what: str) -> str:
    """The column beside a figure: `depth_max`, `oldest_age_max_s`.

    >>> beside("oldest_age_s", "max"), beside("depth", "min")
    ('oldest_age_max_s', 'depth_min')
    """
    return f"{figure[:-2]}_{what}_s" if figure.endswith("_s") else f"{figure}_{what}"


def whole(kind: Kind, rows: str, *, seconds: bool = True) -> str:
    """SQL for the rows of a table with every column said, also of a row that stands for itself alone.

    `rows` is what to read of it (a table, or a select in brackets); the step of a counter needs the row before, so it has
    to hold that as well.
    """
    parts = [f"source, {kind.name}, taken_at", *kind.last, "looks", "coalesce(since_at, taken_at) as since_at"]
    parts += [f"coalesce({beside(f, 'min')}, {f}) as {beside(f, 'min')}" for f in kind.least]
    parts += [f"coalesce({beside(f, 'max')}, {f}) as {beside(f, 'max')}" for f in kind.most]
    parts += [f"coalesce({beside(f, 'mean')}, {f}) as {beside(f, 'mean')}" for f in kind.mean]
    for name, held in kind.counted:
        parts.append(f"case when looks > 1 then {name} else coalesce({held}, false)::integer end as {name}")
    for counter, gain in kind.gains:
        before = f"lag({counter}) over place"
        parts.append(
            f"case when looks > 1 then {gain} when {counter} >= {before} then {counter} - {before} "
            f"when {before} is not null then {counter} end as {gain}"
        )
    if kind.timed:
        counter = kind.gains[0][0]
        before = f"lag({counter}) over place"
        parts.append(
            f"case when looks > 1 then gain_s when {counter} is not null and {before} is not null "
            "then (epoch_us(taken_at) - epoch_us(lag(taken_at) over place)) / 1e6 end as gain_s"
        )
        parts.append(f"case when looks > 1 then resets else coalesce({counter} < {before}, false)::integer end as resets")
    if seconds:
        parts.append("(epoch_us(taken_at) - epoch_us(lag(taken_at) over place)) / 1e6 as step_s")
    return f"select {', '.join(parts)} from {rows} window place as (partition by source, {kind.name} order by taken_at)"  # noqa: S608


def _merged(kind: Kind, rows: str, bucket_us: int) -> str:
    """SQL for one row for each bucket of `rows` (as `whole` makes them), beside the last one what the others showed."""
    parts = [f"source, {kind.name}, max(taken_at) as taken_at"]
    parts += [f"arg_max_null({f}, taken_at) as {f}" for f in kind.last]
    parts += ["sum(looks)::integer as looks", "min(since_at) as since_at"]
    parts += [f"min({beside(f, 'min')}) as {beside(f, 'min')}" for f in kind.least]
    parts += [f"max({beside(f, 'max')}) as {beside(f, 'max')}" for f in kind.most]
    for figure in kind.mean:
        mean = beside(figure, "mean")
        parts.append(f"sum({mean} * looks order by taken_at) / sum(looks) filter (where {mean} is not null) as {mean}")
    parts += [f"sum({name})::integer as {name}" for name, _ in kind.counted]
    parts += [f"sum({gain})::bigint as {gain}" for _, gain in kind.gains]
    if kind.timed:
        parts += ["sum(gain_s order by taken_at) as gain_s", "sum(resets)::integer as resets"]
    by = f"source, {kind.name}, epoch_us(taken_at) // {bucket_us}"
    return f"select {', '.join(parts)} from {rows} group by {by} having count(*) > 1"  # noqa: S608 - our own words


def due(con: duckdb.DuckDBPyConnection, now: datetime) -> bool:
    """Whether the store was not thinned for an hour."""
    row = con.execute("select value from store.settings where name = ?", [_DONE]).fetchone()
    return row is None or not timedelta(0) <= now - instant(int(row[0])) < AT_MOST_EVERY


def thin(con: duckdb.DuckDBPyConnection, now: datetime, *, everything: bool = False) -> int:
    """Thins what has become old since the last time (or `everything`), in the caller's transaction; rows that went."""
    row = con.execute("select value from store.settings where name = ?", [_DONE]).fetchone()
    done = None if row is None or everything else instant(int(row[0]))
    if done is not None and done > now:  # a clock that was set back
        done = None
    gone = 0
    for age, stretch in STEPS:
        # whole stretches only: one that is still filling up would be cut in two
        until = _floor(now - age, stretch)
        since = None if done is None else min(_floor(done - age, stretch), until)
        gone += sum(_thin(con, kind, stretch, since, until) for kind in KINDS)
        _fetches(con, stretch, since, until)
    con.execute("delete from store.settings where name = ?", [_DONE])
    con.execute("insert into store.settings values (?, ?)", [_DONE, str(micros(now))])
    return gone


def again(con: duckdb.DuckDBPyConnection) -> None:
    """Has the next thinning look at everything, because rows came that may be of any age."""
    con.execute("delete from store.settings where name = ?", [_DONE])


def _thin(con: duckdb.DuckDBPyConnection, kind: Kind, stretch: timedelta, since: datetime | None, until: datetime) -> int:
    """One row for each stretch of [since, until), four days at a time so that memory stays flat; the number of rows that went."""
    span = {"until": until, **({} if since is None else {"since": since})}
    within = "taken_at < $until" + ("" if since is None else " and taken_at >= $since")
    parts = con.execute(
        f"""
        select distinct b // {PART // stretch} from (
            select epoch_us(taken_at) // {stretch // MICRO} as b from store.{kind.table} where {within}
            group by source, {kind.name}, b having count(*) > 1
        ) order by 1
        """,  # noqa: S608 - our own words
        span,
    ).fetchall()
    gone = 0
    for (part,) in parts:
        first = instant(int(part) * (PART // MICRO))
        gone += _thin_part(con, kind, stretch, max(first, since or first), min(first + PART, until))
    return gone


def _thin_part(con: duckdb.DuckDBPyConnection, kind: Kind, stretch: timedelta, since: datetime, until: datetime) -> int:
    """One row for each stretch of [since, until) that has several; the number of rows that went."""
    bucket_us = stretch // MICRO
    # The step of a counter needs the look before the first. That is the last of an earlier stretch, so it was kept; what
    # stopped being shown for longer than this lead begins anew.
    rows = whole(kind, f"(from store.{kind.table} where taken_at < $until and taken_at >= $lead)", seconds=False)
    con.execute(
        f"create or replace temp table thinned as {_merged(kind, f'(from ({rows}) where taken_at >= $since)', bucket_us)}",
        {"since": since, "until": until, "lead": since - LEAD},
    )
    # Where a look is the only one of its stretch it stays as it is.
    ((went,),) = con.execute(
        f"""
        delete from store.{kind.table} r using (select distinct source, {kind.name} as it, epoch_us(taken_at) // {bucket_us} as b
            from thinned) t
        where r.taken_at >= $since and r.taken_at < $until
            and r.source = t.source and r.{kind.name} = t.it and epoch_us(r.taken_at) // {bucket_us} = t.b
        """,  # noqa: S608 - our own words
        {"since": since, "until": until},
    ).fetchall()
    con.execute(f"insert into store.{kind.table} by name from thinned order by taken_at, source, {kind.name}")
    ((came,),) = con.execute("select count(*) from thinned").fetchall()
    con.execute("drop table temp.thinned")
    return int(went) - int(came)


def _fetches(con: duckdb.DuckDBPyConnection, stretch: timedelta, since: datetime | None, until: datetime) -> None:
    """Of the looks themselves the last of each stretch that went well, and the last that did not."""
    span: dict[str, Any] = {"until": until, "us": stretch // timedelta(microseconds=1)}
    # by the instant that their rows carry, so that both keep the same looks
    within = "kind = 'snapshot' and coalesce(until_at, tried_at) < $until"
    if since is not None:
        within, span = within + " and coalesce(until_at, tried_at) >= $since", {**span, "since": since}
    con.execute(
        f"""
        delete from store.fetches where fetch_id in (
            select fetch_id from store.fetches where {within}
            qualify row_number() over (
                partition by source, why = '', epoch_us(coalesce(until_at, tried_at)) // $us
                order by coalesce(until_at, tried_at) desc, fetch_id desc
            ) > 1
        )
        """,  # noqa: S608 - one of two constants
        span,
    )


def _floor(at: datetime, stretch: timedelta) -> datetime:
    us = stretch // timedelta(microseconds=1)
    return instant(micros(at) // us * us)
