"""Programs under a real supervisord as workers, and servers that are none."""

from __future__ import annotations

import os
import signal
import time
import xmlrpc.client
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from odd_server import OddServer, reply
from supervisord import PASSWORD, USER, Supervisord, running

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources import SNAPSHOTS, open_configured
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.workers import supervisor
from qpanalytics.sources.workers.supervisor import Process, parsed, restarted

RECORDED = (Path(__file__).parent / "recordings/workers/supervisor-4.3.xml").read_bytes()
NOW = datetime(2026, 11, 24, 18, 45, tzinfo=UTC)
FIGURES = ("busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues", "restarts")


def look(url: str, cursor: Any = None, password: str = "", **options: Any) -> Snapshot:
    table = SourceTable(name="box", kind="supervisor", url=url, **options)
    opened = supervisor.from_settings(table, password, lambda: datetime.now(UTC))
    try:
        return opened.snapshot(cursor or {})
    finally:
        opened.close()


def by_name(snapshot: Snapshot) -> dict[str, WorkerLook]:
    return {row.worker: row for row in snapshot.workers}


@pytest.fixture(scope="module")
def server() -> Iterator[Supervisord]:
    with running() as found:
        found.until(lambda states: states["halted"] == states["stubborn"] == "RUNNING")
        found.admin.stopProcess("halted")
        found.admin.stopProcess("stubborn", False)
        found.until(
            lambda states: (states["fatal"], states["nofile"], states["shot"], states["loop"], states["bad"], states["done"])
            == ("FATAL", "FATAL", "EXITED", "BACKOFF", "EXITED", "EXITED")
        )
        yield found


# A real supervisord ---------------------------------------------------------------------------------------------------


def test_each_state_of_a_program_is_told_as_what_it_means_for_work(server: Supervisord) -> None:
    server.until(lambda states: states["loop"] == "BACKOFF")
    snapshot = look(server.unix)

    said = {row.worker.partition(":")[2]: (row.state, row.why.split("; busy")[0]) for row in snapshot.workers}
    # A try to start it lasts a moment, which may be ours.
    assert said.pop("loop") in (
        ("gone", "state: BACKOFF: crash loop, is tried again; Exited too quickly (process log may have details)"),
        ("unknown", "state: STARTING: has not run for its startsecs yet"),
    )
    assert said == {
        "web": ("alive", said["web"][1]),
        "work_00": ("alive", said["work_00"][1]),
        "work_01": ("alive", said["work_01"][1]),
        "größe": ("alive", said["größe"][1]),
        "slow": ("unknown", "state: STARTING: has not run for its startsecs yet"),
        "stubborn": ("alive", "state: STOPPING: being stopped"),
        "stopped": ("gone", "state: STOPPED: not started yet"),
        "halted": ("gone", "state: STOPPED: stopped by somebody"),
        "done": ("gone", "state: EXITED: exited with 0, which may be meant"),
        "bad": ("gone", "state: EXITED: exited with 3"),
        "shot": ("gone", "state: EXITED: killed by a signal"),
        "fatal": ("gone", "state: FATAL: given up after its startretries; Exited too quickly (process log may have details)"),
        "nofile": ("gone", "state: FATAL: given up after its startretries; can't find command '/no/such/program'"),
    }
    assert "state" not in said["web"][1]
    assert snapshot.offset_s == pytest.approx(0, abs=2)


def test_a_worker_is_called_by_its_group_and_name(server: Supervisord) -> None:
    names = {row.worker for row in look(server.unix).workers}

    assert {"work:work_00", "work:work_01", "web:web", "größe:größe"} <= names


def test_a_program_that_runs_was_seen_now_and_an_ended_one_when_it_ended(server: Supervisord) -> None:
    snapshot = look(server.unix)
    rows = by_name(snapshot)

    assert rows["web:web"].last_seen_at == snapshot.taken_at
    assert rows["slow:slow"].last_seen_at == snapshot.taken_at
    ended = rows["bad:bad"].last_seen_at
    assert ended is not None
    assert 0 <= (snapshot.taken_at - ended).total_seconds() < 60
    assert rows["stopped:stopped"].last_seen_at is None
    assert "last_seen_at: no process of it ended yet" in rows["stopped:stopped"].why


def test_every_figure_that_is_not_known_has_its_reason(server: Supervisord) -> None:
    snapshot = look(server.unix, programs=["*", "no-such"])

    assert len(snapshot.workers) == 15
    for row in snapshot.workers:
        named = {name for part in row.why.split("; ") for name in part.split(":")[0].split(", ")}
        assert {figure for figure in FIGURES if getattr(row, figure) is None} <= named


def test_a_program_killed_between_two_looks_was_restarted_once(server: Supervisord) -> None:
    first = look(server.unix, programs=["web"])
    pid = server.pid("web")
    os.kill(pid, signal.SIGKILL)
    server.until(lambda states: states["web"] == "RUNNING" and server.pid("web") not in (0, pid))
    second = look(server.unix, first.next_cursor, programs=["web"])
    third = look(server.unix, second.next_cursor, programs=["web"])

    assert by_name(first)["web:web"].restarts is None
    assert "restarts: supervisord keeps no count; it is counted from the next look on" in by_name(first)["web:web"].why
    assert (by_name(second)["web:web"].restarts, by_name(third)["web:web"].restarts) == (1, 1)
    assert "restarts" not in by_name(third)["web:web"].why


def test_a_program_killed_and_not_started_again_is_gone_without_a_restart(server: Supervisord) -> None:
    first = look(server.unix, programs=["work:work_01"])
    os.kill(server.pid("work:work_01"), signal.SIGKILL)
    server.until(lambda states: states["work_01"] == "EXITED")
    row = by_name(look(server.unix, first.next_cursor, programs=["work:work_01"]))["work:work_01"]
    server.admin.startProcess("work:work_01")

    assert (row.state, row.restarts) == ("gone", 0)
    assert "killed by a signal" in row.why


def test_tries_of_a_crash_loop_are_restarts(server: Supervisord) -> None:
    first = look(server.unix, programs=["loop"])
    started = server.admin.getProcessInfo("loop")["start"]
    server.until(lambda _: server.admin.getProcessInfo("loop")["start"] != started)

    assert (by_name(look(server.unix, first.next_cursor, programs=["loop"]))["loop:loop"].restarts or 0) >= 1


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        (["web"], ["web:web"]),
        (["work_00"], ["work:work_00"]),
        (["work:work_01"], ["work:work_01"]),
        (["work:*"], ["work:work_00", "work:work_01"]),
        (["work_0[1-9]", "größe"], ["größe:größe", "work:work_01"]),
    ],
)
def test_programs_are_named_by_name_group_or_pattern(server: Supervisord, programs: list[str], found: list[str]) -> None:
    assert sorted(by_name(look(server.unix, programs=programs))) == found


def test_a_named_program_that_is_not_there_is_unknown_and_gone_once_it_was_seen(server: Supervisord) -> None:
    first = look(server.unix, programs=["typo"])
    later = look(server.unix, {"seen": {"typo": "2026-11-24T08:00:00Z"}}, programs=["typo"])

    assert first.workers[0].state == "unknown"
    assert "no such program" in first.workers[0].why
    assert later.workers[0].state == "gone"
    assert later.workers[0].last_seen_at == datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize("path", ["", "/", "/RPC2", "/RPC2/"])
def test_its_port_wants_the_user_and_the_password(server: Supervisord, path: str) -> None:
    assert len(look(server.http + path, user=USER, password=PASSWORD).workers) == 14


def test_a_wrong_password_is_refused_and_shown_nowhere(server: Supervisord) -> None:
    for options in ({}, {"user": USER, "password": "not-the-password"}):
        with pytest.raises(SourceError, match=r"\(401\)") as caught:
            look(server.http, **options)  # type: ignore[arg-type]
        assert caught.value.permanent
        assert "not-the-password" not in f"{caught.value!r}"


def test_the_kind_is_registered(server: Supervisord) -> None:
    assert SNAPSHOTS["supervisor"] == "qpanalytics.sources.workers.supervisor"
    table = SourceTable(name="box", kind="supervisor", url=server.http, user=USER, password="env:P", queues=["mail"])
    opened = open_configured(table, {"P": PASSWORD}, Path(), lambda: NOW)
    snapshot = opened.snapshot({})  # type: ignore[union-attr]
    opened.close()

    assert snapshot.taken_at == NOW
    assert {row.queues for row in snapshot.workers} == {("mail",)}


# Recorded and odd replies ---------------------------------------------------------------------------------------------


def test_a_recorded_reply_is_understood() -> None:
    states = {process.worker: process.state for process in parsed(RECORDED)}

    assert states["web:web"] == "RUNNING"
    assert states["fatal:fatal"] == "FATAL"
    assert len(states) == 14


@pytest.mark.parametrize(
    ("kept", "start", "pid", "counted"),
    [
        (None, 100, 5, None),
        ("nonsense", 100, 5, None),
        ([100, 5, 2], 100, 5, 2),
        ([100, 5, 2], 100, 6, 3),  # within one second
        ([100, 5, 2], 130, 6, 3),
        ([100, 5, 2], 130, 0, 3),  # tried again, and waiting for the next try
        ([100, 5, 2], 100, 0, 2),  # ended, and not started again
        ([130, 0, 3], 130, 0, 3),
        ([100, 5, 2], 40, 5, 2),  # the clock was set back
        ([0, 0, 0], 100, 5, 0),  # started for the first time
    ],
)
def test_what_counts_as_a_restart(kept: Any, start: int, pid: int, counted: int | None) -> None:
    assert restarted(kept, Process("g", "n", "RUNNING", pid, start, 0, 200, 0, "")) == counted


def asked(body: bytes | str, **options: Any) -> SourceError:
    options = {"kind": "text/xml", **options}
    with OddServer(lambda _: reply(body, **options)) as odd, pytest.raises(SourceError) as caught:
        look(odd.url)
    assert "\n" not in str(caught.value)
    return caught.value


def listing(**fields: Any) -> bytes:
    process = {"group": "g", "name": "n", "statename": "RUNNING", "pid": 5, "start": 1, "stop": 0, "now": 9, "exitstatus": 0}
    return xmlrpc.client.dumps(([{**process, **fields}],), methodresponse=True).encode()


BOMB = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]><methodResponse><params><param><value><string>&j;</string></value></param></params></methodResponse>"  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>hello</html>", "is not XML-RPC"),
        (b"", "is not XML-RPC"),
        (b"<methodResponse><params><param><value>", "is not XML-RPC"),
        (BOMB.encode(), "defines entities"),
        (BOMB.encode("utf-16"), "is not UTF-8"),
        (BOMB.encode("utf-16-le"), "is not XML-RPC"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"<value>" * 200_000, "is not XML-RPC"),
        (xmlrpc.client.dumps(("hello",), methodresponse=True), "is no list"),
        (xmlrpc.client.dumps(([5],), methodresponse=True), "a program is no structure"),
        (xmlrpc.client.dumps(([{"name": "x"}],), methodresponse=True), "has no group, name or state"),
        (listing(pid="five"), "has no pid or no times"),
        (listing(start=-5), "has no pid or no times"),
        (listing(now=1e300), "has no pid or no times"),
        (listing(name=["n"]), "has no group, name or state"),
        (b"<methodResponse><params><param><value><int>" + b"9" * 6000 + b"</int></value></param></params></methodResponse>",
         "is not XML-RPC"),
    ],
)  # fmt: skip
def test_a_reply_that_is_none_is_a_failure_and_no_snapshot(body: bytes | str, said: str) -> None:
    error = asked(body)

    assert said in str(error)
    assert not error.permanent


@pytest.mark.parametrize(
    ("options", "said", "permanent"),
    [
        ({"status": "500 Oops"}, "failed over the list of programs (500)", False),
        ({"status": "404 Not Found", "kind": "text/html"}, "has no /RPC2; is it supervisord, with its rpcinterface?", True),
        ({"status": "403 Forbidden"}, "does not let us see the list of programs (403)", True),
        ({"length": 9_999}, "broke off while sending the list of programs", False),
        ({"kind": "text/html"}, 'is no reply of supervisord, but "text/html"', False),
    ],
)
def test_a_refusal_says_what_to_look_at(options: dict[str, Any], said: str, permanent: bool) -> None:
    error = asked("<html></html>", **options)

    assert said in str(error)
    assert error.permanent is permanent


@pytest.mark.parametrize(("code", "permanent"), [(6, False), (1, True)])
def test_a_fault_is_told_and_a_server_that_shuts_down_may_come_back(code: int, permanent: bool) -> None:
    fault = xmlrpc.client.Fault(code, "SHUTDOWN_STATE\x1b[31m".replace("\x1b", "\u202e"))
    error = asked(xmlrpc.client.dumps(fault, methodresponse=True))

    assert 'would not tell the list of programs ("SHUTDOWN_STATE\\u202e[31m")' in str(error)
    assert error.permanent is permanent


def test_names_and_reasons_from_outside_stay_on_one_line_and_short() -> None:
    body = listing(name="n\u202e\n" + "x" * 5_000, statename="FATAL", spawnerr="boom\r\n" * 500)
    with OddServer(lambda _: reply(body, kind="text/xml")) as odd:
        (row,) = look(odd.url).workers

    assert row.worker.startswith("g:n\\u202e\\nxxx")
    assert len(row.worker) < 250
    assert "\n" not in row.why
    assert len(row.why) < 1_500


def test_only_the_one_question_is_asked() -> None:
    with OddServer(lambda _: reply(listing(), kind="text/xml")) as odd:
        look(odd.url)

    assert odd.asked == ["POST /RPC2"]
    assert xmlrpc.client.loads(odd.bodies[0]) == ((), "supervisor.getAllProcessInfo")


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_a_server_that_does_not_answer_is_given_up(way: str) -> None:
    started = time.monotonic()
    with OddServer(lambda _: getattr(odd, way)) as odd, pytest.raises(SourceError, match=r"sent nothing|took longer"):
        look(odd.url, timeout=0.3)

    assert time.monotonic() - started < 3


def test_an_endless_reply_is_cut_off() -> None:
    with OddServer(lambda _: odd.endless) as odd, pytest.raises(SourceError, match="sent more than 8 MB"):
        look(odd.url)


def test_an_address_or_a_login_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="it has no url"):
        supervisor.from_settings(SourceTable(name="box", kind="supervisor"), "", lambda: NOW)
    with pytest.raises(ConfigError, match="url is not an address"):
        look("supervisor.sock")
    with pytest.raises(ConfigError, match="a password but no user"):
        look("http://127.0.0.1:9001", password="x")
    with pytest.raises(SourceError, match=r"unix:///no/such\.sock cannot be reached"):
        look("unix:///no/such.sock")
