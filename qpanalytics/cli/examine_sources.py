"""What `qpa doctor` looks at of live sources: can they be asked, are they asked often enough, do they agree with us."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from qpanalytics import spell
from qpanalytics.cli.seen import Seen
from qpanalytics.errors import QpaError
from qpanalytics.instants import TICK, instant, micros

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.settings import Settings, SourceTable
    from qpanalytics.sources.base import SeenCheck, Snapshot
    from qpanalytics.store.db import Store

#: A server's clock that differs by more moves runs over their deadlines.
CLOCKS_DIFFER_S = 5.0
#: How far back, and of how many checks of a source, the server's own record of downs is compared with ours.
COMPARED = timedelta(days=7)
COMPARED_CHECKS = 5
#: What is said of single queues of one source.
MOST_NOTES = 5
#: A server finds a time-out by looking now and then, and cuts times to seconds.
SAME_DOWN_US = 5_000_000


def sources(settings: Settings, folder: Path, store: Store, clock: datetime) -> Iterator[Seen]:
    """Each source of the configuration: a question to it, its last look, the pace that it needs."""
    live = settings.source
    history = _history(store, settings, clock) if store.exists() else None
    for table in live:
        yield from _asked(table, folder, history, clock)
    yield from _looks(live, store, clock)
    if history is not None:
        yield from _pace(history, settings)


def _history(store: Store, settings: Settings, clock: datetime) -> History:
    from qpanalytics.history import DEFAULT_WINDOW, History, resolve_as_of

    at, _ = resolve_as_of(store, now=clock)
    return History(
        store, as_of=at, since=at - DEFAULT_WINDOW, until=at + TICK, maintenance=tuple(settings.maintenance)
    )


def _asked(table: SourceTable, folder: Path, history: History | None, clock: datetime) -> Iterator[Seen]:
    """Whether the source answers, and what it may tell."""
    from qpanalytics.cli.options import now
    from qpanalytics.sources import open_configured
    from qpanalytics.sources.base import SnapshotSource, TailSource

    name = spell.plain(table.name)
    try:
        source = open_configured(table, os.environ, folder, now)
        try:
            if isinstance(source, SnapshotSource):
                yield from _shown(name, source.snapshot({}))
                return
            if isinstance(source, TailSource):
                yield Seen("ok", f"source {name}: it can be read, with {spell.plural(len(source.files()), 'file')}")
                return
            seen = source.checks()
            yield Seen("ok", f"source {name}: it answers, with {spell.plural(len(seen), 'check')}")
            unread = [c for c in seen if c.why]
            if unread:
                yield Seen("note", f"source {name}: {spell.plain(unread[0].label)}: {unread[0].why}")
            if history is not None and hasattr(source, "flips"):
                yield from _compared(name, source, seen, history, clock)
        finally:
            source.close()
    except QpaError as error:
        yield Seen("bad", f"source {name}: {str(error).removeprefix(f'{name}: ')}")


def _shown(name: str, seen: Snapshot) -> Iterator[Seen]:
    """What one look at queues and workers shows, and whose clock is off."""
    queues = sum(q.queue != "*" for q in seen.queues)
    grade: Literal["ok", "note"] = "ok" if queues or seen.workers else "note"
    shown = f"{spell.plural(queues, 'queue')} and {spell.plural(len(seen.workers), 'worker')}"
    silent = [w for w in seen.workers if w.state in ("stale", "gone")]
    yield Seen(grade, f"source {name}: it answers, with {shown}")
    if silent:
        more = f" and {len(silent) - 1} more" if silent[1:] else ""
        yield Seen("note", f"source {name}: worker {spell.plain(silent[0].worker)} is {silent[0].state}{more}")
    for note in seen.notes[:MOST_NOTES]:
        yield Seen("note", f"source {name}: {spell.plain(note)}")
    if len(seen.notes) > MOST_NOTES:
        yield Seen("note", f"source {name}: and {len(seen.notes) - MOST_NOTES} more")
    if seen.offset_s is not None:
        yield from _clock(name, seen.offset_s)


def _clock(name: str, offset_s: float) -> Iterator[Seen]:
    if abs(offset_s) > CLOCKS_DIFFER_S:
        way = "ahead of" if offset_s > 0 else "behind"
        yield Seen("note", f"source {name}: its clock is {spell.duration(abs(offset_s))} {way} this one. Set either")


def _compared(
    name: str, source: Any, seen: Sequence[SeenCheck], history: History, clock: datetime
) -> Iterator[Seen]:
    """The server's own record of downs beside ours. It also flips when somebody pauses, and misses what its loop slept
    through, so a difference is something to look at, not a mistake."""
    since = history.as_of - COMPARED
    known = {row.key: row for row in history.checks.itertuples() if row.source == source.name}
    chosen = [c for c in seen if c.key in known and not c.paused][:COMPARED_CHECKS]
    with history.connection() as con:
        rows = con.execute("select c.key, epoch_us(d.since_at) from downs_ever d join checks c using (check_id)").fetchall()
    theirs = ours = 0
    differ: list[tuple[str, datetime]] = []
    for check in chosen:
        mine = [us for key, us in rows if key == check.key]
        went_down = [f.at for f in source.flips(check, since) if not f.up and since <= f.at <= history.as_of]
        theirs += len(went_down)
        for at in went_down:
            if any(abs(us - micros(at)) <= SAME_DOWN_US for us in mine):
                ours += 1
            else:
                differ.append((str(known[check.key].check), at))
    if differ:
        check_name, at = differ[0]
        yield Seen(
            "note",
            f"source {name}: of {spell.plural(theirs, 'time')} that it turned one of {spell.plural(len(chosen), 'check')} off in "
            f"the last week, we have {ours} as a down. Look at {spell.plain(check_name)} around {spell.iso(at)}: a pause, or a "
            "ping on the border",
        )
    elif theirs:
        yield Seen("ok", f"source {name}: the {spell.plural(theirs, 'down')} that it saw in the last week are ours, too")


def _looks(live: Iterable[SourceTable], store: Store, clock: datetime) -> Iterator[Seen]:
    """How the last look at each source went, what waits to be stored, and whose clock is off."""
    from qpanalytics.sources import SNAPSHOTS
    from qpanalytics.store.state import State

    path = State.path_beside(store.path)
    if not path.exists():
        yield Seen("note", "sources: nothing was collected yet. Next: qpa collect")
        return
    last: dict[str, tuple[datetime, str]] = {}
    if store.exists():
        with store.read() as con:
            rows = con.execute(
                """
                select source, epoch_us(tried_at), why from store.fetches where kind <> 'file'
                qualify row_number() over (partition by source order by tried_at desc, fetch_id desc) = 1
                """
            ).fetchall()
        last = {source: (instant(us), why) for source, us, why in rows}
    with State(path) as state:
        if waiting := state.waiting():
            yield Seen("note", f"{state.name}: {spell.plural(waiting, 'piece')} wait for the store. Next: qpa collect")
        for table in live:
            name = spell.plain(table.name)
            resting = state.resting(table.name)
            if resting is not None and resting[0] > clock:
                yield Seen("note", f"source {name}: it asked to be left alone until {spell.iso(resting[0])}")
            if table.name in last:
                at, why = last[table.name]
                short = why.removeprefix(f"{name}: ")
                ago = spell.duration(max((clock - at).total_seconds(), 0.0))
                yield Seen("bad" if why else "ok", f"source {name}: last look {ago} ago{f': {short}' if why else ''}")
            if table.kind in SNAPSHOTS:
                continue  # its clock was asked just now
            offsets = [c["offset_s"] for c in state.cursors(table.name).values() if c.get("offset_s") is not None]
            if offsets:
                yield from _clock(name, median(offsets))


def _pace(history: History, settings: Settings) -> Iterator[Seen]:
    """Whether live sources are looked at often enough, before it costs a ping."""
    from qpanalytics.analysis.pace import pace

    planned = {table.name: table.every for table in settings.source}
    for name, rows in pace(history).groupby("source", sort=True):
        fastest = rows.iloc[0]
        need_s = float(fastest["fills_s"])
        looked = [float(s) for s in (fastest["every_s"], planned.get(str(name))) if s is not None and s == s]
        every_s = max(looked, default=0.0)
        grade: Literal["ok", "note", "bad"] = "bad" if every_s > need_s else "note" if every_s > need_s / 2 else "ok"
        now = "" if grade == "ok" else f"; it is looked at every {spell.duration(every_s)}"
        yield Seen(
            grade,
            f"source {spell.plain(str(name))}: collect every {spell.duration(_floor(need_s))} or faster, or "
            f"{spell.plain(str(fastest['check']))} loses pings (the source shows its last "
            f"{spell.number(int(fastest['reply_rows']))}){now}",
        )


def _floor(seconds: float) -> float:
    """Rounded down to what people set a timer to."""
    step = 1 if seconds < 120 else 60 if seconds < 7200 else 3600 if seconds < 2 * 86400 else 86400
    return max(seconds // step * step, 1.0)
