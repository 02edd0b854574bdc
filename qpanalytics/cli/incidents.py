"""`qpa incidents`: what went wrong and what was told of it; `ack`, `snooze` and `resolve` for who takes one on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, Format, Shape, Since, Tz, Until, instant, now, zone_of

if TYPE_CHECKING:
    from pathlib import Path

    from qpanalytics.policy.changes import Incident
    from qpanalytics.settings import Settings
    from qpanalytics.store.state import State

incidents = typer.Typer(
    help="What went wrong, since when, and what was told of it; and the watch that tells.", rich_markup_mode=None,
    invoke_without_command=True, no_args_is_help=False,
)  # fmt: skip
#: What a table has room for; csv and json hold every column.
TABLE = ("incident", "severity", "sentence", "opened_at", "resolved_at", "acked_at", "alerts", "undelivered")
MOST_ROWS = 200

Which = Annotated[str, typer.Argument(help="The incident, or the beginning of its name.", metavar="INCIDENT")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; default: your user name.")]


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    incidents.callback()(listed)
    incidents.command("ack")(ack)
    incidents.command("snooze")(snooze)
    incidents.command("resolve")(resolve)
    app.add_typer(incidents, name="incidents")


def listed(
    context: typer.Context,
    open_: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    fail_on_open: Annotated[bool, typer.Option("--fail-on-open", help="Exit with 1 if one is open.")] = False,
    db: Db = None, config: Config = None, since: Since = None, until: Until = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """What went wrong, since when, and what was told of it; the latest first."""
    if context.invoked_subcommand is not None:
        return
    import pandas as pd

    from qpanalytics.cli.output import show
    from qpanalytics.watch import told

    zone_of(tz)
    asked = Asked(db=db, config=config)
    settings = asked.settings()
    clock = now()
    rows = []
    state = _state(asked, settings)
    if state is not None:
        with state:
            window = {"since": instant("--since", since, clock), "until": instant("--until", until, clock)}
            rows = told.incidents(state, settings, clock, **window, tz=tz or "UTC")
            _say_watch(state)
    rows = [row for row in rows if not open_ or row["resolved_at"] is None]
    frame = pd.DataFrame(rows, columns=list(told.COLUMNS))
    for name in ("opened_at", "resolved_at", "acked_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    show(frame[list(TABLE)].head(MOST_ROWS) if shape is Format.TABLE else frame, shape, tz=tz)
    if fail_on_open and frame["resolved_at"].isna().any():
        raise typer.Exit(1)


def ack(incident: Which, by: By = None, db: Db = None, config: Config = None) -> None:
    """Take an incident on: no more reminders, no escalation. It is told when it is over."""
    found = _order(Asked(db=db, config=config), incident, "ack", by)
    typer.echo(f"{found.incident}: acknowledged")


def snooze(
    incident: Which,
    until: Annotated[str, typer.Option("--for", help="For how long nothing is told of it: 2h, 30min.")] = "1 h",
    by: By = None,
    db: Db = None,
    config: Config = None,
) -> None:
    """Hear nothing of an incident for a while; if it lasts, it is told again then."""
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    try:
        seconds = spell.parse_duration(until)
    except ValueError as error:
        raise UsageError(f"--for {error}") from None
    found = _order(Asked(db=db, config=config), incident, "snooze", by, seconds)
    typer.echo(f"{found.incident}: snoozed for {spell.duration(seconds)}")


def resolve(incident: Which, by: By = None, db: Db = None, config: Config = None) -> None:
    """Close an incident by hand; what is still wrong opens a new one when it goes wrong again."""
    found = _order(Asked(db=db, config=config), incident, "resolve", by)
    typer.echo(f"{found.incident}: resolved")


def _order(asked: Asked, incident: str, what: str, by: str | None, for_s: float | None = None) -> Incident:
    """Leaves the order for the watch; UsageError for an incident that is not there or over."""
    import getpass
    from datetime import timedelta

    from qpanalytics.errors import UsageError
    from qpanalytics.instants import micros
    from qpanalytics.watch.incidents import Order, ask, find

    state = _state(asked, asked.settings())
    if state is None:
        raise UsageError("nothing was ever watched here, so there are no incidents; start with: qpa watch")
    with state:
        found = find(state, incident)
        if found.resolved_at is not None:
            raise UsageError(f"incident {found.incident} is over already")
        clock = now()
        try:
            who = by or getpass.getuser()
        except (KeyError, OSError):
            who = ""
        until = None if for_s is None else micros(clock + timedelta(seconds=for_s))
        ask(state, Order(what, found.incident, until, who), clock)
    return found


def _state(asked: Asked, settings: Settings) -> State | None:
    """The state beside the store; None where there is none yet."""
    from qpanalytics.store.state import State

    path: Path = State.path_beside(asked.db or settings.store.path)
    return State(path) if path.exists() else None


def _say_watch(state: State) -> None:
    """On stderr, if nobody watches or the store is held: then the list may be behind."""
    from qpanalytics import spell
    from qpanalytics.watch.told import overview

    seen = overview(state, now())
    if seen["age_s"] is not None and seen["age_s"] > QUIET_S:
        typer.echo(f"qpa: nothing was evaluated for {spell.duration(seen['age_s'])}; is qpa watch running?", err=True)


#: A watch that is silent for so long is not there, seconds.
QUIET_S = 900.0
