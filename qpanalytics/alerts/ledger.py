"""What became of every message: one row a try, newest first, from the state file alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from qpanalytics.alerts.base import heard
from qpanalytics.alerts.told import title
from qpanalytics.instants import instant, micros
from qpanalytics.store.state import State
from qpanalytics.words import Columns

COLUMNS = Columns(
    incident="the incident it was about; missing for digests, summaries and tests",
    channel="the channel of qpa.toml",
    event="`open`, `remind`, `escalate`, `ack`, `resolve`; else `digest`, `summary` or `test`",
    tried_at="when the try began; missing where there has been none yet",
    status="`sent`; `retrying`: not taken, is tried again; `unclear`: no answer, may have arrived; `failed`: not taken and given "
    "up; `unknown`: begun, and nobody knows how it ended; `superseded`: a later word on the incident took its place; `waiting`",
    http_status="what the other side answered, where it speaks HTTP and did answer",
    latency_s="from the begin of the try to its end, seconds",
    attempt="1 for the first try of a message",
    why="reason for everything but `sent`, and what was odd",
    next_at="when the message is tried next; missing where it is not",
    sentence="the title of the message",
)
STATUSES = ("sent", "retrying", "unclear", "failed", "unknown", "superseded", "waiting")

_ROWS = """
    with last as (select message, max(try) as try from tries where message is not null group by message)
    select t.incident, t.channel, t.event, t.began_us, coalesce(t.status, 'unknown'), t.http_status, t.latency_s, t.attempt,
        case when t.ended_us is null and t.why = ''
            then 'begun; it is under way, or the program ended before the answer was known' else t.why end,
        case when o.state = 'waiting' and l.try = t.try then o.next_us end, t.title, t.try
    from tries t left join outbox o using (message) left join last l using (message)
    where t.began_us >= ?
    union all
    select incident, channel, event, null, 'waiting', null, null, 0, '', next_us, said, message
    from outbox where state = 'waiting' and attempts = 0
    order by 4 desc nulls first, 12 desc
"""


def deliveries(
    state: State, *, since: datetime | None = None, channels: Sequence[str] = (), incidents: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """One row a try and one for each message that was not tried yet, with the keys of COLUMNS; newest first."""
    with state.reading() as con:
        rows = con.execute(_ROWS, [0 if since is None else micros(since)]).fetchall()
    found = [dict(zip(COLUMNS, row[:-1], strict=True)) for row in rows]
    wanted = [
        row for row in found if (not channels or row["channel"] in channels) and (not incidents or row["incident"] in incidents)
    ]
    for row in wanted:
        row["tried_at"] = None if row["tried_at"] is None else instant(row["tried_at"])
        row["next_at"] = None if row["next_at"] is None else instant(row["next_at"])
        if row["status"] == "waiting":
            row["sentence"] = title(heard(json.loads(row["sentence"])))
    return wanted


def troubles(state: State, since: datetime) -> list[tuple[str, int, str]]:
    """Channels that gave messages up since an instant: name, how many, and why the last one."""
    with state.reading() as con:
        return con.execute(_TROUBLES, [micros(since)]).fetchall()


_TROUBLES = """
    select channel, count(*), max(why) filter (where newest = 1)
    from (
        select t.channel, t.why, row_number() over (partition by t.channel order by t.try desc) as newest
        from tries t left join outbox o using (message)
        where t.began_us >= ? and (t.status = 'failed' or (t.status = 'unclear' and o.state = 'unclear'))
    )
    group by channel order by channel
"""
