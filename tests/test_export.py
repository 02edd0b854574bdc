"""`qpa export` and back: the same store gives the same bytes, and a store made from an export answers the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command import CHECKS, PINGS, ROOT, qpa, refused
from healthchecks_server import READ_WRITE, Fleet, Recorded, Server
from test_collect import World

from qpanalytics.collect.fromexport import take_export
from qpanalytics.store.db import Store
from qpanalytics.store.export import LARGE, SMALL, export

HISTORIES = ROOT / "data" / "histories"
TRUE = ("checks", "versions", "pauses", "fetches", "fetch_checks", "watched", "shown", "pings")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def table(store: Path, name: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        return con.execute(f"select columns(*)::varchar from store.{name} order by all").fetchall()  # noqa: S608 - ours


def columns(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        return con.execute(sql, {"path": str(path)}).fetchall()


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three bundled histories and its export."""
    folder = tmp_path_factory.mktemp("histories")
    for name in ("crond-half-hourly", "gha-schedule-changes", "upptime-daily-many-sites"):
        files = ("import", HISTORIES / name / "pings.csv.gz", "--checks", HISTORIES / name / "checks.csv")
        done = qpa(folder, *files, "--source", name)
        assert done.returncode == 0, done.stderr
    done = qpa(folder, "export", "history")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("history: ")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small store of hostile names and its export: to be copied."""
    folder = tmp_path_factory.mktemp("exported")
    at = "2026-10-03T03:00:00Z"
    pings = PINGS + f"\"=cmd|' /C \"\"calc\"\"'!A0\",{at},fail\n../../etc/passwd,{at},start\nnaïve 💥,{at},0\n"
    (folder / "pings.csv").write_text(pings + "backup,2026-10-03T03:00:20Z,success\n", encoding="utf-8")
    (folder / "checks.csv").write_text(CHECKS)
    assert qpa(folder, "import", "pings.csv", "--checks", "checks.csv").returncode == 0
    assert qpa(folder, "export", "history").returncode == 0
    return folder


@pytest.fixture
def small(exported: Path, tmp_path: Path) -> Path:
    """That folder to change."""
    return Path(shutil.copytree(exported, tmp_path, dirs_exist_ok=True))


# There and back -------------------------------------------------------------------------------------------------------


def test_a_store_made_from_an_export_answers_the_same_to_the_byte(histories: Path, tmp_path: Path) -> None:
    done = qpa(tmp_path, "import", histories / "history")
    assert (done.returncode, done.stderr) == (0, "")
    at = ("--as-of", "2026-08-10T00:00:00Z", "--since", "2026-06-01")
    for verb in ("occurrences", "runs", "coverage", "success"):
        for shape in ("json", "csv") if verb in ("coverage", "success") else ("csv",):
            before, after = (qpa(folder, verb, "--format", shape, *at) for folder in (histories, tmp_path))
            assert before.stdout == after.stdout and len(before.stdout) > 500, verb
    before, after = (qpa(folder, "checks", "--format", "json", *at[:2]).stdout for folder in (histories, tmp_path))
    assert before == after
    for name in TRUE:
        assert table(histories / "qpa.duckdb", name) == table(tmp_path / "qpa.duckdb", name), name
    assert qpa(tmp_path, "export", "again", PYTHONHASHSEED="1").returncode == 0
    assert contents(histories / "history") == contents(tmp_path / "again")
    taken = {name: table(tmp_path / "qpa.duckdb", name) for name in TRUE}
    again = qpa(tmp_path, "import", histories / "history")
    assert ", 0 new; " in again.stdout and ", 0 new; 0 checks derived" in again.stdout
    assert taken == {name: table(tmp_path / "qpa.duckdb", name) for name in TRUE}


def test_what_was_collected_live_comes_back_with_its_coverage_losses_and_pauses(tmp_path: Path) -> None:
    world = World(tmp_path, datetime(2026, 10, 20, 6, 30, tzinfo=UTC))
    with Server() as server:
        assert isinstance(server.answers, Recorded)
        for look, at in ((1, "2026-10-20"), (2, "2026-11-22"), (3, "2026-11-24")):
            world.now = datetime.fromisoformat(f"{at}T06:30:00+00:00")
            server.poll(look)
            world.collect(server)
    world.state.close()
    assert table(world.store.path, "pauses")
    export(world.store, tmp_path / "out")
    other = Store(tmp_path / "other.duckdb")
    for added in (True, False):
        with other.write() as con:
            brought = take_export(con, tmp_path / "out")
        assert bool(brought.added) == added == bool(brought.touched)
        for name in (*TRUE, "holes"):
            assert table(world.store.path, name) == table(other.path, name), name
    for verb in ("coverage", "success", "runs", "checks"):
        at = ("--as-of", "2026-11-24T06:30:00Z", "--format", "json")
        assert qpa(tmp_path, verb, "--db", "qpa.duckdb", *at).stdout == qpa(tmp_path, verb, "--db", "other.duckdb", *at).stdout


def test_an_export_joins_what_another_store_saw_of_the_same_server(tmp_path: Path) -> None:
    """Two machines looked in turn; the second brings what the first had dropped from sight by then."""
    fleet = Fleet(checks=3, pings=90)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = World(tmp_path / "a"), World(tmp_path / "b")
    with Server(fleet) as server:
        a.collect(server)
        fleet.ping(0, times=120)
        a.now = b.now = a.now + timedelta(hours=3)
        b.collect(server)
        a.collect(server)
    export(a.store, tmp_path / "out")
    with b.store.write() as con:
        take_export(con, tmp_path / "out")
    assert b.numbers() == a.numbers() and set(b.numbers().values()) == {1}
    assert b.lost() == a.lost()
    a.state.close()
    b.state.close()


def test_an_export_into_a_store_with_other_checks_takes_no_name_and_doubles_no_ping(small: Path) -> None:
    (small / "other.csv").write_text("check,received_at\nbackup,2026-10-05T01:00:00Z\nbackup,2026-11-05T01:00:00Z\n")
    db = ("--db", "other.duckdb")
    assert qpa(small, "import", "other.csv", "--source", "elsewhere", *db).returncode == 0
    # the same ping file came in there by itself, too
    assert qpa(small, "import", "pings.csv", *db).returncode == 0
    done = qpa(small, "import", "history", *db)
    assert "4 checks, 0 new; 33 pings, 0 new; 1 check derived" in done.stdout  # its promise was not known there
    checks = {(row["source"], row["check"]) for row in json.loads(qpa(small, "checks", "--format", "json", *db).stdout)}
    assert {("elsewhere", "backup"), ("files", "files/backup")} <= checks and len(checks) == 5
    assert {row[1] for row in table(small / "other.duckdb", "fetches")} == {"0", "1"}  # feeds of shared checks are one


def test_an_open_pause_ends_when_a_later_export_says_so(small: Path) -> None:
    def paused(until: str | None) -> None:
        with Store(small / "qpa.duckdb").write() as con:
            con.execute("delete from store.pauses")
            con.execute(
                """
                insert into store.pauses
                select check_id, '2026-10-11T12:00:00Z', ?, 'paused' from store.checks where check_name = 'backup'
                """,
                [until],
            )

    db = ("--db", "other.duckdb")
    found = []
    for until in (None, "2026-10-13T00:00:00Z", None):
        paused(until)
        assert qpa(small, "export", "history").returncode == 0
        assert qpa(small, "import", "history", *db).returncode == 0
        found += [row[2] for row in table(small / "other.duckdb", "pauses")]
    assert found == [None, "2026-10-13 00:00:00+00", "2026-10-13 00:00:00+00"]
    said = qpa(small, "occurrences", "--check", "backup", "--format", "csv", "--as-of", "2026-10-30T04:00:00Z", *db).stdout
    assert (said.count(",excused,"), said.count(",missed,")) == (1, 0)  # the 12th, on which none came


def test_the_configuration_is_no_part_of_an_export_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "pings.csv").write_text(PINGS)
    settings = (
        '[[source]]\nname = "prod"\nkind = "healthchecks"\napi_key = "env:QPA_SECRET_NAME"\n'
        '[[check]]\ncheck = "backup"\nschedule = "0 3 * * *"\nseverity = "critical"\n'
        '[[check]]\ncheck = "awaited"\nschedule = "0 4 * * *"\n'
    )
    (tmp_path / "qpa.toml").write_text(settings)
    assert qpa(tmp_path, "import", "pings.csv").returncode == 0
    assert qpa(tmp_path, "export", "history").returncode == 0
    assert not any(b"QPA_SECRET_NAME" in data for data in contents(tmp_path / "history").values())
    (tmp_path / "new").mkdir()
    told = qpa(tmp_path / "new", "import", "../history")
    assert told.returncode == 0 and "2 promises stood in a qpa.toml" in told.stderr
    (tmp_path / "new" / "qpa.toml").write_text(settings)
    assert qpa(tmp_path / "new", "import", "../history").stderr == ""
    at = ("--format", "csv", "--as-of", "2026-10-30T04:00:00Z")
    for verb in ("occurrences", "success", "coverage", "checks"):
        one, two = qpa(tmp_path, verb, *at), qpa(tmp_path / "new", verb, *at)
        assert one.stdout == two.stdout and one.stdout, verb


def test_a_store_without_checks_goes_there_and_back(tmp_path: Path) -> None:
    with Store(tmp_path / "qpa.duckdb").write():
        pass
    assert "0 checks, 0 pings" in qpa(tmp_path, "export", "history").stdout
    assert "0 checks, 0 new; 0 pings, 0 new" in qpa(tmp_path, "import", "history", "--db", "other.duckdb").stdout


# What is written ------------------------------------------------------------------------------------------------------


def test_the_layout_is_hive_s_with_public_names_and_utc(histories: Path) -> None:
    folder = histories / "history"
    assert {p.name for p in folder.iterdir()} == {f"{t}.parquet" for t in SMALL} | set(LARGE) | {"qpa-export.json"}
    for name in (*SMALL, *LARGE):
        path = folder / f"{name}.parquet" if name in SMALL else folder / name / "*" / "*" / "*.parquet"
        found = dict(columns(path, "select column_name, column_type from (describe from read_parquet($path))"))
        assert "check_id" not in found
        assert all(type_ == "TIMESTAMP WITH TIME ZONE" for column, type_ in found.items() if column.endswith("_at"))
    places = columns(
        folder / "pings" / "*" / "*" / "*.parquet",
        """
        select count(*), count(distinct "check"), bool_and(strftime(received_at, '%Y-%m') = month), min(bucket) >= 0,
            max(bucket) < 16
        from read_parquet($path, hive_partitioning = true)
        """,
    )
    said = json.loads((folder / "qpa-export.json").read_text())["rows"]
    assert places == [(said["pings"], said["checks"], True, True, True)]
    assert (folder / "pings" / "bucket=1").is_dir()


def test_the_same_store_gives_the_same_bytes_and_replaces_an_earlier_export(small: Path) -> None:
    before = contents(small / "history")
    (small / "history" / "pings" / "bucket=15").mkdir(exist_ok=True)
    shutil.copy(small / "history" / "checks.parquet", small / "history" / "pings" / "bucket=15" / "old.parquet")
    assert qpa(small, "export", "history", PYTHONHASHSEED="1").returncode == 0
    assert contents(small / "history") == before
    assert sorted(p.name for p in small.iterdir()) == ["checks.csv", "history", "pings.csv", "qpa.duckdb"]


def test_names_of_folders_are_taken_as_they_are(small: Path) -> None:
    name = "it's [1] *"
    assert qpa(small, "export", name).returncode == 0
    assert contents(small / name) == contents(small / "history")
    assert "33 pings, 33 new" in qpa(small, "import", name, "--db", "other.duckdb").stdout
    (small / "empty").mkdir()
    (small / "link").symlink_to("empty")
    assert qpa(small, "export", "link").returncode == 0
    assert (small / "link").is_symlink() and contents(small / "empty") == contents(small / "history")


def test_what_is_no_export_is_left_alone(small: Path) -> None:
    (small / "mine").mkdir()
    (small / "mine" / "notes.txt").write_text("precious")
    refused(qpa(small, "export", "mine"), "mine", "not empty", "nothing was written")
    refused(qpa(small, "export", "pings.csv"), "is a file")
    refused(qpa(small, "export", "no/such/place"), "Make it first")
    refused(qpa(small, "export", "history", "--db", "absent.duckdb"), "no store at absent.duckdb")
    (small / "history" / "notes.txt").write_text("precious")
    refused(qpa(small, "export", "history"), "holds notes.txt", "Move it away")
    assert (small / "history" / "notes.txt").read_text() == (small / "mine" / "notes.txt").read_text() == "precious"


def test_a_kill_leaves_the_earlier_export_and_no_half_one(histories: Path, tmp_path: Path) -> None:
    shutil.copytree(histories / "history", tmp_path / "history")
    before = contents(tmp_path / "history")
    command = [sys.executable, "-m", "qpanalytics", "export", "history", "--db", str(histories / "qpa.duckdb")]
    killed = 0
    for target, earlier in (("history", before), ("fresh", {})):
        writer = subprocess.Popen([*command[:4], target, *command[5:]], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
        while writer.poll() is None and not list(tmp_path.glob(f".{target}.*.qpa-export/pings/*")):
            time.sleep(0.005)
        writer.send_signal(signal.SIGKILL)
        killed += writer.wait() == -signal.SIGKILL
        assert (contents(tmp_path / target) if earlier else (tmp_path / target).exists()) == (earlier or False)
    assert killed == 2
    # killed just between the two moves: the earlier one is beside, and comes back
    (tmp_path / "history").rename(tmp_path / f".history.{2**22 + 1}.qpa-earlier")
    assert subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode == 0
    assert contents(tmp_path / "history") == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".history")] == []


# What cannot be taken -------------------------------------------------------------------------------------------------


def test_an_export_stands_by_itself(small: Path) -> None:
    refused(qpa(small, "import", "history", "pings.csv"), "by itself")
    refused(qpa(small, "import", "history", "--source", "x"), "by itself")
    refused(qpa(small, "import", "history/pings"), "is a directory")


def spoiled(folder: Path, name: str, sql: str) -> None:
    """Writes a table of an export anew, as `sql` makes it of `old`."""
    path = folder / f"{name}.parquet"
    if name == "pings":
        path = max(folder.glob("pings/*/*/*.parquet"), key=lambda file: file.stat().st_size)
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f"create table old as from read_parquet('{path}', hive_partitioning = false)")
        con.execute(f"copy ({sql}) to '{path}' (format parquet)")


@pytest.mark.parametrize(
    ("name", "sql", "word"),
    [
        ("pings", "from old limit 1", "pings where"),
        ("pings", "select * replace ('evil' as kind) from old", "no export has"),
        ("pings", "select * replace (timestamptz '9999-01-01' as received_at) from old", "no export has"),
        ("pings", "select * replace (9999 as fetch_id) from old", "does not hold"),
        ("pings", "select * replace ('nobody' as \"check\") from old", "does not hold"),
        ("pings", "select * replace ('x' as received_at) from old", "cannot be read"),
        ("pings", 'select * exclude ("check") from old', "cannot be read"),
        ("checks", "select * replace (null as source) from old", "no export has"),
        ("checks", "select * replace ('same' as \"check\") from old", "twice"),
        ("checks", "select * replace (repeat('x', 5000) as key) from old", "no export has"),
        ("versions", "select * replace ('no schedule' as schedule) from old", "schedule"),
        ("versions", "select * replace ('No/Where' as tz) from old", "tz"),
        ("versions", "select * replace (-1.0 as grace_s) from old", "no export has"),
        ("versions", "from old limit 0", "versions has 0 rows"),
        ("fetches", "select * replace (null as tried_at) from old", "no export has"),
    ],
)
def test_what_no_export_holds_is_refused_in_one_line_and_nothing_is_taken(small: Path, name: str, sql: str, word: str) -> None:
    spoiled(small / "history", name, sql)
    refused(qpa(small, "import", "history", "--db", "other.duckdb"), "history", word)
    assert not (small / "other.duckdb").exists()


def damages(folder: Path) -> Iterator[tuple[str, bytes | None]]:
    ping = str(next(iter(sorted((folder / "pings").rglob("*.parquet")))).relative_to(folder))
    yield "versions.parquet", None
    yield ping, None
    yield ping, (folder / ping).read_bytes()[:-20]
    yield "checks.parquet", b""
    yield "qpa-export.json", b"{"
    yield "qpa-export.json", b'{"qpanalytics_export": 1, "rows": {"pings": "many"}}'
    yield "qpa-export.json", b'{"qpanalytics_export": 99, "rows": {}}'


def test_a_damaged_or_newer_export_is_refused_in_one_line(small: Path) -> None:
    whole = contents(small / "history")
    for name, data in list(damages(small / "history")):
        path = small / "history" / name
        path.unlink() if data is None else path.write_bytes(data)
        done = qpa(small, "import", "history", "--db", "other.duckdb")
        refused(done, "history", "Upgrade" if data and b"99" in data else "Export it again")
        assert not (small / "other.duckdb").exists()
        path.write_bytes(whole[name])
    assert qpa(small, "import", "history", "--db", "other.duckdb").returncode == 0


def test_no_secret_of_a_source_is_in_an_export(tmp_path: Path) -> None:
    fleet = Fleet(checks=2, pings=5)
    world = World(tmp_path)
    with Server(fleet) as server:
        world.collect(server)
    world.state.close()
    export(world.store, tmp_path / "out")
    everything = b"".join(contents(tmp_path / "out").values())
    for secret in (READ_WRITE, *(str(job.id) for job in fleet.jobs), *(job.id.hex for job in fleet.jobs)):
        assert secret.encode() not in everything
