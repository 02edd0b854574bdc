"""What went wrong and what came right: down, hung, failing, missing, recovered, never seen, often late."""

from __future__ import annotations

from datetime import timedelta

from telling import Job, instant, only, told, week

from qpanalytics.verdict import findings

HOUR = timedelta(hours=1)


def test_a_check_that_keeps_its_promises_is_not_mentioned() -> None:
    assert told(week(Job("backup", "60x40"))) == []


# Down -----------------------------------------------------------------------------------------------------------------


def test_a_job_that_stopped_being_started_is_down_and_never_began() -> None:
    """Weekdays at 02:30 with 30 min of grace: Mon, Wed and Fri did not come, so it is down since Fri 03:00."""
    job = Job(
        "invoice-export",
        "- - D90x5 - - D90x5 - - D90x5 - - M D90 M D90 M - -",
        schedule="30 2 * * 1-5",
        last="2026-11-22 02:30",
        grace="30 min",
    )

    finding = only(week(job))
    assert finding.sentence == "invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 03:00."
    assert finding.detail == (
        "No start ping came either, so the job never began. Look at what starts it. It last succeeded Thu 02:31."
    )
    assert (finding.kind, finding.tone, finding.asks, finding.since_at) == (
        "down",
        "bad",
        True,
        instant("2026-11-20 03:00"),
    )


def test_without_start_pings_nobody_can_say_whether_it_began() -> None:
    finding = only(week(Job("mirror", "60x25 M M", grace="15 min")))

    assert finding.sentence == "mirror missed 2 of 7 runs, on Sat and Sun; down since Sat 03:15."
    assert finding.detail == ("It sends no start pings, so we cannot see whether it began. It last succeeded Fri 03:01.")


def test_what_happened_after_the_window_is_told_with_its_date() -> None:
    """As of Tuesday the run of Mon 23 Nov, which belongs to no day of the week told of, has not come."""
    job = Job("mirror", "60x24 M 60x3 M", last="2026-11-23 03:00", grace="15 min")

    finding = only(week(job, as_of=instant("2026-11-24 01:00")))
    assert finding.sentence == "mirror has been down since Mon 23 Nov 03:15: the run of 03:00 did not come."
    assert finding.detail.endswith("It last succeeded Sun 03:01. This week it missed 1 of 7 runs, on Thu.")


def test_several_runs_missed_since_the_window_are_counted() -> None:
    job = Job("mirror", "60x25 M M", last="2026-11-25 03:00", grace="15 min")

    finding = only(week(job, as_of=instant("2026-11-26 01:00")))
    assert finding.sentence == "mirror has been down since Tue 24 Nov 03:15: 2 runs in a row did not come."


def test_a_job_that_began_and_failed_is_down_from_its_failure() -> None:
    finding = only(week(Job("etl", "D60x25 F3 F9")))

    assert finding.sentence == "etl failed 2 of 7 runs, on Sat and Sun; down since Sat 03:01."
    assert finding.detail == "The last failure had exit status 9. It last succeeded Fri 03:01."
    assert finding.figures["cause"] == "failed"


def test_the_exit_status_of_an_older_failure_is_not_told_of_the_last_one() -> None:
    assert "exit status" not in only(week(Job("etl", "D60x25 F3 F"))).detail


def test_a_run_that_never_ended_is_down_from_its_limit() -> None:
    finding = only(week(Job("dump", "D60x26 H", max_runtime="2 h", grace="3 h")))

    assert finding.sentence == "dump hung 1 of 7 runs, on Sun; down since Sun 05:00."
    assert finding.detail == ("It may run for 2 h. Look whether it is stuck, and stop it. It last succeeded Sat 03:01.")


def test_a_job_without_a_schedule_is_down_after_a_failure() -> None:
    finding = only(week(Job("deploy", "60x25 F F", schedule=None)))

    assert finding.sentence == "deploy has been down since Sat 03:01: its last 2 runs failed."


def test_days_are_those_of_the_reader() -> None:
    """02:30 UTC on Sunday is Saturday evening in New York, whose week is told of here."""
    job = Job("mirror", "60x26 M", schedule="30 2 * * *", last="2026-11-22 02:30", grace="15 min")

    history = week(job, since=instant("2026-11-16 05:00"), until=instant("2026-11-23 05:00"))
    finding = only(history, tz="America/New_York")
    assert finding.sentence == "mirror missed 1 of 6 runs, on Sat; down since Sat 21:45."


def test_checks_of_one_job_that_went_down_together_are_one_finding() -> None:
    sites = [Job(f"site-{i}", "60x26 M", grace="15 min") for i in range(4)]
    other = Job("z-other", "60x26 M", schedule="0 3 * * 0-6", grace="15 min")

    first, second = findings(week(*sites, other))
    assert first.checks == ("site-0", "site-1", "site-2", "site-3")
    assert first.sentence == "4 checks of frames have been down since Sun 03:15: their runs did not come."
    assert first.detail == "These are site-0, site-1, site-2 and site-3."
    assert second.checks == ("z-other",)


def test_a_paused_check_is_left_alone() -> None:
    history = week(
        Job("mirror", "60x24 M M M", grace="15 min"),
        pauses=[{"check": "mirror", "since_at": instant("2026-11-21 12:00"), "until_at": None}],
    )

    assert told(history) == []


def test_a_check_whose_promise_ended_is_left_alone() -> None:
    assert told(week(Job("old", "60x24 M M M", valid_to=instant("2026-11-22 12:00")))) == []


# Hung, failing, missing -----------------------------------------------------------------------------------------------


def test_runs_that_hang_again_and_again_are_told() -> None:
    """Two of seven did not end; the next run each time did. Nothing hung the week before."""
    finding = only(week(Job("dump", "D60x21 H D60 D60 H D60 D60 D60", max_runtime="2 h", ids=True)))

    assert finding.sentence == "dump hung 2 of 7 runs, on Mon and Thu; none the week before."
    assert finding.detail == "2 runs began and did not end within 2 h."
    assert finding.kind == "hung" and finding.tone == "warn"


def test_a_job_that_runs_past_its_limit_and_ends_is_told_from_the_second_time_on() -> None:
    once = Job("once", "D60x27 D7300 D60 D60 D60", max_runtime="2 h")
    often = Job("often", "D60x24 D7300 D60 D7300 D60", max_runtime="2 h")

    (finding,) = [f for f in findings(week(once, often)) if f.kind == "hung"]
    assert finding.sentence == "often ran over its limit of 2 h 2 of 7 runs."


def test_failures_on_several_days_are_told_with_how_it_was_before() -> None:
    finding = only(week(Job("etl", "D60x14 D60 F D60x5 D60 F2 D60 F2 D60 D60 D60")))

    assert finding.sentence == "etl failed 2 of 7 runs, on Tue and Thu; 1 of 7 the week before."
    assert finding.detail == "The last failure had exit status 2. The 3 runs since then went well."
    assert finding.figures["failed_at"] == ["2026-11-17T03:00:00Z", "2026-11-19T03:00:00Z"]


def test_one_failure_that_came_right_has_recovered() -> None:
    assert told(week(Job("etl", "D60x24 F D60x3"))) == [
        ("recovered", "etl recovered: failed 1 of 7 runs, on Thu, and kept all 3 promises since.")
    ]


def test_a_pattern_of_a_quarter_that_ended_a_week_ago_is_over() -> None:
    """Ninety days: failures on 1, 5 and 14 Nov, well since; then with another one on 18 Nov, five days ago."""
    before = "D60x60 F D60x3 F D60x8 F"
    since = instant("2026-08-25 00:00")

    assert told(week(Job("etl", f"{before} D60x8"), since=since)) == [
        ("recovered", "etl recovered: failed 3 of 82 runs, on Sun 1, Thu 5 and Sat 14 Nov, and kept all 8 promises since.")
    ]
    assert [kind for kind, _ in told(week(Job("etl", f"{before} D60x3 F D60x4"), since=since))] == ["failing"]


def test_a_failure_on_the_last_day_is_not_over_yet() -> None:
    """Fri failed, Sat and Sun went well: two good runs are luck."""
    assert told(week(Job("etl", "D60x25 F D60 D60"))) == [("failing", "etl failed 1 of 7 runs, on Fri; none the week before.")]


def test_failures_without_a_schedule_count_the_runs_that_were_seen() -> None:
    job = Job("deploy", "60x20 60 F 60 F 60 60 60", schedule=None)

    assert told(week(job)) == [("failing", "deploy failed 2 of the 7 runs we saw, on Tue and Thu; none the week before.")]


def test_two_misses_against_none_before_are_missing_more() -> None:
    finding = only(week(Job("mirror", "60x21 60 M 60 M 60 60 60")))

    assert finding.sentence == "mirror missed 2 of 7 runs, on Tue and Thu; none the week before."
    assert finding.detail == ("It sends no start pings, so we cannot see whether it began. The 3 runs since then went well.")


def test_a_check_that_often_misses_is_told_also_if_it_always_did() -> None:
    """Two of seven in both weeks."""
    assert told(week(Job("mirror", "60x14 60 M 60 M 60x3 60 M 60 M 60x3"))) == [
        ("missing", "mirror missed 2 of 7 runs, on Tue and Thu; 2 of 7 the week before.")
    ]


def test_a_few_misses_of_many_that_are_as_before_are_not_told() -> None:
    """Hourly: two single misses of 168 this week, two the week before."""
    words = "60x150 M 60x10 M 60x6 60x150 M 60x10 M 60x7"

    assert told(week(Job("sync", words, schedule="0 * * * *", last="2026-11-23 00:00", every=HOUR))) == []


def test_many_misses_of_many_are_told_where_the_share_really_grew() -> None:
    """Hourly: 2 of 168 before, then every fourteenth, 12 of 168; scatter alone explains up to 8."""
    words = "60x150 M 60x10 M 60x6 " + "60x13 M " * 12 + "60"
    history = week(Job("sync", words, schedule="0 * * * *", last="2026-11-23 00:00", every=HOUR))

    finding = only(history)
    assert finding.kind == "missing"
    assert finding.sentence == "sync missed 12 of 168 runs, on 7 days; 2 of 168 the week before."


def test_one_finding_a_check_asks_and_takes_the_others_along() -> None:
    finding = only(week(Job("etl", "D60x21 M F D60 M F D60 D60", max_runtime="2 h")))

    assert finding.kind == "failing"
    assert finding.sentence == "etl failed 2 of 7 runs, on Tue and Fri; none the week before."
    assert finding.detail.endswith("It also missed 2.")


# Recovered, never seen, often late ------------------------------------------------------------------------------------


def test_trouble_of_the_week_before_that_did_not_return_has_recovered() -> None:
    assert told(week(Job("mirror", "60x14 60 M 60 F 60x3 60x7"))) == [
        ("recovered", "mirror recovered: missed 1 and failed 1 of 7 runs the week before, none since.")
    ]


def test_a_weekly_job_has_not_recovered_by_one_good_run() -> None:
    job = Job("weekly", "60x9 M 60", schedule="0 3 * * 0", every=timedelta(days=7))

    assert told(week(job)) == []


def test_sites_that_one_round_looks_at_recover_together() -> None:
    """Each came an hour late on four of seven days of the week before: a grace of 15 min was passed."""
    sites = [Job(f"site-{i}", "60x14 60 3600x4 60 60 60x7", grace="15 min") for i in range(3)]

    finding = only(week(*sites))
    assert finding.sentence == ("3 checks of frames recovered: came late on 12 of 21 runs the week before, in time since.")
    assert finding.tone == "good" and not finding.asks


def test_a_check_that_never_pinged_is_new_and_not_down() -> None:
    described = Job("new", "M", valid_from=instant("2026-11-10 12:00"))

    assert told(week(described, Job("backup", "60x40"))) == [
        ("never_seen", "new has not pinged once since it was described on Tue 10 Nov.")
    ]


def test_lateness_that_is_the_habit_of_a_check_is_worth_knowing() -> None:
    """The grace is 15 min; it takes 20 min on most days, in both weeks. Of a check that pages nobody that is all there is."""
    finding = only(week(Job("rss", "1200x30 60 60 1200x5", grace="15 min", severity="info")))

    assert (finding.kind, finding.asks, finding.tone) == ("late", False, "quiet")
    assert finding.sentence == "rss came late 5 of 7 times; 7 of 7 the week before."
    assert finding.detail == "The grace is 15 min, the median delay 20 min: give a longer one, or find the cause."


# Severity and order ---------------------------------------------------------------------------------------------------


def test_who_calls_a_check_info_is_asked_only_when_it_is_down() -> None:
    failing, down = (
        findings(week(Job("a", "D60x21 F D60 F D60x4", severity="info"))),
        findings(week(Job("b", "D60x26 F", severity="info"))),
    )

    assert [(f.kind, f.asks, f.tone) for f in (*failing, *down)] == [
        ("failing", False, "quiet"),
        ("down", True, "warn"),
    ]


def test_the_worst_is_told_first() -> None:
    """What is down before what fails, within a kind by severity, then by size: longest down, largest share."""
    history = week(
        Job("a-fails-little", "D60x21 F D60 F D60x4"),
        Job("b-fails-more", "D60x21 F D60 F D60 F D60 D60"),
        Job("c-critical", "D60x21 F D60 F D60x4", severity="critical"),
        Job("d-down-today", "D60x26 F"),
        Job("e-down-long", "D60x20 F F F F F F F"),
    )

    assert [f.check for f in findings(history)] == [
        "e-down-long",
        "d-down-today",
        "c-critical",
        "b-fails-more",
        "a-fails-little",
    ]
