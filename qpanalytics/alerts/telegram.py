"""Telegram, by its Bot API: https://core.telegram.org/bots/api#sendmessage

Later words on an incident are replies to the first; `thread` is a topic of a forum. A group that became a supergroup has
a new id, which Telegram tells once and we remember. A message has at most 4,096 UTF-16 code units after its markup is
taken away, and no way to tell a repetition.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.alerts import told
from qpanalytics.alerts.base import Alert, Memory, Message, Secrets, Sent, wanted
from qpanalytics.alerts.post import Post, Reply
from qpanalytics.errors import ConfigError

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

API = "https://api.telegram.org"
#: What a message holds at most, in UTF-16 code units, and what a title leaves for the rest.
MOST, MOST_TITLE = 4_096, 1_000


class Telegram:
    """One chat, or one topic of it."""

    distinguishes = False

    def __init__(self, name: str, post: Post, *, token: str, chat: str, thread: int | None, memory: Memory) -> None:
        self.name = name
        self._post, self._memory = post, memory
        self._path, self._ask_path = f"/bot{token}/sendMessage", f"/bot{token}/getMe"
        self._chat, self._thread = chat, thread

    def send(self, message: Message, key: str) -> Sent:
        """Sends it as HTML, and as plain text where Telegram cannot read that."""
        chat = self._memory.get(f"chat {self._chat}") or self._chat
        first = f"incident {message.incident}" if isinstance(message, Alert) else ""
        answers = self._memory.get(first) if first else None
        asked = _asked(message, chat, self._thread, answers)
        reply, why = self._post.json(asked, self._path), ""
        for _ in range(3):
            if reply.json().get("ok") is True:
                break
            said = str(reply.json().get("description", "")).lower()
            if (moved := _parameters(reply).get("migrate_to_chat_id")) is not None:
                # replies to messages in the old group, and its topics, mean nothing in the new one
                self._memory.put(f"chat {self._chat}", str(int(moved)))
                asked = _asked(message, str(int(moved)), None, None)
                why = "the group has a new id, which is remembered; set it as chat"
            elif "message_thread_id" in asked and re.search("thread not found|topic_closed|topic_deleted", said):
                del asked["message_thread_id"]
                why = "there is no open topic of this number; sent to the chat itself"
            elif "parse_mode" in asked and "parse entities" in said:
                del asked["parse_mode"]
                asked["text"] = told.cut(told.text(message), MOST)
            else:
                break
            reply = self._post.json(asked, self._path)
        if not (reply.taken and reply.json().get("ok") is True):
            wait = _parameters(reply).get("retry_after")
            raise self._post.refusal(
                reply,
                str(reply.json().get("description", "")),
                retry_after_s=min(float(wait), 3_600.0) if isinstance(wait, int | float) and wait >= 0 else None,
            )
        if first and answers is None and isinstance(number := _result(reply).get("message_id"), int):
            self._memory.put(first, str(number))
        return Sent(reply.status, why)

    def ask(self) -> None:
        """Whether Telegram answers at all."""
        self._post.ask(self._ask_path)

    def close(self) -> None:
        self._post.close()


def _asked(message: Message, chat: str, thread: int | None, answers: str | None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "chat_id": int(chat) if re.fullmatch(r"-?[0-9]{1,19}", chat) else chat,
        "text": text(message),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": isinstance(message, Alert) and (message.severity == "info" or message.event == "ack"),
    }
    if thread is not None:
        asked["message_thread_id"] = thread
    if answers is not None:
        asked["reply_parameters"] = {"message_id": int(answers), "allow_sending_without_reply": True}
    return asked


def text(message: Message) -> str:
    """A message as Telegram's HTML: the title in bold, then its lines, what does not fit left out and counted."""
    title = told.cut(_unlinked(told.title(message)), MOST_TITLE)
    more = [part for part in (told.command(message), told.link(message)) if part and told.units(part) < MOST_TITLE]
    left = MOST - told.units(title) - sum(told.units(part) + 1 for part in more) - 1
    lines = [_escaped(line) for line in told.fitting([_unlinked(line) for line in told.lines(message)], left)]
    if more and told.command(message) == more[0]:
        more[0] = f"<code>{_escaped(more[0])}</code>"
    if more and told.link(message) == more[-1]:
        more[-1] = _escaped(more[-1])
    return "\n".join([f"<b>{_escaped(title)}</b>", *lines, *more])


def _escaped(said: str) -> str:
    return html.escape(said, quote=False)


def _unlinked(said: str) -> str:
    """Names that look like a mention, a command or a tag call nobody: a zero-width character stands behind the sign."""
    return re.sub(r"(?<!\w)([@#/$])(?=\w)", "\\1\N{ZERO WIDTH NON-JOINER}", said)


def _parameters(reply: Reply) -> dict[str, Any]:
    found = reply.json().get("parameters")
    return found if isinstance(found, dict) else {}


def _result(reply: Reply) -> dict[str, Any]:
    found = reply.json().get("result")
    return found if isinstance(found, dict) else {}


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> Telegram:
    """`token` of the bot and `chat`; `thread` for a topic; `api_url` for a Bot API server of one's own."""
    chat = str(wanted(table, "chat", '"-1001234567890"'))
    if not re.fullmatch(r"-?[0-9]{1,19}|@[A-Za-z0-9_]{3,64}", chat):
        raise ConfigError(
            f"channel {spell.quoted(table.name)}: chat {spell.quoted(chat)} is neither an id nor a public name; "
            'try "-1001234567890" or "@name"'
        )
    token = secrets.need("token")
    if not re.fullmatch(r"[A-Za-z0-9_:-]{1,200}", token):
        raise ConfigError(f"channel {spell.quoted(table.name)}: token holds characters that no bot's token has; set it again")
    post = Post.to(table.api_url or API, table, clock, secrets=token.split(":"))
    return Telegram(table.name, post, token=token, chat=chat, thread=table.thread, memory=memory)
