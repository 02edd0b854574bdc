"""Units as workers: a real systemd, replies recorded from one, and a systemctl that fails on purpose."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from systemd_user import Manager, running

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources import SNAPSHOTS, open_configured
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.workers import systemd
from qpanalytics.sources.workers.systemd import looked, looks, parsed

RECORDED = (Path(__file__).parent / "recordings/workers/systemd-252.txt").read_text(encoding="utf-8")
TAKEN = datetime(2026, 11, 24, 18, 44, 53, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 18, 45, tzinfo=UTC)
FIGURES = ("busy", "last_seen_at", "expected_period_s", "oldest_running_s", "queues", "restarts")
SLEEP = "[Service]\nExecStart=/bin/sleep 600\n"
UNITS = {
    "worker@.service": SLEEP,
    "back.service": SLEEP + "Restart=always\nRestartSec=10ms\n",
    "killed.service": SLEEP,
    "loop.service": "[Service]\nExecStart=/bin/sh -c 'exit 3'\nRestart=always\nRestartSec=600\n",
    "limited.service": "[Unit]\nStartLimitBurst=2\n[Service]\nExecStart=/bin/sh -c 'exit 4'\nRestart=always\nRestartSec=10ms\n",
    "once.service": "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n",
    "never.service": SLEEP,
}


def source(clock: Callable[[], datetime] = lambda: NOW, **options: Any) -> systemd.Systemd:
    return systemd.from_settings(SourceTable(name="box", kind="systemd", **options), "", clock)


def by_name(snapshot: Snapshot | list[WorkerLook]) -> dict[str, WorkerLook]:
    return {row.worker: row for row in (snapshot.workers if isinstance(snapshot, Snapshot) else snapshot)}


def recorded() -> dict[str, WorkerLook]:
    return by_name([looked(unit, TAKEN) for unit in parsed(RECORDED)])


def unit(**told: str) -> WorkerLook:
    """The row of a service that runs, but for what is told."""
    runs = {"Id": "w.service", "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "MainPID": "7",
            "NRestarts": "0"}  # fmt: skip
    return looked(runs | told, TAKEN)


# A real systemd -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with running(UNITS) as found:
        found.ctl("start", "worker@1", "worker@2", "back", "killed", "loop", "limited", "once")
        found.ctl("kill", "-s", "KILL", "killed")
        for name, sub in (("killed", "failed"), ("loop", "auto-restart"), ("limited", "failed"), ("once", "exited")):
            found.until(name, sub)
        yield found


@pytest.fixture
def asked(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Manager:
    monkeypatch.setenv("PATH", str(manager.folder), prepend=os.pathsep)
    return manager


def test_each_state_of_a_unit_is_told_as_what_it_means_for_work(asked: Manager) -> None:
    units = ["worker@*", "killed", "loop", "limited", "once", "never", "basic.target", "typo", "nobody@*.service"]
    rows = by_name(source(lambda: datetime.now(UTC), units=units).snapshot({}))

    assert {name: (row.state, row.restarts, row.why.split("; busy")[0]) for name, row in rows.items()} == {
        "worker@1.service": ("alive", 0, rows["worker@1.service"].why.split("; busy")[0]),
        "worker@2.service": ("alive", 0, rows["worker@2.service"].why.split("; busy")[0]),
        "killed.service": ("gone", 0, "state: failed (failed): killed by SIGKILL"),
        "loop.service": ("gone", 0, "state: activating (auto-restart): crash loop, exited with 3, waits to be started again"),
        "limited.service": ("gone", 2, "state: failed (failed): exited with 4"),
        "once.service": ("gone", 0, "state: active (exited): no process is left, exited with 0"),
        "never.service": ("gone", 0, "state: inactive (dead): no process ran yet"),
        "basic.target": ("unknown", None, "state: active (active); a target has no process of its own"),
        "typo.service": ("unknown", None, "state, restarts, last_seen_at: no such unit"),
        "nobody@*.service": ("unknown", None, "state, restarts, last_seen_at: no unit matches"),
    }
    assert rows["worker@1.service"].why.startswith("busy, ")


def test_a_service_killed_between_two_looks_was_restarted(asked: Manager) -> None:
    opened = source(units=["back"])
    before = by_name(opened.snapshot({}))["back.service"]
    pid = asked.ctl("show", "-p", "MainPID", "--value", "back")
    asked.ctl("kill", "-s", "KILL", "back")
    until = time.monotonic() + 10
    while (now := asked.ctl("show", "-p", "MainPID", "--value", "back")) == pid or now.strip() == "0":
        assert time.monotonic() < until
    after = by_name(opened.snapshot({}))["back.service"]

    assert (before.state, after.state) == ("alive", "alive")
    assert (after.restarts or 0) - (before.restarts or 0) == 1


def test_an_instance_that_is_stopped_is_no_longer_matched_and_gone_by_its_name(asked: Manager) -> None:
    asked.ctl("start", "worker@3")
    opened = source(lambda: NOW, units=["worker@3*", "worker@3.service"])
    first = opened.snapshot({})
    asked.ctl("stop", "worker@3")
    rows = by_name(opened.snapshot(first.next_cursor))

    assert [row.worker for row in first.workers] == ["worker@3.service"]
    assert rows["worker@3.service"].state == "gone"


# Recorded -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "restarts", "said"),
    [
        ("good@1", "alive", 0, ""),
        ("back", "alive", 1, ""),
        ("oneshot", "alive", 0, ""),
        ("dog", "alive", 0, ""),
        ("starting", "unknown", 0, "state: activating (start): being started"),
        ("stopping", "alive", 0, "state: deactivating (stop-sigterm): being stopped"),
        ("crash", "gone", 3, "state: activating (auto-restart): crash loop, exited with 3, waits to be started again"),
        ("failed", "gone", 0, "state: failed (failed): exited with 5"),
        ("killed", "gone", 0, "state: failed (failed): killed by SIGKILL"),
        ("never", "gone", 0, "state: inactive (dead): no process ran yet"),
    ],
)
def test_recorded_units_are_told_as_what_they_mean(name: str, state: str, restarts: int, said: str) -> None:
    row = recorded()[f"{name}.service"]

    assert (row.state, row.restarts) == (state, restarts)
    assert (row.why.split("; busy")[0] if "state" in row.why else "") == said


def test_a_unit_that_runs_was_seen_now_and_an_ended_one_when_it_ended() -> None:
    rows = recorded()

    assert rows["good@1.service"].last_seen_at == TAKEN
    assert rows["stopping.service"].last_seen_at == TAKEN
    assert rows["limited.service"].last_seen_at == datetime(2026, 11, 24, 18, 44, 51, tzinfo=UTC)
    assert rows["never.service"].last_seen_at is None
    assert "last_seen_at: no process ran since systemd loaded it" in rows["never.service"].why


def test_a_watchdog_is_a_heartbeat_with_a_period() -> None:
    row = recorded()["dog.service"]

    assert (row.last_seen_at, row.expected_period_s) == (datetime(2026, 11, 24, 18, 44, 51, tzinfo=UTC), 90.0)
    silent = unit(WatchdogUSec="30s", WatchdogTimestamp=f"@{int(TAKEN.timestamp()) - 40}")
    assert (silent.state, silent.last_seen_at) == ("stale", TAKEN - timedelta(seconds=40))
    assert "state: no ping to the watchdog for 40 s" in silent.why


@pytest.mark.parametrize(
    ("told", "period_s"),
    [("1min 30s", 90), ("500ms", 0.5), ("2h", 7200), ("1d 1s", 86401), ("infinity", None), ("0", None), ("", None), ("3x", None)],
)
def test_spans_are_read_as_systemd_writes_them(told: str, period_s: float | None) -> None:
    assert unit(WatchdogUSec=told, WatchdogTimestamp=f"@{int(TAKEN.timestamp())}").expected_period_s == period_s


def test_every_figure_that_is_not_known_has_its_reason() -> None:
    rows, _ = looks(["*", "absent", "nothing@*"], parsed(RECORDED), {}, TAKEN)
    old, _ = looks(["*"], parsed(RECORDED), {}, TAKEN, stamped=False)

    assert len(rows) == 18
    for row in rows + old:
        named = {name for part in row.why.split("; ") for name in part.split(":")[0].split(", ")}
        assert {figure for figure in FIGURES if getattr(row, figure) is None} <= named


@pytest.mark.parametrize(
    ("told", "state", "said"),
    [
        ({"ActiveState": "reloading", "SubState": "reload"}, "alive", "state: reloading (reload)"),
        ({"ActiveState": "deactivating", "SubState": "stop-post", "MainPID": "0", "ExecMainCode": "2", "ExecMainStatus": "15"},
         "gone", "state: deactivating (stop-post): killed by SIGTERM"),
        ({"ActiveState": "failed", "SubState": "failed", "MainPID": "0", "ExecMainCode": "3", "ExecMainStatus": "6",
          "Result": "watchdog"}, "gone", "state: failed (failed): killed by SIGABRT, core dumped (watchdog)"),
        ({"ActiveState": "failed", "SubState": "failed", "MainPID": "0", "ExecMainCode": "2", "ExecMainStatus": "9",
          "Result": "oom-kill"}, "gone", "state: failed (failed): killed by SIGKILL (oom-kill)"),
        ({"ActiveState": "failed", "SubState": "failed", "MainPID": "0", "Result": "resources"},
         "gone", "state: failed (failed): no process ran yet (resources)"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "MainPID": "0", "ExecMainCode": "1", "ExecMainStatus": "0",
          "Result": "success"}, "gone", "state: activating (auto-restart): exited with 0, waits to be started again"),
        ({"ActiveState": "activating", "SubState": "auto-restart-queued", "MainPID": "0", "Result": "exit-code"},
         "gone", "state: activating (auto-restart-queued): crash loop, no process ran yet, waits to be started again"),
        ({"LoadState": "masked", "ActiveState": "inactive", "SubState": "dead", "MainPID": "0"},
         "gone", "state: inactive (dead), masked: no process ran yet"),
        ({"ActiveState": "deactivating", "SubState": "stop-watchdog"},
         "stale", "state: deactivating (stop-watchdog): its watchdog had no ping in time, and it is being killed"),
        ({"Type": "oneshot", "ActiveState": "inactive", "SubState": "dead", "MainPID": "0", "ExecMainCode": "1",
          "ExecMainStatus": "0"}, "gone", "state: inactive (dead): exited with 0, as a oneshot is between its runs"),
        ({"LoadState": "not-found"}, "alive", "state: active (running), its unit file is missing"),
        ({"ActiveState": "maintenance", "SubState": "x\u202e"}, "unknown", "state: maintenance (x\\u202e)"),
    ],
)  # fmt: skip
def test_rare_states_are_told_too(told: dict[str, str], state: str, said: str) -> None:
    row = unit(**told)

    assert (row.state, row.why.split("; busy")[0]) == (state, said)


def test_without_a_count_of_restarts_there_is_none() -> None:
    row = unit(NRestarts="")

    assert row.restarts is None
    assert "restarts: not told for this kind of unit, nor by systemd before 235" in row.why


def test_a_unit_by_two_names_is_one_row_and_an_alias_finds_it() -> None:
    block = RECORDED.split("\n\n")[0].replace("Names=crash.service", "Names=crash.service alias.service")
    rows, seen = looks(["crash", "alias", "crash.service"], parsed(f"{block}\n\n{block}\n"), {}, TAKEN)

    assert [row.worker for row in rows] == ["crash.service"]
    assert seen == {}


def test_a_name_that_is_written_twice_is_told_once() -> None:
    rows, _ = looks(["absent", "absent.service", "no@*", "no@*"], parsed(RECORDED), {}, TAKEN)

    assert [row.worker for row in rows][-2:] == ["absent.service", "no@*"]


def test_a_unit_that_was_seen_and_is_no_longer_there_is_gone() -> None:
    _, seen = looks(["good@1", "good@*"], parsed(RECORDED), {}, TAKEN)
    missing = RECORDED[RECORDED.index("Type=\n") :].split("\n\n")[0].replace("absent", "good@1")
    rows, _ = looks(["good@1", "good@*"], parsed(missing), {"seen": seen}, TAKEN + timedelta(minutes=1))

    assert [(row.worker, row.state, row.last_seen_at) for row in rows] == [
        ("good@1.service", "gone", TAKEN), ("good@*", "gone", TAKEN)
    ]  # fmt: skip


# A systemctl that is told what to do ----------------------------------------------------------------------------------


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a script of this text on PATH; its arguments are written beside it."""

    def put(script: str) -> Path:
        program = tmp_path / "systemctl"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" -- >> {tmp_path}/asked\n{script}\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        return tmp_path / "asked"

    return put


RUNS = "printf 'Id=%s.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=7\\nNRestarts=0\\n\\n'"


def failure(**options: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source(**{"units": ["w"], **options}).snapshot({})
    assert "\n" not in str(caught.value)
    return caught.value


def test_all_units_are_asked_for_at_once_and_none_is_taken_for_an_option(systemctl: Callable[[str], Path]) -> None:
    asked = systemctl(f"{RUNS} a; {RUNS} b")
    source(units=["a", "b", "c@*"], queues=["mail"]).snapshot({})

    assert asked.read_text().split("\n") == [
        "show", "--no-pager", f"--property={systemd.PROPERTIES}", "--timestamp=unix", "--", "a", "b", "c@*", "--", ""
    ]  # fmt: skip


def test_an_older_systemctl_is_asked_without_epoch_seconds_and_what_is_unknown_is_said(systemctl: Callable[[str], Path]) -> None:
    asked = systemctl(
        'case "$*" in *--timestamp*) echo "systemctl: unrecognized option \'--timestamp=unix\'" >&2; exit 1;; esac\n'
        f"{RUNS} w; printf 'Id=d.service\\nLoadState=loaded\\nActiveState=failed\\nSubState=failed\\nMainPID=0\\n"
        "ExecMainExitTimestamp=Tue 2026-11-24 18:44:51 CET\\nExecMainCode=1\\nExecMainStatus=1\\n'"
    )
    opened = source(units=["w", "d"])
    rows = by_name(opened.snapshot({}))
    opened.snapshot({})

    assert (rows["w.service"].state, rows["w.service"].last_seen_at) == ("alive", NOW)
    assert (rows["d.service"].state, rows["d.service"].last_seen_at) == ("gone", None)
    assert "last_seen_at: this systemctl tells times as local text only" in rows["d.service"].why
    assert asked.read_text().count("show") == 3  # what it cannot do is not tried again


def test_a_systemctl_that_hangs_is_given_up_with_its_children(systemctl: Callable[[str], Path], tmp_path: Path) -> None:
    systemctl(f"sleep 61 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()
    error = failure(timeout=0.5)

    assert "box: systemctl did not answer in 0.5 s" in str(error)
    assert not error.permanent
    assert time.monotonic() - started < 3
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_child_that_keeps_the_output_open_cannot_hold_us(systemctl: Callable[[str], Path]) -> None:
    systemctl(f"{RUNS} w; sleep 61 & exit 0")

    assert "did not answer in 0.5 s" in str(failure(timeout=0.5))


@pytest.mark.parametrize(
    ("script", "said", "permanent"),
    [
        ("echo 'Failed to connect to bus: No\x1b[31m.' >&2; exit 1", 'ended with 1: "Failed to connect to bus: No\\x1b', False),
        ("exit 7", 'ended with 7: "nothing on stderr"', False),
        ("kill -9 $$", "ended with -9", False),
        ("echo \"System has not been booted with systemd as init system (PID 1). Can't operate.\" >&2; exit 1",
         "was not booted with systemd (a container is not); run this source where the units run", True),
        ("true", 'makes no sense: nothing of "w.service"', False),
        (f"{RUNS} other", 'makes no sense: nothing of "w.service"', False),
        ("echo '<html>'", 'makes no sense: "<html>" where a unit', False),
        ("printf 'Id=w.service\\nLoadState=lo'", "makes no sense", False),
        ("printf '\\377\\000\\n'", "makes no sense", False),
        ("yes | head -c 5000000", "wrote more than 4 MB", False),
        ("yes", "wrote more than 4 MB", False),
        ("yes >&2", "wrote more than 4 MB", False),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_failure_and_no_snapshot(
    systemctl: Callable[[str], Path], script: str, said: str, permanent: bool
) -> None:
    systemctl(script)
    error = failure()

    assert said in str(error)
    assert error.permanent is permanent


def test_a_file_that_is_no_program(systemctl: Callable[[str], Path], tmp_path: Path) -> None:
    systemctl("")
    (tmp_path / "systemctl").write_bytes(b"\x7fELFnonsense")

    assert "systemctl cannot be run" in str(failure())


def test_a_machine_without_systemctl_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = failure()

    assert str(error) == "box: there is no systemctl here; this kind reads the machine that it runs on."
    assert error.permanent


def test_the_real_systemctl_of_this_machine() -> None:
    if not Path("/usr/bin/systemctl").exists():
        pytest.skip("there is no systemctl here")
    if Path("/run/systemd/system").exists():
        rows = source(units=["qpanalytics-no-such-unit"]).snapshot({}).workers
        assert [(row.worker, row.state) for row in rows] == [("qpanalytics-no-such-unit.service", "unknown")]
    else:
        assert "this machine was not booted with systemd" in str(failure())


# Settings -------------------------------------------------------------------------------------------------------------


def test_the_kind_is_registered() -> None:
    assert SNAPSHOTS["systemd"] == "qpanalytics.sources.workers.systemd"
    opened = open_configured(SourceTable(name="box", kind="systemd", units=["w"]), {}, Path(), lambda: NOW)
    assert (opened.name, opened.system) == ("box", "systemd")  # type: ignore[union-attr]
    opened.close()


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ([], "it names no units"),
        (["--version"], "is no name of a unit"),
        (["-M"], "is no name of a unit"),
        (["two words"], "is no name of a unit"),
        (["../etc"], "is no name of a unit"),
        (["4711"], "is no name of a unit"),
        (["w;reboot"], "is no name of a unit"),
        (["worker@.service"], "is a template"),
        (["worker@"], "is a template"),
        ([f"w{n}" for n in range(201)], "201 units are too many"),
    ],
)
def test_names_that_are_no_units_are_refused(units: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        source(units=units)
