"""RQ: real versions 2 and 3 in a known state are told as they are, and what their records leave open is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from looking import kill, look, near, queue, source, unexplained, until, worker
from redis_server import Server, running

from qpanalytics.errors import SourceError
from qpanalytics.sources.queues.rq import Inside, to_queue, to_record, to_worker

NOW = datetime(2026, 11, 24, 18, 55, 0, tzinfo=UTC)
JOBS = """
import time

def sleep(seconds):
    time.sleep(seconds)

def fail():
    raise ValueError("no luck")
"""
PUSH = """
import sys
from datetime import timedelta
import jobs, redis, rq
connection = redis.Redis.from_url(sys.argv[1])
queue = lambda name: rq.Queue(name, connection=connection)
queue("nobody: listens ü").enqueue(jobs.sleep, 1)
queue("nobody: listens ü").enqueue(jobs.sleep, 2)
queue("nobody: listens ü").enqueue_in(timedelta(hours=1), jobs.sleep, 3)
queue("mail").enqueue(jobs.fail)
queue("mail").enqueue(jobs.sleep, 600)
queue("mail").enqueue(jobs.fail, retry=rq.Retry(max=1, interval=3600), at_front=True)
queue("reports").enqueue(jobs.sleep, 600)
queue("slow").enqueue(jobs.sleep, 600)
"""


@dataclass
class World:
    """A server with one real RQ in a known state."""

    server: Server
    version: str
    before: datetime
    after: datetime


def libraries(version: str) -> dict[str, str] | None:
    """The environment in which an RQ of a major version is found."""
    beside = Path(__file__).parents[1] / ".rq2"
    for folder in (None, str(beside)):
        path = {"PYTHONPATH": folder} if folder else {}
        said = subprocess.run(
            [sys.executable, "-c", "import rq; print(rq.VERSION)"], env={**os.environ, **path}, capture_output=True, text=True
        )
        if said.stdout.startswith(f"{version}."):
            return path
    return None


@pytest.fixture(scope="module", params=["2", "3"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = libraries(request.param)
    if found is None:
        pytest.skip(f"there is no RQ {request.param} here: tests/run installs it from PyPI where it can")
    folder = tmp_path_factory.mktemp("rq")
    (folder / "jobs.py").write_text(JOBS)
    path = os.pathsep.join(filter(None, (found.get("PYTHONPATH"), str(folder))))
    environment = {**os.environ, "PYTHONPATH": path}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with running() as server:
        url, admin = f"redis://127.0.0.1:{server.port}/0", server.admin
        try:
            before = datetime.now(UTC)
            subprocess.run([sys.executable, "-c", PUSH, url], env=environment, check=True, timeout=60, capture_output=True)
            after = datetime.now(UTC)
            for name, queues in {"busy": "mail video", "killed": "reports", "frozen": "slow", "idle": "calm"}.items():
                command = [sys.executable, "-m", "rq.cli", "worker", "-u", url, "--name", name, *queues.split()]
                with (folder / f"{name}.log").open("wb") as log:
                    processes[name] = subprocess.Popen(
                        command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
                    )

            def works(name: str, queue: str, state: bytes = b"busy") -> None:
                record = f"rq:worker:{name}"
                until(lambda: admin.hget(record, "state") == state, f"worker {name} is {state.decode()}")
                until(lambda: state == b"idle" or sleeps(queue), f"worker {name} runs its job")

            def sleeps(queue: str) -> bool:
                jobs = [member.partition(b":")[0] for member in admin.zrange(f"rq:wip:{queue}", 0, -1)]
                said = [admin.hmget(b"rq:job:" + job, "description", "started_at") for job in jobs]
                return [bool(text.startswith(b"jobs.sleep") and started) for text, started in said] == [True]

            works("killed", "reports")
            works("frozen", "slow")
            works("idle", "calm", b"idle")
            works("busy", "mail")
            kill(processes["killed"])
            processes["frozen"].send_signal(signal.SIGSTOP)
            # What else would take 90 s and more: records expire, leases run out, heartbeats grow old.
            admin.delete("rq:worker:killed", "rq:worker:killed:executions")
            (lease,) = admin.zrange("rq:wip:reports", 0, -1)
            admin.zadd("rq:wip:reports", {lease: time.time() - 5})
            admin.persist("rq:worker:frozen")
            for name, silent in (("frozen", 100), ("idle", 400)):
                beat = datetime.now(UTC) - timedelta(seconds=silent)
                admin.hset(f"rq:worker:{name}", "last_heartbeat", beat.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
            yield World(server, request.param, before, after)
        finally:
            for process in processes.values():
                kill(process)


# A real RQ ------------------------------------------------------------------------------------------------------------


def test_a_real_rq_shows_its_queues_with_what_waits_runs_failed_and_is_delayed(world: World):
    seen = look(world.server, "rq")

    assert [row.queue for row in seen.queues] == ["mail", "nobody: listens ü", "reports", "slow"]
    figures = {row.queue: (row.depth, row.active, row.orphaned, row.delayed, row.overdue, row.failed) for row in seen.queues}
    assert figures == {
        "mail": (0, 1, 0, 1, 0, 1), "nobody: listens ü": (2, 0, 0, 1, 0, 0), "reports": (0, 1, 1, 0, 0, 0),
        "slow": (0, 1, 0, 0, 0, 0),
    }  # fmt: skip
    waiting = queue(seen, "nobody: listens ü")
    assert waiting.oldest_at is not None and waiting.oldest_age_s is not None and waiting.oldest_is == "exact"
    assert world.before <= waiting.oldest_at <= world.after
    assert abs((seen.taken_at - waiting.oldest_at).total_seconds() - waiting.oldest_age_s) < 2
    assert (waiting.processed_total, waiting.failed_total, waiting.dead, waiting.retrying) == (None, None, None, None)
    assert "processed_total, failed_total: RQ counts for each worker only" in waiting.why


def test_a_real_rqs_workers_are_alive_stale_or_gone_by_their_own_periods(world: World):
    rows = {row.worker: row for row in look(world.server, "rq").workers}

    assert {name: row.state for name, row in rows.items()} == {
        "busy": "alive", "frozen": "stale", "idle": "alive", "killed": "gone"
    }  # fmt: skip
    assert {name: (row.busy, row.expected_period_s) for name, row in rows.items()} == {
        "busy": (1, 30.0), "frozen": (1, 30.0), "idle": (0, 405.0), "killed": (None, None)
    }  # fmt: skip
    assert rows["busy"].queues == ("mail", "video") and near(rows["busy"].oldest_running_s, 0)
    assert rows["idle"].oldest_running_s is None


def test_looking_at_a_real_rq_needs_nothing_that_is_not_granted(world: World):
    for protocol in (2, 3):
        seen = look(world.server, "rq", protocol=protocol)
        assert [unexplained(row) for row in (*seen.queues, *seen.workers)] == [[]] * 8

    assert world.server.denied() == []


def test_a_suspended_rq_is_paused_in_all_its_queues(world: World):
    world.server.admin.set("rq:suspended", 1)
    paused = {row.paused for row in look(world.server, "rq").queues}
    world.server.admin.delete("rq:suspended")

    assert paused == {True} and {row.paused for row in look(world.server, "rq").queues} == {False}


# Its documented keys --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    shared.admin.flushall()
    yield shared
    assert shared.denied() == []


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def push(server: Server, name: str, jobs: dict[str, dict[str, str] | None], *, front: bool = False, prefix: str = "rq") -> None:
    """Puts jobs there as RQ does, the first first; a job without a record is None."""
    server.admin.sadd(f"{prefix}:queues", f"{prefix}:queue:{name}")
    for job, record in jobs.items():
        (server.admin.lpush if front else server.admin.rpush)(f"{prefix}:queue:{name}", job)
        if record:
            server.admin.hset(f"{prefix}:job:{job}", mapping=record)


def test_jobs_put_at_the_front_hide_older_ones_so_the_age_is_a_lower_bound(server: Server):
    push(server, "mail", {"a": {"enqueued_at": ago(300)}, "b": {"enqueued_at": ago(200)}})
    push(server, "mail", {"c": {"enqueued_at": ago(10)}}, front=True)

    row = queue(look(server, "rq"), "mail")

    assert (row.depth, row.oldest_is) == (3, "lower_bound") and near(row.oldest_age_s, 200)


def test_a_job_that_was_taken_and_not_begun_still_waits(server: Server):
    push(server, "mail", {"a": {"enqueued_at": ago(300)}, "b": {"enqueued_at": ago(200)}})
    server.admin.lmove("rq:queue:mail", "rq:queue:mail:intermediate", "LEFT", "RIGHT")

    row = queue(look(server, "rq"), "mail")

    assert (row.depth, row.active, row.oldest_is) == (2, 0, "exact") and near(row.oldest_age_s, 300)
    assert "depth: 1 of them taken by a worker and not begun" in row.why


def test_a_queue_whose_jobs_left_no_record_has_a_depth_and_no_age(server: Server):
    push(server, "mail", {"a": None, "b": None})
    push(server, "half", {"c": None, "d": {"created_at": ago(50)}})

    seen = look(server, "rq")

    mail, half = queue(seen, "mail"), queue(seen, "half")
    assert (mail.depth, mail.oldest_at) == (2, None)
    assert "oldest_at, oldest_age_s, oldest_is: the record of its next job is gone" in mail.why
    assert (half.depth, half.oldest_is) == (2, "lower_bound") and near(half.oldest_age_s, 50)
    assert "oldest_at: when the job was created" in half.why


def test_the_payload_of_a_job_is_never_read(server: Server):
    push(server, "mail", {"a": {"enqueued_at": ago(5), "data": "x" * 50_000_000}})
    before = server.admin.info("stats")["total_net_output_bytes"]

    assert near(queue(look(server, "rq"), "mail").oldest_age_s, 5)

    assert server.admin.info("stats")["total_net_output_bytes"] - before < 100_000


def test_jobs_whose_lease_ran_out_are_orphaned_and_due_ones_that_stay_overdue(server: Server):
    push(server, "mail", {})
    server.admin.zadd("rq:wip:mail", {"a:1": time.time() - 1, "b:2": time.time() + 60, "c": time.time() - 500})
    server.admin.zadd("rq:scheduled:mail", {"d": time.time() - 60, "e": time.time() + 60})
    server.admin.zadd("rq:failed:mail", {"f": time.time() + 31536000})

    row = queue(look(server, "rq"), "mail")

    assert (row.depth, row.active, row.orphaned, row.delayed, row.overdue, row.failed) == (0, 3, 2, 2, 1, 1)


def test_a_prefix_that_rq_3_was_given_and_the_queues_that_are_named_are_kept_to(server: Server):
    push(server, "mail", {"a": {"enqueued_at": ago(5)}})
    push(server, "mail", {"a": {"enqueued_at": ago(5)}, "b": {"enqueued_at": ago(5)}}, prefix="{shop}")
    push(server, "video", {"c": {"enqueued_at": ago(5)}})

    named = look(server, "rq", queues=["mail", "mial"])
    other = look(server, "rq", prefix="{shop}")

    assert [(row.queue, row.depth) for row in named.queues] == [("mail", 1), ("mial", 0)]
    assert "depth: RQ has never seen a queue of this name" in queue(named, "mial").why
    assert [(row.queue, row.depth) for row in other.queues] == [("mail", 2)]


def test_a_database_without_rq_has_no_rows_and_a_note(server: Server):
    seen = look(server, "rq", db=3)

    assert (seen.queues, seen.workers) == ([], []) and seen.notes == ("nothing of RQ is in database 3: is url right?",)


def test_an_execution_whose_record_is_gone_is_no_running_job(server: Server):
    server.admin.sadd("rq:workers", "rq:worker:a")
    server.admin.hset("rq:worker:a", mapping={"state": "busy", "last_heartbeat": ago(5), "queues": "mail,video"})
    server.admin.sadd("rq:worker:a:executions", "job1:x", "job2:y")
    server.admin.hset("rq:execution:job2:y", "created_at", str(time.time() - 70))

    row = worker(look(server, "rq"), "a")

    assert (row.busy, row.state) == (1, "alive") and near(row.oldest_running_s, 70)


def test_keys_of_another_type_and_garbage_are_an_error_or_unknown_and_never_zeros(server: Server):
    push(server, "mail", {"\\xff:'\"": {"enqueued_at": "yesterday"}})
    server.admin.sadd("rq:workers", "rq:worker:a", b"rq:worker:\xff")
    server.admin.hset("rq:worker:a", mapping={"state": "?", "last_heartbeat": "soon"})
    seen = look(server, "rq")
    server.admin.set("rq:wip:mail", "text")

    with pytest.raises(SourceError, match="holds another type"):
        look(server, "rq")
    assert [(row.worker, row.state) for row in seen.workers] == [("a", "unknown"), ("\\xff", "gone")]
    assert [unexplained(row) for row in (*seen.queues, *seen.workers)] == [[], [], []]


def test_a_hundred_queues_and_ten_busy_workers_take_three_trips(server: Server):
    for number in range(100):
        push(server, f"q{number}", {f"{number}a": {"enqueued_at": ago(5)}, f"{number}b": {"enqueued_at": ago(1)}})
    for number in range(10):
        server.admin.sadd("rq:workers", f"rq:worker:{number}")
        server.admin.hset(f"rq:worker:{number}", mapping={"state": "busy", "last_heartbeat": ago(5), "current_job": f"{number}a"})
    with source(server, "rq") as opened:
        opened.snapshot({})
        gate: Any = opened._gate  # type: ignore[attr-defined]

    assert (gate.trips, gate.commands) == (3, 4 + 100 * 11 + 10 * 3)


# Recorded from 2.12.0 and 3.0.0 ---------------------------------------------------------------------------------------

BUSY_2 = [b"busy", b"2026-11-24T18:54:39.751190Z", b"mail,video", None, b"41716aa1"]
BUSY_3 = [b"busy", b"2026-11-24T18:54:39.751190Z", b"mail,video", None, None]
IDLE = [b"idle", b"2026-11-24T18:48:39.704151Z", b"x:y", None, None]


def test_recorded_workers_become_rows():
    began = datetime(2026, 11, 24, 18, 54, 40, tzinfo=UTC)
    two, three, idle, gone = (
        to_record(b"busy", BUSY_2, [], b"rq:"), to_record(b"busy", BUSY_3, [b"41716aa1:4d5c6ed8"], b"rq:"),
        to_record(b"idle", IDLE, [], b"rq:"), to_record(b"gone", [None] * 5, [], b"rq:"),
    )  # fmt: skip

    rows = [
        to_worker(two, {b"rq:job:41716aa1": began}, NOW), to_worker(three, {b"rq:execution:41716aa1:4d5c6ed8": began}, NOW),
        to_worker(idle, {}, NOW), to_worker(gone, {}, NOW),
    ]  # fmt: skip

    assert [(row.state, row.busy, row.oldest_running_s, row.queues) for row in rows] == [
        ("alive", 1, 20.0, ("mail", "video")), ("alive", 1, 20.0, ("mail", "video")), ("alive", 0, None, ("x:y",)),
        ("gone", None, None, None),
    ]  # fmt: skip
    assert [unexplained(row) for row in rows] == [[], [], [], []]


def test_a_stamp_in_the_future_is_age_zero_and_said():
    later = (NOW + timedelta(seconds=90), "")
    row = to_queue(Inside(b"mail", 1, [], [b"a", b"a"], 0, 0, 0, 0, 0), {b"a": later}, False, NOW)

    assert (row.oldest_age_s, row.oldest_is) == (0.0, "exact")
    assert "oldest_age_s: its time stamp lies 90 s in the future: clocks differ" in row.why
