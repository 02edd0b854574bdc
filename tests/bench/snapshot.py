"""One look at many queues against a bare pipelined redis-py read of the same keys: python tests/bench/snapshot.py

The server is a real one on loopback, and both sides are its restricted user. The peer asks for the same figures in as few
trips, sums the depths and drops the rest; the distance is what rows, reasons and the care for odd queues cost. `--rows` is
how many queues there are, each with five jobs waiting and one running; three is the bar. There is a race for each system
whose reader there is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pairs

from qpanalytics import sources
from qpanalytics.settings import SourceTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import redis_server

_WAITING = 5
_held = ExitStack()


def prepare(folder: Path, asked: pairs.Options) -> None:
    """Starts the server, which ends with this run, fills it, and notes its address."""
    server = _held.enter_context(redis_server.running())
    server.grant("+client|list")
    pipe = server.admin.pipeline(transaction=False)
    for number in range(asked.rows):
        _fill_bullmq(pipe, f"bull:q{number}:")
        _fill_sidekiq(pipe, f"q{number}")
    pipe.execute()
    (folder / "port").write_text(str(server.port))


def _fill_bullmq(pipe: Any, base: str) -> None:
    now = int(time.time() * 1000)
    pipe.hset(f"{base}meta", mapping={"version": "bullmq:6.7.0", "opts.maxLenEvents": 10000})
    pipe.set(f"{base}id", _WAITING + 1)
    for job in range(1, _WAITING + 2):
        pipe.hset(f"{base}{job}", mapping={"name": "job", "data": "{}", "opts": '{"attempts":0}', "timestamp": now, "delay": 0})
        pipe.lpush(f"{base}{'active' if job == 1 else 'wait'}", job)
    pipe.hset(f"{base}1", mapping={"processedOn": now, "pb": "w"})
    pipe.set(f"{base}1:lock", "token")


def _fill_sidekiq(pipe: Any, name: str) -> None:
    pipe.sadd("queues", name)
    for job in range(_WAITING):
        body = {"class": "Job", "args": [job], "retry": True, "queue": name, "jid": f"{job:024x}"}
        pipe.lpush(f"queue:{name}", json.dumps(body | {"created_at": time.time(), "enqueued_at": time.time()}))


def ours(system: str) -> pairs.Side:
    def side(folder: Path, asked: pairs.Options) -> Callable[[], int]:
        names = [f"q{number}" for number in range(asked.rows)]
        table = SourceTable(
            name="bench", kind=system, url=f"redis://qpa@127.0.0.1:{_port(folder)}/0", password="env:SECRET",
            queues=names if system == "bullmq" else (),
        )  # fmt: skip
        source: Any = sources.open_configured(table, {"SECRET": redis_server.PASSWORD}, folder, lambda: datetime.now(UTC))
        return lambda: sum(row.depth or 0 for row in source.snapshot({}).queues)

    return side


def bare_bullmq(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    client, bases = _client(folder), [f"bull:q{number}:" for number in range(asked.rows)]

    def read() -> int:
        pipe = client.pipeline(transaction=False)
        pipe.time()
        pipe.client_list()
        for base in bases:
            pipe.hmget(f"{base}meta", "paused", "version")
            pipe.zcard(f"{base}prioritized")
            pipe.llen(f"{base}wait")
            pipe.llen(f"{base}paused")
            pipe.lrange(f"{base}active", -100, -1)
            pipe.zcard(f"{base}delayed")
            pipe.zcard(f"{base}failed")
            pipe.hget(f"{base}metrics:completed", "count")
            pipe.lindex(f"{base}wait", -1)
        replies = pipe.execute()[2:]
        pipe = client.pipeline(transaction=False)
        for number, base in enumerate(bases):
            oldest, running = replies[number * 9 + 8], replies[number * 9 + 4][0]
            pipe.hmget(base + oldest.decode(), "timestamp", "delay", "priority", "processedOn", "ats", "attemptsMade", "opts")
            pipe.exists(f"{base}{running.decode()}:lock")
            pipe.hmget(base + running.decode(), "processedOn", "pb")
        pipe.execute()
        return sum(replies[1::9]) + sum(replies[2::9]) + sum(replies[3::9])

    return read


def bare_sidekiq(folder: Path, _: pairs.Options) -> Callable[[], int]:
    client = _client(folder)

    def read() -> int:
        pipe = client.pipeline(transaction=False)
        for command in ("queues", "processes", "paused"):
            pipe.smembers(command)
        names = [name.decode() for name in pipe.execute()[0]]
        pipe = client.pipeline(transaction=False)
        for key in ("schedule", "retry", "dead"):
            pipe.zcard(key)
        pipe.mget("stat:processed", "stat:failed")
        for name in names:
            pipe.llen(f"queue:{name}")
            pipe.lindex(f"queue:{name}", -1)
        replies = pipe.execute()[4:]
        return int(sum(replies[::2]))

    return read


def _client(folder: Path) -> Any:
    import redis

    return redis.Redis(port=_port(folder), username="qpa", password=redis_server.PASSWORD)


def _port(folder: Path) -> int:
    return int((folder / "port").read_text())


if __name__ == "__main__":
    bare = {"bullmq": bare_bullmq, "sidekiq": bare_sidekiq}
    with _held:
        pairs.compare(
            "a look at the queues of a server",
            {system: (ours(system), peer) for system, peer in bare.items() if system in sources.SNAPSHOTS},
            prepare=prepare, rows=100, pairs=21,
        )  # fmt: skip
