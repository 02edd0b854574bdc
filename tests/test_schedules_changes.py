"""A fixed list of cron expressions in every form, through changes of clocks of every kind: cronsim's ticks, each of them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from cronsim import CronSim
from test_schedules import walked

from qpanalytics.schedules import parse, zones
from qpanalytics.spell import iso

MICRO, DAY_S = 1_000_000, 86_400

# Where and near which day clocks changed, and what was odd about it.
PLACES = (
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"), ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"), ("Australia/Lord_Howe", "2026-10-04"),  # half an hour
    ("Africa/Casablanca", "2026-02-15"), ("Africa/Casablanca", "2026-03-22"),  # Ramadan
    ("America/Sao_Paulo", "2017-10-15"), ("America/Sao_Paulo", "2018-02-18"),  # at midnight
    ("America/Havana", "2026-03-08"), ("America/Havana", "2026-11-01"),  # at midnight, and at 1 back to it
    ("Asia/Kathmandu", "1986-01-01"), ("Asia/Kathmandu", "2026-06-14"),  # a quarter of an hour once; none since
    ("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21"),  # a day that never was
    ("Antarctica/Troll", "2026-03-29"), ("Antarctica/Troll", "2026-10-25"),  # two hours
    ("Africa/Monrovia", "1972-01-07"),  # 44 min 30 s
    ("America/Caracas", "2007-12-09"), ("America/Caracas", "2016-05-01"), ("Asia/Pyongyang", "2018-05-05"),
    ("America/Scoresbysund", "2026-03-29"), ("Atlantic/Azores", "2026-10-25"), ("Asia/Amman", "2012-10-26"),
    ("America/St_Johns", "2008-03-09"), ("Africa/Cairo", "2026-04-24"), ("Africa/Cairo", "2026-10-30"),
    ("America/Asuncion", "2023-10-01"), ("Europe/Dublin", "2026-10-25"), ("Asia/Tehran", "2022-03-22"), ("UTC", "2024-02-29"),
)  # fmt: skip

EXPRESSIONS = (
    # stars and steps, which run in real time
    "* * * * *", "*/5 * * * *", "*/7 * * * *", "*/15 * * * *", "*/30 * * * *", "*/45 * * * *", "*/59 * * * *", "*/15 */2 * * *",
    "*/20 2 * * *", "*/20 1-3 * * *", "*/30 0 * * *", "*/30 23 * * *", "*/10 0,12 * * *", "*/25 3-4 * * *", "*/30 10 * * *",
    "0 * * * *", "1 * * * *", "30 * * * *", "45 * * * *", "59 * * * *", "0,30 * * * *", "5-10 * * * *", "10-50/20 * * * *",
    "7,22,37,52 * * * *", "3/10 * * * *", "40/7 * * * *", "0 */2 * * *", "30 */3 * * *", "0 */5 * * *", "15 */23 * * *",
    # in real time, on some days only
    "*/30 * * * SUN", "*/30 1 * * SUN", "30 * * * SUN", "0 * * * 0", "*/15 0-2 * * 7", "*/20 * * * MON-FRI", "*/20 * * * SAT",
    "*/30 * 29,25,8,1 * *", "*/30 0 5,15,30 * *", "20 * * 3,10 SUN#1", "*/12 2-3 * * 0L", "*/30 * 1 * 0", "*/30 23 * * 6",
    "*/20 * L * *", "*/20 * 30-31 * *", "*/30 1,2 */7 * *", "0 */4 * MAR,OCT 0",
    # fixed times
    "0 0 * * *", "1 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "45 1 * * *", "0 2 * * *", "15 2 * * *", "30 2 * * *",
    "59 2 * * *", "0 3 * * *", "30 3 * * *", "30 12 * * *", "59 23 * * *", "30 23 * * *", "44 0 * * *", "0,30 2 * * *",
    "0-59 2 * * *", "0-59/7 1-3 * * *", "10,40 0-4 * * *", "0-59 0-23 * * *", "5 0-23/2 * * *", "0 0,1,2,3,4 * * *",
    "5/20 2 * * *", "0 2/3 * * *", "1,2,3 2,3 * * *",
    # days of the month, months, weekdays
    "30 2 * * SUN", "30 2 * * sun", "30 0 * * 7", "0 0 * * 0", "30 2 * * 0,6", "30 2 * * FRI-SAT", "0 12 * * 1-5",
    "0 12 * * MON,WED,FRI", "0 12 * * */2", "0 12 * * 0-6/3", "30 2 29 3 *", "30 2 25,29 * *", "0 0 1 * *", "0 0 L * *",
    "0 3 LW * *", "0 3 1,L * *", "0 3 15,LW * *", "0 0 31 * *", "0 0 30 1,3,5 *", "0 12 29 2 *", "0 12 29 FEB MON",
    "0 12 29 2 */2", "0 12 * * 5L", "0 12 * * 0L", "0 12 * * SUN#1", "0 12 * * 0#5", "0 12 * * 1#2,5L",
    "0 12 * MAR-JUN SUN", "0 12 1-7 * 1",
    "0 12 */2 * 0", "0 12 1-31/5 * SAT", "0 12 13 * FRI", "0 12 5-25/10 */3 *", "0 12 * 3/3 *", "0 0 1 1 *", "0 12 *,5 * 3",
    "0 12 1 * *,3", "0 12 15 JAN,Oct,dec *", "0 12 28/1 * *", "0 12 L * 5L", "0 12 2/40 * *",
    # seconds first: in real time, whatever the fields
    "0 30 2 * * *", "*/20 59 1,2 * * *", "5,50 0 * * * *", "30 */30 * * * *", "59 59 23 * * *", "0 0 0 * * SUN",
    "10-14 0 3 * * *", "0 15 0 * * 7", "7/13 1 2 * * *",
)  # fmt: skip


@pytest.mark.parametrize(("tz", "day"), PLACES, ids=lambda word: word)
def test_every_form_has_cronsims_ticks_through_that_change(tz: str, day: str) -> None:
    noon = round(datetime.fromisoformat(f"{day}T12:00Z").timestamp())
    if changes := zones.changes(noon - 2 * DAY_S, noon + 2 * DAY_S, zones.zone(tz)):
        noon = changes[0].at
    for number, text in enumerate(EXPRESSIONS):
        minutely = text.startswith(("* ", "0-59 0-23"))
        since, until = (noon - 30 * 3_600) * MICRO, (noon + (9 if minutely else 50) * 3_600) * MICRO + number
        before = datetime.fromtimestamp(noon - 3 * DAY_S, UTC).astimezone(zones.zone(tz))
        schedule = parse(text, tz)
        expected = walked(CronSim(text, before), since, until)
        assert schedule.ticks(since, until).tolist() == expected, (text, tz)
        if expected:
            assert schedule.after(expected[0] - 1) == expected[0]
            assert schedule.before(expected[-1] + 1) == expected[-1]


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Africa/Casablanca"])
def test_two_years_and_a_leap_day_of_what_fires_daily_or_less_are_cronsims(tz: str) -> None:
    since, until = (round(datetime(year, 2, 1, tzinfo=UTC).timestamp()) for year in (2027, 2029))
    before = datetime.fromtimestamp(since - 1, UTC).astimezone(zones.zone(tz))
    for text in EXPRESSIONS:
        if text.startswith(("0 12", "0 0", "0 3", "30 2 2")) and len(text.split()) == 5:
            expected = walked(CronSim(text, before), since * MICRO, until * MICRO)
            assert parse(text, tz).ticks(since * MICRO, until * MICRO).tolist() == expected, (text, tz)


def test_where_cronsim_never_ends_a_rule_runs_in_real_time() -> None:
    # St. John's went from 00:01 on 29 October 2000 back to 23:01; cronsim is sent from the 28th to midnight again and again.
    once = parse("*/20 * 29 10 *", "America/St_Johns")
    found = once.ticks(*(round(datetime(2000, 10, day, tzinfo=UTC).timestamp()) * MICRO for day in (28, 31)))
    assert [iso(at) for at in found[:4].tolist()] == [
        "2000-10-29T02:30:00Z", "2000-10-29T03:30:00Z", "2000-10-29T03:50:00Z", "2000-10-29T04:10:00Z",
    ]  # fmt: skip
    assert len(found) == 73


def test_where_cronsim_goes_round_in_circles_both_passes_count_and_nothing_after_them_is_lost() -> None:
    # Chatham goes from 03:45 (+13:45) back to 02:45 at 14:00 UTC; from there cronsim gives 03:00 of the first pass again.
    walk = CronSim("*/15 3 * * *", datetime(2026, 4, 5, tzinfo=zones.zone("Pacific/Chatham")))
    assert [at.strftime("%H:%M") for at in islice(walk, 6)] == ["03:00", "03:15", "03:30"] * 2
    since, until = (round(datetime(2026, 4, day, 12, tzinfo=UTC).timestamp()) * MICRO for day in (4, 5))
    found = parse("*/15 3 * * *", "Pacific/Chatham").ticks(since, until).tolist()
    assert [iso(at)[11:16] for at in found] == ["13:15", "13:30", "13:45", "14:15", "14:30", "14:45", "15:00"]


def test_what_lies_in_the_gap_each_year_never_fires_and_is_refused_as_by_cronsim() -> None:
    with pytest.raises(Exception, match="never fires"):
        parse("*/30 2 * 3 0L", "Europe/Berlin")
    assert parse("30 2 * 3 0L", "Europe/Berlin").after(0) is not None


def test_a_look_every_six_days_misses_no_change_of_any_zone() -> None:
    for name in sorted({place for place, _ in PLACES} | {"Africa/El_Aaiun", "Asia/Gaza", "Europe/Lisbon"}):
        tz = zones.zone(name)
        first, last = 0, 68 * 365 * DAY_S
        daily = [at for at in range(first, last, DAY_S) if zones.offset(at, tz) != zones.offset(at + DAY_S, tz)]
        assert [(one.at - 1) // DAY_S * DAY_S for one in zones.changes(first, last, tz)] == daily
