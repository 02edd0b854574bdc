"""The options that verbs share, and what they open with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.settings import Settings
    from qpanalytics.store.db import Store


class Format(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Db = Annotated[Path | None, typer.Option("--db", help="The store; default: [store] path, else qpa.duckdb.")]
Config = Annotated[Path | None, typer.Option("--config", help="Configuration; default: qpa.toml if it is there.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="The instant to ask about; default: now.")]
Since = Annotated[str | None, typer.Option("--since", help="Begin of the window: a date, an instant, or 90d, 12h ago.")]
Until = Annotated[str | None, typer.Option("--until", help="End of the window, not included.")]
Check = Annotated[list[str] | None, typer.Option("--check", help="Only these checks (shell pattern); repeatable.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", help="Only checks with this tag; repeatable.")]
Source = Annotated[list[str] | None, typer.Option("--source", help="Only checks of this source; repeatable.")]
Shape = Annotated[Format, typer.Option("--format", help="table, csv or json.")]
Tz = Annotated[str | None, typer.Option("--tz", help="Time zone of a table; csv and json are always UTC.")]


@dataclass(frozen=True)
class Asked:
    """The shared options as they were typed."""

    db: Path | None = None
    config: Path | None = None
    as_of: str | None = None
    since: str | None = None
    until: str | None = None
    check: list[str] | None = None
    tag: list[str] | None = None
    source: list[str] | None = None
    tz: str | None = None

    def settings(self) -> Settings:
        """The configuration; defaults where there is none."""
        from qpanalytics import settings

        return settings.load(self.config)

    def store(self, settings: Settings) -> Store:
        """The store named by `--db`, else by the configuration."""
        from qpanalytics.store.db import Store

        return Store(self.db or settings.store.path)


def now() -> datetime:
    """The clock; nothing below the command line reads it."""
    return datetime.now(UTC)


def opened(asked: Asked) -> tuple[History, Settings]:
    """The history that was asked for, over a store that agrees with the configuration."""
    from qpanalytics.collect.configured import agree
    from qpanalytics.errors import UsageError
    from qpanalytics.history import DEFAULT_WINDOW, History, Pick, resolve_as_of

    settings = asked.settings()
    store = asked.store(settings)
    clock = now()
    zone_of(asked.tz)
    since = instant("--since", asked.since, clock)
    until = instant("--until", asked.until, clock)
    as_of = instant("--as-of", asked.as_of, clock)
    if since is not None and until is not None and since >= until:
        raise UsageError(
            f"--since {asked.since} is not before --until {asked.until}: the window is empty. Swap them, or give one only"
        )
    agree(store, settings, now=clock)
    why = ""
    if as_of is None:
        as_of, why = resolve_as_of(store, now=clock, since=since, until=until)
        if why:
            typer.echo(f"qpa: {why} (--as-of says otherwise)", err=True)
    if asked.since and asked.as_of is None and why:
        # "90d" ago counts from what is taken as the present
        since = instant("--since", asked.since, as_of)
    elif asked.since:
        since = instant("--since", asked.since, as_of)
    history = History(
        store,
        as_of=as_of,
        since=since or min(as_of, until or as_of) - DEFAULT_WINDOW,
        until=until or after(as_of),
        pick=Pick(tuple(asked.check or ()), tuple(asked.tag or ()), tuple(asked.source or ())),
        maintenance=tuple(settings.maintenance),
        why_as_of=why,
    )
    if history.since >= history.until:
        raise UsageError(
            f"the window is empty: it begins at {asked.since or history.since} and ends at {asked.until or as_of}"
        )
    return history, settings


def after(as_of: datetime) -> datetime:
    """The end of a window that reaches to as_of: the instant just after it, so that what is due then is in it."""
    from datetime import timedelta

    return as_of + timedelta(microseconds=1)


def instant(option: str, text: str | None, clock: datetime) -> datetime | None:
    """An instant as people type it; UsageError names the option."""
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    if text is None:
        return None
    try:
        return spell.parse_instant(text, now=clock)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def zone_of(tz: str | None) -> str | None:
    """`tz` if it is a time zone; UsageError with the nearest name if not."""
    from qpanalytics.errors import ScheduleError, UsageError
    from qpanalytics.schedules import zones

    if tz is not None:
        try:
            zones.zone(tz)
        except ScheduleError as error:
            raise UsageError(f"--{error}") from None
    return tz
