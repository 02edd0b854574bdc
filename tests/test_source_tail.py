"""Files that grow: each row is read once, whole, and means what it means in an import."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from staging import connect, rows, write

from qpanalytics.collect.feed import feed
from qpanalytics.collect.run import Collector, Look
from qpanalytics.errors import ConfigError, InputError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources import open_configured
from qpanalytics.sources.files import read_pings
from qpanalytics.sources.tail import Tail
from qpanalytics.sources.tail_values import FIELDS, BadRow, json_texts, ping
from qpanalytics.store.db import Store
from qpanalytics.store.state import State

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
HEADER = "check,received_at,kind\n"
CON = connect()


class Folder:
    """A folder with growing files, the source that reads them and the state that remembers where."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.store = Store(path / "qpa.duckdb")
        self.state = State.beside(self.store.path)
        self.source = Tail("jobs", ("*.csv*", "*.jsonl"), path, lambda: self.now)

    def append(self, text: str, name: str = "pings.csv") -> None:
        with (self.path / name).open("ab") as file:
            file.write(text.encode())

    def look(self) -> Look:
        (found,) = Collector(self.state, lambda: self.now).collect([self.source])
        self.now += timedelta(minutes=1)
        return found

    def stored(self) -> list[tuple[str, str]]:
        feed(self.store, self.state)
        with self.store.read() as con:
            sql = "select check_name, strftime(received_at, '%H:%M:%S') from store.pings join store.checks using (check_id)"
            return con.execute(f"{sql} order by received_at, check_name").fetchall()

    def vouched(self) -> dict[str, tuple[str, str]]:
        with self.store.read() as con:
            found = con.execute(
                "select check_name, strftime(since_at, '%H:%M:%S'), strftime(until_at, '%H:%M:%S') "
                "from store.watched join store.checks using (check_id)"
            ).fetchall()
        return {name: (since, until) for name, since, until in found}


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    made = Folder(tmp_path)
    yield made
    made.state.close()


def test_each_row_is_read_once_and_a_half_written_one_at_the_next_look(folder: Folder) -> None:
    folder.append(HEADER + "a,2026-11-24T06:00:00Z,success\nb,2026-11-24T06:0")
    first = folder.look()
    assert (first.pings, first.checks, first.why) == (1, 1, "")
    folder.append("1:00Z,fail\n")
    assert folder.look().pings == 1
    assert folder.look().pings == 0
    assert folder.stored() == [("a", "06:00:00"), ("b", "06:01:00")]
    assert folder.vouched() == {"a": ("06:00:00", "07:01:59"), "b": ("06:00:00", "07:01:59")}


def test_a_renamed_file_goes_on_under_its_new_name_and_its_successor_begins_anew(folder: Folder) -> None:
    folder.append(HEADER + "a,2026-11-24T06:00:00Z,\n")
    folder.look()
    folder.append("a,2026-11-24T06:01:00Z,\n")
    (folder.path / "pings.csv").rename(folder.path / "pings.csv.1")
    folder.append(HEADER + "a,2026-11-24T06:02:00Z,\n")
    assert folder.look().pings == 2
    assert folder.look().pings == 0
    assert [at for _, at in folder.stored()] == ["06:00:00", "06:01:00", "06:02:00"]


def test_a_file_that_was_written_anew_is_read_from_its_first_line(folder: Folder) -> None:
    folder.append(HEADER + "a,2026-11-24T06:00:00Z,\n" * 20)
    folder.look()
    (folder.path / "pings.csv").write_text(HEADER + "b,2026-11-24T06:01:00Z,\n")
    assert folder.look().pings == 1
    (folder.path / "pings.csv").write_text("received_at,check\n2026-11-24T06:02:00Z,c\n2026-11-24T06:03:00Z,c\n")
    assert folder.look().pings == 2


def test_a_stray_quote_costs_its_own_line_and_no_other(folder: Folder) -> None:
    folder.append('check,received_at,body\na,2026-11-24T06:00:00Z,"two\nlines"\na,2026-11-24T06:01:00Z,"oh\n')
    assert folder.look().pings == 1
    folder.append("a,2026-11-24T06:02:00Z,\n")
    found = folder.look()
    assert (found.pings, found.bad) == (1, 1)
    folder.append("a,2026-11-24T06:03:00Z,\n")
    assert (folder.look().pings, len(folder.stored())) == (1, 3)


def test_json_lines_and_bad_rows(folder: Folder) -> None:
    folder.append('{"check": "a", "received_at": 1795500000, "kind": 1}\nnonsense\n{"check": {}}\n', "pings.jsonl")
    found = folder.look()
    assert (found.pings, found.bad) == (1, 2)
    assert folder.stored() == [("a", "06:00:00")]
    assert "not valid JSON" in found.notes[0]


def test_files_that_do_not_grow_are_named_and_missing_ones_are_quiet(folder: Folder, tmp_path: Path) -> None:
    assert folder.look().why == ""
    (tmp_path / "old.csv.gz").write_bytes(b"\x1f\x8b")
    assert ["does not grow" in note for note in folder.look().notes] == [True]
    assert folder.look().notes == []
    gone = Tail("jobs", ("nowhere/*.csv",), tmp_path, lambda: NOW)
    with pytest.raises(SourceError, match="nowhere is not there"):
        list(gone.read({}))
    with pytest.raises(ConfigError, match="names no files"):
        open_configured(SourceTable(name="jobs", kind="files"), {}, tmp_path, lambda: NOW)


def test_a_long_file_is_read_in_mouthfuls(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qpanalytics.sources.tail.MOUTHFUL", 1000)
    lines = [f'a,{spell_at(n)},success,"{"x" * (n % 50)}\n"\n' for n in range(200)]
    folder.append("check,received_at,kind,body\n" + "".join(lines))
    assert (folder.look().pings, folder.look().pings) == (200, 0)
    assert len(folder.stored()) == 200


def spell_at(minute: int) -> str:
    return (NOW - timedelta(days=1) + timedelta(minutes=minute)).isoformat()


# The values mean what they mean in an import --------------------------------------------------------------------------

STAMPS = st.one_of(
    st.datetimes(*(datetime.fromisoformat(year) for year in ("1969-01-01", "2263-01-01"))).map(lambda t: f"{t.isoformat()}Z"),
    st.integers(-10, 10**11).map(str),
    st.floats(0, 5e9).map(lambda x: f"{x:.7f}"),
    st.from_regex(
        r"20[0-9]{2}-[0-2][0-9]-[0-3][0-9][ Tt][0-2][0-9]:[0-9]{2}(:[0-6][0-9]([.,][0-9]{1,9})?)? ?"
        r"(Z|z|UTC|[+-][01][0-9](:?[0-6][0-9])?)?",
        fullmatch=True,
    ),
    st.from_regex(r"(19|20)[0-9]{6}(\.0)?", fullmatch=True),
)  # fmt: skip
WORDS = st.sampled_from(["", "start", "Success", " fail", "log", "ign", "0", "1", "1.0", "255", "256", "0255", "x", "1.5", "-1"])
NUMBERS = st.sampled_from(["", " ", "0", "12", "12.0", "1.5", "9223372036854775807", "9223372036854775808", "1e3", "1_000", "nan",
                           "inf", "-0", "-1", " 5 ", "+5", ".5", "5.", "0x1", "3155760000", "3155760001", "٣"])  # fmt: skip
NAMES = st.one_of(st.sampled_from(["a", " a b ", "\u00a0a", "x" * 500, "x" * 501]), st.text("ab \u2003\x1cé", max_size=5))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, STAMPS, WORDS, NUMBERS, NAMES, NUMBERS, WORDS), min_size=1, max_size=8))
@example([("a", "2026-11-24T06:00:00.1234567Z", "", "", "", "", "")])
@example([("a", "2026-11-24T06:00:00+01:99", "", "", "", "", "")])
def test_a_row_means_what_it_means_in_an_import(tmp_path: Path, written: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS[:7])
    writer.writerows(written)
    try:
        read_pings(CON, [write(tmp_path, text.getvalue())], skip_bad=True)
    except InputError:
        return  # it refuses the file as a whole
    imported = rows(CON, "check_name, epoch_us(received_at), kind, n, run_id, duration_s, exit_status")
    ours = []
    for values in written:
        try:
            name, found = ping(dict(zip(FIELDS[:7], values, strict=True)))
        except BadRow:
            continue
        at = (found.received_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        ours.append((name, at, found.kind, found.n, found.run_id, found.duration_s, found.exit_status))
    assert ours == imported


@pytest.mark.parametrize("line", ["[]", "1", '"a"', "", "{", '{"check": ["a"]}', "nul"])
def test_a_line_that_is_no_object_is_a_bad_row(line: str) -> None:
    with pytest.raises(BadRow):
        ping(json_texts(line))


def test_keys_of_json_are_forgiven_their_case_and_numbers_keep_their_digits() -> None:
    name, found = ping(json_texts('{"Check": "a", "received_at": 1764568800.25, "exit_status": 3, "body": {"k": [1.5]}}'))
    assert (name, found.kind, found.exit_status, found.body) == ("a", "fail", 3, '{"k":[1.5]}')
    assert found.received_at.microsecond == 250_000


def test_one_file_is_no_pattern_even_if_it_looks_like_one(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text(HEADER + "a,2026-11-24T06:00:00Z,\n")
    source = Tail("jobs", ("a[1].csv",), tmp_path, lambda: NOW)
    assert [len(part.rows) for part in source.read({})] == [1]
    assert os.path.basename(next(iter(source.read({}))).path) == "a[1].csv"
