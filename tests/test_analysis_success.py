"""How reliably expected runs happened: what is counted, what is left out, and what is said where there is no figure."""

from __future__ import annotations

from collections import Counter
from math import isnan
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relations import Relations, at, check, down, occurrences, span, told

from qpanalytics.analysis.success import COLUMNS, columns, success
from qpanalytics.errors import UsageError

DAY = 86400


def row(frame: pd.DataFrame, name: str) -> Any:
    (found,) = frame[frame.check == name].itertuples()
    return found


def test_late_is_success_and_missed_failed_and_hung_are_not() -> None:
    h = Relations(checks=[check("backup")], occurrences=occurrences("backup", "10 -3 L900 M F H X"))

    got = row(success(h), "backup")

    assert (got.n, got.on_time, got.late, got.missed, got.failed, got.hung, got.excused) == (6, 2, 1, 1, 1, 1, 1)
    assert got.rate == 3 / 6
    assert got.on_time_rate == 2 / 6
    # Wilson: (3 + 1.9207) / 9.8415 -+ 1.96 / 9.8415 * sqrt(3 * 3 / 6 + 0.9604)
    assert (got.rate_lo, got.rate_hi) == (pytest.approx(0.1876, abs=1e-4), pytest.approx(0.8124, abs=1e-4))
    assert got.why == ""


def test_a_run_seen_where_others_may_have_been_overlooked_is_not_counted() -> None:
    h = Relations(checks=[check("backup")], occurrences=occurrences("backup", "10 ?10 ?M M U"))

    got = row(success(h), "backup")

    assert (got.n, got.on_time, got.missed, got.unknown) == (2, 1, 1, 1)
    assert got.rate == 1 / 2


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        ("", "no expected runs in this window"),
        ("X X", "no run to count: 2 excused"),
        ("P", "no run to count: 1 still pending"),
        ("X P U ?10", "no run to count: 1 excused, 1 still pending, 2 not observed"),
        ("U U ?M", "nothing was observed"),
    ],
)
def test_a_check_with_nothing_to_count_has_no_rate_and_a_reason(outcomes: str, why: str) -> None:
    h = Relations(checks=[check("backup")], occurrences=occurrences("backup", outcomes))

    got = row(success(h), "backup")

    assert got.n == 0
    assert all(isnan(figure) for figure in (got.rate, got.rate_lo, got.rate_hi, got.on_time_rate))
    assert got.why == why


def test_a_check_without_a_schedule_and_one_that_began_later_and_one_unseen_say_so() -> None:
    h = Relations(
        checks=[check("adhoc", None), check("new", first_valid_from=at("2026-11-24")), check("dark", "every 15 min")],
        vouched=[span("adhoc", "2026-01-01", "2026-11-23")],
    )

    frame = success(h).set_index("check")

    assert list(frame.index) == ["adhoc", "dark", "new"]
    assert list(frame.why) == ["no schedule", "nothing was observed", "the check began after this window"]
    assert list(frame.coverage.fillna(-1)) == [1, 0, -1]
    # nobody looked: that is not the same as never down
    assert frame.downs.isna().tolist() == [False, True, True]
    assert frame.down_s.isna().tolist() == [False, True, True]


def test_where_completions_belong_to_no_tick_there_are_counts_and_no_rate() -> None:
    h = Relations(
        checks=[check("scrape", "0 * * * *")],
        occurrences=occurrences("scrape", "1900 M L3500", every_s=3600),
        downs=[down("scrape", "2026-11-16 04:00", "2026-11-16 05:00")],
        telling=[told("scrape", spread=0.7437, cannot_tell=True)],
    )

    got = row(success(h), "scrape")

    assert (got.n, got.on_time, got.late, got.missed) == (3, 1, 1, 1)
    assert all(isnan(figure) for figure in (got.rate, got.rate_lo, got.rate_hi, got.on_time_rate, got.down_s))
    assert got.downs is pd.NA
    assert got.why == "cannot tell: completions come at any time between two ticks (spread 0.74 of the gap)"


def test_down_time_is_clipped_to_the_window_and_to_now() -> None:
    spans = [
        down("a", "2026-11-15 12:00", "2026-11-16 01:00"),  # an hour of it within the week
        down("a", "2026-11-18 03:15", "2026-11-18 03:25"),
        down("a", "2026-11-20 06:00", None, "hung"),  # still, at 09:30
        down("b", "2026-11-01", "2026-11-16"),  # over as the week begins
        down("c", "2026-11-20 09:30", None),  # this very moment
    ]
    h = Relations(checks=[check("a"), check("b"), check("c")], downs=spans, as_of="2026-11-20 09:30")

    frame = success(h)

    assert frame.downs.tolist() == [3, 0, 1]
    assert frame.down_s.tolist() == [3600 + 600 + 3.5 * 3600, 0, 0]


def test_down_for_two_reasons_in_turn_or_at_once_is_down_once() -> None:
    spans = [
        down("a", "2026-11-18 03:00", "2026-11-18 04:00", "missed"),
        down("a", "2026-11-18 04:00", "2026-11-18 05:00", "failed"),
        down("a", "2026-11-18 03:30", "2026-11-18 04:30", "hung"),
        down("a", "2026-11-18 06:00", "2026-11-18 06:10"),
    ]

    got = row(success(Relations(checks=[check("a")], downs=spans)), "a")

    assert (got.downs, got.down_s) == (2, 2 * 3600 + 600)


def test_coverage_is_the_vouched_share_since_the_check_began() -> None:
    h = Relations(
        checks=[check("half"), check("young", first_valid_from=None, first_ping_at=at("2026-11-19")), check("whole")],
        vouched=[
            span("half", "2026-11-01", "2026-11-18"),  # two of seven days
            span("half", "2026-11-20", "2026-11-21 12:00"),  # a day and a half
            span("young", "2026-11-20", "2026-11-23"),  # three of four
            span("whole", "2026-01-01", "2026-12-01"),
        ],
    )

    assert success(h).set_index("check").coverage.to_dict() == {"half": 3.5 / 7, "whole": 1, "young": 0.75}


def test_tags_and_sources_sum_over_checks_and_leave_out_those_that_cannot_be_told() -> None:
    h = Relations(
        checks=[
            check("a", tags=["db", "nightly"]),
            check("b", tags=["db"], source="other"),
            check("c", tags=["db"]),
            check("d"),
        ],
        occurrences=[
            *occurrences("a", "10 10 M"),
            *occurrences("b", "10 L900 F F"),
            *occurrences("c", "M M M M M"),
            *occurrences("d", "X"),
        ],
        downs=[
            down("a", "2026-11-18 03:00", "2026-11-18 04:00"),
            down("b", "2026-11-18 03:00", "2026-11-18 03:30"),
            down("c", "2026-11-18", None),
        ],
        telling=[told("c", spread=0.8, cannot_tell=True)],
    )

    tags = success(h, by="tag")

    assert tags.tag.tolist() == ["", "db", "nightly"]
    assert tags.checks.tolist() == [1, 2, 1]
    assert tags.n.tolist() == [0, 7, 3]
    assert tags.rate.fillna(-1).tolist() == [-1, 4 / 7, 2 / 3]
    assert tags.on_time_rate.fillna(-1).tolist() == [-1, 3 / 7, 2 / 3]
    assert tags.downs.tolist() == [0, 2, 1]
    assert tags.down_s.tolist() == [0, 5400, 3600]
    assert tags.coverage.tolist() == [1, 1, 1]
    assert tags.why.tolist() == [
        "no expected runs were counted",
        "cannot tell: 1 of 3 checks left out",
        "",
    ]
    sources = success(h, by="source")
    assert sources.source.tolist() == ["jobs", "other"]
    assert sources.n.tolist() == [3, 4]
    assert sources.why.tolist() == ["cannot tell: 1 of 3 checks left out", ""]


def test_hours_and_weekdays_are_those_of_the_checks_own_clock() -> None:
    # Berlin has 02:30 twice on Sunday 25 Oct 2026; 23:30 UTC is 05:00 on Monday in Kolkata
    h = Relations(
        since="2026-10-25",
        until="2026-10-27",
        checks=[check("berlin", tz="Europe/Berlin"), check("kolkata", tz="Asia/Kolkata"), check("idle")],
        occurrences=[
            *occurrences("berlin", "5 M", first="2026-10-25 00:30", every_s=3600),
            *occurrences("berlin", "5", first="2026-10-25 02:30"),
            *occurrences("kolkata", "5", first="2026-10-25 23:30"),
        ],
    )

    hours = success(h, by="hour")
    assert hours[["check", "hour", "n", "on_time", "missed"]].to_numpy().tolist() == [
        ["berlin", 2, 2, 1, 1],
        ["berlin", 3, 1, 1, 0],
        ["kolkata", 5, 1, 1, 0],
    ]
    assert hours.rate.tolist() == [0.5, 1, 1]
    weekdays = success(h, by="weekday")
    assert weekdays[["check", "weekday", "n"]].to_numpy().tolist() == [["berlin", 7, 3], ["kolkata", 1, 1]]


def test_the_window_before_is_set_beside_this_one_with_an_interval_for_the_change() -> None:
    h = Relations(
        checks=[check("a"), check("young", first_valid_from=at("2026-11-16"))],
        occurrences=[
            *occurrences("a", "10 10 10 10 10 10 M"),
            *occurrences("a", "M L900 M M M M 10", first="2026-11-09 03:00"),
            *occurrences("a", "M", first="2026-11-08 03:00"),  # two windows ago
            *occurrences("young", "10"),
        ],
        downs=[down("a", "2026-11-15 23:00", "2026-11-16 02:00")],
    )

    frame = success(h, against_before=True)
    got = row(frame, "a")

    assert (got.n_before, got.rate_before, got.on_time_rate_before, got.missed_before) == (7, 2 / 7, 1 / 7, 5)
    assert (got.down_s, got.down_s_before) == (7200, 3600)
    assert got.rate_change == pytest.approx(4 / 7)
    # 6 of 7 against 2 of 7 is an example in Newcombe (1998): 0.0582 to 0.8062
    assert (got.change_lo, got.change_hi) == (pytest.approx(0.0582, abs=1e-4), pytest.approx(0.8062, abs=1e-4))
    young = row(frame, "young")
    assert young.n_before == 0 and isnan(young.rate_before) and isnan(young.rate_change)
    assert young.why == "before: the check began after this window"


def test_an_hour_that_the_window_before_did_not_have_has_nothing_to_compare_with() -> None:
    h = Relations(
        checks=[check("a")],
        occurrences=occurrences("a", "10") + occurrences("a", "10", first="2026-11-09 04:00"),
    )

    got = row(success(h, by="hour", against_before=True), "a")

    assert (got.hour, got.n, got.n_before, got.missed_before) == (3, 1, 0, 0)
    assert isnan(got.rate_before)
    assert got.why == "before: no expected runs in this window"


@pytest.mark.parametrize("by", ["check", "tag", "source", "hour", "weekday"])
@pytest.mark.parametrize("against_before", [False, True])
def test_the_columns_are_the_declared_ones(by: Any, against_before: bool) -> None:
    for h in (
        Relations(checks=[check("a"), check("b", None)], occurrences=occurrences("a", "10 M X")),
        Relations(checks=[]),
    ):
        frame = success(h, by=by, against_before=against_before)

        assert list(frame.columns) == list(columns(by, against_before=against_before))
        assert str(frame.why.dtype) == "str" and frame.why.notna().all()
        assert {str(frame[name].dtype) for name in ("n", "on_time", "excused")} == {"int64"}
    assert list(columns()) == list(COLUMNS)


def test_a_grouping_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match='cannot group by "month"; take one of check, tag, source, hour, weekday'):
        success(Relations(checks=[]), by="month")


WORDS = ["10", "L900", "M", "F", "H", "X", "U", "P", "?10", "?M"]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=7), min_size=1, max_size=4))
def test_counts_are_those_of_counting_by_hand(fleet: list[list[str]]) -> None:
    names = [f"job {number}" for number in range(len(fleet))]
    h = Relations(
        checks=[check(name, tags=["t"]) for name in names],
        occurrences=[o for name, words in zip(names, fleet, strict=True) for o in occurrences(name, " ".join(words))],
    )

    frame = success(h)

    for name, words in zip(names, fleet, strict=True):
        got, seen = row(frame, name), Counter(words)
        assert (got.on_time, got.late, got.missed) == (seen["10"], seen["L900"], seen["M"])
        assert (got.failed, got.hung, got.excused, got.unknown) == (seen["F"], seen["H"], seen["X"], seen["U"])
        assert got.n == sum(seen[word] for word in ("10", "L900", "M", "F", "H"))
        if got.n:
            assert got.rate == (seen["10"] + seen["L900"]) / got.n
    for by in ("tag", "source", "hour", "weekday"):
        parts = success(h, by=by)
        for column in ("n", "on_time", "late", "missed", "failed", "hung", "excused", "unknown"):
            assert parts[column].sum() == frame[column].sum()


HOURS = st.integers(0, 7 * 24)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(HOURS, st.none() | HOURS), max_size=6))
def test_down_time_is_that_of_looking_every_hour(spans: list[tuple[int, int | None]]) -> None:
    def when(hour: int) -> str:
        return f"2026-11-{14 + hour // 24} {hour % 24:02}:00"  # from two days before the week

    kept = [(begin, end) for begin, end in spans if end is None or begin < end]
    h = Relations(
        checks=[check("a")],
        as_of="2026-11-20 12:00",
        downs=[down("a", when(begin), when(end) if end is not None else None) for begin, end in kept],
    )

    got = row(success(h), "a")

    now = (20 - 14) * 24 + 12
    dark = [any(b <= hour and (e is None or hour < e) for b, e in kept) for hour in range(now)]
    week = dark[2 * 24 :]
    assert got.down_s == 3600 * sum(week)
    begun = sum(here and not earlier for here, earlier in zip(week, [False, *week], strict=False))
    at_now = any(b == now and (e is None or e > now) for b, e in kept) and not dark[-1]
    assert got.downs == begun + at_now
