"""A server of HTTP on the loopback that takes messages, and fails on purpose: what channels are pointed at."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from qpanalytics.alerts.base import Alert


class Taken(NamedTuple):
    """One request, whole."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What is answered to one request."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


#: Reads the request and never answers; hangs up after reading it.
HANG, DROP = "hang", "drop"
OK_TELEGRAM = Answer(body=b'{"ok":true,"result":{"message_id":77}}')
OK_SLACK = Answer(body=b"ok", kind="text/plain")
OK_PAGERDUTY = Answer(202, b'{"status":"success","message":"Event processed","dedup_key":"x"}')
PAGE = Answer(200, b"<html><h1>Please log in</h1></html>", "text/html; charset=utf-8")
FAILS, LIMITED = Answer(500, b"{}"), Answer(429, b"{}", headers=(("Retry-After", "17"),))
MOVED = Answer(302, b"", headers=(("Location", "http://127.0.0.1:1/elsewhere"),))


class Receiver:
    """Answers each request with the next of `answers`, the last one again and again. `taken` are the requests so far."""

    def __init__(self, *answers: Answer | str | Callable[[Taken], Answer | str]) -> None:
        self.answers = list(answers) or [Answer()]
        self.taken: list[Taken] = []
        self.asked: list[Taken] = []  # by GET, which tells nothing; answered in the same order
        self.came = threading.Condition()
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._take(self, Taken(self.path, headers, body))

            def do_GET(self) -> None:
                receiver._take(self, Taken(self.path, {}, b""), asked=True)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Who asked may be gone: it was killed, or has waited long enough."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _take(self, handler: BaseHTTPRequestHandler, taken: Taken, *, asked: bool = False) -> None:
        with self.came:
            (self.asked if asked else self.taken).append(taken)
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.came.notify_all()
        answer = said(taken) if callable(said) else said
        if isinstance(answer, str):
            if answer == HANG:
                self._closing.wait(60)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response(answer.status)
        for name, value in (("Content-Type", answer.kind), ("Content-Length", str(len(answer.body))), *answer.headers):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def wait(self, requests: int, within_s: float = 30.0) -> None:
        """Until so many requests came."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.taken) >= requests, within_s), f"{len(self.taken)} of {requests} came"

    def __enter__(self) -> Receiver:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def alert(incident: str = "i1", event: str = "open", **told: Any) -> Alert:
    """An alert about one check, or what was told instead."""
    from datetime import UTC, datetime, timedelta

    opened = datetime(2026, 11, 27, 2, 30, tzinfo=UTC)
    values: dict[str, Any] = {
        "kind": "down", "severity": "critical", "members": ("invoice-export",), "label": "Down", "opened_at": opened,
        "sentence": "invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 02:30.",
        "detail": "No start ping on those days, so the job never began.", "figures": {"missed": 3, "n": 5},
        "command": "qpa occurrences --check invoice-export", "told_at": opened + timedelta(minutes=5),
        "resolved_at": opened + timedelta(minutes=41) if event == "resolve" else None,
    }  # fmt: skip
    return Alert(incident=incident, event=event, **{**values, **told})  # type: ignore[arg-type]
