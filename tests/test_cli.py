"""`qpa` as people run it: a process, its output, its exit status, and what a mistake says."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from command import CHECKS, PINGS, qpa, refused


@pytest.fixture
def store(month: Path, tmp_path: Path) -> Path:
    """A folder with a store of one month, one run missed."""
    return Path(shutil.copytree(month, tmp_path, dirs_exist_ok=True))


def test_a_month_of_pings_becomes_occurrences_in_json_and_csv(store: Path) -> None:
    found = qpa(store, "occurrences", "--format", "json", "--as-of", "2026-10-30T04:00:00Z")
    rows = json.loads(found.stdout)
    assert [r["outcome"] for r in rows].count("on_time") == 29
    missed = [r for r in rows if r["outcome"] == "missed"]
    assert [(r["expected_at"], r["deadline_at"], r["lateness_s"]) for r in missed] == [
        ("2026-10-12T03:00:00Z", "2026-10-12T03:10:00Z", None)
    ]
    assert rows[0]["lateness_s"] == 20.0
    printed = qpa(store, "occurrences", "--format", "csv", "--as-of", "2026-10-30T04:00:00Z").stdout
    table = list(csv.DictReader(io.StringIO(printed)))
    assert [r["outcome"] for r in table] == [r["outcome"] for r in rows]


def test_files_that_end_long_ago_are_taken_as_the_present_and_it_is_said(store: Path) -> None:
    # The window asked for lies after everything in the files.
    found = qpa(store, "checks", "--format", "json")
    assert json.loads(found.stdout)[0]["status"] in ("up", "unknown")
    told = qpa(store, "report", "--weekly", "--format", "text")
    assert told.returncode == 0
    assert "2026-10-30T03:00:20Z" in told.stderr + told.stdout


def test_a_second_import_adds_nothing(store: Path) -> None:
    again = qpa(store, "import", "pings.csv", "--checks", "checks.csv")
    assert "29 pings, 0 new" in again.stdout


def test_fail_on_gives_exit_status_1(store: Path) -> None:
    at = ("--as-of", "2026-10-12T03:30:00Z")
    assert qpa(store, "checks", "--fail-on", "down", *at).returncode == 1
    assert qpa(store, "checks", "--fail-on", "unknown", *at).returncode == 0


def test_help_and_version_need_no_store(tmp_path: Path) -> None:
    shown = qpa(tmp_path, "--help")
    assert shown.returncode == 0 and "occurrences" in shown.stdout and "import" in shown.stdout
    assert qpa(tmp_path, "--version").stdout.startswith("qpanalytics ")
    for command in (["qpa"], [sys.executable, "-m", "qpanalytics"]):  # as installed, in a Python of its own
        done = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout.startswith("qpanalytics ") and done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_the_page_is_the_same_to_the_byte_and_follows_no_machine_time_zone(store: Path) -> None:
    at = ("report", "--weekly", "--as-of", "2026-10-20T08:00:00Z")
    first = qpa(store, *at, "--out", "a", PYTHONHASHSEED="1")
    second = qpa(store, *at, "--out", "b", PYTHONHASHSEED="2")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    (one,), (two,) = (store / "a").iterdir(), (store / "b").iterdir()
    assert one.name == two.name == "weekly-2026-10-12.html"
    assert one.read_bytes() == two.read_bytes()
    assert "<script" not in one.read_text() and "http" not in one.read_text().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("occurrences", "--since", "2026-11-02", "--until", "2026-11-01"), ("--since", "--until")),
        (("occurrences", "--since", "yesterday-ish"), ("--since", "yesterday-ish")),
        (("report", "--tz", "Europe/Atlantis"), ("Europe/Atlantis",)),
        (("report", "--weekly", "--since", "2026-10-01"), ("--weekly",)),
        (("report", "--format", "pdf"), ("pdf",)),
        (("checks", "--fail-on", "broken"), ("broken", "down")),
        (("success", "--by", "moon"), ("moon",)),
        (("occurrences", "--check", "nobody"), ("nobody", "backup")),
        (("occurrences", "--format", "xml"), ("xml",)),
        (("wobble",), ("wobble",)),
        (("import",), ("name ping files",)),
        (("import", "nowhere.csv"), ("nowhere.csv",)),
        (("import", "pings.csv", "--covers-until", "2199-01-01"), ("future",)),
        (("import", "pings.csv", "--map", "nothing"), ("theirs=ours",)),
        (("checks", "--config", "nowhere.toml"), ("nowhere.toml", "qpa init")),
        (("checks", "--db", "pings.csv"), ("pings.csv", "not a qpanalytics store")),
        (("checks", "--db", "none.duckdb"), ("none.duckdb", "qpa import")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_line_and_exit_status_2(store: Path, args: tuple[str, ...], words: tuple[str, ...]) -> None:
    before = (store / "qpa.duckdb").read_bytes()
    refused(qpa(store, *args), *words)
    assert (store / "qpa.duckdb").read_bytes() == before


def test_bad_rows_leave_the_store_as_it_was_and_can_be_skipped(store: Path) -> None:
    before = (store / "qpa.duckdb").read_bytes()
    (store / "bad.csv").write_text("check,received_at\nbackup,2026-11-01T03:00:00Z\nbackup,2026-11-02 03:00\n")
    refused(qpa(store, "import", "bad.csv"), "bad.csv line 3", "received_at", "2026-11-02 03:00", "--skip-bad")
    assert (store / "qpa.duckdb").read_bytes() == before
    done = qpa(store, "import", "bad.csv", "--skip-bad")
    assert "1 new, 1 bad left out" in done.stdout, done
    assert "left out: bad.csv line 3: received_at" in done.stderr


def test_what_a_check_file_says_in_vain_is_told(store: Path) -> None:
    (store / "more.csv").write_text("check,schedule,colour\nother,every 1 h,red\n")
    done = qpa(store, "import", "--checks", "more.csv")
    assert (done.returncode, done.stderr) == (0, 'qpa: more.csv: "colour" is not a column of check files and was ignored\n')


def test_figures_of_verdicts_are_json_in_csv_too(store: Path) -> None:
    at = ("--as-of", "2026-10-12T04:00:00Z")
    printed = qpa(store, "verdicts", "--format", "csv", *at).stdout
    row, *_ = csv.DictReader(io.StringIO(printed))
    same, *_ = json.loads(qpa(store, "verdicts", "--format", "json", *at).stdout)
    assert json.loads(row["figures"]) == same["figures"] and row["sentence"] == same["sentence"]
    assert same["kind"] == "down"
    # a sentence is folded where the terminal is narrow
    assert row["sentence"] in " ".join(qpa(store, "verdicts", *at, COLUMNS="200").stdout.split())


@pytest.mark.parametrize("verb", ["success", "lateness"])
def test_figures_by_weekday_split_a_check_by_its_own_clock(store: Path, verb: str) -> None:
    found = qpa(store, verb, "--by", "weekday", "--as-of", "2026-10-30T04:00:00Z", "--format", "json")
    rows = json.loads(found.stdout)
    # the last day, a Friday, is seen until 03:00:20 only, before its deadline
    assert [(r["weekday"], r["n"]) for r in rows] == [(1, 4), (2, 4), (3, 4), (4, 5), (5, 4), (6, 4), (7, 4)]


def test_a_first_import_that_fails_leaves_no_store_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("check,received_at\nbackup,soon\n")
    refused(qpa(tmp_path, "import", "bad.csv"), "bad.csv line 2", "soon")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]


def test_a_store_that_is_newer_foreign_or_cut_short_is_refused_in_one_line(store: Path) -> None:
    newer = store / "newer.duckdb"
    shutil.copy(store / "qpa.duckdb", newer)
    with duckdb.connect(str(newer)) as con:
        con.execute("update store.meta set version = 99")
    refused(qpa(store, "checks", "--db", newer), "schema 99", "Upgrade")
    with duckdb.connect(str(store / "other.duckdb")) as con:
        con.execute("create table mine (a integer)")
    refused(qpa(store, "checks", "--db", "other.duckdb"), "something else")
    (store / "cut.duckdb").write_bytes((store / "qpa.duckdb").read_bytes()[:100_000])
    refused(qpa(store, "checks", "--db", "cut.duckdb"), "cut.duckdb")
    (store / "empty.duckdb").write_bytes(b"")
    refused(qpa(store, "checks", "--db", "empty.duckdb"))


def test_a_held_store_names_the_holder(store: Path) -> None:
    from qpanalytics.errors import StoreBusy
    from qpanalytics.store.db import Store

    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(store / "qpa.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match=rf"held by process {holder.pid}"), Store(store / "qpa.duckdb", patience_s=0.3).read():
            pass
        holder.communicate("")
    assert qpa(store, "checks").returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[store]\npaht = 'x'\n", ("paht", "path")),
        ("[store\n", ("qpa.toml", "line 1")),
        ("[[check]]\ncheck = 'a'\nschedule = '61 * * * *'\n", ("schedule", "61 * * * *")),
        ("[[check]]\ncheck = 'a'\ngrace = '5 parsecs'\nschedule = '0 3 * * *'\n", ("grace", "5 parsecs")),
        ("[report]\ntz = 'Mars/Olympus'\n", ("tz", "Mars/Olympus")),
    ],
)
def test_a_typo_in_the_configuration_names_file_and_field(store: Path, text: str, words: tuple[str, ...]) -> None:
    (store / "qpa.toml").write_text(text)
    refused(qpa(store, "checks"), "qpa.toml", *words)


def test_hostile_names_steer_neither_terminal_nor_sheet_nor_page(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "=cmd()", "\x1b[31mred", "\u202egnp", "two\nlines", 'say "hi"', "🐘"]
    with (tmp_path / "pings.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["check", "received_at"])
        rows.writerows([name, f"2026-10-0{day}T00:00:00Z"] for name in names for day in range(1, 8))
    tables = [f"[[check]]\ncheck = {json.dumps(n, ensure_ascii=False)}\nschedule = '0 0 * * *'\n" for n in names]
    (tmp_path / "qpa.toml").write_bytes("".join(tables).encode())
    assert qpa(tmp_path, "import", "pings.csv").returncode == 0
    found = qpa(tmp_path, "checks", "--format", "json", "--as-of", "2026-10-07T00:00:00Z")
    assert sorted(r["check"] for r in json.loads(found.stdout)) == sorted(names)
    table = qpa(tmp_path, "checks", "--as-of", "2026-10-07T00:00:00Z").stdout
    assert "\x1b[31m" not in table and "\u202e" not in table
    assert "'=cmd()" in qpa(tmp_path, "checks", "--format", "csv", "--as-of", "2026-10-07T00:00:00Z").stdout
    made = qpa(tmp_path, "report", "--since", "2026-10-01", "--until", "2026-10-07", "--as-of", "2026-10-07T00:00:00Z")
    assert made.returncode == 0, made.stderr
    (page,) = (tmp_path / "reports").iterdir()
    assert "<script" not in page.read_text(encoding="utf-8")


def test_doctor_and_init_say_what_to_do(tmp_path: Path) -> None:
    assert "qpa.toml written" in qpa(tmp_path, "init").stdout
    refused(qpa(tmp_path, "init"), "left as it is")
    looked = qpa(tmp_path, "doctor")
    assert looked.returncode == 0 and "qpa import" in looked.stdout
    (tmp_path / "pings.csv").write_text(PINGS + "lonely,2026-10-30T05:00:00Z,success\n")
    (tmp_path / "checks.csv").write_text(CHECKS)
    qpa(tmp_path, "import", "pings.csv", "--checks", "checks.csv")
    assert "lonely has no schedule" in qpa(tmp_path, "doctor").stdout


def test_a_configured_check_takes_effect_without_an_import(store: Path) -> None:
    at = ("--as-of", "2026-10-12T03:30:00Z", "--format", "json")
    (store / "qpa.toml").write_text('[[check]]\ncheck = "backup"\ngrace = "5 s"\nseverity = "critical"\n')
    (row,) = json.loads(qpa(store, "checks", *at).stdout)
    assert (row["grace_s"], row["severity"], row["schedule"]) == (5.0, "critical", "0 3 * * *")
    outcomes = {r["outcome"] for r in json.loads(qpa(store, "occurrences", *at).stdout)}
    assert outcomes == {"late", "missed"}
    (store / "qpa.toml").write_text("[[maintenance]]\nfrom = 2026-10-12T00:00:00Z\nuntil = 2026-10-13T00:00:00Z\n")
    outcomes = {r["outcome"] for r in json.loads(qpa(store, "occurrences", *at).stdout)}
    assert outcomes == {"on_time", "excused"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_is_one_line_and_the_store_stays_as_it_was(store: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        shutil.copy(store / "qpa.duckdb", small / "qpa.duckdb")
        many = "".join(f"job-{i % 50},{1_700_000_000 + i * 7},{i:040d}\n" for i in range(200_000))
        (store / "many.csv").write_text("check,received_at,run_id\n" + many)
        refused(qpa(store, "import", "many.csv", "--db", small / "qpa.duckdb"), "full", "nothing was changed")
        found = json.loads(qpa(store, "checks", "--db", small / "qpa.duckdb", "--format", "json").stdout)
        assert [row["check"] for row in found] == ["backup"]
    finally:
        subprocess.run(["umount", small], check=False)
