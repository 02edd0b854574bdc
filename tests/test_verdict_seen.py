"""What could not be seen, judged or told: it is said as that, and never as a success or a miss."""

from __future__ import annotations

from datetime import timedelta

from telling import AS_OF, SINCE, UNTIL, Job, frames, instant, only, told, week

from qpanalytics.collect.frames import fill
from qpanalytics.history import History
from qpanalytics.store.db import MemoryStore
from qpanalytics.verdict import findings


def test_a_source_that_fell_silent_is_told_once_for_all_its_checks() -> None:
    """The file ends on Thu at 12:00: of three daily runs each nothing is known."""
    jobs = [Job(f"job-{i}", "60x30", last="2026-11-19 03:00") for i in range(3)]
    finding = only(week(*jobs, covers_until=instant("2026-11-19 12:00")))

    assert finding.sentence == "no data from frames since Thu 12:00; 3 checks have not been judged since."
    assert finding.detail == "9 expected runs this week cannot be counted. Collect or import what came since."
    assert finding.asks and finding.tone == "warn"


def test_one_check_without_data_is_told_by_its_name() -> None:
    assert told(week(Job("job", "60x30", last="2026-11-19 03:00"), covers_until=instant("2026-11-19 12:00"))) == [
        ("not_vouched", "no data from job since Thu 12:00; it has not been judged since.")
    ]


def test_silence_that_is_known_for_long_asks_nobody() -> None:
    """The data ended in October. It is not down, and no longer news."""
    finding = only(week(Job("job", "60x30", last="2026-10-19 03:00"), covers_until=instant("2026-10-19 12:00")))

    assert finding.sentence == "no data from job since Mon 19 Oct 12:00; it has not been judged since."
    assert not finding.asks and finding.tone == "quiet"


def test_a_hole_between_two_files_is_told_with_what_it_hides() -> None:
    """Nothing is known from Tue 12:00 to Thu 03:00, in which one run was expected."""
    store = MemoryStore()
    checks, first = frames([Job("job", "60x30", last="2026-11-17 03:00")], AS_OF)
    fill(store, checks=checks, pings=first, covers_until=instant("2026-11-17 12:00"))
    _, second = frames([Job("job", "60x4")], AS_OF)
    fill(store, checks=checks, pings=second, covers_until=AS_OF)

    finding = only(History(store, as_of=AS_OF, since=SINCE, until=UNTIL))
    # Thu's own run is not vouched from its window on, which begins at 03:00, a minute before the second file does.
    assert finding.sentence == "no data from job between Tue 12:00 and Thu 03:01; 2 expected runs cannot be counted."
    assert not finding.asks


def test_a_few_unseen_minutes_between_runs_are_not_worth_a_sentence() -> None:
    assert told(week(Job("job", "60x30"), as_of=AS_OF, covers_until=instant("2026-11-22 20:00"))) == []


def test_trouble_before_the_silence_is_still_told() -> None:
    found = findings(week(Job("job", "D60x30 F D60 F", last="2026-11-19 03:00"), covers_until=instant("2026-11-19 12:00")))

    assert [f.kind for f in found] == ["failing", "not_vouched"]
    assert found[0].sentence == "job failed 2 of 4 runs, on Tue and Thu; none the week before."


def test_a_check_is_new_for_four_weeks_only() -> None:
    """A weekly job has three runs after three weeks, and nine after nine, when nobody calls it new any more."""
    young = Job("weekly", "60x3", schedule="0 3 * * 0", every=timedelta(days=7))
    older = Job("weekly", "60x9", schedule="0 3 * * 0", every=timedelta(days=7))

    assert told(week(young)) == [("not_judged", "weekly: 3 occurrences so far, verdicts start at 20.")]
    assert told(week(older)) == []


def test_new_checks_are_told_together() -> None:
    finding = only(week(*(Job(f"job-{i}", "60x5") for i in range(6))))

    assert finding.sentence == "6 checks are too new to be compared: job-0, job-1, job-2 and 3 more."


def wandering(name: str, days: int = 30) -> Job:
    """An hourly check that comes at any minute of the hour: 1 min, 13 min, ... 49 min after the tick, in turn."""
    words = " ".join(f"{60 + 720 * (i * 3 % 5)}" for i in range(24 * days))
    return Job(name, words, schedule="0 * * * *", last="2026-11-22 23:00", every=timedelta(hours=1), grace="10 min")


def test_a_check_that_comes_at_any_moment_is_not_judged_by_its_ticks() -> None:
    """Lateness of 1, 37, 13, 49 and 25 min in turn: p90 - p10 is 0.8 of the hour, gaps are 96, 36, 96, 36 and 36 min."""
    finding = only(week(wandering("ci")))

    assert finding.sentence == "ci comes every 36 min, longest 1 h 36 min in 90 days, at any moment between two ticks."
    assert finding.kind == "cannot_tell" and not finding.asks


def test_such_checks_are_told_together() -> None:
    finding = only(week(wandering("a"), wandering("b")))

    assert finding.sentence == "2 checks come at any moment between two ticks: a and b."


def test_a_check_that_cannot_be_judged_by_ticks_is_down_after_the_longest_silence() -> None:
    """It last came on Sun at 12:49 and was never silent for more than 96 min: down from 14:25 on."""
    job = wandering("ci")
    job.pings = [ping for ping in job.pings if ping["received_at"] < instant("2026-11-22 13:00")]

    finding, note = findings(week(job))
    assert finding.sentence == "ci has been silent for longer than ever; down since Sun 14:25."
    assert finding.detail == "No gap of the 90 days before was longer than 1 h 36 min. It last succeeded Sun 12:49."
    assert note.kind == "cannot_tell"
