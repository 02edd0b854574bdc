"""Which column of a file is which of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from qpanalytics.errors import InputError
from qpanalytics.spell import plain, quoted

# Ours, in the order in which the mistakes of a row are told.
FIELDS = ("check", "received_at", "kind", "n", "run_id", "duration_s", "exit_status", "host", "body")
REQUIRED = FIELDS[:2]

_DATA = re.compile(r"\s*(\d{4}-\d\d-\d\d([T ].*)?|-?\d+(\.\d+)?)\s*")


def check_mapping(mapping: Mapping[str, str]) -> None:
    """InputError unless each mapped name is one of ours and none of ours is meant twice."""
    for theirs, ours in mapping.items():
        if ours not in FIELDS:
            raise InputError(f"--map {plain(theirs)}={plain(ours)}: {quoted(ours)} is none of {', '.join(FIELDS)}")
        if twice := [name for name, meant in mapping.items() if meant == ours and name != theirs]:
            raise InputError(f"--map: {names([theirs, *twice])} cannot all be {quoted(ours)}")


def match(file: str, columns: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Place of each of our columns among the file's, and the names of those that mean nothing to us.

    Letter case and surrounding spaces are forgiven where no column is named exactly. InputError where a mapped or a
    required column is missing, or a name stands there twice; no columns at all (JSON without rows) miss nothing.
    """
    places: dict[str, int] = {}
    for theirs, ours in mapping.items():
        at = _places(file, columns, theirs)
        if at is None and columns:
            raise InputError(f"{file}: has no column {quoted(theirs)} to map; it has {names(columns)}")
        if at is not None:
            places[ours] = at
    for name in FIELDS:
        if name not in places and (at := _places(file, columns, name)) is not None and at not in places.values():
            places[name] = at
    missing = [name for name in REQUIRED if name not in places]
    if missing and columns:
        if any(looks_like_data(column) for column in columns):
            raise InputError(
                f"{file}: has no header: its first line looks like data ({names(columns)}). "
                "Put a line with the names of its columns first, for example check,received_at,kind"
            )
        raise InputError(
            f"{file}: has no column {names(missing, ' and ')}; it has {names(columns)}. "
            f"Say which it is with {' '.join(f'--map THEIRS={name}' for name in missing)}"
        )
    used = set(places.values())
    return places, [column.strip() for at, column in enumerate(columns) if at not in used and column.strip()]


def _places(file: str, columns: Sequence[str], name: str) -> int | None:
    found = [at for at, column in enumerate(columns) if column == name]
    found = found or [at for at, column in enumerate(columns) if column.strip().lower() == name.strip().lower()]
    if len(found) > 1:
        raise InputError(f"{file}: has {len(found)} columns named {quoted(name)}; rename all but one")
    return found[0] if found else None


def looks_like_data(name: str) -> bool:
    """Whether the name of a column is more likely a value: a date, a time or a number."""
    return _DATA.fullmatch(name) is not None


def names(columns: Sequence[str], joint: str = ", ") -> str:
    """Column names in quotes for a message, the first dozen of them."""
    shown = joint.join(quoted(column.strip(), 40) for column in columns[:12])
    return shown + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")


def raw(texts: Mapping[str, str], **known: str) -> str:
    """The select list that `pings.sql` reads as `raw`: SQL for our columns as text; what is not given is NULL."""
    types = {"row_no": "bigint", "fault": "varchar", "whole": "varchar", "known_at": "timestamptz"}
    columns = [f"({known.get(name, 'null')})::{type_} as {name}" for name, type_ in types.items()]
    for name in FIELDS:
        columns.append(f"({texts.get(name, 'null')})::varchar as {'check_name' if name == 'check' else name}")
    return ", ".join(columns)
