"""The worst night: kills at every step, a store that is held, a full disk, clocks that are set, sources that go back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from watching import DAY, Watched, at, check

from qpanalytics.store.db import Store
from qpanalytics.store.state import State
from qpanalytics.watch.clock import DOUBT, Read, Steady

# Kills ----------------------------------------------------------------------------------------------------------------

#: What is called when a kill strikes, and whether before or after it is done.
STEPS = [
    ("qpanalytics.store.state:State.keep", False),
    ("qpanalytics.store.state:State.keep", True),
    ("qpanalytics.watch.translate:Translator.read", True),
    ("qpanalytics.policy.engine:Engine.advance", True),
    ("qpanalytics.watch.kept:save", True),
    ("qpanalytics.watch.incidents:record", True),
    ("qpanalytics.alerts.outbox:Outbox.put", True),
    ("qpanalytics.watch.evaluate:Evaluator.tick", True),
    ("qpanalytics.alerts.outbox:Outbox.begin", True),
    ("qpanalytics.alerts.file:File.send", False),
    ("qpanalytics.alerts.file:File.send", True),
    ("qpanalytics.alerts.outbox:Outbox.sent", True),
]


def killed_at(watched: Watched, step: str, after: bool, now: datetime, nth: int = 1) -> bool:
    """A round in a process of its own that is killed at the `nth` call of a step; whether it got there."""
    child = os.fork()
    if child:
        return bool(os.WIFSIGNALED(os.waitpid(child, 0)[1]))
    try:
        _arm(step, after, nth)
        watched.round(now)
    finally:
        os._exit(0)


def _arm(step: str, after: bool, nth: int) -> None:
    from importlib import import_module

    module, _, path = step.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    whole = getattr(owner, name)
    calls = iter(range(1, 1000))

    def dying(*args: Any, **more: Any) -> Any:
        mine = next(calls) == nth
        if mine and not after:
            os.kill(os.getpid(), 9)
        found = whole(*args, **more)
        if mine:
            os.kill(os.getpid(), 9)
        return found

    setattr(owner, name, dying)


@pytest.mark.parametrize(("step", "after"), STEPS)
def test_a_kill_at_any_step_loses_no_alert(tmp_path: Path, step: str, after: bool) -> None:
    watched = Watched(tmp_path, check("backup"), check("good"))
    watched.pings("backup", "06:00:10")
    watched.pings("good", "06:00:11", "06:05:11")
    watched.round(at("06:01"))
    reached = killed_at(watched, step, after, at("06:06:30"))
    assert reached
    watched.round(at("06:07:30"))
    watched.ping("backup", at("06:08:00"))
    killed_at(watched, step, after, at("06:08:30"))
    watched.round(at("06:09:30"))
    assert watched.news() == [("open", "backup"), ("resolve", "backup")]
    keys = {line.split('"key":"')[1].split('"')[0] for line in (tmp_path / "told.jsonl").read_text().splitlines()}
    assert len(keys) == 2
    with State.beside(watched.store) as state, state.reading() as con:
        assert con.execute("pragma integrity_check").fetchall() == [("ok",)]


# The store ------------------------------------------------------------------------------------------------------------


@contextmanager
def holding(path: Path) -> Iterator[int]:
    """Another process that holds the store open for writing."""
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        yield other.pid
        assert other.stdin is not None
        other.stdin.close()
        other.wait()


def test_while_the_store_is_held_for_an_hour_alerts_go_on_and_it_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qpanalytics.watch.feeding.PATIENCE_S", 0.05)
    watched = Watched(tmp_path, check("backup"), '[watch]\nfeed = "5 min"')
    watched.pings("backup", "06:00:10")
    watched.round(at("06:01"))
    with holding(watched.store) as number:
        for minute in range(2, 62, 4):
            if minute >= 20:
                watched.ping("backup", at("06:00") + timedelta(minutes=minute))
            watched.round(at("06:00:30") + timedelta(minutes=minute))
        held = watched.news()
    assert held[:2] == [("open", "backup"), ("open", "the store")] and ("resolve", "backup") in held
    (said,) = [said for said in watched.said() if said.checks == ("the store",)]
    assert f"process {number}" in said.title and said.at <= at("06:15")
    watched.round(at("07:01:30"))
    assert watched.news()[-1] == ("resolve", "the store")
    with Store(watched.store).read() as con:
        assert con.execute("select count(*) from store.pings").fetchall() == [(11,)]
    with State.beside(watched.store) as state:
        assert state.waiting() == 0 and state.pending(0) == []


# The disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_on_a_full_disk_nothing_is_half_done_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=True)
    try:
        watched = Watched(small, check("backup"))
        watched.pings("backup", "06:00:10")
        watched.round(at("06:01"))
        with (small / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(512))
        try:
            watched.round(at("06:06:30"))
        except Exception as error:
            assert "full" in str(error)
        assert watched.said() == []
        (small / "filler").unlink()
        watched.round(at("06:07:30"))
        assert watched.news() == [("open", "backup")]
    finally:
        subprocess.run(["umount", str(small)], check=True)


# Clocks ---------------------------------------------------------------------------------------------------------------

MINUTE = 60_000_000


def read(wall: datetime, boot_minutes: float, which: str = "one") -> Read:
    return Read(wall, round(boot_minutes * MINUTE), which)


def test_a_clock_that_is_set_and_put_right_again_has_done_no_harm() -> None:
    steady = Steady()
    assert steady.tell(read(DAY, 0)).now == DAY
    for minute, off in ((1, 60), (2, 60), (5, -60), (7, 60)):
        told = steady.tell(read(DAY + timedelta(minutes=minute + off), minute))
        assert told.now == DAY + timedelta(minutes=minute) and told.jumped is None and told.doubted is not None
        steady = Steady(steady.said)  # it outlives the process
    told = steady.tell(read(DAY + timedelta(minutes=8), 8))
    assert (told.now, told.jumped, told.doubted) == (DAY + timedelta(minutes=8), None, None)


@pytest.mark.parametrize("off", [60, -60])
def test_a_clock_that_stays_as_it_was_set_is_believed_after_a_while(off: int) -> None:
    steady = Steady()
    steady.tell(read(DAY, 0))
    doubt = DOUBT.total_seconds() / 60
    for minute in range(1, int(doubt) + 1):
        assert steady.tell(read(DAY + timedelta(minutes=minute + off), minute)).jumped is None
    told = steady.tell(read(DAY + timedelta(minutes=doubt + 1 + off), doubt + 1))
    assert told.now == DAY + timedelta(minutes=doubt + 1 + off) and told.jumped == DAY + timedelta(minutes=doubt + 1)


def test_a_machine_that_slept_has_not_been_set_and_another_start_is_another_clock() -> None:
    steady = Steady()
    steady.tell(read(DAY, 0))
    told = steady.tell(read(DAY + timedelta(hours=6), 360))  # the time since the start runs on while it sleeps
    assert (told.now, told.doubted) == (DAY + timedelta(hours=6), None)
    assert steady.tell(read(DAY + timedelta(days=1), 0, "two")).now == DAY + timedelta(days=1)


def test_a_clock_that_follows_small_corrections_stays_with_them() -> None:
    steady = Steady()
    for minute in range(100):
        wall = DAY + timedelta(minutes=minute, seconds=minute * 2)
        assert steady.tell(read(wall, minute)).now == wall


def test_after_six_hours_of_sleep_one_summary_tells_what_is_over_and_what_lasts_is_told_now(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("job"), check("dead"))
    watched.pings("job", "06:00:10")
    watched.pings("dead", "06:00:10")
    watched.rounds(at("06:01"), at("06:02"))
    watched.ping("job", at("12:00:10"))
    watched.round(at("12:01"))
    assert watched.news() == [("open", "dead"), ("summary", "1 incident, all over (away)")]


def test_a_round_at_an_earlier_time_tells_nothing_twice_and_nothing_new(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10")
    watched.rounds(at("06:06"), at("06:08"))
    before = watched.news()
    watched.rounds(at("05:06"), at("05:08"))
    assert watched.news() == before == [("open", "backup")]
    watched.ping("backup", at("06:09:00"))
    watched.round(at("06:09:30"))
    assert watched.news() == [*before, ("resolve", "backup")]


def test_what_a_clock_jumped_over_is_unknown_to_files_and_not_missed(tmp_path: Path) -> None:
    import threading

    from qpanalytics.watch.looking import Looking

    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10")
    watched.round(at("06:01"))
    with State.beside(watched.store) as state:
        looking = Looking(watched.settings, tmp_path, {}, lambda: DAY, state, threading.Event(), lambda source, why: None)
        looking.unseen(at("06:02"), at("07:02"))
    watched.rounds(at("07:02:30"), at("07:05:30"))
    assert watched.said() == []
    watched.round(at("07:06:30"))
    assert watched.news() == [("open", "backup")]  # that of 07:05 was waited for, and did not come


def test_a_bug_ends_a_tick_and_not_the_watch_and_says_where_without_a_word_of_what_was_pinged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10")
    watched.round(at("06:01"))
    with monkeypatch.context() as patched:
        patched.setattr("qpanalytics.policy.engine.Engine.advance", lambda *_: {}["a secret"])
        assert watched.round(at("06:06:30")) is None
    assert any("KeyError in test_watch_faults.py" in said for said in watched.troubles)
    assert not any("a secret" in said for said in watched.troubles)
    watched.round(at("06:07:30"))
    assert watched.news() == [("open", "backup")]


# Sources --------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_read_again_from_its_first_line_tells_nothing_twice(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"), check("sync", "0 * * * *", "20 min"))
    watched.pings("backup", "06:00:10", "06:05:10", "06:12:30", "06:15:10")
    watched.pings("sync", "06:01:00", kind="fail")
    watched.pings("sync", "06:03:00")
    watched.rounds(at("06:05:30"), at("06:16:30"))
    before = watched.news()
    assert before == [("open", "backup"), ("resolve", "backup")]
    with State.beside(watched.store) as state:
        state.forget_cursors()
    watched.rounds(at("06:17:30"), at("06:18:30"))
    assert watched.news() == before


def test_a_check_that_is_deleted_while_its_incident_is_open_ends_it(tmp_path: Path) -> None:
    from healthchecks_server import READ_WRITE, Fleet, Server

    fleet = Fleet(checks=2, pings=3, start=at("06:00"))
    with Server(fleet) as server:
        source = f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n'
        watched = Watched(tmp_path, source)
        watched.round(at("06:05"), KEY=READ_WRITE)
        fleet.ping(0, kind="fail")
        watched.round(at("06:06"), KEY=READ_WRITE)
        assert watched.news() == [("open", "job-0")]
        fleet.remove(0)
        watched.round(at("06:07"), KEY=READ_WRITE)
    assert watched.news() == [("open", "job-0"), ("resolve", "job-0")]
    assert "no longer there" in watched.said()[-1].title


@pytest.mark.parametrize(
    ("kind", "news"),
    [("fail", [("open", "job-0")]), ("success", [("open", "job-0")]), ("start", [])],
)
def test_the_ping_that_ends_a_pause_counts(tmp_path: Path, kind: str, news: list[tuple[str, str]]) -> None:
    from healthchecks_server import READ_WRITE, Fleet, Server

    fleet = Fleet(checks=1, pings=3, start=at("06:00"))  # every hour, grace of a minute
    job = fleet.jobs[0]
    with Server(fleet) as server:
        source = f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n'
        watched = Watched(tmp_path, source)
        watched.round(at("06:05"), KEY=READ_WRITE)
        job.extra["status"] = "paused"
        watched.round(at("06:06"), KEY=READ_WRITE)
        fleet._store(job, at("08:20"), kind, None, b"")  # a completion ends the pause there; somebody ended this one
        job.extra.clear()
        watched.round(at("08:25"), KEY=READ_WRITE)
        assert watched.news() == (news if kind == "fail" else [])
        watched.round(at("09:22"), KEY=READ_WRITE)
    assert watched.news() == news


def test_a_server_that_fails_makes_its_checks_unknown_and_not_missed(tmp_path: Path) -> None:
    from healthchecks_server import READ_WRITE, Fleet, Server

    fleet = Fleet(checks=3, pings=3, start=at("06:00"))  # every hour, grace of a minute
    with Server(fleet) as server:
        source = f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n'
        watched = Watched(tmp_path, source)
        watched.round(at("06:05"), KEY=READ_WRITE)
        server.fault("401", n=1000)
        for minute in (0, 2, 4, 6, 8, 10):
            watched.round(at("07:00") + timedelta(minutes=minute), KEY=READ_WRITE)
    (said,) = watched.said()
    assert said.checks == ("prod",) and "cannot be reached" in said.title and READ_WRITE not in str(said)


def test_one_check_that_cannot_be_read_is_unknown_alone(tmp_path: Path) -> None:
    from healthchecks_server import READ_WRITE, Fleet, Server

    fleet = Fleet(checks=2, pings=3, start=at("06:00"))
    with Server(fleet) as server:
        source = f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\ntimeout = "2 s"\n'
        watched = Watched(tmp_path, source)
        watched.round(at("06:05"), KEY=READ_WRITE)
        fleet.ping(0)
        for _ in range(2):
            server.fault("404", on=f"{fleet.jobs[0].id}/pings", n=1)
            watched.round(at("06:06"), KEY=READ_WRITE)
        server.fault("500", on=f"{fleet.jobs[0].id}/pings", n=100)
        watched.round(at("07:30"), KEY=READ_WRITE)
    assert ("open", "job-1") in watched.news() and ("open", "job-0") not in watched.news()
