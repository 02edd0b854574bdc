"""What every reader of a queue system keeps to: little is asked, nothing is written, and nothing unknown is a zero.

A new reader adds a line to `STATES`: a function that fills a server with a known state of its system and returns the
options of its `[[source]]`, and what the restricted user needs beside the usual grants.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import queue_states
from looking import EMPTY, look, source, unexplained
from redis_server import PASSWORD, Server, running

from qpanalytics.errors import SourceError
from qpanalytics.sources import SNAPSHOTS
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook
from qpanalytics.sources.queues.gate import Gate

#: Kind, what fills a server, and further grants.
STATES: dict[str, tuple[Callable[[Server], dict[str, Any]], tuple[str, ...]]] = {
    "redis-list": (queue_states.redis_list, ()),
    "rq": (queue_states.rq, ()),
    "sidekiq": (queue_states.sidekiq, ()),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(params=[kind for kind in STATES if kind in SNAPSHOTS])
def system(request: pytest.FixtureRequest, shared: Server) -> Iterator[tuple[str, Server, dict[str, Any]]]:
    """Each kind with a server in its known state."""
    fill, grants = STATES[request.param]
    shared.admin.flushall()
    shared.admin.execute_command("ACL", "LOG", "RESET")
    shared.grant(*grants)
    yield request.param, shared, fill(shared)


System = tuple[str, Server, dict[str, Any]]


def still(row: QueueLook | WorkerLook) -> QueueLook | WorkerLook:
    """A row without what changes by time alone."""
    if isinstance(row, QueueLook):
        return replace(row, oldest_age_s=None if row.oldest_age_s is None else 0.0)
    return replace(row, oldest_running_s=None if row.oldest_running_s is None else 0.0)


def rows(seen: Snapshot) -> list[QueueLook | WorkerLook]:
    return [still(row) for row in (*seen.queues, *seen.workers)]


def stored(server: Server) -> dict[bytes, Any]:
    """Everything that a server holds."""
    return {key: (server.admin.dump(key), server.admin.ttl(key) < 0) for key in server.admin.scan_iter()}


def test_a_look_takes_four_trips_and_few_commands(system: System, monkeypatch: pytest.MonkeyPatch):
    kind, server, options = system
    asked: list[int] = []
    attempt = Gate.attempt
    monkeypatch.setattr(Gate, "attempt", lambda gate, commands: (asked.append(len(commands)), attempt(gate, commands))[1])

    seen = look(server, kind, **options)

    queues = len([row for row in seen.queues if row.queue != "*"])
    running = sum(row.busy or 0 for row in seen.workers)
    assert len([count for count in asked if count]) <= 4
    assert sum(asked) <= 12 * queues + 4 * len(seen.workers) + 2 * running + 10


def test_each_figure_that_is_not_known_has_its_reason(system: System):
    kind, server, options = system

    seen = look(server, kind, **options)

    assert len(seen.queues) >= 2
    assert {row.queue if isinstance(row, QueueLook) else row.worker: unexplained(row) for row in rows(seen)} == {
        row.queue if isinstance(row, QueueLook) else row.worker: [] for row in rows(seen)
    }
    for row in seen.queues:
        if row.depth == 0:
            assert [getattr(row, name) for name in EMPTY] == [None] * 3
            assert "oldest_at, oldest_age_s, oldest_is: the queue is empty" in row.why
        if row.oldest_age_s is not None:
            assert row.oldest_age_s >= 0 and row.oldest_at is not None and row.oldest_is is not None


def test_nothing_is_written_and_nothing_is_asked_that_is_not_granted(system: System):
    kind, server, options = system
    before = stored(server)

    look(server, kind, **options)

    assert stored(server) == before and server.denied() == []


def test_both_protocols_show_the_same(system: System):
    kind, server, options = system

    two, three = (rows(look(server, kind, **options, protocol=protocol)) for protocol in (2, 3))

    assert two == three


def test_a_second_look_with_what_the_first_remembers_shows_the_same(system: System):
    kind, server, options = system
    with source(server, kind, **options) as opened:
        first = opened.snapshot({})
        second = opened.snapshot(json.loads(json.dumps(first.next_cursor)))

    assert rows(first) == rows(second)
    assert abs(first.offset_s or 0) < 2 and first.offset_s is not None


def test_a_refused_read_is_an_error_of_the_whole_look_without_the_password(system: System):
    kind, server, options = system
    server.grant("-time")
    try:
        with pytest.raises(SourceError) as raised:
            look(server, kind, **options)
    finally:
        server.grant("+time")

    assert raised.value.permanent and "+time" in str(raised.value) and PASSWORD not in str(raised.value)


def test_a_server_that_is_not_there_is_an_error_that_may_pass(system: System):
    kind, server, options = system

    with pytest.raises(SourceError) as raised:
        look(replace(server, port=1), kind, **options)

    assert not raised.value.permanent and PASSWORD not in str(raised.value)


def test_an_empty_server_shows_no_figures_but_those_that_are_configured(system: System):
    kind, server, options = system
    server.admin.flushall()

    seen = look(server, kind, **options)

    assert {row.queue for row in seen.queues} <= {"*", *options.get("queues", ())}
    assert all(row.depth in (0, None) and row.processed_total in (0, None) for row in seen.queues) and not seen.workers
    assert [unexplained(row) for row in seen.queues] == [[]] * len(seen.queues)


def test_a_source_does_not_show_its_password(system: System):
    kind, server, options = system

    with source(server, kind, **options) as opened:
        opened.snapshot({})
        assert PASSWORD not in repr(opened) + repr(vars(opened)) and opened.system == kind and opened.name == "shop"
