"""What a real Healthchecks server was seen to do, as alerts: the same pings, minute by minute, through the policy engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from policy_clock import promises
from policy_world import MINUTE
from scenarios import Scenario
from scenarios_healthchecks import SCENARIOS

from qpanalytics.instants import instant
from qpanalytics.policy import events
from qpanalytics.policy.changes import Change, IncidentChange, Notice
from qpanalytics.policy.engine import Engine
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings

DAY = 1440 * MINUTE
STORIES = {story.name.partition(" ")[0]: story for story in SCENARIOS}
POLICY = Policy.of(Settings.model_validate({"channel": [{"name": "oncall", "kind": "file"}]}))

#: What is told of each story until a day after its end, worked out from what the server was seen to do: opened, resolved.
#: A comment says where that server alerts otherwise, and why it is wrong.
ALERTS = {
    "S01": "11-02 11:10",
    "S02": "11-02 11:40",
    "S03": "",  # down at 11:00: a ping two seconds before its tick does not count there
    "S04": "",  # likewise a tenth of a second before
    "S05": "11-03 11:00",
    "S06": "",
    "S07": "11-02 10:10, 11-02 10:20",
    "S08": "11-02 10:10",
    "S09": "11-02 10:00",
    "S10": "11-02 10:10, 11-02 10:30, 11-02 11:40",
    "S11": "11-02 11:35",
    "S12": "11-02 11:14",
    "S13": "11-02 10:10",
    "S14": "11-02 10:04",
    "S15": "11-02 10:10, 11-02 10:12, 11-02 11:22",  # not down at 10:10: a second start hides the run that hangs
    "S16": "",
    "S18": "11-02 13:10",
    "S20": "",  # down at 12:10: a start while paused is watched there
    "S21": "11-02 11:10",
    "S23": "03-30 01:00",
    "S24": "10-26 02:00",
    "S25": "10-25 01:00, 10-25 01:10",  # down again at 01:10:01 until the next day: a due time in the past
    "S26": "10-25 02:10",
    "S27": "03-29 01:10",
    "S28": "03-08 07:30",
    "S29": "11-02 07:00",
    "S30": "11-02 06:20",
    "S31": "03-09 06:20",
    "S32": "03-30 01:00",
    "S33": "10-25 02:10",
    "S35": "11-02 11:10, 11-02 12:00, 11-02 13:10",
    "S36": "11-02 10:30",  # down from 10:20: a new period is held against the time before it was set
    "S37": "06-08 00:10",
    "S38": "06-15 00:10",
    "S39": "11-02 11:05",
    "S45": "11-02 10:10",  # down at 11:05: each start hides the one before
    "S46": "10-25 02:15",  # five times down after punctual pings in the repeated hour
}


class Told:
    """An engine that is put away and taken up again at each minute, as `qpa watch --once` does, and what it said."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.states: dict[str, Any] = {}
        self.changes: list[Change] = []
        self.statuses: dict[int, str] = {}
        self.open: dict[int, bool] = {}

    def tick(self, now: int, *told: events.Event) -> None:
        engine = Engine(POLICY, self.states)
        engine.feed(*told, events.Seen("prod", now))
        self.changes += engine.advance(now)
        self.statuses[now] = engine.standing("job").status
        self.open[now] = bool(engine.incidents())
        for key, state in json.loads(json.dumps(engine.changed_states())).items():
            self.states.pop(key, None) if state is None else self.states.update({key: state})


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_each_story_gives_the_alerts_that_the_truth_demands(story: Scenario) -> None:
    told = walked(story)
    steps = [change for change in told.changes if isinstance(change, IncidentChange)]
    assert ", ".join(f"{instant(step.at):%m-%d %H:%M}" for step in steps) == ALERTS[story.name.partition(" ")[0]]
    assert [step.step for step in steps] == ["opened", "resolved", "opened"][: len(steps)]
    sent = [change for change in told.changes if isinstance(change, Notice) and change.event in ("open", "resolve")]
    assert len(sent) == len(steps)
    assert all(0 <= notice.at - step.at < told.every for notice, step in zip(sent, steps, strict=True))
    asked = {check.at: check.status for check in story.checks if check.status is not None}
    assert {at: told.statuses[at] for at in asked} == asked
    assert told.open == {at: status == "down" for at, status in told.statuses.items()}


def walked(story: Scenario) -> Told:
    """The story until a day after its end."""
    first = min(ping.received_at for ping in story.pings)
    asked = {check.at for check in story.checks}
    last = max(asked) + DAY
    told = Told(MINUTE if last - first < 2 * DAY else 10 * MINUTE)  # long ones in longer steps, for time's sake
    known = iter([events.Promised("job", first - MINUTE, promises(story.versions), "prod"), *_told(story)])
    coming = next(known, None)
    for now in sorted({*range(first - MINUTE, last, told.every), *asked}):
        arrived = []
        while coming is not None and coming.at <= now:
            arrived.append(coming)
            coming = next(known, None)
        told.tick(now, *arrived)
    return told


def _told(story: Scenario) -> Iterator[events.Event]:
    pings = [events.Ping("job", p.received_at, p.kind, p.run_id, p.duration_s, None, p.exit_status) for p in story.pings]
    pauses = [what for since, until in story.pauses for what in (events.Paused("job", since), events.Resumed("job", until))]
    yield from sorted([*pings, *pauses], key=lambda event: event.at)
