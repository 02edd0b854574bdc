"""Handing one message to a channel now, outside the watch: with what the channel learned before, and put down as a try."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from qpanalytics.cli.options import Asked, now

if TYPE_CHECKING:
    from qpanalytics.alerts.base import DeliveryError, Message, Sent
    from qpanalytics.settings import Settings
    from qpanalytics.settings_channels import ChannelTable
    from qpanalytics.store.state import State

Hand = Callable[["Message", str], tuple["Sent | DeliveryError", float]]
"""Takes a message and its key; gives how it ended and how long that took, seconds."""


def state_of(asked: Asked, settings: Settings) -> State | None:
    """What is known of messages; None where nothing was ever collected or sent."""
    from qpanalytics.store.state import State

    path = State.path_beside(asked.db or settings.store.path)
    return State(path) if path.exists() else None


@contextmanager
def handing(asked: Asked, settings: Settings, table: ChannelTable) -> Iterator[Hand]:
    """A channel, opened: ConfigError before anything is sent if its table is not complete."""
    from qpanalytics.alerts import open_channel
    from qpanalytics.alerts.base import DeliveryError
    from qpanalytics.alerts.outbox import Learned, Outbox

    with ExitStack() as open_:
        state = state_of(asked, settings)
        if state is not None:
            open_.enter_context(state)
        channel = open_channel(
            table, os.environ, asked.folder, now, None if state is None else Learned(state, table.name, now)
        )
        open_.callback(channel.close)

        def hand(message: Message, key: str) -> tuple[Sent | DeliveryError, float]:
            ended = None if state is None else Outbox(state).note(table.name, message, now())
            how: Sent | DeliveryError
            began = monotonic()
            try:
                how = channel.send(message, key)
            except DeliveryError as error:
                how = error
            took_s = monotonic() - began
            if ended is not None:
                ended(now(), took_s, how)
            return how, took_s

        yield hand
