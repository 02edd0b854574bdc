"""Who is told, when, and what is held back: routes, quiet hours, limits, reminders, escalation, downtime of the watcher."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_world import HOUR, MINUTE, World, nightly, notices, us

from qpanalytics.errors import ConfigError
from qpanalytics.instants import instant
from qpanalytics.policy.events import Acked, Ping, Snoozed
from qpanalytics.policy.routing import end_of, within
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings

KINDS = st.sampled_from(["success", "fail", "start"])
TWO = [{"name": "phone", "kind": "file"}, {"name": "chat", "kind": "file"}]


def down(world: World, *names: str) -> World:
    """Checks that ran on the first and from then on did not."""
    world.pings(", ".join(f"1 03:01 {name}" for name in names))
    return world


def test_severities_go_to_different_channels_and_info_waits_for_the_digest() -> None:
    routes = [{"severity": ["critical"], "to": ["phone"]}, {"to": ["chat"]}]
    world = World(
        nightly("pay", severity="critical"), nightly("sync"), nightly("tidy", severity="info"), channel=TWO, route=routes
    )
    said = down(world, "pay", "sync", "tidy").until("03:10")
    # three of one source at one instant are one incident, which each way is told once
    assert [line for line in said if ": " in line] == ["03:10 open phone: pay, sync, tidy", "03:10 open chat: pay, sync, tidy"]
    alone = World(nightly("tidy", severity="info"), channel=TWO, route=routes)
    assert down(alone, "tidy").until("03:10") == ["03:10 opened missed tidy"]


def test_routes_look_at_tags_checks_sources_and_conditions() -> None:
    routes = [
        {"to": ["phone"], "tags": ["db"], "conditions": ["missed", "hung"]},
        {"to": ["chat"], "checks": ["web-*"], "sources": ["prod"]},
    ]
    world = World(nightly("db-1", tags=["db"]), nightly("web-1", "5 3 * * *"), channel=TWO, route=routes)
    said = down(world, "db-1", "web-1").until("03:15")
    assert [line for line in said if " open " in line] == ["03:15 open phone: db-1", "03:15 open chat: web-1"]


def test_a_route_for_hours_of_the_day_is_only_taken_within_them() -> None:
    routes = [{"to": ["phone"], "between": "22:00-07:00", "tz": "Europe/Berlin"}, {"to": ["chat"], "between": "07:00-22:00"}]
    world = World(nightly("night"), nightly("noon", "0 12 * * *"), channel=TWO, route=routes)
    world.pings("1 03:01 night, 1 12:01 noon")
    assert world.until("03:10")[-1] == "03:10 open phone: night"
    assert world.until("12:10")[-1] == "12:10 open chat: noon"


def test_without_routes_every_channel_is_told_and_a_route_to_nowhere_is_refused() -> None:
    world = World(nightly("a"), channel=TWO)
    assert down(world, "a").until("03:10")[1:] == ["03:10 open phone: a", "03:10 open chat: a"]
    with pytest.raises(ConfigError, match=r'route.1. leads to "phnoe", and there is no such channel; there is "phone", "chat"'):
        Policy.of(Settings.model_validate({"channel": TWO, "route": [{"to": ["phnoe"]}]}))


def test_quiet_hours_hold_back_what_is_not_spared_and_tell_what_lasts_when_they_end() -> None:
    quiet = {"quiet": "22:00-07:00", "group_least": 9}
    world = World(nightly("pay", severity="critical"), nightly("sync"), nightly("tidy"), policy=quiet)
    down(world, "pay", "sync", "tidy")
    assert [line for line in world.until("03:10") if " open " in line] == ["03:10 open oncall: pay"]
    world.pings("03:40 tidy")
    assert world.until("06:59") == ["03:40 resolved missed tidy"]
    assert world.until("07:00") == ["07:00 open oncall: sync", "07:00 summary oncall: tidy"]
    assert [n.why for n in notices(world.changes)] == ["no route: every channel", "quiet hours"]


def test_a_recovery_goes_where_the_alert_went_and_nowhere_else() -> None:
    routes = [{"to": ["phone"], "escalate": {"after": "15 min", "to": ["chat"]}}]
    world = World(nightly("a"), channel=TWO, route=routes)
    down(world, "a").until("03:10")
    world.pings("03:20 a")
    assert world.until("03:20")[1:] == ["03:20 resolve phone: a"]
    assert world.until("04:00") == []


def test_one_step_of_escalation_if_nobody_acknowledges() -> None:
    routes = [{"to": ["phone"], "escalate": {"after": "15 min", "to": ["chat"]}}]
    world = World(nightly("a"), channel=TWO, route=routes)
    down(world, "a").until("03:10")
    assert world.until("03:24:59") == []
    assert world.until("03:25") == ["03:25 escalate chat: a"]
    world.pings("03:30 a")
    assert world.until("03:30")[1:] == ["03:30 resolve phone: a", "03:30 resolve chat: a"]


def test_an_acknowledged_incident_is_neither_escalated_nor_told_again() -> None:
    routes = [{"to": ["phone"], "escalate": {"after": "15 min", "to": ["chat"]}}]
    world = World(nightly("a"), channel=TWO, route=routes)
    down(world, "a").until("03:10")
    world.feed(Acked(world.incident(), us("03:12"), "ann"))
    assert world.until("23:00") == ["03:12 acked missed a"]
    assert world.engine.incidents()[0].acked_by == "ann"


def test_reminders_come_twice_as_late_each_time_up_to_a_day() -> None:
    world = World(nightly("a", "0 3 1 * *"), nightly("b"))
    down(world, "b").until("03:10")
    reminded = []
    for hour in range(4, 24 * 5):
        at = f"{2 + hour // 24} {hour % 24:02}:10"
        reminded += [line.split(" remind")[0] for line in world.until(at) if " remind " in line]
    assert reminded == ["07:10", "15:10", "3 07:10", "4 07:10", "5 07:10", "6 07:10"]


def test_a_snoozed_incident_is_silent_until_then_and_told_again_if_it_lasts() -> None:
    world = World(nightly("a"))
    down(world, "a").until("03:10")
    world.feed(Snoozed(world.incident(), us("03:11"), us("20:00"), "ann"))
    assert world.until("19:59") == ["03:11 snoozed missed a"]
    assert world.until("20:00") == ["20:00 remind oncall: a"]


def test_more_than_the_limit_are_held_back_and_told_in_one_summary() -> None:
    names = [f"job-{n}" for n in range(6)]
    world = World(*(nightly(n) for n in names), policy={"limit": 2, "group_least": 99})
    said = down(world, *names).until("03:10")
    assert [line for line in said if "oncall" in line] == ["03:10 open oncall: job-0", "03:10 open oncall: job-1"]
    world.pings("03:30 job-2")
    assert [line for line in world.until("04:09") if "oncall" in line] == []
    (summary,) = world.until("04:10")
    assert summary == "04:10 summary oncall: job-2, job-3, job-4, job-5"
    world.pings("04:20 job-5")
    assert world.until("04:20")[-1] == "04:20 resolve oncall: job-5"


def test_after_downtime_what_is_over_is_told_in_one_summary_and_what_lasts_is_told_now() -> None:
    names = ["a", "b", "c"]
    world = World(*(nightly(n) for n in names), policy={"group_least": 9})
    down(world, *names).until("03:00")
    world.again()
    world.pings("05:00 a, 05:01 b")
    said = world.until("12:00")
    assert [line for line in said if "opened" in line] == [f"03:10 opened missed {n}" for n in names]
    assert [line for line in said if "oncall" in line] == ["12:00 open oncall: c", "12:00 summary oncall: a, b"]
    assert world.until("16:00") == ["16:00 remind oncall: c"]


def test_two_days_away_bring_one_reminder_and_not_twelve() -> None:
    world = World(nightly("a"))
    down(world, "a").until("03:10")
    world.again()
    assert [line for line in world.until("4 12:00") if "remind" in line] == ["4 12:00 remind oncall: a"]


def test_a_replay_tells_each_thing_at_its_time_however_long_it_is_let_run() -> None:
    world = World(nightly("a"), live=False)
    world.pings("1 03:01 a, 05:00 a, 4 06:00 a")
    assert world.until("4 12:00") == [
        "03:10 opened missed a", "03:10 open oncall: a", "05:00 resolved missed a", "05:00 resolve oncall: a",
        "3 03:10 opened missed a", "3 03:10 open oncall: a", "3 07:10 remind oncall: a", "3 15:10 remind oncall: a",
        "4 06:00 resolved missed a", "4 06:00 resolve oncall: a",
    ]  # fmt: skip


def test_a_notice_has_the_same_key_when_it_is_worked_out_again() -> None:
    def keys() -> list[str]:
        world = World(nightly("a"), nightly("b"))
        down(world, "a", "b").until("03:10")
        return [n.key for n in notices(world.changes)]

    assert keys() == keys() and len(set(keys())) == 2


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 47), st.sampled_from("abc"), KINDS), max_size=12))
def test_an_engine_put_away_at_every_step_says_what_one_that_lives_on_says(steps: list[tuple[int, str, str]]) -> None:
    def told(again: bool) -> list[str]:
        quiet = {"quiet": "01:00-05:00", "limit": 3}
        checks = [
            nightly("a", "0 */2 * * *"), nightly("b", "30 * * * *", after="a"), nightly("c", "15 */3 * * *", max_runtime_s=600),
        ]  # fmt: skip
        world = World(*checks, policy=quiet)
        said = []
        for half in range(48):
            for at, name, kind in steps:
                if at == half:
                    world.feed(Ping(name, us("00:00") + half * HOUR // 2 + 7 * MINUTE, kind))
            said += world.until(f"{half // 2:02}:{half % 2 * 30 + 29}")
            if again:
                world.again()
        return said

    assert told(True) == told(False)


def test_hours_end_on_the_clock_of_their_zone_also_when_clocks_change() -> None:
    night = us("1 00:00") - 7 * 24 * HOUR  # 25 October 2026, when Berlin sets its clocks back at 03:00
    at = night + 30 * MINUTE  # 02:30 there
    assert within("22:00-07:00", "Europe/Berlin", at)
    assert instant(end_of("22:00-07:00", "Europe/Berlin", at)).isoformat() == "2026-10-25T06:00:00+00:00"
    assert not within("22:00-07:00", "Europe/Berlin", end_of("22:00-07:00", "Europe/Berlin", at))
