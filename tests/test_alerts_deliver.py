"""Delivery as it happens: threads, processes that are killed, servers that hang, a disk that is full."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receiver import DROP, FAILS, HANG, LIMITED, OK_PAGERDUTY, OK_SLACK, OK_TELEGRAM, PAGE, Answer, Receiver, Taken, alert
from test_cli_luck import tmpfs

from qpanalytics.alerts import outbox as outbox_
from qpanalytics.alerts.base import Digest
from qpanalytics.alerts.deliver import Deliverer, opener
from qpanalytics.alerts.ledger import deliveries
from qpanalytics.alerts.outbox import Outbox
from qpanalytics.errors import StoreError
from qpanalytics.settings_channels import ChannelTable
from qpanalytics.store.state import State

ENVIRON = {"TOKEN": "123456:averysecrettoken", "KEY": "averysecretroutingkey", "URL": "https://hooks.example/averysecret"}


def now() -> datetime:
    return datetime.now(UTC)


def described(name: str, kind: str, url: str, **fields: Any) -> dict[str, Any]:
    """A `[[channel]]` that is pointed at a server of ours; its name is that of the kind unless it needs another."""
    secrets = {"telegram": {"token": "env:TOKEN", "chat": "-1001"}, "pagerduty": {"api_key": "env:KEY"}}
    return {"name": name, "kind": kind, "api_url": url, "timeout": 0.3, **secrets.get(kind, {"url": "env:URL"}), **fields}


class Desk:
    """A state with a deliverer, retries of which come quickly."""

    def __init__(self, path: Path) -> None:
        self.state = State(path)
        self.outbox = Outbox(self.state)
        self.troubles: list[str] = []
        self.deliverers: list[Deliverer] = []

    def deliverer(self, *channels: dict[str, Any]) -> Deliverer:
        tables = [ChannelTable.model_validate(one) for one in channels]
        opened = opener(tables, ENVIRON, self.state.path.parent, now, self.state)
        made = Deliverer(self.outbox, opened, clock=now, chance=random.Random(1).random, trouble=self.troubles.append)
        self.deliverers.append(made)
        return made

    def until(self, done: Callable[[Counter[tuple[str, str]]], bool], within_s: float = 30.0) -> Counter[tuple[str, str]]:
        """Waits until the ledger says so; how often each channel has each status."""
        for _ in range(int(within_s / 0.02)):
            counts = Counter((row["channel"], row["status"]) for row in deliveries(self.state))
            if done(counts):
                return counts
            time.sleep(0.02)
        raise AssertionError(deliveries(self.state))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(outbox_, "FIRST_S", 0.05)
    made = Desk(tmp_path / "qpa.duckdb-state")
    yield made
    for deliverer in made.deliverers:
        assert deliverer.stop(), "every thread ends"
    made.state.close()


# Threads --------------------------------------------------------------------------------------------------------------


def test_a_dead_channel_delays_no_other(desk: Desk) -> None:
    with Receiver(HANG) as dead, Receiver(FAILS) as failing, Receiver(OK_SLACK) as well:
        deliverer = desk.deliverer(
            described("dead", "webhook", dead.url, timeout=60), described("failing", "telegram", failing.url),
            described("gone", "pagerduty", "http://127.0.0.1:1"), described("well", "slack", well.url),
        )  # fmt: skip
        for number in range(10):
            desk.outbox.put(alert(f"i{number}"), ["dead", "failing", "gone", "well"], now())
            deliverer.wake()
        well.wait(10)
        counts = desk.until(lambda counts: counts["well", "sent"] == 10 and counts["gone", "retrying"] >= 1)
        assert counts["dead", "unknown"] == 1 and counts["dead", "waiting"] == 9
        assert deliverer.stop(), "also while a channel waits for an answer"
    assert [taken.json["text"] for taken in well.taken] == [f"[critical] {alert().sentence}"] * 10


@pytest.mark.parametrize(
    ("kind", "yes", "faults", "arrived"),
    [
        ("pagerduty", OK_PAGERDUTY, [FAILS, HANG, DROP, DROP, PAGE, LIMITED._replace(headers=(("Retry-After", "0.1"),))], 7),
        ("telegram", OK_TELEGRAM, [FAILS, DROP, HANG, DROP, FAILS, Answer(404), PAGE], 4),
        ("slack", OK_SLACK, [FAILS, PAGE, HANG, HANG, DROP], 4),
        ("webhook", Answer(204, b""), [FAILS, DROP, HANG, DROP], 5),
    ],
)
def test_a_message_gets_through_whatever_went_wrong_before(
    desk: Desk, kind: str, yes: Answer, faults: list[Answer | str], arrived: int
) -> None:
    with Receiver(*faults, yes) as server:
        desk.outbox.put(alert(), ["oncall"], now())
        desk.deliverer(described("oncall", kind, server.url)).wake()
        desk.until(lambda counts: counts["oncall", "sent"] == 1)
    assert len(server.taken) == arrived
    assert len({taken.headers.get("webhook-id") for taken in server.taken}) == 1
    if kind == "pagerduty":
        assert len({taken.json["dedup_key"] for taken in server.taken}) == 1


@pytest.mark.parametrize(
    ("kind", "silent", "path"), [("telegram", HANG, "/bot123456:averysecrettoken/getMe"), ("slack", DROP, "/averysecret")]
)
def test_a_channel_that_cannot_tell_a_repetition_gets_at_most_one(desk: Desk, kind: str, silent: str, path: str) -> None:
    """And that one only when it answers again at all."""
    with Receiver(silent, silent, FAILS, Answer(405), silent) as server:
        desk.outbox.put(alert(), ["oncall"], now())
        desk.deliverer(described("oncall", kind, server.url)).wake()
        desk.until(lambda counts: counts["oncall", "unclear"] == 2 and not desk.outbox.waiting())
    assert (len(server.taken), [taken.path for taken in server.asked]) == (2, [path] * 3)
    statuses = [(row["status"], row["attempt"]) for row in deliveries(desk.state)]
    assert statuses == [("unclear", 4), ("retrying", 3), ("retrying", 2), ("unclear", 1)]


def test_a_wrong_token_stops_at_once_and_is_shown_without_it(desk: Desk) -> None:
    refused = Answer(401, b'{"ok":false,"error_code":401,"description":"Unauthorized"}')
    with Receiver(refused) as server:
        desk.outbox.put(alert(), ["oncall"], now())
        desk.deliverer(described("oncall", "telegram", server.url)).wake()
        desk.until(lambda counts: counts["oncall", "failed"] == 1)
    (row,) = deliveries(desk.state)
    assert (row["http_status"], row["why"]) == (
        401, 'oncall: it refused the key or token (401, "Unauthorized"); set one that is valid there.',
    )  # fmt: skip
    assert len(server.taken) == 1 and desk.troubles == [row["why"]]


def test_a_token_that_was_set_anew_is_used_for_the_next_message(desk: Desk) -> None:
    token = desk.state.path.with_name("token")
    token.write_text("1:old")

    def known(taken: Taken) -> Answer:
        return OK_TELEGRAM if "/bot1:new/" in taken.path else Answer(401)

    with Receiver(known) as server:
        deliverer = desk.deliverer(described("oncall", "telegram", server.url, token="file:token"))
        desk.outbox.put(alert("i1"), ["oncall"], now())
        deliverer.wake()
        desk.until(lambda counts: counts["oncall", "failed"] == 1)
        token.write_text("1:new")
        desk.outbox.put(alert("i2"), ["oncall"], now())
        deliverer.wake()
        desk.until(lambda counts: counts["oncall", "sent"] == 1)


def test_what_a_channel_asked_for_is_waited_for(desk: Desk) -> None:
    limited = LIMITED._replace(headers=(("Retry-After", "1"),))
    with Receiver(limited, OK_SLACK) as server:
        for number in range(3):
            desk.outbox.put(alert(f"i{number}"), ["oncall"], now())
        desk.deliverer(described("oncall", "slack", server.url)).wake()
        desk.until(lambda counts: counts["oncall", "sent"] == 3)
    tried = sorted(row["tried_at"] for row in deliveries(desk.state))
    assert tried[1] - tried[0] >= timedelta(seconds=1)


def test_a_channel_that_is_not_configured_keeps_its_messages_until_it_is(desk: Desk) -> None:
    desk.outbox.put(alert(), ["oncall"], now())
    deliverer = desk.deliverer()
    deliverer.wake()
    desk.until(lambda counts: counts["oncall", "retrying"] >= 1)
    assert deliverer.stop() and "no longer in qpa.toml" in desk.troubles[0]
    with Receiver(OK_SLACK) as server:
        desk.deliverer(described("oncall", "slack", server.url)).wake()
        desk.until(lambda counts: counts["oncall", "sent"] == 1)


def test_one_round_sends_what_is_due_and_leaves_the_rest_for_the_next(desk: Desk) -> None:
    with Receiver(FAILS) as failing, Receiver(OK_SLACK) as well:
        channels = described("failing", "webhook", failing.url), described("well", "slack", well.url)
        for number in range(5):
            desk.outbox.put(alert(f"i{number}"), ["failing", "well"], now())
        assert desk.deliverer(*channels).round(within_s=30)
        assert (len(failing.taken), len(well.taken)) == (3, 5)  # after three failures in a row it is left alone
        failing.answers = [Answer(204, b"")]
        time.sleep(0.2)
        assert desk.deliverer(*channels).round(within_s=30)
    assert desk.outbox.waiting() == set() and len(failing.taken) == 3 + 5


def test_a_round_ends_in_time_though_a_channel_hangs(desk: Desk) -> None:
    with Receiver(HANG) as dead:
        desk.outbox.put(alert(), ["dead"], now())
        assert not desk.deliverer(described("dead", "webhook", dead.url, timeout=60)).round(within_s=0.3)
    assert [row["status"] for row in deliveries(desk.state)] == ["unclear"]


def test_what_is_under_way_when_it_is_stopped_comes_to_its_end(desk: Desk) -> None:
    def slow(_: Taken) -> Answer:
        time.sleep(0.3)
        return OK_SLACK

    with Receiver(slow) as server:
        for number in range(3):
            desk.outbox.put(alert(f"i{number}"), ["oncall"], now())
        deliverer = desk.deliverer(described("oncall", "slack", server.url, timeout=60))
        deliverer.wake()
        server.wait(1)
        assert deliverer.stop()
    assert [row["status"] for row in deliveries(desk.state)] == ["waiting", "waiting", "sent"]


def test_a_bug_in_a_channel_ends_neither_its_thread_nor_a_message(desk: Desk) -> None:
    class Buggy:
        name, distinguishes, sent = "oncall", True, 0

        def send(self, message: object, key: str) -> object:
            self.sent += 1
            raise ValueError("https://hooks.example/averysecret")

        def close(self) -> None: ...

    desk.outbox.put(alert(), ["oncall"], now())
    deliverer = Deliverer(desk.outbox, lambda _: Buggy(), clock=now, chance=lambda: 0.0, trouble=desk.troubles.append)  # type: ignore[arg-type, return-value]
    desk.deliverers.append(deliverer)
    deliverer.wake()
    desk.until(lambda counts: counts["oncall", "unclear"] >= 2)
    assert desk.troubles == ["oncall: ValueError while sending; please report this."]


# Kills ----------------------------------------------------------------------------------------------------------------


def start(folder: Path, channels: list[dict[str, Any]], point: str = "") -> subprocess.Popen[str]:
    (folder / "channels.json").write_text(json.dumps(channels))
    root = Path(__file__).parent
    environ = {**os.environ, **ENVIRON, "PYTHONPATH": f"{root.parent}:{root}"}
    command = [sys.executable, str(root / "sending.py"), str(folder), str(folder / "channels.json"), *filter(None, [point])]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def put(folder: Path, incidents: int, channels: list[str]) -> None:
    with State(folder / "state") as state:
        for number in range(incidents):
            Outbox(state).put(alert(f"i{number}"), channels, now())


def ledger(folder: Path) -> list[tuple[str, int]]:
    """Status and attempt of each try, oldest first."""
    with State(folder / "state") as state:
        return [(row["status"], row["attempt"]) for row in reversed(deliveries(state))]


@pytest.mark.parametrize(("kind", "yes"), [("telegram", OK_TELEGRAM), ("pagerduty", OK_PAGERDUTY)])
def test_a_kill_before_during_and_after_a_try_loses_nothing(tmp_path: Path, kind: str, yes: Answer) -> None:
    running: list[subprocess.Popen[str]] = []

    def kill(_: Taken) -> str:
        running[-1].send_signal(signal.SIGKILL)
        return HANG

    with Receiver(kill, yes) as server:
        channels = [described("oncall", kind, server.url, timeout=30)]
        put(tmp_path, 1, ["oncall"])
        for point, tries in (("begun", 1), ("", 2), ("answered", 3), ("", 4)):
            running.append(process := start(tmp_path, channels, point))
            if point:
                assert process.stdout is not None and process.stdout.readline() == f"{point}\n"
                process.kill()
            _, wrong = process.communicate(timeout=60)
            assert process.returncode == (0 if tries == 4 else -9) and wrong == ""
            assert ledger(tmp_path)[-1] == ("sent" if tries == 4 else "unknown", tries)
    # killed before it was sent: not there; killed before the answer, and after it: one more each
    assert len(server.taken) == 3
    assert ledger(tmp_path) == [("unknown", 1), ("unknown", 2), ("unknown", 3), ("sent", 4)]
    if kind == "pagerduty":
        assert len({taken.json["dedup_key"] for taken in server.taken}) == 1


def test_kills_at_any_moment_lose_nothing_and_double_at_most_what_was_under_way(tmp_path: Path) -> None:
    chance = random.Random(20261129)

    def slow(_: Taken) -> Answer:
        time.sleep(0.04)
        return OK_SLACK

    with Receiver(slow) as hook, Receiver(slow) as slack:
        channels = [described("hook", "webhook", hook.url, timeout=30), described("slack", "slack", slack.url, timeout=30)]
        with State(tmp_path / "state") as state:
            for number in range(30):
                Outbox(state).put(Digest(f"news {number}", "", now()), ["hook", "slack"], now())
        kills = 0
        for kill in range(4):
            process = start(tmp_path, channels)
            slack.wait(1 + 5 * kill)
            time.sleep(0.1 * chance.random())
            process.kill()
            process.communicate(timeout=60)
            kills += process.returncode == -9
        process = start(tmp_path, channels)
        assert process.communicate(timeout=60)[1] == "" and process.returncode == 0
    hooks = Counter(taken.headers["webhook-id"] for taken in hook.taken)
    told = Counter(taken.json["text"] for taken in slack.taken)
    assert len(hooks) == 30 and set(told) == {f"news {number}" for number in range(30)}
    assert kills >= 2 and max(sum(hooks.values()), sum(told.values())) - 30 <= kills
    statuses = Counter(status for status, _ in ledger(tmp_path))
    assert statuses["sent"] == 60 and statuses["unknown"] <= 2 * kills


# A full disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_on_a_full_disk_nothing_is_sent_that_could_not_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qpanalytics.alerts.deliver._STORE_REST_S", 0.05)
    with tmpfs(tmp_path / "small", "1m") as folder, Receiver(OK_SLACK) as server:
        desk = Desk(folder / "state")
        desk.outbox.put(alert(), ["oncall"], now())
        with (folder / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(512))
        with pytest.raises(StoreError, match="is full"):
            for number in range(1_000):
                desk.outbox.put(alert(f"more {number}"), ["oncall"], now())
        waiting = len(deliveries(desk.state))
        deliverer = desk.deliverer(described("oncall", "slack", server.url))
        deliverer.wake()
        for _ in range(500):
            if desk.troubles:
                break
            time.sleep(0.01)
        time.sleep(0.2)
        assert server.taken == [] and len(desk.troubles) == 1 and "is full" in desk.troubles[0]
        (folder / "filler").unlink()
        desk.until(lambda counts: not desk.outbox.waiting())
        assert deliverer.stop()
        rows = deliveries(desk.state)
        desk.state.close()
    assert len(server.taken) == sum(row["status"] == "sent" for row in rows) == waiting >= 1


def test_an_end_that_cannot_be_recorded_at_once_is_recorded_later_and_sent_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qpanalytics.alerts.deliver._STORE_REST_S", 0.05)

    def writable(now: bool) -> None:
        with desk.state.reading() as con:
            con.execute(f"pragma query_only = {not now}")

    def fill(_: Taken) -> Answer:
        writable(False)
        threading.Timer(0.3, writable, [True]).start()
        return OK_SLACK

    with Receiver(fill) as server:
        desk.outbox.put(alert(), ["oncall"], now())
        desk.deliverer(described("oncall", "slack", server.url)).wake()
        desk.until(lambda counts: counts["oncall", "sent"] == 1)
    assert len(server.taken) == 1 and len(desk.troubles) == 1 and "could not be recorded" in desk.troubles[0]
