"""`qpa init`, `qpa demo` and `qpa doctor`: the first steps, and what to look at when something is odd."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, now


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("init")(init)
    app.command("demo")(demo)
    app.command("doctor")(doctor)


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("qpa.toml"),
) -> None:
    """Write a commented qpa.toml to start from."""
    from qpanalytics import spell
    from qpanalytics.errors import UsageError
    from qpanalytics.settings import example

    made = False
    try:
        with path.open("x", encoding="utf-8") as file:
            made = True
            file.write(example())
    except FileExistsError:
        raise UsageError(
            f"{spell.plain(str(path))} is there already; it was left as it is. Name another file"
        ) from None
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise UsageError(f"{spell.plain(str(path))} cannot be written: {error.strerror or error}. Name another file") from None
    typer.echo(f"{spell.plain(str(path))} written. Next: edit it, then: qpa import FILE, qpa doctor")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the stores and reports.")] = Path("reports"),
) -> None:
    """Build stores from the bundled data, print the verdicts, write three weekly reports."""
    import shlex

    from qpanalytics import opening, spell
    from qpanalytics.cli.digest import make, save
    from qpanalytics.cli.progress import progress
    from qpanalytics.errors import UsageError
    from qpanalytics.report.wording import verdict
    from qpanalytics.store.db import Store

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{spell.plain(str(out))} cannot be made: {error.strerror or error}. Name another --out"
        ) from None
    for name in ("histories", "recorded", opening.SIMULATED):
        path = out / f"demo-{name}.duckdb"
        store = Store(path)
        path.unlink(missing_ok=True)
        with progress(f"reading the {name}" if name != opening.SIMULATED else "simulating queues") as step:
            as_of = opening.fill(store, name, now=now(), progress=step)
        config = _configured(path) if name == opening.SIMULATED else None
        made = make(Asked(db=path, config=config, as_of=spell.iso(as_of)), "weekly")
        written = save(made, out)
        typer.echo(f"\n{opening.title(name)}: {spell.plain(verdict(made.facts))}")
        told = (*made.facts.needs, *made.facts.better, *made.facts.notes)
        for number, finding in enumerate(told, start=1):
            typer.echo(f"  {number}. {spell.plain(finding.sentence)}")
        typer.echo(f"  report: {spell.plain(str(written))}")
        if config is None:
            typer.echo(f"  store:  {spell.plain(str(path))} (qpa checks --db {shlex.quote(str(path))})")
        else:
            typer.echo(f"  store:  {spell.plain(str(path))} (qpa queues --config {shlex.quote(str(config))})")


def _configured(path: Path) -> Path:
    """The configuration of the simulated fleet, written beside its store: promises, and which check has which queue."""
    from qpanalytics import simulated

    config = path.with_suffix(".toml")
    config.write_text(simulated.configuration(path.name), encoding="utf-8")
    return config


def doctor(db: Db = None, config: Config = None) -> None:
    """Look at configuration, store, clock and data, and say what to do."""
    from qpanalytics import spell
    from qpanalytics.cli.examine import examine

    asked = Asked(db=db, config=config)
    worst = 0
    for finding in examine(asked, now()):
        typer.echo(f"{finding.grade:4}  {spell.plain(finding.said)}")
        worst = max(worst, finding.grade == "bad")
    if worst:
        raise typer.Exit(1)
