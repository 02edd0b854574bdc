"""`qpa grace`: how long to wait before a page, and what to write where to make it so."""

from __future__ import annotations

from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

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

    from qpanalytics.history import History
    from qpanalytics.settings import Settings

HEALTHCHECKS_LEAST = 60.0
"""Healthchecks takes no grace and no period below a minute."""

#: What a table has room for; csv and json hold every column.
COLUMNS = (
    "check", "n", "grace_s", "max_runtime_s", "period_s", "recommended_s", "false_alarms_now", "false_alarms_per_month",
    "false_alarms_lo", "false_alarms_hi", "longest_s", "stratum", "stratum_s", "elsewhere_s", "why",
)  # fmt: skip


class Limit(StrEnum):
    """Which limit is meant."""

    GRACE = "grace"
    MAX_RUNTIME = "max_runtime"
    PERIOD = "period"


class Change(StrEnum):
    """For whom the change is written down."""

    TOML = "toml"
    HEALTHCHECKS = "healthchecks"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("grace")(grace)


def grace(
    budget: Annotated[
        float | None, typer.Option("--budget", help="False alarms a check and month; default: [grace], else 0.5.")
    ] = None,
    candidates: Annotated[bool, typer.Option("--candidates", help="What several limits cost, instead of one.")] = False,
    change: Annotated[
        Change | None, typer.Option("--as", help="toml or healthchecks: print the change; nothing is changed.")
    ] = None,
    of: Annotated[Limit, typer.Option("--of", help="grace, max_runtime, or the period of an interval check.")] = Limit.GRACE,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
    check: Check = None, tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """The grace that keeps each check to a budget of false alarms, from the last 365 days; it suggests, and changes nothing."""
    from qpanalytics.analysis import grace as analysis
    from qpanalytics.cli.output import show, write
    from qpanalytics.errors import UsageError

    if change is not None and candidates:
        raise UsageError("--as prints the change that is recommended; leave --candidates out")
    if change is not None and shape is not Format.TABLE:
        raise UsageError(f"--as {change.value} is a form of its own; leave --format out")
    history, settings = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    if since is None:
        history = analysis.a_year(history)
    figures = analysis.candidates if candidates else analysis.grace
    frame = figures(history, of=of.value, budget=budget)
    if change is not None:
        write(_toml(frame, of) if change is Change.TOML else _healthchecks(frame, of, history, _address(settings)))
        return
    show(_short(frame) if shape is Format.TABLE else frame, shape, tz=tz)


def _short(frame: pd.DataFrame) -> pd.DataFrame:
    """What a table has room for, in as many figures as a person reads."""
    names = [name for name in COLUMNS if name in frame] if "recommended_s" in frame else list(frame)
    shown = frame[names].round({name: 2 for name in names if str(name).startswith("false_alarms")})
    # wide words over narrow numbers would push the reasons out
    return shown.rename(
        columns=lambda name: str(name).replace("false_alarms_per_month", "alarms").replace("false_alarms", "alarms")
    )


def _toml(frame: pd.DataFrame, of: Limit) -> str:
    """Tables for `qpa.toml`, one for each check with a recommendation that differs from what holds."""
    from qpanalytics import spell
    from qpanalytics.spell import quoted

    lines = ["# Suggested by qpa grace. A check that has a [[check]] table already gets its line in that one.", ""]
    for row in _changes(frame, of):
        value = spell.duration(row["to_s"])
        line = f'schedule = "every {value}"' if of is Limit.PERIOD else f'{of.value} = "{value}"'
        lines += ["[[check]]", f"check = {_basic(row['check'])}", f"{line}  # {row['said']}", ""]
    lines += [f"# {quoted(row['check'])}: {spell.plain(row['why'])}" for row in _refused(frame)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _healthchecks(frame: pd.DataFrame, of: Limit, history: History, address: str) -> str:
    """Requests to its API, as lines for a shell. There grace is also how long a run may take."""
    import json

    from qpanalytics import spell
    from qpanalytics.spell import quoted

    keys = dict(zip(history.checks["check"], history.checks["key"], strict=True))
    field = "timeout" if of is Limit.PERIOD else "grace"
    lines = ["# Suggested by qpa grace; needs a read-write key, and the uuid of each check, which qpa does not keep.", ""]
    for row in _changes(frame, of, HEALTHCHECKS_LEAST):
        lines += [
            f"# {quoted(row['check'])}, key {spell.plain(keys[row['check']])}: {row['said']}",
            f'curl {address}/api/v3/checks/UUID -H "X-Api-Key: $QPA_HEALTHCHECKS_KEY" '
            f"--json '{json.dumps({field: round(row['to_s'])})}'",
            "",
        ]
    lines += [f"# {quoted(row['check'])}: {spell.plain(row['why'])}" for row in _refused(frame)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _changes(frame: pd.DataFrame, of: Limit, least_s: float = 0.0) -> list[dict[str, Any]]:
    """What would change: for each such check its name, the limit from `least_s` on, and what to say of it."""
    from qpanalytics import spell

    found = []
    for row in frame.to_dict("records"):
        now, to = row[f"{of.value}_s"], max(row["recommended_s"], least_s)
        if isnan(row["recommended_s"]) or to == now:
            continue
        was = f"was {spell.duration(now)}" if not isnan(now) else "none so far"
        lo, hi = (f"{row[f'false_alarms_{end}']:.2g}" for end in ("lo", "hi"))
        said = f"{was}; about {row['false_alarms_per_month']:.2g} false alarms a month, with 95 % {lo} to {hi}"
        found.append({"check": row["check"], "to_s": to, "said": said})
    return found


def _refused(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame[frame["why"] != ""].to_dict("records")]


def _basic(text: str) -> str:
    """A basic string of TOML that holds any name."""
    return '"' + "".join(_letter(char) for char in text) + '"'


def _letter(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _address(settings: Settings) -> str:
    """The server of the first such source, if it can stand in a shell as it is."""
    import re

    urls = [source.url for source in settings.source if source.kind == "healthchecks" and source.url]
    fit = [url.rstrip("/") for url in urls if re.fullmatch(r"https?://[A-Za-z0-9.:/_\[\]-]+", url)]
    return fit[0] if fit else "https://healthchecks.io"
