"""How much of a window was observed, and where the holes are."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relations import Relations, at, check, span

from qpanalytics.analysis.coverage import COLUMNS, GAP_COLUMNS, SOURCE_COLUMNS, coverage, gaps
from qpanalytics.analysis.durations import durations
from qpanalytics.analysis.success import success
from qpanalytics.errors import UsageError


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def test_holes_are_named_by_where_they_lie() -> None:
    h = Relations(
        checks=[check("backup")],
        vouched=[span("backup", "2026-11-17", "2026-11-18"), span("backup", "2026-11-19", "2026-11-20 12:00")],
    )

    (got,) = coverage(h).itertuples()
    assert got.coverage == 2.5 / 7
    assert (got.since_at, got.until_at) == (utc("2026-11-16"), utc("2026-11-23"))
    assert got.why == (
        "not seen: before its first data, between two files or fetches, after its last data; "
        "this source does not number its pings"
    )
    holes = gaps(h)
    assert list(zip(holes.since_at, holes.until_at, holes.why, strict=True)) == [
        (utc("2026-11-16"), utc("2026-11-17"), "before its first data"),
        (utc("2026-11-18"), utc("2026-11-19"), "between two files or fetches"),
        (utc("2026-11-20 12:00"), utc("2026-11-23"), "after its last data"),
    ]


def test_a_hole_that_reaches_beyond_the_window_is_cut_to_it() -> None:
    h = Relations(
        checks=[check("backup")],
        vouched=[span("backup", "2026-11-01", "2026-11-10"), span("backup", "2026-11-30", "2026-12-01")],
        as_of="2026-12-01",
    )

    holes = gaps(h)

    assert holes[["since_at", "until_at"]].to_numpy().tolist() == [[utc("2026-11-16"), utc("2026-11-23")]]
    assert holes.why.tolist() == ["between two files or fetches"]
    assert coverage(h).coverage.tolist() == [0]


def test_the_window_of_a_check_begins_with_it_and_ends_now() -> None:
    h = Relations(
        checks=[
            check("by file", first_valid_from=at("2026-11-18")),
            check("by ping", first_valid_from=None, first_ping_at=at("2026-11-19 06:00")),
            check("coming", first_valid_from=at("2026-11-22")),
            check("never pinged", first_valid_from=None),
        ],
        as_of="2026-11-20",
        vouched=[span("by file", "2026-11-18", "2026-11-20"), span("by ping", "2026-11-19 06:00", "2026-11-20")],
    )

    frame = coverage(h).set_index("check")

    assert frame.since_at.tolist()[:2] == [utc("2026-11-18"), utc("2026-11-19 06:00")]
    assert frame.until_at.tolist()[:2] == [utc("2026-11-20")] * 2
    assert frame.coverage.tolist()[:2] == [1, 1]
    assert frame.since_at.isna()["coming"] and frame.until_at.isna()["coming"] and pd.isna(frame.coverage["coming"])
    assert frame.why["coming"].startswith("the check began after this window; ")
    assert frame.coverage["never pinged"] == 0
    assert frame.why["never pinged"].startswith("not seen: no data of this check; ")


def test_a_window_that_is_still_to_come_says_so() -> None:
    h = Relations(checks=[check("backup")], as_of="2026-11-15")

    frame = coverage(h)

    assert frame.coverage.isna().all() and frame.since_at.isna().all()
    assert frame.why.str.startswith("the window begins after as_of; ").all()
    assert success(h).why.tolist() == durations(h).why.tolist() == ["the window begins after as_of"]


def test_what_a_source_numbers_can_be_missed_and_counted() -> None:
    h = Relations(
        checks=[check("counted"), check("whole"), check("filed")],
        lost=[
            {"check_name": "counted", "source": "prod", "lost": 3},
            {"check_name": "whole", "source": "prod", "lost": 0},
            {"check_name": "filed", "source": "jobs", "lost": None},
        ],
    )

    frame = coverage(h).set_index("check")

    assert (frame.lost["counted"], frame.lost["whole"]) == (3, 0)
    assert frame.lost.isna()["filed"]
    assert frame.why.to_dict() == {
        "counted": "3 pings lost: counted by the source, never shown to us",
        "filed": "this source does not number its pings",
        "whole": "",
    }


def test_a_source_is_summed_over_its_checks() -> None:
    h = Relations(
        checks=[check("a", source="prod"), check("b", source="prod"), check("f", source="jobs")],
        vouched=[span("a", "2026-11-16", "2026-11-23"), span("f", "2026-11-16", "2026-11-23")],
        lost=[
            {"check_name": "a", "source": "prod", "lost": 3},
            {"check_name": "b", "source": "prod", "lost": 4},
            {"check_name": "f", "source": "jobs", "lost": None},
        ],
    )

    frame = coverage(h, by="source").set_index("source")

    assert list(frame.columns) == list(SOURCE_COLUMNS)[1:]
    assert frame.coverage.to_dict() == {"jobs": 1.0, "prod": 0.5}
    assert frame.lost["prod"] == 7 and frame.lost.isna()["jobs"]
    assert frame.why["prod"] == "1 of 2 checks not seen whole; 7 pings lost: counted by the source, never shown to us"
    with pytest.raises(UsageError, match="by check or source"):
        coverage(h, by="hour")


def test_the_columns_are_the_declared_ones() -> None:
    for h in (Relations(checks=[check("a")]), Relations(checks=[check("a")], vouched=[]), Relations(checks=[])):
        frame, holes = coverage(h), gaps(h)

        assert list(frame.columns) == list(COLUMNS)
        assert list(holes.columns) == list(GAP_COLUMNS)
        for times in (frame.since_at, frame.until_at, holes.since_at, holes.until_at):
            assert str(times.dtype) == "datetime64[us, UTC]"
        assert str(frame.lost.dtype) == "Int64"


HOURS = st.integers(0, 10 * 24)


@settings(max_examples=25, deadline=None)
@given(st.lists(HOURS, unique=True, max_size=8).map(sorted))
def test_covered_and_uncovered_hours_add_up_to_the_window(edges: list[int]) -> None:
    def when(hour: int) -> str:
        return f"2026-11-{15 + hour // 24} {hour % 24:02}:00"  # from a day before the week to two after

    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    h = Relations(
        checks=[check("a")], as_of="2026-11-30", vouched=[span("a", when(begin), when(end)) for begin, end in pairs]
    )

    seen = [any(begin <= hour < end for begin, end in pairs) for hour in range(24, 8 * 24)]
    (got,) = coverage(h).itertuples()
    holes = gaps(h)
    assert got.coverage == sum(seen) / 168
    assert (holes.until_at - holes.since_at).sum() == pd.Timedelta(hours=168 - sum(seen))
    assert (holes.until_at > holes.since_at).all() and holes.since_at.is_monotonic_increasing
