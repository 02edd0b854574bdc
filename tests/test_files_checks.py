"""Check files: what they may say, and the one line that says what is wrong with them; the bundled ones, too."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from staging import connect, write

from qpanalytics.errors import InputError
from qpanalytics.settings import CheckEntry
from qpanalytics.sources.files import read_checks, read_pings
from qpanalytics.words import Severity

DATA = Path(__file__).resolve().parents[1] / "data"
HISTORIES = sorted(path.parent for path in DATA.glob("**/checks.csv"))


def refusal(path: Path) -> str:
    """What is said of the file, without its folder."""
    with pytest.raises(InputError) as caught:
        read_checks(path)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    return said.removeprefix(f"{path.parent}/").rstrip(".")


def test_a_row_says_what_is_promised_of_a_check(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "check,name,schedule,tz,valid_from,valid_to,grace_s,early_s,max_runtime_s,severity,tags\n"
        "db,Backup of the database,0 3 * * *,Europe/Berlin,2026-01-01T00:00:00+01:00,2026-02-01T00:00:00Z,"
        "900,60,7200,critical,prod db\n",
    )

    assert read_checks(path) == [
        CheckEntry(
            check="db",
            name="Backup of the database",
            schedule="0 3 * * *",
            tz="Europe/Berlin",
            valid_from=datetime(2025, 12, 31, 23, tzinfo=UTC),
            valid_to=datetime(2026, 2, 1, tzinfo=UTC),
            grace_s=900.0,
            early_s=60.0,
            max_runtime_s=7200.0,
            severity=Severity.CRITICAL,
            tags=("prod", "db"),
        )
    ]


def test_what_is_left_empty_is_not_said(tmp_path: Path) -> None:
    (entry,) = read_checks(write(tmp_path, "check,schedule,tz,grace_s,tags\na, ,,,\n"))

    assert (entry.schedule, entry.tz, entry.grace_s, entry.tags) == (None, "UTC", None, ())


@pytest.mark.parametrize("tags", ["x y", "x;y", '"x,y"', '" x, y ;"'])
def test_tags_are_parted_by_spaces_commas_or_semicolons(tmp_path: Path, tags: str) -> None:
    assert read_checks(write(tmp_path, f"check,tags\na,{tags}\n"))[0].tags == ("x", "y")


def test_times_may_be_given_in_words(tmp_path: Path) -> None:
    (entry,) = read_checks(write(tmp_path, "check,grace,early,max_runtime\na,15 min,10 s,2 h 10 min\n"))

    assert (entry.grace_s, entry.early_s, entry.max_runtime_s) == (900.0, 10.0, 7800.0)


@pytest.mark.parametrize(
    "content",
    [
        "check,schedule,grace\na,0 3 * * *,900\n",
        "check;schedule;grace\na;0 3 * * *;900\n",
        "check\tschedule\tgrace\r\na\t0 3 * * *\t900\r\n",
        "\ufeffcheck,schedule,grace\na,0 3 * * *,900",
        '\n\n Check , SCHEDULE, "grace" \n\n"a","0 3 * * *", 900 \n\n',
        "check,schedule,grace,\na,0 3 * * *,900,,,\n",
    ],
)
def test_the_usual_dialects_of_csv_say_the_same(tmp_path: Path, content: str) -> None:
    for path in (write(tmp_path, content), write(tmp_path, gzip.compress(content.encode()), "p.csv.gz")):
        assert read_checks(path) == [CheckEntry(check="a", schedule="0 3 * * *", grace_s=900.0)]


def test_columns_without_meaning_are_named_once(tmp_path: Path) -> None:
    said: list[str] = []
    path = write(tmp_path, "check,note,owner,\na,x,y,\nb,x,y,\n")

    assert [entry.check for entry in read_checks(path, warn=said.append)] == ["a", "b"]
    assert said == [f'{path}: "note", "owner" are not columns of check files and were ignored']


def test_a_file_without_checks_is_worth_a_warning(tmp_path: Path) -> None:
    said: list[str] = []
    path = write(tmp_path, "check,schedule\n")

    assert read_checks(path, warn=said.append) == []
    assert said == [f"{path}: has no checks"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("check,schedule\na,61 3 * * *\n", 'line 2: schedule: "61 3 * * *" is not a cron expression'),
        ("check,schedule\n\nb,0 3 * * *\na,every now\n", 'line 4: schedule: "every now"'),
        ("check,schedule\na,0 0 30 2 *\n", 'line 2: schedule: "0 0 30 2 *"'),  # never fires
        ("check,tz\na,Europe/Berlinn\n", 'line 2: tz: "Europe/Berlinn" is not a time zone; did you mean "Europe/Berlin"?'),
        ("check,grace\na,5 mins\n", 'line 2: grace: "5 mins" is not a duration; try "5 min"'),
        ("check,grace_s\na,-1\n", 'line 2: grace_s: "-1" is a negative duration'),
        ("check,grace,grace_s\na,1 min,60\n", "line 2: grace is given twice, by two of its names; keep one"),
        ("check,valid_from\na,2026-01-02T00:00:00\n", 'line 2: valid_from: "2026-01-02T00:00:00" has no offset'),
        ("check,valid_from\na,soon\n", 'line 2: valid_from: "soon" is not a time'),
        ("check,severity\na,urgent\n", 'line 2: severity: "urgent" is not one of critical, warning, info'),
        ("check,schedule\n,0 3 * * *\n", 'line 2: it needs "check"; add it'),
        (
            "check,valid_from,valid_to\na,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z\n",
            'line 2: valid_to: "2026-01-01T00:00:00Z" is not after valid_from, "2026-01-02T00:00:00Z"',
        ),
        (
            "check,valid_from\na,2026-01-02T00:00:00Z\nb,2026-01-02T00:00:00Z\na,2026-01-02T01:00:00+01:00\n",
            'line 4: valid_from: "2026-01-02T00:00:00Z" is given twice for check "a", first on line 2',
        ),
        ("check,tags\na,x\nb,x\na,y\n", 'line 4: valid_from: "" is given twice for check "a", first on line 2'),
        (
            "check,valid_from,valid_to\na,2026-01-05T00:00:00Z,\na,2026-01-01T00:00:00Z,2026-01-05T00:00:01Z\n",
            'line 2: valid_from: "2026-01-05T00:00:00Z" of check "a" begins before its version on line 3 ends '
            '("2026-01-05T00:00:01Z"); end that one sooner',
        ),
        ('check,schedule\na,"0 3 * * *\n', "line 2: is not CSV: unexpected end of data; look at its quotes"),
        ('check,schedule\n"a"b,0 3 * * *\n', "line 2: is not CSV: ',' expected after '\"'; look at its quotes"),
        ("check,schedule\na,0 3,4 * * *\n", 'line 2: "a,0 3,4 * * *" has 3 values where the header names 2'),
        ("check,schedule,tz\na,0 3 * * *\n", 'line 2: "a,0 3 * * *" has 2 values where the header names 3'),
        ("backup,0 3 * * *,2026-01-01\n", "has no header: its first line looks like data"),
        ("job,cron\na,0 3 * * *\n", 'has no column "check"; it has "job", "cron"'),
        ("check,tz,tz\na,UTC,UTC\n", 'has 2 columns named "tz"; keep one'),
        ("", "is empty (0 bytes)"),
        ("check\n" + "x" * 10_000_000 + "\n", 'line 2: check: "xxx'),
        ("check\n\0\n", 'line 2: check: "\\x00" holds a character that is no text'),
    ],
)
def test_a_mistake_is_told_with_line_field_and_value(tmp_path: Path, content: str, said: str) -> None:
    assert f"pings.csv{' ' if said.startswith('line') else ': '}{said}" in refusal(write(tmp_path, content))


def test_the_line_is_that_of_an_editor(tmp_path: Path) -> None:
    content = 'check,name\r\n"a","over\r\ntwo lines"\r\n\r\nb,x\r\nc,\udcff\r\n'.encode(errors="surrogateescape")

    assert refusal(write(tmp_path, content)) == "pings.csv line 6: is not UTF-8; save the file as UTF-8"


def test_versions_that_follow_each_other_are_taken_in_any_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "check,valid_from,valid_to,schedule\n"
        "a,2026-02-01T00:00:00Z,,0 4 * * *\n"
        "a,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,0 3 * * *\n"
        "a,,2025-06-01T00:00:00Z,0 2 * * *\n",
    )

    assert [entry.schedule for entry in read_checks(path)] == ["0 4 * * *", "0 3 * * *", "0 2 * * *"]


# TOML -----------------------------------------------------------------------------------------------------------------


def test_checks_may_stand_in_toml(tmp_path: Path) -> None:
    said: list[str] = []
    path = write(
        tmp_path,
        '[store]\npath = "x.duckdb"\n\n[[check]]\ncheck = "a"\nschedule = "0 3 * * *"\ngrace = "15 min"\ntags = ["x", "y"]\n'
        '\n[[check]]\ncheck = "b"\nvalid_from = 2026-01-01T00:00:00Z\n',
        "checks.toml",
    )

    first, second = read_checks(path, warn=said.append)

    assert (first.check, first.grace_s, first.tags) == ("a", 900.0, ("x", "y"))
    assert (second.check, second.valid_from) == ("b", datetime(2026, 1, 1, tzinfo=UTC))
    assert said == [f'{path}: only its [[check]] tables were read, not "store"']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[[check]]\ncheck = "a"\n\n[[check]]\ncheck = "b"\ngrce = 5\n', 'line 4: it knows no "grce"; did you mean "grace"?'),
        ('\n[[check]]\ncheck = "a"\nschedule = "x"\n', 'line 2: schedule: "x" is not'),
        ('[[check]]\ncheck = "a"\n[[check]]\ncheck = "a"\n', 'line 3: valid_from: "" is given twice for check "a"'),
        ("[[check]]\nschedule = 3\n", 'line 1: it needs "check"; add it'),
        ('[[check]]\ncheck = "a\n', "is not TOML: Illegal character '\\n' (at line 2, column 11)"),
        ('[check]\ncheck = "a"\n', "has no [[check]] tables; write [[check]] and its keys below it"),
        ("check = [1, 2]\n", "has no [[check]] tables; write [[check]] and its keys below it"),
        ("[store]\n", "has no [[check]] tables; write [[check]] and its keys below it"),
        ("x = " + "[" * 100_000, "is not TOML"),
    ],
)
def test_a_mistake_in_toml_is_told_with_the_line_of_its_table(tmp_path: Path, content: str, said: str) -> None:
    assert said in refusal(write(tmp_path, content, "checks.toml"))


def test_other_kinds_of_files_are_no_check_files(tmp_path: Path) -> None:
    assert "is no check file" in refusal(write(tmp_path, '[{"check":"a"}]', "checks.json"))
    assert refusal(tmp_path / "gone.csv") == "gone.csv: there is no such file"
    assert "is a directory" in refusal(tmp_path)


# The bundled histories ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", HISTORIES, ids=lambda folder: folder.name)
def test_the_bundled_files_are_read_as_the_csv_module_reads_them(folder: Path) -> None:
    with gzip.open(folder / "pings.csv.gz", "rt", newline="") as file:
        wanted = [
            (row["check"], datetime.fromisoformat(row["received_at"]).timestamp(), row["kind"], row.get("duration_s") or None)
            for row in csv.DictReader(file)
        ]
    con = connect()

    staged = read_pings(con, folder / "pings.csv.gz")
    entries = read_checks(folder / "checks.csv")

    found = con.execute(
        "select check_name, epoch_us(received_at) / 1e6, kind, exit_status, duration_s from staged_pings order by row_no"
    ).fetchall()
    assert staged.skipped == 0
    assert len(found) == len(wanted) > 500
    for (check, at, kind, status, seconds), (name, when, word, length) in zip(found, wanted, strict=True):
        assert (check, at) == (name, when)
        assert seconds == (None if length is None else float(length))
        assert kind == word or (status is not None and kind == ("success" if status == 0 else "fail"))
    assert {entry.check for entry in entries} >= {check for check, *_ in found}
