"""Connections with a deadline for the whole exchange, and without addresses in the log.

httpx limits each wait for bytes, so a server that sends one byte every 20 s holds its caller for ever. Here every wait
is also cut at the deadline of the exchange that the calling thread is in.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import httpcore
import httpx

#: Loggers that write an address, or headers that may hold one, of each exchange.
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
#: A uuid opens the pings of its check to anyone; 32 and 40 hex digits are a uuid without dashes and a `unique_key`.
_OPENS_DOORS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b", re.IGNORECASE)


class _Exchange(threading.local):
    """What the calling thread is in the middle of."""

    until: float | None = None
    secrets: tuple[str, ...] = ()
    silent: bool = False


_exchange = _Exchange()


@contextmanager
def exchange(seconds: float, secrets: tuple[str, ...] = (), *, silent: bool = False) -> Iterator[None]:
    """One request and its reply in at most `seconds`; log lines that this thread causes meanwhile hold no secret.

    With `silent` there are none, for addresses that are a secret as a whole.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_mask_records)  # adding it twice does nothing
    _exchange.until, _exchange.secrets, _exchange.silent = monotonic() + seconds, secrets, silent
    try:
        yield
    finally:
        _exchange.until, _exchange.secrets, _exchange.silent = None, (), False


def too_late() -> bool:
    """Whether the exchange of this thread has used up its time."""
    return _exchange.until is not None and monotonic() >= _exchange.until


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets and without anything that looks like a uuid."""
    for secret in secrets:
        text = re.sub(re.escape(secret), "<key>", text, flags=re.IGNORECASE)  # as a host name it would be in lower case
    return _OPENS_DOORS.sub("<id>", text)


def _mask_records(record: logging.LogRecord) -> bool:
    if _exchange.silent:
        return False
    if _exchange.until is not None:  # lines of other users of these libraries are none of our business
        record.msg, record.args = masked(record.getMessage(), _exchange.secrets), None
    return True


def _left(timeout: float | None) -> float | None:
    """The time-out that keeps the deadline, too; an instant in the past leaves a moment, since 0 means not to wait."""
    if _exchange.until is None:
        return timeout
    left = max(_exchange.until - monotonic(), 0.001)
    return left if timeout is None else min(timeout, left)


class Stream(httpcore.NetworkStream):
    """A connection whose every wait keeps the deadline of the exchange."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if too_late():
            raise httpcore.ReadTimeout
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Backend(httpcore.SyncBackend):
    """Opens connections that keep the deadline."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        return Stream(super().connect_tcp(host, port, _left(timeout), local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        return Stream(super().connect_unix_socket(path, _left(timeout), socket_options))


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Any, done: Callable[[], None]) -> None:
        self._parts = parts
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    def close(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            try:
                self._parts.close()
            finally:
                done()


class Transport(httpx.BaseTransport):
    """Requests that only read, of several threads, over connections that keep the deadline. With `uds` they go to the
    socket at that path, whatever their address. What fails is an exception of httpcore.

    A pool that threads share closes, now and then, a connection on which another thread has just begun to ask (it takes
    the first bytes of the reply for the server hanging up): 1 of 500 requests of 16 threads. So each exchange has a pool
    for itself while it lasts, and leaves it, with its open connection, to the next.

    Without `keep` no connection is used twice, so nothing is ever asked again: for requests that change something.
    `backend` opens the connections.
    """

    def __init__(self, uds: str | None = None, *, backend: httpcore.NetworkBackend | None = None, keep: bool = True) -> None:
        self._uds, self._backend, self._keep = uds, backend or Backend(), keep
        # The machine's authorities beside certifi's: companies add their own there, and SSL_CERT_FILE names more.
        self._context = ssl.create_default_context()
        self._context.load_verify_locations(cadata=_certifi())
        self._free: deque[httpcore.ConnectionPool] = deque()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        while True:
            try:
                pool, fresh = self._free.pop(), False  # the one used last: its connection is the least likely to be stale
            except IndexError:
                pool, fresh = self._pool(), True
            try:
                reply = pool.handle_request(asked)
                break
            except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
                pool.close()
                if fresh:
                    raise
                # The server hung up on an idle connection just now; what only reads may be asked again.
            except BaseException:
                pool.close()
                raise
        body = _Body(reply.stream, lambda: self._free.append(pool) if self._keep else pool.close())
        return httpx.Response(reply.status, headers=reply.headers, stream=body, extensions=reply.extensions)

    def _pool(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._context, max_connections=2, keepalive_expiry=15.0, uds=self._uds, network_backend=self._backend
        )

    def close(self) -> None:
        while self._free:
            self._free.pop().close()


def _certifi() -> str:
    import certifi

    return certifi.contents()
