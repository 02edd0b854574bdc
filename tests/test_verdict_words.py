"""The table of verdicts, the words of sentences, and the commands that show what is behind them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from command import ROOT, qpa
from telling import AS_OF, SINCE, UNTIL, Job, frames, instant, week

from qpanalytics.collect.frames import fill
from qpanalytics.history import History
from qpanalytics.opening import demo
from qpanalytics.report.window import period_window
from qpanalytics.store.db import Store
from qpanalytics.verdict import COLUMNS, findings, verdicts
from qpanalytics.verdict.finding import KINDS, LABELS
from qpanalytics.verdict.voice import Voice, names, pair, quoted

HOSTILE = (
    "<script>alert(1)</script>",
    'it\'s "quoted" $(id) `id` \\ & | ; * ?',
    "line\nbreak\ttab \x1b[31mred",
    "invoice-\u202egpj.exe 🚀",
    "-rf --check",
    "[a-z]*",
)


def demo_week(name: str) -> History:
    """The bundled week that the demo's report tells of."""
    history = demo(name)
    return history.window(*period_window("weekly", history.as_of))


# The table ------------------------------------------------------------------------------------------------------------


def test_the_table_has_its_columns_and_ranks_from_one() -> None:
    table = verdicts(week(Job("a", "D60x26 F"), Job("b", "60x25 M M", grace="15 min")))

    assert list(table) == list(COLUMNS)
    assert table["rank"].tolist() == [1, 2]
    assert table["check"].tolist() == ["b", "a"]  # down since Saturday, down since Sunday
    assert table["checks"].tolist() == [["b"], ["a"]]
    assert str(table["since_at"].dtype) == "datetime64[us, UTC]"
    assert table["since_at"].tolist() == [instant("2026-11-21 03:15"), instant("2026-11-22 03:01")]


def test_nothing_to_say_is_an_empty_table_with_the_same_columns() -> None:
    table = verdicts(week(Job("a", "60x40")))

    assert list(table) == list(COLUMNS) and len(table) == 0
    assert str(table["since_at"].dtype) == "datetime64[us, UTC]" and str(table["rank"].dtype) == "int64"


def test_every_kind_has_a_label() -> None:
    assert set(LABELS) == set(KINDS)


@pytest.mark.parametrize("name", ["histories", "recorded"])
def test_what_the_demo_says_is_plain_data_in_plain_words(name: str) -> None:
    for finding in findings(demo_week(name), tz="Europe/Berlin"):
        json.dumps(finding.figures, allow_nan=False)
        said = f"{finding.sentence} {finding.detail}"
        assert finding.subject in finding.sentence
        assert finding.sentence.endswith(".") and "  " not in said and " ." not in said and ".." not in said
        assert not re.search(r"anomal|!|\bNone\b|nan\b|n/a|\b0 failures|[{}]", said), said
        assert "%" not in said  # counts tell more, and hold under twenty runs
        assert "2026" not in finding.sentence  # the year of the window goes without saying


# Words ----------------------------------------------------------------------------------------------------------------


def voice(since: str, until: str, tz: str = "UTC") -> Voice:
    return Voice(instant(since), instant(until), instant(until), tz)


def test_windows_are_called_what_they_are() -> None:
    # Berlin: the week of the change to winter time is 169 hours long, its Sunday 25.
    assert voice("2026-10-18 22:00", "2026-10-25 23:00", "Europe/Berlin").noun == "week"
    assert voice("2026-10-24 22:00", "2026-10-25 23:00", "Europe/Berlin").noun == "day"
    assert voice("2026-09-30 22:00", "2026-10-31 23:00", "Europe/Berlin").noun == "month"
    assert voice("2026-11-02", "2026-12-02").noun == "window"
    assert voice("2026-11-02", "2026-12-02").now() == "in this window"


def test_moments_within_a_week_are_told_by_day_and_others_by_date() -> None:
    told = voice("2026-11-16", "2026-11-23")

    assert told.moment(instant("2026-11-20 02:30")) == "Fri 02:30"
    assert told.moment(instant("2026-11-23 02:30")) == "Mon 23 Nov 02:30"
    assert told.moment(instant("2024-01-21 10:00")) == "Sun 21 Jan 2024 10:00"
    assert voice("2026-10-01", "2026-11-01").moment(instant("2026-10-20 02:30")) == "Tue 20 Oct 02:30"


@pytest.mark.parametrize(
    ("since", "until", "stamps", "said"),
    [
        ("2026-11-16", "2026-11-23", ["2026-11-16T02:30", "2026-11-16T03:30", "2026-11-18T02:30"], ", on Mon and Wed"),
        ("2026-11-16", "2026-11-23", [f"2026-11-{d}T02:30" for d in range(16, 21)], ", on 5 days"),
        ("2026-11-18", "2026-11-19", ["2026-11-18T02:30", "2026-11-18T14:30"], ", at 02:30 and 14:30"),
        ("2026-11-18", "2026-11-19", [f"2026-11-18T0{h}:30" for h in range(9)], ""),
        (
            "2026-10-01",
            "2026-12-01",
            ["2026-10-30T02:30", "2026-11-02T02:30", "2026-11-04T02:30"],
            ", on Fri 30 Oct, Mon 2 and Wed 4 Nov",
        ),
    ],
)
def test_days_are_listed_while_they_can_be_read(since: str, until: str, stamps: list[str], said: str) -> None:
    assert voice(since, until).days([f"{stamp}:00Z" for stamp in stamps]) == said


def test_names_and_medians_are_told_no_finer_than_they_help() -> None:
    assert names(["a", "b", "c", "d"]) == "a, b, c and d"
    assert names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert pair(939.3, 1151.6) == "16 min -> 19 min"
    assert pair(301.0, 349.0) == "5 min -> 6 min"
    assert pair(306.0, 326.0) == "5 min 6 s -> 5 min 26 s"


# Commands -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_shell_reads_a_quoted_name_as_the_name(name: str) -> None:
    word = quoted(name)

    assert word.isprintable()
    got = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert got.stdout.decode() == name


def test_the_command_of_a_finding_shows_it(tmp_path: Path) -> None:
    """Typed as printed, for a check with each hostile name: it ends well and prints the run that failed."""
    jobs = [Job(name, "D60x26 F", schedule=f"0 3 * * {i % 7},*") for i, name in enumerate(HOSTILE)]
    checks, pings = frames(jobs, AS_OF)
    store = Store(tmp_path / "a store.duckdb")
    fill(store, checks=checks, pings=pings, covers_until=AS_OF)

    said = findings(History(store, as_of=AS_OF, since=SINCE, until=UNTIL))
    assert sorted(f.check for f in said) == sorted(HOSTILE)
    for finding in said:
        typed = subprocess.run(
            ["bash", "-ec", f'set -- {finding.command}; printf "%s\\0" "$@"'], capture_output=True, text=True, check=True
        )
        assert typed.stderr == ""
        name, *words = typed.stdout.split("\0")[:-1]
        got = qpa(ROOT, *words, "--format", "json")
        assert (name, got.returncode, got.stderr) == ("qpa", 0, "")
        mine = [row for row in json.loads(got.stdout) if row["check"] == finding.check]
        assert [row["outcome"] for row in mine] == ["on_time"] * 6 + ["failed"]


def test_a_history_without_a_file_has_no_command() -> None:
    assert findings(week(Job("a", "D60x26 F")))[0].command == ""
