"""Where alerts go, by kind. A new channel is a module, its test and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qpanalytics import spell
from qpanalytics.alerts.base import Forgetful, Secrets
from qpanalytics.errors import ConfigError

if TYPE_CHECKING:
    from qpanalytics.alerts.base import Channel, Memory
    from qpanalytics.settings_channels import ChannelTable

#: Kind in `qpa.toml`, and the module with its `from_settings(table, secrets, clock, memory)`.
KINDS: dict[str, str] = {
    "telegram": "qpanalytics.alerts.telegram",
    "slack": "qpanalytics.alerts.slack",
    "pagerduty": "qpanalytics.alerts.pagerduty",
    "webhook": "qpanalytics.alerts.webhook",
    "file": "qpanalytics.alerts.file",
    "email": "qpanalytics.alerts.email",
}


def open_channel(
    table: ChannelTable,
    environ: Mapping[str, str],
    folder: Path,
    clock: Callable[[], datetime],
    memory: Memory | None = None,
) -> Channel:
    """The channel of a `[[channel]]` with its secrets, which are taken from the environment or files in `folder`.

    ConfigError names the channel, the field and what to write. Nothing is sent and nothing is connected.
    """
    module = import_module(known_kind(table))
    return cast("Channel", module.from_settings(table, Secrets(table, environ, folder), clock, memory or Forgetful()))


def known_kind(table: ChannelTable) -> str:
    """The module of a channel's kind; ConfigError names those that there are."""
    if table.kind not in KINDS:
        raise ConfigError(
            f"channel {spell.quoted(table.name)}: kind {spell.quoted(table.kind)} is not known; there is {', '.join(KINDS)}"
        )
    return KINDS[table.kind]
