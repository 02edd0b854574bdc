"""Check files: what people promise of their jobs, as CSV or as the `[[check]]` tables of a TOML file."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from qpanalytics.errors import InputError
from qpanalytics.settings import CHECK_KEYS, CheckEntry, check_entry, explain
from qpanalytics.sources.files.columns import looks_like_data, names
from qpanalytics.sources.files.delimited import field_limit, header
from qpanalytics.sources.files.look import BOM, Look, look
from qpanalytics.spell import iso, quoted

_ALWAYS = datetime.min.replace(tzinfo=UTC)


def read_checks(path: str | Path, *, warn: Callable[[str], None] = lambda _: None) -> list[CheckEntry]:
    """The checks of one file in its order; several versions of a check are several entries.

    Columns of a CSV that mean nothing to us are left out and `warn` is told; an unknown key in TOML is a mistake.
    InputError names file, line, field and value, also where two versions of a check hold at the same time.
    """
    found = look(str(path))
    toml = found.path.lower().endswith(".toml")
    if not toml and found.format != "csv":
        raise InputError(f"{found.name}: is no check file; write the checks as CSV or as [[check]] tables in TOML")
    with found.open() as file:
        data = file.read().removeprefix(BOM)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{found.name} line {line}: is not UTF-8; save the file as UTF-8") from None
    placed = list(_toml(found, text, warn) if toml else _csv(found, text, warn))
    if not placed:
        warn(f"{found.name}: has no checks")
    _refuse_overlaps(found, placed)
    return [entry for _, entry in placed]


def _csv(found: Look, text: str, warn: Callable[[str], None]) -> Iterator[tuple[int, CheckEntry]]:
    """Each row with the line on which it begins."""
    head = header(found, CHECK_KEYS)
    columns = [name.strip().lower() for name in head.columns]
    if "check" not in columns:
        if any(looks_like_data(name) for name in columns):
            raise InputError(
                f"{found.name}: has no header: its first line looks like data ({names(head.columns)}). "
                "Put a line with the names of its columns first, for example check,schedule,tz,grace"
            )
        raise InputError(f"{found.name}: has no column {quoted('check')}; it has {names(head.columns)}")
    for name in CHECK_KEYS:
        if columns.count(name) > 1:
            raise InputError(f"{found.name}: has {columns.count(name)} columns named {quoted(name)}; keep one")
    if ignored := [name for name in head.columns if name.strip() and name.strip().lower() not in CHECK_KEYS]:
        what, was = ("is not a column", "was") if len(ignored) == 1 else ("are not columns", "were")
        warn(f"{found.name}: {names(ignored)} {what} of check files and {was} ignored")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=head.delimiter, strict=True)
    line, seen = 1, False
    with field_limit(len(text)):
        try:
            for values in reader:
                if values and seen:
                    cells = [value.strip() for value in values]
                    yield line, check_entry(_row(found, line, columns, cells), where=f"{found.name} line {line}")
                seen = seen or bool(values)
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(f"{found.name} line {line}: is not CSV: {error}; look at its quotes") from None


def _row(found: Look, line: int, columns: list[str], cells: list[str]) -> Mapping[str, object]:
    if any(cells[len(columns) :]) or len(cells) < len(columns):
        shown = quoted(",".join(cells), 80)
        raise InputError(
            f"{found.name} line {line}: {shown} has {len(cells)} values where the header names {len(columns)}; "
            "put quotes around a value with the delimiter"
        )
    return dict(zip(columns, cells, strict=False))


def _toml(found: Look, text: str, warn: Callable[[str], None]) -> Iterator[tuple[int, CheckEntry]]:
    """Each `[[check]]` table with the line of its heading."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{found.name}: is not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{found.name}: is not TOML that can be read: its values are nested too deeply") from None
    checks = tables.pop("check", None)
    if not isinstance(checks, list) or not all(isinstance(check, dict) for check in checks):
        raise InputError(f"{found.name}: has no [[check]] tables; write [[check]] and its keys below it")
    if tables:
        warn(f"{found.name}: only its [[check]] tables were read, not {names(list(tables))}")
    headings = [at for at, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*\"?check\"?\s*\]\]", line)]
    if len(headings) != len(checks):  # written as one list, or such a line inside a text
        headings = [1] * len(checks)
    for line, check in zip(headings, checks, strict=True):
        try:
            yield line, CheckEntry.model_validate(check, context="toml")
        except ValidationError as error:
            raise InputError(f"{found.name} line {line}: {explain(error, check, CheckEntry)}") from None


def _refuse_overlaps(found: Look, placed: list[tuple[int, CheckEntry]]) -> None:
    """Versions of one check follow each other; one without an end lasts until the next begins."""
    versions: dict[str, list[tuple[datetime, int, CheckEntry]]] = {}
    for line, entry in placed:
        versions.setdefault(entry.check, []).append((entry.valid_from or _ALWAYS, line, entry))
    for check, own in versions.items():
        own.sort(key=lambda version: version[:2])
        for (start, line, entry), (next_start, next_line, _) in pairwise(own):
            where = f"{found.name} line {next_line}: valid_from: "
            shown = f'"{iso(next_start)}"' if next_start > _ALWAYS else '""'
            if next_start == start:
                raise InputError(f"{where}{shown} is given twice for check {quoted(check)}, first on line {line}")
            if entry.valid_to is not None and entry.valid_to > next_start:
                raise InputError(
                    f"{where}{shown} of check {quoted(check)} begins before its version on line {line} ends "
                    f'("{iso(entry.valid_to)}"); end that one sooner'
                )
