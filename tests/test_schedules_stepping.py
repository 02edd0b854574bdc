"""What the parsers' own steps say of an instant's neighbours is what the layout says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qpanalytics import schedules
from qpanalytics.instants import micros
from qpanalytics.schedules import stepping
from qpanalytics.schedules.expand import Expanded

TEXTS = (
    "* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 3 * * 1", "0 0 1 * *", "0 0 L * *",
    "*/15 3 * * * ; 7 5 * * 0", "*/20 * * * * *", "OnCalendar=Mon..Fri 02:30", "OnCalendar=*-*-* 02:30:15",
)  # fmt: skip
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
INSTANTS = st.datetimes(*(datetime.fromisoformat(day) for day in ("2020-01-01", "2030-01-01")))
#: Around the nights in which clocks change.
NIGHTS = st.tuples(
    st.sampled_from(["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04"]),
    st.integers(-30 * 3600, 30 * 3600),
).map(lambda night: datetime.fromisoformat(night[0]) + timedelta(seconds=night[1]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(ZONES), st.one_of(INSTANTS, NIGHTS), st.sampled_from([0, 1, 500_000]))
@example("30 2 * * *", "Europe/Berlin", datetime.fromisoformat("2026-10-25 00:30"), 0)
def test_steps_and_layout_agree(text: str, zone: str, at: datetime, fraction: int) -> None:
    schedule = schedules.parse(text, zone)
    assert isinstance(schedule, Expanded)
    t = micros(at.replace(microsecond=0, tzinfo=UTC)) + fraction
    assert stepping.after(schedule.rules, t) == schedule.after(t)
    assert stepping.before(schedule.rules, t) == schedule.before(t)


@pytest.mark.parametrize("year", [1970, 2230])
def test_at_the_ends_of_time_steps_are_left_to_the_layout(year: int) -> None:
    schedule = schedules.parse("0 0 1 * *")
    assert isinstance(schedule, Expanded)
    t = micros(datetime(year, 3, 1, tzinfo=UTC))
    assert stepping.after(schedule.rules, t) is None and stepping.before(schedule.rules, t) is None
