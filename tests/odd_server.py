"""A server of HTTP on the loopback or a Unix socket that answers as it is told: recorded replies, and failures on purpose."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

Answer = bytes | Callable[[socket.socket], None]


def reply(body: bytes | str, status: str = "200 OK", kind: str = "application/json", length: int | None = None) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\n"
    return f"{head}Date: Tue, 24 Nov 2026 18:44:27 GMT\r\nConnection: close\r\n\r\n".encode() + body


class OddServer:
    """One reply a connection. `asked` holds the method and path of each request, `heads` all of its head."""

    def __init__(self, answer: Callable[[str], Answer], unix: Path | None = None) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.closing = threading.Event()
        if unix is None:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(os.fspath(unix))
            self._socket.listen()
            self.url = f"unix://{unix}"

    def __enter__(self) -> OddServer:
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def hang(self, caller: socket.socket) -> None:
        self.closing.wait(10)

    def drip(self, caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n")
        while not self.closing.wait(0.05):
            caller.sendall(b" ")

    def endless(self, caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self.closing.is_set():
            caller.sendall(b" " * 65_536)

    def _listen(self) -> None:
        while not self.closing.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                try:
                    self._serve(caller)
                except OSError:
                    continue

    def _serve(self, caller: socket.socket) -> None:
        caller.settimeout(2)
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := caller.recv(65536)):
                return
            head += part
        text, _, body = head.partition(b"\r\n\r\n")
        lines = text.decode("latin-1").split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
        while len(body) < length:
            body += caller.recv(65536)
        self.asked.append(" ".join(lines[0].split(" ")[:2]))
        self.heads.append(text.decode("latin-1"))
        self.bodies.append(body)
        said = self._answer(self.asked[-1])
        if callable(said):
            said(caller)
        else:
            caller.sendall(said)
