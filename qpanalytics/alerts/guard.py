"""Connections of channels: bounded also while a name is looked up, broken off from any thread, and not into the own
network unless that is wanted.

A web hook's address may come from somebody who may not reach what this machine can: the metadata service of a cloud, a
database on the loopback. So a name is resolved once, every address of it is looked at, and the connection goes to one
that was looked at: what the name says a moment later does not matter.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import httpcore

from qpanalytics.sources.transport import Backend, Stream

#: To connect, where no other time is set, seconds.
LONGEST_S = 10.0
#: How often a wait is interrupted to see whether it was broken off, seconds.
_GLANCE_S = 0.1
#: IPv6 prefixes that lead to an IPv4 address in their last 32 bits.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("::/96"))


class PrivateAddress(Exception):
    """A name leads into a private network, which this channel may not reach."""


def public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also if it is an IPv4 address in the clothes of an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(ip in network for network in _TRANSLATED):
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
        if any(one is not None and not public(str(one)) for one in inner):
            return False
        if ip.ipv4_mapped is not None:
            return True
    return ip.is_global and not ip.is_multicast


class Guard(Backend):
    """Opens connections, to public addresses only where `guarded`."""

    def __init__(self, *, guarded: bool) -> None:
        super().__init__()
        self._guarded = guarded
        self._closed = False
        self._streams: list[httpcore.NetworkStream] = []
        self._lock = threading.Lock()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Within `timeout` for all addresses together. PrivateAddress, or what httpcore raises."""
        until = monotonic() + (timeout or LONGEST_S)

        def connect() -> httpcore.NetworkStream:
            failed: Exception | None = None
            addresses = self._addresses(host, port)
            for number, address in enumerate(addresses):
                # one that leads nowhere, as that of a broken IPv6, leaves time for the others
                share = max(until - monotonic(), 0.001) / (len(addresses) - number)
                try:
                    return super(Guard, self).connect_tcp(address, port, share, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failed = failed or error
            raise failed or httpcore.ConnectTimeout()

        return self.keep(connect, until)

    def keep(self, work: Callable[[], httpcore.NetworkStream], until: float) -> httpcore.NetworkStream:
        """The connection that `work` makes, to be broken off with the others."""
        stream = _Kept(self._aside(work, until), self)
        with self._lock:
            self._streams.append(stream)
            if self._closed:
                _hang_up(stream)
        return stream

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if self._guarded and not all(public(address) for address in addresses):
            raise PrivateAddress
        return addresses

    def _aside(self, work: Callable[[], httpcore.NetworkStream], until: float) -> httpcore.NetworkStream:
        """Does what cannot be interrupted (looking up a name can take half a minute) in a thread that may be left behind."""
        done: SimpleQueue[httpcore.NetworkStream | BaseException] = SimpleQueue()
        given_up = threading.Event()

        def run() -> None:
            try:
                result: httpcore.NetworkStream | BaseException = work()
            except BaseException as error:
                result = error
            done.put(result)
            if given_up.is_set() and isinstance(result, httpcore.NetworkStream):
                result.close()

        threading.Thread(target=run, name="qpa-connect", daemon=True).start()
        while not self._closed and (left := until - monotonic()) > 0:
            try:
                result = done.get(timeout=min(left, _GLANCE_S))
            except Empty:
                continue
            if isinstance(result, BaseException):
                raise result
            return result
        given_up.set()
        with contextlib.suppress(Empty):  # it came at the last moment
            if isinstance(late := done.get_nowait(), httpcore.NetworkStream):
                late.close()
        raise httpcore.ConnectTimeout

    def break_off(self) -> None:
        """Ends every connection, and every wait for one, from any thread; none is opened afterwards."""
        with self._lock:
            self._closed = True
            for stream in self._streams:
                _hang_up(stream)

    def forget(self) -> None:
        """Lets go of connections that have ended."""
        with self._lock:
            self._streams.clear()


class _Kept(Stream):
    """A connection that a guard can break off, also once it is encrypted: the socket is another one then."""

    def __init__(self, inner: httpcore.NetworkStream, guard: Guard) -> None:
        super().__init__(inner)
        self._guard = guard

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        until = monotonic() + (timeout or LONGEST_S)
        return self._guard.keep(lambda: self._inner.start_tls(ssl_context, server_hostname, timeout), until)


def _hang_up(stream: httpcore.NetworkStream) -> None:
    """Wakes whoever waits on a connection. Closing it would not."""
    plain = stream.get_extra_info("socket")
    if isinstance(plain, socket.socket):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(plain, socket.SHUT_RDWR)  # not that of a TLS socket, which takes its state away, too
