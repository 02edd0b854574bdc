"""How late runs arrive: what counts as an arrival, which quantiles can be given, and what is said of the others."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from relations import Relations, at, check, occurrences, told

from qpanalytics.analysis.lateness import COLUMNS, columns, lateness
from qpanalytics.analysis.success import success

LEVELS = ("p50_s", "p90_s", "p95_s", "p99_s")
FEW = "n = 12 cannot carry a 95 % interval for p90, p95, p99"


def row(frame: pd.DataFrame, name: str) -> Any:
    (found,) = frame[frame.check == name].itertuples()
    return found


def twelve(words: str = "") -> str:
    """Arrivals after 0, 10, ... 110 s, the last ones replaced by `words`."""
    others = words.split()
    return " ".join([str(10 * step) for step in range(12 - len(others))] + others)


def hourly(words: str, first: str = "2026-11-16 00:00") -> list[dict[str, Any]]:
    return occurrences("sync", words, first=first, every_s=3600)


def test_quantiles_and_the_interval_of_the_median_by_hand() -> None:
    h = Relations(checks=[check("sync")], occurrences=hourly(twelve()))

    got = row(lateness(h), "sync")

    # positions 5.5, 9.9, 10.45, 10.89 among 0, 10, ... 110
    assert [getattr(got, name) for name in LEVELS] == pytest.approx([55, 99, 104.5, 108.9])
    # P(B <= 2) = 79 / 4096 = 0.019, P(B <= 3) = 299 / 4096 = 0.073: the 3rd and the 10th
    assert (got.p50_lo_s, got.p50_hi_s) == (20, 90)
    assert (got.n, got.max_s) == (12, 110)
    assert isnan(got.p90_hi_s) and isnan(got.p99_hi_s)
    assert got.why == FEW + "; no two completions to measure a gap"


def test_early_is_negative_and_late_ones_count() -> None:
    h = Relations(checks=[check("sync")], occurrences=hourly("-30 -20 L900"))

    got = row(lateness(h), "sync")

    assert (got.n, got.p50_s, got.max_s) == (3, -20, 900)


def test_missed_failed_and_hung_runs_are_later_than_every_arrival() -> None:
    h = Relations(checks=[check("sync")], occurrences=hourly(twelve("M F H")), telling=[told("sync", gaps=(1, 1, 1))])

    got = row(lateness(h), "sync")

    # nine came, the last after 80 s; position 9.9 of p90 lies among those that did not
    assert (got.n, got.p50_s, got.max_s) == (12, 55, 80)
    assert all(isnan(getattr(got, name)) for name in LEVELS[1:])
    assert (got.p50_lo_s, isnan(got.p50_hi_s)) == (20, True)  # its upper end is the 10th
    assert got.why == "3 of 12 never came; " + FEW


def test_runs_that_never_came_are_not_mentioned_where_they_hide_no_figure() -> None:
    # 400 runs, two missed: the upper end of p99 is the 400th, p99 itself lies at position 395.01
    h = Relations(
        checks=[check("sync")],
        occurrences=occurrences("sync", " ".join(["5"] * 398 + ["M M"]), every_s=900),
        telling=[told("sync", gaps=(1, 1, 1))],
    )
    got = row(lateness(h), "sync")
    assert got.p99_s == 5 and isnan(got.p99_hi_s)
    assert got.why == "2 of 400 never came"

    h = Relations(
        checks=[check("sync")], occurrences=hourly("1 2 3 4 5 6 7 8 9 10 11 12"), telling=[told("sync", gaps=(1, 1, 1))]
    )
    assert row(lateness(h), "sync").why == FEW


def test_where_nothing_came_at_all_there_is_no_figure() -> None:
    h = Relations(checks=[check("sync")], occurrences=hourly("M M M"), telling=[told("sync", gaps=(1, 1, 1))])

    got = row(lateness(h), "sync")

    assert got.n == 3 and isnan(got.p50_s) and isnan(got.max_s)
    assert got.why == "3 of 3 never came; n = 3 cannot carry a 95 % interval for p50, p90, p95, p99"


def test_what_success_leaves_out_is_left_out_here_and_n_is_the_same() -> None:
    h = Relations(
        checks=[check("sync"), check("adhoc", None), check("idle")],
        occurrences=hourly("10 ?20 ?M U X P 30 M"),
    )

    frame = lateness(h)

    assert frame.check.tolist() == ["adhoc", "idle", "sync"]
    assert frame.n.tolist() == success(h).n.tolist() == [0, 0, 3]
    assert frame.p50_s.fillna(-1).tolist() == [-1, -1, 30]
    assert frame.why.tolist()[:2] == [
        "no schedule; no two completions to measure a gap",
        "no expected runs in this window; no two completions to measure a gap",
    ]


def test_where_completions_belong_to_no_tick_the_gaps_are_what_is_left() -> None:
    h = Relations(
        checks=[check("sync", "0 * * * *")],
        occurrences=hourly("1800 200 L3500"),
        telling=[told("sync", spread=0.8, cannot_tell=True, gaps=(3600.5, 7000, 9000))],
    )

    got = row(lateness(h), "sync")

    assert (got.n, got.gap_n, got.gap_p50_s, got.gap_p95_s, got.gap_max_s) == (3, 59, 3600.5, 7000, 9000)
    assert isnan(got.p50_s) and isnan(got.p50_lo_s) and isnan(got.max_s)
    assert got.why == "cannot tell: completions come at any time between two ticks (spread 0.80 of the gap)"


def test_tags_pool_the_runs_of_their_checks_but_for_those_that_cannot_be_told() -> None:
    h = Relations(
        checks=[check("a", tags=["x"]), check("b", tags=["x", "y"]), check("c", tags=["x"])],
        occurrences=[*occurrences("a", "1 3 5"), *occurrences("b", "2 M"), *occurrences("c", "100 100")],
        telling=[told("c", spread=0.9, cannot_tell=True)],
    )

    frame = lateness(h, by="tag")

    # x: 1, 2, 3, 5, never
    assert frame[["tag", "checks", "n", "max_s"]].to_numpy().tolist() == [["x", 2, 5, 5], ["y", 1, 2, 2]]
    assert frame.p50_s.fillna(-1).tolist() == [3, -1]
    assert frame.why[0].startswith("cannot tell: 1 of 3 checks left out; 1 of 5 never came; ")


def test_hours_are_those_of_the_checks_own_clock() -> None:
    h = Relations(
        checks=[check("sync", tz="Asia/Kolkata")],
        occurrences=hourly("1 9", first="2026-11-16 23:30") + hourly("3", first="2026-11-17 23:30"),
    )

    frame = lateness(h, by="hour")

    assert frame[["hour", "n", "p50_s"]].to_numpy().tolist() == [[5, 2, 2], [6, 1, 9]]


def test_a_later_week_is_set_beside_the_one_before_with_an_interval_for_the_median() -> None:
    now = " ".join(str(100 + step) for step in range(1, 11))
    then = " ".join(str(step) for step in range(1, 11))
    h = Relations(checks=[check("sync")], occurrences=hourly(now) + hourly(then, first="2026-11-10 00:00"))

    got = row(lateness(h, against_before=True), "sync")

    # ten a side: the ends are the 2nd and the 9th, 3.5 s from either median
    assert (got.n_before, got.p50_before_s, got.p95_before_s) == (10, 5.5, pytest.approx(9.55))
    assert got.p50_change_s == 100
    assert (got.change_lo_s, got.change_hi_s) == (pytest.approx(100 - 3.5 * 2**0.5), pytest.approx(100 + 3.5 * 2**0.5))


def test_a_week_before_that_cannot_be_compared_with_says_why() -> None:
    h = Relations(
        checks=[check("sync"), check("young", first_valid_from=at("2026-11-16"))],
        occurrences=[
            *hourly(twelve()),
            *hourly("1 2 M M", first="2026-11-10 00:00"),
            *occurrences("young", "1 2 3 4 5 6"),
        ],
        telling=[told("sync", gaps=(1, 1, 1)), told("young", gaps=(1, 1, 1))],
    )

    frame = lateness(h, against_before=True)

    got = row(frame, "sync")
    assert got.n_before == 4 and isnan(got.p50_before_s) and isnan(got.change_lo_s)
    assert got.why == f"{FEW}; before: 2 of 4 never came; before: n = 4 cannot carry a 95 % interval for p50"
    assert row(frame, "young").why.endswith("; before: the check began after this window")


@pytest.mark.parametrize("by", ["check", "tag", "source", "hour", "weekday"])
@pytest.mark.parametrize("against_before", [False, True])
def test_the_columns_are_the_declared_ones(by: Any, against_before: bool) -> None:
    for h in (
        Relations(checks=[check("a"), check("b", None)], occurrences=occurrences("a", "10 M X")),
        Relations(checks=[]),
    ):
        frame = lateness(h, by=by, against_before=against_before)

        assert list(frame.columns) == list(columns(by, against_before=against_before))
        assert str(frame.why.dtype) == "str" and str(frame.n.dtype) == "int64"
        assert {str(dtype) for name, dtype in frame.dtypes.items() if str(name).endswith("_s")} == {"float64"}
    assert list(columns()) == list(COLUMNS)


def test_many_checks_at_once_are_each_judged_by_their_own_runs() -> None:
    # chunks of an arrow table, lists of every length: each row against NumPy over its own values
    rng = np.random.default_rng(7)
    fleet = {f"job {number:03}": np.round(rng.lognormal(3, 1, rng.integers(0, 90)), 3) for number in range(60)}
    h = Relations(
        checks=[check(name) for name in fleet],
        occurrences=[
            o for name, values in fleet.items() for o in occurrences(name, " ".join(map(str, values)), every_s=3600)
        ],
    )

    frame = lateness(h).set_index("check")

    for name, values in fleet.items():
        assert frame.n[name] == len(values)
        if len(values):
            wanted = np.quantile(values, [0.5, 0.9, 0.95, 0.99])
            assert frame.loc[name, list(LEVELS)].to_numpy(dtype=float) == pytest.approx(wanted)
            assert frame.max_s[name] == values.max()
