"""PagerDuty, by its Events API v2: https://developer.pagerduty.com/docs/events-api-v2/overview/

An incident has one `dedup_key` from its first word to its last, so PagerDuty itself tells a repetition: a second trigger
joins the first. A summary has at most 1,024 characters and an event 512 kB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.alerts import told
from qpanalytics.alerts.base import Alert, DeliveryError, Memory, Message, Secrets, Sent
from qpanalytics.alerts.post import Post, encoded

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

API = "https://events.pagerduty.com"
MOST_SUMMARY, MOST_KEY, MOST_BYTES = 1_024, 255, 500_000
MOST_MEMBERS = 100
ACTIONS = {"open": "trigger", "remind": "trigger", "escalate": "trigger", "ack": "acknowledge", "resolve": "resolve"}
#: Ours to theirs; they have `error` between critical and warning.
SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}


class PagerDuty:
    """One integration of one service."""

    distinguishes = True

    def __init__(self, name: str, post: Post, *, routing_key: str) -> None:
        self.name, self._post, self._routing_key = name, post, routing_key

    def send(self, message: Message, key: str) -> Sent:
        """It answers 202 once the event is in its queue."""
        if not isinstance(message, Alert) and message.event == "digest":
            raise DeliveryError(f"{spell.quoted(self.name)[1:-1]}: PagerDuty wakes people; it takes no digests.", permanent=True)
        reply = self._post.content(fitted({"routing_key": self._routing_key, **event(message, key)}), "/v2/enqueue")
        if reply.taken and not reply.is_page:
            return Sent(reply.status)
        errors = reply.json().get("errors")
        raise self._post.refusal(reply, str(errors[0]) if isinstance(errors, list) and errors else "")

    def close(self) -> None:
        self._post.close()


def event(message: Message, key: str) -> dict[str, Any]:
    """The event of a message, without the routing key."""
    if not isinstance(message, Alert):
        payload = {"summary": _summary(message), "source": "qpanalytics", "severity": "info", "custom_details": _text(message)}
        return {"event_action": "trigger", "dedup_key": key, "client": "qpanalytics", "payload": payload}
    action = ACTIONS[message.event]
    asked: dict[str, Any] = {"event_action": action, "dedup_key": dedup_key(message)}
    if action != "trigger":
        return asked
    details = {
        "text": "\n".join(told.lines(message)),
        message.about: [spell.plain(name) for name in message.members[:MOST_MEMBERS]],
        "command": told.command(message),
        "figures": dict(message.figures),
    }
    asked["client"] = "qpanalytics"
    asked["payload"] = {
        "summary": _summary(message),
        "source": spell.plain(message.source or message.check or "qpanalytics"),
        "severity": SEVERITIES.get(message.severity, "warning"),
        "timestamp": spell.iso(message.opened_at),
        "component": spell.plain(message.check),
        "class": message.kind,
        "custom_details": {name: value for name, value in details.items() if value},
    }
    if link := told.link(message):
        asked["links"] = [{"href": link, "text": "more"}]
    return asked


def dedup_key(alert: Alert) -> str:
    """The same for all that is said of an incident, and for no other installation's."""
    whole = f"qpanalytics/{alert.origin}/{alert.incident}"
    if len(whole) <= MOST_KEY and whole.isascii() and whole.isprintable():
        return whole
    return f"qpanalytics/{hashlib.sha256(whole.encode('utf-8', 'replace')).hexdigest()}"


def fitted(asked: dict[str, Any]) -> bytes:
    """The event as it is sent, without its figures, then without its details, where it would be too long."""
    body = encoded(asked)
    for name in ("figures", "text"):
        if len(body) > MOST_BYTES:
            asked["payload"]["custom_details"].pop(name, None)
            body = encoded(asked)
    return body


def _summary(message: Message) -> str:
    return told.cut(told.title(message), MOST_SUMMARY)


def _text(message: Message) -> dict[str, str]:
    return {"text": "\n".join(told.lines(message))}


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> PagerDuty:
    """`api_key` is the integration key of a service's Events API v2; `api_url` for the EU (https://events.eu.pagerduty.com)."""
    key = secrets.need("api_key")
    return PagerDuty(table.name, Post.to(table.api_url or API, table, clock, secrets=[key]), routing_key=key)
