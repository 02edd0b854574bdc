"""What a real Healthchecks server said about the same pings under a simulated clock, numbered as they were tried there.

A comment says where that server is wrong, or where our rule differs on purpose: then what stands here is what we say.
Its grace is also its max runtime, so `simple` sets both. Left out is S17, which concerns its list of pings only.
"""

from __future__ import annotations

from oracle import Ping
from scenarios import Scenario, at, scenario, simple, then, ticking

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
DAY = "2026-11-02"  # a Monday

STATUSES: list[Scenario] = [
    scenario(
        "S01 an interval is due one period after its ping and down at its deadline",
        DAY,
        "10:00 ok",
        simple(3600, 600),
        then("10:59:59", "up", ""),
        then("11:00", "grace", "11:00 pending"),
        then("11:09:59", "grace", "11:00 pending"),
        then("11:10", "down", "11:00 missed", downs=[("11:10", None)]),
    ),
    scenario(
        "S02 an early ping moves an interval's due time",
        DAY,
        "10:00 ok, 10:30 ok",
        simple(3600, 600),
        then("11:29:59", "up", "11:00 on_time"),
        then(
            "11:30",
            "grace",
            "11:00 on_time, 11:30 pending",
            facts={"11:00": {"window_start_at": "10:00", "end_at": "10:30", "lateness_s": -1800.0}},
        ),
    ),
    scenario(
        # The server: grace at 10:00, down at 11:00. A clock that is 2 s fast is no missed run: early margin 10 s.
        "S03 a daily ping two seconds early counts for its tick",
        DAY,
        "09:59:58 ok",
        ticking("0 10 * * *", 3600),
        then("10:00", "up", "10:00 on_time", facts={"10:00": {"window_start_at": "09:59:50", "lateness_s": -2.0}}),
        then("11:00", "up", "10:00 on_time"),
    ),
    scenario(
        # The server: grace at 10:00.
        "S04 a daily ping a tenth of a second early counts for its tick",
        DAY,
        "09:59:59.9 ok",
        ticking("0 10 * * *", 3600),
        then("10:00", "up", "10:00 on_time", facts={"10:00": {"lateness_s": -0.1}}),
    ),
    scenario(
        "S05 a ping exactly on its tick satisfies it",
        DAY,
        "10:00 ok",
        ticking("0 10 * * *", 3600),
        then("10:00", "up", "10:00 on_time", facts={"10:00": {"lateness_s": 0.0}}),
        then("2026-11-03 09:59:59", "up", "10:00 on_time, 2026-11-03 10:00 pending"),
        then("2026-11-03 10:00", "grace", "10:00 on_time, 2026-11-03 10:00 pending"),
    ),
    scenario(
        "S06 a ping within the grace ends the grace",
        DAY,
        "2026-11-01 10:00:10 ok, 10:40 ok",
        ticking("0 10 * * *", 3600),
        then("10:39", "grace", "10:00 pending"),
        then("10:41", "up", "10:00 on_time", facts={"10:00": {"lateness_s": 2400.0}}),
    ),
    scenario(
        "S07 a run longer than its grace takes the check down though its schedule is daily",
        DAY,
        "09:00 ok, 10:00 start, 10:20 ok",
        simple(86400, 600),
        then("10:05", "started", "", runs=[{"expected_at": None}, {"result": "open", "overran": False}]),
        then("10:09:59", "started"),
        then("10:10", "down", runs=[{"result": "success"}, {"result": "open", "overran": True, "expected_at": None}]),
        then(
            "10:21",
            "up",
            # The run came early for the next day's due time: that is what it closed.
            "2026-11-03 09:00 on_time",
            facts={"2026-11-03 09:00": {"start_delay_s": -82800.0, "lateness_s": -81600.0, "duration_s": 1200.0}},
            runs=[
                {"started_at": None, "completed_at": "09:00", "expected_at": None},
                {"duration_s": 1200.0, "overran": True, "expected_at": "2026-11-03 09:00"},
            ],
            downs=[("10:10", "10:20")],
        ),
    ),
    scenario(
        # The server's v1 API says started, too; v3 new and started.
        "S08 a first start that never ends takes the check down",
        DAY,
        "10:00 start",
        simple(3600, 600),
        then("10:05", "started", ""),
        then("10:10", "down", "", runs=[{"result": "open", "overran": True, "duration_s": None}]),
    ),
    scenario(
        # The server's v1 API: started at 10:31. A start is no sign of recovery.
        "S09 a start after a failure does not end the down time",
        DAY,
        "10:00 fail, 10:30 start",
        simple(3600, 600),
        then("10:00", "down"),
        then("10:31", "down"),
        then("10:41", "down", downs=[("10:00", None)]),
    ),
    scenario(
        "S10 failures take a check down at once and only a success ends it",
        DAY,
        "10:00 ok, 10:10 fail, 10:20 exit 7, 10:30 ok",
        simple(3600, 600),
        then("10:09:59", "up"),
        then("10:10", "down", "11:00 failed"),
        then("10:29:59", "down", "11:00 failed, 11:10 failed"),
        then(
            "10:31",
            "up",
            "11:00 failed, 11:10 failed, 11:20 on_time",
            runs=[
                {"exit_status": None},
                {"exit_status": None},
                {"exit_status": 7, "result": "fail"},
                {"result": "success"},
            ],
            downs=[("10:10", "10:30")],
        ),
    ),
    scenario(
        "S11 overlapping runs are told apart by their ids",
        DAY,
        "10:00 start A, 10:05 start B, 10:07 ok A, 10:15 ok B",
        simple(3600, 1200),
        then("10:08", "started", ""),
        then(
            "10:16",
            "up",
            "11:07 on_time",
            facts={"11:07": {"lateness_s": -3120.0, "duration_s": 600.0}},
            runs=[
                {"run_id": "A", "duration_s": 420.0, "expected_at": None},
                {"run_id": "B", "duration_s": 600.0, "expected_at": "11:07"},
            ],
        ),
    ),
    scenario(
        # The server closes the run without a duration; the two belong together, so we have one.
        "S12 a finish without an id closes the run that began last",
        DAY,
        "10:00 start A, 10:04 ok",
        simple(3600, 600),
        then("10:03", "started"),
        then("10:05", "up", runs=[{"run_id": "A", "started_at": "10:00", "completed_at": "10:04", "duration_s": 240.0}]),
    ),
    scenario(
        "S13 a finish with another id leaves the run open",
        DAY,
        "10:00 start A, 10:04 ok B",
        simple(3600, 600),
        then("10:05", "started"),
        then("10:09:59", "started"),
        then(
            "10:10",
            "down",
            runs=[
                {"run_id": "A", "result": "open", "overran": True},
                {"run_id": "B", "result": "success", "started_at": None, "duration_s": None, "overran": False},
            ],
        ),
    ),
    scenario(
        # The server closes run A here. Nothing said that A ended, so it stays open for us; down either way.
        "S14 a failure with another id takes the check down",
        DAY,
        "10:00 start A, 10:04 fail B",
        simple(3600, 600),
        then("10:05", "down", runs=[{"run_id": "A", "result": "open"}, {"run_id": "B", "result": "fail"}]),
    ),
    scenario(
        # The server watches the latest start only: new and started at 10:11, no overrun.
        "S15 a restarted run is still watched from its first start",
        DAY,
        "10:00 start, 10:08 start, 10:12 ok",
        simple(3600, 600),
        then("10:09:59", "started"),
        then("10:11", "down"),
        then(
            "10:12",
            "up",
            runs=[
                {
                    "started_at": "10:00",
                    "result": "abandoned",
                    "completed_at": None,
                    "duration_s": None,
                    "overran": True,
                },
                {"started_at": "10:08", "result": "success", "duration_s": 240.0, "overran": True},
            ],
            downs=[("10:10", "10:12")],
        ),
    ),
    scenario(
        # The server's list of pings stops at 72 h; last_duration there is 262800 as well.
        "S16 a run of more than three days has a duration",
        DAY,
        "10:00 start, 2026-11-05 11:00 ok",
        simple(7 * 86400, 4 * 86400),
        then("2026-11-05 11:00", "up", runs=[{"duration_s": 262800.0, "overran": False}]),
    ),
    scenario(
        # There a success ends the pause; here the source says when the pause ended.
        "S18 a paused check is not down, and starts afresh",
        DAY,
        "10:00 ok, 12:00 ok",
        simple(3600, 600),
        then("10:10", "paused"),
        then("11:30", "paused", ""),
        then("12:00:01", "up", "", runs=[{"expected_at": None}, {"expected_at": None}]),
        then("13:00", "grace", "13:00 pending"),
        pauses=[("10:10", "12:00")],
    ),
    scenario(
        # The server: a start opens a run even while paused, down at 12:10. A pause is the owner's word; it wins.
        "S20 a start while paused leaves the check paused",
        DAY,
        "10:00 ok, 12:00 start",
        simple(3600, 600),
        then("12:05", "paused"),
        then("12:10", "paused"),
        pauses=[("10:10", "18:00")],
    ),
    scenario(
        "S21 log pings move nothing",
        DAY,
        "10:00 ok, 10:50 log, 11:09 log",
        simple(3600, 600),
        then("11:09:30", "grace", "11:00 pending", runs=[{"result": "success"}]),
        then("11:10", "down", "11:00 missed"),
    ),
    scenario(
        "S35 a late interval that was pinged again had been down, whatever the flips say",
        DAY,
        "10:00 ok, 12:00 ok",
        simple(3600, 600),
        then("11:30", "down", "11:00 missed"),
        then("12:00:01", "up", "11:00 missed, 12:00 on_time", downs=[("11:10", "12:00")]),
    ),
    scenario(
        # The server: down from 10:20:00, for it applies 600 s to the whole time since 10:00. For us a schedule holds
        # from when it was set: 10:10 had never been a due time, 10:20 is the first, and it keeps its grace of 600 s.
        "S36 a change of schedule holds from when it was made and never lifts a down",
        DAY,
        "10:00 ok",
        [
            simple(3600, 600, None, at("2026-11-02 10:20")),
            simple(600, 600, at("2026-11-02 10:20"), at("2026-11-02 10:30")),
            simple(86400, 600, at("2026-11-02 10:30"), None),
        ],
        then("10:19:59", "up", ""),
        then("10:20:01", "grace", "10:20 pending"),
        then("10:30", "down", "10:20 missed"),
        then("10:31", "down", "10:20 missed"),
    ),
    scenario(
        "S39 with a grace longer than the gap the first missed deadline takes the check down",
        DAY,
        "10:00:05 ok",
        ticking("*/5 * * * *", 3600),
        then("10:04:59", "up"),
        then("10:05", "grace", facts={"10:05": {"outcome": "pending"}}),
        then("11:04:59", "grace", facts={"10:05": {"outcome": "pending"}}),
        then("11:05", "down", facts={"10:05": {"outcome": "missed"}, "10:10": {"outcome": "pending"}}),
    ),
    scenario(
        # The server looks at the latest start only: up at 10:57, down at 11:05.
        "S45 a loop of restarts cannot hide the run that hangs",
        DAY,
        "09:00 ok, " + ", ".join(f"10:{minute:02} start" for minute in range(0, 60, 5)),
        simple(86400, 600),
        then("10:09:59", "started"),
        then("10:10", "down"),
        then("10:57", "down"),
        then("11:05", "down", downs=[("10:10", None)]),
    ),
]

DUE_TIMES: list[Scenario] = [
    scenario(
        "S23 a tick in Berlin's skipped hour comes at the first minute after it",
        "2026-03-29",
        "2026-03-28 01:30:05 ok, 01:00:20 ok",
        ticking("30 2 * * *", 1800, BERLIN),
        then("00:59:59", "up"),
        then("01:00", "grace", "01:00 pending"),
        then(
            "2026-03-30 00:30",
            "grace",
            "01:00 on_time, 2026-03-30 00:30 pending",
            facts={"01:00": {"lateness_s": 20.0}},
        ),
    ),
    scenario(
        "S24 a tick in Berlin's repeated hour comes once, in the first pass",
        "2026-10-25",
        "2026-10-24 00:30:05 ok, 00:30:05 ok",
        ticking("30 2 * * *", 1800, BERLIN),
        then("01:35", "up", "00:30 on_time"),
        then("2026-10-26 01:30", "grace", "00:30 on_time, 2026-10-26 01:30 pending"),
    ),
    scenario(
        # The server takes the ping's wall time, 02:10, for one before the tick of 02:30 and goes down again at
        # 01:10:01, with a flip dated before the up flip. In elapsed time the ping came 40 minutes after its tick.
        "S25 a ping in the second pass of the repeated hour ends the down time",
        "2026-10-25",
        "2026-10-24 00:30:05 ok, 01:10 ok",
        ticking("30 2 * * *", 1800, BERLIN),
        then("01:00", "down", "00:30 missed"),
        then("01:10", "up", "00:30 late"),
        then("01:10:01", "up", "00:30 late", facts={"00:30": {"lateness_s": 2400.0}}, downs=[("01:00", "01:10")]),
    ),
    scenario(
        "S26 an hourly cron follows elapsed time through the repeated hour",
        "2026-10-25",
        "00:00:05 ok, 01:00:05 ok",
        ticking("0 * * * *", 600, BERLIN),
        then("02:00", "grace", "01:00 on_time, 02:00 pending"),
    ),
    scenario(
        "S27 an hourly cron follows elapsed time through the skipped hour",
        "2026-03-29",
        "00:00:05 ok",
        ticking("0 * * * *", 600, BERLIN),
        then("01:00", "grace", "01:00 pending"),
    ),
    scenario(
        "S28 a tick in New York's skipped hour comes at the first minute after it",
        "2026-03-08",
        "2026-03-07 07:30:05 ok",
        ticking("30 2 * * *", 1800, NEW_YORK),
        then("06:59:49", "up", ""),
        then("07:00", "grace", "07:00 pending"),
    ),
    scenario(
        "S29 a tick in New York's repeated hour comes once, in the first pass",
        "2026-11-01",
        "2026-10-31 05:30:05 ok, 05:30:05 ok",
        ticking("30 1 * * *", 1800, NEW_YORK),
        then("2026-11-02 06:30", "grace", "05:30 on_time, 2026-11-02 06:30 pending"),
    ),
    scenario(
        "S30 a wildcard cron fires in both passes of the repeated hour",
        "2026-11-01",
        "05:30:05 ok, 06:00:05 ok, 06:30:05 ok",
        ticking("*/30 1 * * *", 1200, NEW_YORK),
        then("06:00", "grace", "06:00 pending"),
        then("2026-11-02 06:00", "grace", "06:00 on_time, 06:30 on_time, 2026-11-02 06:00 pending"),
    ),
    scenario(
        "S31 a wildcard cron has no tick in the skipped hour",
        "2026-03-08",
        "2026-03-07 07:30:05 ok",
        ticking("*/30 2 * * *", 1200, NEW_YORK),
        then("23:59:59", "up", ""),
        then("2026-03-09 06:00", "grace", "2026-03-09 06:00 pending"),
    ),
    scenario(
        "S32 an OnCalendar time in the skipped hour does not come that day",
        "2026-03-29",
        "2026-03-28 01:30:05 ok",
        ticking("OnCalendar=*-*-* 02:30:00", 1800, BERLIN),
        then("23:59:59", "up", ""),
        then("2026-03-30 00:30", "grace", "2026-03-30 00:30 pending"),
    ),
    scenario(
        "S33 an hourly OnCalendar leaves the second pass of the repeated hour out",
        "2026-10-25",
        "00:00:05 ok",
        ticking("OnCalendar=*-*-* *:00:00", 600, BERLIN),
        then("01:30", "up", ""),
        then("02:00", "grace", "02:00 pending"),
    ),
    scenario(
        "S37 day of month or day of week: either is enough where neither starts with a star",
        "2026-06-02",
        "00:00:05 ok",
        ticking("0 0 1 * 1", 600),
        then("2026-06-08 00:00", "grace", "2026-06-08 00:00 pending"),
    ),
    scenario(
        "S38 day of month and day of week: both are needed where one starts with a star",
        "2026-06-02",
        "00:00:05 ok",
        ticking("0 0 */2 * 1", 600),
        then("2026-06-15 00:00", "grace", "2026-06-15 00:00 pending"),
    ),
    scenario(
        # The server goes down after every ping of the second pass, five times, though every one was punctual.
        "S46 punctual pings through the repeated hour never take an OnCalendar check down",
        "2026-10-25",
        [Ping(at("2026-10-25 00:00:05") + i * 600_000_000) for i in range(13)],
        ticking("OnCalendar=*-*-* *:0/10:00", 300, BERLIN),
        then("01:01", "up"),
        then("01:31", "up"),
        then("01:51", "up"),
        then(
            "02:01",
            "up",
            "00:10 on_time, 00:20 on_time, 00:30 on_time, 00:40 on_time, 00:50 on_time, 02:00 on_time",
            # 01:00:05 to 01:50:05 have no tick of their own. The gap before 02:00 is 70 min, so its margin is 10 s.
            facts={"00:50": {"end_at": "01:59:50", "attempts": 1, "extra": 6}, "00:40": {"extra": 0}},
            downs=[],
        ),
    ),
]

SCENARIOS = STATUSES + DUE_TIMES
