"""A small known state of each queue system, written as its documented keys: for what every reader has to keep to.

Each function fills a server and returns the options of its `[[source]]`. Every state has a queue called "mail: ü" (in a
system whose names allow it) with waiting jobs, one that is empty, and where there are workers a living and a dead one.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from redis_server import Server

NAME = "mail: ü"


def sidekiq(server: Server) -> dict[str, Any]:
    admin, now = server.admin, time.time()
    admin.sadd("queues", NAME, "idle")
    admin.lpush(f"queue:{NAME}", *(json.dumps({"args": [], "enqueued_at": int((now - age) * 1000)}) for age in (60, 30)))
    admin.zadd("schedule", {"a": now - 5, "b": now + 3600})
    admin.zadd("retry", {"c": now + 60})
    admin.mset({"stat:processed": 9, "stat:failed": 2})
    admin.sadd("processes", "web:1:a", "web:2:b")
    info = json.dumps({"queues": [NAME, "idle"], "version": "8.1.7"})
    admin.hset("web:1:a", mapping={"info": info, "beat": str(now - 2), "busy": "1", "quiet": "false"})
    admin.hset("web:1:a:work", "t1", json.dumps({"queue": NAME, "payload": "{}", "run_at": int(now) - 20}))
    return {}


def rq(server: Server) -> dict[str, Any]:
    admin, now = server.admin, datetime.now(UTC)
    admin.sadd("rq:queues", f"rq:queue:{NAME}", "rq:queue:idle")
    for name, age in (("a", 60), ("b", 30)):
        admin.rpush(f"rq:queue:{NAME}", name)
        admin.hset(f"rq:job:{name}", mapping={"enqueued_at": (now - timedelta(seconds=age)).isoformat(), "data": "x" * 1000})
    admin.zadd(f"rq:wip:{NAME}", {"c:1": now.timestamp() + 60, "d:2": now.timestamp() - 60})
    admin.sadd("rq:workers", "rq:worker:one", "rq:worker:two")
    beat = (now - timedelta(seconds=20)).isoformat()
    admin.hset("rq:worker:one", mapping={"state": "busy", "last_heartbeat": beat, "queues": NAME, "current_job": "c"})
    admin.hset("rq:job:c", "started_at", beat)
    return {}


def redis_list(server: Server) -> dict[str, Any]:
    for age in (60, 30):
        server.admin.lpush(NAME, json.dumps({"timestamp": time.time() - age}))
    return {"queues": [NAME, "idle"], "side": "right"}
