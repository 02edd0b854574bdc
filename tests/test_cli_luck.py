"""`qpa` where things go wrong around it: streams that are closed or full, an interrupt, a disk that takes nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import CHECKS, PINGS, ROOT, qpa, refused

AT = ("--as-of", "2026-10-30T04:00:00Z")
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of one month and a check with a name to stumble over: to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "pings.csv").write_text(PINGS + '"cr\rback🐘",2026-10-30T02:00:00Z,success\n', encoding="utf-8", newline="")
    (folder / "checks.csv").write_text(CHECKS)
    done = qpa(folder, "import", "pings.csv", "--checks", "checks.csv")
    assert (done.returncode, done.stderr) == (0, ""), done
    return folder


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """That folder to change."""
    return Path(shutil.copytree(filled, tmp_path, dirs_exist_ok=True))


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of sh with `qpa` in it."""
    text = command.replace("qpa ", f"{sys.executable} -m qpanalytics ")
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=ENV, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A small file system of its own in memory; skips where that cannot be had."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


@pytest.mark.parametrize("verb", ["checks", "checks --format csv", "checks --format json", "doctor", "report --format text"])
def test_a_closed_output_is_no_error(store: Path, verb: str) -> None:
    done = shell(store, f"qpa {verb} >&-; echo $? >&2")
    assert done.stderr.splitlines()[-1] in ("0", "1"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("verb", ["checks", "checks --format json", "report --format text", "--help"])
def test_a_full_output_is_one_line_and_exit_status_2(store: Path, verb: str) -> None:
    done = shell(store, f"qpa {verb} >/dev/full")
    said = [line for line in done.stderr.splitlines() if "as of" not in line and "end at" not in line]
    assert done.returncode == 2 and len(said) == 1 and "No space left" in said[0], done


def test_a_reader_that_leaves_is_no_error(store: Path) -> None:
    for verb in ("checks", "occurrences --format csv", "doctor"):
        done = shell(store, f"set -o pipefail; qpa {verb} | head -0; exit $?")
        assert "Traceback" not in done.stderr and "Broken" not in done.stderr, (verb, done.stderr)


def test_a_locale_without_our_characters_costs_a_question_mark(store: Path) -> None:
    done = qpa(store, "checks", *AT, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0 and "?" in done.stdout, done


def test_a_carriage_return_in_a_name_is_quoted(store: Path) -> None:
    raw = subprocess.run(
        [sys.executable, "-m", "qpanalytics", "checks", *AT, "--format", "csv"],
        cwd=store, env=ENV, capture_output=True, timeout=60, check=True,
    ).stdout.decode()  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(raw, newline="")))
    assert [row["check"] for row in rows] == ["backup", "cr\rback🐘"]


def test_json_holds_nothing_that_turns_a_terminal_around(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('check,received_at\n"a\u202eb\x9bc",2026-10-30T02:00:00Z\n', encoding="utf-8")
    qpa(tmp_path, "import", "p.csv")
    printed = qpa(tmp_path, "checks", "--format", "json").stdout
    assert "\\u202e" in printed and "\u202e" not in printed and "\x9b" not in printed
    assert json.loads(printed)[0]["check"] == "a\u202eb\x9bc"


def test_a_narrow_terminal_gets_fewer_columns_and_is_told_which_are_left_out(store: Path) -> None:
    shown = qpa(store, "success", *AT, COLUMNS="70").stdout
    assert max(map(len, shown.splitlines())) <= 70 or "not shown for want of room" in shown.splitlines()[-1]
    assert "backup" in shown and "not shown for want of room" in shown and "why" in shown.splitlines()[-1] + shown


def test_a_window_after_all_that_is_known_is_refused_in_one_line(store: Path) -> None:
    refused(qpa(store, "runs", "--since", "2026-11-20"), "window is empty", "2026-11-20", "2026-10-30")
    refused(qpa(store, "runs", "--since", "0d", *AT), "window is empty")


def test_what_was_not_found_is_looked_for_among_its_like(store: Path) -> None:
    refused(qpa(store, "checks", "--source", "zz"), "zz", "source files")
    (store / "qpa.toml").write_text('[[check]]\ncheck = "backup"\ntags = ["db"]\n')
    refused(qpa(store, "checks", "--tag", "nope"), "nope", "tag db")


def test_an_interrupt_is_one_line_and_the_store_stays_as_it_was(store: Path) -> None:
    many = "".join(f"job-{i % 9},{1_700_000_000 + i},{i}\n" for i in range(1_200_000))
    (store / "many.csv").write_text("check,received_at,run_id\n" + many)
    for wait_s in (1.0, 2.0):
        before = qpa(store, "runs", "--format", "json", *AT).stdout
        process = subprocess.Popen(
            [sys.executable, "-m", "qpanalytics", "import", "many.csv"],
            cwd=store, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # whoever runs the tests in the background has interrupts ignored, which a child inherits
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (130, "qpa: stopped\n"), (wait_s, said)
        assert qpa(store, "runs", "--format", "json", *AT).stdout == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_store_that_cannot_be_written_can_be_asked(store: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "ro", "20m") as folder:
        shutil.copy(store / "qpa.duckdb", folder)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        found = qpa(folder, "checks", *AT, "--format", "json")
        assert found.returncode == 0 and len(json.loads(found.stdout)) == 2
        refused(qpa(folder, "import", store / "pings.csv"), "qpa.duckdb", "cannot be written")
        assert "cannot be written" in qpa(folder, "doctor").stdout
        (store / "other.toml").write_text('[store]\npath = "ro/qpa.duckdb"\n[[check]]\ncheck = "backup"\ngrace = "5 s"\n')
        refused(qpa(store, "checks", "--config", "other.toml", *AT), "checks of the configuration changed", "copy")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_disk_that_fills_up_leaves_the_page_that_was_there(store: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "200k") as folder:
        qpa(store, "report", "--weekly", *AT, "--out", folder)
        (page,) = folder.iterdir()
        before = page.read_bytes()
        with (folder / "filler").open("wb") as filler:
            filler.write(bytes(os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - 4096))
        refused(qpa(store, "report", "--weekly", *AT, "--out", folder), "cannot be written", "No space left")
        assert page.read_bytes() == before and sorted(p.name for p in folder.iterdir()) == sorted([page.name, "filler"])
        with (folder / "filler").open("ab") as filler:
            filler.write(bytes(4096))
        refused(qpa(store, "init", folder / "qpa.toml"), "cannot be written", "No space left")
        assert not (folder / "qpa.toml").exists()
