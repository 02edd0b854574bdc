"""Parts of the watch by themselves: the calendar, the table, what is explained, what is told of the watch itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import qpa
from healthchecks_server import READ_WRITE, Fleet, Server
from watching import FILES, Watched, at, check

from qpanalytics import settings
from qpanalytics.errors import ConfigError
from qpanalytics.instants import micros
from qpanalytics.settings import Settings
from qpanalytics.store.db import Store
from qpanalytics.store.state import State
from qpanalytics.verdict.say_incidents import KINDS, Broken, finding
from qpanalytics.verdict.voice import Voice
from qpanalytics.watch import daily, dates

BERLIN = "Mon 07:00 Europe/Berlin"


def load(folder: Path, text: str) -> Settings:
    (folder / "qpa.toml").write_text(text)
    return settings.load(folder / "qpa.toml")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('weekly = "Mon 7 Uhr"', 'try "Mon 07:00 Europe/Berlin"'),
        ('weekly = "07:00"', "a weekly report, which has a day of the week"),
        ('weekly = "Mond 07:00"', "a weekly report"),
        ('daily = "Mon 07:00"', "a daily report, which has no day"),
        ('monthly = "31 07:00"', "a day from 1 to 28"),
        ('weekly = "Mon 07:00 Europe/Berln"', "Europe/Berlin"),
        ('tick = "0 s"', "no time at all"),
        ('ping_url = "https://example.com/x"', "a secret must not stand in this file"),
    ],
)
def test_a_watch_that_is_described_badly_is_one_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError, match="watch") as error:
        load(tmp_path, f"[watch]\n{line}\n")
    assert said in str(error.value)


def test_a_report_is_due_once_at_its_time_also_when_clocks_change_and_made_up_for_once(tmp_path: Path) -> None:
    known = load(tmp_path, f'[watch]\nweekly = "{BERLIN}"\ndaily = "02:30 Europe/Berlin"\nmonthly = "1 07:00"\n')
    made: dict[str, int] = {}
    start = datetime(2026, 10, 19, 6, tzinfo=UTC)  # a Monday, 08:00 in Berlin
    dates.begun(known, made, start)
    assert dates.due(known, made, start + timedelta(hours=1)) == {}
    found: list[tuple[str, datetime]] = []
    now = start
    while now < start + timedelta(days=15):
        for name, when in dates.due(known, made, now).items():
            found.append((name, when))
            made[name] = micros(when)
        now += timedelta(minutes=7)
    assert [when for name, when in found if name == "weekly"] == [
        datetime(2026, 10, 26, 6, tzinfo=UTC), datetime(2026, 11, 2, 6, tzinfo=UTC),
    ]  # fmt: skip
    daily_at = [when for name, when in found if name == "daily"]
    assert len(daily_at) == 15 and len({when.date() for when in daily_at}) == 15  # 25 October has 02:30 twice
    assert [when for name, when in found if name == "monthly"] == [datetime(2026, 11, 1, 7, tzinfo=UTC)]
    # away for three weeks: the last one is made, those before are not
    assert dates.due(known, made, start + timedelta(days=36))["weekly"] == datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert "weekly" not in dates.due(known, made, datetime(2026, 11, 29, tzinfo=UTC))


def test_a_weekly_report_is_made_and_left_for_the_channels_that_are_to_have_it(tmp_path: Path) -> None:
    watched = Watched(
        tmp_path, check("backup", "0 * * * *"), '[[report.send]]\nchannel = "log"\n[watch]\nfeed = "1 h"\nweekly = "Mon 07:00"\n'
    )
    first = at("22 00:00:10")
    for hour in range(32):
        watched.ping("backup", first + timedelta(hours=hour))
    watched.round(at("22 20:00"))
    watched.round(at("23 07:00:30"))
    watched.round(at("23 07:02"))
    watched.round(at("23 07:03"))
    (page,) = (tmp_path / "reports").iterdir()
    assert page.name == "weekly-2026-11-16.html"
    (said,) = [said for said in watched.said() if said.event == "digest"]
    assert "Mon 16 to Sun 22 Nov 2026" in said.title


def test_checks_whose_ticks_cannot_be_told_apart_are_judged_by_silence_only(tmp_path: Path) -> None:
    import random

    chance = random.Random(1)
    watched = Watched(tmp_path, check("loose", "0 * * * *", "5 min"), '[watch]\nfeed = "1 s"\n')
    start = at("1 00:00")
    for hour in range(23 * 24):
        watched.ping("loose", start + timedelta(hours=hour, seconds=chance.uniform(0, 3500)))
    watched.round(at("23 23:30"))
    found = daily.facts(Store(watched.store), watched.settings, at("23 23:30"))
    (fact,) = [fact for fact in found if fact["fact"] == "cannot_tell"]
    assert fact["check"] == "loose" and 3600 < fact["silence_s"] < 7200
    before = len(watched.said())
    assert daily.leave(watched.store, watched.settings, at("23 23:30")) == 2  # that, and how much was seen
    watched.rounds(at("23 23:31"), at("23 23:59"), 300)
    watched.rounds(at("24 00:01"), at("24 00:31"), 300)
    assert [said for said in watched.said()[before:] if said.event == "open"] == []  # 00:05 has passed
    watched.round(at("24 02:31"))
    assert "longer than it ever is" in watched.said()[-1].title


def test_what_was_lost_between_two_looks_is_told_and_nothing_in_it_is_missed(tmp_path: Path) -> None:
    fleet = Fleet(checks=1, pings=50, window=100, start=at("05:00"))
    with Server(fleet) as server:
        source = f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:KEY"\n'
        watched = Watched(tmp_path, source)
        watched.round(at("05:51"), KEY=READ_WRITE)
        fleet.ping(0, times=260)
        watched.round(at("10:11"), KEY=READ_WRITE)
    (said,) = watched.said()
    assert said.event == "summary" and len(said.lines) == 1
    assert "160 pings of prod came and went between two looks" in said.lines[0]


def test_the_doctor_tells_of_a_watch_that_is_gone_and_of_a_store_that_is_held(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"))
    watched.pings("backup", "06:00:10")
    watched.round(at("06:01"))
    assert "bad   watch: nothing was evaluated for" in qpa(tmp_path, "doctor").stdout
    with State.beside(watched.store) as state, state.transaction() as con:
        known = json.loads(con.execute("select said from watcher").fetchone()[0])
        known |= {"held": micros(datetime.now(UTC)) - 3_600_000_000, "holder": "qpa.duckdb is held by process 4711 (python)."}
        con.execute("update watcher set ticked_us = ?, said = ?", [micros(datetime.now(UTC)), json.dumps(known)])
    said = qpa(tmp_path, "doctor").stdout
    assert "ok    watch: evaluated" in said and "could not be fed for 1 h: qpa.duckdb is held by process 4711" in said


def test_what_would_happen_is_explained_before_the_first_ping_and_after(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("backup"), '[[route]]\nseverity = ["warning"]\nto = ["log"]\n')
    first = qpa(tmp_path, "alert", "explain", "backup").stdout
    assert "backup was never watched" in first and "log is told [route 1]" in first
    watched.pings("backup", "06:00:10")
    watched.rounds(at("06:01"), at("06:06"))
    watched.round(at("06:06:30"))
    said = qpa(tmp_path, "alert", "explain", "backup").stdout
    assert "backup is down (missed)" in said and "is open since" in said and "log (route 1)" in said
    steps = json.loads(qpa(tmp_path, "alert", "explain", "backup", "--format", "json").stdout)
    assert steps[0]["at"] == "2026-11-24T06:11:00Z" and {"what", "channel", "rule"} < set(steps[0])
    done = qpa(tmp_path, "alert", "explain", "backupp")
    assert done.returncode == 2 and 'did you mean "backup"?' in done.stderr


def test_a_watch_without_sources_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "qpa.toml").write_text("")
    done = qpa(tmp_path, "watch", "--once")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "no [[source]]" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trouble_has_its_sentence_whatever_is_known_of_it(kind: str) -> None:
    now = at("06:00")
    voice = Voice(now - timedelta(days=5), now + timedelta(days=1), now)
    about = "queue" if kind in ("oldest", "depth", "not_draining") else "check"
    one = Broken(about, "<b>job</b>", kind, "warning", now)  # type: ignore[arg-type]
    said = finding([one], voice)
    assert "<b>job</b>" in said.sentence and said.sentence.endswith(".") and "None" not in said.sentence
    assert "well again" in finding([one], voice, resolved_at=now).sentence or kind == "unreachable"
    group = finding([one, Broken("check", "b", kind, "warning", now)], voice, cause="down|tag:db")
    assert "2 checks of tag db" in group.sentence or about == "queue"


def test_no_word_of_a_tick_needs_what_takes_long_to_load(tmp_path: Path) -> None:
    import subprocess
    import sys

    watched = Watched(tmp_path, check("backup", "every 1 h"), FILES)
    watched.pings("backup", "06:00:10")
    watched.rounds(at("06:01"), at("06:02"))
    code = (
        "import sys; from qpanalytics.cli.app import main\n"
        "try: main()\n"
        "finally: print([m for m in ('pandas', 'duckdb', 'pyarrow', 'httpx', 'scipy') if m in sys.modules])"
    )
    words = ["watch", "--once", "--as-of", "2026-11-24T06:03:00Z"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n") and done.stderr == ""


def test_a_job_that_drifts_is_an_incident_with_the_words_of_the_digest_until_it_stands(tmp_path: Path) -> None:
    watched = Watched(tmp_path, check("dump", "0 3 * * *", "2 h"), '[watch]\nfeed = "1 s"\n')
    for day in range(60):
        begun = at("23 03:00") - timedelta(days=59 - day)
        watched.ping("dump", begun + timedelta(seconds=1), "start")
        watched.ping("dump", begun + timedelta(seconds=600 + 7 * (day % 5) + (900 if day >= 46 else 0)))
    watched.round(at("23 05:00"))
    watched.round(at("23 05:02"))
    assert watched.incidents() == []

    daily.leave(watched.store, watched.settings, at("15 05:00"))  # what is known by then, six days after
    watched.round(at("23 05:04"))
    (incident,) = watched.incidents()
    assert (incident["kind"], incident["check"], incident["resolved_at"]) == ("drifting", "dump", None)
    assert "dump runs longer: median 10 min -> 25 min since 10 Nov." in json.dumps(incident["evidence"])

    daily.leave(watched.store, watched.settings, at("23 05:04"))
    watched.round(at("23 05:06"))
    (incident,) = watched.incidents()
    assert incident["resolved_at"] is not None
