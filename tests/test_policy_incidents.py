"""When incidents open and end, what joins them, and what is not held against anybody."""

from __future__ import annotations

from policy_world import World, nightly, us

from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.policy.changes import IncidentChange
from qpanalytics.policy.events import Closed, Lost, Paused, Ping, Promised, Removed, Resumed, Seen, Unreachable


def test_a_run_that_does_not_come_opens_one_incident_at_its_deadline_and_its_success_resolves_it() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    assert world.until("03:09:59") == []
    assert world.until("03:10") == ["03:10 opened missed a", "03:10 open oncall: a"]
    assert world.until("03:11") == []
    world.pings("03:11:30 a")
    assert world.until("03:12") == ["03:11:30 resolved missed a", "03:12 resolve oncall: a"]
    assert world.engine.incidents() == []


def test_a_ping_at_the_very_deadline_is_in_time() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a, 03:10 a")
    assert world.until("03:10") == []


def test_evidence_tells_whether_a_late_run_began_at_all() -> None:
    world = World(nightly("a"), nightly("b"))
    world.pings("1 03:01 a, 1 03:01 b, 03:01 b start")
    world.until("03:10")
    found = {i.check: (i.kind, i.members[0].evidence["began"]) for i in world.engine.incidents()}
    assert found == {"a": ("missed", False), "b": ("late", True)}


def test_a_late_run_that_then_hangs_is_one_incident() -> None:
    world = World(nightly("a", max_runtime_s=1800.0))
    world.pings("1 03:01 a, 03:01 a start")
    assert world.until("03:30") == ["03:10 opened late a", "03:30 open oncall: a"]
    assert world.until("03:32") == []
    (incident,) = world.engine.incidents()
    assert (incident.kind, incident.members[0].evidence["limit_at"]) == ("hung", us("03:31"))


def test_two_failures_in_a_row_page_at_the_second_and_a_failure_with_its_deadline_is_one() -> None:
    world = World(nightly("a"), policy={"failures_in_a_row": 2})
    world.pings("1 03:01 a, 03:02 a fail")
    assert world.until("03:20") == []
    assert world.until("3 03:20") == ["3 03:10 opened missed a", "3 03:20 open oncall: a"]
    assert world.changes[0].incident is not None
    assert world.changes[0].incident.members[0].evidence["n"] == 2


def test_too_many_of_the_last_runs_open_an_incident_although_never_two_are_in_a_row() -> None:
    world = World(nightly("a", "0 * * * *"), policy={"failures_in_a_row": 2, "often": 3, "often_of": 10})
    world.pings(", ".join(f"{hour:02}:01 a" for hour in range(0, 12, 2)))
    assert world.until("04:30") == []
    assert world.until("05:30")[0] == "05:10 opened often a"
    world.pings(", ".join(f"{hour:02}:01 a" for hour in range(12, 23)))
    assert "resolved often a" in " ".join(world.until("22:30"))


def test_nothing_is_missed_that_nobody_could_see() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:00")
    assert world.until("05:00", blind=True) == []
    world.feed(Seen("prod", us("06:00"), us("05:30")))  # what came between 03:00 and 05:30 nobody knows
    assert world.until("06:00", blind=True) == []
    assert world.engine.standing("a").status == "up"


def test_what_came_while_the_source_was_away_is_judged_in_its_own_time() -> None:
    world = World(nightly("a"), nightly("b"))
    world.pings("1 03:01 a, 1 03:01 b")
    world.until("03:00")
    assert world.until("03:20", blind=True) == []
    world.pings("03:02 a")
    assert world.until("03:21") == ["03:10 opened missed b", "03:21 open oncall: b"]


def test_a_source_out_of_reach_is_one_incident_and_its_checks_are_unknown() -> None:
    world = World(*(nightly(f"job-{n}") for n in range(50)))
    world.pings(", ".join(f"1 03:01 job-{n}" for n in range(50)))
    world.until("03:00")
    world.feed(Unreachable("prod", us("03:01"), "refused"))
    assert world.until("03:05", blind=True) == []
    world.feed(Unreachable("prod", us("03:06"), "refused"))
    assert world.until("03:06", blind=True) == ["03:06 opened unreachable prod", "03:06 open oncall: prod"]
    assert world.until("03:30", blind=True) == []
    assert world.engine.standing("job-7").status == "unknown"
    world.pings(", ".join(f"03:05 job-{n}" for n in range(50)))
    assert world.until("03:31") == ["03:31 resolved unreachable prod", "03:31 resolve oncall: prod"]
    assert world.engine.standing("job-7").status == "up"


def test_pings_that_are_proven_lost_make_their_deadline_unknown_and_are_told() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.feed(Lost("a", us("02:00"), us("03:30"), 3))
    assert world.until("03:40") == ["03:30 opened lost prod", "03:40 open oncall: prod"]


def test_a_check_in_maintenance_is_excused_and_a_failure_in_it_is_told_when_it_ends() -> None:
    table = {"from": "2026-11-02T02:00:00Z", "until": "2026-11-02T04:00:00Z"}
    world = World(nightly("a"), nightly("b"), maintenance=[table])
    world.pings("1 03:01 a, 1 03:01 b, 03:02 b fail")
    assert world.until("03:59") == []
    assert world.until("04:01") == ["04:00 opened failed b", "04:01 open oncall: b"]


def test_a_pause_ends_the_incident_and_nothing_is_missed_in_it() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:10")
    world.feed(Paused("a", us("03:20")))
    assert world.until("03:20") == ["03:20 resolved missed a (paused)", "03:20 resolve oncall: a"]
    world.feed(Resumed("a", us("4 12:00")))
    assert world.until("4 12:00") == []
    assert world.until("5 03:10") == ["5 03:10 opened missed a", "5 03:10 open oncall: a"]


def test_a_check_that_is_deleted_while_it_is_down_takes_its_incident_with_it() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:10")
    world.feed(Removed("a", us("03:20")))
    assert world.until("03:20") == ["03:20 resolved missed a (removed)", "03:20 resolve oncall: a"]
    world.again()
    assert (list(world.engine.checks()), world.until("5 00:00")) == ([], [])


def test_a_schedule_edited_while_the_check_is_down_waits_for_the_next_success() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:10")
    before = Version(us("1 00:00"), us("03:30"), "0 3 * * *", "UTC", 600.0)
    after = Version(us("03:30"), FOREVER_US, "0 5 * * *", "UTC", 600.0)
    world.feed(Promised("a", us("03:30"), (before, after), "prod"))
    assert world.until("04:00") == []
    assert world.engine.standing("a").status == "down"
    world.pings("05:01 a")
    assert world.until("05:02") == ["05:01 resolved missed a", "05:02 resolve oncall: a"]


def test_only_the_first_broken_link_pages_and_what_stays_broken_pages_when_that_is_well() -> None:
    world = World(nightly("load", after="extract"), nightly("extract"), nightly("report", "0 4 * * *", after="load"))
    world.pings("1 03:01 load, 1 03:01 extract, 1 04:01 report")
    said = world.until("04:10")
    assert [line for line in said if "open oncall" in line] == ["04:10 open oncall: extract, load, report"]
    assert [line for line in said if "joined" in line] == ["03:10 joined missed load", "04:10 joined missed report"]
    world.pings("04:20 extract, 04:21 report")
    world.until("04:30")
    world.pings("3 03:01 extract")
    assert world.until("3 03:11")[-1] == "3 03:11 open oncall: load"


def test_checks_that_wait_for_one_another_in_a_circle_are_told_like_any() -> None:
    world = World(nightly("a", after="b"), nightly("b", after="a"))
    world.pings("1 03:01 a, 1 03:01 b")
    assert len([line for line in world.until("03:10") if "open oncall" in line]) == 2


def test_five_thousand_checks_of_one_source_in_the_same_minute_are_one_incident() -> None:
    world = World(*(nightly(f"job-{n:04}") for n in range(5000)))
    world.feed(*(Ping(f"job-{n:04}", us("1 03:01")) for n in range(5000)))
    said = world.until("03:10")
    assert len(said) == 2 and said[1].startswith("03:10 open oncall: job-0000, job-0001")
    (incident,) = world.engine.incidents()
    assert (len(incident.members), incident.cause) == (5000, "down|source:prod")
    world.feed(*(Ping(f"job-{n:04}", us("03:12") + n) for n in range(5000)))
    assert world.until("03:13")[-2].startswith("03:12 resolved missed job-")
    left = [change.incident for change in world.changes if isinstance(change, IncidentChange) and change.step == "left"]
    assert len(left) == 5000 and all(incident is left[0] for incident in left)  # 5,000 pictures of 5,000 would fill the memory


def test_the_narrowest_cause_that_many_share_names_the_incident_and_others_stay_apart() -> None:
    tagged = [nightly(f"db-{n}", tags=["db"]) for n in range(3)]
    world = World(*tagged, nightly("web", source="edge"))
    world.pings("1 03:01 db-0, 1 03:01 db-1, 1 03:01 db-2, 1 03:01 web")
    world.feed(Seen("edge", us("03:10"), us("1 00:00")))
    world.until("03:10")
    assert sorted((i.cause, len(i.members)) for i in world.engine.incidents()) == [("", 1), ("down|tag:db", 3)]


def test_the_third_within_minutes_joins_the_first_and_one_an_hour_later_does_not() -> None:
    world = World(*(nightly(n, f"{m} 3 * * *") for n, m in (("a", 0), ("b", 2), ("c", 4), ("d", 59))))
    world.pings("1 03:01 a, 1 03:03 b, 1 03:05 c, 1 03:59 d")
    said = [line for at in ("03:10", "03:12", "03:14", "03:19", "04:09") for line in world.until(at) if "res" not in line]
    assert said == [
        "03:10 opened missed a", "03:10 open oncall: a", "03:12 opened missed b", "03:12 open oncall: b",
        "03:14 joined missed c", "03:14 remind oncall: a, c", "04:09 opened missed d", "04:09 open oncall: d",
    ]  # fmt: skip


def test_a_check_that_flaps_is_held_open_until_it_was_well_for_ten_minutes() -> None:
    world = World(nightly("a"))
    world.pings(", ".join(f"03:0{m} a {'fail' if m % 2 else 'success'}" for m in range(1, 9)))
    said = world.until("03:09")
    # no page for the deadline; three times it failed and came back, the fourth time it is not believed at once
    assert [line.split(" ", 1)[1] for line in said if "opened" in line] == ["opened failed a"] * 3
    assert len(world.engine.incidents()) == 1
    assert world.until("03:20")[0] == "03:20 resolved failed a"


def test_a_clock_that_goes_back_and_a_ping_older_than_what_was_judged_are_safe() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:10")
    assert world.until("02:10") == []
    world.pings("03:05 a")  # it had come in time, and is heard of only now
    assert world.until("03:15")[0] == "03:10 resolved missed a"
    assert world.engine.standing("a").status == "up"


def test_an_incident_closed_by_hand_opens_again_when_the_next_run_is_missed() -> None:
    world = World(nightly("a"))
    world.pings("1 03:01 a")
    world.until("03:10")
    world.feed(Closed(world.incident(), us("03:30"), "ann"))
    assert world.until("03:30") == ["03:30 resolved missed a (closed)", "03:30 resolve oncall: a"]
    assert world.until("3 03:10") == ["3 03:10 opened missed a", "3 03:10 open oncall: a"]


def test_a_check_that_never_reported_is_new_and_pages_nobody() -> None:
    world = World(nightly("a"))
    assert world.until("3 12:00") == []
    assert world.engine.standing("a").status == "new"
