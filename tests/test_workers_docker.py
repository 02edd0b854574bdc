"""Containers as workers, from replies recorded from Docker Engine 20.10 (API 1.41) and from engines that fail on purpose."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from odd_server import Answer, OddServer, reply

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources import SNAPSHOTS, open_configured
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.workers import docker

NOW = datetime(2026, 11, 24, 18, 45, tzinfo=UTC)
RECORDED = json.loads((Path(__file__).parent / "recordings/workers/docker-1.41.json").read_text(encoding="utf-8"))
PASSWORD = "let-me-look"
FIGURES = ("busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues", "restarts")


def engine(data: dict[str, Any] = RECORDED, **odd: Answer) -> Callable[[str], Answer]:
    """Answers as an engine with these containers; `odd` says otherwise for the list or for all inspections."""

    def answer(asked: str) -> Answer:
        method, _, address = asked.partition(" ")
        assert method == "GET", asked
        path = urlsplit(address).path
        if path == "/containers/json":
            return odd.get("listed", reply(json.dumps(data["list"])))
        handle = path.removeprefix("/containers/").removesuffix("/json")
        if "inspected" in odd:
            return odd["inspected"]
        if handle not in data["inspect"]:
            return reply('{"message":"No such container"}', "404 Not Found")
        return reply(json.dumps(data["inspect"][handle]))

    return answer


def only(name: str = "w", told: Any = None, **more: Any) -> dict[str, Any]:
    """One container of this name whose inspection tells this."""
    handle = "ab" * 32
    told = {"Status": "running", "StartedAt": "2026-11-24T18:00:00.5Z"} if told is None else told
    return {"list": [{"Id": handle, "Names": [f"/{name}"]}], "inspect": {handle: {"State": told, "RestartCount": 0, **more}}}


def source(url: str, password: str = "", **options: Any) -> docker.Docker:
    return docker.from_settings(SourceTable(name="box", kind="docker", url=url, **options), password, lambda: NOW)


def look(answer: Callable[[str], Answer], cursor: dict[str, Any] | None = None, **options: Any) -> Snapshot:
    with OddServer(answer) as server:
        opened = source(server.url, **options)
        try:
            return opened.snapshot(cursor or {})
        finally:
            opened.close()


def failure(answer: Callable[[str], Answer], **options: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        look(answer, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def by_name(snapshot: Snapshot) -> dict[str, WorkerLook]:
    return {row.worker: row for row in snapshot.workers}


def one(data: dict[str, Any], **options: Any) -> WorkerLook:
    (row,) = look(engine(data), **options).workers
    return row


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


# What it tells --------------------------------------------------------------------------------------------------------


def test_each_state_of_a_container_is_told_as_what_it_means_for_work() -> None:
    rows = by_name(look(engine()))

    assert {name: row.state for name, row in rows.items()} == {
        "run-plain": "alive", "shop_worker_1": "alive", "slow-start": "alive", "restarted": "alive",
        "shop_worker_2": "stale", "frozen": "stale",
        "loop": "gone", "killed": "gone", "failed": "gone", "oom": "gone", "done": "gone", "never": "gone", "badcmd": "gone",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop_worker_2", "state: unhealthy: its health check failed 32 times in a row"),
        ("slow-start", "state: its health check was not passed yet"),
        ("frozen", "state: paused: its processes are frozen"),
        ("loop", "state: restarting: crash loop, exited with 3, waits to be started again"),
        ("killed", "state: exited: exited with 137 (SIGKILL)"),
        ("oom", "state: exited: exited with 137 (SIGKILL), its memory ran out"),
        ("failed", "state: exited: exited with 7"),
        ("done", "state: exited: exited with 0"),
        ("never", "state: created: never started"),
        ("badcmd", "state: created: could not be started"),
    ],
)
def test_why_says_what_is_odd_of_a_container(name: str, said: str) -> None:
    assert by_name(look(engine()))[name].why.split("; busy")[0] == said


def test_a_container_that_simply_runs_has_no_remark() -> None:
    rows = by_name(look(engine()))

    assert "state" not in rows["run-plain"].why
    assert "state" not in rows["shop_worker_1"].why


def test_restarts_are_those_of_the_restart_policy() -> None:
    rows = by_name(look(engine()))

    assert (rows["restarted"].restarts, rows["loop"].restarts, rows["run-plain"].restarts) == (1, 9, 0)


def test_a_running_container_was_seen_now_and_an_ended_one_when_it_ended() -> None:
    rows = by_name(look(engine()))

    assert rows["run-plain"].last_seen_at == NOW
    assert rows["oom"].last_seen_at == datetime(2026, 11, 24, 18, 44, 20, 241316, tzinfo=UTC)
    assert rows["never"].last_seen_at is None
    assert "last_seen_at: it was never started" in rows["never"].why


def test_every_figure_that_is_not_known_has_its_reason() -> None:
    snapshot = look(engine(), containers=["*", "no-such"])

    assert len(snapshot.workers) == 14
    for row in snapshot.workers:
        named = {name for part in row.why.split("; ") for name in part.split(":")[0].split(", ")}
        assert {figure for figure in FIGURES if getattr(row, figure) is None} <= named


def test_the_configured_queues_are_those_of_each_container() -> None:
    row = one(only(), queues=["mail", "video"])

    assert row.queues == ("mail", "video")
    assert "queues" not in row.why


def test_only_containers_that_were_named_are_inspected() -> None:
    with OddServer(engine()) as server:
        opened = source(server.url, containers=["shop_worker_*", "run-plain"])
        rows = by_name(opened.snapshot({}))
        opened.close()

    assert sorted(rows) == ["run-plain", "shop_worker_1", "shop_worker_2"]
    assert len(server.asked) == 4
    assert server.asked[0] == "GET /containers/json?all=true"


def test_a_named_container_that_is_not_there_is_unknown_and_gone_once_it_was_seen() -> None:
    first = look(engine(), containers=["run-plain", "typo", "shop_*"])
    then = look(engine({"list": [], "inspect": {}}), dict(first.next_cursor), containers=["run-plain", "typo", "shop_*"])

    assert (by_name(first)["typo"].state, by_name(first)["typo"].why[:36]) == ("unknown", "state, restarts, last_seen_at: no su")
    rows = by_name(then)
    assert {name: row.state for name, row in rows.items()} == {"run-plain": "gone", "typo": "unknown", "shop_*": "gone"}
    assert rows["run-plain"].last_seen_at == NOW
    assert "state, restarts: no such container any more" in rows["run-plain"].why
    assert "no container matches any more" in rows["shop_*"].why


def test_a_container_removed_between_list_and_inspection_is_no_failure() -> None:
    data = {"list": RECORDED["list"], "inspect": {}}

    assert look(engine(data)).workers == []


def test_more_containers_than_are_looked_at_are_said() -> None:
    handles = [f"{n:064x}" for n in range(230)]
    data = {
        "list": [{"Id": handle, "Names": [f"/c{n:03}"]} for n, handle in enumerate(handles)],
        "inspect": {handle: only()["inspect"]["ab" * 32] for handle in handles},
    }
    with OddServer(engine(data)) as server:
        opened = source(server.url)
        snapshot = opened.snapshot({})
        opened.close()

    assert len(server.asked) == 201
    assert [row.worker for row in snapshot.workers] == [f"c{n:03}" for n in range(200)]
    assert snapshot.notes == ("230 containers match, and the first 200 by name were read; name fewer",)


def test_the_engines_clock_is_compared_with_ours() -> None:
    assert look(engine()).offset_s == pytest.approx(-33, abs=1.5)


def test_a_unix_socket_serves_as_well(short: Path) -> None:
    with OddServer(engine(), unix=short / "docker.sock") as server:
        opened = source(server.url, containers=["run-*"])
        rows = by_name(opened.snapshot({}))
        opened.close()

    assert rows["run-plain"].state == "alive"
    assert "Host: localhost" in server.heads[0]


def test_the_kind_is_registered_and_its_password_is_sent_and_shown_nowhere() -> None:
    assert SNAPSHOTS["docker"] == "qpanalytics.sources.workers.docker"
    with OddServer(engine(listed=reply(f'{{"message": "{PASSWORD} is wrong"}}', "401 Unauthorized"))) as server:
        table = SourceTable(name="box", kind="docker", url=server.url, user="qpa", password="env:P")
        opened = open_configured(table, {"P": PASSWORD}, Path(), lambda: NOW)
        with pytest.raises(SourceError, match="refused the user or its password") as caught:
            opened.snapshot({})  # type: ignore[union-attr]
        opened.close()

    assert "Authorization: Basic cXBhOmxldC1tZS1sb29r" in server.heads[0]
    assert PASSWORD not in f"{caught.value!r} {opened!r}"
    assert caught.value.permanent


def test_the_real_engine_where_there_is_one() -> None:
    if not os.access("/var/run/docker.sock", os.W_OK):
        pytest.skip("there is no /var/run/docker.sock that may be opened")
    opened = docker.from_settings(SourceTable(name="box", kind="docker"), "", lambda: NOW)
    snapshot = opened.snapshot({})
    opened.close()

    assert all(row.state in ("alive", "stale", "gone", "unknown") for row in snapshot.workers)


# Old engines and hostile ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"Running": True, "StartedAt": "2026-11-24T18:00:00.123456789Z"}, "alive"),
        ({"Running": True, "Paused": True}, "stale"),
        ({"Running": True, "Restarting": True, "ExitCode": 1}, "gone"),
        ({"Running": False, "StartedAt": "2026-11-24T18:00:00Z", "FinishedAt": "2026-11-24T18:01:00Z"}, "gone"),
        ({"Running": False, "StartedAt": "0001-01-01T00:00:00Z"}, "gone"),
        ({"Status": "running", "Health": {"Status": "none"}}, "alive"),
        ({"Status": "running", "Health": None}, "alive"),
        ({"Status": "dancing"}, "unknown"),
    ],
)
def test_engines_that_tell_less_are_understood(told: dict[str, Any], state: str) -> None:
    assert one(only(told=told)).state == state


def test_restarts_that_are_not_told_have_a_reason() -> None:
    row = one(only(RestartCount=None))

    assert row.restarts is None
    assert "restarts: not told by this engine" in row.why


def test_figures_that_make_no_sense_are_not_told() -> None:
    told = {"Status": "exited", "StartedAt": "0042-01-01T00:00:00Z", "FinishedAt": "99999-13-01", "ExitCode": 1e300}
    row = one(only(told=told, RestartCount=10**30))

    assert (row.restarts, row.last_seen_at) == (None, None)
    assert "exited with an unknown status" in row.why


def test_a_name_cannot_move_the_terminal_or_the_address() -> None:
    row = one(only(name="w\x1b[31m\u202e\n" + "x" * 500))

    assert row.worker.startswith("w\\x1b[31m\\u202e\\nxxx")
    assert len(row.worker) < 250

    hostile = {"list": [{"Id": "../../images/create?x=", "Names": ["/w"]}], "inspect": {}}
    with OddServer(engine(hostile)) as server:
        opened = source(server.url)
        with pytest.raises(SourceError, match="a container has no id"):
            opened.snapshot({})
        opened.close()
    assert server.asked == ["GET /containers/json?all=true"]


def test_its_own_name_comes_before_those_of_links() -> None:
    data = only()
    data["list"][0]["Names"] = ["/app/db", "/zz-db"]

    assert one(data).worker == "zz-db"


ODD_LISTS = {
    "500": (reply('{"message":"no"}', "500 Internal Server Error"), "failed over the list of containers (500, \"no\")", False),
    "403 of a proxy": (reply("<h1>Forbidden</h1>", "403 Forbidden", "text/html"), "does not let us see the list", True),
    "404": (reply("404 page not found", "404 Not Found", "text/plain"), "does not have the list of containers (404)", True),
    "a page": (reply("<html>hello</html>", kind="text/html"), "answered with a web page instead", False),
    "cut": (reply("[{", length=900), "broke off while sending the list of containers", False),
    "half": (reply("[{"), "is not valid JSON", False),
    "nothing": (b"", "broke off while sending the list of containers", False),
    "no list": (reply('{"containers": []}'), "something else than containers: it is no list", False),
    "no containers": (reply("[1, null]"), "something else than containers: a container has no id", False),
    "too deep": (reply("[" * 100_000), "is not valid JSON", False),
}


@pytest.mark.parametrize("name", ODD_LISTS)
def test_a_list_that_is_none_is_a_failure_and_no_snapshot(name: str) -> None:
    answer, said, permanent = ODD_LISTS[name]
    error = failure(engine(listed=answer))

    assert said in str(error)
    assert error.permanent is permanent


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply("{}", "500 Internal Server Error"), "failed over container"),
        (reply("{}"), "told nonsense of container"),
        (reply("[]"), "told nonsense of container"),
        (reply('{"State": "running"}'), "it has no State"),
        (reply("{", length=99), "broke off while sending container"),
    ],
)
def test_half_a_look_is_none(answer: bytes, said: str) -> None:
    assert said in str(failure(engine(inspected=answer)))


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_an_engine_that_does_not_answer_is_given_up(way: str) -> None:
    started = time.monotonic()
    with OddServer(lambda _: getattr(server, way)) as server:
        opened = source(server.url, timeout=0.3)
        with pytest.raises(SourceError, match=r"sent nothing of|took longer than") as caught:
            opened.snapshot({})
        opened.close()

    assert not caught.value.permanent
    assert time.monotonic() - started < 3


def test_an_endless_list_is_cut_off() -> None:
    with OddServer(lambda _: server.endless) as server:
        opened = source(server.url)
        with pytest.raises(SourceError, match="sent more than 16 MB for the list of containers"):
            opened.snapshot({})
        opened.close()


def test_many_slow_answers_together_have_their_limit_too() -> None:
    with OddServer(engine()) as server:
        opened = source(server.url)
        opened._look_s = 0.0
        with pytest.raises(SourceError, match="took longer than 0 s over 13 containers"):
            opened.snapshot({})
        opened.close()


def test_a_socket_that_is_not_there_and_one_that_may_not_be_opened(short: Path) -> None:
    for url, said in (
        (f"unix://{short}/no.sock", f"unix://{short}/no.sock cannot be reached (No such file or directory)"),
        (f"unix://{short}/{'x' * 200}", "cannot be reached"),
        ("tcp://127.0.0.1:1", "nothing listens at http://127.0.0.1:1/"),
    ):
        opened = source(url)
        with pytest.raises(SourceError) as caught:
            opened.snapshot({})
        opened.close()
        assert said in str(caught.value)
        assert not caught.value.permanent


@pytest.mark.parametrize("url", ["docker.sock", "ssh://box", f"https://me:{PASSWORD}@box"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    table = SourceTable.model_construct(name="box", kind="docker", url=url, user=None, timeout=None, containers=(), queues=())
    with pytest.raises(ConfigError) as caught:
        docker.from_settings(table, "", lambda: NOW)
    assert PASSWORD not in str(caught.value)


def test_the_cursor_of_another_time_or_kind_does_no_harm() -> None:
    for cursor in ({"seen": 5}, {"seen": {"nope": None}}, {"seen": {"nope": "yesterday"}}, {"x": []}):
        assert by_name(look(engine(), cursor, containers=["nope"]))["nope"].state == "unknown"
    old = (NOW - timedelta(days=3)).isoformat()
    assert by_name(look(engine(), {"seen": {"nope": old}}, containers=["nope"]))["nope"].last_seen_at == NOW - timedelta(days=3)
