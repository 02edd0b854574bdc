"""BullMQ 5, BullMQ 6 and Bull 4, brought to known states by the real thing and read back as the restricted user."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import bull_queues
import pytest
import redis_server
from bull_queues import call, now, queue, source, unexplained, until, worker

from qpanalytics.sources.base import QueueLook, Snapshot

DATABASES = {name: number for number, name in enumerate(bull_queues.LIBRARIES, 1)}
QUEUES = (
    "waiting", "over", "first", "front", "mixed", "paused", "works", "retried", "killed", "frozen", "busy", "promoted",
    "Grüße an alle", "nowhere",
)  # fmt: skip
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def server() -> Iterator[redis_server.Server]:
    with redis_server.running() as server:
        server.grant("+client|list")
        yield server


class Stage:
    """All queues of one library in known states, with what was read of them."""

    def __init__(self, server: redis_server.Server, library: str, before: Snapshot, after: Snapshot, trips: int, commands: int):
        self.server, self.library, self.before, self.after = server, library, before, after
        self.trips, self.commands = trips, commands
        self.bull = library == "bull"

    def __getitem__(self, name: str) -> QueueLook:
        return queue(self.after, name)


@pytest.fixture(scope="module", params=bull_queues.LIBRARIES)
def stage(request: pytest.FixtureRequest, server: redis_server.Server) -> Iterator[Stage]:
    if bull_queues.missing():
        pytest.skip(bull_queues.missing() or "")
    library = request.param
    db = DATABASES[library]
    ago = int(time.time() * 1000) - HOUR_MS
    add = ["add", "job", {}]
    long = ["add", "job", {"ms": 600_000}]

    def told(name: str, *calls: list[Any]) -> dict[str, Any]:
        return {"queue": name, "db": db, "calls": calls}

    call(
        library, server.port,
        told("waiting", [*add, {"timestamp": ago}], add, add),
        told("over", [*add, {"delay": 600_000}], [*add, {"delay": 1}], [*add, {"delay": 1}]),
        told("first", [*add, {"priority": 5, "timestamp": ago}], [*add, {"priority": 1}]),
        told("front", [*add, {"lifo": True, "timestamp": ago}], [*add, {"lifo": True}], [*add, {"lifo": True}]),
        told("mixed", [*add, {"timestamp": ago}], add, [*add, {"lifo": True}]),
        told("paused", [*add, {"timestamp": ago}], add, ["pause"]),
        told("works", add, add, ["add", "job", {"fail": True}], add),
        told("retried", ["add", "job", {"fail": True}, {"attempts": 3, "backoff": 600_000}]),
        told("killed", long, add), told("frozen", long), told("busy", long, add),
        # Created an hour ago and due 50 min later: it waits for 10 min once a worker has moved it.
        told("promoted", ["add", "job", {"ms": 1}], long, [*add, {"timestamp": ago, "delay": HOUR_MS - 600_000}]),
        told("Grüße an alle", add),
    )  # fmt: skip
    with bull_queues.workers(library, server.port) as start:

        def begin(name: str, /, **options: Any) -> bull_queues.Worker:
            if library == "bull":
                options = {key: value for key, value in options.items() if key == "concurrency" or key == "metrics"} | {
                    "settings": {"lockDuration": options["lockDuration"]} if "lockDuration" in options else {}
                }
            return start(queue=name, db=db, options=options)

        works = begin("works", metrics={"maxDataPoints": 100})
        retried = begin("retried")
        killed = begin("killed", name="k1", lockDuration=1000)
        frozen = begin("frozen", name="f1", lockDuration=1000)
        busy = begin("busy", name="b1")
        promoted = begin("promoted")
        works.says("ready", "completed 1", "completed 2", "failed 3", "completed 4")
        retried.says("failed 1")
        for one in (killed, frozen, busy):
            one.says("active 1")
        promoted.says("completed 1", "active 2")
        with closing(source(server, db, "bull" if library == "bull" else "bullmq", queues=QUEUES)) as reader:
            before = reader.snapshot({})
            frozen.freeze()
            killed.kill()
            client = server.client(db)
            until(lambda: not client.exists("bull:killed:1:lock", "bull:frozen:1:lock"), "the end of the locks")
            until(lambda: client.zcard("bull:retried:delayed"), "the delayed retry")
            trips, commands = reader._gate.trips, reader._gate.commands
            after = reader.snapshot(json.loads(json.dumps(before.next_cursor)))
            yield Stage(server, library, before, after, reader._gate.trips - trips, reader._gate.commands - commands)
        client.close()


# States ---------------------------------------------------------------------------------------------------------------


def test_waiting_jobs_are_counted_and_the_oldest_is_told_exactly(stage: Stage) -> None:
    row = stage["waiting"]

    assert (row.depth, row.active, row.orphaned, row.delayed, row.overdue, row.failed) == (3, 0, 0, 0, 0, 0)
    assert row.oldest_age_s == pytest.approx(3600, abs=30) and row.oldest_is == "exact"
    assert row.oldest_at is not None and abs(row.oldest_at - now() + timedelta(hours=1)) < timedelta(seconds=60)
    assert row.paused is False


def test_an_empty_queue_has_depth_zero_and_no_oldest_job(stage: Stage) -> None:
    row = stage["over"]

    assert (row.depth, row.oldest_at, row.oldest_age_s, row.oldest_is) == (0, None, None, None)
    assert "oldest_at, oldest_age_s, oldest_is: the queue is empty" in row.why


def test_delayed_jobs_are_apart_and_those_that_are_due_are_overdue_while_nobody_works(stage: Stage) -> None:
    assert (stage["over"].delayed, stage["over"].overdue) == (3, 2)


def test_jobs_with_a_priority_are_waiting_too_and_the_age_is_a_lower_bound(stage: Stage) -> None:
    row = stage["first"]

    assert row.depth == 2
    if stage.bull:  # both ends of one list are both jobs
        assert (row.oldest_is, row.oldest_age_s) == ("exact", pytest.approx(3600, abs=30))
    else:
        assert row.oldest_is == "lower_bound" and row.oldest_age_s is not None and row.oldest_age_s < 30
        assert "priority" in row.why


def test_jobs_put_in_front_do_not_hide_the_oldest_at_the_other_end(stage: Stage) -> None:
    for seen in (stage.before, stage.after):  # the second look knows where to look first
        row = queue(seen, "front")
        assert (row.depth, row.oldest_is, row.oldest_age_s) == (3, "exact", pytest.approx(3600, abs=30))


def test_with_jobs_put_in_front_of_others_the_age_is_a_lower_bound(stage: Stage) -> None:
    row = stage["mixed"]

    assert (row.depth, row.oldest_is) == (3, "lower_bound")
    assert row.oldest_age_s is not None and row.oldest_age_s < 30  # the oldest stands in the middle


def test_a_paused_queue_keeps_its_depth_and_age(stage: Stage) -> None:
    row = stage["paused"]

    assert (row.paused, row.depth, row.oldest_is) == (True, 2, "exact")
    assert row.oldest_age_s == pytest.approx(3600, abs=30)


def test_totals_are_known_where_the_worker_keeps_metrics(stage: Stage) -> None:
    row = stage["works"]

    assert (row.processed_total, row.failed_total, row.failed) == (4, 1, 1)
    assert stage["waiting"].processed_total is None and stage["waiting"].failed_total is None
    assert "metrics" in stage["waiting"].why


def test_a_retry_waits_among_the_delayed_and_retrying_and_dead_are_unknown_not_zero(stage: Stage) -> None:
    row = stage["retried"]

    assert (row.delayed, row.overdue, row.failed, row.retrying, row.dead) == (1, 0, 0, None, None)
    assert "retrying: " in row.why and "dead: " in row.why


def test_a_job_that_became_due_is_as_old_as_its_due_time_not_as_its_creation(stage: Stage) -> None:
    row = stage["promoted"]

    assert (row.depth, row.delayed, row.active) == (1, 0, 1)
    assert row.oldest_age_s == pytest.approx(600, abs=30) and row.oldest_is == "exact"


def test_the_job_of_a_killed_worker_is_orphaned_and_the_worker_gone(stage: Stage) -> None:
    before, row = queue(stage.before, "killed"), stage["killed"]

    assert (before.active, before.orphaned, row.active, row.orphaned, row.depth) == (1, 0, 1, 1, 1)
    assert worker(stage.before, "killed").state == "alive"
    gone = worker(stage.after, "killed")
    assert (gone.state, gone.busy) == ("gone", None if stage.bull else 1) and gone.last_seen_at is not None


def test_the_job_of_a_frozen_worker_is_orphaned_and_the_worker_stale_though_connected(stage: Stage) -> None:
    row, frozen = stage["frozen"], worker(stage.after, "frozen")

    assert (row.active, row.orphaned) == (1, 1)
    assert worker(stage.before, "frozen").state == "alive"
    assert (frozen.state, frozen.busy) == ("stale", 1) and "lock" in frozen.why


def test_a_busy_worker_is_alive_and_its_job_has_a_beginning(stage: Stage) -> None:
    row, busy = stage["busy"], worker(stage.after, "busy")

    assert (row.active, row.orphaned, row.depth) == (1, 0, 1)
    assert (busy.state, busy.busy, busy.queues) == ("alive", 1, ("busy",))
    assert busy.oldest_running_s is not None and 0 < busy.oldest_running_s < 60
    assert busy.worker == ("busy@127.0.0.1" if stage.bull else "busy:b1")


def test_an_idle_worker_is_alive_and_busy_with_nothing(stage: Stage) -> None:
    idle = worker(stage.after, "works")

    assert (idle.state, idle.busy, idle.oldest_running_s, idle.expected_period_s) == ("alive", 0, None, None)
    assert idle.last_seen_at is not None and abs(idle.last_seen_at - now()) < timedelta(seconds=60)


def test_only_workers_of_this_database_are_told(stage: Stage) -> None:
    assert len(stage.before.workers) == 6 and len(stage.after.workers) == 6


def test_names_with_spaces_and_umlauts_are_read(stage: Stage) -> None:
    assert stage["Grüße an alle"].depth == 1


def test_a_queue_that_was_never_made_is_unknown_not_empty(stage: Stage) -> None:
    row = stage["nowhere"]

    assert {value for figure, value in asdict(row).items() if figure not in ("queue", "why")} == {None}
    assert "no such queue" in row.why


def test_every_unknown_figure_has_its_reason_and_nothing_was_denied(stage: Stage) -> None:
    assert unexplained(stage.before) == [] and unexplained(stage.after) == []
    assert stage.server.denied() == []


def test_a_look_takes_four_trips_and_twelve_commands_a_queue(stage: Stage) -> None:
    running = sum(row.active or 0 for row in stage.after.queues)

    assert stage.trips <= 4
    assert stage.commands <= 12 * len(QUEUES) + 2 * running + 2
