"""The table of incidents: what the engine said became of each, for those who ask later, and what people ask of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from qpanalytics.errors import UsageError
from qpanalytics.instants import instant, micros
from qpanalytics.policy import events
from qpanalytics.policy.changes import Incident, IncidentChange
from qpanalytics.spell import plural, quoted
from qpanalytics.watch import daily

if TYPE_CHECKING:
    from qpanalytics.store.state import State


def record(con: sqlite3.Connection, changes: Iterable[IncidentChange]) -> None:
    """Writes how each incident stands after these changes, the last word on each."""
    last: dict[str, Incident] = {}
    for change in changes:
        last[change.incident.incident] = change.incident
    for name, incident in last.items():
        con.execute(
            "insert or replace into incidents values (?, ?, ?, ?, ?)",
            [name, incident.opened_at, incident.resolved_at, incident.acked_at, json.dumps(asdict(incident))],
        )


def forget(con: sqlite3.Connection, before: datetime) -> None:
    """Drops what ended before an instant."""
    con.execute("delete from incidents where resolved_us < ?", [micros(before)])


def read(state: State, *, since: datetime | None = None, until: datetime | None = None) -> list[Incident]:
    """Incidents that were open at some time in [since, until), the latest first."""
    with state.reading() as con:
        rows = con.execute(
            "select said from incidents where (? is null or opened_us < ?) "
            "and (? is null or resolved_us is null or resolved_us >= ?) order by opened_us desc, incident",
            [*_twice(until), *_twice(since)],
        ).fetchall()
    return [Incident.heard(json.loads(said)) for (said,) in rows]


def find(state: State, asked: str) -> Incident:
    """The incident of this id, or whose id alone begins so. UsageError where there is none, or more than one."""
    with state.reading() as con:
        rows = con.execute("select said from incidents").fetchall()
    known = [Incident.heard(json.loads(said)) for (said,) in rows]
    fitting = [one for one in known if one.incident == asked]
    fitting = fitting or [one for one in known if asked and one.incident.startswith(asked)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{quoted(asked)} is the beginning of {plural(len(fitting), 'incident')}; give more of it")
    raise UsageError(f"there is no incident {quoted(asked)}; see: qpa incidents")


# What people ask ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """What somebody asked of an incident: `ack`, `snooze` (until an instant) or `resolve`."""

    what: str
    incident: str
    until_us: int | None = None
    by: str = ""


def ask(state: State, order: Order, at: datetime) -> None:
    """Leaves an order for the watcher, and shows what it asks at once in the table."""
    us = micros(at)
    with state.transaction() as con:
        con.execute("insert into orders (at_us, said) values (?, ?)", [us, json.dumps(asdict(order))])
        row = con.execute("select said from incidents where incident = ?", [order.incident]).fetchone()
        if row is None:
            return
        incident = Incident.heard(json.loads(row[0]))
        if order.what == "ack":
            incident = replace(incident, acked_at=us, acked_by=order.by)
        elif order.what == "snooze":
            incident = replace(incident, snoozed_until=order.until_us)
        else:
            incident = replace(incident, resolved_at=us, why="closed")
        con.execute(
            "update incidents set said = ?, acked_us = ?, resolved_us = ? where incident = ?",
            [json.dumps(asdict(incident)), incident.acked_at, incident.resolved_at, order.incident],
        )


def asked(con: sqlite3.Connection) -> tuple[list[events.Event], int]:
    """The orders of people and the daily facts that wait, as events, and the number of the last one."""
    out: list[events.Event] = []
    last = 0
    for number, at, said in con.execute("select number, at_us, said from orders order by number"):
        last = number
        values = json.loads(said)
        if "fact" in values:
            out += [told] if (told := daily.event(values, at)) is not None else []
            continue
        order = Order(**values)
        if order.what == "ack":
            out.append(events.Acked(order.incident, at, order.by))
        elif order.what == "snooze":
            out.append(events.Snoozed(order.incident, at, order.until_us or at, order.by))
        else:
            out.append(events.Closed(order.incident, at, order.by))
    return out, last


def taken(con: sqlite3.Connection, up_to: int) -> None:
    """Forgets orders that were carried out."""
    con.execute("delete from orders where number <= ?", [up_to])


def _twice(at: datetime | None) -> tuple[int | None, int | None]:
    us = None if at is None else micros(at)
    return us, us


def moment(us: int | None) -> datetime | None:
    """An instant of an incident as a time."""
    return None if us is None else instant(us)
