"""A message in the pieces that every channel has a place for: one title, some lines, each one safe line of text.

The words are the finding's. What is added here is only what became of the incident: reminded, escalated, resolved.
"""

from __future__ import annotations

from datetime import UTC, datetime

from qpanalytics import spell
from qpanalytics.alerts.base import Alert, Digest, Message

#: Members of an incident told by name; more are counted.
MOST_NAMES = 10
#: Lines of a digest; a report's first screen has about twenty.
MOST_LINES = 200


def mark(message: Message) -> str:
    """What kind of news it is, in a word or two: "critical", "critical, still open", "resolved after 41 min"."""
    if isinstance(message, Digest):
        return ""
    if message.event == "resolve":
        if message.resolved_at is None:
            return "resolved"
        return f"resolved after {spell.duration(max((message.resolved_at - message.opened_at).total_seconds(), 0.0))}"
    severity = spell.plain(message.severity)
    words = {"open": "", "remind": ", still open", "escalate": ", escalated", "ack": ", acknowledged"}
    return f"{severity}{words.get(message.event, '')}"


def title(message: Message) -> str:
    """The one line that says it all: "[critical] backup-db missed 3 of 5 runs; down since Fri 02:30."."""
    if isinstance(message, Digest):
        return spell.plain(message.subject.strip())
    return f"[{mark(message)}] {spell.plain(message.sentence)}"


def lines(message: Message) -> list[str]:
    """What follows the title, most important first: why it is told now, figures, members, evidence, since when."""
    if isinstance(message, Digest):
        return [spell.plain(line.rstrip()) for line in message.text.strip("\n").splitlines()[:MOST_LINES]]
    found = [message.note, message.detail]
    if len(message.members) > 1:
        more = f" and {len(message.members) - MOST_NAMES} more" if len(message.members) > MOST_NAMES else ""
        found.append(f"{spell.plural(len(message.members), message.about)}: {', '.join(message.members[:MOST_NAMES])}{more}")
    found += message.evidence
    if message.event == "resolve" and message.resolved_at is not None:
        found.append(f"Open from {_moment(message.opened_at)} to {_moment(message.resolved_at)} UTC.")
    elif message.event != "open":
        found.append(f"Open since {_moment(message.opened_at)} UTC.")
    return [spell.plain(line) for line in found if line]


def command(message: Message) -> str:
    """What to type to see more, one safe line; empty where there is nothing."""
    return spell.plain(message.command) if isinstance(message, Alert) else ""


def link(message: Message) -> str:
    """Where to see more, if it is an address of the web; else empty."""
    said = message.link.strip()
    return said if said.startswith(("https://", "http://")) and said.isascii() and said.isprintable() and " " not in said else ""


def text(message: Message) -> str:
    """All of it as plain text: title, lines, what to type, where to look."""
    rest = [part for part in (command(message), link(message)) if part]
    return "\n".join([title(message), *lines(message), *rest])


def cut(said: str, most: int) -> str:
    """`said` in at most `most` UTF-16 code units, which is how chats count; what is left out is marked."""
    if units(said) <= most:
        return said
    kept = said.encode("utf-16-le", "replace")[: max(most - 3, 0) * 2].decode("utf-16-le", "ignore")
    return f"{kept}..."


def units(said: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(said.encode("utf-16-le", "replace")) // 2


def fitting(found: list[str], most: int) -> list[str]:
    """The first lines that fit into `most` code units together, the last one cut or counted."""
    kept: list[str] = []
    left = most - 24  # room for the line that counts the rest
    for number, line in enumerate(found):
        if units(line) + 1 > left:
            if left > 80:
                kept.append(cut(line, left - 1))
                number += 1
            if number < len(found):
                kept.append(f"and {spell.plural(len(found) - number, 'line')} more")
            return kept
        kept.append(line)
        left -= units(line) + 1
    return kept


def _moment(at: datetime) -> str:
    return f"{spell.moment(at, UTC)}"
