"""Slack, by an incoming web hook: https://api.slack.com/messaging/webhooks

Blocks with a text for notifications. Only the title is mrkdwn, with its three signs escaped and nothing in it looked up;
what follows is plain text, in which a name can neither call people nor draw a link. Slack cannot tell a repetition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics.alerts import told
from qpanalytics.alerts.base import Memory, Message, Secrets, Sent
from qpanalytics.alerts.post import Post, Reply

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

#: The most a section's text holds is 3,000 characters; all blocks together about 13,000 before Slack refuses them.
MOST_SECTION, MOST_TITLE, MOST_CONTEXT, MOST_LINES = 3_000, 600, 600, 9_000


class Slack:
    """One hook, which belongs to one channel there."""

    distinguishes = False

    def __init__(self, name: str, post: Post) -> None:
        self.name, self._post = name, post

    def send(self, message: Message, key: str) -> Sent:
        """Slack answers `ok`, or a word for what it does not like."""
        reply, why = self._post.json(payload(message)), ""
        body = _words(reply)
        if reply.status == 400 and re.fullmatch("[a-z_]*blocks[a-z_]*", body):  # they must not silence the alert
            text = escaped(told.cut(told.text(message), MOST_SECTION))
            reply, why = self._post.json({"text": text, "mrkdwn": False}), "it took the text and not the blocks"
            body = _words(reply)
        # a server that speaks the same tongue may answer otherwise than "ok", but never with a page
        if reply.status == 200 and not reply.is_page:
            return Sent(reply.status, why if body in ("ok", "") else "it answered something else than ok")
        raise self._post.refusal(reply, body if re.fullmatch("[a-z_]{2,60}", body) else "")

    def ask(self) -> None:
        """Whether Slack answers at all; a hook takes nothing by GET."""
        self._post.ask()

    def close(self) -> None:
        self._post.close()


def _words(reply: Reply) -> str:
    return reply.body.decode("utf-8", "replace").strip()


def payload(message: Message) -> dict[str, Any]:
    """A message as Slack's blocks, and as the text that stands in notifications."""
    title = escaped(told.cut(told.title(message), MOST_TITLE))
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*", "verbatim": True}}]
    lines = told.fitting(told.lines(message), MOST_LINES)
    blocks += [_section(text) for text in _packed(lines)]
    context = [_plain(part) for part in (told.command(message), told.link(message)) if part]
    if context:
        blocks.append({"type": "context", "elements": context})  # type: ignore[dict-item]
    # Formatting is off in the text, and Slack turns no @name into a mention unless it is asked to.
    return {"text": title, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False, "blocks": blocks}


def escaped(said: str) -> str:
    """A text in which Slack sees no mention, no link and no tag: https://api.slack.com/reference/surfaces/formatting"""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(said: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": told.cut(said, MOST_CONTEXT), "emoji": False}


def _section(said: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": said, "emoji": False}}


def _packed(lines: list[str]) -> list[str]:
    """Lines put together to texts of a section's length; empty lines at their ends are no text to Slack."""
    packed: list[str] = []
    for line in lines:
        whole = told.cut(line, MOST_SECTION)
        if packed and told.units(packed[-1]) + told.units(whole) + 1 <= MOST_SECTION:
            packed[-1] += f"\n{whole}"
        else:
            packed.append(whole)
    return [text for text in packed if text.strip()]


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> Slack:
    """`url` of the hook; `api_url` for another server, which gets the hook's path."""
    return Slack(table.name, Post.to_hook(table, secrets, clock))
