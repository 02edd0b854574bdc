"""Mails over SMTP: to a relay of one's own, or to that of a provider with a password.

What a server says decides what a try was worth (RFC 5321, 4.2.1): 4xx is temporary, 5xx is not. The connection is
encrypted and the certificate checked before a password goes over it; in the clear only to this machine, or where the
configuration says so, and never with a password over a network.
"""

from __future__ import annotations

import ipaddress
import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from email.headerregistry import Address
from typing import TYPE_CHECKING

import httpcore

from qpanalytics import spell
from qpanalytics.alerts.base import DeliveryError, Digest, Memory, Message, Secrets, Sent, wanted
from qpanalytics.alerts.guard import Guard
from qpanalytics.alerts.letter import address, letter
from qpanalytics.errors import ConfigError

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

CONNECT_S = 10.0
ANSWER_S = 30.0
WHOLE = 4.0
"""No sending takes longer than so many times the time for one answer, also if each answer comes letter by letter."""

PORTS = {"starttls": 587, "tls": 465, "none": 25}


def from_settings(table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime], memory: Memory) -> Email:
    """The channel of `[[channel]] kind = "email"`; ConfigError names the field and what to write."""
    host = str(wanted(table, "host", '"smtp.example.com"'))
    tls = table.tls or ("tls" if table.port == PORTS["tls"] else "none" if _here(host) else "starttls")
    where = f"channel {spell.quoted(table.name)}"
    if tls == "none" and table.user is not None and not _here(host):
        raise ConfigError(f'{where}: tls = "none" would send the password in the clear; write tls = "starttls" or "tls"')
    return Email(
        name=table.name,
        host=host,
        port=table.port if table.port is not None else PORTS[tls],
        tls=tls,
        sender=_address(where, "sender", str(wanted(table, "sender", '"qpa@example.com"'))),
        to=tuple(_address(where, "to", one) for one in table.to),
        user=table.user,
        password=secrets.need("password") if table.user is not None else None,
        connect_s=table.connect_timeout or CONNECT_S,
        answer_s=table.timeout or ANSWER_S,
        memory=memory,
    )


class Email:
    """A mail server that takes our messages.

    No server drops what it got already (`distinguishes`), but the Message-ID of a second try is that of the first, and
    many mailboxes show only one of the two. Recipients that took a message are remembered until all have, so a second try
    goes to the others only.
    """

    distinguishes = False

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int,
        tls: str,
        sender: Address,
        to: Sequence[Address],
        user: str | None,
        password: str | None,
        connect_s: float,
        answer_s: float,
        memory: Memory,
    ) -> None:
        self.name = name
        self._host, self._port, self._tls = host, port, tls
        self._sender, self._to = sender, tuple(to)
        self._user, self._password = user, password
        self._connect_s, self._answer_s = connect_s, answer_s
        self._memory = memory
        self._guard = Guard(guarded=False)
        self._open: socket.socket | None = None
        self._closed = False

    def close(self) -> None:
        """Breaks off a sending that is under way."""
        self._closed = True
        self._guard.break_off()
        self._break()

    def send(self, message: Message, key: str) -> Sent:
        """Sends one mail to all recipients. DeliveryError, `unclear` where the server may have taken it."""
        to = self._recipients(message)
        content = letter(message, key, self._sender, to)
        remembered = f"incident took {key}"  # what begins so is forgotten with its incident
        took = set(json.loads(self._memory.get(remembered) or "[]"))
        left = [one.addr_spec for one in to if one.addr_spec not in took]
        refused: dict[str, tuple[int, bytes]] = {}
        if left:
            with self._session() as (smtp, step):
                refused = self._post(smtp, step, left, content)
        for_now = [spec for spec, (code, _) in refused.items() if code < 500]
        if for_now:
            self._memory.put(remembered, json.dumps(sorted({one.addr_spec for one in to} - set(for_now))))
            why = self._said(*refused[for_now[0]])
            many = f"{len(to) - len(refused)} of {spell.plural(len(to), 'recipient')} took it"
            raise self._error(f"{many}; {_these(for_now)} refused for now: {why}")
        if took:
            self._memory.put(remembered, "[]")
        if refused:
            spec = next(iter(refused))
            return Sent(why=f"{_these(list(refused))} refused: {self._said(*refused[spec])}")
        return Sent()

    def ask(self) -> None:
        """Whether the server would take a mail, as far as a conversation goes in which nothing is sent. DeliveryError."""
        with self._session() as (smtp, step):
            step.at = "NOOP"
            code, said = smtp.noop()
            if code != 250:
                raise smtplib.SMTPResponseException(code, said)

    def _recipients(self, message: Message) -> tuple[Address, ...]:
        own = message.to if isinstance(message, Digest) else ()
        to = tuple(_address(f"channel {spell.quoted(self.name)}", "to", one) for one in own) or self._to
        if not to:
            raise ConfigError(f'channel {spell.quoted(self.name)}: it has no to; add to = ["ops@example.com"]')
        return tuple({one.addr_spec: one for one in to}.values())

    # One conversation with the server --------------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[tuple[smtplib.SMTP, _Step]]:
        """A conversation that is ready for a mail; whatever goes wrong in it becomes a DeliveryError."""
        step = _Step()
        watchdog = threading.Timer(self._connect_s + WHOLE * self._answer_s, self._late, [step])
        watchdog.daemon = True
        watchdog.start()
        smtp = None
        try:
            smtp = self._greeted(step)
            yield smtp, step
            with suppress(smtplib.SMTPException, OSError):  # the mail is theirs already
                smtp.quit()
        except (smtplib.SMTPException, OSError) as error:
            raise self._explained(error, step) from None
        finally:
            watchdog.cancel()
            self._open = None
            self._guard.forget()
            if smtp is not None:
                smtp.close()

    def _greeted(self, step: _Step) -> smtplib.SMTP:
        step.at = f"connecting to {self._host}:{self._port}"
        smtp = _Smtp(self)
        code, said = smtp.connect(self._host, self._port)
        if code != 220:
            smtp.close()
            raise smtplib.SMTPConnectError(code, said)
        smtp.ehlo_or_helo_if_needed()
        if self._tls == "starttls":
            step.at = "STARTTLS"
            smtp.starttls(context=ssl.create_default_context())
            self._open = smtp.sock
            smtp.ehlo()
        if self._user is not None and self._password is not None:
            step.at = "signing in"
            smtp.login(self._user, self._password)
        return smtp

    def _post(self, smtp: smtplib.SMTP, step: _Step, to: Sequence[str], content: bytes) -> dict[str, tuple[int, bytes]]:
        """Hands the mail over; the recipients that the server did not want, if it wanted any. SMTPException."""
        step.at = f"MAIL FROM {self._sender.addr_spec}"
        code, said = smtp.mail(self._sender.addr_spec, [f"size={len(content)}"] if smtp.has_extn("size") else [])
        if code != 250:
            raise smtplib.SMTPResponseException(code, said)
        refused = {}
        for spec in to:
            step.at = f"RCPT TO {spec}"
            code, said = smtp.rcpt(spec)
            if code not in (250, 251):
                refused[spec] = (code, said)
        if len(refused) == len(to):
            raise smtplib.SMTPRecipientsRefused(refused)
        step.at, step.data = "DATA", True
        code, said = smtp.data(content)
        step.data = False
        if code != 250:
            raise smtplib.SMTPDataError(code, said)
        return refused

    def _late(self, step: _Step) -> None:
        step.late = True
        self._break()

    def _break(self) -> None:
        """Wakes whoever waits for the server."""
        sock = self._open
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not that of a TLS socket, which takes its state away, too

    # What went wrong -------------------------------------------------------------------------------------------------

    def _explained(self, error: Exception, step: _Step) -> DeliveryError:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            codes = error.recipients
            for_now = [spec for spec, (code, _) in codes.items() if code < 500]
            told = for_now or list(codes)
            return self._error(f"{_these(told)} refused: {self._said(*codes[told[0]])}", permanent=not for_now)
        if isinstance(error, smtplib.SMTPAuthenticationError):
            hint = "" if error.smtp_code < 500 else "; look at user and password"
            # not what it said: some servers repeat what they were sent
            return self._error(f"signing in was refused ({error.smtp_code}){hint}", permanent=error.smtp_code >= 500)
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
            said = self._said(error.smtp_code, error.smtp_error)
            return self._error(f"{step.at}: refused: {said}", permanent=error.smtp_code >= 500)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return self._error(self._lacking(step), permanent=step.at != "STARTTLS")  # somebody in between may have cut it out
        if isinstance(error, ssl.SSLCertVerificationError):
            why = spell.quoted(error.verify_message or "not valid", 100)[1:-1]
            hint = "renew it, or name your own authority in SSL_CERT_FILE"
            return self._error(f"the certificate of {self._host} is not accepted ({why}); {hint}")
        if isinstance(error, ssl.SSLError):
            return self._error(f"{step.at}: no encrypted connection ({spell.plain(error.reason or 'failed')}); see tls and port")
        lost = "may have been taken: the answer did not come" if step.data else "was not sent"
        if self._closed:
            why = "broken off"
        elif step.late:
            why = "it took too long"
        elif isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib calls it a disconnect
            why = f"no answer within {spell.duration(self._answer_s)}" if self._open else "no connection in time"
        elif isinstance(error, smtplib.SMTPServerDisconnected):
            why = "the connection was dropped"
        elif isinstance(error, socket.gaierror):
            why = "no such host"
        elif isinstance(error, smtplib.SMTPException):
            why = "the server answers something else than SMTP"
        else:
            why = spell.plain(getattr(error, "strerror", None) or type(error).__name__)
        return self._error(f"{step.at}: {why}; the mail {lost}", unclear=step.data)

    def _lacking(self, step: _Step) -> str:
        if step.at == "STARTTLS":
            return f'{self._host} offers no STARTTLS; write tls = "tls" if it is encrypted from the start'
        return f"{self._host} lets nobody sign in here; leave user and password away, or look at port"

    def _said(self, code: int, text: bytes | str) -> str:
        """What the server said, as one safe line; should it repeat the password, without it."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        if self._password:
            words = words.replace(self._password, "***")
        return f"{code} {spell.quoted(' '.join(words.split()), 160)[1:-1]}".strip()

    def _error(self, what: str, *, permanent: bool = False, unclear: bool = False) -> DeliveryError:
        return DeliveryError(f"{spell.plain(self.name)}: {what}", permanent=permanent, unclear=unclear)


class _Step:
    """How far a conversation has come; `data` while nobody can say whether the mail was taken."""

    at = ""
    data = False
    late = False


class _Smtp(smtplib.SMTP):
    """A client with a time-out of its own to connect, that lets its socket be broken from another thread."""

    def __init__(self, of: Email) -> None:
        self._of = of
        own = socket.gethostname()
        # smtplib would ask the DNS for our name, which can take long where that is down
        super().__init__(local_hostname=own if "." in own else "[127.0.0.1]", timeout=of._answer_s)
        self._host = of._host  # whom a certificate must name

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        of = self._of
        sock: socket.socket
        try:
            sock = of._guard.connect_tcp(host, port, of._connect_s).get_extra_info("socket")
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise error.__cause__ if isinstance(error.__cause__, OSError) else TimeoutError() from None
        sock.settimeout(of._answer_s)
        of._open = sock
        if of._tls == "tls":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
            of._open = sock
        if of._closed:
            of._break()
        return sock


def _here(host: str) -> bool:
    """Whether a host is this machine."""
    if host.lower() in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _address(where: str, field: str, text: str) -> Address:
    try:
        return address(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {field}: {error}") from None


def _these(specs: Sequence[str]) -> str:
    """The beginning of what became of some addresses: "a@example.com was", "a@example.com, b@example.com were"."""
    more = f" and {len(specs) - 3} more" if len(specs) > 3 else ""
    return f"{', '.join(spell.plain(spec) for spec in specs[:3])}{more} {'was' if len(specs) == 1 else 'were'}"
