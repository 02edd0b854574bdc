"""`qpa report`: a digest of a day, a week, a month or any window, as one HTML file or as text."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import (
    Asked,
    AsOf,
    Config,
    Db,
    Since,
    Source,
    Tag,
    Tz,
    Until,
    history_of,
    instant,
    now,
    opened,
    say_as_of,
    zone_of,
)

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.report import Report
    from qpanalytics.report.check import CheckReport
    from qpanalytics.settings import Settings


One = Annotated[
    list[str] | None,
    typer.Option(
        "--check",
        help="The 90 days of this check, by name or key; of a shell pattern, with a period, or repeated: a digest of these.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("report")(report)


def report(
    daily: Annotated[bool, typer.Option("--daily", help="The last full day.")] = False,
    weekly: Annotated[bool, typer.Option("--weekly", help="The last full Monday to Sunday (default).")] = False,
    monthly: Annotated[bool, typer.Option("--monthly", help="The last full calendar month.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the file; default: reports, and the terminal for text.")
    ] = None,
    shape: Annotated[str, typer.Option("--format", help="html, or text for the terminal.")] = "html",
    explore: Annotated[bool, typer.Option("--explore", help="Also a page with charts of each check to zoom into.")] = False,
    email: Annotated[bool, typer.Option("--email", help="Also mail it, to whom [[report.send]] says.")] = False,
    send: Annotated[
        bool, typer.Option("--send", help="Also leave it for qpa watch to send, by mail and elsewhere; each digest once.")
    ] = False,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
    check: One = None, tag: Tag = None, source: Source = None, tz: Tz = None,
) -> None:  # fmt: skip
    """One page: what needs you, what changed, every check, and what could not be seen; or one check alone."""
    from qpanalytics.cli.digest_check import one
    from qpanalytics.cli.digest_mail import everybody, prepared
    from qpanalytics.cli.output import write
    from qpanalytics.errors import UsageError

    if shape not in ("html", "text"):
        raise UsageError(f"--format {shape}: a report is html or text")
    if explore and shape == "text":
        raise UsageError("--explore makes a page with charts; leave it out, or --format text")
    periods = [name for name, on in (("daily", daily), ("weekly", weekly), ("monthly", monthly)) if on]
    if len(periods) > 1 or (periods and (since or until)):
        raise UsageError("a report has one window: --daily, --weekly, --monthly, or --since and --until")
    asked = Asked(db, config, as_of, since, until, check, tag, source, tz)
    # a week of one check is a digest, as it always was: only without a period its own page is meant
    alone = None if periods else one(asked)
    if (email or send) and (alone is not None or shape == "text"):
        option = "--email" if email else "--send"
        raise UsageError(f"{option} sends a digest with its page: say --weekly beside --check, and leave --format away")
    if alone is not None and explore:
        raise UsageError("--explore goes with a digest: say --weekly beside --check, or leave --explore away")
    period = "custom" if since or until else (periods or ["weekly"])[0]
    mailing = prepared(asked) if email else None
    made = alone or make(asked, period, explore)
    if shape == "text" and out is None:
        write(made.text)
        return
    path = save(made, out or Path("reports"), shape)
    from qpanalytics import spell

    typer.echo(f"{spell.plain(made.verdict)}: {spell.plain(str(path))}")
    if explore:
        charts = path.with_name(f"{path.stem}-explore.html")
        typer.echo(f"Charts: {spell.plain(str(charts))}")
    if mailing is not None:
        mailing.send(made, path.parent)
    if send:
        everybody(asked).leave(made, path.parent)


def make(asked: Asked, period: str, explore: bool = False) -> Report:
    """The report that was asked for."""
    from qpanalytics.report import report as digest

    settings = asked.settings()
    tz = zone_of(asked.tz) or settings.report.tz
    history = _history(asked, settings, period, tz)
    return digest(history, period=period, tz=tz, command=command(asked, history, period, tz), explore=explore)


def save(made: Report | CheckReport, out: Path, shape: str = "html") -> Path:
    """Writes the page (or the text) into `out`, which is made if need be; UsageError where that cannot be."""
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    try:
        return made.write(out) if shape == "html" else made.write_text(out)
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {spell.plain(str(out))}: {error.strerror or error}. Name another folder with --out"
        ) from None


def _history(asked: Asked, settings: Settings, period: str, tz: str) -> History:
    from dataclasses import replace

    from qpanalytics.history import resolve_as_of
    from qpanalytics.report.window import period_window

    if period == "custom":
        return opened(asked)[0]
    clock = now()
    at, why = instant("--as-of", asked.as_of, clock), ""
    if at is None:
        since, until = period_window(period, clock, tz)
        at, why = resolve_as_of(asked.store(settings), now=clock, since=since, until=until)
        say_as_of(why)
    since, until = period_window(period, at, tz)
    return replace(history_of(asked, settings, clock, since, until, at), why_as_of=why)


def command(asked: Asked, history: History, period: str, tz: str) -> str:
    """The command that gives the same numbers, at whatever time it is typed."""
    from qpanalytics import spell

    parts = ["qpa", "report"]
    if period == "custom":
        parts += ["--since", spell.iso(history.since), "--until", spell.iso(history.until)]
    else:
        parts.append(f"--{period}")
    parts += ["--as-of", spell.iso(history.as_of)]
    for option, values in (("--check", asked.check), ("--tag", asked.tag), ("--source", asked.source)):
        for value in values or ():
            parts += [option, value]
    if tz != "UTC":
        parts += ["--tz", tz]
    if asked.config is not None:
        parts += ["--config", str(asked.config)]
    parts += ["--db", str(history.store.path)]
    return shlex.join(parts)
