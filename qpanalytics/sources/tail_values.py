"""What the texts of one row of a ping file mean, by Python alone: a few rows a minute must not need DuckDB.

The rules are those of `files/pings.sql`, value for value; a test holds the two to each other on random texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from qpanalytics.instants import EPOCH
from qpanalytics.sources.base import Ping
from qpanalytics.spell import CENTURY, LATEST

KINDS = ("start", "success", "fail", "log")
#: Ours, in the order in which the mistakes of a row are told.
FIELDS = ("check", "received_at", "kind", "n", "run_id", "duration_s", "exit_status", "host", "body")
LONGEST_NAME = 500

_BLANK = " \t\r\n"
_CLOCK = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d)(:[0-5]\d(?:[.,]\d+)?)? ?(Z|UTC|GMT|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)",
    re.ASCII,
)
_EPOCH = re.compile(r"(\d{1,11})(?:\.(\d*))?", re.ASCII)
_STATUS = re.compile(r"(\d{1,3})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,19})(?:\.0*)?", re.ASCII)
_DATE_IN_DIGITS = re.compile(r"(19[7-9]|2[01]\d|22[0-6])\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\.0*)?")
_FIRST, _AUTUMN = datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 10, 1, tzinfo=UTC)


class BadRow(ValueError):
    """A row that cannot be taken; its text is the field that is wrong, in the words of a ping file."""


def ping(texts: Mapping[str, str]) -> tuple[str, Ping]:
    """The check's name and the ping. Missing and empty texts say nothing; BadRow names the field that makes no sense."""
    name = texts.get("check", "").strip()
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise BadRow("check")
    at = _instant(texts.get("received_at", ""))
    if at is None:
        raise BadRow("received_at")
    said, status_said = texts.get("kind", "").strip(_BLANK), texts.get("exit_status", "").strip(_BLANK)
    code, status = _status(said), _status(status_said)
    kind = _kind(said, code, status)
    if kind is None:
        raise BadRow("kind")
    number = _whole(texts.get("n", "").strip(_BLANK), "n")
    _clean(texts, "run_id")
    duration_s = _seconds(texts.get("duration_s", ""))
    if status_said and (status is None or status > 255 or (code is not None and status != code)):
        raise BadRow("exit_status")
    _clean(texts, "host")
    _clean(texts, "body")
    texts_or_none = {field: texts.get(field) or None for field in ("run_id", "host", "body")}
    return name, Ping(
        at, kind, number, texts_or_none["run_id"], duration_s, status if code is None else code,
        texts_or_none["host"], texts_or_none["body"],
    )  # fmt: skip


def json_texts(line: str) -> dict[str, str]:
    """The texts of our fields in one JSON object; BadRow where the line is none, or nests where a name must stand."""
    try:
        # numbers stay as they are written: 1e3 is no epoch second, and a float would lose digits
        found = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise BadRow("json") from None
    if not isinstance(found, dict):
        raise BadRow("object")
    texts: dict[str, str] = {}
    for field, key in places(list(found)).items():
        value = found[key]
        if isinstance(value, dict | list):
            if field in ("check", "run_id", "host"):
                raise BadRow(field)
            texts[field] = json.dumps(json.loads(line)[key], ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, bool):
            texts[field] = str(value).lower()
        elif value is not None:
            texts[field] = str(value)
    return texts


def places(columns: Sequence[str]) -> dict[str, str]:
    """Which of a file's columns is which of ours; letter case and spaces are forgiven where none is named exactly."""
    near = {name.strip().lower(): name for name in reversed(columns)}
    found = {field: field if field in columns else near.get(field) for field in FIELDS}
    return {field: name for field, name in found.items() if name is not None}


def _instant(text: str) -> datetime | None:
    text = text.strip(_BLANK)
    at: datetime | None = None
    if clock := _CLOCK.fullmatch(text.upper()):
        day, minute, second, zone = clock.groups()
        zone = {"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"}.get(zone, zone)
        zone = zone + ":00" if len(zone) == 3 else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        second, _, part = (second or ":00").replace(",", ".").partition(".")
        try:
            at = datetime.fromisoformat(f"{day}T{minute}{second}{zone}") + timedelta(microseconds=int(part[:6].ljust(6, "0")))
            at = at.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    elif epoch := _EPOCH.fullmatch(text):
        at = EPOCH + timedelta(seconds=int(epoch[1]), microseconds=int((epoch[2] or "")[:6].ljust(6, "0")))
    if at is None or not _FIRST <= at < LATEST:
        return None
    # 20260101 is a date that somebody forgot the hyphens of, not a second of August 1970.
    return None if at < _AUTUMN and _DATE_IN_DIGITS.fullmatch(text) else at


def _kind(said: str, code: int | None, status: int | None) -> str | None:
    if not said:
        return "fail" if status else "success"
    if said.lower() in KINDS:
        return said.lower()
    if code is None or code > 255:
        return None
    return "fail" if code else "success"


def _status(text: str) -> int | None:
    found = _STATUS.fullmatch(text)
    return int(found[1]) if found else None


def _whole(text: str, field: str) -> int | None:
    if not text:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        raise BadRow(field)
    return int(found[1])


def _seconds(text: str) -> float | None:
    if not text.strip(_BLANK):
        return None
    try:
        seconds = float(text) if text.isascii() and "_" not in text else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= CENTURY:
        raise BadRow("duration_s")
    return abs(seconds)


def _clean(texts: Mapping[str, str], field: str) -> None:
    if "\0" in texts.get(field, ""):
        raise BadRow(field)
