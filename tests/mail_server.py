"""A real SMTP server on the loopback that keeps what it is sent, and fails on purpose."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "qpa", "s3cret pass"


@dataclass
class Mail:
    """What was taken: the envelope and the bytes."""

    sender: str
    to: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        made = message_from_bytes(self.content, policy=default)
        assert isinstance(made, EmailMessage)
        return made


@dataclass
class Handler:
    """Answers of the server: `rcpt` by recipient, else 250; `data` a reply, or `hang` or `drop` once all was read."""

    rcpt: dict[str, str] = field(default_factory=dict)
    data: str = "250 taken"
    taken: list[Mail] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (answer := self.rcpt.get(address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data == "hang":
            await asyncio.sleep(30)
        if self.data == "drop":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 never said"
        if self.data.startswith("250"):
            assert isinstance(envelope.content, bytes) and envelope.mail_from is not None
            self.taken.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return self.data


class MailServer:
    """`with MailServer(...) as server`: `server.port`, `server.taken`. With `certificate` it offers STARTTLS, or speaks
    TLS from the start; `auth` demands `USER` and `PASSWORD`."""

    def __init__(
        self, handler: Handler | None = None, *, certificate: Path | None = None, tls: bool = False, auth: bool = False
    ) -> None:
        self.handler = handler or Handler()
        self._more: dict[str, Any] = {}
        self._ssl = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._ssl = context if tls else None
            self._more |= {} if tls else {"tls_context": context, "require_starttls": True}
        if auth:
            self._more |= {"authenticator": _signed_in, "auth_required": True, "auth_require_tls": False}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    @property
    def taken(self) -> list[Mail]:
        return self.handler.taken

    def __enter__(self) -> MailServer:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        made = self._loop.create_server(self._talk, "127.0.0.1", 0, ssl=self._ssl)
        server = self._loop.run_until_complete(made)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        self._loop.close()

    def _talk(self) -> SMTP:
        return SMTP(self.handler, loop=self._loop, hostname="mail.example", **self._more)


def _signed_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


def certificate(folder: Path) -> Path:
    """Certificate and key of localhost, signed by itself, in one file; skips the test where there is no openssl."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both
