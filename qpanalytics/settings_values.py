"""What single values of `qpa.toml` and of check files may be: texts, durations, instants, secrets.

Each reader raises ValueError that shows the value and what to write instead; a secret is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from qpanalytics.errors import ConfigError, ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.spell import EARLIEST, LATEST, iso, parse_duration, quoted
from qpanalytics.words import Severity


class Table(BaseModel):
    """One table of `qpa.toml`: immutable, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def given(self, field: str) -> bool:
        """Whether the field was written, or is only our default."""
        return field in self.model_fields_set


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not text; put it in quotes")
    if not value.strip():
        raise ValueError("is empty")
    if re.search("[\0\ud800-\udfff]", value):
        raise ValueError(f"{quoted(value)} holds a character that is no text")
    if len(value) > 4_000:
        raise ValueError(f"{quoted(value)} has {len(value):,} characters; 4,000 are the most")
    return value.strip()


def _texts(value: object) -> tuple[str, ...]:
    """A list of texts, or one text, split at commas and white space as in a cell of a check file."""
    if isinstance(value, str):
        return tuple(word for word in re.split(r"[,;\s]+", text(value)) if word)
    if not isinstance(value, list | tuple):
        raise ValueError(f'{_shown(value)} is not a list of texts; try ["one", "two"]')
    return tuple(text(one) for one in value)


def _names(value: object) -> tuple[str, ...]:
    """A list of names, or one name, which may hold spaces."""
    return (text(value),) if isinstance(value, str) else _texts(value)


def _duration(value: object) -> float:
    if not isinstance(value, str | int | float):
        raise ValueError(f'{_shown(value)} is not a duration; try "15 min"')
    return parse_duration(value)


def _positive_duration(value: object) -> float:
    if (seconds := _duration(value)) > 0:
        return seconds
    raise ValueError(f'{_shown(value)} is no time at all; try "15 min"')


def _chat(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{_shown(value)} is not a whole number from 0")
    return value


def _severity(value: object) -> Severity:
    try:
        return Severity(str(value).strip().lower())
    except ValueError:
        raise ValueError(f"{_shown(value)} is not one of {', '.join(Severity)}") from None


def _severities(value: object) -> tuple[Severity, ...]:
    return tuple(_severity(one) for one in _texts(value))


def _zone(value: object) -> str:
    name = text(value)
    try:
        zones.zone(name)
    except ScheduleError as error:
        raise ValueError(str(error).removeprefix("tz: ")) from None
    return name


def _address(value: object) -> str:
    url = text(value)
    if re.search(r"://[^/@\s]*:[^/@\s]+@", url):
        raise ValueError('holds a password; take it out and write password = "env:NAME" beside it')
    return url


def instant(value: object, tz: tzinfo | None = None) -> datetime:
    """The UTC instant of a TOML or ISO time with offset, or of a date's midnight.

    Without an offset a time is taken in `tz`; where that is None it is refused, since it would mean another instant on
    another machine. A date is midnight in `tz`, else UTC.
    """
    shown = _shown(value)
    if isinstance(value, str):
        said = text(value)
        try:
            value = date.fromisoformat(said) if re.fullmatch(r"\d{4}-\d\d-\d\d", said) else datetime.fromisoformat(said)
        except ValueError:
            raise ValueError(f'{quoted(said)} is not a time; try "2026-11-24T07:00:00Z" or "2026-11-24"') from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), tz or UTC)
    if not isinstance(value, datetime):
        raise ValueError(f'{shown} is not a time; try "2026-11-24T07:00:00Z" or "2026-11-24"')
    if value.tzinfo is None:
        if tz is None:
            raise ValueError(f'"{value.isoformat()}" has no offset; try "{value.isoformat()}Z" if it is in UTC')
        value = value.replace(tzinfo=tz)
    try:
        found = value.astimezone(UTC)
    except OverflowError:  # year 1 or 9999, shifted over the edge
        found = datetime.min.replace(tzinfo=UTC)
    if not EARLIEST <= found < LATEST:
        raise ValueError(f"{shown} lies outside the years 1970 to 2261")
    return found


def later(end: datetime | None, start: datetime | None, name: str) -> datetime | None:
    """`end`, which must come after `start`, the field called `name`, where both are known."""
    if end is not None and start is not None and end <= start:
        raise ValueError(f'"{iso(end)}" is not after {name}, "{iso(start)}"')
    return end


def _instant(value: object) -> datetime:
    return instant(value)


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else quoted(str(value))[1:-1]


class Secret:
    """A reference to a secret: `env:NAME` or `file:PATH`. Neither text nor repr ever holds its value."""

    def __init__(self, reference: str) -> None:
        self.reference = reference

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def resolve(self, environ: Mapping[str, str], folder: Path | None = None) -> str:
        """The secret itself; a relative file is looked for in `folder`. ConfigError names what is missing."""
        where, _, name = self.reference.partition(":")
        if where == "env":
            if value := environ.get(name, "").strip():
                return value
            raise ConfigError(f"{name} is not set in the environment, and qpa.toml takes a secret from it; set it.")
        path = (folder or Path()) / name
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"{path}: qpa.toml takes a secret from this file, but: {why}.") from None
        if not value:
            raise ConfigError(f"{path} is empty, and qpa.toml takes a secret from it.")
        return value


def _secret(value: object) -> Secret:
    # What stands there may be the secret itself, so no message shows it.
    if isinstance(value, str) and re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]{0,200}|file:[^\0\n]{1,1000}", value.strip()):
        return Secret(value.strip())
    raise ValueError('a secret must not stand in this file; write "env:NAME" or "file:PATH" and put it there')


Text = Annotated[str, BeforeValidator(text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Seconds = Annotated[float, BeforeValidator(_duration)]
Period = Annotated[float, BeforeValidator(_positive_duration)]
Count = Annotated[int, BeforeValidator(_count)]
Rank = Annotated[Severity, BeforeValidator(_severity)]
Ranks = Annotated[tuple[Severity, ...], BeforeValidator(_severities)]
Zone = Annotated[str, BeforeValidator(_zone)]
Address = Annotated[str, BeforeValidator(_address)]
Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(iso, when_used="json")]
Chat = Annotated[str, BeforeValidator(_chat)]
Reference = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(repr)]
