"""`qpa doctor` on live sources: whether they answer, whether they are asked often enough, whether they agree with us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import qpa
from healthchecks_server import READ_ONLY, READ_WRITE, Fleet, Server

NOW = datetime.now(UTC).replace(microsecond=0)


def configured(folder: Path, server: Server, every: str = "5 min") -> Path:
    (folder / "qpa.toml").write_text(
        f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\nevery = "{every}"\n'
    )
    return folder


def doctor(folder: Path, key: str = READ_WRITE) -> str:
    done = qpa(folder, "doctor", KEY=key)
    assert done.returncode in (0, 1) and done.stderr == "", done
    assert key not in done.stdout
    return done.stdout


def test_it_says_how_often_to_collect_before_a_ping_is_lost(tmp_path: Path) -> None:
    # 30 pings, one every 30 s: a window of 100 is full after 50 min
    fleet = Fleet(checks=1, pings=30, period_s=30, start=NOW - timedelta(minutes=20))
    with Server(fleet) as server:
        folder = configured(tmp_path, server)
        assert "nothing was collected yet" in doctor(folder)
        qpa(folder, "collect", KEY=READ_WRITE)
        said = doctor(folder)
        assert "ok    source prod: collect every 50 min or faster, or job-0 loses pings (the source shows its last 100)" in said
        assert "note  source prod: collect every 50 min" in doctor(configured(tmp_path, server, "30 min"))
        said = doctor(configured(tmp_path, server, "2 h"))
        assert "bad   source prod: collect every 50 min" in said and "it is looked at every 2 h" in said


def test_it_asks_the_source_and_tells_what_the_key_may_not(tmp_path: Path) -> None:
    with Server(Fleet(checks=2, pings=3, start=NOW - timedelta(hours=1))) as server:
        folder = configured(tmp_path, server)
        done = qpa(folder, "collect", KEY=READ_ONLY)
        assert done.returncode == 3 and "read-only" in done.stderr and READ_ONLY not in done.stderr
        assert "bad   source prod: last look" in doctor(folder, READ_ONLY) and "read-only" in doctor(folder, READ_ONLY)
        assert "refused" in doctor(folder, "x" * 32)
    assert "bad   source prod: nothing listens at" in doctor(folder)


def test_it_notes_a_clock_that_is_off(tmp_path: Path) -> None:
    fleet = Fleet(checks=1, pings=3, start=NOW - timedelta(hours=1))
    with Server(fleet, clock=lambda: datetime.now(UTC) - timedelta(minutes=10)) as server:
        folder = configured(tmp_path, server)
        qpa(folder, "collect", KEY=READ_WRITE)
        assert "its clock is 10 min behind this one" in doctor(folder)


@pytest.mark.parametrize("order", [1, -1])
def test_downs_that_the_server_saw_are_compared_with_ours(tmp_path: Path, order: int) -> None:
    fleet = Fleet(checks=1, pings=2, period_s=7200, start=NOW - timedelta(hours=4))
    # every 1 h with a grace of 1 min: down an hour and a minute after the first ping, up with the second
    first, second = (at for _, at, _ in fleet.jobs[0].rows)
    flips = [
        {"timestamp": (first + timedelta(minutes=61)).replace(microsecond=0).isoformat(), "up": 0},
        {"timestamp": second.replace(microsecond=0).isoformat(), "up": 1},
    ]
    fleet.jobs[0].flips = flips[::order]
    with Server(fleet) as server:
        folder = configured(tmp_path, server)
        qpa(folder, "collect", KEY=READ_WRITE)
        assert "the 1 down that it saw in the last week are ours, too" in doctor(folder)
        fleet.jobs[0].flips.append({"timestamp": (second + timedelta(minutes=5)).isoformat(), "up": 0})
        assert "note  source prod: of 2 times that it turned one of 1 check off" in doctor(folder)
