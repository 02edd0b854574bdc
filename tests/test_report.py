"""`report(history)`: which window, which file, and what a notebook shows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from telling import AS_OF, Job, frames, instant, week

import qpanalytics as qpa
from qpanalytics.collect.frames import fill
from qpanalytics.errors import UsageError
from qpanalytics.history import History, Pick
from qpanalytics.report import report
from qpanalytics.report.window import period_window
from qpanalytics.store.db import Store


@pytest.mark.parametrize(
    ("period", "as_of", "tz", "since", "until"),
    [
        ("daily", "2026-11-24 06:30", "UTC", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("weekly", "2026-11-24 06:30", "UTC", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("monthly", "2026-11-24 06:30", "UTC", "2026-10-01 00:00", "2026-11-01 00:00"),
        # On the very midnight the day, the week and the month are over.
        ("daily", "2026-11-23 00:00", "UTC", "2026-11-22 00:00", "2026-11-23 00:00"),
        ("weekly", "2026-11-23 00:00", "UTC", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("weekly", "2026-11-22 23:59", "UTC", "2026-11-09 00:00", "2026-11-16 00:00"),
        ("monthly", "2026-03-01 00:00", "UTC", "2026-02-01 00:00", "2026-03-01 00:00"),
        # In Berlin it is Monday already at 23:30 UTC on Sunday.
        ("weekly", "2026-11-22 23:30", "Europe/Berlin", "2026-11-15 23:00", "2026-11-22 23:00"),
        # The clocks go back on 25 Oct 2026: a day of 25 hours, a week of 169, a month that begins at another offset.
        ("daily", "2026-10-26 09:00", "Europe/Berlin", "2026-10-24 22:00", "2026-10-25 23:00"),
        ("weekly", "2026-10-26 09:00", "Europe/Berlin", "2026-10-18 22:00", "2026-10-25 23:00"),
        ("monthly", "2026-11-02 09:00", "Europe/Berlin", "2026-09-30 22:00", "2026-10-31 23:00"),
        # and forward on 29 Mar: 23 hours
        ("daily", "2026-03-30 09:00", "Europe/Berlin", "2026-03-28 23:00", "2026-03-29 22:00"),
        # Beirut skips midnight on 29 Mar 2026: that day begins at 01:00, which is 22:00 UTC.
        ("daily", "2026-03-30 09:00", "Asia/Beirut", "2026-03-28 22:00", "2026-03-29 21:00"),
    ],
)
def test_a_period_is_the_last_full_one_of_the_readers_calendar(period: str, as_of: str, tz: str, since: str, until: str) -> None:
    assert period_window(period, instant(as_of), tz) == (instant(since), instant(until))


def test_a_period_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match='"hourly" is no period; there are daily, weekly, monthly and custom'):
        report(week(Job("a", "60x40")), period="hourly")


def test_a_report_tells_of_the_last_full_week_before_as_of() -> None:
    made = report(week(Job("a", "60x40", last="2026-11-25 03:00"), as_of=instant("2026-11-25 12:00")))

    assert (made.facts.window.since_at, made.facts.window.until_at) == (
        instant("2026-11-16 00:00"),
        instant("2026-11-23 00:00"),
    )
    assert "Nothing needs you" in made.html and "Nothing needs you" in made.text


def test_a_custom_report_tells_of_the_window_of_its_history() -> None:
    history = week(Job("a", "60x40"), since=instant("2026-11-10 00:00"), until=instant("2026-11-20 00:00"))
    made = report(history, period="custom", tz="Europe/Berlin")

    assert made.facts.totals.n == 10
    assert made.facts.window.noun == "window"
    assert made.name == "custom-2026-11-10-to-2026-11-20.html"


def test_a_file_name_tells_the_week_and_which_checks_and_nothing_a_file_system_minds(tmp_path: Path) -> None:
    history = week(Job("../../etc/passwd", "60x40", tags="db ../x"), Job("b", "60x40"))

    assert report(history).name == "weekly-2026-11-16.html"
    picked = replace(history, pick=Pick(checks=("../../etc/*",), tags=("../x",)))
    assert report(picked).name == "weekly-2026-11-16-x-etc.html"
    path = report(picked).write(tmp_path / "made for it")
    assert path == tmp_path / "made for it" / "weekly-2026-11-16-x-etc.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.duckdb")
    checks, pings = frames([Job(f"job-{i}", "D60x30 F D61 D62 M") for i in range(30)], AS_OF)
    fill(store, checks=checks, pings=pings, covers_until=AS_OF)
    history = History(store, as_of=AS_OF, since=AS_OF, until=AS_OF)

    first = report(history).write(tmp_path).read_bytes()
    assert report(history).write(tmp_path).read_bytes() == first
    assert b"qpanalytics 0.1.0 from jobs.duckdb" in first


def test_a_notebook_shows_static_escaped_html() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    history = week(Job(evil, "60x25 M M", grace="15 min"))

    for shown in (history._repr_html_(), report(history)._repr_html_()):
        assert "1 of 1 check needs you" in shown
        assert not re.search(r"<script|<img|https?://", shown)
        assert "&lt;script&gt;" in shown


def test_the_whole_history_of_frames_shows_from_its_first_ping_on() -> None:
    """Without a window a history of frames begins in 1970; nobody wants to read of that."""
    checks, pings = frames([Job("a", "60x40")], AS_OF)
    shown = History.from_frames(checks=checks, pings=pings)._repr_html_()

    assert "1970" not in shown
    assert "Wed 14 Oct" in shown


def test_a_report_is_one_short_line_where_it_is_not_shown_as_a_page() -> None:
    shown = repr(report(week(Job("a", "60x40"))))
    assert shown.startswith("<Report weekly-") and len(shown) < 200, shown


def test_the_package_itself_can_be_called() -> None:
    history = week(Job("a", "60x40"))

    assert qpa.report(history).text == report(history).text
