"""The oracle itself: it tells every story as worked out by hand, and holds to what no derivation may break."""

from __future__ import annotations

from collections import Counter

import oracle
import pytest
import scenarios_healthchecks
import scenarios_rules
from histories import DAY, History, histories
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import Result
from scenarios import Scenario, verify

STORIES = scenarios_healthchecks.SCENARIOS + scenarios_rules.SCENARIOS
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_oracle_tells(story: Scenario) -> None:
    verify(story, derive=oracle.derive, status=oracle.status, downs=oracle.downs)


def test_every_story_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(map(str, STORIES)).items() if times > 1] == []


def result_of(history: History, as_of: int | None = None) -> Result:
    return oracle.derive(
        history.pings,
        history.versions,
        as_of=history.as_of if as_of is None else as_of,
        pauses=history.pauses,
        vouched=history.vouched,
    )


@few
@given(histories())
def test_every_start_and_finish_is_in_exactly_one_run(history: History) -> None:
    seen = [ping for ping in history.pings if ping.received_at <= history.as_of]
    runs = result_of(history).runs
    assert Counter(run.started_at for run in runs if run.started_at is not None) == Counter(
        ping.received_at for ping in seen if ping.kind == "start"
    )
    assert Counter((run.completed_at, run.result) for run in runs if run.completed_at is not None) == Counter(
        (ping.received_at, ping.kind) for ping in seen if ping.kind in ("success", "fail")
    )


@few
@given(histories(), st.integers(0, 20 * DAY))
def test_what_was_expected_once_stays_expected(history: History, later: int) -> None:
    now = Counter(occurrence.expected_at for occurrence in result_of(history).occurrences)
    then = Counter(occurrence.expected_at for occurrence in result_of(history, history.as_of + later).occurrences)
    assert now <= then


@few
@given(histories())
def test_the_successes_that_are_expected_at_some_time_are_those_that_occurrences_count(history: History) -> None:
    assume(not any(version.schedule.startswith("every") for version in history.versions))
    result = result_of(history)
    placed = [run for run in result.runs if run.expected_at is not None]
    kept = [o for o in result.occurrences if o.lateness_s is not None]
    assert sum(1 + o.extra for o in kept) == sum(run.result == "success" for run in placed)
    assert sum(o.failures for o in result.occurrences) == sum(run.result == "fail" for run in placed)


@few
@given(histories())
def test_a_later_ping_changes_nothing_that_is_seen_now(history: History) -> None:
    assume(any(ping.received_at <= history.as_of for ping in history.pings))
    seen = [ping for ping in history.pings if ping.received_at <= history.as_of]
    cut = History(seen, history.versions, history.pauses, history.vouched, history.as_of)
    assert result_of(cut) == result_of(history)


@few
@given(histories())
def test_a_file_in_another_order_says_the_same(history: History) -> None:
    assume(len({(ping.received_at, ping.n) for ping in history.pings}) == len(history.pings))
    turned = History(history.pings[::-1], history.versions, history.pauses, history.vouched, history.as_of)
    assert result_of(turned) == result_of(history)


@settings(few, max_examples=25)
@given(histories(), st.data())
def test_down_times_say_at_any_instant_what_the_status_says(history: History, data: st.DataObject) -> None:
    known = {"pauses": history.pauses, "vouched": history.vouched}
    downs = oracle.downs(history.pings, history.versions, as_of=history.as_of, **known)
    edges = [edge for span in downs for edge in span if edge is not None] or [history.as_of]
    for _ in range(5):
        at = data.draw(
            st.one_of(
                st.sampled_from(edges).flatmap(lambda edge: st.integers(edge - 2, edge + 2)),
                st.integers(history.as_of - 3 * DAY, history.as_of),
            )
        )
        if at <= history.as_of and not any(at == end for _, end in history.vouched):
            said = oracle.status(history.pings, history.versions, at=at, **known)
            assert (said == "down") == any(since <= at and (until is None or at < until) for since, until in downs)
