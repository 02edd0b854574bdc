"""Web hooks do not lead into the own network, whatever a name says the second time it is asked; signatures; files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receiver import Answer, Receiver, alert
from test_source_http import Line, certificate, reply, tls

from qpanalytics.alerts import open_channel
from qpanalytics.alerts.base import Alert, Channel, DeliveryError, Digest, Forgetful, heard, said
from qpanalytics.alerts.guard import public
from qpanalytics.alerts.signature import signature, verify
from qpanalytics.settings_channels import ChannelTable

__all__ = ["certificate"]  # a fixture

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hook(url: str, **fields: object) -> Channel:
    table = ChannelTable.model_validate(
        {"name": "hook", "kind": "webhook", "url": "env:URL", "timeout": 0.3, "connect_timeout": 0.5, **fields}
    )
    return open_channel(table, {"URL": url, "SECRET": SECRET}, Path(), lambda: NOW, Forgetful())


# Private addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1",
    ],
)  # fmt: skip
def test_addresses_of_the_own_network_are_known_in_all_their_clothes(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_addresses_of_the_open_internet_are_let_through(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "127.1"]
)
def test_a_hook_into_the_own_network_is_refused_and_gets_nothing(host: str) -> None:
    with Receiver() as server:
        channel = hook(f"http://{host}:{server.url.rpartition(':')[2]}/secretpath")
        with pytest.raises(DeliveryError, match="private network") as caught:
            channel.send(alert(), "msg_1")
        channel.close()
    assert caught.value.permanent and not server.taken and "secretpath" not in str(caught.value)


def test_the_operators_word_allows_a_private_address() -> None:
    with Receiver() as server:
        for channel in (
            hook(f"{server.url}/a?b=1", allow_private=True),
            hook("https://hooks.example/a?b=1", api_url=server.url),
            hook("https://hooks.example/a?b=1", api_url=f"{server.url}/base/"),
        ):
            channel.send(alert(), "msg_1")
            channel.close()
    assert [taken.path for taken in server.taken] == ["/a?b=1", "/a?b=1", "/base/a?b=1"]


Found = list[Any]


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str] | Callable[[], None]) -> list[str]:
    """Has the name `hooks.example` lead to other addresses each time it is looked up; which lookups there were."""
    asked: list[str] = []
    real, told = socket.getaddrinfo, list(answers)

    def getaddrinfo(host: str, port: int, *args: object, **options: object) -> Found:
        if host != "hooks.example":
            return real(host, port, *args, **options)  # type: ignore[arg-type]
        asked.append(host)
        said = told.pop(0) if len(told) > 1 else told[0]
        if callable(said):
            said()
            said = []
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in said]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_one_private_address_among_others_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, ["192.0.2.1", "1.1.1.1", "127.0.0.1"])
    channel = hook("http://hooks.example/x")
    with pytest.raises(DeliveryError, match="private network"):
        channel.send(alert(), "msg_1")
    channel.close()


def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked at and private a moment later: nobody looks a second time."""
    gone: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        gone.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with Receiver() as server:
        port = int(server.url.rpartition(":")[2])
        asked = named(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
        channel = hook(f"http://hooks.example:{port}/x")
        with pytest.raises(DeliveryError, match="nothing listens"):
            channel.send(alert(), "msg_1")
        channel.close()
    assert (asked, gone, server.taken) == (["hooks.example"], [("1.1.1.1", port)], [])


def test_a_name_that_is_never_found_out_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()
    named(monkeypatch, lambda: (slow.wait(20), None)[1])
    channel = hook("http://hooks.example/x", connect_timeout=0.2)
    with pytest.raises(DeliveryError, match=r"could not be reached within 0\.2 s") as caught:
        channel.send(alert(), "msg_1")
    slow.set()
    channel.close()
    assert not caught.value.unclear


# Signatures -----------------------------------------------------------------------------------------------------------


def test_the_published_example_is_signed_as_it_says() -> None:
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_verifies_what_was_sent_and_each_retry_has_the_same_id() -> None:
    with Receiver(Answer(500), Answer(204, b"")) as server:
        channel = hook("https://hooks.example/x", api_url=server.url, secret="env:SECRET")
        with pytest.raises(DeliveryError):
            channel.send(alert(), "msg_1")
        channel.send(alert(), "msg_1")
        channel.close()
    for taken in server.taken:
        assert verify(SECRET, taken.headers, taken.body, now=NOW) == "msg_1"
    body = server.taken[0].json
    assert (body["type"], body["timestamp"]) == ("incident.open", "2026-11-27T02:35:00Z")
    assert body["data"]["figures"] == {"missed": 3, "n": 5} and body["data"]["title"].startswith("[critical] invoice-export")
    assert heard(body["data"]) == alert()


def test_what_is_old_changed_or_not_ours_is_refused() -> None:
    body, at = b"{}", int(NOW.timestamp())
    headers = {"Webhook-Id": "m", "Webhook-Timestamp": str(at), "Webhook-Signature": signature(SECRET, "m", at, body)}
    assert verify(SECRET, headers, body, now=NOW + timedelta(seconds=299)) == "m"
    rotated = {**headers, "Webhook-Signature": f"v1a,xx v1,AAAA {headers['Webhook-Signature']}"}
    assert verify(SECRET, rotated, body, now=NOW) == "m"
    for changed, content, now, why in (
        ({}, b"{ }", NOW, "does not fit"),
        ({"Webhook-Id": "n"}, body, NOW, "does not fit"),
        ({"Webhook-Timestamp": str(at + 1)}, body, NOW, "does not fit"),
        ({"Webhook-Timestamp": "soon"}, body, NOW, "seconds since 1970"),
        ({"Webhook-Signature": ""}, body, NOW, "webhook-signature is missing"),
        ({}, body, NOW + timedelta(seconds=301), "too old or too new"),
        ({}, body, NOW - timedelta(seconds=301), "too old or too new"),
    ):
        with pytest.raises(ValueError, match=why):
            verify(SECRET, {**headers, **changed}, content, now=now)


@given(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.integers()) | st.none()), st.text(), st.text())
def test_every_message_survives_its_way_through_json(figures: dict[str, object], sentence: str, name: str) -> None:
    told = alert(figures=figures, sentence=sentence, members=(name,), evidence=(sentence,))
    again = heard(json.loads(json.dumps(said(told))))
    assert isinstance(again, Alert) and said(again) == said(told) and again.members == (name,)
    digest = Digest(sentence, name, NOW)
    assert heard(json.loads(json.dumps(said(digest)))) == digest


# Files ----------------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def file(folder: Path, path: str = "alerts.jsonl") -> Channel:
    table = ChannelTable.model_validate({"name": "log", "kind": "file", "path": path})
    return open_channel(table, {}, folder, lambda: NOW, Forgetful())


def test_a_file_gets_one_line_a_message_also_if_it_is_told_twice(tmp_path: Path) -> None:
    channel = file(tmp_path)
    channel.send(alert(sentence="bad\n\u202ename"), "msg_1")
    assert channel.send(alert(), "msg_1").why == "it was there already"
    channel.send(alert(event="resolve"), "msg_2")
    assert [(one["key"], one["type"]) for one in lines(tmp_path / "alerts.jsonl")] == [
        ("msg_1", "incident.open"), ("msg_2", "incident.resolve"),
    ]  # fmt: skip
    assert (tmp_path / "alerts.jsonl").read_bytes().isascii()


def test_a_line_that_broke_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "alerts.jsonl").write_text('{"key":"msg_0"')
    file(tmp_path).send(alert(), "msg_1")
    assert json.loads((tmp_path / "alerts.jsonl").read_text().splitlines()[1])["key"] == "msg_1"


def test_a_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, said_, permanent in (
        ("folder", "Is a directory", True), ("absent/a", "No such file", True), ("pipe", "it is no file", True),
    ):  # fmt: skip
        with pytest.raises(DeliveryError, match=said_) as caught:
            file(tmp_path, path).send(alert(), "msg_1")
        assert caught.value.permanent is permanent and str(caught.value).startswith("log: ")


def test_standard_output_gets_the_same_lines_and_its_end_is_an_error(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from datetime import datetime, UTC; from qpanalytics.alerts.base import Digest\n"
        "from qpanalytics.alerts.file import Stdout; now = datetime(2026, 1, 1, tzinfo=UTC)\n"
        "Stdout('out').send(Digest('A \\u202e title', 'text', now), 'msg_1')"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert json.loads(done.stdout)["key"] == "msg_1" and done.stdout.isascii() and done.stderr == ""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, env=environ, check=False
        )
    assert "standard output is closed" in done.stderr


# Broken off -----------------------------------------------------------------------------------------------------------


def closing_soon(channel: Channel, came: Callable[[], object]) -> DeliveryError:
    """What a channel says that is closed while it sends, once `came` says that the other side knows of it."""

    def close() -> None:
        while not came():
            time.sleep(0.01)
        time.sleep(0.05)
        channel.close()

    closing = threading.Thread(target=close)
    closing.start()
    with pytest.raises(DeliveryError) as caught:
        channel.send(alert(), "msg_1")
    closing.join()
    return caught.value


def test_closing_a_channel_ends_a_wait_for_an_answer() -> None:
    with Receiver("hang") as server:
        channel = hook("https://hooks.example/x", api_url=server.url, timeout=60, connect_timeout=60)
        error = closing_soon(channel, lambda: server.taken)
    assert error.unclear


def test_closing_a_channel_ends_a_wait_for_an_answer_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def hang(_: socket.socket) -> None:
        line.closing.wait(20)

    with Line(hang, tls=tls(certificate)) as line:
        url = line.url.replace("http:", "https:")
        channel = hook("https://hooks.example/x", api_url=url, timeout=60, connect_timeout=60)
        error = closing_soon(channel, lambda: line.heads)
    assert error.unclear


def test_closing_a_channel_ends_a_handshake_that_goes_nowhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        channel = hook("https://hooks.example/x", api_url=url, timeout=60, connect_timeout=60)
        callers: list[socket.socket] = []
        threading.Thread(target=lambda: callers.append(silent.accept()[0])).start()
        error = closing_soon(channel, lambda: callers)
        callers[0].close()
    assert not error.unclear


def test_a_message_goes_over_tls_to_a_server_that_is_known_and_to_no_other(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Line(reply(b"ok"), tls=tls(certificate)) as line:
        fields = {"api_url": line.url.replace("http:", "https:"), "timeout": 10, "connect_timeout": 10}
        stranger = hook("https://hooks.example/x", **fields)
        with pytest.raises(DeliveryError, match="certificate of its server is not accepted") as caught:
            stranger.send(alert(), "msg_1")
        stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known = hook("https://hooks.example/x", **fields)
        assert known.send(alert(), "msg_1").http_status == 200
        known.close()
    assert not caught.value.unclear and len(line.heads) == 1
