"""What a policy would have sent, on histories whose pages are counted by hand; and the engine against the ledger for a month."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from command import CHECKS, PINGS, qpa, refused

from qpanalytics.analysis.alternatives import Alternative, in_force, other
from qpanalytics.analysis.replay import COLUMNS, DIFF, default, differences, replay
from qpanalytics.analysis.replaying import Override, past
from qpanalytics.history import History
from qpanalytics.instants import micros
from qpanalytics.policy.engine import Engine
from qpanalytics.policy.events import CannotTell, Promised
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def nights(late_min: str, **promise: object) -> History:
    """Nightly runs from the first of November on, at 03:00 with ten minutes of grace: minutes late, F failed, - missing."""
    pings = []
    words = late_min.split()
    for day, word in enumerate(words):
        at = BEGIN + timedelta(days=day, hours=3)
        if word == "F":
            pings.append(("job", at + timedelta(minutes=1), "fail"))
        elif word != "-":
            pings.append(("job", at + timedelta(minutes=float(word)), "success"))
    checks = {"check": "job", "schedule": "0 3 * * *", "valid_from": BEGIN, "grace_s": 600.0, "max_runtime_s": 7200.0, **promise}
    end = BEGIN + timedelta(days=len(words))
    frame = pd.DataFrame(pings, columns=["check", "received_at", "kind"])
    return History.from_frames(checks=pd.DataFrame([checks]), pings=frame, covers_until=end, as_of=end, since=BEGIN)


def figures(frame: pd.DataFrame, *names: str) -> list[list[object]]:
    return [[row[name] for name in names] for row in frame.to_dict("records")]


def test_pages_are_real_false_or_missing() -> None:
    # 20 min late is a page that came by itself; missing, 13 h late (later than half the gap) and failed are real
    found = replay(nights("1 20 - 1 780 1 F 1"))
    assert figures(found, "n", "bad", "pages", "real", "false", "unjudged", "missed") == [[8, 3, 4, 3, 1, 0, 0]]
    # pages at 03:10 (twice real) and at 03:01 for the failure
    assert figures(found, "time_to_notice_p50_s", "night_pages") == [[600.0, 4]]
    assert list(found.columns) == list(COLUMNS)


def hours(**checks: str) -> History:
    """Hourly runs of several checks, on the hour with six minutes of grace: + came, - is missing."""
    pings = [
        (name, BEGIN + timedelta(hours=hour, minutes=1), "success")
        for name, runs in checks.items()
        for hour, run in enumerate(runs)
        if run == "+"
    ]
    end = BEGIN + timedelta(hours=max(len(runs) for runs in checks.values()))
    promised = [{"check": name, "schedule": "0 * * * *", "valid_from": BEGIN, "grace_s": 360.0} for name in checks]
    frame = pd.DataFrame(pings, columns=["check", "received_at", "kind"])
    return History.from_frames(checks=pd.DataFrame(promised), pings=frame, covers_until=end, as_of=end, since=BEGIN)


def test_a_check_that_comes_back_into_an_incident_that_lasts_was_told_each_time() -> None:
    # all four go missing at 02:00, `a` for good; `b` is well again and comes back three times
    h = hours(a="++--------------", b="++-++-++-++-++++", c="++-+++++++++++++", d="++-+++++++++++++")
    (row,) = replay(h).itertuples()
    assert (row.pages, row.missed) == (1, 0)


def test_a_longer_grace_drops_the_false_page_and_tells_the_real_ones_later() -> None:
    h = nights("1 20 - 1 1 1")
    longer = Alternative("longer", default(h).policy, (Override("jo*", "grace_s", 1800.0),))
    found = replay(h, policies=[default(h), longer])
    assert figures(found, "policy", "pages", "false", "real", "time_to_notice_p50_s") == [
        ["in force", 2, 1, 1, 600.0],
        ["longer", 1, 0, 1, 1800.0],
    ]
    listed = differences(h, default(h), longer)
    assert list(listed.columns) == list(DIFF)
    assert figures(listed, "outcome", "lateness_s", "real", "one", "other", "later_s")[0][:5] == [
        "late", 1200.0, False, "missed at 2026-11-02T03:10:00Z", ""
    ]  # fmt: skip
    assert figures(listed, "one", "other", "later_s")[1] == [
        "missed at 2026-11-03T03:10:00Z", "missed at 2026-11-03T03:30:00Z", 1200.0
    ]  # fmt: skip


def test_more_failures_in_a_row_before_a_page_miss_what_comes_alone() -> None:
    h = nights("1 - 1 - - 1 1")
    found = replay(h, policies=[default(h), other(default(h), in_a_row=2)])
    assert figures(found, "bad", "pages", "real", "missed") == [[3, 2, 2, 0], [3, 1, 1, 1]]


def test_max_runtime_severity_maintenance_and_quiet_hours_of_another_file_hold() -> None:
    h = nights("1 - 1 -")
    other_file = Settings.model_validate(
        {
            "check": [{"check": "job", "severity": "info"}],
            "channel": [{"name": "chat", "kind": "file"}],
        }
    )
    assert figures(replay(h, policies=[other(default(h), other_file)]), "pages", "missed") == [[0, 2]]
    rested = Settings.model_validate({"maintenance": [{"from": "2026-11-02T00:00:00Z", "for": "1 d"}]})
    assert figures(replay(h, policies=[other(default(h), rested)]), "pages") == [[1]]
    quiet = Settings.model_validate({"policy": {"quiet": "22:00-07:00"}})
    assert figures(replay(h, policies=[other(default(h), quiet)]), "pages", "night_pages", "time_to_notice_p50_s") == [
        [2, 0, 4 * 3600.0]
    ]


def test_late_is_real_from_when_the_policy_says() -> None:
    h = nights("1 20 1 60")
    strict = Settings.model_validate({"grace": {"late_is_real": "30 min"}})
    assert figures(replay(h, policies=[in_force(strict)]), "bad", "real", "false") == [[1, 1, 1]]


def test_what_was_under_way_before_the_window_is_known_in_it() -> None:
    h = nights("1 1 - - - 1 1").window(BEGIN + timedelta(days=3, hours=12), BEGIN + timedelta(days=6))
    # down since the third night, told of before the window: no page in it until the next failure, and nothing is missed
    assert figures(replay(h), "pages", "missed", "bad") == [[0, 0, 1]]


def test_a_month_of_the_engine_is_a_month_of_the_ledger() -> None:
    dice = random.Random(3)
    promises = [
        ("hourly", "0 * * * *", 600.0, 1200.0),
        ("often", "*/20 * * * *", 1500.0, None),
        ("nightly", "30 2 * * *", 3600.0, 7200.0),
        ("rolling", "every 45 min", 300.0, 300.0),
        ("days", "OnCalendar=Mon..Fri 08:00", 1800.0, None),
    ]
    rows, begin = [], datetime(2026, 10, 10, tzinfo=UTC)
    end = begin + timedelta(days=30)
    for name, *_, limit in promises:
        at = begin
        while at < end:
            at += timedelta(minutes=dice.choice([20, 40, 55, 60, 61, 300, 1440]), seconds=dice.uniform(0, 600))
            if dice.random() < 0.5:
                rows.append((name, at, "start"))
            if dice.random() < 0.9:
                finish = at + timedelta(seconds=dice.uniform(1, 2 * (limit or 600)))
                rows.append((name, finish, dice.choice(["success"] * 5 + ["fail"])))
    checks = pd.DataFrame(promises, columns=["check", "schedule", "grace_s", "max_runtime_s"])
    checks = checks.assign(tz="Europe/Berlin", valid_from=begin)
    pings = pd.DataFrame([row for row in rows if row[1] < end], columns=["check", "received_at", "kind"])
    pause = {"check": "hourly", "since_at": begin + timedelta(days=9), "until_at": begin + timedelta(days=10)}
    pauses = pd.DataFrame([pause])
    h = History.from_frames(checks=checks, pings=pings, pauses=pauses, covers_until=end, as_of=end, since=begin)
    happened = past(h)
    engine = Engine(Policy(), live=False)
    for check, versions in happened.versions.items():
        engine.feed(Promised(check, micros(begin), versions, "", None, f"check {check}"))
    engine.feed(*(event for event in happened.events if not isinstance(event, CannotTell)))
    seen = set()
    instants = [begin + timedelta(minutes=dice.uniform(0, 43_000)) for _ in range(8)]
    instants += [at + timedelta(milliseconds=1) for _, at, kind in dice.sample(rows, 30) if kind == "start" and at < end][:5]
    for at in sorted(instants):
        engine.advance(micros(at))
        then = replace(h.window(h.since, h.until), as_of=at)
        with then.session(), then.connection() as con:
            # whether ticks can be told apart is asked anew at each instant, and handed to the engine daily
            told = "select c.check_name, c.status from checks c join telling t using (check_id) where not t.cannot_tell"
            ledger = dict(con.execute(told).fetchall())
        assert {name: engine.standing(name).status for name in ledger} == ledger, at
        seen |= set(ledger.values())
    assert {"up", "down", "started", "grace"} <= seen


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "checks.csv").write_text(CHECKS)
    (tmp_path / "pings.csv").write_text(PINGS)
    assert qpa(tmp_path, "import", "pings.csv", "--checks", "checks.csv").returncode == 0
    return tmp_path


def test_the_command_prints_both_policies_and_their_differences(store: Path) -> None:
    (store / "other.toml").write_text('[[check]]\ncheck = "backup"\ngrace = "2 h"\n[policy]\nremind = "1 d"\n')
    done = qpa(store, "replay", "--policy", "other.toml", "--since", "2026-10-01", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[:6] for line in done.stdout.splitlines()[1:]] == [
        ["in force", "1", "30", "1", "1", "1"], ["other", "1", "30", "1", "1", "1"]
    ]  # fmt: skip
    listed = qpa(store, "replay", "--grace", "back*=2 h", "--diff", "--since", "2026-10-01", "--format", "csv")
    assert listed.stdout.splitlines()[1].startswith(
        "backup,2026-10-12T03:00:00Z,missed,,true,missed at 2026-10-12T03:10:00Z,missed at 2026-10-12T05:00:00Z,6600.0"
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--grace", "backup"], ["--grace", "backup-db=20 min"]),
        (["--grace", "backup=soon"], ["--grace for backup", "soon"]),
        (["--severity", "backup=loud"], ["loud", "critical, warning, info"]),
        (["--diff"], ["--diff", "--policy FILE"]),
        (["--policy", "nowhere.toml"], ["nowhere.toml", "no such file"]),
    ],
)
def test_bad_alternatives_are_one_line(store: Path, args: list[str], words: list[str]) -> None:
    refused(qpa(store, "replay", *args), *words)


def test_drift_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    begin = datetime(2026, 9, 1, 3, tzinfo=UTC)
    rows = ["check,received_at,kind"]
    for day in range(80):
        at = begin + timedelta(days=day)
        took = 600 + 7 * (day % 5) + (900 if day >= 60 else 0)
        rows += [f"dump,{at.isoformat()},start", f"dump,{(at + timedelta(seconds=took)).isoformat()},success"]
    (tmp_path / "pings.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "qpa.toml").write_text(
        '[[check]]\ncheck = "dump"\nschedule = "0 3 * * *"\ngrace = "2 h"\n'
        '[[channel]]\nname = "log"\nkind = "file"\npath = "told.jsonl"\n[[route]]\nseverity = ["info"]\nto = ["log"]\n'
    )
    assert qpa(tmp_path, "import", "pings.csv").returncode == 0
    asked = ("replay", "--since", "30d", "--as-of", "2026-11-20T00:00:00Z", "--format", "json")
    without, beside = (json.loads(qpa(tmp_path, *asked, *more).stdout)[0] for more in ((), ("--drift",)))
    assert (without["pages"], without["notices"]) == (0, 0)
    assert (beside["pages"], beside["unjudged"], beside["false"]) == (1, 1, 0) and beside["notices"] > 1
