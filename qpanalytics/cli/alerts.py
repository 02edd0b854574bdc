"""`qpa alert test CHANNEL` and `qpa deliveries`: whether alerts arrive, and what became of those that were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, Config, Db, Format, Shape, Since, Tz, instant, now, zone_of

if TYPE_CHECKING:
    from qpanalytics.settings import Settings
    from qpanalytics.settings_channels import ChannelTable

#: The verbs of `qpa alert`; other modules add theirs.
alert = typer.Typer(help="Try a channel.", no_args_is_help=True, rich_markup_mode=None)
#: More rows than a terminal helps with; csv and json always hold all.
MOST_ROWS = 200


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    alert.command("test")(test)
    app.add_typer(alert, name="alert")
    app.command("deliveries")(deliveries)


def test(
    channel: Annotated[str, typer.Argument(help="The name of a [[channel]] in qpa.toml.")],
    db: Db = None,
    config: Config = None,
) -> None:
    """Send one message to a channel, and say what became of it."""
    from qpanalytics import spell
    from qpanalytics.alerts.base import DeliveryError, Digest
    from qpanalytics.cli.handing import handing

    asked = Asked(db=db, config=config)
    settings = asked.settings()
    table = _table(settings, channel)
    name = spell.plain(table.name)
    message = Digest(
        f"qpa: a test of channel {spell.quoted(table.name)}",
        "If you read this, alerts of qpa arrive here. Nothing is wrong, and nothing needs to be done.",
        now(),
        event="test",
    )
    with handing(asked, settings, table) as hand:
        how, took_s = hand(message, f"test_{spell.iso(now())}")
    if isinstance(how, DeliveryError):
        raise how
    answered = "" if how.http_status is None else f", answer {how.http_status}"
    typer.echo(f"{name}: {table.kind} took the message in {spell.duration(took_s)}{answered}")
    if how.why:
        typer.echo(f"qpa: {name}: {spell.plain(how.why)}", err=True)


def _table(settings: Settings, channel: str) -> ChannelTable:
    from qpanalytics.errors import ConfigError, UsageError
    from qpanalytics.spell import plain, quoted

    known = {table.name: table for table in settings.channel}
    if not known:
        raise ConfigError("qpa.toml has no [[channel]] to send to; `qpa init` shows one.")
    if channel not in known:
        raise UsageError(f"{quoted(channel)} is no channel of qpa.toml; there is {plain(', '.join(known))}")
    return known[channel]


def deliveries(
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Only to this channel; repeatable.")] = None,
    incident: Annotated[list[str] | None, typer.Option("--incident", help="Only about this incident; repeatable.")] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="Exit with 1 if a try shown has this status; repeatable.")
    ] = None,
    db: Db = None,
    config: Config = None,
    since: Since = None,
    shape: Shape = Format.TABLE,
    tz: Tz = None,
) -> None:
    """Each try to send a message: when, to whom, what the other side answered, and what is tried next; newest first."""
    import pandas as pd

    from qpanalytics import spell
    from qpanalytics.alerts import ledger
    from qpanalytics.cli.handing import state_of
    from qpanalytics.cli.output import show
    from qpanalytics.errors import UsageError

    for word in fail_on or []:
        if word not in ledger.STATUSES:
            raise UsageError(f"--fail-on {spell.quoted(word)} is no status; there is {', '.join(ledger.STATUSES)}")
    zone_of(tz)
    asked = Asked(db=db, config=config)
    state = state_of(asked, asked.settings())
    rows = []
    if state is not None:
        with state:
            rows = ledger.deliveries(
                state, since=instant("--since", since, now()), channels=channel or (), incidents=incident or ()
            )
    frame = pd.DataFrame(rows, columns=list(ledger.COLUMNS)).astype({"http_status": "Int64", "latency_s": "float64"})
    for name in ("tried_at", "next_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    if shape is Format.TABLE and len(frame) > MOST_ROWS:
        typer.echo(
            f"the last {MOST_ROWS} of {spell.number(len(frame))} rows; --format csv or json has all, --since fewer", err=True
        )
    show(frame.head(MOST_ROWS) if shape is Format.TABLE else frame, shape, tz=tz)
    if fail_on and frame["status"].isin(fail_on).any():
        raise typer.Exit(1)
