"""What `qpa.drift` says of small histories whose changes are known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import qpa as run_qpa
from drift_fleet import Floats, remembering

import qpanalytics as qpa
from qpanalytics.analysis.drift import COLUMNS
from qpanalytics.analysis.settled import present
from qpanalytics.history import History

BEGIN = datetime(2026, 3, 2, 3, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def durations(n: int, level: float = 300.0, *, seed: int = 1, noise: float = 0.05) -> Floats:
    """So many durations around a level, seconds."""
    return level * np.exp(noise * remembering(np.random.default_rng(seed), n, 0.2))


def history(
    *jobs: Floats,
    every: timedelta = DAY,
    schedule: str = "0 3 * * *",
    start: bool = True,
    as_of: datetime | None = None,
    **promise: Any,
) -> History:
    """Jobs that start at their tick and take so many seconds; NaN sends nothing, a negative one fails after so long."""
    pings, checks = [], []
    for place, values in enumerate(jobs):
        name = f"job-{place}"
        checks.append(
            {"check": name, "schedule": schedule, "grace_s": 3600.0, "valid_from": BEGIN - timedelta(hours=1), **promise}
        )
        for i, seconds in enumerate(values.tolist()):
            tick = BEGIN + i * every
            if seconds != seconds:
                continue
            if start:
                pings.append({"check": name, "received_at": tick + timedelta(seconds=1), "kind": "start"})
            kind = "fail" if seconds < 0 else "success"
            pings.append({"check": name, "received_at": tick + timedelta(seconds=1 + abs(seconds)), "kind": kind})
    end = as_of or BEGIN + max(len(values) for values in jobs) * every
    return History.from_frames(checks=pd.DataFrame(checks), pings=pd.DataFrame(pings), as_of=end, covers_until=end)


def found(h: History, metric: str = "duration", **told: Any) -> pd.DataFrame:
    frame = qpa.drift(h, **told)
    return frame[(frame.metric == metric) & frame.kind.notna()]


def test_a_step_is_told_with_its_date_its_levels_and_how_sure() -> None:
    values = np.concatenate([durations(60), durations(40, 450, seed=2)])
    (row,) = found(history(values)).itertuples()

    assert (row.kind, row.in_force, row.n, row.n_after) == ("step", True, 100, 40)
    assert abs(row.changed_at - (BEGIN + 60 * DAY)) <= DAY
    assert row.changed_lo_at <= row.changed_at <= row.changed_hi_at
    assert row.before_s == pytest.approx(300, rel=0.03) and row.after_s == pytest.approx(450, rel=0.03)
    assert row.ratio == pytest.approx(1.5, rel=0.05) and row.q_value < 1e-6


def test_a_backup_that_suddenly_takes_a_third_of_its_time_is_told_too() -> None:
    (row,) = found(history(np.concatenate([durations(60), durations(30, 100, seed=2)]))).itertuples()
    assert row.ratio == pytest.approx(1 / 3, rel=0.06) and row.in_force


def test_levels_do_not_move_with_the_mix_of_two_hours_that_differ() -> None:
    # 10 min at 03:00, 70 min at 15:00, both a fifth longer from day 60 on, where one run of the long ones is missing
    values = np.empty(200)
    values[0::2], values[1::2] = durations(100, 600), durations(100, 4200, seed=2)
    values[120:] *= 1.2
    values[121] = np.nan
    (row,) = found(history(values, every=DAY / 2, schedule="0 3,15 * * *")).itertuples()
    assert row.kind == "step" and row.ratio == pytest.approx(1.2, rel=0.03)


def test_a_trend_is_told_with_its_pace_and_the_date_it_meets_the_max_runtime() -> None:
    flat, rising = durations(40, noise=0.03), durations(60, seed=3, noise=0.03) * (1 + np.arange(60) / 60)
    h = history(np.concatenate([flat, rising]), max_runtime_s=700.0)
    (row,) = found(h).itertuples()

    assert row.kind == "trend" and abs(row.changed_at - (BEGIN + 40 * DAY)) < 8 * DAY
    assert row.per_day_s == pytest.approx(5, rel=0.2)
    # 5 s a day; one run in twenty is 5 % above the line: 300 + 5 d = 700 / 1.05 on day 73 after the hinge
    assert row.meets == "max_runtime"
    assert row.meets_lo_at < BEGIN + 113 * DAY < row.meets_hi_at
    assert abs(row.meets_at - (BEGIN + 113 * DAY)) < 8 * DAY


def test_lateness_meets_the_grace_and_a_far_limit_gets_no_date() -> None:
    rising = durations(90, noise=0.03) * (1 + np.arange(90) / 60)
    (near,) = found(history(rising, grace_s=900.0), "lateness").itertuples()
    assert near.meets == "grace" and BEGIN + 90 * DAY < near.meets_at < BEGIN + 140 * DAY
    (far,) = found(history(rising, grace_s=7200.0), "lateness").itertuples()
    assert pd.isna(far.meets_at) and far.why == "does not reach its grace at this rate within 90 days"


def test_an_excursion_that_came_back_is_a_blip_listed_apart_and_not_in_force() -> None:
    values = np.concatenate([durations(50), durations(8, 900, seed=2), durations(50, seed=3)])
    h = history(values)
    assert found(h).empty
    (row,) = found(h, blips=True).itertuples()
    assert (row.kind, row.in_force, row.n_after, row.why) == ("blip", False, 8, "came back after 8 runs")


def test_a_long_sunday_is_no_drift_and_a_changed_sunday_is() -> None:
    values = durations(182)
    values[6::7] *= 3
    assert found(history(values)).empty
    values[6 + 7 * 13 :: 7] *= 2
    (row,) = found(history(values)).itertuples()
    assert row.why == "Sundays only" and row.ratio == pytest.approx(2, rel=0.1) and row.in_force
    assert row.changed_at == pd.Timestamp(BEGIN + (6 + 7 * 13) * DAY + timedelta(seconds=1))


def test_bad_nights_gaps_and_a_change_of_schedule_are_no_drift() -> None:
    values = durations(120)
    values[[20, 47, 48, 90]] *= 8
    values[60:75] = np.nan
    assert found(history(values)).empty

    daily = [(BEGIN + i * DAY, v) for i, v in enumerate(durations(60))]
    hourly = [(BEGIN + 60 * DAY + i * timedelta(hours=1), v) for i, v in enumerate(durations(240, seed=4))]
    pings = [
        {"check": "j", "received_at": at + timedelta(seconds=v), "kind": "success", "duration_s": v} for at, v in daily + hourly
    ]
    checks = [
        {"check": "j", "schedule": "0 3 * * *", "valid_from": BEGIN - DAY},
        {"check": "j", "schedule": "0 * * * *", "valid_from": BEGIN + 60 * DAY},
    ]
    h = History.from_frames(checks=pd.DataFrame(checks), pings=pd.DataFrame(pings))
    assert qpa.drift(h).kind.isna().all()


def test_a_step_that_comes_with_a_new_schedule_says_so() -> None:
    before, after = durations(60), durations(40, 600, seed=2)
    ticks = [BEGIN + i * DAY + timedelta(hours=2 * (i >= 60)) for i in range(100)]
    pings = [
        {"check": "j", "received_at": tick + timedelta(seconds=v), "kind": "success", "duration_s": v}
        for tick, v in zip(ticks, [*before, *after], strict=True)
    ]
    checks = [
        {"check": "j", "schedule": "0 3 * * *", "valid_from": BEGIN - DAY},
        {"check": "j", "schedule": "0 5 * * *", "valid_from": BEGIN + 60 * DAY - timedelta(hours=2)},
    ]
    h = History.from_frames(checks=pd.DataFrame(checks), pings=pd.DataFrame(pings))
    assert found(h).why.tolist() == ["its schedule or its limits were changed at the same time"]


def test_more_failures_are_told_as_shares_and_one_outage_is_not() -> None:
    rng = np.random.default_rng(5)
    bad = rng.random(600) < np.where(np.arange(600) < 400, 0.01, 0.15)
    values = np.where(bad, -1.0, 1.0) * durations(600)
    (row,) = found(history(values, every=timedelta(hours=1), schedule="0 * * * *"), "failures").itertuples()
    assert row.before == pytest.approx(0.01, abs=0.01) and row.after == pytest.approx(0.15, abs=0.05)
    assert np.isnan(row.before_s) and abs(row.changed_at - (BEGIN + timedelta(hours=400))) < timedelta(hours=20)

    outage = durations(600)
    outage[300:330] *= -1
    outage[[50, 120, 500]] *= -1
    assert found(history(outage, every=timedelta(hours=1), schedule="0 * * * *"), "failures").empty


def test_every_series_has_a_row_and_what_was_not_judged_says_why() -> None:
    frame = qpa.drift(history(durations(30), durations(5), start=False))
    assert list(frame) == list(COLUMNS) and len(frame) == 8 and frame.kind.isna().all() and not frame.in_force.any()
    told = {(row.check, row.metric): row.why for row in frame.itertuples()}
    assert told["job-0", "lateness"] == "no change found in 30 runs"
    assert told["job-0", "duration"] == "no successful run with a duration in this window"
    assert told["job-0", "start_delay"] == "no start pings in this window"
    assert told["job-0", "failures"] == "30 runs cannot tell a change; 40 can"
    assert told["job-1", "lateness"] == "5 runs cannot tell a change; 10 can"


def test_an_empty_history_has_no_rows() -> None:
    none = pd.DataFrame({"check": np.array([], dtype=str), "received_at": pd.to_datetime([], utc=True)})
    h = History.from_frames(checks=none[["check"]].assign(schedule=""), pings=none, as_of=BEGIN)
    assert list(qpa.drift(h)) == list(COLUMNS) and not len(qpa.drift(h))


def test_a_change_is_new_once_and_then_stands() -> None:
    values = np.concatenate([durations(60), durations(60, 600, seed=2)])
    h = history(values)
    new = []
    for days in range(62, 100, 4):
        as_of = BEGIN + days * DAY
        row = found(replace(h.window(h.since, as_of), as_of=as_of))
        new.append(bool(row.is_new.any()) if len(row) else None)
    told = [one for one in new if one is not None]
    assert new[0] is None and told[0] and len(told) >= 7
    assert told == sorted(told, reverse=True) and not told[-1]


def test_the_present_regime_begins_after_the_last_change() -> None:
    values = np.concatenate([durations(60), durations(40, 450, seed=2)])
    since = present(history(values, durations(100, seed=7)))
    assert BEGIN + 60 * DAY <= since["job-0"]["duration"].since_at <= BEGIN + 64 * DAY
    assert BEGIN + 60 * DAY <= since["job-0"]["lateness"].since_at <= BEGIN + 64 * DAY
    assert since["job-1"] == {}


def test_a_lateness_of_seconds_that_doubles_does_not_matter_beside_an_hour_of_grace() -> None:
    values = np.concatenate([durations(60, 4), durations(60, 9, seed=2)])
    h = history(values)
    assert found(h, "lateness").empty and len(found(h)) == 1


def test_a_start_delay_that_grows_by_half_a_minute_matters_beside_an_hour_of_grace() -> None:
    delays = np.concatenate([durations(60, 4), durations(60, 30, seed=2)])
    pings = []
    for i, delay in enumerate(delays):
        begun = BEGIN + i * DAY + timedelta(seconds=float(delay))
        pings += [
            {"check": "j", "received_at": begun, "kind": "start"},
            {"check": "j", "received_at": begun + timedelta(minutes=10), "kind": "success"},
        ]
    checks = [{"check": "j", "schedule": f"0 {BEGIN.hour} * * *", "grace_s": 3600.0, "valid_from": BEGIN - DAY}]
    h = History.from_frames(checks=pd.DataFrame(checks), pings=pd.DataFrame(pings), as_of=BEGIN + 120 * DAY)
    (row,) = found(h, "start_delay").itertuples()
    assert row.before_s == pytest.approx(4, rel=0.1) and row.after_s == pytest.approx(30, rel=0.1)


def test_durations_of_whole_seconds_and_ties_are_no_drift() -> None:
    rng = np.random.default_rng(3)
    assert found(history(rng.integers(1, 3, 200).astype(float), np.ones(200), rng.poisson(0.2, 200).astype(float))).empty


def test_the_command_prints_a_table_csv_and_json_that_agree(tmp_path: Path) -> None:
    values = np.concatenate([durations(60), durations(40, 450, seed=2)])
    rows = ["check,received_at,kind"]
    for i, seconds in enumerate(values.tolist()):
        rows += [
            f"=evil,{(BEGIN + i * DAY).isoformat()},start",
            f"=evil,{(BEGIN + i * DAY + timedelta(seconds=seconds)).isoformat()},success",
        ]
    (tmp_path / "pings.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "checks.csv").write_text(f"check,schedule,valid_from\n=evil,0 3 * * *,{(BEGIN - DAY).isoformat()}\n")
    assert run_qpa(tmp_path, "import", "pings.csv", "--checks", "checks.csv").returncode == 0
    as_of = ("--as-of", (BEGIN + 100 * DAY).isoformat())

    told = json.loads(run_qpa(tmp_path, "drift", *as_of, "--format", "json").stdout)
    step = next(row for row in told if row["metric"] == "duration")
    assert step["kind"] == "step" and step["changed_at"].startswith("2026-05-01") and set(step) == set(COLUMNS)
    csv = run_qpa(tmp_path, "drift", *as_of, "--format", "csv").stdout.splitlines()
    assert csv[0].split(",") == list(COLUMNS) and csv[1].startswith("'=evil,duration,step,2026-05-01")
    table = run_qpa(tmp_path, "drift", *as_of)
    assert "5 min" in table.stdout and "7 min 3" in table.stdout and "start delay" not in table.stdout
    assert "1 series of 1 check without a change, 1 that cannot be judged" not in table.stderr
    assert "--all shows them" in table.stderr
    bad = run_qpa(tmp_path, "drift", "--since", "yesterdayish")
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1


def test_a_climb_in_many_steps_that_falls_again_is_not_told_as_one_small_step() -> None:
    # half an hour grows to three and falls; of a fleet, a step that is not sure must not leave others its neighbours' levels
    levels = np.repeat([1900.0, 2700.0, 4700.0, 7800.0, 12_200.0, 4500.0], [48, 22, 24, 24, 32, 5])
    climbs = levels * np.exp(0.15 * remembering(np.random.default_rng(2), len(levels), 0.5))
    quiet = (durations(40, seed=20 + i) for i in range(10))

    steps = found(history(climbs, *quiet, start=False), "lateness")

    assert [(at - BEGIN).days for at in steps.changed_at] == [70, 94]
    assert (steps.after_s / steps.before_s > 1.5).all()


def test_the_likeliest_change_is_named_where_none_is_sure_enough() -> None:
    barely = np.concatenate([durations(30, seed=3, noise=0.1), durations(30, 365, seed=4, noise=0.1)])
    alone = qpa.drift(history(barely)).query("metric == 'duration'").iloc[0]
    many = qpa.drift(history(barely, *(durations(40, seed=20 + i) for i in range(30)))).query("metric == 'duration'").iloc[0]
    assert alone.kind == "step" and pd.isna(many.kind)
    said = r"no change found in 60 runs that is sure enough; the likeliest is a step of .* with q 0\.0\d+"
    assert re.fullmatch(said, many.why)


def test_the_name_of_a_change_at_the_right_edge_is_written_to_its_left() -> None:
    pytest.importorskip("plotly", reason="plotly is not installed")
    late = qpa.plot.drift(history(np.concatenate([durations(90), durations(12, 600, seed=2)])), "job-0")
    early = qpa.plot.drift(history(np.concatenate([durations(30), durations(60, 600, seed=2)])), "job-0")
    sides = [next(note.xanchor for note in fig.layout.annotations if "change" in note.text) for fig in (late, early)]
    assert sides == ["right", "left"]


def test_the_figure_marks_changes_levels_and_where_a_trend_leads() -> None:
    pytest.importorskip("plotly", reason="plotly is not installed")
    stepped = np.concatenate([durations(60), durations(40, 450, seed=2)])
    rising = durations(100, noise=0.03) * (1 + np.arange(100) / 60)
    h = history(stepped, rising, max_runtime_s=1200.0)
    fig = qpa.plot.drift(h, "job-0")
    assert "step on Fri 1 May 2026 from 5 min" in qpa.plot.alt(fig) and "cannot" not in qpa.plot.alt(fig)
    level = next(one for one in fig.data if one.name == "median")
    assert None in level.y and level.y[0] == pytest.approx(5, rel=0.05) and level.y[-1] == pytest.approx(7.5, rel=0.05)
    assert [note.text for note in fig.layout.annotations if "change" in note.text] == ["change Fri 1 May 2026"]

    ahead = qpa.plot.drift(h, "job-1")
    assert "one run in twenty reaches the max runtime 20 min on about" in qpa.plot.alt(ahead)
    cone = next(one for one in ahead.data if one.name == "range")
    dash = next(one for one in ahead.data if one.name == "at this rate")
    assert cone.y[1] == cone.y[2] == 20 and dash.y[-1] == pytest.approx(20, rel=0.01)
    assert cone.x[1] < dash.x[-1] < cone.x[2]
    late = qpa.plot.drift(h, "job-0", metric="lateness", tz="Europe/Berlin")
    assert "how late it ends" in qpa.plot.alt(late)
    with pytest.raises(qpa.QpaError, match="there is no figure of"):
        qpa.plot.drift(h, "job-0", metric="failures")
    with pytest.raises(qpa.QpaError, match="did you mean"):
        qpa.plot.drift(h, "job-00")
