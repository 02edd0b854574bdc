"""Durations, instants and counts as people write and read them."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpanalytics import spell

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # a Tuesday


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Durations ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15 min", 900), ("2 h 10 min", 7_800), ("2h10min", 7_800), ("90 s", 90), ("1d", 86_400), ("0.5 h", 1_800),
        ("5m", 300), ("5 M", 300), (" 1 w ", 604_800), ("250 ms", 0.25), (".5 s", 0.5), ("900", 900), ("1.5", 1.5),
        ("1e3", 1_000), (0, 0), (900, 900), (0.25, 0.25), ("10 min 2 h", 7_800), ("0 s", 0),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(text: str | float, seconds: float) -> None:
    assert spell.parse_duration(text) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5 mins", '"5 mins" is not a duration; try "5 min"'),
        ("5 minutes", 'try "5 min"'),
        ("2 hrs", 'try "2 h"'),
        ("2 hours and 5 minutes", 'try "2 h 5 min"'),
        ("0,5 h", 'try "0.5 h"'),
        ("-5 min", '"-5 min" is not a duration; try "5 min"'),
        ("5 parsecs", 'try "15 min"'),
        ("5 min later", 'try "15 min"'),
        ("min", 'try "15 min"'),
        ("", '"" is not a duration'),
        ("1 h 2 h", "names a unit twice"),
        ("1 min 2 m", "names a unit twice"),
        ("-5", "negative"),
        (-0.5, "-0.5 is a negative duration"),
        ("nan", "is not a duration"),
        (math.nan, "nan is not a duration"),
        (math.inf, "inf is not a duration"),
        ("1e999", "is not a duration"),
        (10**400, "is not a duration"),
        (True, "true is not a duration"),
        ("101 d 40000 h 999999999 min", "longer than a hundred years"),
        (3_200_000_000, "longer than a hundred years"),
        ("٣ min", "is not a duration"),
        ("5\x1b[31m min", r"5\x1b[31m min"),
        ("9" * 10_000_000, "9999..."),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str | float, words: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError) as refusal:
        spell.parse_duration(text)
    message = str(refusal.value)
    assert words in message and "; try " in message
    assert message.isprintable() and len(message) < 200
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.0004, "0 s"), (0.004, "4 ms"), (0.0996, "0.1 s"), (0.4, "0.4 s"), (2, "2 s"), (9.94, "9.9 s"),
        (9.96, "10 s"), (12, "12 s"), (59.4, "59 s"), (59.7, "1 min"), (90, "1 min 30 s"), (420, "7 min"),
        (599.4, "9 min 59 s"), (599.6, "10 min"), (630, "11 min"), (3_599, "1 h"), (7_800, "2 h 10 min"),
        (86_340, "23 h 59 min"), (86_370, "1 d"), (424_800, "4 d 22 h"), (8_640_000, "100 d"),
        (432_000_000, "5,000 d"), (-12, "-12 s"), (-7_800, "-2 h 10 min"), (-0.0001, "0 s"),
        (None, "n/a"), (math.nan, "n/a"), (math.inf, "infinite"), (-math.inf, "-infinite"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_at_most_two_units(seconds: float | None, words: str) -> None:
    assert spell.duration(seconds) == words


@given(st.floats(0, 3e9))
def test_what_duration_tells_can_be_read_back_and_is_as_near_as_its_last_unit(seconds: float) -> None:
    words = spell.duration(seconds)
    said = spell.parse_duration(words.replace(",", ""))
    tolerance = {"ms": 0.0005, "s": 0.5, "min": 30, "h": 1_800, "d": 43_200}
    coarsest = next(limit for limit, top in ((0.0005, 0.0995), (0.05, 9.95), (0.5, 599.5), (30, 86_370),
                                             (1_800, 8_638_200), (43_200, 4e9)) if seconds < top)  # fmt: skip
    assert abs(said - seconds) <= coarsest + 1e-6
    assert len(words.split()) in (2, 4)
    assert words.split()[-1] in tolerance


# Instants -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24", "2026-11-24T00:00:00"),
        ("2026-11-24T07:00:00Z", "2026-11-24T07:00:00"),
        ("2026-11-24T07:00:00+01:00", "2026-11-24T06:00:00"),
        ("2026-11-24 07:00", "2026-11-24T07:00:00"),  # without an offset it is UTC, never the machine's zone
        ("2026-11-24T07:00:00.250000-0330", "2026-11-24T10:30:00.250000"),
        ("0", "1970-01-01T00:00:00"),
        ("1700000000", "2023-11-14T22:13:20"),
        ("1700000000.5", "2023-11-14T22:13:20.500000"),
        ("now", "2026-11-24T07:00:00"),
        ("90d", "2026-08-26T07:00:00"),
        ("2 h 10 min", "2026-11-24T04:50:00"),
        ("2 h ago", "2026-11-24T05:00:00"),
        ("2261-12-31T23:59:59Z", "2261-12-31T23:59:59"),
    ],
)
def test_an_instant_is_read_as_utc(text: str, instant: str) -> None:
    found = spell.parse_instant(text, now=NOW)
    assert found == utc(instant)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yesterday", '"yesterday" is not an instant; try "2026-11-24"'),
        ("", "is not an instant"),
        ("2026-13-01", "is not an instant"),
        ("2026-02-29", "is not an instant"),
        ("24.11.2026", "is not an instant"),
        ("20261124", 'try "2026-11-24"'),
        ("1700000000000", "in seconds, not milliseconds"),
        ("-1", "outside the years 1970 to 2261"),
        ("1969-12-31T23:59:59Z", "outside the years 1970 to 2261"),
        ("2262-01-01", "outside the years 1970 to 2261"),
        ("9999-12-31T23:59:59-10:00", "is not an instant"),
        ("80 w 30000 d", "outside the years 1970 to 2261"),
        ("90 days", "is not an instant"),
        ("9" * 50, "outside the years"),
        ("2026-11-24\0", r"2026-11-24\x00"),
        ("٢٠٢٦-11-24", "is not an instant"),
        ("1" * 10_000_000, "is not an instant"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refusal:
        spell.parse_instant(text, now=NOW)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


def test_a_time_ago_means_nothing_without_a_present() -> None:
    with pytest.raises(ValueError, match="depends on the present time"):
        spell.parse_instant("90d")
    with pytest.raises(ValueError, match="depends on the present time"):
        spell.parse_instant("now")


def test_iso_has_six_decimals_only_where_seconds_are_not_whole() -> None:
    assert spell.iso(NOW) == "2026-11-24T07:00:00Z"
    assert spell.iso(NOW + timedelta(microseconds=5)) == "2026-11-24T07:00:00.000005Z"
    assert spell.iso(1_700_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert spell.iso(1_700_000_000_250_000) == "2023-11-14T22:13:20.250000Z"
    assert spell.iso(datetime.fromisoformat("2026-11-24T07:00:00+05:45")) == "2026-11-24T01:15:00Z"


def test_a_time_without_a_zone_is_told_by_nobody() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="without a time zone"):
        spell.iso(naive)
    for tell in (spell.day, spell.clock, spell.moment):
        with pytest.raises(ValueError, match="without a time zone"):
            tell(naive, "UTC")


@given(st.integers(0, 9_214_646_399_999_999))
def test_iso_and_parse_instant_are_each_others_reverse(us: int) -> None:
    assert spell.iso(spell.parse_instant(spell.iso(us))) == spell.iso(us)
    assert spell.parse_instant(spell.iso(us)) == spell.EARLIEST + timedelta(microseconds=us)


def test_days_and_times_are_the_readers() -> None:
    late = utc("2026-11-15T23:30:00")  # 00:30 on Monday the 16th in Berlin, Sunday evening in New York
    assert (spell.day(late, "Europe/Berlin"), spell.clock(late, "Europe/Berlin")) == ("Mon 16 Nov", "00:30")
    assert (spell.day(late, "America/New_York"), spell.clock(late, "America/New_York")) == ("Sun 15 Nov", "18:30")
    assert spell.day(late, UTC) == "Sun 15 Nov"


def test_a_moment_is_told_by_its_weekday_only_when_that_can_mean_one_day() -> None:
    friday = utc("2026-11-20T01:30:00")
    assert spell.moment(friday, "Europe/Berlin", near=NOW) == "Fri 02:30"
    assert spell.moment(friday, "Europe/Berlin", near=friday + timedelta(days=7)) == "Fri 20 Nov 02:30"
    assert spell.moment(friday, "Europe/Berlin", near=friday - timedelta(days=7)) == "Fri 20 Nov 02:30"
    assert spell.moment(friday, "Europe/Berlin") == "Fri 20 Nov 02:30"
    assert spell.moment(utc("2025-11-14T01:30:00"), "Europe/Berlin", near=NOW) == "Fri 14 Nov 2025 02:30"
    assert spell.moment(utc("2026-12-31T23:30:00"), "UTC", near=utc("2027-01-02T00:00:00")) == "Thu 23:30"


@pytest.mark.parametrize(
    ("since", "until", "tz", "words"),
    [
        ("2026-11-16T00:00:00", "2026-11-23T00:00:00", "UTC", "Mon 16 to Sun 22 Nov 2026"),
        ("2026-11-15T23:00:00", "2026-11-22T23:00:00", "Europe/Berlin", "Mon 16 to Sun 22 Nov 2026"),
        ("2026-10-18T22:00:00", "2026-10-25T23:00:00", "Europe/Berlin", "Mon 19 to Sun 25 Oct 2026"),  # 169 hours
        ("2026-11-30T00:00:00", "2026-12-07T00:00:00", "UTC", "Mon 30 Nov to Sun 6 Dec 2026"),
        ("2026-12-28T00:00:00", "2027-01-04T00:00:00", "UTC", "Mon 28 Dec 2026 to Sun 3 Jan 2027"),
        ("2026-11-16T00:00:00", "2026-11-17T00:00:00", "UTC", "Mon 16 Nov 2026"),
        ("2026-11-16T02:30:00", "2026-11-17T04:00:00", "UTC", "Mon 16 Nov 02:30 to Tue 17 Nov 2026 04:00"),
        ("2026-12-31T12:00:00", "2027-01-01T00:00:00", "UTC", "Thu 31 Dec 2026 12:00 to Fri 1 Jan 2027 00:00"),
    ],
)
def test_a_stretch_ends_with_its_last_day(since: str, until: str, tz: str, words: str) -> None:
    assert spell.span(utc(since), utc(until), tz) == words


# Counts and text ------------------------------------------------------------------------------------------------------


def test_counts_have_their_noun_and_their_thousands() -> None:
    assert [spell.plural(n, "check") for n in (0, 1, 24, 3412)] == ["0 checks", "1 check", "24 checks", "3,412 checks"]
    assert spell.plural(2, "match", "matches") == "2 matches"
    assert [spell.number(n) for n in (3412, 0, 12.0, 12.34, -1234.5)] == ["3,412", "0", "12", "12.3", "-1,234.5"]
    assert [spell.number(n) for n in (None, math.nan, math.inf)] == ["n/a", "n/a", "infinite"]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.9970, "99.7 %"), (1, "100 %"), (1.0, "100 %"), (0.9999, "99.9 %"), (0.99951, "99.9 %"), (0, "0 %"),
        (0.00001, "< 0.1 %"), (0.5, "50.0 %"), (0.1234, "12.3 %"), (None, "n/a"), (math.nan, "n/a"),
    ],
)  # fmt: skip
def test_a_single_miss_never_rounds_away(rate: float | None, words: str) -> None:
    assert spell.percent(rate) == words


@given(st.integers(1, 10**7), st.integers(0, 10**7))
def test_only_all_is_a_hundred_per_cent_and_only_none_is_nought(n: int, k: int) -> None:
    k = min(n, k)
    assert (spell.percent(k / n) == "100 %") is (k == n)
    assert (spell.percent(k / n) == "0 %") is (k == 0)
    assert spell.percent(k / n) not in ("100.0 %", "0.0 %")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("backup-db", "backup-db"),
        ("nächtliche Sicherung 備份 🎉", "nächtliche Sicherung 備份 🎉"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),  # held together by zero-width joiners
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # a page escapes it; a terminal does not mind
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\0b\x7f", r"a\x00b\x7f"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("\u2066x\u2069\u200f", r"\u2066x\u2069\u200f"),
        ("line\u2028end\ufeff", r"line\u2028end\ufeff"),
        ("half a pair \ud800", r"half a pair \ud800"),
        ("tag \U000e0041", r"tag \U000e0041"),
    ],
)
def test_a_name_from_anyone_stays_one_harmless_line(text: str, shown: str) -> None:
    assert spell.plain(text) == shown


@given(st.text(max_size=80))
def test_plain_text_can_always_be_printed_and_is_plain_already(text: str) -> None:
    shown = spell.plain(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("\x1b\x9b\0\r\n\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
    assert spell.plain(shown) == shown


def test_quoted_text_is_cut() -> None:
    assert spell.quoted("short") == '"short"'
    assert spell.quoted("x" * 60) == '"' + "x" * 60 + '"'
    assert spell.quoted("x" * 61) == '"' + "x" * 57 + '..."'
    assert spell.quoted("\x1b" * 10_000_000, limit=5) == r'"\x1b\x1b..."'
