"""What is told, and what every channel answers: messages, the protocol of a channel, and how a delivery ends.

A channel formats a message and hands it over once; it never invents words, keeps nothing and does not try again. The
outbox owns order, retries and the ledger of tries. Both kinds of message are plain JSON values while they wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from qpanalytics import spell
from qpanalytics.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable
    from qpanalytics.verdict.finding import Finding

Event = Literal["open", "remind", "escalate", "ack", "resolve"]
"""What became of an incident. `ack`: a person has taken it on."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing told about one incident: the words and figures of its finding, and what became of it.

    `incident` is the incident's stable id. `check` is the first of `members`; `about` says what these are names of.
    `sentence` is the one line that a phone shows; `detail` has more figures and what can be done; `evidence` are further
    lines; `command` is what to type to see the runs behind it. `note` says why this is told now ("not acknowledged for
    15 min"). Times are UTC; `told_at` is when it was decided to tell, not when it was sent. `figures` are plain JSON
    values. `origin` tells one installation's incidents from another's; the outbox fills it in.
    """

    incident: str
    event: Event
    kind: str
    severity: str
    members: tuple[str, ...]
    sentence: str
    opened_at: datetime
    told_at: datetime
    resolved_at: datetime | None = None
    about: Literal["check", "queue", "worker", "source"] = "check"
    source: str = ""
    label: str = ""
    detail: str = ""
    evidence: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    note: str = ""
    link: str = ""
    origin: str = ""

    @classmethod
    def of(
        cls,
        finding: Finding,
        *,
        incident: str,
        event: Event,
        opened_at: datetime,
        told_at: datetime,
        resolved_at: datetime | None = None,
        members: Sequence[str] | None = None,
        evidence: Sequence[str] = (),
        note: str = "",
        link: str = "",
    ) -> Alert:
        """What a worded finding says about an incident; `members` where they are not the finding's own."""
        return cls(
            incident=incident, event=event, kind=finding.kind, severity=finding.severity,
            members=tuple(finding.checks if members is None else members), sentence=finding.sentence,
            opened_at=opened_at, told_at=told_at, resolved_at=resolved_at, about=finding.about, source=finding.source,
            label=finding.label, detail=finding.detail, evidence=tuple(evidence), figures=dict(finding.figures),
            command=finding.command, note=note, link=link,
        )  # fmt: skip

    @property
    def check(self) -> str:
        """The first of what it is about."""
        return self.members[0] if self.members else ""


@dataclass(frozen=True, slots=True)
class Digest:
    """A text that belongs to no incident: a report's first screen, a summary of what was held back, a test.

    `text` is plain text of some lines, already worded; `subject` its one line, not repeated in it. The last four are for
    mails alone, other channels leave them out: `html` says the same as `text`, `page` is the whole page, to be attached
    under `page_name`, and `to` are recipients in place of the channel's own.
    """

    subject: str
    text: str
    told_at: datetime
    event: Literal["digest", "summary", "test"] = "digest"
    link: str = ""
    origin: str = ""
    html: str = ""
    page: str = ""
    page_name: str = ""
    to: tuple[str, ...] = ()


Message = Alert | Digest


def said(message: Message) -> dict[str, Any]:
    """A message as JSON values; `heard` reads it back."""
    values = {name: _plain(value) for name, value in asdict(message).items()}
    return {"message": "alert" if isinstance(message, Alert) else "digest", **values}


def _plain(value: Any) -> Any:
    """What JSON can say of a value: a time as text, what is no number as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return spell.iso(value) if isinstance(value, datetime) else str(value)


def heard(values: Mapping[str, Any]) -> Message:
    """The message that `said` wrote. What a newer version added to it is left out."""
    kind = Alert if values["message"] == "alert" else Digest
    known = {one.name: values[one.name] for one in fields(kind) if one.name in values}
    for name, value in known.items():
        if name.endswith("_at") and value is not None:
            known[name] = datetime.fromisoformat(value)
        elif isinstance(value, list):  # of names or lines; figures are a mapping
            known[name] = tuple(value)
    return kind(**known)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the other side took. `http_status` is its answer, None where there is no such thing; `why` is for
    people, where the answer was odd. How long it took is measured by who sends."""

    http_status: int | None = None
    why: str = ""


class DeliveryError(SourceError):
    """A message that was not taken, or of which that is not known: names the channel, never its address or its key.

    `permanent`: the same message will not be taken later either. `unclear`: it may have arrived, since it had left when
    the answer failed to come. `retry_after_s` is how long the other side asked to be left alone.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after_s: float | None = None,
        http_status: int | None = None,
        unclear: bool = False,
    ) -> None:
        super().__init__(message, permanent=permanent, retry_after_s=retry_after_s)
        self.http_status = http_status
        self.unclear = unclear


class Channel(Protocol):
    """Somewhere messages go. Used by one thread at a time, but for `close`."""

    name: str
    #: The other side drops what it got already, by the key or by what the message says of its incident.
    distinguishes: bool

    def send(self, message: Message, key: str) -> Sent:
        """Hands over a message, once; `key` is the same on each retry. DeliveryError.

        It ends in bounded time, whatever the other side does, and soon after `close`.
        """
        ...

    def close(self) -> None:
        """Breaks off what is under way, from any thread, and gives connections back."""
        ...


@runtime_checkable
class Asks(Protocol):
    """A channel that cannot tell a repetition, and can find out whether the other side answers at all."""

    def ask(self) -> None:
        """Asks something that tells nobody anything. DeliveryError, never `unclear`, while there is no answer."""
        ...


class Memory(Protocol):
    """What a channel has learned and must not forget: a group's new id, the first message about an incident."""

    def get(self, name: str) -> str | None: ...

    def put(self, name: str, value: str) -> None: ...


class Forgetful:
    """A memory for one sending, where there is no state."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def put(self, name: str, value: str) -> None:
        self._known[name] = value


class Secrets:
    """The secrets of one channel's table, resolved when they are asked for; none is ever shown."""

    def __init__(self, table: ChannelTable, environ: Mapping[str, str], folder: Path) -> None:
        self._table, self._environ = table, environ
        #: Where relative paths of the configuration are meant from.
        self.folder = folder

    def get(self, field: str) -> str | None:
        """The secret in a field of the table, None where it has none. ConfigError if it cannot be resolved."""
        reference = getattr(self._table, field)
        if reference is None:
            return None
        try:
            return str(reference.resolve(self._environ, self.folder))
        except ConfigError as error:
            raise ConfigError(f"channel {spell.quoted(self._table.name)}: {field}: {error}") from None

    def need(self, field: str) -> str:
        """The secret in a field that the kind cannot do without."""
        if (value := self.get(field)) is None:
            raise ConfigError(
                f'channel {spell.quoted(self._table.name)}: it has no {field}; add {field} = "env:NAME" and set NAME'
            )
        return value


def wanted(table: ChannelTable, field: str, example: str) -> Any:
    """The value of a field that the kind cannot do without; ConfigError shows what to write."""
    value = getattr(table, field)
    if value is None or value == ():
        raise ConfigError(f"channel {spell.quoted(table.name)}: it has no {field}; add {field} = {example}")
    return value
