"""`qpa drift`: what changed for good, what only for a while, and when it will matter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import (
    Asked,
    AsOf,
    Check,
    Config,
    Db,
    Format,
    Shape,
    Since,
    Source,
    Tag,
    Tz,
    Until,
    opened,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

#: A change is told from what was before it, so the window is longer than that of other verbs.
WINDOW = timedelta(days=365)
#: What a table has room for; csv and json hold every column and every series.
COLUMNS = (
    "check", "metric", "kind", "changed_at", "before_s", "after_s", "before", "after", "per_day_s", "in_force", "is_new", "meets",
    "meets_at", "meets_lo_at", "meets_hi_at", "q_value", "n_after", "why",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("drift")(drift)


def drift(
    blips: Annotated[bool, typer.Option("--blips", help="Also excursions that came back.")] = False,
    every: Annotated[bool, typer.Option("--all", help="A table also of what did not change or cannot be judged.")] = False,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None, check: Check = None,
    tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """Steps and trends of durations, lateness, start delay and failures, and when they reach a limit; of 365 days by default."""
    from qpanalytics.analysis.drift import drift as figures
    from qpanalytics.cli.output import show

    history, _ = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    if since is None:
        history = history.window(min(history.as_of, history.until) - WINDOW, history.until)
    frame = figures(history, blips=blips)
    if shape is Format.TABLE:
        _say(frame)
        shown = frame if every else frame[frame["kind"].notna()]
        frame = shown[list(COLUMNS)].round({"before": 4, "after": 4, "q_value": 6})
    show(frame, shape, tz=tz)


def _say(frame: pd.DataFrame) -> None:
    """Says on stderr how many series the table has nothing of: no change is not the same as not judged."""
    from qpanalytics import spell

    quiet = frame[frame["kind"].isna()]
    same = int(quiet["why"].str.startswith("no change").sum())
    typer.echo(
        f"qpa: {spell.number(same)} series of {spell.plural(int(frame['check'].nunique()), 'check')} without a change, "
        f"{spell.number(len(quiet) - same)} that cannot be judged; --all shows them",
        err=True,
    )
