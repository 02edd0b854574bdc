"""The BullMQ reader where things are large, denied, odd or gone: keys written by hand, read as the restricted user."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bull_queues
import pytest
import redis_server
from bull_queues import call, now, queue, source, unexplained

from qpanalytics.errors import SourceError
from qpanalytics.sources.base import Snapshot
from qpanalytics.sources.queues import bullmq_rows as rows
from qpanalytics.sources.queues.bullmq import Bull
from qpanalytics.sources.queues.bullmq_workers import connections, workers
from qpanalytics.sources.queues.gate import Gate

RECORDED = Path(__file__).parent / "recordings" / "queues" / "bullmq.json"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[redis_server.Server]:
    with redis_server.running() as server:
        yield server


@pytest.fixture
def server(running: redis_server.Server) -> redis_server.Server:
    """Empty, with what the README tells to grant for BullMQ."""
    running.admin.flushall()
    running.grant("+client|list", "+scan")
    running.admin.execute_command("ACL", "LOG", "RESET")
    return running


def looked(server: redis_server.Server, cursor: dict[str, Any] | None = None, **table: Any) -> Snapshot:
    with closing(source(server, **table)) as reader:
        return reader.snapshot(json.loads(json.dumps(cursor or {})))


def put(server: redis_server.Server, name: str, *jobs: dict[str, Any], place: str = "wait", base: str = "bull") -> None:
    """A queue with these jobs at `place`, the next to be taken last."""
    pipe = server.admin.pipeline()
    pipe.hset(f"{base}:{name}:meta", mapping={"version": "bullmq:6.7.0", "opts.maxLenEvents": 10000})
    for number, job in enumerate(jobs, 1):
        pipe.hset(f"{base}:{name}:{number}", mapping={"data": "{}", "timestamp": ms(), "delay": 0, "priority": 0, **job})
        pipe.rpush(f"{base}:{name}:{place}", number)
    pipe.execute()


def ms(ago_s: float = 0) -> int:
    return int((now().timestamp() - ago_s) * 1000)


# Finding queues -------------------------------------------------------------------------------------------------------


def test_queues_are_found_once_and_then_remembered_for_a_day(server: redis_server.Server) -> None:
    put(server, "email")
    put(server, "größer [1] *")
    put(server, "other", base="bull:eu")  # another prefix
    first = looked(server)
    put(server, "late")
    second = looked(server, first.next_cursor)
    a_day_later = looked(server, {**second.next_cursor, "found_at": first.next_cursor["found_at"] - 86_401})

    assert [row.queue for row in first.queues] == ["email", "größer [1] *"]
    assert [row.queue for row in second.queues] == ["email", "größer [1] *"]
    assert [row.queue for row in a_day_later.queues] == ["email", "größer [1] *", "late"]
    assert [row.queue for row in looked(server, prefix="bull:eu").queues] == ["other"]
    assert server.denied() == []


def test_another_prefix_in_the_settings_is_looked_through_at_once(server: redis_server.Server) -> None:
    put(server, "email")
    put(server, "other", base="bull:eu")

    assert [row.queue for row in looked(server, looked(server).next_cursor, prefix="bull:eu").queues] == ["other"]


def test_a_prefix_is_no_pattern(server: redis_server.Server) -> None:
    put(server, "mine", base="b*[l]?")
    put(server, "theirs", base="bull")

    assert [row.queue for row in looked(server, prefix="b*[l]?").queues] == ["mine"]


def test_bull_is_found_by_its_counter_of_jobs(server: redis_server.Server) -> None:
    server.admin.set("bull:old:id", 7)

    assert [row.queue for row in looked(server, system="bull").queues] == ["old"]


def test_where_there_is_no_queue_the_look_says_so_and_seeks_again_soon(server: redis_server.Server) -> None:
    nothing = looked(server)
    put(server, "email")
    later = looked(server, {**nothing.next_cursor, "found_at": nothing.next_cursor["found_at"] - 601})

    assert nothing.queues == () and "no queue was found" in nothing.notes[0]
    assert [row.queue for row in later.queues] == ["email"]


def test_a_queue_with_a_worker_is_learnt_before_the_day_is_over(server: redis_server.Server) -> None:
    put(server, "email")
    first = looked(server)
    named = server.client(0)
    named.client_setname("bull:" + b64encode("neu ü".encode()).decode())
    second = looked(server, first.next_cursor)
    third = looked(server, second.next_cursor)
    named.close()

    assert [row.queue for row in third.queues] == ["email", "neu ü"]
    assert queue(third, "neu ü").depth is None


def test_without_scan_the_error_says_to_name_queues_or_to_grant_it(server: redis_server.Server) -> None:
    server.grant("-scan")
    put(server, "email")
    with pytest.raises(SourceError, match=r'Name them, queues = \["email"\], or grant \+scan') as caught:
        looked(server)

    assert caught.value.permanent and redis_server.PASSWORD not in str(caught.value)


def test_queues_known_before_are_still_read_when_scan_is_taken_away(server: redis_server.Server) -> None:
    put(server, "email")
    known = looked(server).next_cursor
    server.grant("-scan")
    look = looked(server, {**known, "found_at": 0})
    again = looked(server, look.next_cursor)

    assert queue(look, "email").depth == 0 and "grant +scan" in look.notes[0]
    assert again.notes == ()


# Workers' connections -------------------------------------------------------------------------------------------------


def test_a_refused_list_of_connections_is_not_asked_for_again_by_this_user_for_a_day(server: redis_server.Server) -> None:
    server.grant("-client|list")
    put(server, "email")
    first = looked(server, queues=["email"])
    second = looked(server, first.next_cursor, queues=["email"])
    denied = len(server.denied())
    looked(server, {**second.next_cursor, "refused": ["another", second.next_cursor["refused"][1]]}, queues=["email"])

    assert first.workers == second.workers == () and queue(second, "email").depth == 0
    assert "grant +client|list" in first.notes[0] and "grant +client|list" in second.notes[0]
    assert denied == 1
    assert sum(int(entry[b"count"]) for entry in server.denied()) == 2


def test_without_clients_nobody_is_asked(server: redis_server.Server) -> None:
    server.grant("-client|list")
    put(server, "email")
    look = looked(server, queues=["email"], clients=False)

    assert look.workers == () and look.notes == () and server.denied() == []


def line(name: str, *, db: int = 0, addr: str = "10.0.0.7:5000", age: int = 900, idle: int = 2, flags: str = "b") -> str:
    return (
        f"id=7 addr={addr} laddr=10.0.0.5:6379 fd=8 name={name} age={age} idle={idle} flags={flags} db={db} cmd=bzpopmin user=x"
    )


def of(queue_name: str) -> str:
    return "{shop}:" + b64encode(queue_name.encode()).decode()


def test_connections_are_told_apart_by_prefix_database_and_kind() -> None:
    listed = "\n".join([
        line(of("email")), line(of("email") + ":w:mailer:w:1"), line(of("email") + ":qe"), line(of("email"), db=3),
        line("bull:" + b64encode(b"email").decode()), line("{shop}:no base64"), line("{shop}:/w=="), line(""), "",
    ])  # fmt: skip

    assert [(one.queue, one.name) for one in connections(listed.encode(), "{shop}", 0)] == [
        ("email", ""),
        ("email", "mailer:w:1"),
    ]
    assert [one.queue for one in connections(listed, "{shop}", 3)] == ["email"]


def active(*jobs: tuple[bool, float, str | None], more: int = 0) -> dict[str, rows.Said]:
    """A queue whose running jobs are locked or not, began so many seconds before noon, and name a worker."""
    ids = [str(number).encode() for number in range(len(jobs))]
    said: rows.Said = {"active": ids, "looked": ids, "active_again": ids, "running": len(ids) + more}
    for job, (locked, ago, by) in zip(ids, jobs, strict=True):
        began = str(int((NOON.timestamp() - ago) * 1000)).encode()
        said |= {("lock", job): int(locked), ("run", job): [began, None if by is None else by.encode()]}
    return {"email": said}


def states(said: dict[str, rows.Said], *listed: str) -> list[tuple[str, str, int | None]]:
    found, _ = workers(connections("\n".join(listed), "{shop}", 0), said, NOON, {})
    return [(row.worker, row.state, row.busy) for row in found]


def test_a_worker_that_waits_for_jobs_or_holds_a_lock_is_alive() -> None:
    waiting = line(of("email"))
    silent = line(of("email"), idle=400, flags="N")

    assert states(active(), waiting) == [("email@10.0.0.7", "alive", 0)]
    assert states(active((True, 390, None)), silent) == [("email@10.0.0.7", "alive", 1)]
    assert states(active((True, 390, "w1")), line(of("email") + ":w:w1", idle=400, flags="N")) == [("email:w1", "alive", 1)]


def test_a_connected_worker_that_is_silent_without_a_lock_is_unknown() -> None:
    silent = line(of("email"), idle=400, flags="N")

    assert states(active(), silent) == [("email@10.0.0.7", "unknown", 0)]
    assert [state for _, state, _ in states(active((True, 9, None)), silent, silent)] == ["unknown", "unknown"]


def test_a_worker_whose_job_lost_its_lock_is_stale_but_not_one_started_after_it() -> None:
    unnamed, named = line(of("email"), idle=400, flags="N"), line(of("email") + ":w:w1", idle=400, flags="N")
    successor = line(of("email") + ":w:w1", age=60, idle=1)

    assert states(active((False, 390, None)), unnamed) == [("email@10.0.0.7", "stale", 1)]
    assert states(active((False, 390, "w1")), named) == [("email:w1", "stale", 1)]
    assert states(active((False, 390, "w1")), successor) == [("email:w1", "alive", 0)]
    assert states(active((False, 390, "w2")), line(of("email"))) == [("email:w2", "gone", 1), ("email@10.0.0.7", "alive", 0)]


def test_busy_is_unknown_where_jobs_do_not_say_which_worker_has_them() -> None:
    two = states(active((True, 1, None)), line(of("email")), line(of("email"), addr="10.0.0.7:5001"))
    same_name = states(active((True, 1, "w")), line(of("email") + ":w:w"), line(of("email") + ":w:w"))
    not_all = states(active((True, 1, None), more=400), line(of("email")))

    assert two == [("email@10.0.0.7", "alive", None), ("email@10.0.0.7#2", "alive", None)]
    assert same_name == [("email:w", "alive", None), ("email:w#2", "alive", None)]
    assert not_all == [("email@10.0.0.7", "alive", None)]


def test_a_worker_that_is_no_longer_connected_is_gone_for_ten_minutes_and_then_forgotten() -> None:
    one = connections(line(of("email")), "{shop}", 0)
    _, memory = workers(one, active(), NOON, {})
    gone, kept = workers([], active(), NOON + timedelta(minutes=9), json.loads(json.dumps(memory)))
    after, forgotten = workers([], active(), NOON + timedelta(minutes=11), kept)
    back, _ = workers(one, active(), NOON + timedelta(minutes=9), kept)

    assert [(row.worker, row.state, row.last_seen_at) for row in gone] == [("email@10.0.0.7", "gone", NOON)]
    assert after == () and forgotten == {}
    assert [row.state for row in back] == ["alive"]
    assert unexplained(Snapshot(NOON, workers=gone)) == []


def test_a_killed_worker_is_known_at_the_first_look_by_the_job_it_left() -> None:
    found, memory = workers([], active((False, 390, "w1"), (True, 9, "w2")), NOON, {})

    assert [(row.worker, row.state, row.busy, row.oldest_running_s) for row in found] == [("email:w1", "gone", 1, 390)]
    assert memory == {} and unexplained(Snapshot(NOON, workers=found)) == []


# Ages -----------------------------------------------------------------------------------------------------------------


def test_a_job_put_back_after_it_failed_has_no_known_age(server: redis_server.Server) -> None:
    put(server, "email", {"timestamp": ms(90_000), "ats": 1})
    row = queue(looked(server, queues=["email"]), "email")

    assert (row.depth, row.oldest_age_s, row.oldest_is) == (1, None, None)
    assert "put back" in row.why


def test_a_job_that_was_tried_before_waits_since_then_at_the_earliest(server: redis_server.Server) -> None:
    put(server, "email", {"timestamp": ms(90_000), "ats": 1, "processedOn": ms(60)})
    row = queue(looked(server, queues=["email"]), "email")

    assert row.oldest_age_s == pytest.approx(60, abs=10) and row.oldest_is is None
    assert "oldest_is: the oldest job was tried before" in row.why


def test_a_job_promoted_before_it_was_due_has_no_known_age(server: redis_server.Server) -> None:
    put(server, "email", {"timestamp": ms(60), "opts": json.dumps({"delay": 3_600_000})})
    row = queue(looked(server, queues=["email"]), "email")

    assert row.oldest_age_s is None and "promoted" in row.why


def test_a_stamp_in_the_future_is_age_zero_and_told(server: redis_server.Server) -> None:
    put(server, "email", {"timestamp": ms(-50)})
    row = queue(looked(server, queues=["email"]), "email")

    assert row.oldest_age_s == 0 and "in the future" in row.why


@pytest.mark.parametrize(
    "job", [{"timestamp": "soon"}, {"timestamp": ""}, {"opts": "{"}, {"opts": "[]"}, {"opts": "[" * 9000}, {"delay": "9" * 40}]
)
def test_a_job_that_makes_no_sense_does_not_spoil_the_look(server: redis_server.Server, job: dict[str, Any]) -> None:
    put(server, "email", job)

    look = looked(server, queues=["email"])

    assert queue(look, "email").depth == 1 and unexplained(look) == []


def test_a_job_that_is_gone_leaves_the_age_unknown(server: redis_server.Server) -> None:
    put(server, "email", {})
    server.admin.delete("bull:email:1")
    row = queue(looked(server, queues=["email"]), "email")

    assert (row.depth, row.oldest_age_s) == (1, None) and "gone" in row.why


def test_large_payloads_are_never_read_and_large_options_only_now_and_then(server: redis_server.Server) -> None:
    put(server, "email", {"data": "x" * 60_000_000, "opts": json.dumps({"pad": "x" * 300_000}), "timestamp": ms(60)})
    sent = [int(server.admin.info("stats")["total_net_output_bytes"])]
    cursor: dict[str, Any] = {}
    for _ in range(2):
        look = looked(server, cursor, queues=["email"], clients=False)
        cursor = dict(look.next_cursor)
        sent.append(int(server.admin.info("stats")["total_net_output_bytes"]))
        assert queue(look, "email").oldest_age_s == pytest.approx(60, abs=10)

    assert 300_000 < sent[1] - sent[0] < 400_000 and sent[2] - sent[1] < 20_000
    assert "options of its job are too large" in queue(look, "email").why
    for _ in range(20):
        cursor = dict(looked(server, cursor, queues=["email"], clients=False).next_cursor)
    assert cursor["large"] == {"email": 20} or cursor["large"]["email"] > 10  # it was read once more


# Many -----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(bull_queues.missing() is not None, reason=bull_queues.missing() or "")
def test_a_hundred_queues_of_a_cluster_prefix_are_read_in_four_trips_of_twelve_commands_each(
    server: redis_server.Server,
) -> None:
    made = [{"queue": f"q{number}", "prefix": "{shop}", "calls": [["add", "job", {}]]} for number in range(100)]
    call("bullmq6", server.port, *made)
    with closing(source(server, prefix="{shop}")) as reader:
        first = reader.snapshot({})
        trips, commands = reader._gate.trips, reader._gate.commands
        look = reader.snapshot(first.next_cursor)

        assert reader._gate.trips - trips <= 4 and reader._gate.commands - commands <= 12 * 100 + 2
    assert len(look.queues) == 100 and {row.depth for row in look.queues} == {1}
    assert {row.oldest_is for row in look.queues} == {"exact"}


def test_beyond_a_hundred_running_jobs_orphans_are_a_lower_bound(server: redis_server.Server) -> None:
    jobs = [{"processedOn": ms(60)} for _ in range(130)]
    put(server, "email", *jobs, place="active")
    put(server, "video", *jobs[:3], place="active")
    look = looked(server, queues=["email", "video"])

    email, video = queue(look, "email"), queue(look, "video")
    assert (email.active, email.orphaned, video.active, video.orphaned) == (130, 97, 3, 3)
    assert "orphaned: at least this many; 97 of 130 running jobs were looked at" in email.why


def test_of_many_queues_others_have_their_running_jobs_looked_at_next_time(server: redis_server.Server) -> None:
    names = [f"q{number}" for number in range(150)]
    for name in names:
        put(server, name, {"processedOn": ms(60)}, place="active")
    first = looked(server, queues=names)
    second = looked(server, first.next_cursor, queues=names)

    seen = [{row.queue for row in look.queues if row.orphaned == 1} for look in (first, second)]
    assert len(seen[0]) == len(seen[1]) == 100 and seen[0] | seen[1] == set(names)
    assert unexplained(first) == []


# Odd servers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_show_the_same(server: redis_server.Server, protocol: int) -> None:
    put(server, "email", {"timestamp": ms(60)})
    server.admin.zadd("bull:email:prioritized", {"9": 5 * 2**32})
    server.admin.hset("bull:email:9", mapping={"timestamp": ms(90), "delay": 0, "priority": 5})
    server.admin.hset("bull:email:metrics:completed", "count", 41)
    server.admin.zadd("bull:email:delayed", {"10": ms(-60) * 4096})
    with closing(source(server, queues=["email"], protocol=protocol)) as reader:
        first = reader.snapshot({})
        commands = reader._gate.commands
        row = queue(reader.snapshot(first.next_cursor), "email")

        assert commands <= 14 and reader._gate.commands - commands <= 14
    assert (row.depth, row.processed_total, row.failed_total) == (2, 41, 0)
    # All that a queue may cost is spent: the first look reads the end of the list, later ones the job with a priority.
    assert queue(first, "email").oldest_age_s == pytest.approx(60, abs=10)
    assert (row.oldest_age_s, row.oldest_is) == (pytest.approx(90, abs=10), "lower_bound")


def test_a_queue_of_bullmq_read_as_bull_has_no_depth_rather_than_a_wrong_one(server: redis_server.Server) -> None:
    put(server, "email", {})
    row = queue(looked(server, system="bull", queues=["email"]), "email")

    assert row.depth is None and 'set kind = "bullmq"' in row.why


def test_bull_before_version_4_tells_pauses_by_a_key_of_their_own(server: redis_server.Server) -> None:
    server.admin.set("bull:old:id", 1)
    server.admin.set("bull:old:meta-paused", 1)
    server.admin.rpush("bull:old:paused", "1")
    row = queue(looked(server, system="bull", queues=["old"]), "old")

    assert (row.paused, row.depth) == (True, 1)


def test_a_key_of_another_type_is_an_error_that_names_it(server: redis_server.Server) -> None:
    put(server, "email")
    server.admin.set("bull:email:wait", "text")
    with pytest.raises(SourceError, match="bull:email:wait"):
        looked(server, queues=["email"])


def test_the_last_mark_of_bullmq_4_is_no_job(server: redis_server.Server) -> None:
    put(server, "email", {"timestamp": ms(60)})
    server.admin.rpush("bull:email:wait", "0:0")
    row = queue(looked(server, queues=["email"]), "email")

    assert row.depth == 1 and row.oldest_age_s == pytest.approx(60, abs=10)


def test_a_job_that_ends_while_it_is_looked_at_is_not_orphaned() -> None:
    said = active((False, 5, None), (False, 5, None))["email"]
    said["active_again"] = said["looked"][:1]

    assert [job.locked for job in rows.running(said)] == [False]


def test_an_unknown_queue_names_every_figure() -> None:
    said = {"meta": [None, None], "wait": 0, "parked": 0, "prioritized": 0, "active": [], "delayed": 0, "failed": 0}
    look = rows.queue_look("bullmq", "email", {**said, "completions": None, "exists": 0, "looked": []}, NOON)

    assert {value for figure, value in asdict(look).items() if figure not in ("queue", "why")} == {None}
    assert unexplained(Snapshot(NOON, queues=[look])) == []


# Recorded -------------------------------------------------------------------------------------------------------------


class Recorded:
    """A gate to two looks at the queues of test_queue_bullmq.py, recorded from the real thing trip by trip."""

    where, user, database = "127.0.0.1:6379", "qpa", 0
    clock = Gate.clock

    def __init__(self, library: str) -> None:
        self.trips = json.loads(RECORDED.read_text("utf-8"))[library]
        self.database = list(bull_queues.LIBRARIES).index(library) + 1

    def trip(self, commands: list[Any], *, optional: Any = ()) -> list[Any]:
        if not commands:
            return []
        asked = [[part.decode() if isinstance(part, bytes) else part for part in command] for command in commands]
        recorded = self.trips.pop(0)
        assert asked == [command for command, _ in recorded]
        return [as_sent(reply) for _, reply in recorded]


def as_sent(reply: Any) -> Any:
    if isinstance(reply, list):
        return [as_sent(part) for part in reply]
    return reply.encode() if isinstance(reply, str) else reply


@pytest.mark.parametrize("library", bull_queues.LIBRARIES)
def test_recorded_replies_are_told_as_they_were_without_any_server(library: str) -> None:
    gate: Any = Recorded(library)
    names = [command[1].split(":")[1] for command, _ in gate.trips[0] if command[0] == "LLEN" and command[1].endswith(":wait")]
    reader = Bull(gate, lambda: NOON, name="shop", system=library.rstrip("56"), queues=names)
    before = reader.snapshot({})
    after = reader.snapshot(json.loads(json.dumps(before.next_cursor)))

    assert gate.trips == []
    assert {row.queue: (row.depth, row.active, row.orphaned, row.delayed, row.overdue, row.failed) for row in after.queues} == {
        "waiting": (3, 0, 0, 0, 0, 0), "over": (0, 0, 0, 3, 2, 0), "first": (2, 0, 0, 0, 0, 0), "front": (3, 0, 0, 0, 0, 0),
        "mixed": (3, 0, 0, 0, 0, 0), "paused": (2, 0, 0, 0, 0, 0), "works": (0, 0, 0, 0, 0, 1), "retried": (0, 0, 0, 1, 0, 0),
        "killed": (1, 1, 1, 0, 0, 0), "frozen": (0, 1, 1, 0, 0, 0), "busy": (1, 1, 0, 0, 0, 0), "promoted": (1, 1, 0, 0, 0, 0),
        "Grüße an alle": (1, 0, 0, 0, 0, 0), "nowhere": (None,) * 6,
    }  # fmt: skip
    left = None if library == "bull" else 1  # a worker without a name cannot be told by the job that it left
    assert {row.worker.split("@")[0].split(":")[0]: (row.state, row.busy) for row in after.workers} == {
        "works": ("alive", 0), "retried": ("alive", 0), "killed": ("gone", left), "frozen": ("stale", 1),
        "busy": ("alive", 1), "promoted": ("alive", 1),
    }  # fmt: skip
