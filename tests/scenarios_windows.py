"""Stories of windows and runs: which tick a run is meant for, and which start a finish ends (rules 1, 2, 3 and 5)."""

from __future__ import annotations

from oracle import Ping, Version
from scenarios import Scenario, at, scenario, then, ticking

DAY = "2026-11-02"  # a Monday
HOURLY = ticking("0 * * * *", 300, valid_from="2026-11-02 09:30")

WINDOWS: list[Scenario] = [
    scenario(
        "ten seconds early is early enough for an hourly tick, a microsecond more and the run is the tick before's",
        DAY,
        "09:59:50 ok, 10:59:49.999999 ok",
        HOURLY,
        then(
            "11:05",
            "down",
            "10:00 on_time, 11:00 missed",
            facts={
                "10:00": {
                    "window_start_at": "09:59:50",
                    "end_at": "10:59:50",
                    "lateness_s": -10.0,
                    "attempts": 1,
                    "extra": 1,
                },
                "11:00": {
                    "window_start_at": "10:59:50",
                    "end_at": "11:59:50",
                    "lateness_s": None,
                    "attempts": 0,
                    "extra": 0,
                },
            },
            runs=[{"expected_at": "10:00"}, {"expected_at": "10:00"}],
        ),
    ),
    scenario(
        "the early margin of a five-minute schedule is one percent of its gap",
        DAY,
        "09:59:57 ok, 10:04:56.999999 ok",
        ticking("*/5 * * * *", 60, valid_from="2026-11-02 09:58"),
        then(
            "10:06",
            "down",
            "10:00 on_time, 10:05 missed",
            facts={"10:00": {"window_start_at": "09:59:57", "end_at": "10:04:57", "lateness_s": -3.0, "extra": 1}},
        ),
    ),
    scenario(
        "an early margin that was asked for is never more than half the gap",
        DAY,
        "09:30 ok, 10:29:59 ok, 10:30 ok",
        ticking("0 * * * *", 300, early_s=3600.0, valid_from="2026-11-02 09:15"),
        then(
            "10:30",
            "up",
            "10:00 on_time, 11:00 on_time",
            facts={
                "10:00": {"window_start_at": "09:30", "end_at": "10:30", "lateness_s": -1800.0, "extra": 1},
                "11:00": {"window_start_at": "10:30", "end_at": "11:30", "lateness_s": -1800.0, "extra": 0},
            },
        ),
    ),
    scenario(
        "an early margin of nothing leaves a run just before the tick to the tick before",
        DAY,
        "09:59:59.999999 ok",
        ticking("0 * * * *", 300, early_s=0.0, valid_from="2026-11-02 09:00"),
        then(
            "10:05",
            "down",
            "09:00 late, 10:00 missed",
            facts={"10:00": {"window_start_at": "10:00", "end_at": "11:00"}},
        ),
    ),
    scenario(
        "the first window opens before the schedule does, by its early margin",
        DAY,
        "09:59:55 ok",
        ticking("0 * * * *", 300, valid_from="2026-11-02 10:00"),
        then("10:05", "up", "10:00 on_time", facts={"10:00": {"window_start_at": "09:59:50", "lateness_s": -5.0}}),
    ),
    scenario(
        "a first tick without any before it has no early margin, and the last one's window never closes",
        DAY,
        "09:59:59 ok, 2026-12-25 00:00 ok, 2027-11-03 10:00 ok",
        ticking("OnCalendar=2026,2027-11-02 10:00:00", 3600, valid_from="2026-11-01"),
        then(
            "2027-11-03 12:00",
            "up",
            "10:00 late, 2027-11-02 10:00 late",
            facts={
                "10:00": {
                    "window_start_at": "10:00",
                    "end_at": "2027-11-02 09:59:50",
                    "completed_at": "2026-12-25 00:00",
                },
                "2027-11-02 10:00": {"end_at": None, "lateness_s": 86400.0},
            },
            runs=[{"expected_at": None}, {"expected_at": "10:00"}, {"expected_at": "2027-11-02 10:00"}],
        ),
    ),
    scenario(
        "a new schedule takes over where its first window starts",
        "2026-11-04",
        "2026-11-03 03:00:10 ok, 00:30 ok, 00:59:50 ok",
        [
            ticking("0 3 * * *", 600, valid_from="2026-11-03", valid_to="2026-11-04"),
            ticking("0 1 * * *", 600, valid_from="2026-11-04"),
        ],
        then(
            "03:00",
            "up",
            "2026-11-03 03:00 on_time, 01:00 on_time",
            facts={
                "2026-11-03 03:00": {"end_at": "00:59:50", "extra": 1},
                "01:00": {"window_start_at": "00:59:50", "end_at": "2026-11-05 00:59:50", "lateness_s": -10.0},
            },
            runs=[{"expected_at": "2026-11-03 03:00"}, {"expected_at": "2026-11-03 03:00"}, {"expected_at": "01:00"}],
        ),
    ),
    scenario(
        "the last window of an old schedule goes no further than its next tick would have been",
        "2026-11-04",
        "2026-11-03 03:00:10 ok, 02:59:49 ok, 02:59:50 ok",
        [
            ticking("0 3 * * *", 600, valid_from="2026-11-03", valid_to="2026-11-04"),
            ticking("0 12 * * *", 600, valid_from="2026-11-04"),
        ],
        then(
            "11:59:50",
            "up",
            "2026-11-03 03:00 on_time, 12:00 pending",
            facts={"2026-11-03 03:00": {"end_at": "02:59:50", "extra": 1}},
            runs=[{"expected_at": "2026-11-03 03:00"}, {"expected_at": "2026-11-03 03:00"}, {"expected_at": None}],
        ),
    ),
    scenario(
        "an interval schedule takes over at its valid_from",
        DAY,
        "10:00:05 ok, 10:31 ok",
        [
            ticking("0 * * * *", 300, valid_from="2026-11-02 10:00", valid_to="2026-11-02 10:30"),
            Version(at("2026-11-02 10:30"), None, "every 1 h", grace_s=600),
        ],
        # 10:00:05 anchors, though it came under the cron: no tick of the interval lies between it and 10:31, which
        # therefore closes 11:00:05, early.
        then("10:31", "up", "10:00 on_time, 11:00:05 on_time", facts={"10:00": {"end_at": "10:30", "extra": 0}}),
    ),
    scenario(
        "occurrences before a change keep the old grace",
        DAY,
        "09:00:05 ok",
        [
            ticking("0 * * * *", 600, valid_from="2026-11-02 09:00", valid_to="2026-11-02 11:00"),
            ticking("0 * * * *", 3000, valid_from="2026-11-02 11:00"),
        ],
        then(
            "11:30",
            "down",
            "09:00 on_time, 10:00 missed, 11:00 pending",
            facts={"10:00": {"deadline_at": "10:10"}, "11:00": {"deadline_at": "11:50"}},
        ),
    ),
    scenario(
        "a run has the max runtime of the version whose window it lies in, though it began under another",
        DAY,
        "09:59:55 start",
        [
            ticking("0 * * * *", 3600, max_runtime_s=300.0, valid_from="2026-11-02 09:00", valid_to="2026-11-02 10:00"),
            ticking("0 * * * *", 3600, max_runtime_s=1200.0, valid_from="2026-11-02 10:00"),
        ],
        then("10:19:54.999999", runs=[{"expected_at": "10:00", "overran": False}]),
        then("10:19:55", "down", "09:00 missed, 10:00 hung", runs=[{"expected_at": "10:00", "overran": True}]),
    ),
    scenario(
        "two crons that meet at one instant expect one run",
        DAY,
        "06:00:05 ok",
        ticking("0 6 * * * ; 0 */6 * * *", 300, valid_from="2026-11-02 05:00"),
        then("12:00", "grace", "06:00 on_time, 12:00 pending"),
    ),
    scenario(
        "grace that was not given is a fifth of the gap",
        DAY,
        "",
        ticking("0 * * * *", None, valid_from="2026-11-02 10:00"),
        then("10:30", "new", "10:00 missed", facts={"10:00": {"deadline_at": "10:12"}}),
    ),
    scenario(
        "grace that was not given is a minute at least",
        DAY,
        "",
        ticking("*/2 * * * *", None, valid_from="2026-11-02 10:00"),
        then("10:01", "new", "10:00 missed", facts={"10:00": {"deadline_at": "10:01"}}),
    ),
    scenario(
        "grace that was not given is an hour at most",
        DAY,
        "",
        ticking("0 3 * * *", None, valid_from="2026-11-02"),
        then("03:59:59", "new", "03:00 pending", facts={"03:00": {"deadline_at": "04:00"}}),
    ),
    scenario(
        "without a ping a schedule without a beginning expects nothing",
        DAY,
        "",
        ticking("0 * * * *", 300),
        then("12:00", "new", ""),
    ),
]

RUNS: list[Scenario] = [
    scenario(
        "a finish abandons all earlier starts of its lane, and max runtime counts from the first of them",
        DAY,
        "10:00 start, 10:02 start, 10:04 start X, 10:04 start, 10:06 ok",
        ticking("0 * * * *", 1800, max_runtime_s=300.0, valid_from="2026-11-02 09:30"),
        then(
            "10:07",
            "started",
            "10:00 on_time",
            facts={"10:00": {"started_at": "10:04", "duration_s": 120.0, "start_delay_s": 240.0, "lateness_s": 360.0}},
            runs=[
                {"started_at": "10:00", "result": "abandoned", "overran": True, "expected_at": "10:00"},
                {"started_at": "10:02", "result": "abandoned", "overran": False, "expected_at": "10:00"},
                {"started_at": "10:04", "result": "open", "run_id": "X", "overran": False},
                {"started_at": "10:04", "result": "success", "run_id": None, "duration_s": 120.0, "overran": True},
            ],
        ),
    ),
    scenario(
        "a finish without an id leaves older runs with ids alone",
        DAY,
        "10:00 start A, 10:01 start B, 10:02 ok B, 10:03 ok",
        HOURLY,
        then(
            "10:04",
            "started",
            "10:00 on_time",
            facts={"10:00": {"completed_at": "10:02", "extra": 1}},
            runs=[
                {"run_id": "A", "result": "open"},
                {"run_id": "B", "result": "success"},
                {"run_id": None, "started_at": None, "completed_at": "10:03", "duration_s": None},
            ],
        ),
    ),
    scenario(
        "a finish without an id closes the run that began last and abandons none of its lane",
        DAY,
        "10:00 start A, 10:01 start A, 10:02 ok, 10:04 ok A",
        HOURLY,
        then(
            "10:05",
            "up",
            runs=[
                {"started_at": "10:00", "completed_at": "10:04", "result": "success", "duration_s": 240.0},
                {"started_at": "10:01", "completed_at": "10:02", "result": "success", "duration_s": 60.0},
            ],
        ),
    ),
    scenario(
        "a duration that a ping states is believed, and moves no start",
        DAY,
        [
            Ping(at("2026-11-02 10:00:10"), "start"),
            Ping(at("2026-11-02 10:02"), "success", duration_s=42.5),
            Ping(at("2026-11-02 11:02"), "success", duration_s=180.0),
        ],
        HOURLY,
        # 180 s before 11:02 is 10:59, outside the window of 11:00: a start that is only reckoned decides nothing.
        then(
            "11:02",
            "up",
            "10:00 on_time, 11:00 on_time",
            facts={"11:00": {"started_at": None, "start_delay_s": None, "duration_s": 180.0}},
            runs=[{"duration_s": 42.5, "started_at": "10:00:10"}, {"duration_s": 180.0, "started_at": None}],
        ),
    ),
    scenario(
        "pings of one instant are taken by number, those without one first",
        DAY,
        [
            Ping(at("2026-11-02 10:01"), "success", n=8),
            Ping(at("2026-11-02 10:01"), "start", n=7),
            Ping(at("2026-11-02 10:01"), "fail"),
        ],
        HOURLY,
        then(
            "10:02",
            "up",
            "10:00 on_time",
            facts={"10:00": {"attempts": 2, "failures": 1}},
            runs=[
                {"result": "fail", "started_at": None, "duration_s": None},
                {"result": "success", "started_at": "10:01", "duration_s": 0.0},
            ],
        ),
    ),
    scenario(
        "pings of one instant without numbers are taken in the order of the file",
        DAY,
        "10:01 start, 10:01 ok, 10:01 fail",
        HOURLY,
        then("10:02", "down", "10:00 on_time", facts={"10:00": {"attempts": 1, "failures": 1, "duration_s": 0.0}}),
    ),
    scenario(
        "a run belongs to the window it started in, even if it ends in the next one",
        DAY,
        "10:50 start A, 11:00:05 start B, 11:01 ok B, 11:02 ok A",
        HOURLY,
        then(
            "11:05",
            "up",
            "10:00 late, 11:00 on_time",
            facts={"10:00": {"completed_at": "11:02", "start_delay_s": 3000.0, "lateness_s": 3720.0}},
            runs=[{"expected_at": "10:00", "overran": True}, {"expected_at": "11:00", "overran": False}],
        ),
    ),
    scenario(
        "a ping later than the instant asked about is not seen",
        DAY,
        "10:00:05 start, 10:03 ok",
        HOURLY,
        then("10:02:59.999999", "grace", "10:00 pending", runs=[{"result": "open"}]),
        then("10:03", "up", "10:00 on_time", runs=[{"result": "success"}]),
    ),
]
