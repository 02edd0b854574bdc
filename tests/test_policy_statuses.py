"""The policy's clock against the ledger's rules: the stories, the oracle on random histories, and its state as JSON."""

from __future__ import annotations

import json
from typing import Any

import oracle
import policy_clock
import pytest
from examples import examples
from histories import DAY, NUDGES, History, histories, landmarks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import Ping, Version
from scenarios import Scenario
from scenarios_healthchecks import SCENARIOS as SERVER_STORIES
from scenarios_rules import SCENARIOS as RULE_STORIES

from qpanalytics.policy.statuses import Clock

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
Span = tuple[int, int]


def disjoint(pauses: list[Span]) -> list[Span]:
    """A check is paused or not; spans that touch are one."""
    return oracle.merged(pauses)


@pytest.mark.parametrize("story", [*SERVER_STORIES, *RULE_STORIES], ids=str)
def test_the_clock_of_a_check_tells_each_story(story: Scenario) -> None:
    asked = {check.at: check.status for check in story.checks if check.status is not None}
    pauses = disjoint(story.pauses)
    assert policy_clock.walk(story.pings, story.versions, asked, pauses=pauses, vouched=story.vouched) == asked


@settings(SLOW, max_examples=examples(80))
@given(histories(), st.data())
def test_statuses_on_the_way_are_those_of_the_ledger(h: History, data: st.DataObject) -> None:
    pauses = disjoint(h.pauses)
    edges = [*landmarks(h.versions, min([p.received_at for p in h.pings], default=h.as_of), 5 * DAY), h.as_of]
    edges += [p.received_at for p in h.pings] + [at for span in pauses for at in span]
    near = st.builds(int.__add__, st.sampled_from(edges), st.sampled_from(NUDGES))
    asked = {h.as_of, *data.draw(st.lists(near, min_size=3, max_size=6))}
    said = policy_clock.walk(h.pings, h.versions, asked, pauses=pauses, vouched=h.vouched)
    assert said == {at: expected(h, at, pauses) for at in asked}


@settings(SLOW, max_examples=examples(15))
@given(histories())
def test_a_clock_that_is_put_away_as_json_and_taken_up_again_goes_on_the_same(h: History) -> None:
    pauses = disjoint(h.pauses)
    asked = {ping.received_at + 1 for ping in h.pings} | {h.as_of, h.as_of + DAY}
    known: dict[str, Any] = {"pauses": pauses, "vouched": h.vouched}

    def again(clock: Clock) -> Clock:
        return Clock(clock.name, clock.watched, clock.tell, json.loads(json.dumps(clock.said())))

    straight = policy_clock.walk(h.pings, h.versions, asked, **known)
    assert policy_clock.walk(h.pings, h.versions, asked, each=again, **known) == straight


#: The long grace of a promise that ended outlasts the first deadline of the next one.
OUTLASTED = History(
    pings=[Ping(1_792_715_390_000_000)],
    versions=[
        Version(1_792_800_000_000_000, 1_792_843_200_000_000, "30 2 * * *", "Europe/Berlin", 129_600.0),
        Version(1_792_886_400_000_000, None, "30 2 * * *", "Europe/Berlin"),
    ],
    pauses=[],
    vouched=[(1_790_208_000_000_000, 1_796_601_600_000_000)],
    as_of=1_792_931_400_000_000,
)
#: A run that began as its promise ended, in a window that reaches a little further.
AT_THE_END = History(
    pings=[Ping(1_792_796_390_000_000), Ping(1_792_796_420_000_000), Ping(1_792_803_600_000_000, "start")],
    versions=[
        Version(1_792_796_400_000_000, 1_792_803_600_000_000, "every 1 h"),
        Version(1_792_814_400_000_000, None, "every 1 h"),
    ],
    pauses=[],
    vouched=[(1_790_208_000_000_000, 1_795_608_000_000_000)],
    as_of=1_793_016_000_000_000,
)


@pytest.mark.parametrize("h", [OUTLASTED, AT_THE_END])
def test_what_a_promise_that_ended_leaves_behind_is_judged_as_in_the_ledger(h: History) -> None:
    said = policy_clock.walk(h.pings, h.versions, [h.as_of], vouched=h.vouched)
    assert said == {h.as_of: expected(h, h.as_of, [])}


def expected(h: History, at: int, pauses: list[Span]) -> str:
    """What the oracle says at `at`, of what can be known by then."""
    known = [(a, b) for a, b in pauses if a <= at]
    vouched = [(a, min(b, at)) for a, b in h.vouched if a <= at]
    return oracle.status(h.pings, h.versions, at=at, pauses=known, vouched=vouched)


class Troubled:
    """Whether somebody who goes by what a clock tells holds its check for down."""

    def __init__(self) -> None:
        self.down = False

    def __call__(self, what: str, at: int, evidence: dict[str, Any]) -> None:
        if what in ("missed", "late", "failed", "hung", "well"):
            self.down = what != "well"


@settings(SLOW, max_examples=examples(60))
@given(histories())
def test_whoever_hears_what_the_clock_tells_knows_when_the_check_is_down(h: History) -> None:
    pauses = disjoint(h.pauses)
    edges = [*landmarks(h.versions, min([p.received_at for p in h.pings], default=h.as_of), 5 * DAY), h.as_of]
    edges += [p.received_at for p in h.pings] + [at for span in pauses for at in span]
    told, held = Troubled(), {}

    def noted(clock: Clock) -> Clock:
        held[clock.clock] = told.down
        return clock

    said = policy_clock.walk(h.pings, h.versions, edges, pauses=pauses, vouched=h.vouched, tell=told, each=noted)
    first = min((p for p in h.pings if p.kind in ("start", "success", "fail")), key=lambda p: p.received_at, default=None)
    # ticks before the first sign of life are nobody's page, also when that sign is only a start
    assume(first is None or first.kind == "fail" or said[first.received_at] != "down")
    assert {at: held[at] for at, status in said.items() if status != "unknown"} == {
        at: status == "down" for at, status in said.items() if status != "unknown"
    }
