"""A message as a mail: headers, text, HTML, and the page that is attached. The same message and key give the same bytes.

Sources: RFC 5322 (headers, threads), RFC 3834 (Auto-Submitted), RFC 2046 (multipart/alternative). Whatever a name holds,
it stays in its header: a header is one printable line, and all that is not ASCII is encoded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape

from qpanalytics import spell
from qpanalytics.alerts import told
from qpanalytics.alerts.base import Alert, Digest, Message

SUBJECT_MOST = 200
"""Characters of a subject; more are shown nowhere."""

_ODD = re.compile(r"""[\s,;<>()\[\]\\"@]""")


def address(text: str) -> Address:
    """The address meant by "ops@example.com" or "Ops <ops@example.com>"; ValueError says what is wrong with it.

    A domain of other letters is turned into its ASCII form. Before the @ there is no such form, and few servers take other
    letters there, so they are refused.
    """
    name, spec = parseaddr(text) if "<" in text else ("", text.strip())
    local, at, domain = spec.rpartition("@")
    if not (local and at and domain and local.isascii() and text.isprintable()) or _ODD.search(local + domain):
        raise ValueError(f'{spell.quoted(text)} is not a mail address; try "ops@example.com" or "Ops <ops@example.com>"')
    try:
        return Address(name, local, domain.encode("idna").decode("ascii"))
    except (HeaderParseError, ValueError, IndexError):
        raise ValueError(f"{spell.quoted(text)} is not a mail address that mail servers take") from None


def letter(message: Message, key: str, sender: Address, to: Sequence[Address]) -> bytes:
    """The mail as it goes over the wire.

    Its Message-ID follows from `key` alone, so a second try can be known for what it is. All mails about one incident name
    one mail that stands for it, whether or not that was ever sent here: programs show them as one conversation.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = to
    made["Subject"] = _subject(message)
    made["Date"] = format_datetime(message.told_at)
    made["Message-ID"] = _id("key", key, sender)
    if isinstance(message, Alert):
        thread = _id("incident", f"{message.origin} {message.incident}", sender)
        made["In-Reply-To"] = made["References"] = thread
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"  # what Exchange asks for instead
    text, html = (message.text, message.html) if isinstance(message, Digest) else (_text(message), _html(message))
    if isinstance(message, Digest) and told.link(message) and not html:
        text = f"{text}\n{message.link}\n"
    # quoted-printable: short lines of ASCII, which a server without 8BITMIME takes as well
    made.set_content(_sendable(text), cte="quoted-printable")
    if html:
        made.add_alternative(_sendable(html), subtype="html", cte="quoted-printable")
    if isinstance(message, Digest) and message.page:
        name = message.page_name or "report.html"
        made.add_attachment(_sendable(message.page).encode(), "text", "html", filename=name, params={"charset": "utf-8"})
    for number, part in enumerate(one for one in made.walk() if one.is_multipart()):
        part.set_boundary(f"=_qpa_{_digest('part', key)}_{number}")  # else it is random, and no two tries are the same
    return made.as_bytes()


def _subject(message: Message) -> str:
    line = " ".join(told.title(message).split())
    return line if len(line) <= SUBJECT_MOST else f"{line[: SUBJECT_MOST - 3]}..."


def _facts(alert: Alert) -> str:
    return spell.plain(f"{alert.severity}, incident {alert.incident}")


def _text(alert: Alert) -> str:
    rest = [part for part in (told.command(alert), told.link(alert)) if part]
    parts = ([told.title(alert)], told.lines(alert), rest, [_facts(alert)])
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _html(alert: Alert) -> str:
    """The same words. No colour of paper or ink is set, so a dark mailbox shows it dark."""
    parts = [f"<p><b>{escape(told.title(alert))}</b></p>", *(f"<p>{escape(line)}</p>" for line in told.lines(alert))]
    if command := told.command(alert):
        parts.append(f"<p><code>{escape(command)}</code></p>")
    if link := told.link(alert):
        parts.append(f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    parts.append(f"<p>{escape(_facts(alert))}</p>")
    head = '<meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    body = f'<body style="font:15px/1.5 system-ui,Helvetica,Arial,sans-serif;word-break:break-word">{"".join(parts)}</body>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'


def _sendable(text: str) -> str:
    """Without what is no text in any encoding: half a surrogate pair from a broken name."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _id(kind: str, of: str, sender: Address) -> str:
    # A long one would be folded and encoded like other words, and no longer be an id.
    domain = sender.domain if len(sender.domain) <= 30 else "qpanalytics.invalid"
    return f"<{_digest(kind, of)}@{domain}>"


def _digest(kind: str, of: str) -> str:
    return hashlib.sha256(f"{kind} {of}".encode("utf-8", "replace")).hexdigest()[:32]
