"""`qpa import`: ping files and check files into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, instant, now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qpanalytics.collect.intake import Taken
    from qpanalytics.settings import Settings
    from qpanalytics.sources.files import StagedFile
    from qpanalytics.store.db import Store

#: The source of files that are given no other name.
FILES = "files"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("import")(import_)


def import_(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Ping files or patterns: CSV, JSON lines, Parquet, access logs; or a folder of qpa export."),
    ] = None,
    checks: Annotated[list[Path] | None, typer.Option("--checks", help="Check file (CSV or TOML).")] = None,
    source: Annotated[str, typer.Option("--source", help="Name of the system they come from.")] = FILES,
    covers_until: Annotated[
        str | None, typer.Option("--covers-until", help="Nothing was missed up to here: an instant, or now.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="theirs=ours: take column theirs as ours; repeatable.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out, and count them.")] = False,
    db: Db = None,
    config: Config = None,
) -> None:
    """Take ping files and check files, or an export, into the store; taking one twice adds nothing."""
    from qpanalytics.collect.fromexport import is_export
    from qpanalytics.errors import UsageError

    if not files and not checks:
        raise UsageError("nothing to import: name ping files, or a check file with --checks")
    if not source.strip() or len(source) > 100:
        raise UsageError("--source: a name of 1 to 100 characters is needed")
    asked = Asked(db=db, config=config)
    settings = asked.settings()
    clock = now()
    until = instant("--covers-until", covers_until, clock)
    if until is not None and until > clock:
        raise UsageError(f"--covers-until {covers_until} lies in the future; nothing can have been seen there")
    if any(is_export(file) for file in files or []):
        if checks or mapping or skip_bad or covers_until or source != FILES or not all(is_export(f) for f in files or []):
            raise UsageError("an export brings its own sources, checks and coverage; import it by itself, with --db at most")
        bring_exports(asked.store(settings), settings, files or [], clock=clock)
        return
    bring(
        asked.store(settings), settings, files or [], checks or [], source=source, covers_until=until,
        mapping=_pairs(mapping or []), skip_bad=skip_bad, clock=clock,
    )  # fmt: skip


def bring(
    store: Store,
    settings: Settings,
    files: Sequence[str | Path],
    checks: Sequence[Path],
    *,
    source: str,
    covers_until: datetime | None,
    clock: datetime,
    mapping: dict[str, str] | None = None,
    skip_bad: bool = False,
) -> None:
    """Reads, checks and takes the files in one transaction, and says what was taken."""
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.configured import apply
    from qpanalytics.collect.fromfiles import take_files
    from qpanalytics.sources.files import read_checks

    def warn(what: str) -> None:
        typer.echo(f"qpa: {what}", err=True)

    entries = [entry for path in checks for entry in read_checks(path, warn=warn)]
    with store.write() as con, progress("deriving the ledger") as step:
        staged, taken = take_files(
            con, files, entries, source=source, covers_until=covers_until, tried_at=clock,
            mapping=mapping, skip_bad=skip_bad, progress=step,
        )  # fmt: skip
        for what in (*staged.warnings, *(f"left out: {bad}" for bad in staged.bad)):
            warn(what)
        apply(con, settings, now=clock)
    _say(store, staged.files, taken, len(entries))


def bring_exports(store: Store, settings: Settings, folders: Sequence[str], *, clock: datetime) -> None:
    """Takes exports in one transaction, and says what was taken."""
    from qpanalytics import spell
    from qpanalytics.cli.progress import progress
    from qpanalytics.collect.configured import apply
    from qpanalytics.collect.fromexport import take_export

    with store.write() as con, progress("deriving the ledger") as step:
        all_brought = [take_export(con, Path(folder), progress=step) for folder in folders]
        apply(con, settings, now=clock)
    for folder, brought in zip(folders, all_brought, strict=True):
        checks = f"{spell.plural(brought.checks, 'check')}, {spell.number(brought.new_checks)} new"
        pings = f"{spell.plural(brought.pings, 'ping')}, {spell.number(brought.added)} new"
        looks = f"; {spell.plural(brought.looks, 'new look')} at queues and workers" if brought.looks else ""
        typer.echo(f"{spell.plain(folder)}: {checks}; {pings}; {spell.plural(len(brought.touched), 'check')} derived{looks}")
        if brought.configured and not settings.check:
            typer.echo(
                f"qpa: {spell.plain(folder)}: {spell.plural(brought.configured, 'promise')} stood in a qpa.toml, which an export "
                "does not hold; bring that along",
                err=True,
            )
    typer.echo(f"{store.name}: done. Next: qpa checks, qpa report --weekly")


def _say(store: Store, files: Sequence[StagedFile], taken: Taken, entries: int) -> None:
    from qpanalytics import spell

    for file, rows, added in zip(files, taken.rows, taken.added, strict=True):
        left = f", {spell.number(file.skipped)} bad left out" if file.skipped else ""
        left += f"; {file.note}" if file.note else ""
        typer.echo(f"{spell.plain(str(file.path))}: {spell.plural(rows, 'ping')}, {spell.number(added)} new{left}")
    if taken.folded:
        typer.echo(
            f"qpa: {spell.plural(taken.folded, 'ping')} left out: those of their time were pruned, and what became of them stays",
            err=True,
        )
    if entries:
        typer.echo(f"{spell.plural(entries, 'promise')} read; {spell.plural(taken.new_checks, 'check')} new")
    typer.echo(f"{store.name}: {spell.plural(taken.touched, 'check')} derived. Next: qpa checks, qpa report --weekly")


def _pairs(mapping: Sequence[str]) -> dict[str, str]:
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    out: dict[str, str] = {}
    for pair in mapping:
        theirs, found, ours = pair.rpartition("=")
        if not found or not theirs or not ours:
            raise UsageError(f"--map {spell.quoted(pair)} is not theirs=ours; for example --map time=received_at")
        out[theirs] = ours
    return out
