"""`qpa export`: the store as Parquet, for other engines and other machines; figures for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qpanalytics.cli.options import Asked, AsOf, Config, Db, now, opened


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export")(export)


def export(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to write: new, empty, or an earlier export.", show_default=False)
    ] = None,
    openmetrics: Annotated[
        Path | None, typer.Option("--openmetrics", help="Instead: a file of figures for Prometheus' node exporter (*.prom).")
    ] = None,
    db: Db = None,
    config: Config = None,
    as_of: AsOf = None,
) -> None:
    """Write the store as Parquet, by table, for DuckDB, pandas, Polars, Spark, or `qpa import` on another machine."""
    from qpanalytics.errors import UsageError

    if (folder is None) == (openmetrics is None):
        raise UsageError("name one thing to write: a folder for the whole store, or --openmetrics FILE for figures")
    if folder is None:
        assert openmetrics is not None
        _figures(Asked(db=db, config=config, as_of=as_of), openmetrics)
        return
    if as_of is not None:
        raise UsageError("--as-of goes with --openmetrics: a folder takes the whole store")
    _whole(Asked(db=db, config=config), folder)


def _whole(asked: Asked, folder: Path) -> None:
    from qpanalytics import spell
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.configured import agree
    from qpanalytics.store import export as parquet

    settings = asked.settings()
    store = asked.store(settings)
    agree(store, settings, now=now())
    with progress("writing") as step:
        done = parquet.export(store, folder, progress=step)
    counted = ", ".join(
        spell.plural(done.rows[table], table.removesuffix("s")) for table in ("checks", "pings", "runs", "occurrences")
    )
    size = f"{spell.number(done.bytes / 1e6)} MB" if done.bytes >= 1e5 else f"{spell.number(done.bytes / 1e3)} kB"
    typer.echo(f"{spell.plain(str(folder))}: {counted}; {spell.plural(done.files, 'file')}, {size}")


def _watched(store: Path) -> dict[str, Any]:
    """What the watch of a store says: its open incidents, and when it evaluated last. Nothing where there is none."""
    from collections import Counter

    from qpanalytics.store.state import State
    from qpanalytics.watch.incidents import read
    from qpanalytics.watch.told import overview

    if not State.path_beside(store).exists():
        return {}
    with State.beside(store) as state:
        ticked = overview(state, now())["ticked_at"]
        if ticked is None:
            return {}
        open_ = Counter(one.severity for one in read(state, since=now()) if one.resolved_at is None)
    return {"incidents": dict(open_), "tick_at": ticked}


def _figures(asked: Asked, path: Path) -> None:
    """Writes the file; what costs time is taken from the last hour, unless another instant is asked about."""
    from dataclasses import replace

    from qpanalytics import spell
    from qpanalytics.errors import UsageError
    from qpanalytics.report.metrics import WINDOW, figures, gathered, kept_figures
    from qpanalytics.report.openmetrics import openmetrics, written

    history, _ = opened(asked)
    history = history.window(history.as_of - WINDOW, history.until)
    stand = gathered(history)
    if asked.as_of is None:
        known = [one.check for one in stand.checks]
        made = kept_figures(history.store.path, history.as_of, known, lambda: figures(history))
    else:
        made = figures(history)
    text = openmetrics(replace(stand, figures=made, **_watched(history.store.path) if asked.as_of is None else {}))
    try:
        written(path, text)
    except OSError as error:
        raise UsageError(
            f"{spell.plain(str(path))} cannot be written: {error.strerror or error}. Name a file in a folder that is there"
        ) from None
    samples = sum(not line.startswith("#") for line in text.splitlines())
    typer.echo(f"{spell.plain(str(path))}: {spell.plural(len(stand.checks), 'check')}, {spell.plural(samples, 'sample')}")
