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

    @property
    def folder(self) -> Path:
        """Where relative paths of the configuration are meant from."""
        return Path() if self.config is None else self.config.parent

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


def opened(asked: Asked, *, say: bool = True) -> tuple[History, Settings]:
    """The history that was asked for, over a store that agrees with the configuration.

    `say` is off for verbs that show looks at queues and workers: their present is not held back.
    """
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    settings = asked.settings()
    clock = now()
    zone_of(asked.tz)
    since, until = instant("--since", asked.since, clock), instant("--until", asked.until, clock)
    instant("--as-of", asked.as_of, clock)
    if since is not None and until is not None and since >= until:
        raise UsageError(
            f"--since {asked.since} is not before --until {asked.until}: the window is empty. Swap them, or give one only"
        )
    history = history_of(asked, settings, clock, asked.since, asked.until, asked.as_of)
    if history.since >= (min(history.until, history.as_of) if say else min(history.looks_until, history.looks_as_of)):
        raise UsageError(
            f"the window is empty: it begins at {asked.since or spell.iso(history.since)} and ends at "
            f"{asked.until or spell.iso(history.as_of)}{f', since {history.why_as_of}' if history.why_as_of else ''}. "
            "Ask from an earlier instant with --since"
        )
    if say:
        say_as_of(history.why_as_of)
    return history, settings


def history_of(
    asked: Asked,
    settings: Settings,
    clock: datetime,
    since: str | datetime | None,
    until: str | datetime | None,
    as_of: str | datetime | None,
) -> History:
    """The checks that were asked for, over a window as typed or worked out."""
    from qpanalytics import opening
    from qpanalytics.history import Pick

    pick = Pick(tuple(asked.check or ()), tuple(asked.tag or ()), tuple(asked.source or ()))
    store = asked.store(settings)
    return opening.opened(store, settings, now=clock, since=since, until=until, as_of=as_of, pick=pick, prefix="--")


def say_as_of(why: str) -> None:
    """Says on stderr why the present is not now, where it is not."""
    if why:
        typer.echo(f"qpa: {why} (--as-of says otherwise)", err=True)


def instant(option: str, text: str | None, clock: datetime) -> datetime | None:
    """An instant as people type it; UsageError names the option."""
    from qpanalytics import spell
    from qpanalytics.errors import UsageError

    try:
        return None if text is None else spell.parse_instant(text, now=clock)
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
