"""What `qpa doctor` says of channels: whether they are described well, and whether messages arrive. Nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.cli.seen import Seen
from qpanalytics.errors import QpaError

if TYPE_CHECKING:
    from qpanalytics.settings import Settings

#: Messages given up longer ago than this are history.
RECENT = timedelta(days=7)


def channels(settings: Settings, folder: Path, store: Path, clock: datetime) -> Iterator[Seen]:
    """A line for each channel, for each route or digest to one that is not there, and for messages that were given up."""
    from qpanalytics.alerts import open_channel
    from qpanalytics.alerts.digests import groups
    from qpanalytics.policy.routing import WORTH_A_PAGE

    for table in settings.channel:
        try:
            open_channel(table, os.environ, folder, lambda: clock).close()
        except QpaError as error:
            yield Seen("bad", f"channels: {error}")
        else:
            yield Seen("ok", f"channels: {table.name}, {table.kind}; try it: qpa alert test {table.name}")
    known = {table.name: table for table in settings.channel}
    for number, route in enumerate(settings.route, 1):
        for name in (*route.to, *(route.escalate.to if route.escalate else ())):
            goes = f"channels: route[{number}] goes to {spell.quoted(name)}, which"
            if name not in known:
                yield Seen("bad", f"{goes} is no [[channel]]; describe it")
            elif known[name].kind == "email" and not known[name].to:
                yield Seen("bad", f'{goes} has no to; add to = ["ops@example.com"]')
    for severity in WORTH_A_PAGE if settings.route else ():
        if not any(severity in (route.severity or WORTH_A_PAGE) for route in settings.route):
            yield Seen("note", f"channels: no [[route]] is for severity {severity}, so nobody is told of such alerts")
    try:
        groups(settings)
    except QpaError as error:
        yield Seen("bad", f"channels: {error}")
    try:
        yield from _deliveries(store, clock)
    except QpaError as error:
        yield Seen("bad", f"channels: {error}")


def _deliveries(store: Path, clock: datetime) -> Iterator[Seen]:
    from qpanalytics.alerts.ledger import troubles
    from qpanalytics.store.state import State

    path = State.path_beside(store)
    if not path.exists():
        return
    with State(path) as state:
        for name, count, why in troubles(state, clock - RECENT):
            many = spell.plural(count, "message")
            yield Seen("bad", f"channels: {many} to {name} given up in the last 7 days; the last: {why} See: qpa deliveries")
