"""`qpa export`: the store as Parquet, for other engines and other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, now


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export")(export)


def export(
    folder: Annotated[Path, typer.Argument(help="The folder to write: new, empty, or an earlier export.")],
    db: Db = None,
    config: Config = None,
) -> None:
    """Write the store as Parquet, by table, for DuckDB, pandas, Polars, Spark, or `qpa import` on another machine."""
    from qpanalytics import spell
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.configured import agree
    from qpanalytics.store import export as parquet

    asked = Asked(db=db, config=config)
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
