"""What the watch tells, and what it does not: exactly what the pings demand, once, and each within a tick of its deadline."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from watching import FILES, Watched, at, check

from qpanalytics.store.state import State
from qpanalytics.watch.incidents import Order, ask


def test_a_run_that_does_not_come_is_told_within_a_tick_of_its_deadline_and_so_is_its_end(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10", "06:05:10", "06:12:10", "06:15:05")
    watched.rounds(at("06:04:30"), at("06:17:30"))
    (opened, resolved) = watched.said()
    assert (opened.event, opened.at) == ("open", at("06:11:30"))  # due 06:10, grace until 06:11
    assert opened.title == "[warning] backup did not come: it was due Tue 06:10 and had until 06:11."
    assert opened.lines == ("No start ping: it never began.",)
    assert (resolved.event, resolved.at) == ("resolve", at("06:12:30"))
    (row,) = watched.incidents()
    assert (row["kind"], row["noticed_s"], row["alerts"], row["needless"], row["flaps"]) == ("missed", 30.0, 1, True, 0)


def test_a_ping_at_the_very_deadline_is_in_time_also_if_it_is_read_later(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10", "06:06:00")
    watched.rounds(at("06:05:00"), at("06:07:30"), 30)
    assert watched.said() == []


def test_failures_and_hangs_are_told_with_what_is_known_of_them(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("sync", "0 * * * *", "20 min"), check("index", "0 * * * *", "20 min", max_runtime="30 min"))
    watched.pings("sync", "05:01", "06:01")
    watched.pings("index", "05:01", "06:01")
    watched.ping("sync", at("07:02"), "fail", exit_status=3)
    watched.ping("index", at("07:01"), "start")
    watched.rounds(at("06:30"), at("07:40"), 300)
    told = {said.checks[0]: said for said in watched.said()}
    assert told["sync"].title == "[warning] sync failed, Tue 07:02."
    assert told["index"].title.startswith("[warning] index is late: it began Tue 07:01")
    assert [row["kind"] for row in watched.incidents()] == ["late", "failed"]


def test_nobody_is_told_of_a_past_that_nobody_watched(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("good"), check("bad"), check("gone", valid_from="2026-01-01"))
    for minute in range(0, 360, 5):
        if not 100 <= minute < 200:
            watched.ping("good", at("00:00:05") + timedelta(minutes=minute))
        if minute < 300:
            watched.ping("bad", at("00:00:07") + timedelta(minutes=minute))
    watched.ping("gone", at("05:55:02"))
    watched.round(at("06:00:30"))
    assert watched.news() == [("open", "bad")]  # it still is
    assert [row["check"] for row in watched.incidents()] == ["bad"]


def test_a_store_that_has_a_history_is_taken_over_at_the_first_start(tmp_path: Path) -> None:
    from qpanalytics.collect.fromfiles import take_files
    from qpanalytics.store.db import Store

    watched = Watched(tmp_path, check("good"), check("bad"))
    watched.pings("good", "05:50:01", "05:55:01")
    watched.pings("bad", "05:30:01")
    with Store(watched.store).write() as con:
        take_files(con, [tmp_path / "pings.csv"], watched.settings.check, source="jobs", covers_until=None, tried_at=at("05:56"))
    (tmp_path / "pings.csv").unlink()
    watched.ping("good", at("06:00:01"))
    watched.round(at("06:00:30"))
    watched.rounds(at("06:05:30"), at("06:07:30"))
    assert ("open", "bad") in watched.news() and [n for n in watched.news() if n[1] == "good"] == [("open", "good")]


def test_a_folder_that_is_gone_makes_one_alert_for_the_source_and_no_run_missed(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    source = FILES.replace("pings.csv", "mounted/*.csv")
    watched = Watched(tmp_path, source, *(check(f"job-{n}") for n in range(20)))
    for n in range(20):
        watched.pings(f"job-{n}", "06:00:01", "06:05:01")
    (tmp_path / "pings.csv").rename(folder / "pings.csv")
    watched.round(at("06:05:30"))
    folder.rename(tmp_path / "away")
    watched.rounds(at("06:06:30"), at("06:20:30"))
    (said,) = watched.said()
    assert said.checks == ("jobs",) and "cannot be reached" in said.title
    # what arrived meanwhile is judged when it is seen
    (tmp_path / "away").rename(folder)
    with (folder / "pings.csv").open("a") as file:
        for minute in (10, 15, 20):
            file.writelines(f"job-{n},{at(f'06:{minute}:02').isoformat()},,,,\n" for n in range(19))
    watched.round(at("06:21:30"))
    assert watched.news()[1:] == [("resolve", "jobs"), ("open", "job-19")]


def test_hundreds_of_checks_missing_in_one_minute_are_one_alert(tmp_path: Path) -> None:
    n = 400  # tests/bench/storm.py has 5,000
    watched = Watched(tmp_path, *(check(f"job-{k}", "0 * * * *", "5 min") for k in range(n)))
    with (tmp_path / "pings.csv").open("w") as file:
        file.write("check,received_at\n")
        file.writelines(f"job-{k},2026-11-24T06:00:01Z\n" for k in range(n))
    watched.round(at("06:01"))
    watched.round(at("07:04"))
    assert watched.said() == []
    watched.round(at("07:05:30"))
    watched.round(at("07:11:30"))
    (said,) = watched.said()
    assert said.title.startswith("[warning] 400 checks of source jobs did not come since Tue 07:05")
    assert len(watched.incidents()) == 1


def test_the_watch_makes_up_for_hours_that_it_was_away_without_a_storm(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("over"), check("bad"), check("good"))
    for minute in range(0, 360, 5):
        watched.ping("good", at("06:00:02") + timedelta(minutes=minute))
        if not 60 <= minute < 120:
            watched.ping("over", at("06:00:04") + timedelta(minutes=minute))
        if minute < 200:
            watched.ping("bad", at("06:00:06") + timedelta(minutes=minute))
    watched.rounds(at("06:01"), at("06:03"))
    watched.round(at("11:56:30"))
    (summary, bad) = sorted(watched.said(), key=lambda said: said.event, reverse=True)
    assert (bad.event, bad.checks) == ("open", ("bad",)) and summary.event == "summary"
    assert "1 incident, all over (away)" in summary.title and "over did not come" in summary.lines[0]
    assert {row["check"]: row["alerts"] for row in watched.incidents()} == {"bad": 1, "over": 0}


def test_a_schedule_that_is_edited_while_its_check_is_down_ends_the_incident_or_keeps_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10", "06:05:10")
    watched.rounds(at("06:06"), at("06:12"))
    assert watched.news() == [("open", "backup")]
    watched.configure(check("backup", "0 * * * *"))
    watched.rounds(at("06:13"), at("06:14"))
    watched.ping("backup", at("07:00:05"))
    watched.rounds(at("07:00:30"), at("07:02:30"))
    assert [event for event, _ in watched.news()] == ["open", "resolve"]


def test_a_promise_that_ends_while_its_check_is_down_ends_the_incident_and_does_not_say_that_all_is_well(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup", valid_to="2026-11-24T06:30:00Z"))
    watched.pings("backup", "06:00:10")
    watched.rounds(at("06:01"), at("06:32"))
    assert watched.news() == [("open", "backup"), ("resolve", "backup")]
    assert watched.said()[-1].title.endswith("backup: the promise ended; nothing is expected any more.")


def test_people_take_incidents_on_snooze_and_close_them(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"), "[policy]\nremind = '5 min'")
    watched.pings("backup", "06:00:10")
    watched.rounds(at("06:01"), at("06:07"))
    (row,) = watched.incidents()
    with State.beside(watched.store) as state:
        ask(state, Order("ack", row["incident"], by="ada"), at("06:07:30"))
    assert watched.incidents()[0]["acked_at"] == at("06:07:30")
    watched.rounds(at("06:08"), at("06:20"))
    assert watched.news() == [("open", "backup"), ("ack", "backup")]  # nobody is reminded of what somebody has
    assert watched.said()[-1].lines[0] == "Acknowledged by ada: no more reminders and no escalation."
    with State.beside(watched.store) as state:
        ask(state, Order("resolve", row["incident"], by="ada"), at("06:20:30"))
    watched.round(at("06:20:45"))
    assert watched.news() == [("open", "backup"), ("ack", "backup"), ("resolve", "backup")]
    assert watched.incidents()[0]["ended"] == "closed"


@pytest.mark.parametrize(
    ("zone", "night"), [("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-11-01")]
)
def test_in_the_nights_when_clocks_change_each_run_is_expected_once(tmp_path: Path, zone: str, night: str) -> None:
    from datetime import UTC, datetime

    from qpanalytics import schedules
    from qpanalytics.instants import instant, micros

    checks = check("nightly", "30 2 * * *", "10 min", tz=zone), check("hourly", "5 * * * *", "10 min", tz=zone)
    watched = Watched(tmp_path, *checks)
    start = datetime.fromisoformat(night).replace(tzinfo=UTC) - timedelta(hours=3)
    span = micros(start - timedelta(days=2)), micros(start + timedelta(hours=14))
    for name, text in (("nightly", "30 2 * * *"), ("hourly", "5 * * * *")):
        for tick in schedules.parse(text, zone).ticks(*span).tolist():
            watched.ping(name, instant(tick) + timedelta(seconds=30))
    lines = (tmp_path / "pings.csv").read_text().splitlines()
    rows = sorted(lines[1:], key=lambda line: line.split(",")[1])
    (tmp_path / "pings.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    watched.rounds(start, start + timedelta(hours=13), 1800)
    assert watched.said() == []
