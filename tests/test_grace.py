"""`qpa grace` and `qpa.grace(h)`: what counts as a false alarm, what is refused and why, and how the change is printed."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command import qpa as command
from command import refused
from telling import AS_OF as NOW
from telling import Job, frames, week

import qpanalytics as qpa
from qpanalytics.analysis.grace import CANDIDATES, COLUMNS, a_year, candidates, columns
from qpanalytics.errors import UsageError
from qpanalytics.history import History
from qpanalytics.settings_grace import GraceTable

#: Minutes late, a hundred different ones in no order: 1 to 100.
SCATTERED = " ".join(str(60 * (37 * i % 101)) for i in range(1, 101))


def year(*jobs: Job, **more: Any) -> History:
    return a_year(week(*jobs, **more))


def only(history: History, **asked: Any) -> Any:
    (row,) = qpa.grace(history, **asked).itertuples()
    return row


# What is recommended --------------------------------------------------------------------------------------------------


def test_the_recommended_grace_spares_all_but_what_the_budget_allows() -> None:
    row = only(year(Job("a", SCATTERED, grace="1 h")), budget=1.0)

    # (k + 1) / 101 * 30 <= 1 leaves k = 2: 100 and 99 min are told
    assert (row.n, row.grace_s, row.recommended_s, row.longest_s) == (100, 3600.0, 98 * 60.0, 6000.0)
    assert row.false_alarms_per_month == pytest.approx(3 / 101 * 30)
    assert row.detection_delay_s == row.recommended_s and row.missed_real == 0 and row.why == ""
    assert row.false_alarms_now == pytest.approx(40.5 / 101 * 30)
    assert row.false_alarms_lo == 0 < row.false_alarms_per_month < row.false_alarms_hi < 5


def test_missed_failed_and_hung_runs_are_never_false_alarms() -> None:
    bad = only(year(Job("a", f"{SCATTERED} M F H M", grace="1 h", max_runtime="1 h")), budget=1.0)

    assert (bad.n, bad.longest_s) == (104, 6000.0)
    assert bad.recommended_s == 98 * 60.0


def test_a_run_later_than_late_is_real_is_no_false_alarm_and_a_longer_grace_would_miss_it() -> None:
    history = year(Job("a", f"{SCATTERED} {' '.join(['50400'] * 3)} 60", grace="1 h"))  # 14 h: over half a day
    row = only(history, budget=1.0)

    assert row.longest_s == 6000.0 and row.recommended_s == 98 * 60.0
    assert only(history, budget=1.0, late_is_real_s=1800.0).longest_s == 1800.0


def test_a_budget_that_no_known_grace_keeps_is_said_to_be_out_of_reach() -> None:
    row = only(year(Job("a", SCATTERED)), budget=0.25)

    assert isnan(row.recommended_s) and isnan(row.detection_delay_s)
    assert row.why == (
        "0.25 a month is not reachable from n = 100: the longest seen, 1 h 40 min, would cost about 0.3, and beyond it "
        "nothing is known; 120 days of runs are needed at least"
    )


def test_days_that_run_longer_get_a_grace_of_their_own_where_that_halves_the_other() -> None:
    words = " ".join(str(60 * (60 + i % 23) if i % 7 == 6 else 60 * (3 + i * 5 % 11)) for i in range(364))
    row = only(year(Job("a", words, last="2026-11-22 03:00")), budget=1.0)  # ends on a Sunday

    assert (row.stratum, row.n) == ("Sunday", 364)
    assert row.elsewhere_s <= 13 * 60 < row.recommended_s / 2 and row.stratum_s >= 80 * 60
    assert only(year(Job("a", SCATTERED)), budget=1.0).stratum == ""


# What is refused ------------------------------------------------------------------------------------------------------


def test_every_check_has_a_row_and_a_refused_one_its_reason() -> None:
    history = year(
        Job("few", "60x19 M"), Job("free", "60x60", schedule=None), Job("moved", f"{SCATTERED} {' '.join(['14000 15000'] * 10)}")
    )
    frame = qpa.grace(history).set_index("check")

    assert frame.recommended_s.isna().all()
    assert frame.why["few"] == "19 runs came under its present schedule, at least 20 are needed"
    assert frame.why["free"] == "no schedule"
    assert frame.why["moved"].startswith("its lateness changed on Tue 3 Nov (p90 1 h 30 min -> 4 h 10 min), and 30 days")
    assert list(frame.n) == [20, 0, 20]


def test_what_keeps_growing_is_refused_since_no_limit_holds_for_long() -> None:
    words = " ".join(str(round(300 * 1.008**i * (1 + 37 * i % 101 / 1000))) for i in range(200))
    row = only(year(Job("a", words)), budget=1.0)

    assert isnan(row.recommended_s) and row.false_alarms_now > 0
    assert row.why.startswith("its lateness has been growing since ") and row.why.endswith("See: qpa drift")


def test_where_ticks_cannot_be_told_no_grace_is_recommended_but_a_period_is() -> None:
    words = " ".join(str(3400 * (61 * i % 97) / 97) for i in range(720))
    history = year(Job("a", words, schedule="0 * * * *", every=timedelta(hours=1), last="2026-11-22 23:00"))

    assert only(history).why.startswith("cannot tell: completions come at any time between two ticks")
    assert only(history, of="period", budget=2.0).recommended_s > 3600


def test_what_came_under_another_schedule_is_left_out() -> None:
    old = Job("a", " ".join(["7200"] * 60), last="2026-10-20 03:00")
    new = Job("a", " ".join(["60 70 80 90 100"] * 12), schedule="0 */6 * * *", every=timedelta(hours=6), last="2026-11-22 18:00")
    checks = [old.check, new.check]
    _, pings = frames([old, new], NOW)
    history = History.from_frames(checks=pd.DataFrame(checks), pings=pings, as_of=NOW, covers_until=NOW)

    row = only(history, budget=4.0)
    assert (row.n, row.longest_s) == (61, 100.0)  # and the run of midnight, which did not come


# Other limits ---------------------------------------------------------------------------------------------------------


def test_a_max_runtime_is_priced_from_start_pings() -> None:
    words = " ".join(f"D{60 * (37 * i % 101)}" for i in range(1, 101))
    history = year(Job("a", words, max_runtime="30 min"), Job("silent", SCATTERED))
    frame = qpa.grace(history, of="max_runtime", budget=1.0).set_index("check")

    assert list(frame.columns) == [name for name in columns("max_runtime") if name != "check"]
    assert (frame.max_runtime_s["a"], frame.recommended_s["a"]) == (1800.0, pytest.approx(98 * 60.0, abs=120))
    assert "no run of it sent a start" in frame.why["silent"]


def test_the_period_of_an_interval_check_leaves_room_for_its_grace() -> None:
    words = " ".join(str(10 * (37 * i % 101)) for i in range(1, 601))
    job = Job("a", words, schedule="every 1 h", every=timedelta(hours=1), last="2026-11-22 23:00", grace="5 min")
    frame = qpa.grace(year(job, Job("b", "60x30")), of="period", budget=2.0).set_index("check")

    assert frame.period_s["a"] == 3600.0
    assert frame.detection_delay_s["a"] == frame.recommended_s["a"] + 300
    assert frame.why["b"] == "its schedule is no interval: 0 3 * * *"


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no limit"):
        qpa.grace(year(Job("a", "60x30")), of="patience")
    with pytest.raises(UsageError, match="budget"):
        qpa.grace(year(Job("a", "60x30")), budget=0)


# Candidates and columns -----------------------------------------------------------------------------------------------


def test_candidates_are_the_present_grace_the_suggested_the_longest_and_some_between() -> None:
    frame = candidates(year(Job("a", SCATTERED, grace="1 h"), Job("few", "60x3")), budget=1.0)
    own = frame[frame.check == "a"]

    assert list(frame.columns) == list(CANDIDATES)
    assert own.limit_s.is_monotonic_increasing and own.limit_s.is_unique
    assert {row.candidate: row.limit_s for row in own.itertuples() if row.candidate} == {
        "now": 3600.0,
        "suggested": 98 * 60.0,
        "longest seen": 6000.0,
    }
    assert (own.told.to_numpy() == [(100 - limit / 60) for limit in own.limit_s]).all()
    assert own.false_alarms_per_month.is_monotonic_decreasing
    (few,) = frame[frame.check == "few"].itertuples()
    assert isnan(few.limit_s) and few.why.startswith("3 runs came")


def test_the_columns_are_the_declared_ones_also_of_nothing() -> None:
    empty = week(Job("a", "M", schedule=None))
    for of in ("grace", "max_runtime", "period"):
        frame = qpa.grace(empty, of=of)
        assert len(frame) == 1 and list(frame.columns) == list(columns(of))  # type: ignore[arg-type]
    frame = qpa.grace(year(Job("a", SCATTERED)))
    assert list(frame.columns) == list(COLUMNS)
    assert str(frame.n.dtype) == "int64" and str(frame.why.dtype) == "str" and str(frame.since_at.dtype) == "datetime64[us, UTC]"


def test_severities_have_budgets_of_their_own() -> None:
    history = year(Job("a", SCATTERED, severity="critical"), Job("b", SCATTERED, severity="info"))
    told = GraceTable.model_validate({"budget": 2.0, "severity": {"critical": 1.0}, "late_is_real": "30 min"})
    frame = qpa.grace(replace(history, budgets=told)).set_index("check")

    assert frame.budget.to_dict() == {"a": 1.0, "b": 2.0}
    assert (frame.longest_s == 1800.0).all()
    assert qpa.grace(replace(history, budgets=told), budget=4.0).budget.tolist() == [4.0, 4.0]


def test_a_figure_draws_the_grace_now_and_the_suggested_one() -> None:
    pytest.importorskip("plotly", reason="plotly is not installed")
    history = year(Job("<b>a</b>", SCATTERED, grace="1 h"), Job("free", "60x9", schedule=None))
    fig = qpa.plot.grace(history, "<b>a</b>", budget=1.0)

    assert [shape.x0 for shape in fig.layout.shapes] == pytest.approx([60.0, 98.0])  # minutes
    assert fig.data[0].y[-1] == 100.0 and "<b>a</b>:" not in fig.layout.title.text
    assert "100 came, the latest 1 h 40 min after its time; now 1 h: 12 false" in qpa.plot.alt(fig)
    assert "no schedule" in qpa.plot.alt(qpa.plot.grace(history, "free"))
    with pytest.raises(UsageError, match="no check"):
        qpa.plot.grace(history, "nope")


# The command ----------------------------------------------------------------------------------------------------------

AS_OF = ("--as-of", "2026-11-01T00:00:00Z")
HOSTILE = 'x"]\n[[check]]\u202e\ncheck = "y'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred days of two checks, one with a name that would break out of where it is printed."""
    place = tmp_path_factory.mktemp("grace")
    rows = [{"check": "a", "received_at": 1_785_294_000 + 86_400 * i + 60 * (37 * i % 101)} for i in range(1, 95)]
    rows += [{**row, "check": HOSTILE} for row in rows] + [{"check": "few", "received_at": 1_785_380_460}]
    (place / "pings.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    promised = 'schedule = "0 3 * * *"\nvalid_from = 2026-07-29T03:30:00Z\ngrace = "1 h"\n'
    names = ["a", HOSTILE, "few"]
    (place / "qpa.toml").write_text("".join(f"[[check]]\ncheck = {json.dumps(name)}\n{promised}" for name in names))
    done = command(place, "import", "pings.jsonl", "--covers-until", "2026-11-01T00:00:00Z")
    assert done.returncode == 0, done.stderr
    return place


def test_json_has_a_row_for_each_check_with_the_columns_of_the_contract(folder: Path) -> None:
    done = command(folder, "grace", "--format", "json", "--budget", "1", *AS_OF)
    rows = {row["check"]: row for row in json.loads(done.stdout)}

    assert done.returncode == 0 and done.stderr == ""
    assert list(rows["a"]) == list(COLUMNS) and len(rows) == 3
    assert rows["a"]["recommended_s"] is not None and rows["a"]["why"] == ""
    assert rows["few"]["recommended_s"] is None and "at least 20 are needed" in rows["few"]["why"]


def test_the_change_for_qpa_toml_is_toml_that_holds_any_name(folder: Path) -> None:
    done = command(folder, "grace", "--as", "toml", "--budget", "1", *AS_OF)
    told = tomllib.loads(done.stdout)

    assert [one["check"] for one in told["check"]] == ["a", HOSTILE]
    assert all(set(one) == {"check", "grace"} for one in told["check"])
    assert '# "few": 1 run came' in done.stdout and "was 1 h; about" in done.stdout
    (folder / "other.toml").write_text(done.stdout)
    assert command(folder, "checks", "--config", "other.toml", *AS_OF).returncode == 0


def test_the_change_for_healthchecks_is_a_request_with_whole_seconds(folder: Path) -> None:
    done = command(folder, "grace", "--as", "healthchecks", "--budget", "1", "--check", "a", *AS_OF)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("curl ")]

    assert line.startswith('curl https://healthchecks.io/api/v3/checks/UUID -H "X-Api-Key: $QPA_HEALTHCHECKS_KEY" --json ')
    assert json.loads(line.rpartition("--json ")[2].strip("'"))["grace"] > 3600
    said = command(folder, "grace", "--as", "healthchecks", "--budget", "1", *AS_OF).stdout
    assert all(line.startswith(("#", "curl ")) for line in said.splitlines() if line)


def test_a_table_and_the_candidates_are_for_people(folder: Path) -> None:
    table = command(folder, "grace", "--budget", "1", *AS_OF, COLUMNS="200").stdout
    assert "recommended" in table and "alarms" in table and "at least 20 are needed" in table
    several = command(folder, "grace", "--candidates", "--budget", "1", *AS_OF, COLUMNS="200").stdout
    assert "suggested" in several and "longest seen" in several


def test_mistakes_are_one_line(folder: Path) -> None:
    refused(command(folder, "grace", "--budget", "0"), "budget", "Try 0.5")
    refused(command(folder, "grace", "--budget", "nan"), "budget")
    refused(command(folder, "grace", "--of", "patience"))
    refused(command(folder, "grace", "--as", "toml", "--candidates"), "--as", "--candidates")
    refused(command(folder, "grace", "--as", "toml", "--format", "json"), "--format")
    (folder / "bad.toml").write_text("[grace]\nbudget = -1\n")
    refused(command(folder, "grace", "--config", "bad.toml"), "[grace]", "budget")
