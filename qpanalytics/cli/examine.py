"""What `qpa doctor` looks at: configuration, store, clock, data. Each finding says what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from qpanalytics import spell
from qpanalytics.cli.options import Asked
from qpanalytics.cli.seen import Seen
from qpanalytics.errors import QpaError
from qpanalytics.instants import TICK, instant

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.settings import Settings
    from qpanalytics.store.db import Store

#: With less room than this an import may not fit.
LITTLE_ROOM = 200 * 2**20
#: Clocks of two machines differ; a ping this far ahead of ours is more than that.
CLOCKS_DIFFER = timedelta(minutes=2)
#: A file that ended so long ago says nothing of the present.
STALE = timedelta(days=2)


def examine(asked: Asked, clock: datetime) -> Iterator[Seen]:
    """Everything that can be examined; what is broken ends the part that needs it, never with an exception."""
    try:
        settings = asked.settings()
    except QpaError as error:
        yield Seen("bad", f"configuration: {error}")
        return
    described = spell.plural(len(settings.check), "check")
    yield Seen("ok", f"configuration: {described} described, {spell.plural(len(settings.source), 'source')}")
    yield from _clock(clock)
    store = asked.store(settings)
    if settings.channel or settings.route or settings.report.send:
        from qpanalytics.cli.examine_channels import channels

        yield from channels(settings, asked.folder, store.path, clock)
    if settings.source:
        from qpanalytics.cli.examine_watch import watched

        yield from watched(settings, store.path, clock)
    try:
        yield from _store(store)
        if store.exists():
            yield from _data(store, settings, clock)
    except QpaError as error:
        yield Seen("bad", f"store: {error}")
        return
    if settings.source:
        from qpanalytics.cli.examine_sources import sources

        yield from sources(settings, asked.folder, store, clock)


def _clock(clock: datetime) -> Iterator[Seen]:
    if clock.year < 2026:
        yield Seen("bad", f"clock: it says {spell.iso(clock)}, before this program was made. Set the clock")
    else:
        yield Seen("ok", f"clock: {spell.iso(clock)}")


def _store(store: Store) -> Iterator[Seen]:
    folder = store.path.resolve().parent
    if not store.exists():
        yield Seen("note", f"store: none at {store.name} yet. Make one with: qpa import FILE --checks FILE")
        return
    size = store.path.stat().st_size
    free = shutil.disk_usage(folder).free
    grade: Literal["ok", "bad"] = "bad" if free < LITTLE_ROOM else "ok"
    todo = ". Make room on that disk" if grade == "bad" else ""
    yield Seen(grade, f"store: {store.name}, {size / 2**20:.1f} MB; {free / 2**30:.1f} GB free{todo}")
    if not os.access(store.path, os.W_OK) or not os.access(folder, os.W_OK):
        yield Seen("note", f"store: {store.name} or its folder cannot be written; it can be asked, but takes nothing new")


def _data(store: Store, settings: Settings, clock: datetime) -> Iterator[Seen]:
    from qpanalytics.history import DEFAULT_WINDOW, History

    with store.read() as con:
        row = con.execute(
            """
            select (select count(*) from store.checks), (select count(*) from store.pings),
                (select epoch_us(max(received_at)) from store.pings),
                (select epoch_us(max(until_at)) from store.fetches where kind <> 'snapshot'),
                (select count(distinct (source, queue)) filter (where queue <> '*') from store.queue_snapshots),
                (select count(distinct (source, worker)) from store.worker_snapshots)
            """
        ).fetchone()
    checks, pings, *seen, queues, workers = row or (0, 0, None, None, 0, 0)
    if queues or workers:
        yield Seen("ok", f"data: {spell.plural(queues, 'queue')}, {spell.plural(workers, 'worker')}")
    # DuckDB gives aware times only to those who have pytz
    last, vouched = (None if us is None else instant(us) for us in seen)
    if not checks and not queues and not workers:
        yield Seen("note", "data: the store is empty. Fill it with: qpa import FILE --checks FILE")
        return
    if not checks:
        return
    yield Seen("ok", f"data: {spell.plural(checks, 'check')}, {spell.plural(pings, 'ping')}")
    if last is not None and last > clock + CLOCKS_DIFFER:
        yield Seen(
            "bad",
            f"clock: the last ping is dated {spell.duration((last - clock).total_seconds())} from now. Set this clock, "
            "or look where those pings come from",
        )
    if vouched is not None and clock - vouched > STALE:
        yield Seen(
            "note",
            f"data: nothing was seen after {spell.iso(vouched)}, {spell.duration((clock - vouched).total_seconds())} ago. "
            "Import what came since",
        )
    at = min(clock, vouched) if vouched is not None else clock
    history = History(
        store, as_of=at, since=at - DEFAULT_WINDOW, until=at + TICK, maintenance=tuple(settings.maintenance)
    )
    yield from _promises(history)
    yield from _maintenance(history, settings)
    yield from _followed(history, settings)


def _maintenance(history: History, settings: Settings) -> Iterator[Seen]:
    """Maintenance that is meant for nobody is a name mistyped."""
    checks = list(history.checks[["check", "tags"]].itertuples(index=False))
    for number, maintenance in enumerate(settings.maintenance, 1):
        if not any(maintenance.covers(check, tags) for check, tags in checks):
            meant = spell.plain(", ".join((*maintenance.checks, *maintenance.tags)))
            yield Seen("note", f"configuration: maintenance[{number}] is for {meant}, which no check is; see: qpa checks")


def _followed(history: History, settings: Settings) -> Iterator[Seen]:
    """A check that is to wait for one that is not there waits for nobody."""
    known = {*history.checks["check"], *(entry.check for entry in settings.check)}
    for number, entry in enumerate(settings.check, 1):
        if entry.after is not None and entry.after not in known:
            after = f"check[{number}] {spell.quoted(entry.check)} is after {spell.quoted(entry.after)}"
            yield Seen("note", f"configuration: {after}, which is no check, so it follows nobody; see: qpa checks")


def _promises(history: History) -> Iterator[Seen]:
    from qpanalytics.ledger import tables

    frame = history.checks
    bare = frame.loc[frame["schedule"].isna(), "check"]
    if len(bare):
        yield Seen(
            "note",
            f"data: {_named(bare)} no schedule, so no runs are expected of it; describe it in [[check]] or a check file",
        )
    never = frame.loc[frame["last_ping_at"].isna(), "check"]
    if len(never):
        yield Seen("note", f"data: {_named(never)} never pinged; is the name the one that its pings carry?")
    with history.connection() as con:
        blind = con.sql(
            "select c.check_name as name from telling t join checks c using (check_id) where t.cannot_tell order by 1"
        ).to_arrow_table()
        versions = tables.promises(con, tables.first_pings(con))
        names = dict(con.execute("select check_id, check_name from checks").fetchall())
    told = blind.column("name").to_pylist()
    if told:
        yield Seen(
            "note",
            f"data: {_named(told)} completions at any time between two ticks, so rate and lateness cannot be told; "
            "a coarser schedule or a start ping helps",
        )
    uneven = [
        names[check]
        for check, promised in versions.items()
        if check in names
        and promised
        and promised[-1].grace_s is None
        and _uneven(promised[-1].schedule, promised[-1].tz)
    ]
    if uneven:
        yield Seen(
            "note",
            f"data: {_named(uneven)} gaps that differ more than threefold and no grace of its own; the default goes by the "
            'shortest gap. Give one: grace = "15 min"',
        )


def _uneven(schedule: str | None, tz: str) -> bool:
    from qpanalytics.ledger.versions import schedule_of

    return schedule is not None and schedule_of(schedule, tz).gaps_differ()


def _named(names: Iterable[object]) -> str:
    """Up to three names and how many more, with the verb `has` or `have`."""
    known = [spell.plain(str(n)) for n in names]
    more = f" and {len(known) - 3} more" if len(known) > 3 else ""
    return f"{', '.join(known[:3])}{more} {'has' if len(known) == 1 else 'have'}"
