"""Stories of interval schedules, whose due times roll (rule 6)."""

from __future__ import annotations

from oracle import Version
from scenarios import Scenario, at, scenario, then, ticking

DAY = "2026-11-02"  # a Monday
EVERY_HOUR = Version(None, None, "every 1 h", grace_s=600)

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
        then("12:20", "down", "11:00 on_time, 12:05 pending", facts={"12:05": {"started_at": "12:00", "end_at": "13:05"}}),
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
        # One hour after 09:00:05 is 10:00:05, but then the interval was not yet promised; its first tick would be 11:00:05.
        "a completion that is overdue only by a period not yet in force anchors, and settles nothing",
        DAY,
        "09:00:05 ok, 10:40 ok",
        [
            ticking("0 9 * * *", 600, valid_from="2026-11-02", valid_to="2026-11-02 10:30"),
            Version(at("2026-11-02 10:30"), None, "every 1 h", grace_s=600),
        ],
        then("11:39:59", "up", "09:00 on_time", runs=[{"expected_at": "09:00"}, {"expected_at": None}]),
        then("11:40", "grace", "09:00 on_time, 11:40 pending"),
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
