"""What a row of a ping file may say, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from staging import read, write

from qpanalytics.errors import InputError

HEAD = "check,received_at,kind,n,run_id,duration_s,exit_status,host,body\n"


def instant(folder: Path, text: str) -> str:
    """The instant that a received_at of the text is read as."""
    quoted = '"' + text.replace('"', '""') + '"'
    ((found,),), _ = read(write(folder, f"check,received_at\na,{quoted}\n"), "received_at::varchar")
    return str(found)


def mistake(folder: Path, field: str, text: str) -> str:
    """Why the text is refused as a value of the field."""
    values = {"check": "a", "received_at": "2026-01-01T00:00:00Z"} | {field: text}
    cells = ",".join('"' + value.replace('"', '""') + '"' for value in values.values())
    _, staged = read(write(folder, f"{','.join(values)}\n{cells}\n"), skip_bad=True)
    (bad,) = staged.bad
    assert (bad.line, bad.field) == (2, field)
    return bad.why


def test_a_row_with_everything_is_taken_as_it_stands(tmp_path: Path) -> None:
    line = "backup-db,2026-01-31T07:00:00.25+01:00,fail,42,r-1,12.5,3,db1,disk full\n"

    found, staged = read(write(tmp_path, HEAD + line))

    assert found == [("backup-db", "2026-01-31 06:00:00.25+00", "fail", 42, "r-1", 12.5, 3, "db1", "disk full")]
    assert (staged.rows, staged.skipped, staged.warnings, staged.bad) == (1, 0, [], [])


def test_what_is_not_given_is_null_and_a_ping_without_a_kind_is_a_success(tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, HEAD + "a,2026-01-31T07:00:00Z,,,,,,,\n"))

    assert found == [("a", "2026-01-31 07:00:00+00", "success", None, None, None, None, None, None)]


# Times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31T07:00:00Z", "2026-01-31 07:00:00+00"),
        ("2026-01-31t07:00:00z", "2026-01-31 07:00:00+00"),
        ("2026-01-31 07:00:00 UTC", "2026-01-31 07:00:00+00"),
        ("2026-01-31 07:00:00 +0100", "2026-01-31 06:00:00+00"),
        ("2026-01-31T07:00Z", "2026-01-31 07:00:00+00"),
        ("2026-01-31T00:30:00+05:45", "2026-01-30 18:45:00+00"),
        ("2026-01-31T23:30:00-03", "2026-02-01 02:30:00+00"),
        (" 2026-01-31T07:00:00Z\t", "2026-01-31 07:00:00+00"),
        ("2026-01-31T07:00:00,5Z", "2026-01-31 07:00:00.5+00"),
        ("2026-01-31T07:00:00.999999999Z", "2026-01-31 07:00:00.999999+00"),  # more digits are cut, not rounded
        ("2024-02-29T23:59:59.000001Z", "2024-02-29 23:59:59.000001+00"),
        ("1970-01-02T00:00:00Z", "1970-01-02 00:00:00+00"),
        ("2261-12-31T23:59:59.999999Z", "2261-12-31 23:59:59.999999+00"),
        ("86400", "1970-01-02 00:00:00+00"),
        ("1767225600", "2026-01-01 00:00:00+00"),
        ("1767225600.", "2026-01-01 00:00:00+00"),
        ("1767225600.000001", "2026-01-01 00:00:00.000001+00"),
        ("1767225600.9999999", "2026-01-01 00:00:00.999999+00"),
        (" 1767225600.5 ", "2026-01-01 00:00:00.5+00"),
        ("9214646399.999999", "2261-12-31 23:59:59.999999+00"),  # beyond what a double holds to the microsecond
        ("20260101.5", "1970-08-23 11:48:21.5+00"),  # nobody writes half a date
    ],
)
def test_a_time_with_offset_or_epoch_seconds_is_that_instant(tmp_path: Path, text: str, meant: str) -> None:
    assert instant(tmp_path, text) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T07:00:00", "has no UTC offset; add Z or +01:00"),
        ("2026-01-31 07:00", "has no UTC offset; add Z or +01:00"),
        ("2026-01-31", "has no time of day; write 2026-01-31T07:00:00Z or epoch seconds"),
        ("20260131", "looks like a date; write 2026-01-31T07:00:00Z or epoch seconds"),
        ("1767225600123", "looks like epoch milliseconds; epoch seconds are meant: divide by 1,000"),
        ("1767225600123456", "looks like epoch microseconds; epoch seconds are meant: divide by 1,000,000"),
        ("1767225600123456789", "looks like epoch nanoseconds; epoch seconds are meant: divide by 1,000,000,000"),
        ("0", "lies outside 1970-01-02 to 2261-12-31"),
        ("-1767225600", "lies outside 1970-01-02 to 2261-12-31"),
        ("86399.999999", "lies outside 1970-01-02 to 2261-12-31"),
        ("9214646400", "lies outside 1970-01-02 to 2261-12-31"),
        ("1970-01-01T23:59:59.999999Z", "lies outside 1970-01-02 to 2261-12-31"),
        ("1970-01-02T00:30:00+01:00", "lies outside 1970-01-02 to 2261-12-31"),
        ("2262-01-01T00:00:00Z", "lies outside 1970-01-02 to 2261-12-31"),
        ("0001-01-01T00:00:00Z", "lies outside 1970-01-02 to 2261-12-31"),
        ("9999-12-31T23:59:59Z", "lies outside 1970-01-02 to 2261-12-31"),
        ("2026-01-31T07:00:60Z", "is no date and time that exists"),
        ("2026-01-31T24:00:00Z", "is no date and time that exists"),
        ("2026-02-30T00:00:00Z", "is no date and time that exists"),
        ("2026-13-01T00:00:00Z", "is no date and time that exists"),
        ("2025-02-29T00:00:00Z", "is no date and time that exists"),
        ("2026-01-31T07:00:00+25:00", "has a UTC offset that cannot be read; write 2026-01-31T07:00:00Z or epoch seconds"),
        ("2026-01-31T07:00:00 CET", "has a UTC offset that cannot be read; write 2026-01-31T07:00:00Z or epoch seconds"),
        ("", "is empty"),
        ("  ", "is empty"),
    ],
)
def test_any_other_time_is_refused_with_its_reason(tmp_path: Path, text: str, why: str) -> None:
    assert mistake(tmp_path, "received_at", text) == why


@pytest.mark.parametrize(
    "text",
    ["now", "today", "epoch", "infinity", "-infinity", "yesterday", "nan", "0x10", "1e9", "1_767_225_600", "31.01.2026 07:00",
     "01/31/2026", "2026-1-31T7:0:0Z", "20260131T070000Z", "١٧٦٧٢٢٥٦٠٠", "2026-01-31T07:00:00Z\n2026"],
)  # fmt: skip
def test_words_and_spellings_that_a_database_might_take_are_refused(tmp_path: Path, text: str) -> None:
    assert "received_at" in mistake_line(tmp_path, text)


def mistake_line(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(write(folder, f'check,received_at\na,"{text}"\n'))
    assert "nothing was imported" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The other fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "meant"),
    [
        ("success", "", ("success", None)),
        ("  Start ", "", ("start", None)),
        ("FAIL", "", ("fail", None)),
        ("log", "", ("log", None)),
        ("0", "", ("success", 0)),
        ("1", "", ("fail", 1)),
        (" 255 ", "", ("fail", 255)),
        ("137.0", "", ("fail", 137)),  # a column of numbers with gaps, as pandas writes it
        ("", "2", ("fail", 2)),
        ("  ", "0", ("success", 0)),
        ("fail", "0", ("fail", 0)),
        ("success", "1", ("success", 1)),
        ("3", "3", ("fail", 3)),
    ],
)
def test_a_kind_is_a_word_or_an_exit_status(tmp_path: Path, kind: str, status: str, meant: tuple[str, int | None]) -> None:
    text = f"check,received_at,kind,exit_status\na,1767225600,{kind},{status}\n"

    assert read(write(tmp_path, text), "kind, exit_status")[0] == [meant]


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("kind", "ok", "is not start, success, fail, log or an exit status from 0 to 255"),
        ("kind", "256", "is not start, success, fail, log or an exit status from 0 to 255"),
        ("kind", "-1", "is not start, success, fail, log or an exit status from 0 to 255"),
        ("kind", "1.5", "is not start, success, fail, log or an exit status from 0 to 255"),
        ("n", "seven", "is not a whole number from 0 up"),
        ("n", "-1", "is not a whole number from 0 up"),
        ("n", "9223372036854775808", "is not a whole number from 0 up"),
        ("n", "0x10", "is not a whole number from 0 up"),
        ("duration_s", "-0.001", "is negative"),
        ("duration_s", "nan", "is not a finite number of seconds"),
        ("duration_s", "inf", "is not a finite number of seconds"),
        ("duration_s", "1e400", "is not a finite number of seconds"),
        ("duration_s", "-inf", "is negative"),
        ("duration_s", "5 min", "is not a number of seconds"),
        ("duration_s", "1,5", "is not a number of seconds"),
        ("duration_s", "1_000", "is not a number of seconds"),
        ("duration_s", "4000000000", "is longer than a hundred years"),
        ("exit_status", "256", "is not an exit status, a whole number from 0 to 255"),
        ("exit_status", "-9", "is not an exit status, a whole number from 0 to 255"),
        ("exit_status", "killed", "is not an exit status, a whole number from 0 to 255"),
        ("check", "", "is empty"),
        ("check", " \t ", "is empty"),
        ("check", "x" * 501, "is longer than 500 characters"),
        ("check", "a\0b", "holds a NUL byte"),
        ("run_id", "a\0b", "holds a NUL byte"),
        ("host", "\0", "holds a NUL byte"),
        ("body", "text\0", "holds a NUL byte"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_reason(tmp_path: Path, field: str, text: str, why: str) -> None:
    assert mistake(tmp_path, field, text) == why


def test_an_exit_status_that_contradicts_the_kind_is_refused(tmp_path: Path) -> None:
    _, staged = read(write(tmp_path, "check,received_at,kind,exit_status\na,1767225600,1,2\n"), skip_bad=True)

    assert [(bad.field, bad.value, bad.why) for bad in staged.bad] == [
        ("exit_status", "2", "contradicts the exit status in kind")
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("12", 12.0), (" 0.25 ", 0.25), (".5", 0.5), ("5.", 5.0), ("+5", 5.0), ("1e3", 1000.0), ("-0", 0.0)],
)
def test_a_duration_is_a_number_of_seconds(tmp_path: Path, text: str, seconds: float) -> None:
    ((found, sign),), _ = read(
        write(tmp_path, f"check,received_at,duration_s\na,1767225600,{text}\n"), "duration_s, signbit(duration_s)"
    )
    assert (found, sign) == (seconds, False)


def test_a_number_with_a_pointless_decimal_point_is_a_whole_number(tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, "check,received_at,n,exit_status\na,1767225600,17.0,2.00\n"), "n, exit_status")

    assert found == [(17, 2)]


NAMES = ["<script>alert(1)</script>", 'say "hi"', "two\nlines", "carriage\rreturn", "\u202egnp.exe", "🐘 backup",
         "a,b;c\td", "NULL", "null", "'; drop table staged_pings; --", "%s {} $path", "x" * 500, "é",
         "\ufeff", "\\N"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_hold_anything_else(tmp_path: Path, name: str) -> None:
    text = "check,received_at\n" + '"' + name.replace('"', '""') + '",1767225600\n'

    assert read(write(tmp_path, text), "check_name")[0] == [(name,)]


@pytest.mark.parametrize("space", ["  ", "\t", "\xa0", "\u3000", "\x1f", "\x85"])
def test_space_around_a_name_is_not_part_of_it_as_in_check_files(tmp_path: Path, space: str) -> None:
    text = f'check,received_at\n"{space}two words{space}",1767225600\n'

    assert read(write(tmp_path, text), "check_name")[0] == [("two words",)]


def test_a_value_is_shown_on_one_safe_line_and_cut_to_eighty_characters(tmp_path: Path) -> None:
    said = mistake_line(tmp_path, "\x1b[31mred\u202e" + "x" * 500)

    shown = said.split("received_at: ")[1].split(" is not a time")[0]
    assert shown.startswith('"\\x1b[31mred\\u202exxx')
    assert shown.endswith('xxx..."')
    # 77 characters of the value, of which two are shown as escapes of 4 and 6, three dots and two quotes.
    assert len(shown) == 75 + 4 + 6 + 3 + 2
