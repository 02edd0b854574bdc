"""`qpa collect`: one look at each live source, and what it saw into the store."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.collect.feed import Fed
    from qpanalytics.collect.run import Look
    from qpanalytics.settings import Settings, SourceTable
    from qpanalytics.store.db import Store
    from qpanalytics.store.state import State

#: How long a collector waits for a store that another program holds, seconds; what it saw is safe meanwhile.
STORE_PATIENCE_S = 5.0
#: And before the looks, where the store is only asked what it has.
GLANCE_PATIENCE_S = 0.2


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("collect")(collect)


def collect(
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only this source of qpa.toml; repeatable.")
    ] = None,
    due: Annotated[
        bool, typer.Option("--due", help="Only sources whose `every` has passed since they were last looked at.")
    ] = False,
    db: Db = None,
    config: Config = None,
) -> None:
    """Look at every live source once, and take what it shows into the store."""
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.run import Collector, agree_on_cursors, is_due
    from qpanalytics.sources import open_configured
    from qpanalytics.store.state import State

    asked = Asked(db=db, config=config)
    settings = asked.settings()
    tables = _wanted(settings, source or [])
    store = _store(settings, db)
    with ExitStack() as open_:
        sources = []
        for table in tables:
            opened = open_configured(table, os.environ, asked.folder, now)
            open_.callback(opened.close)
            sources.append(opened)
        # asked first, so that what is no store is refused before anything is made beside it
        fed_before = _fed(store)
        state = open_.enter_context(State.beside(store.path))
        if fed_before is not None:
            agree_on_cursors(state, fed_before.get(state.identity, 0))
        if due:
            looked = state.looked()
            every = {table.name: table.every for table in tables}
            sources = [s for s in sources if is_due(every[s.name], looked.get(s.name), now())]
        with progress("collecting") as step:
            looks = Collector(state, now, step=step).collect(sources)
        fed, held = _feed(store, state)
    _say(looks, fed, held, state)
    if any(look.why for look in looks):
        raise typer.Exit(3)


def _wanted(settings: Settings, names: Sequence[str]) -> list[SourceTable]:
    from qpanalytics.errors import ConfigError, UsageError
    from qpanalytics.spell import quoted

    live = settings.source
    if not live:
        raise ConfigError("qpa.toml has no [[source]] to collect from; `qpa init` shows one, or take files: qpa import FILE")
    for name in names:
        if name not in {table.name for table in live}:
            raise UsageError(f"--source {quoted(name)} is not in qpa.toml; there is {', '.join(t.name for t in live)}")
    return [table for table in live if not names or table.name in names]


def _store(settings: Settings, db: object) -> Store:
    from pathlib import Path

    from qpanalytics.store.db import Store

    return Store(db if isinstance(db, Path) else settings.store.path, patience_s=STORE_PATIENCE_S)


def _fed(store: Store) -> dict[str, int] | None:
    """The last piece that the store got of each state file; None while it is held: then a later look will see."""
    from qpanalytics.errors import StoreBusy
    from qpanalytics.store.db import Store

    if not store.exists():
        return {}
    try:
        with Store(store.path, patience_s=GLANCE_PATIENCE_S).read() as con:
            return dict(con.execute("select state, max(piece) from store.fed group by state").fetchall())
    except StoreBusy:
        return None


def _feed(store: Store, state: State) -> tuple[Fed | None, str]:
    """What went into the store, or who holds it."""
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.feed import feed
    from qpanalytics.errors import StoreBusy, StoreError

    try:
        with progress("deriving the ledger") as step:
            return feed(store, state, progress=step), ""
    except StoreBusy as busy:
        return None, str(busy)
    except StoreError as error:
        raise StoreError(f"{error} What was seen is safe in {state.name}, and goes in with the next qpa collect.") from None


def _say(looks: Sequence[Look], fed: Fed | None, held: str, state: State) -> None:
    from qpanalytics import spell

    for look in looks:
        if look.why:
            typer.echo(f"qpa: {spell.plain(look.why)}", err=True)  # it names the source
        lost = f", {spell.plural(look.lost, 'ping')} lost before we looked" if look.lost else ""
        lost += f", {spell.plural(look.bad, 'ping')} not readable" if look.bad else ""
        failed = f", {spell.plural(look.failed, 'check')} not read" if look.failed else ""
        if look.queues is not None or look.workers is not None:
            seen = f"{spell.plural(look.queues or 0, 'queue')}, {spell.plural(look.workers or 0, 'worker')}"
            typer.echo(f"{spell.plain(look.source)}: {seen}")
            _say_notes(look)
            continue
        asked = f"{spell.plural(look.pings, 'ping')} in {spell.plural(look.asked, 'reply', 'replies')}"
        if look.checks or not look.why:
            typer.echo(f"{spell.plain(look.source)}: {spell.plural(look.checks, 'check')}, {asked}{lost}{failed}")
        _say_notes(look)
    if fed is None:
        typer.echo(f"qpa: {held} Nothing is lost: it waits in {state.name} for the next qpa collect.", err=True)
    elif fed.pings or fed.checks or any(look.queues is None for look in looks):
        typer.echo(f"{spell.plural(fed.pings, 'new ping')}; {spell.plural(fed.checks, 'check')} derived")


def _say_notes(look: Look) -> None:
    from qpanalytics import spell

    for note in look.notes[:MOST_NOTES]:
        typer.echo(f"qpa: {spell.plain(look.source)}: {spell.plain(note)}", err=True)
    if len(look.notes) > MOST_NOTES:
        see = "qpa coverage" if look.queues is None else "qpa queues --format json"
        typer.echo(f"qpa: {spell.plain(look.source)}: and {len(look.notes) - MOST_NOTES} more; see: {see}", err=True)


#: What is said of single checks of one source; all of it is in `qpa coverage`.
MOST_NOTES = 5
