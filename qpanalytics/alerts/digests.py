"""Who is sent which digest: `[[report.send]]`, or each e-mail channel's own recipients where nothing is said.

A group with tags is told of its checks alone, in a digest of its own with a verdict of its own; groups with the same tags
share one. Nothing is sent here: each letter is a message for its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts.base import Digest
from qpanalytics.alerts.letter import address
from qpanalytics.errors import ConfigError
from qpanalytics.settings_report import SendTable

if TYPE_CHECKING:
    from qpanalytics.report import Report
    from qpanalytics.settings import Settings
    from qpanalytics.settings_channels import ChannelTable


@dataclass(frozen=True, slots=True)
class Letter:
    """One digest for one group. `report` is what it was made of; `who` says whom it goes to, for a person.

    `key` follows from the window, the checks and the recipients: who sends a digest once for each window can know by it
    that this was done.
    """

    channel: ChannelTable
    who: str
    report: Report
    digest: Digest
    key: str


@dataclass(frozen=True, slots=True)
class Group:
    """One group and its channel."""

    channel: ChannelTable
    to: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def who(self) -> str:
        """Whom it is, in a word or two: the recipients of mails, else the channel."""
        if self.channel.kind != "email":
            return spell.plain(self.channel.name)
        to = [spell.plain(one) for one in self.to or self.channel.to]
        return ", ".join(to[:3]) + (f" and {len(to) - 3} more" if len(to) > 3 else "")


def groups(settings: Settings, *, mail_only: bool = False) -> list[Group]:
    """The groups of `[[report.send]]`; ConfigError for one that names no channel, or recipients that it cannot take."""
    channels = {table.name: table for table in settings.channel}
    by_itself = [SendTable(channel=table.name) for table in settings.channel if table.kind == "email" and table.to]
    said = settings.report.send or by_itself
    found = []
    for number, table in enumerate(said, 1):
        channel = channels.get(table.channel)
        if channel is None:
            known = ", ".join(spell.plain(name) for name in channels) or "none yet; add a [[channel]]"
            raise ConfigError(
                f"qpa.toml: report.send[{number}].channel: {spell.quoted(table.channel)} is no channel; there is {known}"
            )
        if table.to and channel.kind != "email":
            raise ConfigError(
                f"qpa.toml: report.send[{number}].to: channel {spell.quoted(channel.name)} is not of kind email, and goes "
                "where its own table says; leave to away"
            )
        if channel.kind == "email":
            _addressed(number, table, channel)
        if channel.kind == "email" or not mail_only:
            found.append(Group(channel, table.to, table.tags))
    return found


def _addressed(number: int, table: SendTable, channel: ChannelTable) -> None:
    if not (table.to or channel.to):
        raise ConfigError(
            f"qpa.toml: report.send[{number}].to: nobody is named, nor in channel {spell.quoted(channel.name)}; "
            'add to = ["ops@example.com"]'
        )
    for one in table.to:
        try:
            address(one)
        except ValueError as error:
            raise ConfigError(f"qpa.toml: report.send[{number}].to: {error}") from None


def nobody(group: Group, known: Collection[str]) -> str:
    """Why there is nothing to tell a group: that no check has its tags; empty if some check has one. `known` are all tags."""
    if not group.tags or set(group.tags) & set(known):
        return ""
    some = ", ".join(spell.plain(tag) for tag in sorted(known)[:5]) + (", ..." if len(known) > 5 else "")
    tags = " or ".join(spell.quoted(tag) for tag in group.tags)
    return f"{group.who}: no check has the tag {tags}, as report.send wants; there is {some or 'no tag yet'}"


def letters(
    to: Collection[Group],
    report: Callable[[tuple[str, ...]], Report],
    *,
    told_at: datetime,
    link: str | None = None,
) -> Iterator[Letter]:
    """The letters for some groups, in their order; `report(tags)` makes the digest of the checks that carry one of `tags`.

    It is asked once for each set of tags. `link` is the folder on the web with the pages, without which the page is
    attached.
    """
    made: dict[tuple[str, ...], Report] = {}
    for group in to:
        tags = tuple(sorted(set(group.tags)))
        if tags not in made:
            made[tags] = report(tags)
        yield _letter(group, made[tags], told_at, link)


def _letter(group: Group, report: Report, told_at: datetime, link: str | None) -> Letter:
    from qpanalytics.report.mail import first_screen, mail

    where = f"{link}/{report.name}" if link else ""
    by_mail = group.channel.kind == "email"
    made = mail(report.facts, about=", ".join(group.tags), link=where, attached="" if where or not by_mail else report.name)
    digest = Digest(made.subject, made.text if by_mail else first_screen(report.facts), told_at, link=where)
    if by_mail:
        digest = replace(digest, html=made.html, to=group.to)
    if by_mail and not where:
        digest = replace(digest, page=report.html, page_name=report.name)
    key = " ".join(("digest", report.name, group.channel.name, *group.to))
    return Letter(group.channel, group.who, report, digest, key)
