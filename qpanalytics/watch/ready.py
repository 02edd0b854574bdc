"""What of a configuration would only show in the night: a channel of an unknown kind, or without its secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics.alerts import known_kind, open_channel
from qpanalytics.alerts.base import Secrets
from qpanalytics.errors import ConfigError
from qpanalytics.settings_values import Secret
from qpanalytics.sources import open_configured

if TYPE_CHECKING:
    from qpanalytics.settings import Settings
    from qpanalytics.settings_channels import ChannelTable


def unready(
    settings: Settings, environ: Mapping[str, str], folder: Path, clock: Callable[[], datetime], *, whole: bool
) -> Iterator[ConfigError]:
    """What keeps sources and channels from being used, and the watch from pinging. Nothing is sent or asked.

    Without `whole` only kinds and secrets of channels are looked at: opening one loads what it speaks with, and a round
    each minute has no time for that.
    """
    for source in settings.source if whole else ():
        try:
            open_configured(source, environ, folder, clock).close()
        except ConfigError as error:
            yield error
    for table in settings.channel:
        try:
            if whole:
                open_channel(table, environ, folder, clock).close()
            else:
                _glance(table, environ, folder)
        except ConfigError as error:
            yield error
    if settings.watch.ping_url is not None:
        try:
            settings.watch.ping_url.resolve(environ, folder)
        except ConfigError as error:
            yield ConfigError(f"ping_url: {error}")


def _glance(table: ChannelTable, environ: Mapping[str, str], folder: Path) -> None:
    known_kind(table)
    secrets = Secrets(table, environ, folder)
    for field, value in table:
        if isinstance(value, Secret):
            secrets.get(field)
