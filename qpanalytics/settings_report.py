"""`[report]` of `qpa.toml`: whose days reports use, where pages can be read, and who is sent which digest."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from qpanalytics.settings_values import Address, Names, Table, Text, Texts, Zone
from qpanalytics.spell import quoted


def _web(value: str) -> str:
    try:
        parts = urlsplit(value)
        web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        web = False
    if not web or not value.isprintable() or " " in value:
        raise ValueError(f'{quoted(value)} is not an address of a folder on the web; try "https://reports.example.com/qpa"')
    return value.rstrip("/")


class SendTable(Table):
    """One `[[report.send]]`: a group of people, the channel that reaches them, and the checks that they are told of.

    Without `tags` it is told of every check; with some, of checks that carry one of them and of no other. `to` takes the
    place of the recipients of a channel of kind email. Other kinds are sent the first screen as text.
    """

    channel: Text
    to: Names = ()
    tags: Texts = ()


class ReportTable(Table):
    """Whose days and weeks reports use; `link` is the folder on the web that holds the pages, if there is one."""

    tz: Zone = "UTC"
    link: Annotated[Address, AfterValidator(_web)] | None = None
    send: tuple[SendTable, ...] = ()
