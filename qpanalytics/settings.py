"""`qpa.toml`: what people configure, checked and in our units. Nothing here reads the environment or a clock.

A mistake is one line that names the file, the table, the field, the value and what to write instead. Secrets stay
references (`env:NAME`, `file:PATH`) until somebody resolves them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from qpanalytics import schedules
from qpanalytics.errors import ConfigError, InputError, ScheduleError
from qpanalytics.instants import micros
from qpanalytics.schedules import zones
from qpanalytics.settings_channels import ChannelTable
from qpanalytics.settings_errors import explain, keys
from qpanalytics.settings_grace import GraceTable
from qpanalytics.settings_policy import PolicyTable, RouteTable
from qpanalytics.settings_report import ReportTable
from qpanalytics.settings_values import (
    Address,
    Count,
    Instant,
    Names,
    Period,
    Rank,
    Reference,
    Seconds,
    Secret,
    Table,
    Text,
    Texts,
    Zone,
    instant,
    later,
    text,
)
from qpanalytics.settings_watch import WatchTable
from qpanalytics.spell import quoted

__all__ = ["CHECK_KEYS", "CheckEntry", "Maintenance", "Secret", "Settings", "check_entry", "example", "explain", "load"]

LARGEST_FILE = 4_000_000
MICRO = 1_000_000


def _or(*names: str) -> Any:
    """An optional field with several names, the first of them ours."""
    return Field(default=None, validation_alias=AliasChoices(*names))


# The tables -----------------------------------------------------------------------------------------------------------


class StoreTable(Table):
    """Where history is kept; `keep` is for how long, seconds, None for ever."""

    path: Path = Path("qpa.duckdb")
    keep: Period | None = None

    @field_validator("path", mode="before")
    @classmethod
    def _path(cls, value: object) -> str:
        return text(value)


class SourceTable(Table):
    """A system that knows pings, queues or workers; what its kind needs is looked at where it is used.

    `every` and `timeout` (for one answer) are seconds; `bodies` asks for what pings carried, too.
    """

    name: Text
    kind: Text
    url: Address | None = None
    api_key: Reference | None = None
    user: Text | None = None
    password: Reference | None = None
    every: Period | None = None
    timeout: Period | None = None
    bodies: bool = False
    files: Names = ()
    # queues
    queues: Names = ()
    prefix: Text | None = None
    key: Text | None = None  # of a plain list
    side: Literal["left", "right"] | None = None  # where jobs are taken from
    sentinels: Names = ()
    master: Text | None = None
    protocol: Literal[2, 3] | None = None
    clients: bool = True  # may ask for the list of connections
    heartbeats: bool = True  # may listen to the workers' own
    inspect: bool = False  # may ask the workers, which sends to each of them
    visibility_timeout: Period | None = None
    priority_steps: tuple[Count, ...] | None = None
    separator: Text | None = None
    management: Address | None = None
    # workers
    units: Names = ()
    programs: Names = ()
    containers: Names = ()


class CheckEntry(Table):
    """One `[[check]]`, or one row of a check file: a job and what is expected of it from `valid_from` on.

    What was not written is None, and `tz` is UTC; `given` tells. Durations are seconds. An empty cell of a row counts
    as not written; in `qpa.toml` an empty text is a mistake.
    """

    check: Text
    name: Text | None = None
    tz: Zone = "UTC"  # before schedule, which is judged in it
    schedule: Text | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    grace_s: Seconds | None = _or("grace_s", "grace")
    early_s: Seconds | None = _or("early_s", "early")
    max_runtime_s: Period | None = _or("max_runtime_s", "max_runtime")
    severity: Rank | None = None
    tags: Texts = ()
    queue: Text | None = None
    after: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty_cells(cls, row: object, info: ValidationInfo) -> object:
        if not isinstance(row, Mapping) or info.context == "toml":
            return row
        return {field: value for field, value in row.items() if value is not None and value != ""}

    @field_validator("schedule")
    @classmethod
    def _parses(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        try:
            return _schedule(value, info.data.get("tz", "UTC")).text
        except ScheduleError as error:
            raise ValueError(str(error).removeprefix("schedule: ")) from None

    @field_validator("valid_to")
    @classmethod
    def _ends_later(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        return later(end, info.data.get("valid_from"), "valid_from")


def check_entry(row: Mapping[str, object], *, where: str) -> CheckEntry:
    """A row of a check file or frame; keys that no check has are left to the caller to warn of.

    InputError with `where`, the field, its value and what to write instead.
    """
    known = {field: value for field, value in row.items() if field in CHECK_KEYS}
    try:
        return CheckEntry.model_validate(known)
    except ValidationError as error:
        raise InputError(f"{where}: {explain(error, known, CheckEntry)}") from None


CHECK_KEYS = frozenset(keys(CheckEntry))


class PromiseTable(Table):
    """What people were promised of a queue: how old its oldest job may get, how deep it, how many workers."""

    queue: Text
    source: Text | None = None
    oldest: Period | None = None
    depth: Count | None = None
    workers: Count | None = None
    severity: Rank | None = None

    @model_validator(mode="after")
    def _promises(self) -> Self:
        if self.oldest is None and self.depth is None and self.workers is None:
            raise ValueError('promises nothing; add oldest = "10 min", depth = 1000 or workers = 4')
        return self


_schedule = lru_cache(maxsize=4096)(schedules.parse)  # many checks share one, and each maintenance asks for its own


class Maintenance(Table):
    """Time in which nothing is held against a check: once (`from`, `until`) or from each tick of `cron` on.

    It applies to checks whose name is like one of `checks` (globs) or that carry one of `tags`; without both, to every
    check. `for` is elapsed time, so two hours are two hours also in the night of a change of clocks.
    """

    tz: Zone | None = None
    checks: Names = Field(default=(), validation_alias=AliasChoices("checks", "check"))
    tags: Texts = ()
    from_at: Instant | None = _or("from", "from_at")
    until_at: Instant | None = _or("until", "until_at")
    cron: Text | None = None
    for_s: Period | None = _or("for", "for_s")

    @field_validator("from_at", "until_at", mode="before")
    @classmethod
    def _in_its_zone(cls, value: object, info: ValidationInfo) -> datetime | None:
        tz = info.data.get("tz")
        return None if value is None else instant(value, zones.find(tz) if tz else None)

    @field_validator("until_at")
    @classmethod
    def _ends_later(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        return later(end, info.data.get("from_at"), "from")

    @field_validator("cron")
    @classmethod
    def _parses(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        try:
            parsed = _schedule(value, info.data.get("tz") or "UTC")
        except ScheduleError as error:
            raise ValueError(str(error).removeprefix("schedule: ")) from None
        if parsed.kind == "interval":
            raise ValueError(f'{quoted(value)} has no clock times; try "0 2 * * SUN"')
        return parsed.text

    @model_validator(mode="after")
    def _once_or_recurring(self) -> Self:
        if self.cron is not None:
            if self.from_at or self.until_at:
                raise ValueError("has both cron and from or until; make it two tables")
            if self.for_s is None:
                raise ValueError('has a cron but no length; add for = "2 h"')
        elif self.from_at is None:
            raise ValueError('has no beginning; add from = 2026-11-24T07:00:00Z or cron = "0 2 * * SUN"')
        elif (self.until_at is None) == (self.for_s is None):
            raise ValueError('needs until or for, one of them; add for = "2 h"')
        return self

    def covers(self, check: str, tags: Iterable[str] = ()) -> bool:
        """Whether it covers a check of this name and these tags."""
        if not self.checks and not self.tags:
            return True
        return any(fnmatchcase(check, glob) for glob in self.checks) or not set(self.tags).isdisjoint(tags)

    def spans(self, since_us: int, until_us: int) -> list[tuple[int, int]]:
        """Its stretches [since, until) that touch [since, until), whole, in order; overlapping ones are one.

        All in epoch microseconds.
        """
        length = round((self.for_s or 0) * MICRO)
        if self.cron is None:
            assert self.from_at is not None
            start = micros(self.from_at)
            end = micros(self.until_at) if self.until_at else start + length
            return [(start, end)] if start < until_us and end > since_us else []
        merged: list[tuple[int, int]] = []
        for tick in _schedule(self.cron, self.tz or "UTC").ticks(since_us - length + 1, until_us).tolist():
            if merged and tick <= merged[-1][1]:
                merged[-1] = (merged[-1][0], tick + length)
            else:
                merged.append((tick, tick + length))
        return merged


class Settings(Table):
    """All of `qpa.toml`; every table is optional."""

    store: StoreTable = StoreTable()
    source: tuple[SourceTable, ...] = ()
    check: tuple[CheckEntry, ...] = ()
    promise: tuple[PromiseTable, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    channel: tuple[ChannelTable, ...] = ()
    route: tuple[RouteTable, ...] = ()
    watch: WatchTable = WatchTable()
    report: ReportTable = ReportTable()
    grace: GraceTable = GraceTable()
    policy: PolicyTable = PolicyTable()

    @model_validator(mode="after")
    def _one_promise_at_a_time(self) -> Self:
        seen: dict[tuple[str, datetime | None], int] = {}
        for number, entry in enumerate(self.check, 1):
            earlier = seen.setdefault((entry.check, entry.valid_from), number)
            if earlier != number:
                raise ValueError(
                    f"check[{number}] {quoted(entry.check)}: check[{earlier}] is the same check from the same time on; "
                    "give one of them another valid_from"
                )
        return self

    @model_validator(mode="after")
    def _none_after_itself(self) -> Self:
        after = {entry.check: entry.after for entry in self.check}
        for number, entry in enumerate(self.check, 1):
            chain = [entry.check]
            while (link := after.get(chain[-1])) is not None and link not in chain:
                chain.append(link)
            if link == entry.check:
                way = " after ".join(quoted(name) for name in [*chain, link])
                raise ValueError(f"check[{number}] {way}: that is a circle, of which none comes first; take one after out")
        return self

    @model_validator(mode="after")
    def _one_of_a_name(self) -> Self:
        for kind in ("source", "channel"):
            names = [table.name for table in getattr(self, kind)]
            for number, name in enumerate(names, 1):
                if name in names[: number - 1]:
                    raise ValueError(f"{kind}[{number}] {quoted(name)}: there is one of this name already; give it another")
        return self

    def fingerprint(self) -> str:
        """A digest of what changes the ledger: checks and maintenance, in our units, however they are written."""
        parts = self.model_dump(mode="json", include={"check", "maintenance"})
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# Reading --------------------------------------------------------------------------------------------------------------


def load(path: Path | None = None) -> Settings:
    """The settings of a file; without one, of `./qpa.toml` if there is one, else the defaults.

    `store.path` is taken from the folder of the file. ConfigError names file, field, value and what to do.
    """
    if path is None:
        path = Path("qpa.toml")
        if not path.exists():
            return Settings()
    where = quoted(str(path), limit=200)[1:-1]
    raw = _parsed(path, where)
    try:
        settings = Settings.model_validate(raw, context="toml")
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, raw, Settings)}") from None
    store = settings.store.model_copy(update={"path": path.parent / settings.store.path})
    return settings.model_copy(update={"store": store})


def _parsed(path: Path, where: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError(f"{where} has over {LARGEST_FILE // MICRO} MB and is surely no qpa.toml.")
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{where}: there is no such file; `qpa init` writes one.") from None
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{where}: line {line}: this is not UTF-8 text; save the file as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        place = f"line {found[2]}, column {found[3]}" if found and found[2] else "end of the file"
        what = quoted(found[1] if found else str(error), limit=160)[1:-1]
        hint = '; a text stands in quotes, as in tz = "UTC"' if what == "Invalid value" else ""
        raise ConfigError(f"{where}: {place}: {what}{hint}.") from None
    except RecursionError:
        raise ConfigError(f"{where}: its lists or tables are nested too deeply.") from None


def example() -> str:
    """The `qpa.toml` that `qpa init` writes: a `#` without a space after it is an example to be uncommented."""
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")
