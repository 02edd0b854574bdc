"""Plain Redis lists as queues, and how the age of a job is found in whatever their producers write."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looking import look, near, queue, unexplained
from redis_server import Server, running

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.queues.oldest import MOST_BYTES, Ends, waited, written
from qpanalytics.sources.queues.redis_list import to_queue

NOW = datetime(2026, 11, 24, 18, 55, 0, tzinfo=UTC)
STAMP = 1_795_546_000
NAMES = ("enqueued_at", "created_at")


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    shared.admin.flushall()
    yield shared
    assert shared.denied() == []


# Lists ----------------------------------------------------------------------------------------------------------------


def test_a_list_shows_its_depth_and_how_long_the_job_at_its_end_has_waited(server: Server):
    for seconds in (90, 60, 30):
        server.admin.lpush("jobs", json.dumps({"id": seconds, "enqueued_at": time.time() - seconds}))

    row = queue(look(server, "redis-list", key="jobs", side="right"), "jobs")

    assert (row.depth, row.oldest_is, row.active, row.paused) == (3, "exact", None, None) and near(row.oldest_age_s, 90)
    assert "oldest_at: by its enqueued_at" in row.why and unexplained(row) == []


def test_the_side_that_jobs_are_taken_from_tells_which_is_the_oldest_and_without_it_the_older_end_does(server: Server):
    for seconds in (90, 60, 30):
        server.admin.rpush("jobs", json.dumps({"timestamp": (time.time() - seconds) * 1000}))

    ages = [
        queue(look(server, "redis-list", key="jobs", **options), "jobs").oldest_age_s
        for options in ({"side": "left"}, {"side": "right"}, {})
    ]

    assert [near(age, seconds) for age, seconds in zip(ages, (90, 30, 90), strict=True)] == [True, True, True]


def test_several_lists_with_names_of_any_kind_are_read_and_a_missing_one_is_empty(server: Server):
    server.admin.lpush("a:b c ü", b"not json")
    server.admin.lpush("plain", json.dumps({"created_at": "2026-11-24T18:00:00+01:00"}))

    seen = look(server, "redis-list", key="a:b c ü", queues=["plain", "missing", "plain"])

    assert [(row.queue, row.depth) for row in seen.queues] == [("a:b c ü", 1), ("plain", 1), ("missing", 0)]
    assert "oldest_at, oldest_age_s, oldest_is: its next job has no time stamp" in seen.queues[0].why
    assert seen.queues[1].oldest_at == datetime(2026, 11, 24, 17, tzinfo=UTC)
    assert "oldest_at, oldest_age_s, oldest_is: the queue is empty" in seen.queues[2].why
    assert [unexplained(row) for row in seen.queues] == [[], [], []]


def test_a_huge_job_at_either_end_is_not_moved_at_each_look(server: Server):
    server.admin.rpush("jobs", json.dumps({"ts": time.time() - 40, "data": "x" * 50_000_000}), json.dumps({"ts": time.time()}))

    first = look(server, "redis-list", key="jobs")
    before = server.admin.info("stats")["total_net_output_bytes"]
    second = look(server, "redis-list", json.loads(json.dumps(first.next_cursor)), key="jobs")

    assert near(first.queues[0].oldest_age_s, 40) and (second.queues[0].depth, second.queues[0].oldest_age_s) == (2, None)
    assert "the last one read had 50.0 MB, so it is read at every 10th look only" in second.queues[0].why
    assert server.admin.info("stats")["total_net_output_bytes"] - before < 100_000


def test_a_source_without_a_key_and_a_key_that_is_no_list_are_told(server: Server):
    server.admin.set("jobs", "text")

    with pytest.raises(ConfigError, match='it has no key; add key = "jobs"'):
        look(server, "redis-list")
    with pytest.raises(SourceError, match='"jobs" holds another type'):
        look(server, "redis-list", key="jobs")


def test_a_stamp_in_the_future_is_age_zero_and_said():
    row = to_queue("jobs", 1, [b'{"ts": %d}' % (NOW.timestamp() + 90)], NOW)

    assert row.oldest_age_s == 0.0 and "oldest_age_s: its time stamp lies 90 s in the future: clocks differ" in row.why


# Time stamps in payloads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [
    {"args": ["x"], "created_at": 5, "enqueued_at": STAMP},
    {"args": ["x"], "created_at": 5, "enqueued_at": STAMP * 1000},
    {"enqueued_at": "2026-11-24T18:46:40Z", "args": ["x", {"enqueued_at": 7}]},
    {"args": [{"enqueued_at": 7}], "enqueued_at": STAMP, "error_message": '"enqueued_at":8}'},
    {"args": [], "enqueued_at": STAMP, "cattr": {"enqueued_at": 9, "list": [{"created_at": 1}]}},
    {"enqueued_at": STAMP},
])  # fmt: skip
def test_a_time_stamp_is_found_in_a_small_payload_and_in_one_of_megabytes(payload: dict[str, Any]):
    large = {key: [*value, "x" * 3_000_000] if key == "args" else value for key, value in payload.items()}
    large |= {} if "args" in payload else {"args": "x" * 3_000_000}

    for job in (payload, large):
        for text in (json.dumps(job), json.dumps(job, separators=(",", ":"), ensure_ascii=False)):
            assert written(text.encode(), NAMES) == (datetime.fromtimestamp(STAMP, UTC), "enqueued_at")


@pytest.mark.parametrize("payload", [
    b"", b"[]", b"null", b"{", b'{"enqueued_at":', b"\x80\x05pickle", b"[" * 100_000, b'{"enqueued_at": true}',
    b'{"enqueued_at": {"enqueued_at": 5}}', b'{"args": [{"enqueued_at": 5}]}', b'"enqueued_at"', b'{"enqueued_at": "soon"}',
    b'{"enqueued_at": NaN}', b'{"enqueued_at": -1}', b'{"enqueued_at": 1e400}', b'{"x": ' * 200_000, b'{"\\' * 200_000,
    b'{"a":"' + b'"enqueued_at":' * 200_000, b'{"a":' + b'["enqueued_at":' * 200_000,
])  # fmt: skip
def test_what_is_no_time_stamp_is_none_and_takes_no_time(payload: bytes):
    began = time.process_time()

    assert written(payload, NAMES) == (None, "")
    assert time.process_time() - began < 1.0


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text('ab"\\{}[]:, ', max_size=9) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "a", '"', "\\"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.permutations(["enqueued_at", "created_at", "args", "a", "b"]), values, values)
def test_what_is_found_in_megabytes_is_a_member_of_the_outermost_object(order: list[str], one: Any, two: Any):
    members = {"enqueued_at": STAMP, "created_at": STAMP + 1, "args": [one, "x" * MOST_BYTES], "a": two, "b": one}
    payload = json.dumps({name: members[name] for name in order}).encode()

    assert written(payload, NAMES)[0] == datetime.fromtimestamp(STAMP, UTC)


# What one look remembers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cursor", [{}, {"large": None}, {"large": {"a": "x", "b": [1], "c": [None, 3]}}, {"large": [1]}])
def test_a_cursor_of_another_making_is_no_reason_to_read_less(cursor: dict[str, Any]):
    assert [Ends(cursor).wanted(key) for key in "abc"] == [True, True, True]


def test_an_age_that_is_not_known_has_its_reason_for_each_figure():
    assert waited(None, NOW, "no stamp").unknown == dict.fromkeys(("oldest_at", "oldest_age_s", "oldest_is"), "no stamp")
    assert waited(NOW, NOW, exact=False)[:3] == (NOW, 0.0, "lower_bound")
