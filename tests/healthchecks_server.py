"""A Healthchecks server on loopback, for tests and benchmarks: recorded looks, or a fleet made to measure; with faults.

with Server() as server:                                     # the recorded looks
    server.poll(2)
    server.fault("429", n=2)
    source = Healthchecks(Http(server.url, ..., headers={"X-Api-Key": READ_WRITE}), name="prod")

fleet = Fleet(checks=500, pings=1000, window=100)            # or checks of our own
with Server(fleet, base="/hc/") as server:
    fleet.ping(0, times=3)
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import json
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Protocol

READ_WRITE = "hcw_exampleexampleexampleexample"
READ_ONLY = "hcr_exampleexampleexampleexample"
HTML = "text/html; charset=utf-8"


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Answers(Protocol):
    """What stands behind the server: the reply to a path (with its query) asked for with a key."""

    def answer(self, path: str, key: str | None) -> Reply: ...


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


WRONG_KEY = as_json({"error": "wrong api key"}, 401)
NOT_FOUND = Reply(404, b"<!doctype html><title>Not Found</title>", HTML)


# What it answers ------------------------------------------------------------------------------------------------------


@lru_cache
def recorded() -> dict[str, Any]:
    """The recorded exchanges by name; see the README beside them."""
    path = Path(__file__).parent / "recordings" / "healthchecks" / "recorded.json.gz"
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def recorded_json(name: str) -> Any:
    return recorded()[name]["response"]["body_json"]


def recorded_reply(name: str) -> Reply:
    response = recorded()[name]["response"]
    if "body_json" in response:
        body = json.dumps(response["body_json"]).encode()
    elif "body_b64" in response:
        body = base64.b64decode(response["body_b64"])
    else:
        body = response.get("body_text", "").encode()
    headers = response["headers"]
    passed_on = tuple((name, headers[name]) for name in ("Location", "Retry-After", "Date") if name in headers)
    return Reply(response["status"], body, headers.get("Content-Type", ""), passed_on)


class Recorded:
    """The recorded looks; what was recorded once answers at every look."""

    def __init__(self) -> None:
        self.poll = 1
        self._names: dict[tuple[str, str | None], dict[int, str]] = {}
        for name, exchange in recorded().items():
            request = exchange["request"]
            if request["method"] == "GET" and not name.startswith("synthetic"):
                look = int(name[1]) if name[0] == "p" and name[1].isdigit() else 0
                key = request["headers"].get("X-Api-Key")
                self._names.setdefault((request["path"], key), {})[look] = name

    def answer(self, path: str, key: str | None) -> Reply:
        looks = self._names.get((path, key), {})
        for look in range(self.poll, -1, -1):
            if look in looks:
                return recorded_reply(looks[look])
        return NOT_FOUND if key in (READ_WRITE, READ_ONLY) else WRONG_KEY


@dataclass
class Job:
    """One check as the server keeps it. `rows` are its stored pings, oldest first: number, time, JSON."""

    id: uuid.UUID
    name: str
    n: int = 0
    rows: deque[tuple[int, datetime, str]] = field(default_factory=deque)
    bodies: dict[int, bytes] = field(default_factory=dict)
    flips: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return hashlib.sha1(self.id.hex[:16].encode()).hexdigest()


class Fleet:
    """Checks with numbered pings, `window` of them shown; older ones go when the number is a multiple of 100.

    Pings come `period_s` apart, from `start` on, to each check for itself. The server's own rules on what a ping does to
    the status of its check are left out.
    """

    def __init__(
        self,
        *,
        checks: int = 1,
        pings: int = 0,
        window: int = 100,
        period_s: float = 60.0,
        start: datetime = datetime(2026, 11, 1, tzinfo=UTC),
    ) -> None:
        self.window = window
        self._period = timedelta(seconds=period_s)
        self._start = start
        self._made = 0
        self.jobs = [self._job(f"job-{number}") for number in range(checks)]
        self.ping_all(pings)

    def ping(self, number: int, *, times: int = 1, kind: str = "success", rid: str | None = None, body: bytes = b"") -> None:
        """Pings check `number` so many times."""
        job = self.jobs[number]
        for _ in range(times):
            at = self._start + self._period * job.n + timedelta(microseconds=1 if job.n % 7 else 0)
            self._store(job, at, kind, rid, body)

    def ping_all(self, times: int = 1) -> None:
        for number in range(len(self.jobs)):
            self.ping(number, times=times)

    def clear(self, number: int) -> None:
        """Clears the events of a check; its numbers go on."""
        self.jobs[number].rows.clear()
        self.jobs[number].bodies.clear()

    def recreate(self, number: int) -> None:
        """The check is deleted and made anew under the same name: another uuid, numbers from 1."""
        self.jobs[number] = self._job(self.jobs[number].name)

    def remove(self, number: int) -> None:
        del self.jobs[number]

    def saved(self, number: int) -> Job:
        """A backup of one check."""
        return copy.deepcopy(self.jobs[number])

    def restore(self, number: int, job: Job) -> None:
        """The check as it was when it was saved; the time of the next pings goes on from where it is now."""
        self._start += self._period * (self.jobs[number].n - job.n)
        self.jobs[number] = copy.deepcopy(job)

    def _job(self, name: str) -> Job:
        self._made += 1
        return Job(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{self._made}"), name)

    def _store(self, job: Job, at: datetime, kind: str, rid: str | None, body: bytes) -> None:
        n = job.n + 1
        url = f'"https://hc.example.org/api/v3/checks/{job.id}/pings/{n}/body"' if body else "null"
        row = (
            f'{{"type": "{kind}", "date": "{at.isoformat()}", "n": {n}, "scheme": "https", "remote_addr": "192.0.2.10", '
            f'"method": "GET", "ua": "curl/8.5.0", "rid": {json.dumps(rid)}, "body_url": {url}}}'
        )
        job.rows.append((n, at, row))
        if body:
            job.bodies[n] = body
        job.n = n
        if n % 100 == 0:
            while job.rows[0][0] <= n - self.window:
                job.rows.popleft()

    # The API

    def answer(self, path: str, key: str | None) -> Reply:
        if key not in (READ_WRITE, READ_ONLY):
            return WRONG_KEY
        path = path.partition("?")[0]
        if path == "/api/v3/checks/":
            return as_json({"checks": [self._shown(job, key) for job in self.jobs]})
        parts = path.removeprefix("/api/v3/checks/").split("/")
        job = next((job for job in self.jobs if parts[0] in (str(job.id), job.key)), None)
        if job is None or len(parts) < 3:
            return NOT_FOUND
        if parts[1] == "flips":
            return as_json({"flips": job.flips[::-1]})
        if key == READ_ONLY or parts[0] == job.key:
            return WRONG_KEY
        if parts[2] == "":
            rows = list(job.rows)[-self.window :]
            return Reply(200, f'{{"pings": [{", ".join(row for _, _, row in reversed(rows))}]}}'.encode())
        body = job.bodies.get(int(parts[2]))
        return NOT_FOUND if body is None else Reply(200, body, "text/plain")

    def _shown(self, job: Job, key: str) -> dict[str, Any]:
        last = job.rows[-1][1].replace(microsecond=0).isoformat() if job.rows else None
        shown: dict[str, Any] = {
            "name": job.name, "slug": job.name, "tags": "", "desc": "", "grace": 60, "n_pings": job.n,
            "status": "up" if last else "new", "started": False, "last_ping": last, "next_ping": None, "timeout": 3600,
        }  # fmt: skip
        identity = {"uuid": str(job.id)} if key == READ_WRITE else {"unique_key": job.key}
        return {**shown, **identity, **job.extra}


# The server -----------------------------------------------------------------------------------------------------------


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # many threads may knock at once


class Server:
    """Serves `answers` under `base` on a free port. Threads are its own and end with it.

    `packed` packs replies for clients that take it. `clock` gives the `Date` of each reply; without it there is none, as
    from the open-source server by itself.
    """

    def __init__(self, answers: Answers | None = None, *, base: str = "/", packed: bool = False, clock: Any = None) -> None:
        self.answers = answers or Recorded()
        self.base = base
        self.packed = packed
        self.clock = clock
        #: Paths in the order in which they were asked for, without the base.
        self.asked: list[str] = []
        self.closing = threading.Event()
        self._faults: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.base}"

    def poll(self, number: int) -> None:
        """Chooses the recorded look that answers."""
        assert isinstance(self.answers, Recorded)
        self.answers.poll = number

    def fault(self, kind: str, *, n: int = 1, on: str = "") -> None:
        """Lets the next `n` requests whose path contains `on` fail.

        `429` and `503` (Retry-After 1), `500`, `401`, `403`, `404`, `hang` (until the server is closed), `drip` (a byte
        now and then), `cut` (half of the reply), `html` (200 and a page), `text` (not JSON), `latin` (not UTF-8).
        """
        with self._lock:
            self._faults += [(kind, on)] * n

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _fault(self, path: str) -> str | None:
        with self._lock:
            self.asked.append(path)
            for number, (kind, on) in enumerate(self._faults):
                if on in path:
                    del self._faults[number]
                    return kind
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                if not self.path.startswith(server.base):
                    self.say(NOT_FOUND)
                    return
                path = "/" + self.path.removeprefix(server.base)
                kind = server._fault(path)
                reply = server.answers.answer(path, self.headers.get("X-Api-Key"))
                if kind is None:
                    self.say(reply)
                elif kind in ("429", "503"):
                    self.say(Reply(int(kind), b'{"error": "slow down"}', headers=(("Retry-After", "1"),)))
                elif kind.isdigit():
                    self.say(Reply(int(kind), b"<h1>no</h1>", HTML))
                elif kind == "html":
                    self.say(Reply(200, b"<html>Sign in</html>", HTML))
                elif kind == "text":
                    self.say(Reply(200, b"OK", "text/plain"))
                elif kind == "latin":
                    self.say(Reply(200, b'{"checks": [{"name": "caf\xe9"}]}'))
                elif kind == "hang":
                    server.closing.wait(60)
                    self.close_connection = True
                else:
                    self.spoil(kind, reply)

            def say(self, reply: Reply) -> None:
                body = reply.body
                self.head(reply)
                if server.packed and "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body, 1)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def spoil(self, kind: str, reply: Reply) -> None:
                self.head(reply)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.close_connection = True
                if kind == "cut":
                    self.wfile.write(reply.body[: len(reply.body) // 2])
                    return
                assert kind == "drip", kind
                try:
                    for byte in reply.body:
                        self.wfile.write(bytes([byte]))
                        if server.closing.wait(0.05):
                            return
                except OSError:  # the client has had enough
                    return

            def head(self, reply: Reply) -> None:
                self.send_response_only(reply.status)
                headers = dict(reply.headers)
                if reply.content_type:
                    headers["Content-Type"] = reply.content_type
                if server.clock is not None:
                    headers["Date"] = format_datetime(server.clock(), usegmt=True)
                for name, value in headers.items():
                    self.send_header(name, value)

        return Handler
