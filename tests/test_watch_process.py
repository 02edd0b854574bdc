"""The watch as people run it: real processes, killed and restarted, ended, two at once; channels and a monitor on loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from healthchecks_server import READ_WRITE, Fleet, Server
from receiver import OK_SLACK, OK_TELEGRAM, Receiver
from watching import FILES, check

WATCH = [sys.executable, "-m", "qpanalytics", "watch"]
#: Nothing is grouped or held back, so that each check's alert can be counted.
ALONE = "[policy]\ngroup_least = 100000\nlimit = 100000\n"


def start(folder: Path, *args: str, **environ: str) -> subprocess.Popen[str]:
    env = {**os.environ, **environ}
    return subprocess.Popen([*WATCH, *args], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(watch: subprocess.Popen[str], within_s: float = 5.0) -> str:
    """Asks it to end, which it has to within so many seconds; what it said on stderr."""
    watch.send_signal(signal.SIGTERM)
    _, said = watch.communicate(timeout=within_s)
    assert watch.returncode == 0, said
    assert "Traceback" not in said
    return said


@contextmanager
def running(folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    watch = start(folder, **environ)
    try:
        yield watch
    finally:
        if watch.poll() is None:
            watch.kill()
            watch.communicate()


def up(watch: subprocess.Popen[str]) -> None:
    """Waits until it watches, and so minds signals."""
    assert watch.stderr is not None
    while "watching" not in (line := watch.stderr.readline()):
        assert line, watch.wait()


def append(folder: Path, *rows: tuple[str, str]) -> None:
    """Pings of now."""
    path = folder / "pings.csv"
    head = "" if path.exists() else "check,received_at,kind\n"
    with path.open("a") as file:
        file.write(head + "".join(f"{name},{datetime.now(UTC).isoformat()},{kind}\n" for name, kind in rows))


def hook(url: str) -> dict[str, str]:
    return {"HOOK": url}


WEBHOOK = '[[channel]]\nname = "hook"\nkind = "webhook"\nurl = "env:HOOK"\nallow_private = true\n'


def test_exactly_the_alerts_that_the_truth_demands_reach_every_channel_although_the_watch_is_killed(tmp_path: Path) -> None:
    fleet = Fleet(checks=2, pings=3, start=datetime.now(UTC) - timedelta(minutes=30))
    with Server(fleet) as server, Receiver() as web, Receiver(OK_TELEGRAM) as telegram, Receiver(OK_SLACK) as slack:
        (tmp_path / "qpa.toml").write_text(
            f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n{FILES}'
            + check("backup", "0 0 1 1 *", "1 h") + check("index", "0 0 1 1 *", "1 h") + ALONE + WEBHOOK
            + f'[[channel]]\nname = "chat"\nkind = "telegram"\ntoken = "env:TOKEN"\nchat = "-1"\napi_url = "{telegram.url}"\n'
            + f'[[channel]]\nname = "team"\nkind = "slack"\nurl = "env:SLACK"\nallow_private = true\napi_url = "{slack.url}"\n'
            + '[watch]\ntick = "0.5 s"\nfeed = "1 h"\n'
        )  # fmt: skip
        environ = {"KEY": READ_WRITE, "HOOK": web.url, "TOKEN": "1:abc", "SLACK": f"{slack.url}/services/x"}
        append(tmp_path, ("backup", "success"), ("index", "success"))
        with running(tmp_path, **environ):
            time.sleep(2.5)
            append(tmp_path, ("backup", "fail"))
            for receiver in (web, telegram, slack):
                receiver.wait(1)
            time.sleep(0.5)  # so that it is recorded, too: what a kill cuts short is sent once more
        fleet._store(fleet.jobs[1], datetime.now(UTC), "fail", None, b"")
        append(tmp_path, ("backup", "success"), ("index", "success"))
        with running(tmp_path, **environ) as watch:
            for receiver in (web, telegram, slack):
                receiver.wait(3)
            time.sleep(1.2)
            ended(watch)
        told = [(row["data"]["event"], row["data"]["members"]) for row in (taken.json for taken in web.taken)]
        assert sorted(told) == [("open", ["backup"]), ("open", ["job-1"]), ("resolve", ["backup"])]
        assert [len(receiver.taken) for receiver in (telegram, slack)] == [3, 3]
        opened = next(taken.json for taken in web.taken if taken.json["data"]["members"] == ["backup"])
        row = opened["data"]
        assert (at(row["told_at"]) - at(row["opened_at"])).total_seconds() < 30  # within a tick, on a machine that is busy
    said = (tmp_path / "qpa.duckdb-state").read_bytes()
    assert READ_WRITE.encode() not in said and b"1:abc" not in said


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_watch_that_is_killed_again_and_again_loses_no_alert_and_tells_none_in_two_ways(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    with Receiver() as web:
        (tmp_path / "qpa.toml").write_text(FILES + WEBHOOK + ALONE + '[watch]\ntick = "0.1 s"\nfeed = "1 h"\n')
        append(tmp_path, ("first", "success"))
        broken = 0
        for _ in range(4):
            with running(tmp_path, **hook(web.url)) as watch:
                time.sleep(0.7 + 0.5 * chance.random())
                for _ in range(3):
                    append(tmp_path, (f"job-{broken}", "fail"))
                    broken += 1
                    time.sleep(0.2 * chance.random())
                watch.kill()
        with running(tmp_path, **hook(web.url)) as watch:
            up(watch)
            for _ in range(300):
                if len(_members(web)) == broken:
                    break
                time.sleep(0.1)
            ended(watch)
    keys: dict[str, set[str]] = {}
    for taken in web.taken:
        keys.setdefault(taken.json["data"]["members"][0], set()).add(taken.headers["webhook-id"])
    assert set(keys) == {f"job-{n}" for n in range(broken)}
    assert {len(found) for found in keys.values()} == {1}  # a repetition has the key of the first
    assert len(web.taken) - broken <= 4


def _members(web: Receiver) -> Counter[Any]:
    return Counter(taken.json["data"]["members"][0] for taken in list(web.taken))


def test_a_second_watch_says_so_and_waits_and_takes_over(tmp_path: Path) -> None:
    (tmp_path / "qpa.toml").write_text(FILES + '[watch]\ntick = "0.2 s"\n')
    append(tmp_path, ("job", "success"))
    with running(tmp_path) as first:
        assert first.stderr is not None and "watching 1 source" in first.stderr.readline()
        with running(tmp_path) as second:
            assert second.stderr is not None
            assert f"another qpa watch (process {first.pid}) watches this store" in second.stderr.readline()
            first.kill()
            assert "watching 1 source" in second.stderr.readline()
            ended(second)


def test_it_ends_within_five_seconds_while_a_source_and_a_channel_hang(tmp_path: Path) -> None:
    fleet = Fleet(checks=1, pings=3)
    with Server(fleet) as server, Receiver("hang") as web:
        server.fault("hang", n=100)
        (tmp_path / "qpa.toml").write_text(
            f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n{FILES}{WEBHOOK}'
            '[watch]\ntick = "0.2 s"\nfeed = "1 h"\n'
        )
        append(tmp_path, ("job", "success"))
        with running(tmp_path, KEY=READ_WRITE, **hook(web.url)) as watch:
            time.sleep(2.0)
            append(tmp_path, ("job", "fail"))
            web.wait(1)  # the source that hangs has not delayed it
            ended(watch)


def test_the_watch_pings_in_turn_and_never_says_where(tmp_path: Path) -> None:
    with Server() as server:
        (tmp_path / "qpa.toml").write_text(FILES + '[watch]\nping_url = "env:WATCHDOG"\n')
        append(tmp_path, ("job", "success"))
        url = f"{server.url}ping/very-secret"
        done = start(tmp_path, "--once", WATCHDOG=url)
        _, said = done.communicate(timeout=60)
        assert done.returncode == 0 and server.asked == ["/ping/very-secret"]
    assert "ping_url: the ping was not taken (status 401)" in said and "secret" not in said


def test_what_is_asked_of_incidents_on_the_command_line(tmp_path: Path) -> None:
    from command import qpa

    (tmp_path / "qpa.toml").write_text(FILES + check("backup") + '[watch]\nfeed = "1000 d"\n')
    (tmp_path / "pings.csv").write_text("check,received_at\nbackup,2026-11-24T06:00:10Z\n")
    assert qpa(tmp_path, "incidents", "--format", "json").stdout == "[]\n"
    for clock in ("06:01", "06:06:30"):
        done = qpa(tmp_path, "watch", "--once", "--as-of", f"2026-11-24T{clock}Z")
        assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0 new pings; 1 incident opened, 0 resolved, 1 open; 0 messages to send\n"
    (row,) = json.loads(qpa(tmp_path, "incidents", "--format", "json", "--open").stdout)
    assert (row["check"], row["kind"], row["members"], row["alerts"]) == ("backup", "missed", ["backup"], 0)
    assert row["evidence"][0]["deadline_at"] == "2026-11-24T06:06:00Z"
    assert qpa(tmp_path, "incidents", "--fail-on-open").returncode == 1
    for args, status, said in (
        (("ack", row["incident"]), 0, "acknowledged"),
        (("snooze", row["incident"][:5], "--for", "2 h"), 0, "snoozed for 2 h"),
        (("snooze", row["incident"], "--for", "soon"), 2, "is not a duration"),
        (("resolve", row["incident"]), 0, "resolved"),
        (("resolve", row["incident"]), 2, "is over already"),
        (("ack", "nothing"), 2, 'there is no incident "nothing"'),
    ):
        done = qpa(tmp_path, "incidents", *args)
        assert done.returncode == status and said in done.stdout + done.stderr, done.stderr
    done = qpa(tmp_path, "watch", "--as-of", "2026-11-24T07:00Z")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--once" in done.stderr


def test_a_watch_says_at_its_start_which_channel_it_cannot_use(tmp_path: Path) -> None:
    chat = '[[channel]]\nname = "chat"\nkind = "telegram"\ntoken = "env:MISSING_TOKEN"\nchat = "-1"\n'
    (tmp_path / "qpa.toml").write_text(FILES + check("backup", "0 0 1 1 *", "1 h") + chat)
    append(tmp_path, ("backup", "success"))
    with running(tmp_path) as watch:
        assert watch.stderr is not None
        said = [watch.stderr.readline(), watch.stderr.readline()]
        assert any('channel "chat": token: MISSING_TOKEN is not set' in line for line in said), said
        ended(watch)
