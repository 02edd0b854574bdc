"""`qpa prune`: forget old pings, keep what became of the runs, and give the space back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, now

if TYPE_CHECKING:
    from qpanalytics.store.db import Store


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("prune")(prune)


def prune(
    keep: Annotated[
        str | None, typer.Option("--keep", help="Keep pings this long: 400d, 26w; default: [store] keep.")
    ] = None,
    db: Db = None,
    config: Config = None,
) -> None:
    """Forget pings older than a limit (their runs and occurrences stay), thin old looks at queues, and give the room back."""
    from datetime import timedelta

    from qpanalytics import spell
    from qpanalytics.errors import StoreError, UsageError
    from qpanalytics.instants import micros
    from qpanalytics.ledger.pruning import prune as forget
    from qpanalytics.store import thinning

    asked = Asked(db=db, config=config)
    settings = asked.settings()
    keep_s = settings.store.keep if keep is None else _seconds(keep)
    store = asked.store(settings)
    looks = _looks(store) if store.exists() else 0
    if keep_s is None and not looks:
        raise UsageError('how long are pings kept? Say --keep 400d, or keep = "400 d" under [store] in qpa.toml')
    if not store.exists():
        raise StoreError(f"there is no store at {store.name}. Make one with: qpa import FILE --checks FILE, or try: qpa demo")
    clock = now()
    before = clock - timedelta(seconds=keep_s or 0)
    with store.write() as con:
        pruned = None if keep_s is None else forget(con, micros(before))
        thinned = thinning.thin(con, clock, everything=True) if looks else 0
    was, is_ = store.compact()
    if looks:
        typer.echo(
            f"{store.name}: {spell.plural(looks - thinned, 'look')} at queues and workers kept, {spell.number(thinned)} older "
            f"than 48 h folded into the ones after them; {_size(was)} before, {_size(is_)} now"
        )
    if pruned is None:
        return
    typer.echo(
        f"{store.name}: {spell.plural(pruned.pings, 'ping')} of {spell.plural(pruned.checks, 'check')} from before "
        f"{spell.iso(before)} folded into their occurrences; {_size(was)} before, {_size(is_)} now"
    )
    for check in pruned.kept[:MOST_NAMES]:
        typer.echo(f"qpa: {spell.quoted(check)} keeps its old pings: no moment near the limit lies between two runs", err=True)
    if len(pruned.kept) > MOST_NAMES:
        typer.echo(f"qpa: and {len(pruned.kept) - MOST_NAMES} more checks keep theirs", err=True)


#: Checks named for keeping their pings.
MOST_NAMES = 5


def _looks(store: Store) -> int:
    """How many rows of queues and workers there are."""
    with store.read() as con:
        sql = "select (select count(*) from store.queue_snapshots) + (select count(*) from store.worker_snapshots)"
        return int(con.execute(sql).fetchall()[0][0])


def _seconds(keep: str) -> float:
    from qpanalytics.errors import UsageError
    from qpanalytics.spell import parse_duration, quoted

    try:
        seconds = parse_duration(keep)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e10:
        raise UsageError(f"--keep {quoted(keep)} is not a stretch of time; for example --keep 400d")
    return seconds


def _size(size: int) -> str:
    from qpanalytics.spell import number

    return f"{number(round(size / 1e6, 1))} MB"
