"""Ticks are those of cronsim and oncalendar, in every zone and through every change of clocks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import TzIterator

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import Schedule, parse, zones
from qpanalytics.spell import iso, plain

MICRO, DAY_S = 1_000_000, 86_400
ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
    "America/Sao_Paulo", "Asia/Kathmandu", "America/Havana", "Pacific/Apia", "UTC",
    "Antarctica/Troll", "America/Caracas", "Asia/Amman", "Europe/Dublin", "America/Scoresbysund", "Africa/Monrovia",
)  # fmt: skip


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * MICRO)


def ticks(text: str, tz: str, since: str, until: str) -> list[str]:
    """Ticks in [since, until) without their date and seconds: "29T01:00"."""
    return [iso(at)[8:16] for at in parse(text, tz).ticks(us(since), us(until)).tolist()]


# By hand: the nights in which the clocks change -----------------------------------------------------------------------


def test_a_fixed_time_that_the_clocks_skip_fires_once_right_after_the_gap() -> None:
    # Berlin has no 02:30 on 29 March 2026; 03:00 CEST is 01:00 UTC.
    found = ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-31T00:00Z")
    assert found == ["28T01:30", "29T01:00", "30T00:30"]


def test_two_fixed_times_in_the_gap_fall_into_one_tick() -> None:
    found = ticks("10,40 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-30T00:00Z")
    assert found == ["29T01:00"]


def test_a_fixed_time_that_comes_twice_counts_in_its_first_pass_only() -> None:
    # 02:30 CEST is 00:30 UTC; 02:30 CET, an hour later, is left out.
    found = ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", "2026-10-27T00:00Z")
    assert found == ["24T00:30", "25T00:30", "26T01:30"]


def test_asked_from_the_second_pass_on_no_tick_lies_in_the_past() -> None:
    # 01:10 UTC is 02:10 for the second time: the next 02:30 is tomorrow's.
    night = parse("30 2 * * *", "Europe/Berlin")
    assert iso(night.after(us("2026-10-25T01:10Z")) or 0) == "2026-10-26T01:30:00Z"


def test_a_starred_minute_runs_in_real_time_through_both_passes_and_not_in_the_gap() -> None:
    both = ticks("*/30 1 * * *", "America/New_York", "2026-11-01T00:00Z", "2026-11-02T00:00Z")
    assert both == ["01T05:00", "01T05:30", "01T06:00", "01T06:30"]
    gap = ticks("*/30 2 * * *", "America/New_York", "2026-03-07T00:00Z", "2026-03-09T07:00Z")
    assert gap == ["07T07:00", "07T07:30", "09T06:00", "09T06:30"]


def test_oncalendar_drops_a_skipped_time_and_the_second_pass() -> None:
    spring = ticks("OnCalendar=*-*-* 02:30:00", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-31T00:00Z")
    assert spring == ["28T01:30", "30T00:30"]
    autumn = ticks("OnCalendar=*-*-* *:00:00", "Europe/Berlin", "2026-10-24T23:00Z", "2026-10-25T03:30Z")
    assert autumn == ["24T23:00", "25T00:00", "25T02:00", "25T03:00"]


def test_half_an_hour_of_daylight_saving_is_half_an_hour() -> None:
    # Lord Howe goes from +11:00 to +10:30 at 02:00 on 5 April 2026, so 01:45 comes twice: 14:45 and 15:15 UTC.
    found = ticks("*/15 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:00Z")
    assert found == ["04T14:00", "04T14:15", "04T14:30", "04T14:45", "04T15:00", "04T15:15"]


def test_a_day_that_never_was_has_its_fixed_tick_at_the_start_of_the_next() -> None:
    # Samoa went from 29 to 31 December 2011; midnight of the 31st there is 10:00 UTC of the 30th.
    found = ticks("30 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z", "2011-12-31T00:00Z")
    assert found == ["29T22:30", "30T10:00", "30T22:30"]


# By hand: reading -----------------------------------------------------------------------------------------------------


def test_a_tick_on_the_start_counts_and_one_on_the_end_does_not_to_the_microsecond() -> None:
    every_five = parse("*/5 * * * *")
    noon = us("2026-11-24T12:00Z")
    assert every_five.ticks(noon, noon + 300 * MICRO).tolist() == [noon]
    assert every_five.ticks(noon + 1, noon + 300 * MICRO).tolist() == []
    assert every_five.ticks(noon + 1, noon + 300 * MICRO + 1).tolist() == [noon + 300 * MICRO]
    assert every_five.ticks(noon, noon).tolist() == []
    assert every_five.ticks(noon + MICRO, noon).tolist() == []


def test_several_crons_are_a_union_and_a_shared_instant_counts_once() -> None:
    found = ticks("0 */2 * * * ; 0 */3 * * *", "UTC", "2026-11-24T00:00Z", "2026-11-24T07:00Z")
    assert found == ["24T00:00", "24T02:00", "24T03:00", "24T04:00", "24T06:00"]


def test_day_of_month_and_weekday_are_either_unless_one_begins_with_a_star() -> None:
    assert ticks("0 0 1 * 1", "UTC", "2026-06-02T00:00Z", "2026-06-16T00:00Z") == ["08T00:00", "15T00:00"]
    assert ticks("0 0 */2 * 1", "UTC", "2026-06-02T00:00Z", "2026-06-16T00:00Z") == ["15T00:00"]


def test_six_fields_begin_with_seconds() -> None:
    found = parse("*/20 59 23 * * *").ticks(us("2026-11-24T00:00Z"), us("2026-11-25T00:00Z")).tolist()
    assert [iso(at)[11:] for at in found] == ["23:59:00Z", "23:59:20Z", "23:59:40Z"]


def test_lines_of_oncalendar_are_a_union_and_may_carry_their_own_zone() -> None:
    text = "OnCalendar=09:00 Europe/Riga\nOnCalendar=09:00 UTC\n09:00"
    found = ticks(text, "Asia/Kathmandu", "2026-11-24T00:00Z", "2026-11-25T00:00Z")
    assert found == ["24T03:15", "24T07:00", "24T09:00"]  # +05:45, +02:00, 0


def test_an_oncalendar_date_in_the_past_is_a_schedule_that_is_exhausted() -> None:
    once = parse("OnCalendar=2020-01-01 03:00", "UTC")
    assert once.after(us("2020-01-01T03:00Z")) is None
    assert iso(once.after(0) or 0) == "2020-01-01T03:00:00Z"
    assert iso(once.before(us("2026-01-01T00:00Z")) or 0) == "2020-01-01T03:00:00Z"
    assert once.shortest_gap_s() == float("inf")
    assert not once.gaps_differ()


def test_before_and_after_find_rare_ticks_and_do_not_return_the_instant_itself() -> None:
    leap = parse("0 12 29 2 *", "Europe/Berlin")
    noon = us("2024-02-29T11:00Z")
    assert leap.after(noon - 1) == noon
    assert iso(leap.after(noon) or 0) == "2028-02-29T11:00:00Z"
    assert leap.before(noon + 1) == noon
    assert iso(leap.before(noon) or 0) == "2020-02-29T11:00:00Z"


def test_nothing_lies_before_1970_or_from_2262_on() -> None:
    midnight = parse("0 0 * * *")
    assert midnight.before(1) == 0
    assert midnight.before(0) is None
    assert iso(midnight.before(us("2500-01-01T00:00Z")) or 0) == "2261-12-31T00:00:00Z"
    assert midnight.after(us("2261-12-31T00:00Z")) is None
    assert midnight.ticks(us("1900-01-01T00:00Z"), us("1970-01-02T00:00Z")).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "tz", "shortest_s", "differ"),
    [
        ("*/5 * * * *", "Europe/Berlin", 300, False),
        ("0 3 * * *", "Europe/Berlin", DAY_S, False),  # not the 23 hours of one day a year
        ("0 9 * * MON-FRI", "UTC", DAY_S, False),  # a week-end is exactly three days
        ("0 9 * * MON-THU", "UTC", DAY_S, True),
        ("0 0 1 * *", "UTC", 28 * DAY_S, False),
        ("0 0 29 2 *", "UTC", 1461 * DAY_S, False),
        ("0 12 31 12 *", "UTC", 365 * DAY_S, False),
        ("0 2 * * * ; 10 2 * * *", "Europe/Berlin", 600, True),
        ("* * * * * *", "UTC", 1, False),
        ("OnCalendar=*:0/10", "Europe/Berlin", 600, False),  # not the hole of the repeated hour in autumn
        ("OnCalendar=09:00 Europe/Riga ; 09:00 UTC", "UTC", 2 * 3600, True),  # and 22 h, or 3 h and 21 h in summer
        ("every 15 min", "UTC", 900, False),
    ],
)
def test_the_shortest_gap_is_that_of_a_usual_year(text: str, tz: str, shortest_s: float, differ: bool) -> None:
    schedule = parse(text, tz)
    assert schedule.shortest_gap_s() == shortest_s
    assert schedule.gaps_differ() is differ


def test_an_interval_has_a_period_and_no_ticks() -> None:
    every = parse("every 15 min")
    assert isinstance(every, Schedule)
    assert (every.kind, every.period_s) == ("interval", 900.0)
    assert every.ticks(0, us("2026-01-01T00:00Z")).tolist() == []
    assert every.after(0) is None
    assert every.before(us("2026-01-01T00:00Z")) is None
    assert [parse(f"every {words}").period_s for words in ("900 s", "1 h", "1 d", "hour", "2 h 10 min")] == [
        900.0, 3600.0, 86400.0, 3600.0, 7800.0,
    ]  # fmt: skip


def test_a_schedule_keeps_its_words_in_one_line() -> None:
    assert parse(" 0  3 * * *;0 4 * * * ").text == "0 3 * * * ; 0 4 * * *"
    assert parse("OnCalendar=daily\n hourly").text == "OnCalendar=daily ; hourly"
    assert parse("0 3 * * *").kind == "cron"
    assert parse("oncalendar = daily").kind == "oncalendar"


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("61 * * * *", '"61 * * * *" is not a cron expression (bad minute); try "0 3 * * *"'),
        ("0 3 * *", '"0 3 * *" is not a cron expression (4 fields, not 5)'),
        ("0 3 * * * ; 0 25 * * *", '"0 25 * * *" is not a cron expression (bad hour)'),
        ("0 0 30 2 *", '"0 0 30 2 *" never fires: none of its months has that day'),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("@daily", 'write "0 0 * * *"'),
        ("Mon..Fri 09:00", 'write "OnCalendar=Mon..Fri 09:00"'),
        ("", "is empty"),
        (" ; \n", "is empty"),
        ("OnCalendar=", "is not an OnCalendar expression"),
        ("OnCalendar=25:00", "bad hour"),
        ("OnCalendar=*-02-30", "never fires"),
        ("OnCalendar=2026-03-29 02:30 Europe/Berlin", "never fires"),
        ("OnCalendar=daily Europe/Berlni", 'did you mean "Europe/Berlin"?'),
        ("OnCalendar=daily Europe", "is not an OnCalendar expression"),
        ("every 0 min", "a period is 1 s to 10 years"),
        ("every 0.5 s", "a period is 1 s to 10 years"),
        ("every -5 min", 'try "every 5 min"'),
        ("every 5 mins", 'try "every 5 min"'),
        ("every 15", "it has no unit"),
        ("every", "it has no period"),
        ("every 11 w 4000 d", "a period is 1 s to 10 years"),
        ("every 5 min ; 0 3 * * *", "a period stands alone"),
        ("0 3 * * *\0", "holds characters that no schedule has"),
        ("0 3 * * *\x1b[31m", r"\x1b[31m"),
        ("0 3 * * ٣", "holds characters that no schedule has"),
        ("OnCalendar=Mon" + "," * 3000 + " 09:00", "is not an OnCalendar expression"),
        ("9" * 3900 + " * * * *", "is not a cron expression"),
        (" ; ".join(f"{n % 60} {n // 60} * * *" for n in range(101)), "joins 101 schedules"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_text_and_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse(text)
    message = str(refusal.value)
    assert message.startswith('schedule: "')
    assert words in message
    assert refusal.value.field == "schedule"
    assert message.isprintable() and len(message) < 300


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Berlin", 'did you mean "Europe/Berlin"?'),
        ("New York", 'did you mean "America/New_York"?'),
        ("utc", 'did you mean "UTC"?'),
        ("CEST", 'try "UTC"'),
        ("", 'try "UTC"'),
        ("Europe", 'try "UTC"'),
        ("localtime", 'try "UTC"'),
        ("../../etc/passwd", 'try "UTC"'),
        ("/etc/localtime", 'try "UTC"'),
        ("right/Europe/Berlin", "did you mean"),
        ("a\0b", r"a\x00b"),
        ("x" * 10_000_000, "xxx..."),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest_one(name: str, words: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse("0 3 * * *", name)
    message = str(refusal.value)
    assert message.startswith('tz: "') and words in message
    assert refusal.value.field == "tz"
    assert message.isprintable() and len(message) < 300


@pytest.mark.parametrize("text", ["x" * 10_000_000, "*," * 5_000_000, "OnCalendar=" + ";" * 10_000_000])
def test_ten_megabytes_are_refused_at_once(text: str) -> None:
    with pytest.raises(ScheduleError, match="characters; 4,000 are the most"):
        parse(text)


@pytest.mark.parametrize("text", ["* * * * * *", "0-58 * * * * * ; 1-59 * * * * *", "OnCalendar=*:*:*"])
@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin"])
def test_more_ticks_than_memory_should_hold_are_refused_not_tried(text: str, tz: str) -> None:
    with pytest.raises(ScheduleError, match="over 20 million expected times"):
        parse(text, tz).ticks(us("1990-01-01T00:00Z"), us("2026-01-01T00:00Z"))


def test_twenty_million_ticks_are_not_too_many() -> None:
    minutes = parse("* * * * *", "Europe/Berlin").ticks(us("1990-01-01T00:00Z"), us("2026-01-01T00:00Z"))
    assert len(minutes) == (us("2026-01-01T00:00Z") - us("1990-01-01T00:00Z")) // (60 * MICRO)


@given(st.text(max_size=60) | st.text(alphabet="0123456789*/,-L#W; MONSUFRIJAN:.~every=OnCalendarminh", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_schedule_or_a_schedule_error(text: str) -> None:
    try:
        parsed = parse(text)
    except ScheduleError as refusal:
        assert plain(str(refusal)) == str(refusal)
    else:
        assert parse(parsed.text).text == parsed.text


# Against the parsers --------------------------------------------------------------------------------------------------


def numbers(lo: int, hi: int, *names: str) -> st.SearchStrategy[str]:
    """A cron field in every form: star, number or name, range, steps, list."""
    one = st.integers(lo, hi).map(str) | (st.sampled_from(names) if names else st.nothing())
    between = st.tuples(st.integers(lo, hi), st.integers(lo, hi)).map(lambda ab: f"{min(ab)}-{max(ab)}")
    base = st.just("*") | one | between
    stepped = st.tuples(base, st.sampled_from([2, 3, 5, 7, 15, 30, 45, 60])).map(lambda bs: f"{bs[0]}/{bs[1]}")
    listed = st.lists(one | between | stepped, min_size=2, max_size=3).map(",".join)
    return st.just("*") | one | between | stepped | listed


MONTHS = ("JAN", "mar", "OCT", "Nov", "MAR-JUN")
WEEKDAYS = ("MON", "sun", "Sat", "MON-FRI", "SUN#1", "1#2", "5L", "0L", "7", "0#3,5L", "6,7")
days_of_month = st.just("*") | st.sampled_from(["L", "LW", "1,L", "15,LW", "*/2"]) | numbers(1, 31)
days_of_week = st.just("*") | st.sampled_from(WEEKDAYS) | numbers(0, 7)
hours = st.sampled_from(["0", "1", "2", "3", "0-3", "23,0", "*/2"]) | numbers(0, 23)
months = st.just("*") | st.sampled_from(MONTHS) | numbers(1, 12)
crons = st.tuples(
    st.just("") | st.sampled_from(["0", "30", "*/20", "5,50"]),
    numbers(0, 59),
    hours,
    days_of_month,
    months,
    days_of_week,
).map(lambda fields: " ".join(fields).strip())

calendar_dates = st.sampled_from(
    ["", "*-*-*", "*-*-1", "*-*~1", "*-03,10-*", "2020..2030-*-1/2", "*-*-8..14", "*-2-29", "*-*~7/1", "2026-3-29"]
)
calendar_times = st.tuples(
    st.sampled_from(["*", "0/2", "2", "1..3", "0,23", "00"]),
    st.sampled_from(["*", "0/10", "30", "15,45", "00"]),
    st.sampled_from(["0", "30", "0/20"]),
).map(":".join)
calendars = st.sampled_from(["daily", "hourly", "weekly", "quarterly"]) | st.tuples(
    st.sampled_from(["", "Mon", "Sat,Sun", "Mon..Fri"]), calendar_dates, calendar_times
).map(lambda parts: " ".join(part for part in parts if part))


@st.composite
def stretches(draw: st.DrawFn) -> tuple[str, int, int]:
    """A zone and a stretch in it, mostly near a change of its clocks, that begins and ends anywhere."""
    tz = draw(st.sampled_from(ZONES))
    year = draw(st.integers(1971, 2060))
    first = round(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    marks = [change.at for change in zones.changes(first, first + 365 * DAY_S, zones.zone(tz))]
    near = draw(st.sampled_from(marks)) if marks else first + draw(st.integers(0, 364)) * DAY_S
    start = (near + draw(st.integers(-3 * DAY_S, 3 * DAY_S) | st.integers(-7_200, 7_200))) * MICRO
    length = draw(st.integers(0, 4 * DAY_S * MICRO) | st.integers(0, 3_600 * MICRO))
    return tz, max(start + draw(st.sampled_from([0, 1, 500_000, 999_999])), 0), start + length


def walked(walk: Iterator[datetime], start_us: int, end_us: int) -> list[int]:
    """What a parser gives in [start, end), tick by tick."""
    found = []
    for tick in walk:
        at = round(tick.timestamp()) * MICRO
        if at >= end_us:
            break
        if at >= start_us:
            found.append(at)
    return found


def well_before(start_us: int, tz: str) -> datetime:
    """Nine days earlier: a walk that is set down within a change of clocks has found its feet by then."""
    return datetime.fromtimestamp(max(start_us // MICRO - 9 * DAY_S, 0), UTC).astimezone(zones.zone(tz))


@given(crons, stretches())
@settings(max_examples=300, deadline=None)
def test_cron_ticks_are_those_of_cronsim(text: str, stretch: tuple[str, int, int]) -> None:
    tz, start, end = stretch
    try:
        schedule = parse(text, tz)
    except ScheduleError:
        with pytest.raises(Exception):  # noqa: B017 - cronsim has several ways to refuse
            next(CronSim(text, well_before(start, tz)))
        return
    found = schedule.ticks(start, end).tolist()
    assert found == walked(CronSim(text, well_before(start, tz)), start, end)
    following = schedule.after(start)
    assert following is None or following > start
    assert following == next((tick for tick in found if tick > start), following)
    assert not [tick for tick in found if start < tick < (following or end)]


@given(calendars, stretches())
@settings(max_examples=150, deadline=None)
def test_oncalendar_ticks_are_those_of_oncalendar(text: str, stretch: tuple[str, int, int]) -> None:
    tz, start, end = stretch
    try:
        schedule = parse(f"OnCalendar={text}", tz)
    except ScheduleError:  # such as a Monday that is the 29th of March 2026
        assert next(TzIterator(text, well_before(0, tz)), None) is None
        return
    assert schedule.ticks(start, end).tolist() == walked(TzIterator(text, well_before(start, tz)), start, end)


@given(crons, stretches())
@settings(max_examples=100, deadline=None)
def test_before_and_after_are_neighbours(text: str, stretch: tuple[str, int, int]) -> None:
    tz, start, _ = stretch
    try:
        schedule = parse(text, tz)
    except ScheduleError:
        return
    later = schedule.after(start)
    assert later is not None
    assert schedule.ticks(start + 1, later + 1).tolist() == [later]
    assert schedule.before(later + 1) == later
    earlier = schedule.before(later)
    assert earlier is None or (earlier <= start and schedule.after(earlier) == later)


def test_two_years_of_every_five_minutes_are_cronsims() -> None:
    start, end = us("2025-01-01T00:00Z"), us("2027-01-01T00:00Z")
    expected = walked(CronSim("*/5 * * * *", well_before(start, "Europe/Berlin")), start, end)
    found = parse("*/5 * * * *", "Europe/Berlin").ticks(start, end).tolist()
    assert found == expected and len(found) == 2 * 365 * 288


def test_reading_a_schedule_does_not_import_numpy() -> None:
    code = "import sys; from qpanalytics.schedules import parse; parse('*/5 * * * *', 'Europe/Berlin'); " \
           "print('numpy' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
