"""The facts of a digest: rows, totals, strips, evidence; of made-up jobs, and of the bundled weeks as worked out apart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from telling import Job, frames, instant, week

from qpanalytics.history import History
from qpanalytics.opening import demo
from qpanalytics.report import wording
from qpanalytics.report.facts import facts
from qpanalytics.report.model import Arrivals, CheckRow, Dots, Facts, Strip, Tally
from qpanalytics.report.page import page
from qpanalytics.report.window import period_window

EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "expected_weeks.json").read_text(encoding="utf-8"))
WEEKS = {"histories": "histories", "recorded": "recorded-project"}


def made(*jobs: Job, **asked: Any) -> Facts:
    return facts(week(*jobs, **asked), period="weekly")


def row(of: Facts, check: str) -> CheckRow:
    (found,) = [row for row in of.all_rows if row.check == check]
    return found


def demo_week(name: str) -> History:
    history = demo(name)
    return history.window(*period_window("weekly", history.as_of))


# The bundled weeks ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(WEEKS))
def bundled(request: pytest.FixtureRequest) -> tuple[Facts, dict[str, Any]]:
    return facts(demo_week(request.param), period="weekly"), EXPECTED[WEEKS[request.param]]


def test_each_row_of_a_bundled_week_says_what_was_worked_out_apart(bundled: tuple[Facts, dict[str, Any]]) -> None:
    got, expected = bundled
    rows = {row.check: row for row in got.all_rows}
    judged = 0
    for path, told in expected["checks"].items():
        check = path.partition("/")[2]
        if "retired_at" in told:
            assert check not in rows
            continue
        found = rows.pop(check)
        # An interval rolls with its completions, so that its ticks can always be told: no gaps instead of a rate.
        if told.get("cannot_tell") and found.gaps is not None:
            assert found.tally == Tally() and wording.unjudged(found).startswith("every ")
            continue
        judged += 1
        counts = {k: told["week"].get(k, 0) for k in ("on_time", "late", "failed", "excused", "unknown")}
        assert {k: getattr(found.tally, k) for k in counts} == counts, check
        # A run that began and was never heard of again is hung for us where it was not taken over by another start.
        assert found.tally.missed + found.tally.hung == told["week"].get("missed", 0), check
        assert found.tally.n + found.tally.unknown == told["week"]["n"], check
        if "downs" in told and found.tally.down_s is not None:
            assert found.tally.down_s == pytest.approx(told["downs"]["down_s"], abs=0.001), check
            assert found.tally.downs == told["downs"]["n"], check
        if told["week"].get("failed"):  # which counts as an arrival there, and its run as one with a duration
            continue
        lateness = told["week"].get("lateness", {})
        p95 = lateness.get("all_p95_s", lateness.get("p95_s"))
        assert found.lateness.value_s == (None if p95 is None else pytest.approx(p95, abs=0.001)), check
        if "runs" in told and told["runs"]["n"]:
            assert found.duration.value_s == pytest.approx(told["runs"]["p95_s"], abs=0.001), check
    assert not rows and judged > 15


def test_totals_of_a_bundled_week_are_those_worked_out_apart(bundled: tuple[Facts, dict[str, Any]]) -> None:
    got, expected = bundled
    whole = dict.fromkeys(("on_time", "late", "missed", "failed", "unknown"), 0) | expected["totals_of_the_judged"]
    etl = expected["checks"].get("recorded-project/etl-overlap")
    if etl:  # an interval: it counts
        for outcome in ("on_time", "missed", "failed", "n"):
            whole[outcome] += etl["week"].get(outcome, 0)
    totals = got.totals

    assert (totals.on_time, totals.late, totals.failed) == (whole["on_time"], whole["late"], whole["failed"])
    assert totals.missed + totals.hung == whole["missed"]
    assert (totals.n + totals.unknown, totals.unknown) == (whole["n"], whole["unknown"])


def test_figures_and_totals_are_the_sums_of_the_table(bundled: tuple[Facts, dict[str, Any]]) -> None:
    got, _ = bundled
    rows = got.all_rows
    names = [row.check for row in rows]

    assert len(names) == len(set(names)) == got.checks
    assert got.totals == Tally.total(row.tally for row in rows)
    figures = {figure.key: figure for figure in got.figures}
    assert figures["on_time"].value == sum(row.tally.on_time for row in rows)
    assert figures["on_time"].of == sum(row.tally.n for row in rows)
    assert figures["missed"].value == sum(row.tally.missed for row in rows)
    # Checks without countable runs have an empty tally: what they reported as failed is counted beside it.
    reported = sum(row.failures for row in rows if row.tally == Tally() and (row.gaps or row.schedule is None))
    assert figures["failed_or_hung"].value == sum(row.tally.failed + row.tally.hung for row in rows) + reported
    assert figures["down_s"].value == pytest.approx(sum(row.tally.down_s or 0 for row in rows))


def test_the_window_before_is_the_window_of_a_report_made_a_week_earlier(
    bundled: tuple[Facts, dict[str, Any]],
) -> None:
    got, expected = bundled
    judged = [told for path, told in expected["checks"].items() if not told.get("cannot_tell") or path.endswith("etl-overlap")]
    figures = {figure.key: figure for figure in got.figures}

    assert figures["on_time"].before == sum(told.get("week_before", {}).get("on_time", 0) for told in judged)
    assert figures["missed"].before == sum(told.get("week_before", {}).get("missed", 0) for told in judged)


def test_the_same_store_and_instant_give_the_same_bytes(bundled: tuple[Facts, dict[str, Any]]) -> None:
    got, _ = bundled
    name = "histories" if got.window.since_at.month == 8 else "recorded"

    assert page(facts(demo_week(name), period="weekly")) == page(got)


# Made-up weeks --------------------------------------------------------------------------------------------------------


def test_rows_come_worst_first_and_kept_promises_apart() -> None:
    got = made(
        Job("kept-a", "60x40"),
        Job("kept-b", "60x40"),
        Job("late-once", "60x26 1200", grace="15 min"),
        Job("down", "60x25 M M", grace="15 min"),
        Job("failing", "D60x21 F D60 F D60x4"),
        Job("slower", "D600x21 D900x7", grace="1 h"),
    )

    assert [row.check for row in got.rows] == ["down", "failing", "slower", "late-once"]
    assert [row.check for row in got.kept] == ["kept-a", "kept-b"]
    assert wording.verdict(got) == "3 of 6 checks need you"


def test_a_source_that_fell_silent_is_counted_as_one_thing() -> None:
    jobs = [Job(f"job-{i}", "60x30", last="2026-11-19 03:00") for i in range(3)]
    got = made(*jobs, covers_until=instant("2026-11-19 12:00"))

    assert wording.verdict(got) == "1 source needs you"
    # 3.5 days of each week were seen: Mon 00:00 to Thu 12:00
    assert got.coverage == 0.5
    assert got.unseen == (
        "frames: nothing seen since Thu 12:00 of 3 checks (job-0, job-1 and job-2); 9 expected runs cannot be counted.",
    )
    assert got.unseen_s is None  # three times half a week is a time that no week has


def test_seconds_that_were_not_seen_are_told_while_they_fit_into_the_window() -> None:
    got = made(Job("job", "60x30"), covers_until=instant("2026-11-22 20:00"))

    assert got.unseen_s == 4 * 3600
    assert got.unseen == ("frames: nothing seen since Sun 20:00 of job.",)


def test_a_strip_shows_the_worst_of_each_day_and_nothing_where_nothing_was_expected() -> None:
    """Four weeks to Sun 22 Nov. Twice a day; the check begins on Wed 18."""
    job = Job("job", "D60 D60 D60 F H D60 M M D60 4000", schedule="0 3,15 * * *", last="2026-11-22 15:00",
              every=timedelta(hours=12), grace="1 h", ids=True)  # fmt: skip
    strip = row(made(job), "job").strip

    assert strip.first_day == date(2026, 10, 26) and len(strip.cells) == 28
    assert strip.cells[:23] == (None,) * 23
    # Wed both well, Thu one failed, Fri one hung, Sat both missed, Sun one late
    assert strip.cells[23:] == ("on_time", "failed", "hung", "missed", "late")


def test_on_a_day_with_both_the_hung_run_is_drawn_and_not_the_failed_one() -> None:
    """Twice a day; what somebody has to stop is worse than what failed, as in the order of findings."""
    job = Job("job", "D60x20 H F D60x2 F H D60 F", schedule="0 3,15 * * *", last="2026-11-22 15:00",
              every=timedelta(hours=12), grace="1 h", ids=True)  # fmt: skip
    assert row(made(job), "job").strip.cells[-4:] == ("hung", "on_time", "hung", "failed")


def test_a_strip_begins_with_the_first_ping() -> None:
    """Described on Tue 17 Nov (a minute before its first run, which is missed), first heard of a day later."""
    strip = row(made(Job("job", "M D60x4", grace="1 h")), "job").strip

    assert strip.cells[-5:] == ("missed", "on_time", "on_time", "on_time", "on_time")
    assert strip.began == date(2026, 11, 19) and strip.before == 23  # the missed one counts: it was due


def test_a_silent_source_lifts_none_of_its_checks_above_those_with_trouble() -> None:
    jobs = [Job(f"job-{i}", "60x30", last="2026-11-19 03:00") for i in range(3)]
    wrong = Job("zz-fails", "D60x27 F D60 F", last="2026-11-19 03:00")
    got = made(*jobs, wrong, covers_until=instant("2026-11-19 12:00"))

    assert wording.verdict(got) == "1 of 4 checks and 1 source need you"
    assert [row.check for row in got.rows] == ["zz-fails", "job-0", "job-1", "job-2"]


def test_a_check_that_went_down_since_the_window_says_when_in_its_row() -> None:
    job = Job("job", "60x25 M M", grace="15 min", last="2026-11-23 03:00")
    got = facts(week(job, as_of=instant("2026-11-24 01:00")), period="weekly")

    assert row(got, "job").down_since_at == instant("2026-11-22 03:15")
    assert wording.down_now(row(got, "job"), got.window) == "down now, since Sun 03:15"
    assert row(made(Job("well", "60x40")), "well").down_since_at is None


def test_a_curve_of_fewer_than_five_days_is_not_drawn() -> None:
    got = made(Job("four", "D600x4", grace="1 h"), Job("five", "D600x5", grace="1 h"))

    assert row(got, "four").trend is None
    assert row(got, "five").trend is not None


def test_days_of_a_strip_are_the_readers() -> None:
    """23:30 UTC is the next day in Berlin: the run of Sun 22 Nov belongs to Monday, which is not shown."""
    job = Job("job", "D60x25 F D60", schedule="30 23 * * *", last="2026-11-22 23:30")
    since, until = instant("2026-11-15 23:00"), instant("2026-11-22 23:00")
    got = facts(week(job, since=since, until=until), period="weekly", tz="Europe/Berlin")

    # The run that failed is Sat 21 Nov 23:30 UTC: Sunday 22 Nov in Berlin, the last day shown.
    assert row(got, "job").strip.days[-1] == date(2026, 11, 22)
    assert row(got, "job").strip.cells[-2:] == ("on_time", "failed")


def test_a_day_that_nobody_saw_is_not_drawn_as_good() -> None:
    got = made(Job("job", "60x30", last="2026-11-19 03:00"), covers_until=instant("2026-11-19 12:00"))

    assert row(got, "job").strip.cells[-5:] == ("on_time", "on_time", "unknown", "unknown", "unknown")


def test_a_check_without_a_schedule_shows_its_runs() -> None:
    found = row(made(Job("deploy", "60x20 60 F 60x5", schedule=None)), "deploy")

    assert (found.schedule, found.runs, found.failures, found.tally) == (None, 7, 1, Tally())
    assert found.strip.cells[-7:] == ("ran", "failed", "ran", "ran", "ran", "ran", "ran")
    assert wording.unjudged(found) == "7 runs, 1 failed"


def test_a_duration_is_compared_only_where_its_growth_is_told() -> None:
    got = made(Job("grew", "D600x21 D900x7", grace="1 h"), Job("same", "D600x21 D610x7 F", grace="1 h"))

    assert row(got, "grew").duration.before_s == 600
    assert wording.change(row(got, "grew").duration) == "+50 %"
    assert row(got, "same").duration.before_s is None


def test_where_runs_failed_the_lateness_is_not_said_to_have_never_come() -> None:
    got = made(Job("failed", "D60x24 F D60 F"), Job("missed", "60x24 M 60 M", grace="15 min"))

    assert wording.quantile(row(got, "failed").lateness) == "2 failed"
    assert wording.quantile(row(got, "missed").lateness) == "2 never came"


def test_evidence_is_for_what_grew_and_what_came_late_or_not_at_all() -> None:
    """Five weeks of dots around the growth, from 600 s to 600 * 1.02**34 = 1176 s; steps for the late
    one; none where there is no shape."""
    growing = " ".join(f"D{600 * 1.02**day:.0f}" for day in range(35))
    got = made(
        Job("grows", growing, grace="3 h", max_runtime="2 h"),
        Job("fails", "D60x21 F D60 F D60x4"),
        Job("misses", "60x21 60 M 60 M 60x3", grace="15 min"),
        Job("late", "60x21 60 M 60 M 1200 60x2", grace="15 min"),
    )

    steps, dots = got.evidence
    assert isinstance(steps, Arrivals) and isinstance(dots, Dots)
    assert (steps.check, steps.never, steps.lateness_s) == ("late", 2, (60.0, 60.0, 1200.0, 60.0, 60.0))
    assert steps.marks[0].label == "grace 15 min: 1 came later"
    assert steps.alt == "late: 1 of 7 runs came after the grace of 15 min, 2 never; median delay 1 min of those that came."
    assert dots.check == "grows" and len(dots.points) == 35
    assert [level.value_s for level in dots.levels] == [pytest.approx(600, rel=0.06)]
    assert dots.path[-1][1] == pytest.approx(1176, rel=0.02)
    assert dots.limit_s == 7200 and dots.limit_label == "limit 2 h"


def test_a_week_in_which_all_went_well_says_so() -> None:
    got = made(Job("a", "60x40"), Job("b", "60x40"))

    assert wording.verdict(got) == "Nothing needs you"
    assert wording.lead(got) == "2 checks, 14 occurrences, 14 of 14 on time, all seen."
    assert not (got.rows or got.needs or got.notes or got.evidence or got.unseen or got.notices)


def test_checks_that_ended_before_the_window_are_left_out_and_counted() -> None:
    ended = Job("old", "60x20", last="2026-11-10 03:00", valid_to=instant("2026-11-12 00:00"))
    got = made(ended, Job("a", "60x40"))

    assert [row.check for row in got.all_rows] == ["a"]
    assert got.rules[-1] == "Left out: 1 check whose last promise had ended before this week."


def test_a_store_without_checks_makes_a_page_all_the_same() -> None:
    checks, pings = frames([], instant("2026-11-23 00:00"))
    history = History.from_frames(
        checks=checks, pings=pings, as_of=instant("2026-11-23 00:00"), since=instant("2026-11-16 00:00")
    )
    got = facts(history, period="custom")

    assert wording.verdict(got) == "No checks yet" and got.all_rows == () and got.coverage is None
    assert "No checks yet" in page(got)


def test_why_the_present_is_taken_to_be_another_is_said_under_the_headline() -> None:
    history = replace(week(Job("a", "60x40")), why_as_of="the files in jobs.duckdb end at 2026-11-23T01:00:00Z")
    assert facts(history, period="weekly").notices == ("The files in jobs.duckdb end at 2026-11-23T01:00:00Z.",)


def test_pictures_stand_beside_what_asks_for_somebody() -> None:
    got = made(Job("down", "60x25 M M", grace="15 min"), Job("grew", "D600x21 D900x7", grace="1 h"))

    assert got.needs[0].picture == row(got, "down").strip and isinstance(got.needs[0].picture, Strip)
    assert got.needs[1].picture == row(got, "grew").trend
    trend = row(got, "grew").trend
    assert trend is not None and trend.values_s == (600.0,) * 21 + (900.0,) * 7
