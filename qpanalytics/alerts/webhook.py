"""Any web hook: JSON, signed by Standard Webhooks 1.0 where the channel has a `secret`. See signature.py for receivers.

`webhook-id` is the same on each retry and `webhook-timestamp` the time of this try, so a receiver drops a repetition and
refuses what somebody recorded and plays again. The body has `type` (`incident.open`, ..., `digest`, `test`), `timestamp` and
`data`: all that is told, as figures, and worded as `title` and `lines`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.alerts import told
from qpanalytics.alerts.base import Alert, Memory, Message, Secrets, Sent, said
from qpanalytics.alerts.post import Post, encoded
from qpanalytics.alerts.signature import key_of, signature
from qpanalytics.errors import ConfigError

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable


class Webhook:
    """One address that takes JSON."""

    distinguishes = True

    def __init__(self, name: str, post: Post, *, secret: str | None, clock: Callable[[], datetime]) -> None:
        self.name, self._post, self._secret, self._clock = name, post, secret, clock

    def send(self, message: Message, key: str) -> Sent:
        """Every 2xx is a yes, as the standard has it; one with a web page is noted."""
        body = encoded(payload(message))
        seconds = int(self._clock().timestamp())
        headers = {"webhook-id": key, "webhook-timestamp": str(seconds)}
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._secret, key, seconds, body)
        reply = self._post.content(body, headers=headers)
        if not reply.taken:
            # the standard: 410 is for hooks that are gone for good
            raise self._post.refusal(reply, permanent=reply.status == 410)
        return Sent(reply.status, "it answered with a web page; see whether its address is right" if reply.is_page else "")

    def close(self) -> None:
        self._post.close()


def payload(message: Message) -> dict[str, Any]:
    """The body: names in it are as they are, for programs; `title` and `lines` are safe to show."""
    kind = f"incident.{message.event}" if isinstance(message, Alert) else message.event
    data = {**said(message), "title": told.title(message), "lines": told.lines(message)}
    return {"type": kind, "timestamp": spell.iso(message.told_at), "data": data}


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> Webhook:
    """`url` of the hook, and `secret` to sign with; `api_url` for another server, which gets the hook's path."""
    secret = secrets.get("secret")
    if secret is not None:
        try:
            key_of(secret)
        except ValueError as error:
            raise ConfigError(f"channel {spell.quoted(table.name)}: secret {error}") from None
    return Webhook(table.name, Post.to_hook(table, secrets, clock), secret=secret, clock=clock)
