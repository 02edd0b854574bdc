"""`qpa report --check KEY` and `qpa.report(h, check=...)`: what the page of one check says, and what it refuses."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command import qpa as command
from command import refused
from telling import AS_OF, Job, frames, instant, week
from test_cli import store  # noqa: F401 - a fixture
from test_page import Tree

import qpanalytics as qpa
from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.analysis.grace import a_year, candidates
from qpanalytics.collect.frames import fill
from qpanalytics.errors import UsageError
from qpanalytics.history import History, Pick
from qpanalytics.report.check import CheckReport, check_report, words
from qpanalytics.report.check.patterns import chance
from qpanalytics.store.db import Store

ROOT = Path(__file__).resolve().parent.parent
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def said(made: CheckReport) -> str:
    """The text as one line."""
    return " ".join(made.text.split())


@pytest.fixture(scope="module", params=["histories", "recorded"])
def bundled(request: pytest.FixtureRequest) -> Iterator[History]:
    yield qpa.demo(request.param)


# What it says ---------------------------------------------------------------------------------------------------------


def test_a_bundled_check_has_a_page_whose_numbers_are_those_of_the_analyses(bundled: History) -> None:
    # sites that are looked at together are much alike: every eighth of them will do
    known = list(bundled.checks.check)
    for check in known if len(known) < 30 else {*known[::8], "probe", "rss", "feed", "parking", "tor-list", "webscrape"}:
        made = check_report(bundled, check)
        facts = made.facts
        same = replace(made.history, pick=Pick((check,))).window(made.history.since, made.history.until)
        with same.session():
            success, lateness, durations = qpa.success(same), qpa.lateness(same), qpa.durations(same)
        row = success.set_index("check").loc[check]
        if not row.why.startswith("cannot tell"):
            t = facts.row.tally
            assert (t.n, t.on_time, t.late, t.missed, t.failed, t.hung) == (
                row.n, row.on_time, row.late, row.missed, row.failed, row.hung,
            ), check  # fmt: skip
            assert facts.came.n == 0 or (facts.came.lo, facts.came.hi) == (row.rate_lo, row.rate_hi)
        if facts.row.tally.down_s is not None:
            listed = math.fsum(down.down_s for down in facts.downs) + facts.downs_more_s
            assert listed == pytest.approx(facts.row.tally.down_s, abs=1e-5), check
            assert len(facts.downs) + facts.downs_more == facts.row.tally.downs, check
        late = lateness.set_index("check").loc[check]
        assert facts.lateness_p50.value_s is None or facts.lateness_p50.value_s == pytest.approx(late.p50_s)
        took = durations.set_index("check").loc[check]
        assert facts.duration_p50.n == took.n
        html = made.html
        root = Tree(html).root
        assert len(root.all()) <= 2_000 and len(html) <= 120_000, check
        assert not root.all("script") and not root.all("img")
        assert spell.plain(check) in made.text


def test_a_share_comes_with_its_interval_and_its_n() -> None:
    made = check_report(week(Job("a", "60x38 M F"), as_of=instant("2026-11-22 12:00")), "a")
    lo, hi = (spell.percent(float(end)) for end in stats.wilson(38, 40))

    assert f"On time 95.0 % 38 of 40 runs; 95 % sure between {lo} and {hi}" in said(made)
    assert "Missed 1 of 40 runs" in said(made)


def test_of_few_runs_no_percentage_is_given() -> None:
    text = said(check_report(week(Job("a", "60x4 M")), "a"))

    assert "On time 4 of 5 95 % sure between 38 and 96 of 100" in text
    assert "What each grace costs" not in text  # five arrivals price nothing


def test_the_window_is_the_ninety_days_of_the_reader_up_to_as_of() -> None:
    history = week(Job("a", "60x50"))  # looked at on Mon 23 Nov, 01:00 UTC, which is 22 Nov in New York
    window = check_report(history, "a", tz="America/New_York").facts.window

    assert (window.since_at, window.as_of) == (instant("2026-08-25 04:00"), AS_OF)
    assert [len(strip.cells) for strip in check_report(history, "a").facts.strips] == [30, 30]  # the third was before it began


def test_a_window_of_ones_own_is_shown_as_asked_and_days_too_many_are_counted() -> None:
    history = week(Job("a", "60x400"), since=instant("2025-10-01 00:00"))
    facts = check_report(history, "a", period="custom").facts

    assert sum(len(strip.cells) for strip in facts.strips) == 360
    assert facts.days_left_out == 58 and facts.row.tally.n == 400
    assert "The first 58 days of the window are counted and not drawn." in said(check_report(history, "a", period="custom"))


def test_stretches_of_down_time_say_why_and_how_soon_they_could_be_known() -> None:
    # Fails on the 18th, does not come on the 19th; comes two hours late on the 21st.
    made = check_report(week(Job("a", "60x30 F M 60 7200 60", grace="1 h")), "a")
    late, failed = made.facts.downs

    assert (failed.cause, failed.runs, failed.down_s, failed.known_after_s) == ("failed", 2, 2 * 86_400.0, 60.0)
    assert (late.cause, late.runs, late.down_s, late.known_after_s) == ("late", 0, 3_600.0, 3_600.0)
    assert "Sat 21 Nov 04:00 1 h came late none 1 h" in said(made)
    assert "Wed 18 Nov 03:01 2 d failed 2 1 min" in said(made)


def test_a_job_that_sends_no_starts_is_not_said_to_have_never_begun() -> None:
    silent = check_report(week(Job("a", "60x30 M 60")), "a").facts.downs[0]
    telling = check_report(week(Job("a", "D60x30 M D60")), "a").facts.downs[0]

    assert (silent.never_began, telling.never_began) == (0, 1)


def test_graces_are_priced_as_qpa_grace_has_them_and_the_suggested_one_is_drawn() -> None:
    # a hundred different minutes in no order: one in 101 runs is later than the latest, which is 0.3 a month
    history = week(Job("a", " ".join(str(60 * (37 * i % 101)) for i in range(1, 101)), grace="1 h"))
    made = check_report(history, "a")
    told = candidates(a_year(made.history))
    assert made.facts.prices is not None
    rows = made.facts.prices.rows

    assert [(r.grace_s, r.told, r.a_month, r.lo, r.hi, r.missed) for r in rows] == list(
        told[["limit_s", "told", "false_alarms_per_month", "false_alarms_lo", "false_alarms_hi", "missed_real"]].itertuples(
            index=False, name=None
        )
    )
    assert "1 h 40 min keeps to 0.5 false alarms a month." in said(made)
    assert "1 h, now 40 runs" in said(made) and "1 h 40 min, suggested, longest seen 0 runs" in said(made)
    assert [mark.label.split()[0] for mark in made.facts.figures[0].marks] == ["grace", "suggested"]  # type: ignore[union-attr]


def test_where_no_grace_is_suggested_the_page_says_why() -> None:
    short = check_report(week(Job("a", " ".join(str(60 * (11 * i % 31)) for i in range(1, 31)))), "a")

    told = said(short)
    assert "No grace is suggested: the present 1 h keeps 0.5 a month (about 0.48), and none that is shorter is known to" in told
    assert "Two graces" not in said(short)


def test_a_growth_within_the_window_is_said_with_its_interval() -> None:
    words_ = " ".join(f"D{300 + 4 * i}" for i in range(90))
    made = check_report(week(Job("a", words_, grace="1 h")), "a")

    assert re.search(r"Median of the first 30 days 6 min -> 10 min of the last; 95 % sure .* more \(n \d+ and \d+\)", said(made))
    flat = check_report(week(Job("a", " ".join(["D290 D310"] * 45))), "a")
    assert "no change to be told from scatter" in said(flat)


def test_the_last_runs_come_with_exit_status_and_the_first_line_of_what_they_said(tmp_path: Path) -> None:
    checks, pings = frames([Job("a", "60x3 F7")], AS_OF)
    pings["body"] = [None, None, None, None, "\n  disk full \x1b[31m<b>  \nsecond line"]
    kept = Store(tmp_path / "bodies.duckdb")
    fill(kept, checks=checks, pings=pings, covers_until=AS_OF)
    made = check_report(History(kept, as_of=AS_OF, since=AS_OF, until=AS_OF), "a")

    assert (made.facts.runs[0].exit_status, made.facts.runs[0].said) == (7, "disk full \x1b[31m<b>")
    assert "failed, exit 7: disk full \\x1b[31m<b>" in made.text
    assert "disk full \\x1b[31m&lt;b&gt;" in made.html and "second line" not in made.html


# What cannot be said --------------------------------------------------------------------------------------------------


def test_a_check_without_a_schedule_has_runs_and_no_rate() -> None:
    text = said(check_report(week(Job("a", "60x40 F", schedule=None)), "a"))

    assert "It has no schedule, so no run was ever due" in text
    assert "Reported failure 2.4 % 1 of 41 runs; 95 % sure between" in text
    assert "On time " not in text.split("Schedule")[0] and "Between completions 1 d" in text


def test_a_check_that_never_pinged_says_so() -> None:
    text = said(check_report(week(Job("b", "60x40"), Job("a", "M M M")), "a"))

    assert text.startswith("a has never pinged") and "No ping of it has come by then" in text
    assert "When it was down" not in text and "The last" not in text


def test_a_check_of_which_nothing_was_due_says_when_it_will_be() -> None:
    text = said(check_report(week(Job("a", "60x2", schedule="0 3 1 1 *")), "a"))

    assert "There is no rate and no lateness: no expected runs in this window." in text
    assert "Next due Fri 1 Jan 2027 03:00" in text


def test_a_paused_check_says_so_and_its_runs_are_excused() -> None:
    paused = [{"check": "a", "since_at": instant("2026-11-20 00:00"), "until_at": None}]
    made = check_report(week(Job("a", "60x30 M M M", last="2026-11-22 03:00"), pauses=paused), "a")

    assert said(made).startswith("a is paused") and "runs expected meanwhile are excused" in said(made)
    assert (made.facts.row.tally.excused, made.facts.row.tally.n) == (3, 30)
    assert made.facts.strips[-1].cells[-4:-1] == ("excused",) * 3


def test_a_promise_that_ended_is_not_called_a_pause() -> None:
    text = said(check_report(week(Job("a", "60x30", last="2026-11-01 03:00", valid_to=instant("2026-11-02 00:00"))), "a"))

    assert text.startswith("a has ended") and "Its last promise ended Mon 2 Nov 00:00; nothing has been due since." in text


def test_where_ticks_cannot_be_told_apart_gaps_stand_in_place_of_rate_and_lateness() -> None:
    history = qpa.demo("histories")
    made = check_report(history, "probe")
    text = said(made)

    assert "which tick a run belongs to has no answer: there is no rate and no lateness" in text
    assert "On time " not in text.split("Schedule")[0] and "Late by" not in text and "Next due" not in text
    assert re.search(r"Between completions 1 h \d+ min median \(.* to .*\); p95 .* gaps", text)
    assert [figure.title for figure in made.facts.figures] == ["Time between completions", "How long until the next one"]
    assert made.facts.prices is None


@pytest.mark.parametrize(
    ("since", "until", "as_of", "words_"),
    [
        ("2020-01-01 00:00", "2020-03-01 00:00", "2026-11-23 01:00", "a had not begun in this window"),
        ("2019-12-01 00:00", "2020-01-01 00:00", "2020-01-01 00:00", "a had not begun by then"),
    ],
)
def test_a_window_before_anything_was_known_says_so(since: str, until: str, as_of: str, words_: str) -> None:
    history = replace(week(Job("a", "60x30")), as_of=instant(as_of)).window(instant(since), instant(until))
    text = said(check_report(history, "a", period="custom"))

    assert text.startswith(words_)
    assert "the check began after this window" in text


def test_what_nobody_saw_is_said_and_drawn_as_unknown() -> None:
    history = week(Job("a", "60x30", last="2026-11-01 03:00"), covers_until=instant("2026-11-01 04:00"))
    made = check_report(history, "a")

    assert "Seen: 57." in said(made) and "What we could not see" in said(made)
    assert '<a href="#unseen">' in made.html and 'id="unseen"' in made.html
    assert made.facts.strips[-1].cells[-10:-1] == ("unknown",) * 9
    assert made.facts.row.tally.missed == 0


# Which check ----------------------------------------------------------------------------------------------------------


def test_a_check_is_found_by_name_and_by_key_and_an_unknown_one_names_the_nearest() -> None:
    history = qpa.demo("recorded")
    keys = history.checks.set_index("check").key

    assert qpa.report(history, check=keys["db-backup"]).facts.check == "db-backup"
    with pytest.raises(UsageError, match=r'no check is called "db-bakup", .*; the nearest is "db-backup". See: qpa checks'):
        qpa.report(history, check="db-bakup")
    with pytest.raises(UsageError, match=r"none of the tags and sources|no check matches"):
        qpa.report(replace(history, pick=Pick(tags=("staging",))), check="db-backup")


def test_a_name_that_is_a_pattern_means_itself() -> None:
    made = check_report(week(Job("*", "60x30 M"), Job("other", "M M M 60")), "*")

    assert (made.facts.check, made.facts.row.tally.n) == ("*", 31)
    assert {finding.checks for finding in made.facts.needs} <= {("*",)}


def test_a_name_that_means_harm_is_text_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    for name in (EVIL, "../../../etc/passwd", "..", "a\nb\x1b[31m", "-rf", "x" * 300, "/abs", "\u202eevil", "con.", "é/ü"):
        made = check_report(week(Job(name, "60x25 M M")), name)
        html = made.html + made._repr_html_()
        assert not re.search(r"<script|<img|https?://|\x1b|\u202e", html), name
        path = made.write(tmp_path / "out")
        assert path.parent == tmp_path / "out" and path.name.startswith("check-"), name
        assert len(path.name) < 200 and re.fullmatch(r"[A-Za-z0-9_.-]+", path.name), name
        assert "\x1b" not in made.text and len(made.text.splitlines()[0]) <= 350
        assert isinstance(HTMLParser().feed(made.html), type(None)) and Tree(made.html)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    assert len(list((tmp_path / "out").iterdir())) == 10


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_it_prints_and_twice_the_same_bytes(store: Path) -> None:  # noqa: F811
    at = ("report", "--check", "backup", "--as-of", "2026-10-30T08:00:00Z")
    one, two = (command(store, *at, "--out", out, PYTHONHASHSEED=seed) for out, seed in (("a", "1"), ("b", "2")))
    assert (one.returncode, one.stderr) == (0, ""), one.stderr
    assert one.stdout == "backup needs you: a/check-backup-2026-10-30.html\n"
    (first,), (second,) = (store / "a").iterdir(), (store / "b").iterdir()
    assert two.returncode == 0 and first.read_bytes() == second.read_bytes()

    shown = command(store, *at, "--format", "text").stdout
    assert "Missed 1 of 29 runs" in " ".join(shown.split())
    (same,) = re.findall("The same numbers: qpa (.*)", shown)
    assert command(store, *same.split(), "--format", "text").stdout == shown


def test_a_window_a_zone_and_a_text_file_are_as_for_the_digest(store: Path) -> None:  # noqa: F811
    made = command(
        store, "report", "--check", "backup", "--since", "2026-10-10", "--until", "2026-10-20", "--as-of", "2026-10-30T08:00:00Z",
        "--tz", "Asia/Kolkata", "--format", "text", "--out", "out",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (path,) = (store / "out").iterdir()
    assert path.name == "check-backup-2026-10-10-to-2026-10-20.txt"
    assert "times in Asia/Kolkata" in path.read_text() and "08:30" in path.read_text()


def test_a_mistake_is_one_line_and_exit_status_2(store: Path) -> None:  # noqa: F811
    refused(command(store, "report", "--check", "bakcup"), '"bakcup"', 'the nearest is "backup"')
    refused(command(store, "report", "--check", "../../\x1b[31m<b>"), "the nearest is")
    refused(command(store, "report", "--check", "backup", "--tz", "Europe/Atlantis"), "Europe/Atlantis")
    refused(command(store, "report", "--check", "backup", "--db", "none.duckdb"), "none.duckdb")
    refused(command(store, "report", "--check", "backup", "--tag", "none", "--as-of", "2026-10-30"), "none")
    assert not (store / "reports").exists()


def test_a_pattern_a_period_or_two_checks_still_make_a_digest(store: Path) -> None:  # noqa: F811
    at = ("--as-of", "2026-10-20T08:00:00Z", "--format", "text")
    for args in (("--check", "back*"), ("--weekly", "--check", "backup"), ("--check", "backup", "--check", "b*")):
        told = command(store, "report", *args, *at)
        assert told.returncode == 0 and "Weekly digest" in told.stdout, told.stderr


def test_equal_facts_make_equal_bytes_with_another_hash_seed() -> None:
    code = (
        "import hashlib, qpanalytics as qpa\n"
        "made = qpa.report(qpa.demo('recorded'), check='etl-overlap', tz='Europe/Berlin')\n"
        "whole = (made.html + made.text).replace(str(made.history.store.path.parent), '')  # a folder of its own each time\n"
        "print(hashlib.sha256(whole.encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed, zone in (("1", "Asia/Tokyo"), ("2", "UTC"))
    }  # fmt: skip
    assert len(found) == 1


def test_page_and_text_say_the_same(bundled: History) -> None:
    for check in sorted(bundled.checks.check)[:6]:
        made = check_report(bundled, check)
        page = " ".join(Tree(made.html).root.text().replace("\N{NO-BREAK SPACE}", " ").replace("→", "->").split())
        for label, now, notes in words.boxes(made.facts):
            assert f"{label} {now}" in said(made)
            for part in (now, *notes):
                assert part in page, (check, part)
        for of in made.facts.downs:
            for cell in words.down(of, made.facts):
                assert cell == "none" or (cell in page and cell in made.text), (check, cell)


def test_a_day_of_the_week_that_is_worse_than_the_others_is_named_and_scatter_is_not() -> None:
    # 84 days that end on Sun 22 Nov; on ten of the twelve Sundays nothing came, elsewhere two runs failed.
    days = ["60"] * 84
    for sunday in range(6, 70, 7):
        days[sunday] = "M"
    days[10] = days[30] = "F"
    made = check_report(week(Job("a", " ".join(days))), "a")
    scattered = check_report(week(Job("a", "60x10 M 60x20 F 60x17 M 60x30 M 60x3")), "a")

    assert made.facts.patterns == (
        "On Sundays in UTC 2 of 12 runs came on time (95 % sure between 5 and 45 of 100), at other times 70 of 72.",
    )
    assert made.facts.patterns[0] in said(made)
    assert scattered.facts.patterns == ()
    # Three or four of four bad runs of 84 on one of seven days: (220 * 72 + 495) / 1,929,501, worked out by hand.
    assert chance(3, 12, 4, 84) == pytest.approx(16_335 / 1_929_501)
    assert chance(0, 12, 0, 84) == pytest.approx(1.0)
