"""Celery on a real RabbitMQ: queues read by a user who may enter the virtual host, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import celery_software
import pytest
import rabbitmq_server
from test_queue_celery import assert_told

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources.base import QueueLook, Snapshot
from qpanalytics.sources.queues import celery, rabbitmq
from qpanalytics.sources.queues.rabbitmq import Declared

BROKER = "amqp://guest:guest@127.0.0.1:{}//"


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rabbitmq_server.Server]:
    """A worker that runs one task, two tasks that wait, and one that is done; and a queue that nobody takes from."""
    with (
        rabbitmq_server.running(tmp_path_factory.mktemp("rabbitmq")) as running,
        celery_software.workers(tmp_path_factory.mktemp("workers")) as workers,
    ):
        broker = BROKER.format(running.port)
        workers.start("busy@h", broker, "slow", "-P", "threads")
        app = celery_software.application(broker)
        app.send_task("shop.nap", (0,), queue="mail: für 猫")
        workers.ready()
        late = app.tasks["shop.late_nap"]
        late.apply_async((0,), queue="slow")
        late.apply_async((600,), queue="slow")
        for _ in range(2):
            late.apply_async((0,), queue="slow")
        # Statistics come every 5 s.
        celery_software.until(lambda: figures(running) == (2, 1, 1))
        yield running


def figures(server: rabbitmq_server.Server) -> Any:
    rows = {one["name"]: one for one in server.ask("GET", "queues/%2F")}
    slow = rows.get("slow", {})
    return slow.get("messages_ready"), slow.get("messages_unacknowledged"), slow.get("message_stats", {}).get("ack")


def look(server: rabbitmq_server.Server, password: str = rabbitmq_server.PASSWORD, **more: Any) -> Snapshot:
    table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": server.url(), **more})
    source = celery.from_settings(table, password, clock)
    assert source.system == "celery" and password not in repr(source)
    try:
        return source.snapshot({})
    finally:
        source.close()


def queue(shot: Snapshot, name: str) -> QueueLook:
    (found,) = [one for one in shot.queues if one.queue == name]
    assert_told(found)
    return found


def test_without_management_what_is_ready_is_told_and_no_more(server: rabbitmq_server.Server) -> None:
    shot = look(server, queues=["slow", "mail: für 猫"])

    assert (queue(shot, "slow").depth, queue(shot, "slow").active) == (2, None)
    assert queue(shot, "mail: für 猫").depth == 1
    assert shot.notes == ('consumers: "slow" 1, "mail: für 猫" 0',)


def test_a_missing_queue_is_unknown_and_those_after_it_are_read_all_the_same(server: rabbitmq_server.Server) -> None:
    shot = look(server, queues=["nope", "slow"])

    assert queue(shot, "nope").depth is None
    assert "there is no such queue" in queue(shot, "nope").why
    assert queue(shot, "slow").depth == 2


def test_with_management_there_is_what_workers_hold_and_what_they_did(server: rabbitmq_server.Server) -> None:
    shot = look(server, management=server.management)

    assert {one.queue for one in shot.queues} == {"slow", "mail: für 猫"}  # not the workers' own
    slow = queue(shot, "slow")
    assert (slow.depth, slow.active, slow.processed_total) == (2, 1, 1)
    assert "up to 5 s ago" in slow.why
    assert shot.offset_s is not None and abs(shot.offset_s) < 2


def test_workers_are_known_when_they_are_asked(server: rabbitmq_server.Server) -> None:
    shot = look(server, "guest", user="guest", queues=["slow"], inspect=True)

    (worker,) = shot.workers
    assert_told(worker)
    assert (worker.worker, worker.state, worker.busy, worker.queues) == ("busy@h", "alive", 1, ("slow",))
    assert worker.oldest_running_s is not None and worker.oldest_running_s < 60


def test_refusals_and_absence_are_errors_without_the_password(server: rabbitmq_server.Server) -> None:
    def said(match: str, password: str = rabbitmq_server.PASSWORD, **more: Any) -> None:
        with pytest.raises(SourceError, match=match) as caught:
            look(server, password, **more)
        assert password not in str(caught.value)

    said("refused the user or its password", password="wrong-secret")
    said("virtual host", url=server.url(vhost="none"))
    said("cannot be reached", url="amqp://qpa@127.0.0.1:1/")
    said("management API .* refused the user", password="wrong-secret", management=server.management)
    said("no virtual host", url=server.url(vhost="none"), management=server.management)


#: GET /api/queues/%2F?columns=... of RabbitMQ 3.10.8.
RECORDED = [
    {"consumers": 0, "messages_ready": 0, "messages_unacknowledged": 0, "name": "quiet"},
    {"consumers": 1, "message_stats": {"ack": 2, "publish": 8, "redeliver": 1}, "messages_ready": 5,
     "messages_unacknowledged": 1, "name": "celery"},
]  # fmt: skip


def test_recorded_statistics_become_rows_and_missing_ones_stay_unknown() -> None:
    statistics = {one["name"]: one for one in RECORDED}
    declared = {"celery": Declared(5, 1), "quiet": Declared(0, 0), "new": Declared(1, 0), "gone": Declared(refused="no")}

    rows, _ = rabbitmq.queue_looks(declared, statistics)

    for one in rows:
        assert_told(one)
    assert [(one.depth, one.active, one.processed_total) for one in rows] == [
        (5, 1, 2), (0, 0, None), (1, None, None), (None, None, None),
    ]  # fmt: skip
    assert "the queue is empty" in rows[1].why and "does not show this queue yet" in rows[2].why


def test_queues_of_workers_themselves_are_none() -> None:
    names = ["celery", "celeryev.0a1b", "celery@h.celery.pidbox", "0a1b.reply.celery.pidbox", "celeryevents"]
    assert rabbitmq.queue_names(names) == ("celery", "celeryevents")


def test_addresses_are_taken_apart_as_kombu_does(tmp_path: Path) -> None:
    def vhost(url: str) -> tuple[Any, Any]:
        table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": url})
        options = rabbitmq.from_settings(table, "p", clock)._options
        return options["host"], options["virtual_host"]

    assert vhost("amqp://h") == ("h:5672", "/")
    assert vhost("amqps://u@h:7/") == ("h:7", "/")
    assert vhost("amqps://h//") == ("h:5671", "/")
    assert vhost("amqp://[::1]/a%2Fb") == ("[::1]:5672", "a/b")
    with pytest.raises(ConfigError, match="no port"):
        vhost("amqp://h:x/")


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "amqp", None)
    table = SourceTable.model_validate({"name": "shop", "kind": "celery", "url": "amqp://h"})
    with pytest.raises(ConfigError, match=r"pip install amqp"):
        celery.from_settings(table, "", clock)
