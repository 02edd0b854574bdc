"""Celery on a real server: its queues and its workers, read as a user who may only read."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import celery_software
import kombu.pools
import pytest
import redis_server

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources import open_configured
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook
from qpanalytics.sources.queues import celery, celery_inspect, celery_workers
from qpanalytics.sources.queues.gate import Heard

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PREFIX = "acme:"


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[redis_server.Server]:
    with redis_server.running() as running:
        yield running


@pytest.fixture
def fresh(server: redis_server.Server) -> redis_server.Server:
    server.client(5).flushdb()
    kombu.pools.reset()  # a producer remembers what it declared
    server.admin.execute_command("ACL", "LOG", "RESET")
    return server


def reader(server: redis_server.Server, db: int = 5, **more: Any) -> celery.Celery:
    table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": server.url(db), **more})
    return celery.from_settings(table, redis_server.PASSWORD, clock)  # type: ignore[return-value]


def look(server: redis_server.Server, cursor: dict[str, Any] | None = None, **more: Any) -> Snapshot:
    """One look at the queues, without listening."""
    source = reader(server, **{"heartbeats": False, **more})
    try:
        shot = source.snapshot(cursor or {})
        assert source._gate.trips <= 4
        json.dumps(dict(shot.next_cursor))
        return shot
    finally:
        source.close()


def queue(shot: Snapshot, name: str) -> QueueLook:
    (found,) = [one for one in shot.queues if one.queue == name]
    assert_told(found)
    return found


def worker(shot: Snapshot, name: str) -> WorkerLook:
    (found,) = [one for one in shot.workers if one.worker == name]
    assert_told(found)
    return found


def assert_told(row: QueueLook | WorkerLook) -> None:
    """Every figure that is missing is named with its reason."""
    named = [part for reason in row.why.split("; ") for part in reason.split(": ")[0].split(", ")]
    for figure, value in vars(row).items():
        assert value is not None or figure in named, f"{figure} is missing without a reason: {row}"


# Queues ---------------------------------------------------------------------------------------------------------------


def fill(server: redis_server.Server, *, db: int = 5, **options: Any) -> Any:
    app = celery_software.application(f"redis://127.0.0.1:{server.port}/{db}", **options)
    for number in range(3):
        app.send_task("shop.nap", (number,), queue="video")
    app.send_task("shop.nap", (0,), queue="video", priority=4)
    app.send_task("shop.nap", (0,), queue="video", priority=9)
    return app


def test_depth_sums_the_lists_of_all_priorities(fresh: redis_server.Server) -> None:
    fill(fresh)

    shot = look(fresh, queues=["video"])

    assert queue(shot, "video").depth == 5
    assert fresh.client(5).llen("video") == 3
    assert fresh.denied() == []


def test_other_priority_steps_and_another_separator_are_followed(fresh: redis_server.Server) -> None:
    fill(fresh, priority_steps=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], sep=":")

    assert fresh.client(5).llen("video:4") == 1
    assert queue(look(fresh, queues=["video"], priority_steps=list(range(10)), separator=":"), "video").depth == 5
    assert fresh.denied() == []


def test_two_apps_share_a_database_by_their_prefix(fresh: redis_server.Server) -> None:
    fill(fresh)
    fill(fresh, global_keyprefix=PREFIX).send_task("shop.nap", (0,), queue="video")

    assert queue(look(fresh, queues=["video"]), "video").depth == 5
    assert queue(look(fresh, queues=["video"], prefix=PREFIX), "video").depth == 6
    assert fresh.denied() == []


@pytest.mark.parametrize("protocol", [2, 3])
def test_names_with_colons_spaces_and_letters_of_any_script_are_queues_as_well(
    fresh: redis_server.Server, protocol: int
) -> None:
    app = celery_software.application(f"redis://127.0.0.1:{fresh.port}/5")
    app.send_task("shop.nap", (0,), queue="mail: für 猫")

    assert queue(look(fresh, queues=["mail: für 猫"], protocol=protocol), "mail: für 猫").depth == 1


def test_an_emptied_queue_is_0_by_its_binding_and_one_that_nobody_knows_is_unknown(fresh: redis_server.Server) -> None:
    fill(fresh)
    for key in fresh.client(5).keys("video*"):
        fresh.client(5).delete(key)

    shot = look(fresh, queues=["video", "vidoe"])

    assert queue(shot, "video").depth == 0
    assert "oldest_at, oldest_age_s, oldest_is: the queue is empty" in queue(shot, "video").why
    assert queue(shot, "vidoe").depth is None
    assert "no such queue" in queue(shot, "vidoe").why


def test_in_a_wrong_database_nothing_is_0(fresh: redis_server.Server) -> None:
    shot = look(fresh)

    assert queue(shot, "celery").depth is None
    assert queue(shot, "*").active is None


def test_without_configured_queues_those_bound_to_the_default_exchange_are_read(fresh: redis_server.Server) -> None:
    from kombu import Exchange, Queue

    app = celery_software.application(f"redis://127.0.0.1:{fresh.port}/5")
    with app.connection_for_write() as connection:
        for name in ("video", "mail"):
            Queue(name, Exchange("celery", type="direct"), routing_key=name).bind(connection.default_channel).declare()

    shot = look(fresh)

    assert {one.queue: one.depth for one in shot.queues} == {"video": 0, "mail": 0, "*": None}


def test_a_queue_seen_before_is_0_when_its_list_is_gone(fresh: redis_server.Server) -> None:
    fresh.client(5).lpush("elsewhere", b"{}")  # bound to an exchange of another name
    first = look(fresh, queues=["elsewhere"])
    fresh.client(5).delete("elsewhere")

    assert queue(look(fresh, dict(first.next_cursor), queues=["elsewhere"]), "elsewhere").depth == 0


def test_the_oldest_age_is_a_lower_bound_once_the_same_job_is_next_again(fresh: redis_server.Server) -> None:
    fill(fresh)
    first = look(fresh, queues=["video"])
    time.sleep(0.2)
    second = queue(look(fresh, dict(first.next_cursor), queues=["video"]), "video")

    assert queue(first, "video").oldest_age_s is None
    assert second.oldest_is == "lower_bound"
    assert second.oldest_age_s is not None and 0.2 <= second.oldest_age_s < 5
    assert second.oldest_at is not None and abs((clock() - second.oldest_at).total_seconds() - second.oldest_age_s) < 2

    for key in ("video", "video\x06\x163", "video\x06\x169"):
        fresh.client(5).rpop(key)
    third = queue(look(fresh, dict(first.next_cursor), queues=["video"]), "video")
    assert (third.depth, third.oldest_at) == (2, None)


def test_a_task_given_back_by_a_worker_began_to_wait_anew(fresh: redis_server.Server) -> None:
    fill(fresh)
    first = look(fresh, queues=["video"], priority_steps=[0])
    db = fresh.client(5)
    message = json.loads(db.rpop("video"))
    message["headers"]["redelivered"] = True
    db.rpush("video", json.dumps(message))

    assert queue(look(fresh, dict(first.next_cursor), queues=["video"], priority_steps=[0]), "video").oldest_at is None


def test_a_huge_job_at_the_end_is_read_at_every_tenth_look_and_known_again(fresh: redis_server.Server) -> None:
    app = celery_software.application(f"redis://127.0.0.1:{fresh.port}/5")
    app.send_task("shop.nap", ("x" * 1_000_000,), queue="video")
    shots = [look(fresh, queues=["video"])]
    for _ in range(10):
        shots.append(look(fresh, dict(shots[-1].next_cursor), queues=["video"]))

    assert "every 10th look" in queue(shots[1], "video").why
    assert [queue(shot, "video").oldest_at is None for shot in shots] == [True] * 10 + [False]
    assert queue(shots[10], "video").depth == 1


def test_what_is_held_beyond_the_visibility_timeout_is_orphaned(fresh: redis_server.Server) -> None:
    fill(fresh)
    db, now = fresh.client(5), time.time()
    for age in (10, 100, 4_000):
        db.hset("unacked", str(age), "[]")
        db.zadd("unacked_index", {str(age): now - age})

    all_queues = queue(look(fresh, queues=["video"]), "*")
    assert (all_queues.active, all_queues.orphaned) == (3, 1)
    assert "3,600 s, the default" in all_queues.why and "held for their ETA" in all_queues.why
    assert queue(look(fresh, queues=["video"], visibility_timeout="1 min"), "*").orphaned == 2
    assert fresh.denied() == []


@pytest.mark.parametrize(
    "element", [b"", b"\xff\xfe", b"[1]", b'{"headers": null}', b'{"headers": {"id": {"a": 1}}}', b"[" * 90_000]
)
def test_whatever_lies_in_a_list_is_counted_and_harms_nobody(fresh: redis_server.Server, element: bytes) -> None:
    fresh.client(5).lpush("video", element)

    first = look(fresh, queues=["video"])
    assert queue(look(fresh, dict(first.next_cursor), queues=["video"]), "video").depth == 1


def test_a_key_of_another_type_or_a_server_that_is_gone_is_an_error_not_a_zero(fresh: redis_server.Server) -> None:
    fresh.client(5).set("video", "x")
    with pytest.raises(SourceError, match="another type"):
        look(fresh, queues=["video"])
    table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": "redis://127.0.0.1:1/0"})
    with pytest.raises(SourceError, match="cannot be reached"):
        celery.from_settings(table, "", clock).snapshot({})


# Workers: one story, told once ----------------------------------------------------------------------------------------


class Story:
    first: Snapshot
    refused: Snapshot
    refused_again: Snapshot
    second: Snapshot
    other: Snapshot
    denied: list[Any]
    took_s: float


@pytest.fixture(scope="module")
def story(server: redis_server.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A busy worker, one that is killed, one that is frozen, one with the solo pool; and another app beside them."""
    told, db = Story(), 2
    broker = f"redis://127.0.0.1:{server.port}/{db}"
    with celery_software.workers(tmp_path_factory.mktemp("workers")) as workers:
        workers.start("busy@h", broker, "slow", "-P", "prefork", global_keyprefix=PREFIX)
        workers.start("killed@h", broker, "none", "-P", "threads", global_keyprefix=PREFIX)
        workers.start("frozen@h", broker, "none", "-P", "threads", global_keyprefix=PREFIX)
        workers.start("solo@h", broker, "alone", "-P", "solo", global_keyprefix=PREFIX)
        workers.start("other@h", broker, "slow", "-P", "threads")
        workers.ready()
        app = celery_software.application(broker, global_keyprefix=PREFIX)
        late, nap = app.tasks["shop.late_nap"], app.tasks["shop.nap"]
        late.apply_async((600,), queue="slow")
        holds = server.client(db)
        celery_software.until(lambda: holds.hlen("acme:unacked") == 1)
        for _ in range(3):
            late.apply_async((0,), queue="slow")
        late.apply_async((0,), queue="alone", countdown=3_600)
        celery_software.until(lambda: holds.hlen("acme:unacked") == 2)  # one running, one held for its ETA

        asking = {"db": db, "prefix": PREFIX, "queues": ["slow", "alone"], "heartbeats": True}
        told.refused = look(server, **asking)
        before = len(server.denied())
        told.refused_again = look(server, dict(told.refused.next_cursor), **asking)
        assert len(server.denied()) == before
        server.grant("+psubscribe", "&acme:/2.celeryev/worker.*", "&/2.celeryev/worker.*")
        server.admin.execute_command("ACL", "LOG", "RESET")

        asked = SourceTable.model_validate(
            {"name": "shop", "kind": "celery", "url": broker, "prefix": PREFIX, "queues": ["slow", "alone"], "inspect": True}
        )
        told.first = celery.from_settings(asked, "", clock).snapshot({})
        workers.signal("killed@h", signal.SIGKILL)
        workers.signal("frozen@h", signal.SIGSTOP)
        nap.apply_async((600,), queue="alone")
        celery_software.until(lambda: holds.llen("acme:alone") == 0)
        start = time.monotonic()
        told.second = look(server, dict(told.first.next_cursor), **asking)
        told.took_s = time.monotonic() - start
        told.denied = server.denied()
        yield told
        server.grant("-psubscribe", "resetchannels")


def test_what_workers_hold_is_told_for_all_queues_together(story: Story) -> None:
    assert {one.queue: (one.depth, one.active) for one in story.refused.queues} == {
        "slow": (3, None), "alone": (0, None), "*": (None, 2),
    }  # fmt: skip
    for one in story.second.queues:
        assert_told(one)


def test_workers_are_heard_and_say_how_busy_they_are(story: Story) -> None:
    assert {one.worker for one in story.second.workers} == {"busy@h", "killed@h", "frozen@h", "solo@h"}  # not the other app's
    busy = worker(story.second, "busy@h")
    assert (busy.state, busy.busy, busy.expected_period_s) == ("alive", 1, 2.0)
    assert busy.last_seen_at is not None and abs((busy.last_seen_at - clock()).total_seconds()) < 60
    assert story.took_s < 8
    assert story.denied == []


def test_killed_and_frozen_workers_are_stale_when_they_are_not_heard(story: Story) -> None:
    for name in ("killed@h", "frozen@h"):
        assert worker(story.first, name).state == "alive"
        assert worker(story.second, name).state == "stale"
        assert worker(story.second, name).busy is None


def test_a_solo_worker_that_runs_a_task_is_unknown_not_stale(story: Story) -> None:
    assert worker(story.second, "solo@h").state == "unknown"
    assert "solo pool" in worker(story.second, "solo@h").why


def test_workers_that_are_asked_say_since_when_they_run_a_task(story: Story) -> None:
    busy = worker(story.first, "busy@h")
    assert (busy.state, busy.queues) == ("alive", ("slow",))
    assert busy.oldest_running_s is not None and 0 < busy.oldest_running_s < 60
    assert "it runs nothing" in worker(story.first, "frozen@h").why


def test_who_may_not_listen_is_told_so_and_does_not_ask_again(story: Story) -> None:
    for shot in (story.refused, story.refused_again):
        assert not shot.workers
        assert "+psubscribe &acme:/2.celeryev/worker.*" in " ".join(shot.notes)


# Heartbeats, recorded -------------------------------------------------------------------------------------------------

#: Published by Celery 5.7 to acme:/2.celeryev/worker.heartbeat; the body is filled in below.
RECORDED = {
    "content-encoding": "utf-8", "content-type": "application/json", "headers": {"hostname": "prefork@h"},
    "properties": {
        "delivery_mode": 1, "delivery_info": {"exchange": "celeryev", "routing_key": "worker.heartbeat"}, "priority": 0,
        "body_encoding": "base64", "delivery_tag": "d560b9f9-0ba9-4df9-ae1e-bc5a6eefe3e7",
    },
}  # fmt: skip
BEAT = {
    "hostname": "prefork@h", "utcoffset": 0.0, "pid": 26639, "clock": 7, "freq": 2.0, "active": 0, "processed": 3,
    "loadavg": [3.3, 2.11, 1.48], "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
    "timestamp": 1795545821.481917, "type": "worker-heartbeat",
}  # fmt: skip


def beat(name: str, **more: Any) -> bytes:
    return published({**BEAT, "hostname": name, **more})


def published(body: Any) -> bytes:
    return json.dumps({**RECORDED, "body": base64.b64encode(json.dumps(body).encode()).decode()}).encode()


def seconds(after: float) -> datetime:
    return NOW + timedelta(seconds=after)


def attend(cursor: dict[str, Any], at: float, *messages: bytes, window_s: float = 5.0, cut: bool = False) -> tuple[Any, Any, Any]:
    """A look that began `at` seconds after noon and heard `messages`: states by worker, rows, and the next cursor."""
    roll = celery_workers.Roll(cursor, seconds(at))
    roll.listened(Heard([(1.0, message) for message in messages], window_s, cut))
    rows, kept, _ = roll.looks(listening=True)
    for row in rows:
        assert_told(row)
    return {row.worker: row.state for row in rows}, rows, json.loads(json.dumps(kept))


def test_a_silent_worker_is_stale_then_gone_then_forgotten() -> None:
    states, rows, cursor = attend({}, 0, beat("a", active=2), beat("b"))
    assert states == {"a": "alive", "b": "alive"} and [row.busy for row in rows] == [2, 0]

    states, rows, cursor = attend(cursor, 60, beat("b"))
    assert states == {"a": "stale", "b": "alive"}
    assert (rows[0].last_seen_at, rows[0].busy) == (seconds(1), None)
    states, _, cursor = attend(cursor, 620, beat("b"))
    assert states == {"a": "gone", "b": "alive"}
    states, _, cursor = attend(cursor, 4_300, beat("b"))
    assert states == {"b": "alive"}


def test_a_worker_that_says_that_it_stops_is_gone_at_once_and_may_come_back() -> None:
    states, _, cursor = attend({}, 0, beat("a"), beat("a", type="worker-offline"))
    assert states == {"a": "gone"}
    assert attend(cursor, 60)[0] == {"a": "gone"}
    assert attend(cursor, 60, beat("a", type="worker-online"))[0] == {"a": "alive"}


def test_a_worker_that_was_silent_and_comes_back_with_more_done_has_the_solo_pool() -> None:
    _, _, cursor = attend({}, 0, beat("a", processed=1), beat("frozen", processed=1))
    states, rows, cursor = attend(cursor, 60)
    assert states == {"a": "stale", "frozen": "stale"} and "solo pool" in rows[0].why
    _, _, cursor = attend(cursor, 120, beat("a", processed=2), beat("frozen", processed=1))
    assert attend(cursor, 180)[0] == {"a": "unknown", "frozen": "stale"}
    assert attend(cursor, 2_000)[0] == {"a": "unknown", "frozen": "gone"}


def test_a_worker_heard_at_work_or_started_anew_is_not_taken_for_solo() -> None:
    for back in ({"processed": 2, "active": 1}, {"processed": 2, "pid": 1}, {"processed": 0}):
        _, _, cursor = attend({}, 0, beat("a", processed=1))
        _, _, cursor = attend(cursor, 60)
        _, _, cursor = attend(cursor, 120, beat("a", **back))
        assert attend(cursor, 180)[0] == {"a": "stale"}


def test_silence_shorter_than_a_workers_own_period_says_nothing() -> None:
    _, _, cursor = attend({}, 0, beat("a", freq=30.0))
    assert attend(cursor, 40)[0] == {"a": "alive"}
    assert attend(cursor, 120)[0] == {"a": "unknown"}
    assert attend({"workers": {"b": {"at": NOW.timestamp(), "freq": 2.0}}}, 60, cut=True)[0] == {"b": "unknown"}


def test_listening_ends_early_only_when_all_known_workers_were_heard() -> None:
    _, _, cursor = attend({}, 0, beat("a"), beat("b"))
    roll = celery_workers.Roll(cursor, seconds(60))
    assert not roll.enough(Heard([(1.0, beat("a")), (1.0, beat("b"))], 4.4))
    assert roll.enough(Heard([(1.0, beat("a")), (1.0, beat("b"))], 4.5))
    assert not celery_workers.Roll(cursor, seconds(60)).enough(Heard([(1.0, beat("a"))], 4.9))


@pytest.mark.parametrize(
    "message",
    [b"", b"x", b"[]", b"null", b'{"body": 1}', b'{"body": "!!", "properties": {"body_encoding": "base64"}}', b"[" * 50_000,
     published(5), published([None, {}]), published({"type": "worker-heartbeat", "hostname": ["a"]}),
     published({"type": "worker-heartbeat", "hostname": "a" * 300}), published({**BEAT, "type": "task-sent"})],
)  # fmt: skip
def test_what_is_no_heartbeat_is_passed_over(message: bytes) -> None:
    assert attend({}, 0, message)[0] == {}


def test_figures_of_a_heartbeat_that_are_none_are_left_out_and_lists_are_read() -> None:
    odd = {**BEAT, "hostname": "a", "active": -1, "freq": "often", "pid": None, "processed": 1e9}
    (row,) = attend({}, 0, published([odd]))[1]
    assert (row.state, row.busy, row.expected_period_s) == ("alive", None, 2.0)


def test_a_prefix_with_wildcards_listens_to_its_own_channels_only() -> None:
    assert celery_workers.pattern(b"a*[1]:", 3) == rb"a\*\[1\]:/3.celeryev/worker.*"


def test_only_so_much_is_listened_to(server: redis_server.Server) -> None:
    import threading

    publisher = server.client(0)
    waiting = threading.Timer(0.3, lambda: [publisher.publish("/7.celeryev/worker.x", b"x" * 3_000_000) for _ in range(3)])
    server.grant("+psubscribe", "&/7.celeryev/worker.*")
    source = reader(server, db=7)
    waiting.start()
    shot = source.snapshot({})
    source.close()
    waiting.join()
    server.grant("-psubscribe", "resetchannels")

    assert "more was published" in " ".join(shot.notes)


# Configuration --------------------------------------------------------------------------------------------------------


def test_the_source_is_opened_by_its_kind_and_hides_its_password(fresh: redis_server.Server) -> None:
    table = SourceTable.model_validate(
        {"name": "shop", "kind": "celery", "url": fresh.url(5), "password": "env:PW", "heartbeats": False}
    )
    source = open_configured(table, {"PW": redis_server.PASSWORD}, None, clock)  # type: ignore[arg-type]

    assert source.snapshot({}).queues  # type: ignore[union-attr]
    assert redis_server.PASSWORD not in repr(vars(source))
    with pytest.raises(ConfigError, match="no broker that can be read"):
        celery.from_settings(table.model_copy(update={"url": "sqs://x"}), "", clock)


def test_asking_without_celery_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": "redis://h", "inspect": True})
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(ConfigError, match=r"pip install 'qpanalytics\[celery\]'"):
        celery.from_settings(table, "", clock)


def test_asking_with_a_user_who_may_only_read_is_an_error_without_the_password(fresh: redis_server.Server) -> None:
    with pytest.raises(SourceError, match="cannot be asked") as caught:
        look(fresh, inspect=True)
    assert redis_server.PASSWORD not in str(caught.value)


def test_addresses_for_asking_carry_user_and_password_and_odd_letters() -> None:
    assert celery_inspect.broker("redis://me@h:1/2", None, "p@/") == "redis://me:p%40%2F@h:1/2"
    assert celery_inspect.broker("rediss://h/2", "u:", "p") == "rediss://u%3A:p@h/2"
    assert celery_inspect.broker("unix:///run/r.sock?db=3", None, "") == "redis+socket:///run/r.sock?virtual_host=3"
