"""`[[channel]]` of `qpa.toml`: where alerts and digests go."""

from __future__ import annotations

from typing import Literal

from qpanalytics.settings_values import Address, Chat, Count, Names, Period, Reference, Table, Text


class ChannelTable(Table):
    """Somewhere alerts go; what its kind needs is looked at where it is used.

    `api_url` points a kind that knows its server elsewhere; the operator wrote it, so it may be a private address. `url`
    is a web hook, which may be one only with `allow_private`. Time-outs are seconds: to connect, and for an answer.
    """

    name: Text
    kind: Text
    token: Reference | None = None
    url: Reference | None = None  # whoever knows the address of a web hook can post to it
    api_key: Reference | None = None
    secret: Reference | None = None  # signs what a web hook is sent
    password: Reference | None = None
    api_url: Address | None = None
    allow_private: bool = False
    connect_timeout: Period | None = None
    timeout: Period | None = None
    # Telegram
    chat: Chat | None = None
    thread: Count | None = None
    # e-mail
    host: Text | None = None
    port: Count | None = None
    tls: Literal["starttls", "tls", "none"] | None = None
    user: Text | None = None
    sender: Text | None = None
    to: Names = ()
    # file
    path: Text | None = None
