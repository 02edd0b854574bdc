"""Pruning changes no answer but `pings`, and what comes later is derived as if nothing had gone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import fast
import pytest
from command import qpa
from examples import examples
from histories import History, histories
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from qpanalytics.ledger.build import build
from qpanalytics.ledger.pruning import prune
from qpanalytics.store.db import Store

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)


def _stored(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the store, in the order in which they lie."""
    tables = con.execute("select table_name from duckdb_tables() where schema_name = 'store'").fetchall()
    return {name: con.execute(f"select columns(*)::varchar from store.{name}").fetchall() for (name,) in tables}  # noqa: S608


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories(), st.floats(0, 1), st.floats(0, 1))
def test_what_was_pruned_answers_as_before_and_grows_on(h: History, so_far: float, old: float) -> None:
    order = sorted(enumerate(h.pings), key=lambda p: p[1].received_at)
    stop = round(so_far * len(order))
    instants = [p.received_at for _, p in order[:stop]]
    before = 0 if not instants else instants[0] + round(old * (instants[-1] - instants[0] + 1))
    store = fast.filled([p for _, p in order[:stop]], h.versions, h.pauses, h.vouched)
    whole = fast.history(store, h.as_of)
    with whole.connection() as con:
        told = fast.result(con), fast.standing(con)
    with store.write() as con:
        gone = prune(con, before)
        event(f"pruned: {gone.checks}")
    with whole.connection() as con:
        assert (fast.result(con), fast.standing(con)) == told
    with store.write() as con:
        come = order[stop:]
        fast.add(con, come)
        if come:
            build(con, {1: come[0][1].received_at})
    with fast.history(store, h.as_of).connection() as con:
        grown = fast.result(con), fast.standing(con)
    with store.write() as con:
        stored = _stored(con)
        build(con)
        same = _stored(con) == stored
    if not same:  # of the same rows in the same order the answers are the same
        with fast.history(store, h.as_of).connection() as con:
            assert (fast.result(con), fast.standing(con)) == grown
    with store.write() as con:
        con.execute("delete from store.pruned")
    with fast.history(fast.filled([p for _, p in order], h.versions, h.pauses, h.vouched), h.as_of).connection() as con:
        assert (fast.result(con), fast.standing(con)) == grown


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three checks, one ping in ten minutes each over 80 days, and the file it came from: to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    lines = ["check,received_at,kind,run_id,body"]
    for check in ("a", "b", "c"):
        for k in range(80 * 144):
            at = BEGIN + timedelta(minutes=10 * k, seconds=k % 50)
            body = hashlib.sha256(lines[-1].encode()).hexdigest() * 2
            lines.append(f"{check},{at.isoformat()},{'fail' if k % 97 == 0 else 'success'},,{body}")
    (folder / "pings.csv").write_text("\n".join(lines) + "\n")
    promises = ["check,schedule,grace_s", "a,*/10 * * * *,120", "b,every 10 min,120"]
    (folder / "checks.csv").write_text("\n".join(promises) + "\n")
    done = qpa(folder, "import", "pings.csv", "--checks", "checks.csv")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """That store to change."""
    return Path(shutil.copytree(filled, tmp_path, dirs_exist_ok=True))


def _answers(folder: Path) -> dict[str, str]:
    as_of = (BEGIN + timedelta(days=80)).isoformat()
    asked = ["--as-of", as_of, "--format", "csv"]
    verbs = ("runs", "occurrences", "success", "lateness", "durations", "coverage", "verdicts")
    answers = {verb: qpa(folder, verb, *asked, "--since", "2026-08-01").stdout for verb in verbs}
    return answers | {"checks": qpa(folder, "checks", *asked).stdout}


def test_the_file_shrinks_and_no_answer_changes(folder: Path) -> None:
    before, size = _answers(folder), (folder / "qpa.duckdb").stat().st_size
    assert all(before.values())
    days = (datetime.now(UTC) - BEGIN).days - 60
    (folder / "qpa.toml").write_text(f'[store]\npath = "qpa.duckdb"\nkeep = "{days} d"\n')
    done = qpa(folder, "prune")
    assert (done.returncode, done.stderr) == (0, "")
    assert "of 3 checks" in done.stdout
    assert (folder / "qpa.duckdb").stat().st_size < size * 0.8
    assert not (folder / "qpa.duckdb.compact").exists()
    assert _answers(folder) == before
    with duckdb.connect(str(folder / "qpa.duckdb"), read_only=True) as con:
        (left,) = con.execute("select count(*) from store.pings").fetchall()[0]
    assert 3 * 19 * 144 <= left <= 3 * 20 * 144
    again = qpa(folder, "import", "pings.csv", "--checks", "checks.csv")
    assert ", 0 new" in again.stdout
    assert "were pruned" in again.stderr
    assert _answers(folder) == before


def test_an_instant_before_the_pruned_ones_still_knows_a_last_ping(folder: Path) -> None:
    asked = ("checks", "--as-of", (BEGIN + timedelta(days=9)).isoformat(), "--format", "csv")
    before = qpa(folder, *asked).stdout
    assert qpa(folder, "prune", "--keep", f"{(datetime.now(UTC) - BEGIN).days - 60}d").returncode == 0
    assert qpa(folder, *asked).stdout == before


def test_an_export_carries_what_became_of_pruned_pings(folder: Path) -> None:
    assert qpa(folder, "prune", "--keep", f"{(datetime.now(UTC) - BEGIN).days - 60}d").returncode == 0
    before = _answers(folder)
    for words in (["export", "out"], ["import", "out", "--db", "again.duckdb"]):
        done = qpa(folder, *words)
        assert done.returncode == 0, done.stderr
    (folder / "qpa.duckdb").unlink()
    (folder / "again.duckdb").rename(folder / "qpa.duckdb")
    assert _answers(folder) == before


def test_a_file_that_another_program_wrote_meanwhile_is_not_exchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(folder / "qpa.duckdb")
    with store.write() as con:
        con.execute("delete from store.pings where check_id = 1")
    real = Path.stat
    seen: list[object] = []

    def stat(self: Path, **how: bool) -> object:
        found = real(self, **how)
        if self.name == "qpa.duckdb.compact" and not seen:  # just before the exchange
            seen.append(subprocess.run(["touch", str(folder / "qpa.duckdb")], check=True))
        return found

    inode = real(folder / "qpa.duckdb").st_ino
    monkeypatch.setattr(Path, "stat", stat)
    store.compact()
    assert seen
    assert real(folder / "qpa.duckdb").st_ino == inode
    assert not (folder / "qpa.duckdb.compact").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prune"], "--keep 400d"),
        (["prune", "--keep", "soon"], "is not a stretch of time"),
        (["prune", "--keep", "0 d"], "is not a stretch of time"),
        (["prune", "--keep", "9d", "--db", "none.duckdb"], "there is no store"),
    ],
)
def test_what_cannot_be_pruned_is_said_in_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = qpa(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
