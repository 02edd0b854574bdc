"""The client of web APIs against servers that fail on purpose: what it says, what it gives up on, what it never shows."""

from __future__ import annotations

import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from healthchecks_server import READ_WRITE, Reply, Server, recorded_reply

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.http import Http, HttpError

KEY = "hcw_averysecretkeythatnoonemaysee"
UUID = "38b80a02-f0c3-4cab-9af6-6fb4b1bf4dde"
PATH = f"api/v3/checks/{UUID}/pings/"
NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
WHAT = "the pings"


OPEN: list[Http] = []


def client(url: str, key: str = KEY, **options: float) -> Http:
    http = Http(url, source="prod", clock=lambda: NOW, headers={"X-Api-Key": key}, **options)  # type: ignore[arg-type]
    OPEN.append(http)
    return http


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def reply(body: bytes = b'{"pings": []}', status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return f"HTTP/1.1 {status}\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in headers.items() if v).encode() + b"\r\n" + body


class Line:
    """Listens, and sends each caller the next of what it was given (the last one again and again), then hangs up."""

    def __init__(self, *replies: bytes | Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies)
        self.heads: list[str] = []
        self.closing = threading.Event()
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Line:
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self.closing.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                try:
                    self._serve(self._tls.wrap_socket(caller, server_side=True) if self._tls else caller)
                except OSError:
                    continue

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(1)
            head = b""
            while b"\r\n\r\n" not in head and (part := caller.recv(65536)):
                head += part
            self.heads.append(head.decode("latin-1"))
            said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if callable(said):
                said(caller)
            else:
                caller.sendall(said)

    def drip(self, before: bytes, parts: bytes, every_s: float = 0.05) -> Callable[[socket.socket], None]:
        def send(caller: socket.socket) -> None:
            caller.sendall(before)
            for byte in parts:
                if self.closing.wait(every_s):
                    return
                caller.sendall(bytes([byte]))

        return send

    def hang(self, caller: socket.socket) -> None:
        self.closing.wait(10)


def asked(line: Line, **options: float) -> SourceError:
    """The error that one request ends in."""
    with pytest.raises(SourceError) as caught:
        client(line.url, **options).json(PATH, what=WHAT)
    return caught.value


# What it reads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/problem+json"])
def test_json_comes_with_the_time_it_was_asked_for(kind: str) -> None:
    with Line(reply(b'\xef\xbb\xbf{"pings": [1]}', kind=kind)) as line:
        answer = client(line.url).json(PATH, what=WHAT)

    assert answer == ({"pings": [1]}, NOW, None, NOW)


@pytest.mark.parametrize("base", ["", "hc", "hc/", "hc//"])
def test_the_base_may_have_a_path_and_the_key_goes_along(base: str) -> None:
    with Line(reply()) as line:
        client(line.url + base).json(PATH, what=WHAT, params={"seconds": 5})
        head = line.heads[0]

    assert head.startswith(f"GET /{'hc/' if base else ''}{PATH}?seconds=5 HTTP/1.1\r\n")
    assert f"X-Api-Key: {KEY}\r\n" in head
    assert "User-Agent: qpanalytics\r\n" in head


def test_packed_replies_are_unpacked() -> None:
    body = gzip.compress(b'{"pings": [1, 2]}')
    with Line(reply(body, Content_Encoding="gzip")) as line:
        assert client(line.url).json(PATH, what=WHAT).data == {"pings": [1, 2]}


def test_what_no_text_holds_is_replaced() -> None:
    with Line(reply(rb'{"a\ud800": ["x\u0000y", "\ud83d\ude00", "caf\u00e9", 1]}')) as line:
        assert client(line.url).json(PATH, what=WHAT).data == {"a\ufffd": ["x\ufffdy", "\U0001f600", "café", 1]}


def test_the_beginning_of_something_large_can_be_had() -> None:
    with Line(reply(b"x" * 1_000_000, kind="text/plain; charset=utf-8")) as line:
        assert client(line.url).raw("body", what="a body", most=10) == (b"x" * 10, "text/plain")


def test_threads_share_one_client() -> None:
    with Server() as server:
        http = client(server.url, READ_WRITE)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: http.json("api/v3/checks/", what="checks"), range(400)))

    assert {len(answer.data["checks"]) for answer in answers} == {19}


def test_a_server_that_hangs_up_after_each_reply_is_asked_on_a_new_connection() -> None:
    with Line(reply()) as line:
        http = client(line.url)
        for _ in range(50):
            assert http.json(PATH, what=WHAT).data == {"pings": []}


# Clocks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [0.0, 300.0, -300.0])
def test_the_servers_clock_decides_what_can_have_been_told(ahead_s: float) -> None:
    server_now = NOW + timedelta(seconds=ahead_s)
    with Server(clock=lambda: server_now) as server:
        answer = client(server.url, READ_WRITE).json("api/v3/checks/", what="checks")

    assert answer.offset_s == pytest.approx(ahead_s, abs=1)
    assert server_now - timedelta(seconds=1) < answer.until < server_now


def test_a_date_in_the_far_future_is_no_clock() -> None:
    with Line(reply(Date="Fri, 01 Jan 2100 00:00:00 GMT"), reply(Date="soon")) as line:
        http = client(line.url)
        assert http.json(PATH, what=WHAT).until == NOW + timedelta(days=1)
        assert http.json(PATH, what=WHAT).until == NOW


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "permanent", "said"),
    [
        (400, True, "refused the pings (400). Check url"),
        (401, True, "the API key was refused (401) by"),
        (403, True, "does not let this key see the pings (403)"),
        (404, True, "does not have the pings (404). Check that url"),
        (405, True, "refused the pings (405)"),
        (408, False, "refused the pings (408)"),
        (429, False, "wants fewer requests (429). Look less often."),
        (500, False, "failed over the pings (500); try again later."),
        (502, False, "failed over the pings (502); try again later."),
        (204, False, "refused the pings (204)"),
        (304, False, "refused the pings (304)"),
    ],
)
def test_a_refusal_says_what_and_where_and_whether_to_try_again(status: int, permanent: bool, said: str) -> None:
    body = b"" if status in (204, 304) else b"<h1>no</h1>"
    with Line(reply(body, f"{status} Whatever", "text/html")) as line:
        error = asked(line)

    assert said in str(error)
    assert str(error).startswith("prod: ")
    assert isinstance(error, HttpError)
    assert (error.status, error.permanent, error.retry_after_s) == (status, permanent, None)


def test_what_the_server_says_is_shown_on_one_safe_line() -> None:
    body = f'{{"error": "wrong key {KEY} for {UUID}\\u001b[31m\\n"}}'.encode()
    with Line(reply(body, "401 Unauthorized")) as line:
        error = asked(line)

    assert '(401, "wrong key <key> for <id>\\x1b[31m\\n")' in str(error)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "86400"}, 3600.0),
        ({"Retry-After": "Tue, 24 Nov 2026 06:30:20 GMT"}, 20.0),
        ({"Retry-After": "Tue, 24 Nov 2026 06:29:00 GMT"}, 0.0),
        # By the server's own clock, which is an hour ahead of ours.
        ({"Retry-After": "Tue, 24 Nov 2026 07:30:20 GMT", "Date": "Tue, 24 Nov 2026 07:30:00 GMT"}, 20.0),
        ({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 3600.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "later"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_how_long_to_wait_is_told_in_seconds_or_by_a_date(headers: dict[str, str], wait_s: float | None, status: str) -> None:
    with Line(reply(b"slow down", status, "text/plain", **headers)) as line:
        error = asked(line)

    assert error.retry_after_s == wait_s
    assert not error.permanent


def test_the_replies_of_a_rate_limit_that_are_known() -> None:
    class Limited:
        def __init__(self) -> None:
            self.names = iter(["429_retry_after_seconds", "429_retry_after_date", "429_no_header", "503_gateway"])

        def answer(self, path: str, key: str | None) -> Reply:
            return recorded_reply(f"synthetic_{next(self.names)}")

    waits = []
    with Server(Limited()) as server:
        http = client(server.url)
        for _ in range(4):
            with pytest.raises(HttpError) as caught:
                http.json("api/v3/checks/", what="checks")
            waits.append((caught.value.status, caught.value.retry_after_s, caught.value.permanent))

    assert waits == [(429, 7.0, False), (429, 20.0, False), (429, None, False), (503, 3.0, False)]


# Replies that are no JSON ---------------------------------------------------------------------------------------------

NO_JSON = {
    "a page": (reply(b"<html>Sign in</html>", kind="text/html; charset=utf-8"), "a login page stands before it"),
    "text": (reply(b'{"pings": []}', kind="text/plain"), 'answered with "text/plain" instead of JSON'),
    "no type": (reply(kind=""), "answered with no type instead of JSON"),
    "half": (reply(b'{"pings": ['), "is not valid JSON"),
    "nothing": (reply(b""), "is not valid JSON"),
    "too deep": (reply(b"[" * 200_000), "is not valid JSON"),
    "a long number": (reply(b"9" * 10_000), "is not valid JSON"),
    "latin": (reply(b'{"a": "caf\xe9"}'), "is not UTF-8"),
    "utf-16": (reply('{"a": 1}'.encode("utf-16")), "is not UTF-8"),
    "packed otherwise": (reply(b"x", Content_Encoding="br"), "packed in a way that was not asked for"),
    "packed twice": (reply(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"), "packed in a way"),
    "not packed": (reply(Content_Encoding="gzip"), "is not the gzip it claims to be"),
    "half packed": (reply(gzip.compress(b'{"pings": []}')[:-9], Content_Encoding="gzip"), "broke off while sending the pings"),
    "cut": (reply(b'{"pings": [', Content_Length="5000"), "broke off while sending the pings"),
    "cut chunk": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{}",
        "broke off while sending the pings",
    ),
    "no reply": (b"", "broke off while sending the pings"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "broke off while sending the pings"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Ty", "broke off while sending the pings"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "broke off while sending the pings"),
    "lengths": (reply(Content_Length="-5"), "broke off while sending the pings"),
}


@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_may_be_json_again_tomorrow(name: str) -> None:
    sent, said = NO_JSON[name]
    with Line(sent) as line:
        error = asked(line)

    assert said in str(error)
    assert not error.permanent
    assert "\n" not in str(error)


@pytest.mark.parametrize("packed", [False, True])
def test_more_than_is_taken_is_refused_before_it_is_unpacked(packed: bool) -> None:
    body = b'"' + b"x" * 3_000_000 + b'"'
    sent = reply(gzip.compress(body), Content_Encoding="gzip") if packed else reply(body)
    with Line(sent) as line:
        error = asked(line, most_bytes=1_000_000)

    assert "sent more than 1 MB for the pings" in str(error)


def test_a_small_reply_that_unpacks_to_a_huge_one_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with Line(reply(bomb, Content_Encoding="gzip")) as line:
        tracemalloc.start()
        asked(line, most_bytes=100_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 10_000_000


# Time-outs and connections --------------------------------------------------------------------------------------------


def test_a_server_that_says_nothing_is_given_up() -> None:
    with Line(b"") as line:
        line.replies = [line.hang]
        error = asked(line, read_s=0.2)

    assert str(error) == f"prod: {line.url} sent nothing of the pings for 0.2 s; try again later."
    assert not error.permanent


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"])
def test_a_server_that_drips_cannot_hold_us(before: bytes) -> None:
    started = time.monotonic()
    with Line(b"") as line:
        line.replies = [line.drip(before, b"HTTP/1.1 200 OK\r\n" + b"x" * 900)]
        error = asked(line, read_s=5, total_s=0.5)

    assert "took longer than 0.5 s over the pings" in str(error)
    assert time.monotonic() - started < 3


def test_a_closed_port_an_unknown_name_and_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url, said in (
        (f"http://127.0.0.1:{port}", f"nothing listens at http://127.0.0.1:{port}/; check url"),
        ("http://nowhere.invalid", "the name nowhere.invalid is not known; check url"),
        (f"http://{'x' * 70}.invalid", "is not known; check url"),
    ):
        with pytest.raises(SourceError, match=said) as caught:
            client(url).json(PATH, what=WHAT)
        assert not caught.value.permanent


@pytest.mark.parametrize(
    "url", ["", "healthchecks.io", "ftp://hc.example", "https://", f"https://me:{KEY}@hc.example", f"https://hc.example?k={KEY}"]
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="url is not an address") as caught:
        client(url)

    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "caf\xe9-key", "key\r\nX-Other: 1"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="the API key is empty or holds characters") as caught:
        Http("https://hc.example", source="prod", clock=lambda: NOW, headers={"X-Api-Key": key})

    assert not key or key not in str(caught.value)


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of 127.0.0.1, signed by itself, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_signed_is_not_accepted(certificate: Path) -> None:
    with Line(reply(), tls=tls(certificate)) as line:
        line.url = line.url.replace("http:", "https:")
        error = asked(line)

    assert "the certificate of 127.0.0.1 is not accepted (self-signed certificate); renew it" in str(error)
    assert error.permanent


def test_ones_own_authority_can_be_named(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Line(reply(), tls=tls(certificate)) as line:
        assert client(line.url.replace("http:", "https:")).json(PATH, what=WHAT).data == {"pings": []}


def test_a_server_without_tls() -> None:
    with Line(b"HTTP/1.1 400 Bad Request\r\n\r\n") as line:
        line.url = line.url.replace("http:", "https:")
        error = asked(line)

    assert "no TLS connection to 127.0.0.1" in str(error)
    assert "write http:// in url" in str(error)


# Redirects ------------------------------------------------------------------------------------------------------------


def moved(to: str, status: int = 301) -> bytes:
    return reply(b"", f"{status} Moved", "text/html", Location=to)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_same_server_may_send_us_on(status: int) -> None:
    with Line(moved(f"/new/{PATH}", status), reply()) as line:
        assert client(line.url).json(PATH, what=WHAT).data == {"pings": []}

    assert line.heads[1].startswith(f"GET /new/{PATH} ")
    assert f"X-Api-Key: {KEY}" in line.heads[1]


@pytest.mark.parametrize(("status", "permanent"), [(301, True), (302, False), (307, False), (308, True)])
def test_the_key_goes_to_no_other_server(status: int, permanent: bool) -> None:
    with Line(reply()) as other, Line(moved(f"{other.url}hc/{PATH}", status)) as line:
        error = asked(line)

    assert other.heads == []
    assert f"sends the pings on to {other.url}hc/ ({status})" in str(error)
    assert "Set url to that address if the server has moved" in str(error)
    assert error.permanent is permanent


def test_a_login_elsewhere_is_named_without_what_it_was_told() -> None:
    with Line(moved(f"https://login.example/?next=/{PATH}&key={KEY}", 302)) as line:
        error = asked(line)

    assert "on to https://login.example/ (302)" in str(error)


def test_http_may_become_https_of_the_same_host_and_stays_it(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Line(reply(), tls=tls(certificate)) as safe, Line(moved(f"https://127.0.0.1:{safe.port}/{PATH}")) as line:
        http = client(line.url)
        for _ in range(3):
            assert http.json(PATH, what=WHAT).data == {"pings": []}

    assert (len(line.heads), len(safe.heads)) == (1, 3)


def test_https_never_becomes_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Line(reply()) as bare, Line(moved(bare.url + PATH), tls=tls(certificate)) as line:
        line.url = line.url.replace("http:", "https:")
        assert f"on to {bare.url}" in str(asked(line))

    assert bare.heads == []


@pytest.mark.parametrize("to", ["/round", "http://[", "ftp://127.0.0.1/", "//"])
def test_redirects_that_lead_nowhere(to: str) -> None:
    with Line(moved(to)) as line:
        error = asked(line)

    assert str(error).startswith(f"prod: {line.url} sends the pings ")
    assert len(line.heads) <= 6


# What is never shown --------------------------------------------------------------------------------------------------


@contextmanager
def failing() -> Iterator[list[Callable[[], SourceError]]]:
    """Every way to fail that this file knows."""
    lines = [Line(sent) for sent, _ in NO_JSON.values()]
    lines += [Line(reply(f'{{"error": "{KEY} {UUID}"}}'.encode(), f"{status} No")) for status in (400, 401, 403, 404, 429, 500)]
    lines += [
        Line(moved(to)) for to in (f"http://127.0.0.1:9/{PATH}", f"/{PATH}", f"https://{KEY}.example/{UUID}", f"http://[{UUID}")
    ]
    for line in lines:
        line.__enter__()
    try:
        yield [lambda line=line: asked(line) for line in lines]  # type: ignore[misc]
    finally:
        for line in lines:
            line.__exit__()


def test_no_error_and_no_log_line_holds_the_key_or_a_uuid(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    with failing() as ways:
        for way in ways:
            error = way()
            shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
            assert error.__cause__ is None
            assert error.__context__ is None
            assert "\n" not in str(error)
    shown += [repr(client("http://hc.example/")), caplog.text, *map(str, caplog.records)]

    assert "HTTP Request: GET" in caplog.text  # httpx did log, with the address masked
    everything = "\n".join(shown).lower()
    assert KEY.lower() not in everything
    assert UUID not in everything


def test_log_lines_of_others_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with Line(reply()) as line:
        client(line.url).json(PATH, what=WHAT)
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").info("HTTP Request: GET %s", UUID)

    assert UUID in caplog.text
