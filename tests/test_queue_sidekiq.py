"""Sidekiq: real versions 6 and 7 in a known state are told as they are; so are the documented keys of 8."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from looking import kill, look, near, queue, source, unexplained, until, worker
from redis_server import Server, running

from qpanalytics.errors import SourceError
from qpanalytics.sources.queues.sidekiq import to_process, to_queue, to_totals, to_worker

GEMS = "share/rubygems-integration/all/gems"
NOW = datetime(2026, 11, 24, 18, 51, 50, tzinfo=UTC)
# A process beats every 5 or 10 s; for the tests more often, which changes nothing in what it writes.
APP = """
require "sidekiq"
require "sidekiq/launcher"
Sidekiq::Launcher.send(:remove_const, :BEAT_PAUSE)
Sidekiq::Launcher.const_set(:BEAT_PAUSE, 0.2)
JOB = defined?(Sidekiq::Job) ? Sidekiq::Job : Sidekiq::Worker
class Sleeper; include JOB; def perform(seconds) sleep seconds end end
class Failer; include JOB; def perform() raise "no luck" end end
"""
PUSH = """
3.times { Sleeper.set(queue: "nobody: listens ü").perform_async(1) }
Sleeper.set(queue: "mail").perform_async(600)
Sleeper.set(queue: "reports").perform_async(600)
Failer.set(queue: "mail", retry: 0).perform_async
Failer.set(queue: "mail", retry: 5).perform_async
2.times { Sleeper.set(queue: "mail").perform_in(3600, 1) }
"""


@dataclass
class Ruby:
    """One version of Sidekiq: `ruby` runs with it, `command` is its own."""

    version: str
    ruby: list[str]
    command: str


def found(version: str) -> Ruby | None:
    """A Sidekiq of a major version, of this machine or beside it."""
    beside = Path(__file__).parents[1] / ".sidekiq7/usr"
    for root in (Path("/usr"), beside):
        for command in root.glob(f"{GEMS}/sidekiq-{version}.*/bin/sidekiq"):
            libraries = [*root.glob(f"{GEMS}/*/lib"), *root.glob(f"{GEMS}/*/lib/concurrent-ruby")] if root == beside else []
            return Ruby(version, ["ruby", *(part for path in libraries for part in ("-I", str(path)))], str(command))
    return None


@dataclass
class World:
    """A server with one real Sidekiq in a known state."""

    server: Server
    ruby: Ruby
    names: dict[str, str]
    before: datetime
    after: datetime


@pytest.fixture(scope="module", params=["6", "7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ruby = found(request.param)
    if ruby is None or shutil.which("ruby") is None:
        pytest.skip(f"there is no Sidekiq {request.param} here: tests/run installs ruby-sidekiq from Debian where it can")
    folder = tmp_path_factory.mktemp("sidekiq")
    app = folder / "app.rb"
    app.write_text(APP)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with running() as server:
        environment = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{server.port}/0"}
        server.admin.set("process_cleanup", "1")  # or the living ones clear the name of the killed one away at some time
        try:
            for name, queues in {"busy": "mail video", "killed": "reports", "frozen": "slow", "quiet": "calm"}.items():
                listed = [part for queue in queues.split() for part in ("-q", queue)]
                command = [*ruby.ruby, ruby.command, "-r", str(app), "-c", "2", "-g", name, *listed]
                with (folder / f"{name}.log").open("wb") as log:
                    processes[name] = subprocess.Popen(
                        command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
                    )
            before = datetime.now(UTC)
            pushed = subprocess.run(
                [*ruby.ruby, "-r", str(app), "-e", PUSH], env=environment, capture_output=True, text=True, timeout=60
            )
            assert pushed.returncode == 0, pushed.stderr
            after = datetime.now(UTC)
            ids = {name: next_id(server, process.pid) for name, process in processes.items()}
            admin = server.admin
            until(lambda: admin.hget(ids["busy"], "busy") == b"1", "the busy process runs one job")
            until(lambda: admin.hget(ids["killed"], "busy") == b"1", "the process to be killed runs one job")
            until(lambda: admin.get("stat:processed") == b"2" and admin.zcard("retry") == 1, "two jobs failed")
            processes["quiet"].send_signal(signal.SIGTSTP)
            until(lambda: admin.hget(ids["quiet"], "quiet") == b"true", "a process is quiet")
            kill(processes["killed"])
            processes["frozen"].send_signal(signal.SIGSTOP)
            # What else would take 60 s: the hash of the killed one expires, the heartbeat of the frozen one grows old.
            admin.delete(ids["killed"], f"{ids['killed']}:work", f"{ids['killed']}:workers")
            admin.hset(ids["frozen"], "beat", str(time.time() - 45))
            admin.persist(ids["frozen"])
            yield World(server, ruby, ids, before, after)
        finally:
            for process in processes.values():
                kill(process)


def next_id(server: Server, pid: int) -> str:
    """The identity of the process with this pid, as soon as it has sent a heartbeat."""
    seen: list[str] = []

    def there() -> bool:
        seen[:] = [name.decode() for name in server.admin.smembers("processes") if name.split(b":")[1] == b"%d" % pid]
        return bool(seen)

    until(there, f"process {pid} has sent a heartbeat")
    return seen[0]


# A real Sidekiq -------------------------------------------------------------------------------------------------------


def test_a_real_sidekiq_shows_its_queues_with_depth_age_and_running_jobs(world: World):
    seen = look(world.server, "sidekiq")

    assert [row.queue for row in seen.queues] == ["mail", "nobody: listens ü", "reports", "*"]
    mail, waiting, reports = (queue(seen, name) for name in ("mail", "nobody: listens ü", "reports"))
    assert (mail.depth, mail.active, mail.oldest_at, mail.paused) == (0, 1, None, False)
    assert "oldest_at, oldest_age_s, oldest_is: the queue is empty" in mail.why
    assert (waiting.depth, waiting.active, waiting.oldest_is) == (3, 0, "exact")
    assert waiting.oldest_at is not None and waiting.oldest_age_s is not None
    assert world.before <= waiting.oldest_at <= world.after
    assert abs((seen.taken_at - waiting.oldest_at).total_seconds() - waiting.oldest_age_s) < 2
    assert (reports.depth, reports.active, reports.orphaned) == (0, 0, None)
    assert "orphaned: Sidekiq does not list the jobs of a killed process" in reports.why


def test_a_real_sidekiqs_figures_of_all_queues_are_one_row(world: World):
    row = queue(look(world.server, "sidekiq"), "*")

    assert (row.delayed, row.overdue, row.retrying, row.dead) == (2, 0, 1, 1)
    assert (row.processed_total, row.failed_total) == (2, 2)
    assert (row.depth, row.active) == (None, None)


def test_a_real_sidekiqs_processes_are_alive_stale_or_gone(world: World):
    seen = look(world.server, "sidekiq")
    rows = {name: worker(seen, identity) for name, identity in world.names.items()}

    assert len(seen.workers) == 4
    assert {name: row.state for name, row in rows.items()} == {
        "busy": "alive", "killed": "gone", "frozen": "stale", "quiet": "alive"
    }  # fmt: skip
    assert {name: row.busy for name, row in rows.items()} == {"busy": 1, "killed": None, "frozen": 0, "quiet": 0}
    assert rows["busy"].queues == ("mail", "video")
    assert rows["busy"].oldest_running_s is not None and 0 <= rows["busy"].oldest_running_s < 60
    assert rows["busy"].expected_period_s == {"6": 5.0, "7": 10.0}[world.ruby.version]
    assert "quiet: it takes no new jobs" in rows["quiet"].why and "quiet" not in rows["busy"].why
    assert rows["frozen"].last_seen_at is not None and rows["frozen"].expected_period_s is not None


def test_looking_at_a_real_sidekiq_needs_nothing_that_is_not_granted(world: World):
    for protocol in (2, 3):
        seen = look(world.server, "sidekiq", protocol=protocol)
        assert [unexplained(row) for row in (*seen.queues, *seen.workers)] == [[]] * 8

    assert world.server.denied() == []


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


def push(server: Server, name: str, *jobs: dict[str, Any] | bytes, prefix: str = "", db: int = 0) -> None:
    """Puts jobs there as Sidekiq does, the first of them first."""
    with server.client(db) as admin:
        admin.sadd(f"{prefix}queues", name)
        for job in jobs:
            payload = job if isinstance(job, bytes) else json.dumps({"class": "Job", "args": [], "queue": name, **job})
            admin.lpush(f"{prefix}queue:{name}", payload)


def process(
    server: Server, name: str, *, version: str = "8.1.7", queues: tuple[str, ...] = ("mail",), jobs: tuple[str, ...] = (),
    silent: float = 1.0, payload: str = "{}",
) -> None:  # fmt: skip
    """A process as its heartbeat writes it, `silent` seconds ago, with a running job from each queue of `jobs`."""
    info = {"hostname": "web", "pid": 1, "queues": list(queues), "version": version, "embedded": False}
    beat = {"info": json.dumps(info), "beat": str(time.time() - silent), "busy": len(jobs), "quiet": "false"}
    server.admin.sadd("processes", name)
    server.admin.hset(name, mapping=beat)
    for number, job in enumerate(jobs):
        work = {"queue": job, "payload": payload, "run_at": int(time.time()) - 10 * (number + 1)}
        server.admin.hset(f"{name}:work", f"t{number}", json.dumps(work))


def test_milliseconds_of_sidekiq_8_and_seconds_of_7_may_stand_in_one_queue(server: Server):
    now = time.time()
    push(server, "old end", {"enqueued_at": now - 100}, {"enqueued_at": int((now - 50) * 1000)})
    push(server, "new end", {"enqueued_at": int((now - 100) * 1000)}, {"enqueued_at": now - 50})

    seen = look(server, "sidekiq")

    assert [near(queue(seen, name).oldest_age_s, 100) for name in ("old end", "new end")] == [True, True]


def test_a_job_without_a_time_of_its_own_is_as_old_as_its_creation_or_of_unknown_age(server: Server):
    push(server, "created", {"created_at": time.time() - 60})
    push(server, "nothing", {}, {"enqueued_at": time.time()})
    push(server, "no json", b"\x80\x04pickle")

    created, nothing, broken = (queue(look(server, "sidekiq"), name) for name in ("created", "nothing", "no json"))

    assert near(created.oldest_age_s, 60) and "oldest_at: when the job was created" in created.why
    assert (nothing.depth, nothing.oldest_at, nothing.oldest_age_s, nothing.oldest_is) == (2, None, None, None)
    assert "oldest_at, oldest_age_s, oldest_is: its next job has neither" in nothing.why
    assert (broken.depth, broken.oldest_at) == (1, None)


def test_a_stamp_in_the_future_is_age_zero_and_said(server: Server):
    push(server, "mail", {"enqueued_at": time.time() + 90})

    row = queue(look(server, "sidekiq"), "mail")

    assert row.oldest_age_s == 0.0 and "s in the future: clocks differ" in row.why


def test_a_huge_job_is_read_once_and_then_only_at_every_tenth_look(server: Server):
    job = {"class": "Job", "args": ["x" * 50_000_000, {"enqueued_at": 5}], "enqueued_at": time.time() - 30}
    push(server, "huge", json.dumps({**job, "error_message": 'it said "enqueued_at":7'}).encode())
    push(server, "small", {"enqueued_at": time.time() - 20})
    cursor: dict[str, Any] = {}
    ages = []
    with source(server, "sidekiq") as opened:
        for _ in range(12):
            seen = opened.snapshot(cursor)
            cursor = json.loads(json.dumps(seen.next_cursor))
            ages.append(queue(seen, "huge").oldest_age_s)
            assert queue(seen, "huge").depth == 1 and unexplained(queue(seen, "huge")) == []
            assert near(queue(seen, "small").oldest_age_s, 20)
            if len(ages) == 2:
                assert "the last one read had 50.0 MB, so it is read at every 10th look only" in queue(seen, "huge").why

    assert [age is not None for age in ages] == [True, *[False] * 9, True, False]
    assert near(ages[0], 30)
    server.admin.delete("queue:huge")
    assert look(server, "sidekiq", cursor).next_cursor == {}


def test_running_jobs_count_for_the_queue_they_came_from_and_not_for_each_that_is_served(server: Server):
    push(server, "mail")
    server.admin.sadd("queues", "mail", "video", "idle")
    process(server, "a:1:x", queues=("mail", "video", "idle"), jobs=("mail", "mail", "video"))
    process(server, "b:2:y", queues=("mail", "video", "idle"), jobs=("video",), version="7.3.9")

    seen = look(server, "sidekiq")

    assert {row.queue: row.active for row in seen.queues} == {"mail": 2, "video": 2, "idle": 0, "*": None}
    assert near(worker(seen, "a:1").oldest_running_s, 30)


def test_more_than_a_hundred_running_jobs_are_counted_but_not_looked_at(server: Server):
    server.admin.sadd("queues", "mail", "video")
    process(server, "a:1:x", queues=("video",), jobs=("video",) * 60)
    process(server, "b:2:y", queues=("mail", "low"), jobs=("mail",) * 60)
    process(server, "c:3:z", queues=("video",), jobs=("video",) * 60)

    seen = look(server, "sidekiq")

    assert {row.queue: row.active for row in seen.queues} == {"video": 120, "mail": None, "*": 180}
    assert "active: only 100 running jobs are looked at, and there are more" in queue(seen, "mail").why
    assert [row.busy for row in seen.workers] == [60] * 3 and worker(seen, "b:2").oldest_running_s is None


def test_payloads_of_running_jobs_that_are_huge_are_not_moved_at_each_look(server: Server):
    server.admin.sadd("queues", "mail")
    process(
        server,
        "a:1:x",
        queues=("mail", "low"),
        jobs=("mail",),
        payload=json.dumps({"args": ["x" * 3_000_000], "run_at": 5, "queue": "no"}),
    )

    first = look(server, "sidekiq")
    second = look(server, "sidekiq", first.next_cursor)

    assert queue(first, "mail").active == 1 and near(worker(first, "a:1").oldest_running_s, 10)
    assert (queue(second, "mail").active, queue(second, "*").active) == (None, 1)
    assert "active: running jobs: the last one read had 3.0 MB" in queue(second, "mail").why
    assert unexplained(worker(second, "a:1")) == []


@pytest.mark.parametrize(("version", "silent", "state"), [
    ("6.5.12", 8, "alive"), ("6.5.12", 17, "stale"), ("7.3.9", 20, "alive"), ("8.1.7", 32, "stale"), ("8.1.7", -40, "alive"),
])  # fmt: skip
def test_a_process_is_stale_after_three_heartbeats_of_its_version(server: Server, version: str, silent: float, state: str):
    process(server, "a:1:x", version=version, silent=silent)

    row = worker(look(server, "sidekiq"), "a:1")

    assert row.state == state and (silent > 0 or "in the future: clocks differ" in row.why)


def test_sidekiq_8_1_names_its_queues_as_weights_of_capsules(server: Server):
    process(server, "a:1:x", silent=2)
    capsules = {"default": {"mode": "weighted", "weights": {"mail": 2, "low": 1}}, "one": {"weights": {"single": 0, "low": 1}}}
    server.admin.hset("a:1:x", "info", json.dumps({"version": "8.1.7", "capsules": capsules}))

    row = worker(look(server, "sidekiq"), "a:1")

    assert (row.queues, row.expected_period_s) == (("mail", "low", "single"), 10.0)


def test_a_slow_clock_is_no_frozen_process_once_its_heartbeats_go_on(server: Server):
    process(server, "slow:1:x", silent=100)
    process(server, "frozen:2:x", silent=100)
    first = look(server, "sidekiq")
    process(server, "slow:1:x", silent=99)

    second = look(server, "sidekiq", json.loads(json.dumps(first.next_cursor)))

    assert {row.state for row in first.workers} == {"stale"}
    assert {row.worker: row.state for row in second.workers} == {"slow:1:x": "alive", "frozen:2:x": "stale"}
    assert "its clock is slow" in worker(second, "slow").why


def test_a_name_space_and_a_database_hold_one_sidekiq_each(server: Server):
    for number, (prefix, db) in enumerate([("", 0), ("shop:", 0), ("", 5)]):
        push(server, "mail", *[{"enqueued_at": time.time()}] * (number + 1), prefix=prefix, db=db)

    depths = [
        queue(look(server, "sidekiq", db=db, **options), "mail").depth
        for db, options in [(0, {}), (0, {"prefix": "shop"}), (5, {})]
    ]

    assert depths == [1, 2, 3]


def test_only_the_queues_that_are_named_are_shown_and_one_that_never_was_is_empty_and_said(server: Server):
    push(server, "mail", {"enqueued_at": time.time()})
    push(server, "video", {"enqueued_at": time.time()})

    seen = look(server, "sidekiq", queues=["mail", "mial"])

    assert [(row.queue, row.depth) for row in seen.queues] == [("mail", 1), ("mial", 0), ("*", None)]
    assert "Sidekiq has never seen a queue of this name" in queue(seen, "mial").why


def test_a_database_without_sidekiq_is_no_sidekiq_at_rest(server: Server):
    seen = look(server, "sidekiq")

    assert [row.queue for row in seen.queues] == ["*"] and queue(seen, "*").delayed is None
    assert seen.notes == ("nothing of Sidekiq is in database 0: are url and prefix right?",)
    assert unexplained(queue(seen, "*")) == []


def test_jobs_that_are_due_and_stay_are_overdue(server: Server):
    push(server, "mail")
    server.admin.sadd("queues", "mail")
    server.admin.zadd("schedule", {"a": time.time() - 60, "b": time.time() + 60})

    row = queue(look(server, "sidekiq"), "*")

    assert (row.delayed, row.overdue) == (2, 1)


def test_a_queue_paused_by_sidekiq_pro_is_paused(server: Server):
    server.admin.sadd("queues", "mail", "video")
    server.admin.sadd("paused", "mail")

    assert [row.paused for row in look(server, "sidekiq").queues] == [True, False, None]


def test_keys_of_another_type_and_garbage_are_an_error_or_unknown_and_never_zeros(server: Server):
    server.admin.sadd("queues", "mail")
    server.admin.sadd("processes", "a:1:x")
    server.admin.hset("a:1:x", mapping={"info": "[[[", "beat": "soon", "busy": "many", "quiet": "?"})
    seen = look(server, "sidekiq")
    server.admin.set("queue:mail", "text")

    with pytest.raises(SourceError, match="holds another type"):
        look(server, "sidekiq")
    row = worker(seen, "a:1")
    assert (row.state, row.busy, row.queues, row.last_seen_at) == ("unknown", None, None, None) and unexplained(row) == []


def test_two_hundred_queues_take_three_trips(server: Server):
    for number in range(200):
        push(server, f"q{number}", {"enqueued_at": time.time()})
    with source(server, "sidekiq") as opened:
        opened.snapshot({})
        gate = opened._gate  # type: ignore[attr-defined]

    assert (gate.trips, gate.commands) == (3, 8 + 1 + 600)


# Recorded from 6.4.1 and 7.3.2 ----------------------------------------------------------------------------------------

INFO_6 = b"""{"hostname":"vm","started_at":1795546254.1922565,"pid":23044,"tag":"","concurrency":2,"queues":["mail","video"],\
"labels":[],"identity":"vm:23044:3dfef6669e11"}"""
INFO_7 = b"""{"hostname":"vm","started_at":1795546303.9838145,"pid":23895,"tag":"","concurrency":2,"queues":["mail","video"],\
"weights":[{"mail":0,"video":0}],"labels":[],"identity":"vm:23895:5af826b0be5b","version":"7.3.2","embedded":false}"""
WORK_7 = b"""{"queue":"mail","payload":"{\\"retry\\":true,\\"queue\\":\\"mail\\",\\"args\\":[60],\\"class\\":\\"Sleeper\\"}",\
"run_at":1795546303}"""

JOB_6 = """{"retry":true,"queue":"idle queue:ü","args":[1],"class":"Sleeper","jid":"a0ce71e22546b71e2d6206c0",\
"created_at":1795546254.18985,"enqueued_at":1795546254.1898644}""".encode()
RETRIED_7 = b"""{"retry":5,"queue":"mail","args":[1],"class":"Failer","jid":"d7b92ad1021bea192aebff3d",\
"created_at":1795546303.8998158,"enqueued_at":1795546305.899825,"error_message":"no luck","error_class":"RuntimeError",\
"failed_at":1795546303.9883726,"retry_count":0}"""


def test_recorded_jobs_and_counters_become_rows():
    waiting = to_queue("idle queue:ü", 1, JOB_6, False, 0, NOW)
    retried = to_queue("mail", 4, RETRIED_7, True, "not read", NOW)
    together = to_totals([2, 1, 1, b"2", None, 0], here=True, active=None)

    assert waiting.oldest_at == datetime(2026, 11, 24, 18, 50, 54, 189864, UTC) and waiting.oldest_age_s == 55.810136
    assert (waiting.depth, waiting.active, waiting.paused, waiting.oldest_is) == (1, 0, False, "exact")
    assert (retried.oldest_age_s, retried.active, retried.paused) == (4.100175, None, True) and "active: not read" in retried.why
    assert (together.delayed, together.retrying, together.dead, together.processed_total, together.failed_total) == (
        2,
        1,
        1,
        2,
        0,
    )
    assert [unexplained(row) for row in (waiting, retried, together)] == [[], [], []]


def test_recorded_heartbeats_become_rows():
    six = to_process(b"vm:23044:3dfef6669e11", [INFO_6, b"1795546304.9195557", b"1", b"false"], 0, 1)
    seven = to_process(b"vm:23895:5af826b0be5b", [INFO_7, b"1795546306.6988316", b"1", b"true"], 1, 0)._replace(running=[WORK_7])
    gone = to_process(b"vm:1:0", [None, None, None, None], 0, 0)

    rows = [to_worker(one, NOW) for one in (six, seven, gone)]

    assert [(row.state, row.busy, row.expected_period_s, row.queues, row.oldest_running_s) for row in rows] == [
        ("alive", 1, 5.0, ("mail", "video"), None), ("alive", 1, 10.0, ("mail", "video"), 7.0), ("gone", None, None, None, None),
    ]  # fmt: skip
    assert [unexplained(row) for row in rows] == [[], [], []]
