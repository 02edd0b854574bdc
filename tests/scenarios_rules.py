"""A few stories for each rule, small enough to be worked out by hand."""

from __future__ import annotations

from oracle import Ping, Version
from scenarios import Scenario, at, scenario, then, ticking

DAY = "2026-11-02"  # a Monday
HOURLY = ticking("0 * * * *", 300, valid_from="2026-11-02 09:30")
EVERY_HOUR = Version(None, None, "every 1 h", grace_s=600)

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

OUTCOMES: list[Scenario] = [
    scenario(
        "a retry after failures is a success in several attempts",
        DAY,
        "10:00:05 fail, 10:01 exit 3, 10:02 ok, 10:03 fail, 10:04 ok",
        HOURLY,
        then(
            "10:01:30",
            "down",
            "10:00 failed",
            facts={"10:00": {"attempts": 2, "failures": 2, "completed_at": "10:00:05"}},
        ),
        then("10:03", "down", "10:00 on_time", facts={"10:00": {"attempts": 3, "failures": 3, "extra": 0}}),
        then(
            "10:04",
            "up",
            "10:00 on_time",
            facts={"10:00": {"completed_at": "10:02", "attempts": 3, "failures": 3, "extra": 1, "lateness_s": 120.0}},
            downs=[("10:00:05", "10:02"), ("10:03", "10:04")],
        ),
    ),
    scenario(
        "a success at the very deadline is in time",
        DAY,
        "09:31 ok, 10:05 ok, 11:05:00.000001 ok",
        HOURLY,
        then("10:04:59.999999", "grace", "10:00 pending"),
        then("10:05", "up", "10:00 on_time", facts={"10:00": {"lateness_s": 300.0}}),
        then("11:05", "down", "10:00 on_time, 11:00 missed"),
        then(
            "11:05:00.000001",
            "up",
            "10:00 on_time, 11:00 late",
            downs=[("11:05", "11:05:00.000001")],
        ),
    ),
    scenario(
        "a run past its max runtime is hung until it succeeds",
        DAY,
        "10:00:05 start, 10:20 ok",
        ticking("0 * * * *", 1800, max_runtime_s=600.0, valid_from="2026-11-02 09:30"),
        # Until the deadline the check is in grace, not merely started: the success is still owed.
        then("10:10:04.999999", "grace", "10:00 pending"),
        then("10:10:05", "down", "10:00 hung", facts={"10:00": {"started_at": "10:00:05", "completed_at": None}}),
        then(
            "10:20",
            "up",
            "10:00 on_time",
            facts={"10:00": {"duration_s": 1195.0, "lateness_s": 1200.0, "start_delay_s": 5.0}},
            runs=[{"overran": True}],
            downs=[("10:10:05", "10:20")],
        ),
    ),
    scenario(
        "without a max runtime a run is hung when its window ends",
        DAY,
        "10:00:05 start",
        HOURLY,
        then("10:30", "down", "10:00 pending"),  # the deadline passed at 10:05 without a success
        then("10:59:49.999999", "down", "10:00 pending"),
        then("10:59:50", "down", "10:00 hung, 11:00 pending"),
    ),
    scenario(
        "without a max runtime a run is hung no sooner than its deadline",
        DAY,
        "10:00:05 start",
        ticking("0 * * * *", 7200, valid_from="2026-11-02 09:30"),
        then("11:59:59", "grace", "10:00 pending, 11:00 pending, 12:00 pending"),
        then("12:00", "down", "10:00 hung, 11:00 pending, 12:00 pending"),
    ),
    scenario(
        "a run that only just kept its max runtime did not overrun",
        DAY,
        "10:00 start, 10:10 ok, 11:00 start, 11:10:00.000001 ok",
        ticking("0 * * * *", 1800, max_runtime_s=600.0, valid_from="2026-11-02 09:30"),
        then("11:30", "up", "10:00 on_time, 11:00 on_time", runs=[{"overran": False}, {"overran": True}]),
    ),
    scenario(
        "an abandoned start is no run to wait for",
        DAY,
        "10:00:05 start, 11:00:05 start, 11:01 ok",
        HOURLY,
        then("10:04", "grace", "10:00 pending"),
        then(
            "11:01",
            "up",
            "10:00 missed, 11:00 on_time",
            facts={"10:00": {"started_at": "10:00:05", "completed_at": None, "start_delay_s": 5.0, "attempts": 0}},
            runs=[{"result": "abandoned", "overran": True}, {"result": "success", "overran": False}],
        ),
    ),
    scenario(
        "a failure settles an occurrence before a run that is still open",
        DAY,
        "10:00:05 start A, 10:00:10 start B, 10:01 fail B",
        HOURLY,
        then("10:02", "down", "10:00 failed", facts={"10:00": {"started_at": "10:00:10", "duration_s": 50.0}}),
        then("11:00", "down", "10:00 failed, 11:00 pending", runs=[{"run_id": "A", "overran": True}, {"run_id": "B"}]),
    ),
    scenario(
        "an occurrence is excused by any pause between its time and its deadline, both included",
        DAY,
        "10:00:05 ok",
        ticking("0 * * * *", 300, valid_from="2026-11-02 10:00"),
        then("15:04:59.999999", "grace"),
        then("15:05", "down"),
        then(
            "15:30",
            "up",  # the last pause has wiped the slate
            "10:00 on_time, 11:00 excused, 12:00 missed, 13:00 excused, 14:00 excused, 15:00 missed",
            facts={"10:00": {"excused": True}, "12:00": {"excused": False}},
        ),
        # 11:05 is the deadline itself; one that ends at 12:00 sharp leaves 12:00 alone; 15:05:00.000001 is too late.
        pauses=[
            ("10:01", "10:02"),
            ("11:05", "12:00"),
            ("12:59", "13:00:00.000001"),
            ("13:50", "14:30"),
            ("15:05:00.000001", "15:10"),
        ],
    ),
    scenario(
        "a failure during a pause is excused and still counted",
        DAY,
        "10:00:05 fail",
        ticking("0 * * * *", 300, valid_from="2026-11-02 10:00"),
        then("10:01", "paused", "10:00 excused", facts={"10:00": {"failures": 1, "attempts": 1, "lateness_s": None}}),
        then("10:30", "up", "10:00 excused"),
        pauses=[("09:50", "10:20")],
    ),
    scenario(
        "an occurrence that nobody watched is unknown, not missed",
        DAY,
        "10:00:05 ok",
        ticking("0 * * * *", 300, valid_from="2026-11-02 10:00"),
        then("11:04:59", "unknown", "10:00 on_time, 11:00 pending"),
        then(
            "14:10",
            "unknown",
            # 12:00 was watched from 11:59:50 to 12:05 exactly; of 13:00 the last microsecond is wanting, of 14:00 the
            # ten seconds in which it might have come early.
            "10:00 on_time, 11:00 unknown, 12:00 missed, 13:00 unknown, 14:00 unknown",
            facts={"10:00": {"vouched": False}, "12:00": {"vouched": True}, "13:00": {"vouched": False}},
        ),
        vouched=[
            ("10:00", "10:30"),
            ("11:59:50", "12:03"),
            ("12:03", "12:05"),
            ("12:30", "13:04:59.999999"),
            ("14:00", "14:08"),
        ],
    ),
    scenario(
        "a missed occurrence turns late when a success comes in its window",
        DAY,
        "10:40 ok",
        HOURLY,
        then("10:39", "new", "10:00 missed"),
        then("10:40", "up", "10:00 late", facts={"10:00": {"lateness_s": 2400.0}}),
    ),
]

INTERVALS: list[Scenario] = [
    scenario(
        "of three ticks in a gap two are missed and the last one is late",
        DAY,
        "10:00 ok, 13:20 ok",
        EVERY_HOUR,
        then("10:59:59", "up", ""),
        then("11:05", "grace", "11:00 pending", facts={"11:00": {"window_start_at": "10:00", "end_at": "12:00"}}),
        then(
            "12:00",
            "down",
            "11:00 missed, 12:00 pending",
            facts={"12:00": {"window_start_at": "12:00", "end_at": "13:00"}},
        ),
        then(
            "13:20",
            "up",
            "11:00 missed, 12:00 missed, 13:00 late",
            facts={
                "12:00": {"window_start_at": "12:00", "end_at": "13:00", "completed_at": None},
                "13:00": {"window_start_at": "13:00", "end_at": "13:20", "deadline_at": "13:10", "lateness_s": 1200.0},
            },
            runs=[{"expected_at": None}, {"expected_at": "13:00"}],
            downs=[("11:10", "13:20")],
        ),
        then("14:20", "grace", "11:00 missed, 12:00 missed, 13:00 late, 14:20 pending"),
    ),
    scenario(
        "a completion exactly on a tick settles that tick",
        DAY,
        "10:00 ok, 12:00 ok",
        EVERY_HOUR,
        then(
            "12:00",
            "up",
            "11:00 missed, 12:00 on_time",
            facts={"12:00": {"window_start_at": "12:00", "end_at": "12:00", "lateness_s": 0.0}},
        ),
    ),
    scenario(
        "a failure closes and anchors like a success",
        DAY,
        "10:00 ok, 10:50 fail, 11:50 ok",
        EVERY_HOUR,
        then("10:50", "down", "11:00 failed", facts={"11:00": {"lateness_s": None, "attempts": 1, "failures": 1}}),
        then("11:50", "up", "11:00 failed, 11:50 on_time", downs=[("10:50", "11:50")]),
    ),
    scenario(
        "a fast repetition closes the next occurrence far too early, and none is extra",
        DAY,
        "10:00 ok, 11:00 ok, 11:01 ok",
        EVERY_HOUR,
        then("12:00", "up", "11:00 on_time, 12:00 on_time", facts={"12:00": {"lateness_s": -3540.0, "extra": 0}}),
        then("12:01", "grace", "11:00 on_time, 12:00 on_time, 12:01 pending"),
    ),
    scenario(
        "completions of one instant close one occurrence, and a success among them wins",
        DAY,
        "10:00 ok, 11:02 fail, 11:02 ok, 11:02 ok, 11:02 fail",
        EVERY_HOUR,
        # The occurrence was kept; the check is down all the same, for the last word was a failure.
        then(
            "11:02",
            "down",
            "11:00 on_time",
            facts={"11:00": {"attempts": 4, "failures": 2, "extra": 1, "lateness_s": 120.0}},
        ),
    ),
    scenario(
        "after a pause the first completion only anchors",
        DAY,
        "10:00 ok, 15:00 ok, 15:50 ok",
        EVERY_HOUR,
        then("14:30", "up", "11:00 excused"),
        then(
            "16:00",
            "up",
            "11:00 excused, 16:00 on_time",
            facts={"16:00": {"window_start_at": "15:00", "end_at": "15:50", "lateness_s": -600.0}},
            runs=[{"expected_at": None}, {"expected_at": None}, {"expected_at": "16:00"}],
        ),
        pauses=[("11:05", "14:00")],
    ),
    scenario(
        "a completion during a pause counts for nothing",
        DAY,
        "10:00 ok, 11:30 ok, 12:30 ok, 13:20 ok",
        EVERY_HOUR,
        then("13:20", "up", "13:30 on_time", runs=[{"expected_at": None}] * 3 + [{"expected_at": "13:30"}]),
        pauses=[("10:30", "12:00")],
    ),
    scenario(
        "a run of an interval belongs to the due time that it settles, an open one to the window that it began in",
        DAY,
        "10:00 ok, 10:55 start, 11:05 ok, 12:00 start",
        Version(None, None, "every 1 h", grace_s=600),
        then("10:56", "started", "", runs=[{}, {"result": "open", "expected_at": None}]),
        then("11:01", "grace", "11:00 pending", runs=[{}, {"result": "open", "expected_at": "11:00"}]),
        then(
            "11:05",
            "up",
            "11:00 on_time",
            facts={"11:00": {"start_delay_s": -300.0, "lateness_s": 300.0, "duration_s": 600.0}},
            runs=[{"expected_at": None}, {"expected_at": "11:00", "overran": False}],
        ),
        # 12:05 is due with its window from 11:05 to 13:05; so long may the run that began at 12:00 go on.
        then(
            "12:20", "down", "11:00 on_time, 12:05 pending", facts={"12:05": {"started_at": "12:00", "end_at": "13:05"}}
        ),
        then("13:05", "down", "11:00 on_time, 12:05 hung, 13:05 pending"),
    ),
    scenario(
        "ticks of a gap go by the period in force when they fall due",
        DAY,
        "10:00 ok",
        [
            Version(None, at("2026-11-02 12:30"), "every 1 h", grace_s=600),
            Version(at("2026-11-02 12:30"), None, "every 2 h", grace_s=900),
        ],
        then(
            "16:00",
            "down",
            "11:00 missed, 12:00 missed, 14:00 missed, 16:00 pending",
            facts={
                "12:00": {"end_at": "14:00", "deadline_at": "12:10"},
                "14:00": {"end_at": "16:00", "deadline_at": "14:15"},
                "16:00": {"end_at": "18:00"},
            },
        ),
    ),
    scenario(
        "a gap between two versions breaks the chain: the first completion after it only anchors",
        DAY,
        "10:00 ok, 14:10 ok, 15:00 ok",
        [
            Version(None, at("2026-11-02 12:30"), "every 1 h", grace_s=600),
            Version(at("2026-11-02 14:00"), None, "every 1 h", grace_s=600),
        ],
        then("12:29:59", "down", "11:00 missed, 12:00 missed"),
        then("13:00", "paused", "11:00 missed, 12:00 missed"),
        then("14:05", "up", "11:00 missed, 12:00 missed"),
        then(
            "15:00",
            "up",
            "11:00 missed, 12:00 missed, 15:10 on_time",
            facts={"15:10": {"window_start_at": "14:10", "lateness_s": -600.0}},
            downs=[("11:10", "12:30")],
        ),
    ),
    scenario(
        "under a cron a completion anchors the interval that follows it",
        DAY,
        "09:00:05 ok, 10:20 ok, 11:25 ok",
        [
            ticking("0 9 * * *", 600, valid_from="2026-11-02", valid_to="2026-11-02 10:30"),
            Version(at("2026-11-02 10:30"), None, "every 1 h", grace_s=600),
        ],
        then(
            "11:25",
            "up",
            "09:00 on_time, 11:20 on_time",
            facts={
                "09:00": {"end_at": "10:30", "extra": 1},
                "11:20": {"window_start_at": "10:20", "lateness_s": 300.0},
            },
        ),
    ),
    scenario(
        "what an interval owed before a cron took over stays missed",
        DAY,
        "08:00 ok, 11:00:05 ok",
        [
            Version(None, at("2026-11-02 09:30"), "every 1 h", grace_s=600),
            ticking("0 11 * * *", 600, valid_from="2026-11-02 09:30"),
        ],
        then("09:30", "down", "09:00 missed"),
        then("11:00:05", "up", "09:00 missed, 11:00 on_time", runs=[{"expected_at": None}, {"expected_at": "11:00"}]),
    ),
]

STATUSES: list[Scenario] = [
    scenario(
        "a success at the very limit of another run ends what that run could have alarmed",
        DAY,
        "10:00:05 start A, 10:10:05 ok B",
        ticking("0 * * * *", 300, max_runtime_s=600.0, valid_from="2026-11-02 09:30"),
        then("10:10:05", "started", "10:00 late", runs=[{"result": "open", "overran": True}, {"result": "success"}]),
    ),
    scenario(
        "a limit that passed during a pause alarms nobody after it",
        DAY,
        "09:00 ok, 10:00:05 start",
        ticking("0 * * * *", 300, max_runtime_s=600.0, valid_from="2026-11-02 09:30"),
        then("10:03", "paused", "10:00 excused"),
        then("10:20", "started", "10:00 excused", runs=[{}, {"result": "open", "overran": True}]),
        pauses=[("10:02", "10:20")],
    ),
    scenario(
        "a pause wipes the slate of a check without a schedule, too",
        DAY,
        "10:00 fail",
        [],
        then("10:29", "down", ""),
        then("10:40", "paused", ""),
        then("11:00", "up", "", downs=[("10:00", "10:30")]),
        pauses=[("10:30", "11:00")],
    ),
    scenario(
        "a success of any window ends a down time, and missed ones behind it alarm no more",
        DAY,
        "11:30 ok",
        ticking("0 * * * *", 7200, valid_from="2026-11-02 10:00"),
        # The deadlines of 10:00 and 11:00, 12:00 and 13:00, find the success of 11:30 before them.
        then("12:00", "grace", "10:00 missed, 11:00 on_time, 12:00 pending"),
        then("13:30", "grace", "10:00 missed, 11:00 on_time, 12:00 pending, 13:00 pending"),
        then("14:00", "down", "10:00 missed, 11:00 on_time, 12:00 missed, 13:00 pending, 14:00 pending"),
    ),
    scenario(
        "a check never pinged is new, though its ticks are missed",
        DAY,
        "",
        HOURLY,
        then("11:30", "new", "10:00 missed, 11:00 missed", downs=[]),
    ),
    scenario(
        "a check with log pings only is new",
        DAY,
        "10:01 log, 10:02 ign",
        HOURLY,
        then("11:30", "new", "10:00 missed, 11:00 missed", runs=[], downs=[]),
    ),
    scenario(
        "a first start does not make up for what was missed before it",
        DAY,
        "11:30 start",
        HOURLY,
        then("11:29", "new", "10:00 missed, 11:00 missed"),
        then("11:30", "down", "10:00 missed, 11:00 pending", downs=[("11:30", None)]),
    ),
    scenario(
        "before anything is known a check is new, after what is known it is unknown",
        DAY,
        "10:00:05 ok",
        HOURLY,
        then("08:59:59.999999", "new", ""),
        then("09:00", "new", ""),
        then("10:01", "up", "10:00 on_time"),
        then("12:00", "unknown"),
        then("11:04:59", "grace"),
        then("11:05", "down"),
        then("11:30", "down", downs=[("11:05", None)]),
        then("11:30:00.000001", "unknown", downs=[("11:05", "11:30")]),
        vouched=[("09:00", "11:30")],
    ),
    scenario(
        "a check without a schedule is down from a failure to the next success",
        DAY,
        "10:00 start, 10:05 ok, 11:00 fail, 12:00 ok",
        [],
        then("10:01", "started", ""),
        then("10:59", "up", ""),
        then("11:00", "down", ""),
        then("12:00", "up", "", runs=[{"overran": False}, {"result": "fail"}, {}], downs=[("11:00", "12:00")]),
    ),
    scenario(
        "a pause wipes the slate: a failure before it is forgotten after it",
        DAY,
        "10:00:05 fail",
        HOURLY,
        then("10:10", "down"),
        then("10:20", "paused"),
        then("10:30", "up", downs=[("10:00:05", "10:20")]),
        pauses=[("10:20", "10:30")],
    ),
    scenario(
        "a check whose schedule has ended is paused until the next one begins",
        DAY,
        "10:00:05 ok",
        [
            ticking("0 * * * *", 300, valid_from="2026-11-02 10:00", valid_to="2026-11-02 11:30"),
            ticking("0 * * * *", 300, valid_from="2026-11-02 13:00"),
        ],
        then("09:59", "new"),
        then("11:10", "down", "10:00 on_time, 11:00 missed"),
        then("11:30", "paused", "10:00 on_time, 11:00 missed"),
        then("13:00", "grace", "10:00 on_time, 11:00 missed, 13:00 pending"),
        then("13:05", "down", "10:00 on_time, 11:00 missed, 13:00 missed", downs=[("11:05", "11:30"), ("13:05", None)]),
    ),
    scenario(
        "a success after a run had passed its limit ends the down time, and that run alarms no more",
        DAY,
        "10:00:05 start A, 10:15 ok",
        [ticking("0 * * * *", 1800, max_runtime_s=600.0, valid_from="2026-11-02 09:30")],
        then("10:15", "up", "10:00 on_time", runs=[{"run_id": "A", "result": "success", "overran": True}]),
    ),
    scenario(
        "a run that hung before the last success leaves the check up, and started",
        DAY,
        "10:00:05 start A, 10:15 ok B, 10:50 fail A",
        [ticking("0 * * * *", 1800, max_runtime_s=600.0, valid_from="2026-11-02 09:30")],
        then("10:12", "down", "10:00 hung"),
        then("10:20", "started", "10:00 on_time", runs=[{"result": "open", "overran": True}, {"result": "success"}]),
        then("10:50", "down", "10:00 on_time", facts={"10:00": {"attempts": 1, "failures": 1}}),
    ),
]

SCENARIOS = WINDOWS + RUNS + OUTCOMES + INTERVALS + STATUSES
