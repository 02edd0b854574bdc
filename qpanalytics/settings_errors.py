"""What pydantic found wrong with `qpa.toml` or a row of a check file, as one line for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from qpanalytics.spell import quoted


def keys(model: type[BaseModel]) -> list[str]:
    """Every key that a table knows, the other names of a field included."""
    known: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        known += [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
    return known


def explain(error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]) -> str:
    """The first problem and where it is: `check[2] "backup-db": grace: "5 mins" is not a duration; try "5 min".`

    Values are shown only by our own validators, which know what must not be shown.
    """
    first = error.errors(include_url=False)[0]
    place = list(first["loc"])
    labels: list[str] = []
    here: Any = raw
    while place and isinstance(key := place[0], str) and (inner := _table(model, key)) is not None:
        here, model = here.get(key) if isinstance(here, Mapping) else None, inner
        del place[0]
        if place and isinstance(number := place[0], int):
            here = here[number] if isinstance(here, Sequence) else None
            labels.append(f"{key}[{number + 1}]{_called(here)}")
            del place[0]
        else:
            labels.append(f"[{key}]")
    said = _said(first, " ".join(labels), [str(part) for part in place if isinstance(part, str)], here, model)
    return said if said.endswith("?") else f"{said}."


def _said(first: ErrorDetails, label: str, place: list[str], here: Any, model: type[BaseModel]) -> str:
    kind, field = first["type"], place[-1] if place else ""
    start = f"{label}: " if label else ""
    if kind == "extra_forbidden":
        if field in keys(model):
            return f"{start}{field} is given twice, by two of its names; keep one"
        known = [key for key in keys(model) if not (isinstance(here, Mapping) and key in here)]
        near = get_close_matches(field.lower()[:60], known, n=1, cutoff=0.7)
        hint = f'did you mean "{near[0]}"?' if near else f"it knows {', '.join(keys(model))}"
        return f"{label or 'it'} knows no {quoted(field)}; {hint}"
    if kind == "missing":
        return f"{label or 'it'} needs {quoted(field)}; add it"
    if kind == "model_type":
        return f"{label} is a table of its own and only one; write {label} and its keys below it"
    if kind == "tuple_type" and not field:
        return f"{label} can be there many times; write [{label}]"
    if kind == "value_error":
        why = str(first["ctx"]["error"])
        return f"{start}{field}: {why}" if field else f"{label} {why}" if label else why
    return f"{start}{field}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _table(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of a key that is a table or a list of tables."""
    field = model.model_fields.get(key)
    if field is None:
        return None
    inner = [field.annotation, *get_args(field.annotation)]
    return next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _called(entry: Any) -> str:
    """A table's own name, so that nobody has to count."""
    if isinstance(entry, Mapping):
        for key in ("check", "name", "queue"):
            if isinstance(entry.get(key), str):
                return f" {quoted(entry[key])}"
    return ""
