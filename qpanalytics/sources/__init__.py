"""The live sources by kind. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qpanalytics import spell
from qpanalytics.errors import ConfigError
from qpanalytics.settings_values import Secret

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable
    from qpanalytics.sources.base import SnapshotSource, Source, TailSource

#: Kind in `qpa.toml`, and the module with its `from_settings(table, secret, clock)`.
KINDS = {
    "healthchecks": "qpanalytics.sources.healthchecks",
}
#: The same of systems that show queues or workers: `from_settings(table, password, clock)`.
SNAPSHOTS: dict[str, str] = {
    "systemd": "qpanalytics.sources.workers.systemd",
    "supervisor": "qpanalytics.sources.workers.supervisor",
    "docker": "qpanalytics.sources.workers.docker",
    "redis-list": "qpanalytics.sources.queues.redis_list",
    "rq": "qpanalytics.sources.queues.rq",
    "sidekiq": "qpanalytics.sources.queues.sidekiq",
    "bull": "qpanalytics.sources.queues.bullmq",
    "bullmq": "qpanalytics.sources.queues.bullmq",
    "celery": "qpanalytics.sources.queues.celery",
}
#: The kind of files that grow.
FILES = "files"


def open_configured(
    table: SourceTable, environ: Mapping[str, str], folder: Path, clock: Callable[[], datetime]
) -> Source | SnapshotSource | TailSource:
    """The source of a `[[source]]` with its secrets, which are taken from the environment or files in `folder`."""
    if table.kind == FILES:
        from qpanalytics.sources import tail

        return tail.from_settings(table, folder, clock)
    if table.kind in SNAPSHOTS:
        password = "" if table.password is None else table.password.resolve(environ, folder)
        if table.user is not None and table.user.startswith(("env:", "file:")):
            table = table.model_copy(update={"user": Secret(table.user).resolve(environ, folder)})
        return cast("SnapshotSource", import_module(SNAPSHOTS[table.kind]).from_settings(table, password, clock))
    if table.kind not in KINDS:
        raise ConfigError(
            f"source {spell.quoted(table.name)}: kind {spell.quoted(table.kind)} is not known; there is "
            f"{', '.join([*KINDS, FILES, *SNAPSHOTS])}"
        )
    if table.api_key is None:
        raise ConfigError(f'source {spell.quoted(table.name)}: it has no api_key; add api_key = "env:NAME" and set NAME')
    return open_source(table, table.api_key.resolve(environ, folder), clock)


def open_source(table: SourceTable, secret: str, clock: Callable[[], datetime]) -> Source:
    """The source of pings that a `[[source]]` describes."""
    return cast("Source", import_module(KINDS[table.kind]).from_settings(table, secret, clock))
