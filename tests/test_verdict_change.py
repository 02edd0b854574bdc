"""What grew: with a date where there is one, else against another window; and when a growth is not worth a word."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from telling import Job, instant, only, told, week

from qpanalytics.verdict import findings


def spread(middle: float, *, times: int = 7, by: float = 20, kind: str = "") -> str:
    """Words for `times` runs around `middle` seconds, the same ones each time."""
    steps = [(i - (times - 1) / 2) * by / times for i in range(times)]
    return " ".join(f"{kind}{middle + step:.0f}" for step in steps)


def test_a_job_that_arrives_later_than_the_week_before_is_told() -> None:
    """Medians 20 min and 40 min, each within seconds: a step on the Monday, and 20 min is a third of the grace."""
    finding = only(week(Job("feed", f"1200x14 {spread(1200)} {spread(2400)}", grace="1 h")))

    assert finding.sentence == "feed comes later: median 20 min -> 40 min since Mon."
    assert finding.detail == "The grace is 1 h."
    assert (finding.kind, finding.tone, finding.severity) == ("drifting", "warn", "warning")
    assert finding.figures["before_s"] == 1200 and finding.figures["after_s"] == 2400
    assert finding.since_at == instant("2026-11-16 03:00")


def test_a_job_that_passes_its_grace_is_told_with_how_often() -> None:
    """Median 50 min; then three of seven come after more than an hour."""
    finding = only(week(Job("feed", f"1200x14 {spread(1200)} 3500 3550 3590 3595 3700 3800 3900", grace="1 h")))

    assert finding.sentence == (
        "feed comes later: median 20 min -> 1 h since Mon; one run in twenty is beyond its grace of 1 h."
    )
    assert finding.detail == "It also would have paged 3 times for runs that came by themselves."


def test_a_run_that_takes_longer_is_not_also_told_to_come_later() -> None:
    """Three weeks are few for a date of the change, so the comparison with the week before tells it."""
    finding = only(week(Job("dump", f"D600x14 {spread(600, kind='D')} {spread(900, kind='D')}", grace="1 h")))

    assert finding.kind == "slower"
    assert finding.sentence == "dump runs longer: median 10 min -> 15 min against the week before."
    assert finding.detail == "The longest run took 15 min."


def test_a_run_that_begins_late_and_takes_as_long_is_only_later() -> None:
    """The start ping comes with the delay, so the duration stays one minute."""
    late = Job("queued", "D60x20", grace="1 h")
    for i, ping in enumerate(late.pings):
        wait = 1800 if ping["received_at"] >= instant("2026-11-16 00:00") else 60 + i % 3
        ping["received_at"] += timedelta(seconds=wait)

    finding = only(week(late))
    assert finding.figures["metric"] == "lateness"
    assert finding.sentence == "queued comes later: median 2 min -> 31 min since Mon."


def test_a_slow_growth_is_seen_over_four_weeks() -> None:
    """Two per cent a day: from one week to the next 15 %, under a fifth; doubled in 35 days. No news since 3 Nov, and far from
    its limit: a note."""
    words = " ".join(f"D{600 * 1.02**day:.0f}" for day in range(35))
    finding = only(week(Job("dump", words, grace="3 h", max_runtime="2 h")))

    # It begins with 600 s on 19 Oct and has come to 600 * 1.02**34 = 1176 s.
    assert finding.sentence == "dump is drifting: median 10 min -> 20 min since 21 Oct."
    assert finding.detail == "It may run for 2 h. It has been known since 3 Nov."
    assert (finding.figures["change"], finding.asks) == ("trend", False)


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (spread(600), spread(660), "one minute more, a tenth of what it was"),
        (spread(2, by=1), spread(4, by=1), "twice as long, and nobody waits for two seconds"),
        (spread(600), spread(300), "faster"),
        ("60 900 120 1200 300 60 600", "90 1500 600 1800 60 900 300", "a fifth more, and scattered by more than that"),
    ],
)
def test_a_growth_that_does_not_matter_or_is_not_real_is_not_told(before: str, now: str, why: str) -> None:
    assert told(week(Job("feed", f"600x14 {before} {now}", grace="1 h"))) == [], why


def test_seconds_matter_where_the_grace_is_short() -> None:
    """A fifth of a grace of 60 s: the median goes from 10 s to 25 s."""
    words = " ".join([spread(10, by=4)] * 3 + [spread(25, by=4)])

    assert told(week(Job("poll", words, grace="60 s"))) == [
        ("later", "poll comes later: median 10 s -> 25 s against the week before.")
    ]


def test_a_check_with_few_runs_behind_it_is_not_compared() -> None:
    """Fourteen runs in all: doubled, and still only called new."""
    assert told(week(Job("young", f"{spread(1200)} {spread(2400)}", grace="1 h"))) == [
        ("not_judged", "young: 14 occurrences so far, verdicts start at 20.")
    ]


def test_checks_of_one_round_that_grow_together_are_one_finding() -> None:
    sites = [Job(f"site-{i}", f"1200x14 {spread(1200 + i)} {spread(2400 + i)}", grace="1 h") for i in range(5)]

    finding = only(week(*sites))
    assert finding.sentence == "5 checks of frames come later: median 20 min -> 40 min since Mon."
    assert finding.detail.endswith("and 2 more.")


def test_a_growth_is_told_with_what_went_wrong() -> None:
    """Hourly, 170 runs up to Sunday night: two failures, and a quarter of an hour instead of ten minutes."""
    job = Job("dump", "D600x330 D900x6 F D900x6 F D900x156", schedule="0 * * * *", last="2026-11-22 23:00",
              every=timedelta(hours=1), grace="30 min")  # fmt: skip

    finding = only(week(job, as_of=instant("2026-11-23 00:10")))
    assert finding.kind == "failing"
    assert finding.detail == "The 156 runs since then went well. It also runs longer (median 10 min -> 15 min)."


def test_two_hundred_punctual_checks_are_left_in_peace() -> None:
    """Nothing changes in this fleet; what is told of it is false. At 95 % one side of one comparison errs in 1 of 40.

    A false one must also matter (a fifth of the grace), which these jobs, with a spread of a twentieth, never do; and
    single misses come right by themselves.
    """
    dice = random.Random(20261123)
    jobs = []
    for i in range(200):
        usual = dice.choice([5, 60, 600])
        words = []
        for _ in range(38):
            if dice.random() < 0.002:
                words.append("M")
            else:
                words.append(f"D{usual * dice.lognormvariate(0, 0.25):.1f}")
        jobs.append(Job(f"job-{i:03}", " ".join([*words, f"D{usual}"]), schedule=f"{i % 60} {i % 3} * * *",
                        last=f"2026-11-22 {i % 3:02}:{i % 60:02}"))  # fmt: skip

    found = findings(week(*jobs, as_of=instant("2026-11-23 00:00")))
    assert len([f for f in found if f.kind in ("later", "slower")]) <= 2
    assert len([f for f in found if f.kind in ("missing", "failing", "hung")]) <= 1
    assert not [f for f in found if f.kind in ("late", "not_vouched", "cannot_tell", "never_seen")]
