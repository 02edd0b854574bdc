"""The live sources by kind. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qpanalytics import spell
from qpanalytics.errors import ConfigError

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable
    from qpanalytics.sources.base import Source

#: Kind in `qpa.toml`, and the module with its `from_settings(table, secret, clock)`.
KINDS = {
    "healthchecks": "qpanalytics.sources.healthchecks",
}


def open_configured(
    table: SourceTable, environ: Mapping[str, str], folder: Path, clock: Callable[[], datetime]
) -> Source:
    """The source of a `[[source]]` with its secret, which is taken from the environment or a file in `folder`."""
    if table.api_key is None:
        raise ConfigError(f'source {spell.quoted(table.name)}: it has no api_key; add api_key = "env:NAME" and set NAME')
    return open_source(table, table.api_key.resolve(environ, folder), clock)


def open_source(table: SourceTable, secret: str, clock: Callable[[], datetime]) -> Source:
    """The source that a `[[source]]` describes; ConfigError for a kind that is not known."""
    if table.kind not in KINDS:
        raise ConfigError(
            f"source {spell.quoted(table.name)}: kind {spell.quoted(table.kind)} is not known; there is {', '.join(KINDS)}"
        )
    return cast("Source", import_module(KINDS[table.kind]).from_settings(table, secret, clock))
