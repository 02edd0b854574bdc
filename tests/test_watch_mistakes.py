"""Mistakes in the configuration of a watch: one line that says what to do, the right exit status, and no alert lost to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import qpa
from receiver import FAILS, Receiver
from watching import FILES, LOG, check

ONCE = ("watch", "--once", "--as-of", "2026-11-24T06:07:30Z")
NOW_AND_THEN = '[watch]\nfeed = "1000 d"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A check that missed its run."""
    (tmp_path / "pings.csv").write_text("check,received_at\nbackup,2026-11-24T06:00:10Z\n")
    return tmp_path


def channel(kind: str, more: str = "") -> str:
    return f'[[channel]]\nname = "other"\nkind = "{kind}"\n{more}'


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (channel("telegram", 'token = "env:QPA_NO_TOKEN"\nchat = "-1"\n'), "QPA_NO_TOKEN is not set"),
        (channel("pager"), 'kind "pager" is not known'),
        ('[watch]\nping_url = "env:QPA_NO_URL"\n', "ping_url: QPA_NO_URL is not set"),
        ('[[source]]\nname = "more"\nkind = "files"\n', 'source "more": it names no files'),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start_and_keeps_no_other_alert_from_being_sent(
    folder: Path, table: str, said: str
) -> None:
    watch = "" if "[watch]" in table else NOW_AND_THEN
    (folder / "qpa.toml").write_text(FILES + check("backup") + LOG + table + watch)
    done = qpa(folder, *ONCE)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and said in done.stderr
    (told,) = [json.loads(line)["data"] for line in (folder / "told.jsonl").read_text().splitlines()]
    assert (told["event"], told["members"]) == ("open", ["backup"])


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[[route]]\nto = ["nobody"]\n', 'route[1] leads to "nobody"'),
        (
            check("a", after="b") + check("b", after="c") + check("c", after="a"),
            '"a" after "b" after "c" after "a": that is a circle',
        ),
        (check("a", after="a"), "is a circle"),
        ('[store]\npath = "no/such/qpa.duckdb"\n', "make the folder first"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Path, tables: str, said: str) -> None:
    (folder / "qpa.toml").write_text(FILES + LOG + tables)
    done = qpa(folder, *ONCE)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1) and said in done.stderr


def test_a_round_that_could_not_reach_a_source_or_a_channel_ends_with_3(folder: Path) -> None:
    with Receiver(FAILS) as web:
        hook = channel("webhook", 'url = "file:hook"\nallow_private = true\n')
        (folder / "hook").write_text(web.url)
        (folder / "qpa.toml").write_text(FILES + check("backup") + hook + NOW_AND_THEN)
        done = qpa(folder, *ONCE)
        assert done.returncode == 3 and "it failed (500)" in done.stderr
    (folder / "qpa.toml").write_text(FILES.replace("pings.csv", "gone/*.csv") + NOW_AND_THEN)
    done = qpa(folder, "watch", "--once", "--as-of", "2026-11-24T06:08:30Z")
    assert done.returncode == 3 and "is not there or cannot be read" in done.stderr


def test_doctor_names_a_check_that_is_to_follow_one_that_is_not_there(folder: Path) -> None:
    (folder / "qpa.toml").write_text(check("backup", after="extrakt"))
    assert qpa(folder, "import", "pings.csv").returncode == 0
    assert 'check[1] "backup" is after "extrakt", which is no check' in qpa(folder, "doctor").stdout


def test_doctor_says_when_no_route_is_for_a_severity(folder: Path) -> None:
    (folder / "qpa.toml").write_text(LOG + '[[route]]\nseverity = ["critical"]\nto = ["log"]\n')
    said = qpa(folder, "doctor").stdout
    assert "no [[route]] is for severity warning" in said and "for severity critical" not in said
