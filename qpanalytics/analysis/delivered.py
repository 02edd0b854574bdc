"""What the state file knows of incidents and of the messages about them, as of an instant."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import NamedTuple

from qpanalytics.policy.changes import Incident

#: Since this schema the state has incidents.
SCHEMA = 4


class Message(NamedTuple):
    """One message to one channel. Instants are epoch microseconds; `sent_at` None: not taken, `ended_at` of its last try."""

    incident: str | None
    channel: str
    event: str
    state: str
    made_at: int
    sent_at: int | None
    ended_at: int | None
    why: str


_MESSAGES = """
    with of as (
        select message, max(try) as last, max(ended_us) filter (where status = 'sent') as sent_us, max(ended_us) as ended_us
        from tries where message is not null group by message
    )
    select o.incident, o.channel, o.event, o.state, o.made_us, of.sent_us, of.ended_us, coalesce(t.why, '')
    from outbox o left join of using (message) left join tries t on t.try = of.last
    where o.made_us <= ? and (
        o.made_us >= ? or o.incident in (select incident from incidents where coalesce(resolved_us, ?) >= ?)
    )
    order by o.message
"""


def first_opened(con: sqlite3.Connection) -> int | None:
    """When the first incident opened that is known."""
    found: int | None = con.execute("select min(opened_us) from incidents").fetchone()[0]
    return found


def incidents_of(con: sqlite3.Connection, from_us: int, as_of: int) -> list[Incident]:
    """Those that were open at some time in [from_us, as_of], the latest first, as they stood at its end."""
    rows = con.execute(
        "select said from incidents where opened_us <= ? and coalesce(resolved_us, ?) >= ? order by opened_us desc, incident",
        [as_of, as_of, from_us],
    )
    return [_as_of(Incident.heard(json.loads(said)), as_of) for (said,) in rows]


def _as_of(one: Incident, as_of: int) -> Incident:
    if one.resolved_at is not None and one.resolved_at > as_of:
        one = replace(one, resolved_at=None, why="")
    return replace(one, acked_at=None) if one.acked_at is not None and one.acked_at > as_of else one


def messages_of(con: sqlite3.Connection, from_us: int, as_of: int) -> list[Message]:
    """Those of that time, and all of these incidents; with what was known of them at its end."""
    found = []
    for row in con.execute(_MESSAGES, [as_of, from_us, as_of, from_us]):
        message = Message(*row)
        if message.ended_at is not None and message.ended_at > as_of:  # its end was not known yet
            message = message._replace(state="waiting", sent_at=None, ended_at=None)
        found.append(message)
    return found
