"""Mails over SMTP, against a real server: what arrives, what is encrypted, and what each failure is worth."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import mail_server
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mail_server import PASSWORD, USER, Handler, MailServer

from qpanalytics.alerts import open_channel
from qpanalytics.alerts.base import Alert, Asks, DeliveryError, Digest, Forgetful, Memory, Message, Sent
from qpanalytics.alerts.letter import address, letter
from qpanalytics.errors import ConfigError
from qpanalytics.settings_channels import ChannelTable

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
ME = Address("Jobs", "qpa", "example.com")
OPS = Address("", "ops", "example.com")
ALERT = Alert(
    "i-7", "open", "down", "critical", ("backup-db",), "backup-db has been down since Mon 02:15.", NOW, NOW,
    detail="It last succeeded Sun 02:07.", evidence=("exit status 137",), command="qpa runs --check backup-db", origin="a",
)  # fmt: skip
DIGEST = Digest("3 of 24 checks need you, Mon 16 to Sun 22 Nov 2026", "first line\n" + "x" * 2000 + "\nBüro\n", NOW)


def table(port: int, **more: Any) -> ChannelTable:
    told = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": port, "sender": "Jobs <qpa@example.com>",
            "to": ["ops@example.com"], "connect_timeout": 2, "timeout": 0.4}  # fmt: skip
    return ChannelTable.model_validate(told | more)


def send(table: ChannelTable, message: Message = ALERT, key: str = "k1", memory: Memory | None = None) -> Sent:
    channel = open_channel(table, {"PW": PASSWORD, "WRONG": "s3cret wrong"}, Path(), lambda: NOW, memory)
    try:
        return channel.send(message, key)
    finally:
        channel.close()


def refused(table: ChannelTable, **more: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        send(table, **more)
    said = str(caught.value)
    assert said.startswith("mail: ") and "\n" not in said and PASSWORD not in said
    return caught.value


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mail_server.certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def plain() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


# What arrives ---------------------------------------------------------------------------------------------------------


def test_an_alert_arrives_as_text_and_html_from_a_program(plain: MailServer) -> None:
    send(table(plain.port, to=["ops@example.com", "Büro Süd <buero@bücher.example>"]))

    mail = plain.taken[-1]
    assert (mail.sender, mail.to) == ("qpa@example.com", ["ops@example.com", "buero@xn--bcher-kva.example"])
    got = mail.message
    assert got["Subject"] == "[critical] backup-db has been down since Mon 02:15."
    assert got["From"] == "Jobs <qpa@example.com>"
    assert got["To"] == "ops@example.com, Büro Süd <buero@xn--bcher-kva.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Date"].datetime == NOW
    assert got.get_content_type() == "multipart/alternative"
    text, html = (got.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and html is not None
    for words in ("backup-db has been down", "It last succeeded Sun 02:07.", "exit status 137", "qpa runs --check backup-db"):
        assert words in text.get_content() and words in html.get_content()
    assert "critical, incident i-7" in text.get_content()


def test_a_digest_arrives_whole_with_its_page_attached(plain: MailServer) -> None:
    page = "<!doctype html><title>Büro</title>" + "y" * 5000
    whole = replace(DIGEST, html="<p>Büro</p>", page=page, page_name="weekly-2026-11-16.html", to=("dba@example.com",))
    send(table(plain.port), whole)

    mail = plain.taken[-1]
    assert mail.to == ["dba@example.com"]
    got = mail.message
    assert got["Subject"] == DIGEST.subject
    assert got["In-Reply-To"] is None
    text, html = (got.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and text.get_content().replace("\r\n", "\n") == DIGEST.text
    assert html is not None and html.get_content().strip() == "<p>Büro</p>"
    (attached,) = got.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("weekly-2026-11-16.html", "text/html")
    assert attached.get_content() == page
    assert mail.content.isascii() and max(map(len, mail.content.split(b"\r\n"))) <= 998


def test_mails_about_one_incident_are_one_conversation_and_those_of_another_are_not() -> None:
    def heads(alert: Alert, key: str) -> tuple[str, ...]:
        raw = letter(alert, key, ME, [OPS]).decode()
        names = ("Message-ID", "In-Reply-To", "References")
        found = (re.search(rf"^{name}: (<\S+@example\.com>)\r$", raw, re.M) for name in names)
        return tuple(one[1] for one in found if one)

    opened, resolved = heads(ALERT, "k1"), heads(replace(ALERT, event="resolve"), "k2")
    assert opened[0] != resolved[0]
    assert opened[1:] == resolved[1:] == (opened[1],) * 2
    assert heads(replace(ALERT, incident="i-8"), "k3")[1] != opened[1]
    assert heads(replace(ALERT, origin="b"), "k4")[1] != opened[1]


def test_a_second_try_is_the_same_mail_byte_for_byte() -> None:
    digest = replace(DIGEST, html="<p>a</p>", page="<p>b</p>")
    assert letter(digest, "k", ME, [OPS]) == letter(digest, "k", ME, [OPS])
    assert letter(digest, "k", ME, [OPS]) != letter(digest, "another", ME, [OPS])


@settings(max_examples=60)
@given(st.text(max_size=300))
@example("a\r\nBcc: everybody@example.com\r\n\r\n<script>")
@example("x" * 300 + "\u2028\x85\x0bBcc: a@example.com")
@example("\ud800 half a pair")
def test_no_name_makes_a_header_or_a_part_of_its_own(name: str) -> None:
    alert = replace(ALERT, members=(name,), sentence=f"{name} is down", detail=name, evidence=(name,), command=name, note=name)
    for message in (alert, Digest(f"{name}!", name, NOW, html="<p>a</p>", page="<p>b</p>")):
        got = mail_server.Mail("", [], letter(message, name, ME, [OPS])).message
        ours = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version",
                "Content-Type", "In-Reply-To", "References"}  # fmt: skip
        assert set(got.keys()) <= ours
        assert not any(part.defects for part in got.walk())
        kinds = [part.get_content_type() for part in got.walk() if not part.is_multipart()]
        assert kinds == ["text/plain", "text/html"] + ["text/html"] * isinstance(message, Digest)
        assert got["Subject"].isprintable()
    assert "<script" not in str(mail_server.Mail("", [], letter(alert, name, ME, [OPS])).message.get_body(("html",)))


# Who is trusted -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # of the server, which is right in general
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_password_goes_over_an_encrypted_connection_whose_certificate_is_known(
    mode: str, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MailServer(certificate=trusted, tls=mode == "tls", auth=True) as server:
        mine = table(server.port, host="localhost", tls=mode, user=USER, password="env:PW", timeout=5)

        unknown = refused(mine)
        assert "the certificate of localhost is not accepted (self" in str(unknown) and "SSL_CERT_FILE" in str(unknown)
        assert not unknown.permanent and not unknown.unclear and not server.taken

        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        send(mine)
        assert len(server.taken) == 1
        other = refused(mine.model_copy(update={"host": "127.0.0.1"}))
        assert "the certificate of 127.0.0.1 is not accepted" in str(other)

        wrong = refused(ChannelTable.model_validate(mine.model_dump() | {"password": "env:WRONG"}))
        assert "signing in was refused (535); look at user and password" in str(wrong)
        assert wrong.permanent and len(server.taken) == 1


def test_a_server_without_starttls_is_not_talked_to_in_the_clear(plain: MailServer) -> None:
    before = len(plain.taken)
    error = refused(table(plain.port, tls="starttls"))
    assert "127.0.0.1 offers no STARTTLS" in str(error)
    assert not error.permanent and len(plain.taken) == before


def test_a_password_is_never_meant_for_the_clear() -> None:
    far = table(25, host="smtp.example.com", tls="none", user=USER, password="env:PW")
    with pytest.raises(ConfigError, match=r'channel "mail": tls = "none" would send the password in the clear'):
        send(far)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"host": None}, 'it has no host; add host = "smtp.example.com"'),
        ({"sender": None}, 'it has no sender; add sender = "qpa@example.com"'),
        ({"sender": "nobody"}, 'sender: "nobody" is not a mail address; try "ops@example.com"'),
        ({"to": ["a@example.com, b@example.com"]}, "is not a mail address"),
        ({"to": ["büro@example.com"]}, "is not a mail address"),
        ({"to": ["a@example.com\r\nBcc: b@example.com"]}, "is not a mail address"),
        ({"to": []}, 'it has no to; add to = ["ops@example.com"]'),
        ({"user": "qpa"}, 'it has no password; add password = "env:NAME"'),
        ({"user": "qpa", "password": "env:NONE"}, "password: NONE is not set in the environment"),
    ],
)
def test_what_is_missing_is_one_line_that_says_what_to_write(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        send(table(25, **more))
    assert said in str(caught.value) and str(caught.value).startswith('channel "mail": ')
    assert "\n" not in str(caught.value)


def test_ports_and_encryption_follow_from_each_other() -> None:
    def opened(**more: Any) -> tuple[int, str]:
        told = ChannelTable.model_validate({"name": "m", "kind": "email", "sender": "a@example.com"} | more)
        channel: Any = open_channel(told, {}, Path(), lambda: NOW)
        return channel._port, channel._tls

    assert opened(host="smtp.example.com") == (587, "starttls")
    assert opened(host="smtp.example.com", port=465) == (465, "tls")
    assert opened(host="smtp.example.com", tls="tls") == (465, "tls")
    assert opened(host="smtp.example.com", port=25) == (25, "starttls")
    assert opened(host="smtp.example.com", tls="none") == (25, "none")
    for here in ("localhost", "127.0.0.1", "::1"):
        assert opened(host=here) == (25, "none")


# What fails -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "permanent", "said"),
    [("451 try later", False, "DATA: refused: 451 try later"), ("554 we do not like it", True, "DATA: refused: 554 we do not")],
)
def test_4xx_is_worth_another_try_and_5xx_is_not(data: str, permanent: bool, said: str) -> None:
    with MailServer(Handler(data=data)) as server:
        error = refused(table(server.port))
    assert said in str(error) and error.permanent is permanent and not error.unclear


@pytest.mark.parametrize(("data", "said"), [("hang", "no answer within 0.4 s"), ("drop", "the connection was dropped")])
def test_a_mail_that_may_have_been_taken_is_said_to_be(data: str, said: str) -> None:
    with MailServer(Handler(data=data)) as server:
        error = refused(table(server.port))
    assert said in str(error) and "may have been taken" in str(error)
    assert error.unclear and not error.permanent


def test_a_server_is_asked_whether_it_answers_and_nothing_is_sent(plain: MailServer) -> None:
    before = len(plain.taken)
    with closing(open_channel(table(plain.port), {}, Path(), lambda: NOW)) as channel:
        assert isinstance(channel, Asks)
        channel.ask()
    assert len(plain.taken) == before
    with answering(b"421 too busy\r\n") as port, closing(open_channel(table(port), {}, Path(), lambda: NOW)) as channel:
        assert isinstance(channel, Asks)
        with pytest.raises(DeliveryError, match="421 too busy") as caught:
            channel.ask()
        assert not caught.value.unclear


def test_who_refuses_for_good_is_named_and_the_others_are_told() -> None:
    with MailServer(Handler(rcpt={"gone@example.com": "550 no such user"})) as server:
        sent = send(table(server.port, to=["ops@example.com", "gone@example.com"]))
        assert sent.why == "gone@example.com was refused: 550 no such user"
        assert [mail.to for mail in server.taken] == [["ops@example.com"]]
        error = refused(table(server.port, to=["gone@example.com"]))
        assert error.permanent and "gone@example.com was refused: 550 no such user" in str(error)


def test_who_refuses_for_now_is_tried_again_alone() -> None:
    handler, memory = Handler(rcpt={"grey@example.com": "450 greylisted"}), Forgetful()
    with MailServer(handler) as server:
        mine = table(server.port, to=["ops@example.com", "grey@example.com"])
        error = refused(mine, memory=memory)
        assert "1 of 2 recipients took it; grey@example.com was refused for now: 450 greylisted" in str(error)
        assert not error.permanent and not error.unclear
        handler.rcpt.clear()

        assert send(mine, memory=memory) == Sent()
        assert [mail.to for mail in server.taken] == [["ops@example.com"], ["grey@example.com"]]
        assert len({mail.message["Message-ID"] for mail in server.taken}) == 1
        send(mine, key="k2", memory=memory)
        assert server.taken[-1].to == ["ops@example.com", "grey@example.com"]


def test_a_server_that_is_not_there_or_is_none_is_told_apart(tmp_path: Path) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    error = refused(table(port))
    assert f"connecting to 127.0.0.1:{port}: Connection refused; the mail was not sent" in str(error)
    assert not error.permanent and not error.unclear
    assert "no such host" in str(refused(table(25, host="nowhere.invalid", tls="starttls")))

    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "answers something else than SMTP" in str(refused(table(port)))
    with answering(b"") as port:
        assert "no answer within 0.4 s; the mail was not sent" in str(refused(table(port)))
    with answering(b"421 too busy\r\n") as port:
        error = refused(table(port))
        assert "refused: 421 too busy" in str(error) and not error.permanent


def test_a_server_that_answers_letter_by_letter_does_not_hold_a_sending_for_ever() -> None:
    with answering(b"220-wait\r\n" * 10_000, pause_s=0.05) as port:
        error = refused(table(port, timeout=0.1, connect_timeout=0.1))
    assert "it took too long" in str(error)


def test_closing_a_channel_breaks_off_what_it_waits_for() -> None:
    with answering(b"") as port:
        channel = open_channel(table(port, timeout=60), {}, Path(), lambda: NOW)
        threading.Timer(0.2, channel.close).start()
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="broken off"):
            channel.send(ALERT, "k")
        assert time.monotonic() - began < 30


def test_closing_breaks_off_also_what_is_encrypted(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with MailServer(Handler(data="hang"), certificate=trusted) as server:
        told = table(server.port, host="localhost", tls="starttls", timeout=60)
        channel = open_channel(told, {}, Path(), lambda: NOW)
        threading.Timer(0.5, channel.close).start()
        with pytest.raises(DeliveryError, match="broken off"):
            channel.send(ALERT, "k")


class answering:
    """A port at which everybody is sent the same, in pieces of ten bytes, and nothing after that."""

    def __init__(self, said: bytes, pause_s: float = 0.0) -> None:
        self._said, self._pause_s = said, pause_s
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()

    def __enter__(self) -> int:
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return int(self._listening.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        try:
            caller, _ = self._listening.accept()
        except OSError:
            return
        with caller:
            for start in range(0, len(self._said), 10):
                if self._over.wait(self._pause_s):
                    break
                try:
                    caller.sendall(self._said[start : start + 10])
                except OSError:
                    break
            self._over.wait(60)


def test_an_address_is_read_as_people_write_it() -> None:
    assert address(" ops@example.com ").addr_spec == "ops@example.com"
    named = address('"Night, shift" <ops@example.com>')
    assert (named.display_name, named.addr_spec) == ("Night, shift", "ops@example.com")
