"""What a digest shows of queues: headline, table, figures, what it escapes and what it weighs; and nothing without looks."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
import queue_weeks as weeks
import telling
from test_page import Node, Tree

from qpanalytics.report import queue_figures, queue_words, report, wording
from qpanalytics.report.facts import facts
from qpanalytics.report.model import Facts
from qpanalytics.report.page import fragment, page
from qpanalytics.report.queue_model import Heat, Levels, Line, PerMinute, QueueFacts, QueueRow, Rates
from qpanalytics.report.text import text
from qpanalytics.sources.base import QueueLook


@cache
def bad_week() -> Facts:
    """The week with planted faults."""
    return facts(weeks.history(weeks.looks()), period="weekly")


@cache
def tree() -> Node:
    return Tree(page(bad_week())).root


def rows_of(of: QueueFacts | None) -> dict[str, QueueRow]:
    assert of is not None
    return {row.label: row for row in (*of.rows, *of.well)}


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_headline_counts_queues_and_workers_that_need_somebody() -> None:
    got = bad_week()
    assert wording.verdict(got) == "4 of 6 queues and 2 workers need you"
    assert text(got).startswith("4 of 6 queues and 2 workers need you\n")
    one = replace(got, needs=tuple(f for f in got.needs if f.queues == ("mailers",)))
    assert wording.verdict(one) == "1 of 6 queues needs you"
    assert wording.verdict(replace(got, needs=())) == "Nothing needs you"
    assert wording.lead(replace(got, needs=())) == "6 queues, none of which needs anybody."


def test_what_needs_somebody_stands_above_with_the_words_of_the_verdicts() -> None:
    said = [item.text() for item in tree().all("ul", "finds")[0].all("li")]
    assert [words.split(" ")[0] for words in said] == ["Workers", "Not", "Not", "Retry", "Dead"]
    assert "mailers fills faster than it drains from 07:50 to " in said[1] and "promised 10\N{NO-BREAK SPACE}min." in said[1]


def test_every_queue_is_in_the_table_once_with_its_figures() -> None:
    queues = bad_week().queues
    assert queues is not None
    assert [row.label for row in queues.rows] == ["mailers", "exports", "images", "webhooks", "low"]
    assert [row.label for row in queues.well] == ["default"]
    rows = rows_of(queues)
    assert queue_words.promise(rows["mailers"]) == "promised 10 min, broken"
    assert queue_words.promise(rows["default"]) == "promised 5 min, kept"
    assert queue_words.drain(rows["exports"]) == ("does not drain", "") and queue_words.workers(rows["exports"]) == "0 of 2"
    assert queue_words.drain(rows["low"]) == ("empty", "") and queue_words.age(rows["low"])[0] == "none waits"
    # 100 jobs in ten minutes, Poisson: the truth lies within the interval
    came = rows["default"].arrivals
    assert came.lo is not None and came.hi is not None and came.lo < 10 < came.hi and came.n == 1007
    assert queue_words.sure(came).endswith("a minute, from 1,007 steps between looks")


def test_the_text_says_the_same_as_the_page() -> None:
    said = text(bad_week())
    table = said[said.index("\nQueues\n") : said.index("Queues are told from looks")]
    assert "exports" in table and "does not drain" in table and "1 more queue is well" in table
    assert "shop: 2 of the usual 4 workers alive; gone or silent: batch-1:7, batch-2:8." in table
    assert "On time: a success" not in said  # rules of what is not on the page


def test_checks_and_queues_share_the_page_and_its_figures() -> None:
    h = telling.week(telling.Job("sender", "60x24 M M M M"), telling.Job("default", "60x28"))
    weeks.filled(h.store, weeks.looks())
    got = facts(replace(h, promises=weeks.promised(), _frames={}, _answers={}), period="weekly")
    assert wording.verdict(got) == "1 of 2 checks, 4 of 6 queues and 2 workers need you"
    assert got.queues is not None and len(got.evidence) + len(got.queues.figures) <= 6
    assert [row.check for row in got.kept] == ["default"]  # a queue of that name lifts no check
    assert "<h2>Queues</h2>" in page(got) and "All checks, worst first" in page(got)


def test_what_a_system_keeps_for_all_its_queues_is_told_of_its_source() -> None:
    def look(k: int) -> list[QueueLook]:
        storm = max(k - 40, 0)
        every = QueueLook("*", retrying=3 + 9 * storm, dead=1, processed_total=40 * k, failed_total=40 * storm)
        return [every, QueueLook("mail", depth=2), QueueLook("low", depth=0)]

    since, until = weeks.AS_OF - timedelta(hours=5), weeks.AS_OF + timedelta(microseconds=1)
    got = facts(weeks.history(weeks.every(5.0, 60, look), promises=(), since=since, until=until), period="custom")
    assert wording.verdict(got) == "1 source needs you"
    assert got.needs[0].sentence.startswith("shop (all queues) has a retry storm since ")
    assert got.queues is not None and got.queues.number == 2
    row = rows_of(got.queues)["shop (all queues)"]
    assert (row.depth, row.retrying, queue_words.rate(row.service)) == (2, 174, "8")
    assert got.queues.figures[0].title == "shop (all queues): retries"


# Without looks --------------------------------------------------------------------------------------------------------


def test_without_looks_a_page_has_nothing_of_queues() -> None:
    got = facts(telling.week(telling.Job("a", "60x26 M M")), period="weekly")
    assert got.queues is None
    for made in (page(got), text(got), fragment(got)):
        assert "ueue" not in made and "orkers" not in made


# Figures --------------------------------------------------------------------------------------------------------------


def test_figures_are_of_what_findings_name_and_each_has_its_sentence() -> None:
    got = bad_week()
    assert got.queues is not None
    kinds = [(type(of).__name__, of.title.partition(":")[0]) for of in got.queues.figures]
    assert kinds == [("Levels", "shop"), ("Levels", "mailers"), ("Heat", "mailers"), ("Levels", "exports"), ("Levels", "images"),
                     ("Levels", "webhooks")]  # fmt: skip
    for svg in tree().all("svg", "q-figure"):
        assert svg.attributes["role"] == "img" and svg.attributes["aria-label"].endswith(".")


def test_the_hours_that_fill_are_squares_and_the_others_dots() -> None:
    heat = next(of for of in (bad_week().queues or QueueFacts()).figures if isinstance(of, Heat))
    squares = re.search(r'q-fills" d="([^"]*)"', queue_figures.drawn(heat))
    assert squares is not None and squares[1].count("z") >= 10  # two hours on each of five weekdays
    grows = {(d, h) for d in range(7) for h in range(24) if (heat.cells[d][h] or 0) > 100}
    assert grows == {(d, h) for d in range(5) for h in (8, 9)}
    empty = Heat("t", "c", "a.", tuple((None,) * 24 for _ in range(7)))
    assert 'q-fills" d=""' in queue_figures.drawn(empty)


def test_a_line_breaks_where_nobody_looked_and_resets_are_marked() -> None:
    line = Line("jobs waiting", "jobs", ((0, 1.0), (10, 2.0), (20, None), (30, 4.0), (40, 4.0)), 3.0, "promised at most 3")
    drawn = queue_figures.drawn(Levels("t", "c", "a.", 0, 40, (line,), ((30, "counter began anew"),)))
    path = re.search(r'class="q-line" d="([^"]*)"', drawn)
    assert path is not None and path[1].count("M") == 2
    assert "counter began anew" in drawn and "promised at most 3" in drawn and 'class="q-limit"' in drawn
    stairs = queue_figures.drawn(Rates("t", "c", "a.", 0, 30, ((0, 10, 1.0, 2.0), (10, 20, None, 2.0), (20, 30, 3.0, None))))
    came = re.search(r'class="q-in" d="([^"]*)"', stairs)
    assert came is not None and came[1].count("M") == 2


@pytest.mark.parametrize(
    ("top", "unit", "labels"),
    [(1, "jobs", ["0", "1 job"]), (4, "jobs", ["0", "1", "2", "3", "4 jobs"]), (0, "workers", ["0", "1 worker"]),
     (1042, "jobs", ["0", "500", "1,000", "1,500 jobs"])],
)  # fmt: skip
def test_axes_count_in_round_whole_numbers(top: float, unit: str, labels: list[str]) -> None:
    assert [label for _, label in queue_figures.count_ticks(top, unit)] == labels


def test_rates_and_times_read_as_people_say_them() -> None:
    assert [queue_words.rate(PerMinute(v)) for v in (None, 0.031, 4.84, 26.4, 3412.0)] == ["n/a", "0.031", "4.8", "26", "3,412"]
    row = QueueRow("q", depth=5, drains="maybe", drain_s=600.0, drain_lo_s=300.0)
    assert queue_words.drain(row) == ("maybe in 10 min", "5 min at the soonest, or never")
    assert queue_words.drain(replace(row, drains="yes", drain_hi_s=1200.0)) == ("10 min", "5 min to 20 min")
    assert [queue_words.drain(one)[0] for one in (replace(row, paused=True), replace(row, fresh=False))] == ["paused", "n/a"]
    assert queue_words.age(QueueRow("q", depth=3, age_s=700.0, age_least=True))[0] == "over 12 min"
    assert queue_words.depth(QueueRow("q", shown=False))[0] == "gone"


# What it escapes and weighs -------------------------------------------------------------------------------------------


def test_names_of_queues_and_workers_are_hostile_text() -> None:
    evil = '<img src=x onerror=alert(1)>"\x1b[2J\u202e'
    shown = weeks.every(5.0, 60, lambda k: QueueLook(evil, depth=900 if k > 30 else 1, orphaned=int(k > 50), processed_total=k))
    until = weeks.AS_OF + timedelta(microseconds=1)
    promises = ({"queue": "*", "depth": 9}, {"queue": evil, "depth": 9})
    h = weeks.history(shown, promises=promises, since=weeks.AS_OF - timedelta(hours=5), until=until)
    got = facts(h, period="custom")
    for made in (page(got), fragment(got)):
        assert "<img" not in made and "\x1b" not in made and "\u202e" not in made
        Tree(made)
    assert got.queues is not None and got.queues.figures
    assert "\x1b" not in text(got) and "\u202e" not in text(got)


def test_fifty_queues_in_trouble_stay_within_the_budget() -> None:
    got = bad_week()
    assert got.queues is not None
    many = tuple(replace(got.queues.rows[i % 5], label=f"queue-{i:02d}") for i in range(50))
    html = page(replace(got, queues=replace(got.queues, rows=many, well=many)))
    nodes = len(re.findall(r"<[a-z]", html))
    assert len(html.encode()) < 120_000 and nodes < 2_500, (len(html), nodes)
    assert "<script" not in html and "http" not in html.replace("http-equiv", "")
    assert page(got) == page(facts(weeks.history(weeks.looks()), period="weekly"))  # byte for byte


def test_the_page_with_charts_is_made_for_a_store_with_queues_alone() -> None:
    shown = weeks.every(5.0, 60, lambda k: QueueLook("q", depth=1))
    made = report(weeks.history(shown, promises=()), period="weekly", explore=True)
    assert "No checks yet" in made.explored and made.verdict == "Nothing needs you"
