"""`qpa alert explain CHECK`: what would happen if it did not run, to whom, when, and by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.alerts import alert
from qpanalytics.cli.options import Asked, Config, Db, Format, Shape, Tz, now, zone_of

if TYPE_CHECKING:
    from qpanalytics.policy.explain import Step
    from qpanalytics.watch.explained import Explained


def register(app: typer.Typer) -> None:
    """Adds the verb to those of `qpa alert`."""
    alert.command("explain")(explain)


def explain(
    check: Annotated[str, typer.Argument(help="The name of a check.")],
    db: Db = None,
    config: Config = None,
    shape: Shape = Format.TABLE,
    tz: Tz = None,
) -> None:
    """What would happen if a check did not run: when it is trouble, who is told, and by which rule."""
    import pandas as pd

    from qpanalytics.cli.output import show
    from qpanalytics.instants import instant
    from qpanalytics.store.state import State
    from qpanalytics.watch.explained import explained

    zone_of(tz)
    asked = Asked(db=db, config=config)
    settings = asked.settings()
    path = State.path_beside(asked.db or settings.store.path)
    if path.exists():
        with State(path) as state:
            found = explained(state, settings, check, now())
    else:
        found = explained(None, settings, check, now())
    rows = [
        {"at": None if step.at is None else instant(step.at), "what": step.what, "channel": step.channel, "rule": step.rule}
        for step in found.steps
    ]
    frame = pd.DataFrame(rows, columns=["at", "what", "channel", "rule"])
    frame["at"] = pd.to_datetime(frame["at"], utc=True).astype("datetime64[us, UTC]")
    if shape is not Format.TABLE:
        show(frame, shape)
        return
    for line in _lines(found, tz or settings.report.tz):
        typer.echo(line)
    for step in found.steps:
        typer.echo(f"  {_when(step, tz or settings.report.tz)}: {_what(step)}")


def _lines(found: Explained, tz: str) -> list[str]:
    """How the check stands, what is open, and what the steps are about."""
    from qpanalytics import spell
    from qpanalytics.instants import instant

    name, standing = spell.plain(found.check), found.standing
    if standing is None:
        lines = [f"{name} was never watched: no ping of it has come yet."]
    else:
        since = f" ({standing.cause})" if standing.cause else ""
        lines = [f"{name} is {standing.status}{since}, as seen {spell.moment(instant(standing.at), tz)}."]
    for incident, told in found.open:
        who = ", ".join(f"{spell.plain(channel)} ({rule})" for channel, rule in told) or "nobody yet"
        lines.append(f"Incident {incident.incident} is open since {spell.moment(instant(incident.opened_at), tz)}; told: {who}.")
    if found.deadline_at is None:
        lines.append("No run is expected of it, so none can be missed; a failure would be told.")
    else:
        lines.append(f"If its next run does not come by {spell.moment(instant(found.deadline_at), tz)} ({tz}):")
    return lines


def _when(step: Step, tz: str) -> str:
    from qpanalytics import spell
    from qpanalytics.instants import instant

    return "never" if step.at is None else spell.moment(instant(step.at), tz)


def _what(step: Step) -> str:
    from qpanalytics import spell

    channel = f"{spell.plain(step.channel)} is " if step.channel else ""
    return f"{channel}{spell.plain(step.what)} [{spell.plain(step.rule)}]"
