"""Drift with dates, jobs that are suddenly done too soon, and pages for nothing: what is said of them, and when not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from telling import Job, instant, only, told, week

from qpanalytics import report
from qpanalytics.history import History
from qpanalytics.policy.rules import Policy
from qpanalytics.report.evidence import dots
from qpanalytics.report.model import Arrivals, Dots
from qpanalytics.report.page import page
from qpanalytics.settings_policy import PolicyTable
from qpanalytics.verdict import findings

QUARTER = timedelta(minutes=15)


def around(level: float, n: int, *, seed: int = 1, noise: float = 0.04) -> list[float]:
    """So many run times around a level, seconds."""
    return [level * float(np.exp(noise * v)) for v in np.random.default_rng(seed).standard_normal(n)]


def words(values: list[float], kind: str = "D") -> str:
    return " ".join(f"{kind}{value:.0f}" for value in values)


def rising(days: int = 24, **promise: Any) -> Job:
    """Four minutes a night, and since so many days 3.5 % of that more each night."""
    grown = [value * (1 + 0.035 * max(i - 149 + days, 0)) for i, value in enumerate(around(240, 150, seed=3, noise=0.06))]
    return Job("backup-db", words(grown), **promise)


def sync(**promise: Any) -> Job:
    """Every quarter of an hour, 40 s or so; five runs of the week are 5.5 to 6.5 min late, some of the months before 7 min."""
    late = around(40, 96 * 120, noise=0.3)
    for place, back in enumerate((498, 400, 303, 205, 100)):
        late[-back] = 330 + 15 * place
    for back in range(1000, 10_000, 1600):
        late[-back] = 420
    return Job("sync-crm", words(late, ""), schedule="*/15 * * * *", last="2026-11-22 23:45", every=QUARTER, **promise)


def quarters(*jobs: Job) -> History:
    return week(*jobs, as_of=instant("2026-11-23 00:01"))


# Drift ----------------------------------------------------------------------------------------------------------------


def test_a_trend_is_told_with_its_date_and_when_it_meets_its_limit_between_which_days() -> None:
    """8.0 min after 24 nights, 0.14 min more each night: 10 min two weeks later at most, sooner for the one run in twenty."""
    finding = only(week(rising(grace="15 min", max_runtime="10 min")))

    head, _, met = finding.sentence.partition("; ")
    assert head.startswith("backup-db is drifting: p95 4 min 20 s -> 8 min since ")
    assert met.startswith("reaches its max runtime on about ") and finding.detail.startswith("Between ")
    assert "if it goes on like this." in finding.detail
    assert abs(finding.since_at - instant("2026-10-30 03:00")) <= timedelta(days=6)  # type: ignore[operator]
    lo, at, hi = (instant(finding.figures[name][:16]) for name in ("meets_lo_at", "meets_at", "meets_hi_at"))
    assert lo < at < hi and instant("2026-11-24 00:00") < at < instant("2026-12-08 00:00")
    assert (finding.kind, finding.tone) == ("drifting", "warn")


@pytest.mark.parametrize(("runs", "asks"), [(5, True), (25, False), (60, None)])
def test_a_step_is_new_once_then_stands_and_then_is_no_more_told(runs: int, asks: bool | None) -> None:
    job = Job("etl", f"{words(around(600, 60))} {words(around(1100, runs, seed=2))}", grace="2 h")

    found = [(f.kind, f.asks) for f in findings(week(job))]
    assert found == ([] if asks is None else [("drifting", asks)])


def test_a_step_at_a_change_of_the_schedule_was_wanted_and_asks_for_nobody() -> None:
    job = Job("etl", f"{words(around(600, 60))} {words(around(1100, 5, seed=2))}", grace="2 h")
    history = week(job)
    with history.store.write() as con:  # another max runtime from the first long run on
        con.execute(
            """
            insert into store.versions by name
            select * replace ('2026-11-18 02:00:00+00'::timestamptz as valid_from, 7200.0 as max_runtime_s) from store.versions
            """
        )

    (finding,) = findings(history)
    assert not finding.asks
    assert "Its schedule or its limits were changed at the same time." in finding.detail


def test_a_job_that_suddenly_takes_a_third_of_its_time_asks_what_it_left_undone() -> None:
    finding = only(week(Job("mirror", f"{words(around(600, 60))} {words(around(190, 5, seed=2))}", grace="1 h")))

    assert finding.sentence == "mirror takes a third of the time: median 10 min -> 3 min 10 s since Wed."
    assert finding.detail == "What it did in the rest of the time may be missing: look at what it left undone."
    assert (finding.kind, finding.label, finding.asks) == ("faster", "Faster", True)


def test_a_job_that_takes_half_of_its_time_or_seconds_is_left_in_peace() -> None:
    half = Job("half", f"{words(around(600, 60))} {words(around(300, 5, seed=2))}", grace="1 h")
    quick = Job("quick", f"{words(around(6, 60))} {words(around(2, 5, seed=2))}", grace="1 h")
    assert told(week(half, quick)) == []


# Noise ----------------------------------------------------------------------------------------------------------------


def test_pages_for_nothing_are_told_with_the_grace_that_spares_them_and_its_price() -> None:
    """The latest came 90 s after the page at 5 min. 7 min is the longest of 120 days, so a real miss is told 2 min later."""
    finding = only(quarters(sync(grace="5 min")))

    assert finding.sentence == (
        "sync-crm would have paged 5 times and came back by itself within 1 min 30 s each time. "
        "Grace 5 min -> 7 min: 5 pages fewer that week; a real miss is told 2 min later."
    )
    assert finding.detail == (
        "Nothing real would have been lost in the last 90 days. Counted by replaying that week with the policy in force."
    )
    assert (finding.kind, finding.tone, finding.asks) == ("noisy", "quiet", False)


def test_a_habit_of_coming_late_is_noise_where_it_pages_and_not_told_twice() -> None:
    """The grace is 15 min; it takes 20 min on most days."""
    finding = only(week(Job("rss", "1200x30 60 60 1200x5", grace="15 min")))
    assert finding.sentence.startswith("rss would have paged 5 times and came back by itself within 5 min each time.")


def test_checks_of_one_job_that_page_for_nothing_together_are_one_finding() -> None:
    sites = [Job(f"site-{i}", f"1200x30 60 60 {1200 + 60 * i}x5", grace="15 min") for i in range(4)]

    finding = only(week(*sites))
    assert finding.checks == ("site-0", "site-1", "site-2", "site-3")
    assert finding.sentence == "4 checks of frames would have paged 5 times for runs that came by themselves within 8 min."


def test_a_policy_that_sends_no_such_page_is_not_noisy() -> None:
    history = quarters(sync(grace="5 min"))
    calm = Policy(PolicyTable(failures_in_a_row=2), channels=("oncall",))
    object.__setattr__(history, "policy", calm)

    assert [f.kind for f in findings(history) if f.kind == "noisy"] == []


def test_runs_later_than_half_the_gap_are_real_and_make_no_noise() -> None:
    late = around(40, 96 * 60, noise=0.3)
    for back in (100, 205, 303, 400):
        late[-back] = 600  # of 900 s to the next one
    job = Job("sync-crm", words(late, ""), schedule="*/15 * * * *", last="2026-11-22 23:45", every=QUARTER, grace="5 min")
    assert [f.kind for f in findings(quarters(job)) if f.kind == "noisy"] == []


# The page -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> report.Report:
    return report(quarters(rising(grace="15 min", max_runtime="10 min"), sync(grace="5 min")))


def test_the_digest_has_what_to_quieten_and_the_suggested_grace_on_page_and_as_text(made: report.Report) -> None:
    facts = made.facts
    assert [f.kind for f in facts.needs] == ["drifting"] and [f.kind for f in facts.quieten] == ["noisy"]
    assert not facts.notes
    row = next(row for row in facts.all_rows if row.check == "sync-crm")
    assert (row.grace_s, row.suggested_s) == (300, 420)
    html, text = made.html, made.text
    assert html.index("What needs you") < html.index("What you can quieten") < html.index("The evidence")
    assert "now,<br>suggested" in html and "Grace now, suggested" in text
    assert "What you can quieten" in text and "5 min, 7 min" in text


def test_the_figures_show_the_change_the_way_to_the_limit_and_both_graces(made: report.Report) -> None:
    drift, steps = made.facts.evidence
    assert isinstance(drift, Dots) and isinstance(steps, Arrivals)
    assert drift.ahead is not None and drift.ahead.path[-1][1] == pytest.approx(600)
    assert drift.ahead.lo_us < drift.ahead.met_us < drift.ahead.hi_us and drift.limit_s == 600
    assert [text.partition(" 2")[0] for _, text in drift.changes] == ["trend since"]
    svg = str(dots(drift))
    assert svg.count("q-cone") == svg.count("q-ahead") == svg.count("q-met") == 1
    assert [mark.value_s for mark in steps.marks] == [300, 420]
    assert "q-ahead{" in page(made.facts)


def test_a_quiet_page_carries_nothing_of_it() -> None:
    html = report(week(Job("a", "60x40"))).html
    assert "q-ahead" not in html and "quieten" not in html


def test_the_page_of_a_check_shows_its_changes_and_where_the_last_one_leads() -> None:
    facts = report(week(rising(grace="15 min", max_runtime="10 min")), check="backup-db").facts
    figure = facts.figures[0]
    assert isinstance(figure, Dots) and figure.ahead is not None
    assert len(figure.changes) == 1 and "Changes: trend since" in figure.alt
