"""How long runs take: which runs have a duration, and what is said where none has."""

from __future__ import annotations

from math import isnan
from typing import Any

import pandas as pd
import pytest
from relations import Relations, at, check, runs, span

from qpanalytics.analysis.durations import COLUMNS, columns, durations


def row(frame: pd.DataFrame, name: str) -> Any:
    (found,) = frame[frame.check == name].itertuples()
    return found


def test_only_runs_that_succeeded_have_a_duration_that_counts() -> None:
    h = Relations(checks=[check("etl")], runs=runs("etl", "60 F 80 ok 70 open F"))

    got = row(durations(h), "etl")

    assert (got.n, got.failed_n) == (3, 2)
    assert (got.p50_s, got.max_s) == (70, 80)
    assert got.p90_s == pytest.approx(78)  # position 1.8 among 60, 70, 80
    assert isnan(got.p50_lo_s) and isnan(got.p50_hi_s)
    assert got.why == "n = 3 cannot carry a 95 % interval for p50, p90, p95, p99"


def test_the_interval_of_the_median_by_hand() -> None:
    h = Relations(checks=[check("etl")], runs=runs("etl", " ".join(str(60 + step) for step in range(10)), every_s=3600))

    got = row(durations(h), "etl")

    assert (got.p50_s, got.p50_lo_s, got.p50_hi_s) == (64.5, 61, 68)  # the 2nd and the 9th of ten


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ("ok ok F", "no durations from this source"),
        ("F F", "no run succeeded in this window, 2 failed"),
        ("open", "no run ended in this window"),
        ("", "no runs in this window"),
    ],
)
def test_a_check_without_durations_says_why(results: str, why: str) -> None:
    h = Relations(checks=[check("etl", None)], runs=runs("etl", results))

    got = row(durations(h), "etl")

    assert got.n == 0 and isnan(got.p50_s) and isnan(got.max_s)
    assert got.why == why


def test_a_check_that_nobody_watched_and_one_that_began_later_are_told_apart() -> None:
    h = Relations(
        checks=[check("dark"), check("new", first_valid_from=at("2026-11-24"))],
        vouched=[span("new", "2026-11-24", "2026-11-25")],
    )

    assert durations(h).why.tolist() == ["nothing was observed", "the check began after this window"]


def test_a_run_counts_in_the_window_in_which_it_ended() -> None:
    h = Relations(
        checks=[check("etl")],
        runs=runs("etl", "7200", first="2026-11-15 23:00") + runs("etl", "7200", first="2026-11-22 23:00"),
    )

    assert row(durations(h), "etl").n == 1


def test_tags_and_sources_pool_runs_and_hours_go_by_the_start() -> None:
    h = Relations(
        checks=[check("a", tags=["x"], tz="Europe/Berlin"), check("b", tags=["x"], tz=None)],
        runs=[
            *runs("a", "5400 10", first="2026-11-16 02:30", every_s=86400),  # 03:30 in Berlin
            *runs("b", "20 F", first="2026-11-16 02:30"),
        ],
    )

    tags = durations(h, by="tag")
    assert tags[["tag", "checks", "n", "failed_n", "p50_s", "max_s"]].to_numpy().tolist() == [["x", 2, 3, 1, 20, 5400]]
    hours = durations(h, by="hour")
    assert hours[["check", "hour", "n", "failed_n"]].to_numpy().tolist() == [["a", 3, 2, 0], ["b", 2, 1, 1]]
    assert durations(h, by="weekday").weekday.tolist() == [1, 2, 1, 2]


def test_a_slower_week_is_set_beside_the_one_before() -> None:
    then = " ".join(str(step) for step in range(1, 11))
    now = " ".join(str(50 + step) for step in range(1, 11))
    h = Relations(
        checks=[check("etl"), check("quiet")],
        runs=[
            *runs("etl", now, every_s=3600),
            *runs("etl", then, first="2026-11-10", every_s=3600),
            *runs("quiet", "9 9 9 9 9 9 9"),
        ],
    )

    frame = durations(h, against_before=True)

    got = row(frame, "etl")
    assert (got.n_before, got.p50_before_s, got.p50_change_s) == (10, 5.5, 50)
    assert (got.change_lo_s, got.change_hi_s) == (pytest.approx(50 - 3.5 * 2**0.5), pytest.approx(50 + 3.5 * 2**0.5))
    quiet = row(frame, "quiet")
    assert quiet.n_before == 0 and isnan(quiet.p50_change_s)
    assert quiet.why == "n = 7 cannot carry a 95 % interval for p90, p95, p99; before: no runs in this window"


@pytest.mark.parametrize("by", ["check", "tag", "source", "hour", "weekday"])
@pytest.mark.parametrize("against_before", [False, True])
def test_the_columns_are_the_declared_ones(by: Any, against_before: bool) -> None:
    for h in (
        Relations(checks=[check("a"), check("b", None)], runs=runs("a", "10 F ok")),
        Relations(checks=[]),
    ):
        frame = durations(h, by=by, against_before=against_before)

        assert list(frame.columns) == list(columns(by, against_before=against_before))
        assert {str(frame[name].dtype) for name in ("n", "failed_n")} == {"int64"}
    assert list(columns()) == list(COLUMNS)
