"""The ledger against its rules: the stories, the oracle on random histories, and a rebuild against what grew bit by bit."""

from __future__ import annotations

import fast
import oracle
import pytest
from examples import examples
from histories import History, histories
from hypothesis import HealthCheck, example, given, settings
from oracle_windows import Version
from scenarios import Scenario, verify
from scenarios_healthchecks import SCENARIOS as SERVER_STORIES
from scenarios_rules import SCENARIOS as RULE_STORIES

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.parametrize("story", [*SERVER_STORIES, *RULE_STORIES], ids=str)
def test_the_ledger_tells_each_story(story: Scenario) -> None:
    verify(story, derive=fast.derive, status=fast.status, downs=fast.downs)


#: The third promise's early margin of two hours reaches over the whole second one, which lasts two hours.
OVERTAKEN = History(
    pings=[],
    versions=[
        Version(1_780_358_400_000_000, None, "0 * * * *"),
        Version(1_780_394_400_000_001, None, "0 * * * *"),
        Version(1_780_401_600_000_000, 1_780_574_400_000_000, "15 8,20 * * 1-5", "America/New_York", early_s=7200.0),
    ],
    pauses=[],
    vouched=[(1_777_766_400_000_000, 1_783_166_400_000_000)],
    as_of=1_780_574_400_000_000,
)
#: Two intervals follow one another; the first of them ends the window before.
SUCCEEDED = History(
    pings=[],
    versions=[
        Version(1_792_800_000_000_000, 1_792_800_000_000_001, "0 * * * *"),
        Version(1_792_800_000_000_001, None, "every 1 h"),
        Version(1_792_800_000_100_000, None, "every 1 h"),
    ],
    pauses=[],
    vouched=[(1_790_208_000_000_000, 1_795_608_000_000_000)],
    as_of=1_793_016_000_000_000,
)


@settings(SLOW, max_examples=examples(120))
@given(histories())
@example(OVERTAKEN)
@example(SUCCEEDED)
def test_the_ledger_agrees_with_the_oracle(h: History) -> None:
    # What is vouched for later than as_of cannot be known then.
    told = {"pauses": h.pauses, "vouched": [(a, min(b, h.as_of)) for a, b in h.vouched if a <= h.as_of]}
    ours = fast.derive(h.pings, h.versions, as_of=h.as_of, **told)
    theirs = oracle.derive(h.pings, h.versions, as_of=h.as_of, **told)
    assert ours.occurrences == theirs.occurrences
    # runs that began at one instant have no order of their own
    assert sorted(ours.runs, key=repr) == sorted(theirs.runs, key=repr)
    assert fast.status(h.pings, h.versions, at=h.as_of, **told) == oracle.status(
        h.pings, h.versions, at=h.as_of, **told
    )
