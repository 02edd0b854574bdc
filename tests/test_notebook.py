"""The notebooks run from top to bottom on the bundled data, and show what their text says."""

from __future__ import annotations

import csv
import gzip
import html
import json
import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cells of a notebook show when it is run somewhere else than in the project."""
    book = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert {out.output_type for out in shown} <= {"execute_result", "display_data"}, "a notebook warns of nothing"
    assert not any("<script" in page for page in pages(shown))
    return shown


def pages(shown: list[Any]) -> list[str]:
    return [out.data["text/html"] for out in shown if "text/html" in out.data]


def texts(shown: list[Any]) -> list[str]:
    return [str(out.data.get("text/plain", "")) for out in shown]


def figures(shown: list[Any]) -> list[Any]:
    """The Plotly figures, as their sentences: stored as data, so that no notebook holds a script."""
    kind = "application/vnd.plotly.v1+json"
    found = [out.data[kind] for out in shown if kind in out.data]
    assert all(one["data"] for one in found)
    return [one["layout"]["meta"]["alt"] for one in found]


def tables(shown: list[Any], *columns: str) -> list[list[list[str]]]:
    """The rows of each table with just these columns, without their index."""
    found = [lines for text in texts(shown) if (lines := text.splitlines()) and lines[0].split() == list(columns)]
    return [[line.split()[1:] for line in lines[1:]] for lines in found]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_stored_without_outputs_and_without_the_machine_it_was_written_on(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    assert all(not cell.metadata for cell in book.cells)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert book.metadata.language_info == {"name": "python"}
    assert "/home/" not in json.dumps(book) and "/tmp/" not in json.dumps(book)


def test_the_first_look_shows_a_late_run_a_missed_one_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = executed("01_first_look.ipynb", tmp_path, monkeypatch)
    assert len(pages(shown)) >= 6
    assert any("ranking" in page for page in pages(shown))
    words = " ".join(texts(shown))
    # the run after the clocks went back is 5 minutes late, and the one of the 22nd never came
    assert "300.0" in words and "missed" in words
    calendar, rss = figures(shown)
    assert "most bad days: rss 91, feed 87" in calendar
    assert rss.startswith("rss: 180 runs from Tue 19 May to Mon 17 Aug 2026") and repr(rss) in words


def successes(folder: str, check: str) -> list[datetime]:
    """When a check succeeded, by its ping file alone."""
    with gzip.open(ROOT / "data" / folder / "pings.csv.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["check"] == check and row["kind"] == "success"]
    return sorted(datetime.fromisoformat(row["received_at"]) for row in rows)


def lateness(ticks: list[datetime], pings: list[datetime], early: timedelta = timedelta(0)) -> list[float]:
    """The slow way: the first success from each tick to the next, else infinity; the last tick only ends a window."""
    return [
        next(((ping - tick).total_seconds() for ping in pings if tick - early <= ping < after - early), math.inf)
        for tick, after in pairwise(ticks)
    ]


def ticks(first: date, last: date, at: time, tz: str, weekdays: range = range(7)) -> Iterator[datetime]:
    """One instant a day from `first` to `last`, as the clocks of the zone show it."""
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() in weekdays:
            yield datetime.combine(day, at, ZoneInfo(tz)).astimezone(UTC)


def by_then(late: list[float], *minutes: int) -> list[list[str]]:
    """grace_min, n, arrived, later, never: the first columns of the notebook's table."""
    arrived = [sum(s <= 60 * m for s in late) for m in minutes]
    never = sum(s == math.inf for s in late)
    return [[str(x) for x in (m, len(late), k, len(late) - k - never, never)] for m, k in zip(minutes, arrived, strict=True)]


def test_the_notebook_on_lateness_shows_what_the_ping_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Promised since 10 Sep 13:11 UTC, just after that day's run was due; as of 24 Nov 06:30 that day's is not due yet.
    morning = ticks(date(2026, 9, 11), date(2026, 11, 24), time(9), "America/New_York", range(5))
    report = lateness(list(morning), successes("recorded-project", "ny-report"), early=timedelta(seconds=10))
    # The 90 days before 17 Aug 07:00 UTC: from noon of 19 May to the night of that day, whose window noon ends.
    pings = successes("histories/gha-three-workflows", "rss")
    pings = [ping for ping in pings if ping <= datetime(2026, 8, 17, 7, tzinfo=UTC)]
    days = (date(2026, 5, 19), date(2026, 8, 17))
    twice = sorted([*ticks(*days, time(0, 7), "UTC"), *ticks(*days, time(12, 7), "UTC")])[1:]
    rss = lateness(twice, pings)
    noon, night = rss[0::2], rss[1::2]
    # Promised since 10 Sep 00:30:04 UTC, just after that night's run was due; the last is that of 24 Nov.
    backup = lateness(
        list(ticks(date(2026, 9, 11), date(2026, 11, 25), time(2, 30), "Europe/Berlin")),
        successes("recorded-project", "db-backup"),
    )

    shown = executed("02_lateness.ipynb", tmp_path, monkeypatch)

    assert not any(str(tmp_path) in text or "/tmp/" in text for text in texts(shown) + pages(shown))
    of_report, of_rss = tables(shown, "grace_min", "n", "arrived", "later", "never", "share", "share_lo", "share_hi")
    assert [row[:5] for row in of_report] == by_then(report, 5, 15, 60)
    assert [row[:5] for row in of_rss] == by_then(rss, 5, 15, 60, 300)
    # 47 of 52 by Wilson's formula: (47 + 1.921) / (52 + 3.841) = 0.876, and 0.082 to either side
    assert of_report[1][5:] == ["0.90", "0.79", "0.96"]
    (picture,) = [page for page in pages(shown) if "<svg" in page]
    assert "38 of 52 runs within 5 min, 47 of 52 runs within 15 min, 49 of 52 runs within 60 min" in picture

    backups, mornings = figures(shown)
    assert "3 missed; 2 failed" in backups
    assert mornings.startswith("ny-report: 52 runs expected") and "the latest 1 h 31 min after their time" in mornings

    (hours,) = tables(shown, "check", "hour", "n", "p50_s", "p50_lo_s", "p50_hi_s", "p90_s")
    assert [row[:3] for row in hours] == [["rss", "0", str(len(night))], ["rss", "12", str(len(noon))]]
    assert [float(row[3]) for row in hours] == [pytest.approx(median(part), abs=0.5) for part in (night, noon)]
    (weekdays,) = tables(shown, "check", "weekday", "n", "p50_s", "p50_lo_s", "p50_hi_s", "p90_s")
    assert [int(row[1]) for row in weekdays] == [1, 2, 3, 4, 5, 6, 7]
    saturday = [s for s, (tick, _) in zip(rss, pairwise(twice), strict=True) if tick.isoweekday() == 6]
    assert int(weekdays[5][2]) == len(saturday)
    assert float(weekdays[5][3]) == pytest.approx(median(saturday), abs=0.5)

    came = [s for s in backup if s < math.inf]
    (nights,) = [text for text in texts(shown) if text.split()[:3] == ["nights", "p50_s", "p95_s"]]
    assert f"only successful nights      {len(came)}  {median(came):.0f}.0" in nights
    assert f"qpa.lateness                {len(backup)}  {median(backup):.0f}.0     NaN" in nights
    assert (len(came), len(backup)) == (70, 75)


def test_the_notebook_on_queues_finds_each_planted_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = executed("03_queues.ipynb", tmp_path, monkeypatch)

    mornings, flow, week, stuck, processes, billing = figures(shown)
    assert "1,058 jobs wait, the oldest for 13 min" in mornings and repr(mornings) in texts(shown)
    assert "were finished" in flow and "weekdays at 08:00, weekdays at 09:00" in week and "the oldest for 5 h 25 min" in stuck
    assert "Gone: video-2 since Mon 23 Nov 18:15. thumbs-2 was started again 50 times" in processes
    assert "began anew once: Thu 19 Nov 13:40" in billing
    pictures = [page for page in pages(shown) if "<svg" in page]
    assert [page.partition(",")[0].removeprefix("<p>") for page in pictures] == ["mailers", "search", "reports"]

    (faults,) = [text for text in texts(shown) if text.split()[:3] == ["fault", "name", "since_at"]]
    assert "retry storm         reports 2026-11-24 07:43" in faults
    (storm,) = tables(shown, "queue", "began_at", "seen_at", "retrying_most")
    assert storm[0][:3] == ["reports", "2026-11-24", "07:43:00+00:00"]
    (again,) = tables(shown, "worker", "of", "n", "since_at", "looping")
    assert again[0][:3] == ["thumbs-2", "restarts", "15"]
    (hung,) = tables(shown, "worker", "running_s", "usual_s", "n", "limit_s", "of", "zombie")
    assert [row[0] for row in hung] == ["search-1"]
    (waits,) = tables(shown, "queue", "day", "from_hour", "to_hour", "n", "grows_by")
    assert [row[:5] for row in waits] == [["mailers", "weekday", "8", "10", "10"]]


def by(shown: list[Any], *columns: str) -> list[dict[str, str]]:
    """The rows of the one table with these columns, which may stand beside others, from its HTML."""
    found = [rows for page in pages(shown) if "<table" in page and set(columns) <= set((rows := read(page))[0])]
    assert len(found) == 1, f"{len(found)} tables with {columns}"
    return found[0]


def read(page: str) -> list[dict[str, str]]:
    lines = [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in page.split("<tr")[1:]
    ]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]] or [dict.fromkeys(lines[0], "")]


def test_the_notebook_on_grace_prices_what_the_ping_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # rss is due at 00:07 and 12:07 UTC, feed at 06:40 UTC in the winter of 2026
    pings = successes("histories/gha-three-workflows", "rss")
    twice = sorted(
        [
            *ticks(date(2025, 1, 1), date(2026, 1, 1), time(0, 7), "UTC"),
            *ticks(date(2025, 1, 1), date(2025, 12, 31), time(12, 7), "UTC"),
        ]
    )
    rss = lateness(twice, pings)
    winter = lateness(
        list(ticks(date(2026, 1, 1), date(2026, 3, 2), time(6, 40), "UTC")), successes("histories/gha-daily-rome", "feed")
    )
    assert (len(rss), len(winter)) == (730, 60)

    shown = executed("04_grace.ipynb", tmp_path, monkeypatch)

    assert not any(str(tmp_path) in text or "/tmp/" in text for text in texts(shown) + pages(shown))
    (drawn,) = figures(shown)
    assert repr(drawn) in texts(shown) and f"of 730 runs {sum(s < math.inf for s in rss)} came" in drawn
    (picture,) = [page for page in pages(shown) if "<svg" in page]
    assert "ranking: 114 of 141 runs came" in picture

    # what each limit would have cost in 2025; the longest of the year, in steps of five minutes, is what is suggested
    prices = {row["limit_s"]: row for row in by(shown, "candidate", "told") if row["check"] == "rss"}
    assert {limit: int(row["told"]) for limit, row in prices.items()} == {
        "1 h": sum(s > 3600 for s in rss), "2 h": sum(s > 7200 for s in rss), "3 h": sum(s > 10800 for s in rss), "3 h 20 min": 0,
    }  # fmt: skip
    assert 300 * math.ceil(max(rss) / 300) == 12000 and prices["3 h 20 min"]["candidate"] == "suggested, longest seen"

    found = {row["check"]: row for row in by(shown, "grace_s", "recommended_s", "false_alarms_lo")}
    assert found["rss"]["false_alarms_now"] == "30.00" and found["rss"]["recommended_s"] == "3 h 20 min"
    assert found["scrape"]["recommended_s"] == "30 min" and found["feed"]["n"] == "72"

    asked = {row["check"]: row for row in by(shown, "since_at", "recommended_s", "why")}
    assert [name for name, row in asked.items() if row["recommended_s"]] == ["ranking"]
    assert "growing since" in asked["rss"]["why"] and asked["scrape"]["why"].startswith("cannot tell")
    assert "grace = &quot;4 h 20 min&quot;" in "".join(pages(shown)) or any(
        'grace = "4 h 20 min"' in text for text in texts(shown)
    )

    # on runs that the recommendation had not seen: what the text says of the three rules
    held = {(row["years"], row["rule"]): row for row in by(shown, "years", "worst")}
    alarms = [float(held["before 2026", rule]["alarms"]) for rule in ("qpa grace", "p99 + 20 %", "20 % of the period")]
    assert 0.5 < alarms[0] < 0.7 and alarms[0] < alarms[1] / 3 and alarms[1] < alarms[2] / 4
    assert [held["before 2026", rule]["wait_s"] for rule in ("qpa grace", "p99 + 20 %")] == ["26 min", "24 min"]
    jobs = {row["check"]: row for row in by(shown, "check", "p99 + 20 %", "qpa grace")}
    better = [name for name, row in jobs.items() if float(row["p99 + 20 %"]) < float(row["qpa grace"])]
    assert better == ["nyt", "ranking", "scrape"] and float(jobs["tor-list"]["p99 + 20 %"]) > 5
    assert float(jobs["scrape"]["qpa grace"]) < 0.25
    broke = {(row["check"], row["rule"]): row for row in by(shown, "rule", "limit_s", "alarms") if row["limit_s"] == "21 min"}
    assert float(broke["feed", "qpa grace"]["alarms"]) == sum(21 * 60 < s <= 43_200 for s in winter) / 2


def test_the_notebook_on_drift_and_replay_agrees_with_the_ping_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # promised for 11:00 in Shanghai until 2025; the levels are medians of the runs that came
    came = successes("histories/crond-daily-ranking", "ranking")
    noon = list(ticks(date(2020, 7, 1), date(2024, 12, 31), time(11), "Asia/Shanghai"))
    late = dict(zip(noon, lateness(noon, came), strict=False))
    step = datetime(2021, 8, 20, 3, tzinfo=UTC)
    before, after = ([s for at, s in late.items() if (at < step) is side and s < math.inf] for side in (True, False))
    silent = max((b - a, a) for a, b in pairwise(came) if a > datetime(2024, 1, 1, tzinfo=UTC))
    # the last 90 days before 17 Aug 07:00 UTC: feed at 05:00 in Rome, rss at 00:07 and 12:07 UTC; a grace of an hour
    as_of, days = datetime(2026, 8, 17, 7, tzinfo=UTC), (date(2026, 5, 19), date(2026, 8, 17))
    feed = lateness(
        [*ticks(date(2026, 5, 20), days[1], time(5), "Europe/Rome"), as_of], successes("histories/gha-daily-rome", "feed")
    )
    twice = sorted([*ticks(*days, time(0, 7), "UTC"), *ticks(*days, time(12, 7), "UTC")])[1:]
    rss = lateness(twice, [ping for ping in successes("histories/gha-three-workflows", "rss") if ping <= as_of])

    shown = executed("05_drift_and_replay.ipynb", tmp_path, monkeypatch)

    assert not any(str(tmp_path) in text or "/tmp/" in text for text in texts(shown) + pages(shown))
    six, stairs, wanders, grows = figures(shown)
    assert repr(six) in texts(shown) and repr(stairs) in texts(shown)
    assert "step on Fri 20 Aug 2021 from 1 min 25 s to 5 min 3 s" in six and median(before) == 85
    assert median(after) == pytest.approx(302, abs=1)
    assert "step on Thu 29 Jan 2026" in stairs and "trend since" in wanders
    assert "reaches the max runtime 30 min on about Tue 26 Jan 2027" in grows
    (picture,) = [page for page in pages(shown) if "<svg" in page]
    assert "change on 20 Aug 2021" in picture and ">2024<" in picture
    first, second = by(shown, "metric", "changed_lo_at", "q_value")
    assert (first["changed_lo_at"], first["changed_hi_at"]) == ("2021-08-14", "2021-08-20")
    assert second["changed_lo_at"] <= f"{silent[1]:%Y-%m-%d}" and f"{silent[1] + silent[0]:%Y-%m-%d}" <= second["changed_hi_at"]
    assert silent[0].days // 7 == 11 and "changed at the same time" in second["why"]
    stairs_of = [row for row in by(shown, "check", "per_day_s", "is_new") if row["kind"] == "step"]
    assert {row["check"]: row["changed_at"] for row in reversed(stairs_of)} == {"feed": "2026-01-29", "nyt": "2026-01-30"}
    assert [(row["before_s"], row["after_s"]) for row in stairs_of if row["check"] == "nyt"] == [
        ("33 min", "1 h 18 min"), ("1 h 18 min", "2 h 41 min"),
    ]  # fmt: skip
    assert [row["kind"] for row in by(shown, "n_after", "before_s")] == ["blip", "blip", "step"]

    ended = {row["check"]: row for row in by(shown, "check", "late", "on_time")}
    told = {"feed": sum(s > 3600 for s in feed), "rss": sum(s > 3600 for s in rss)}
    assert {name: int(ended[name]["late"]) for name in told} == told == {"feed": 87, "rss": 177}
    assert [s for s in rss if s > 21_600] == [21_939.0] and max(rss) < math.inf
    policies = {row["policy"]: row for row in by(shown, "policy", "night_pages", "notices")}
    pages_of = {
        name: tuple(int(row[key]) for key in ("pages", "real", "false", "unjudged", "missed")) for name, row in policies.items()
    }
    all_late = sum(int(row["late"]) for row in ended.values())
    assert pages_of["in force"] == (all_late, 1, all_late - 1, 0, 0) and pages_of["six hours"] == (1, 1, 0, 0, 0)
    assert pages_of["two in a row"] == (3, 0, 0, 3, 0) and int(policies["two in a row"]["notices"]) > 200
    assert pages_of["suggested"][:2] == (44, 1)
    (both,) = by(shown, "lateness_s", "one", "other")
    assert (both["check"], both["real"], both["later_s"]) == ("rss", "True", "5 h")


def test_the_notebook_on_alerts_tells_who_was_woken_in_a_bad_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = executed("06_alerts.ipynb", tmp_path, monkeypatch)
    assert not any(str(tmp_path) in text or "/tmp/" in text for text in texts(shown) + pages(shown))

    # the host is away when four deadlines pass at 02:10 and a fifth, of who waits for one of them, at 02:15
    (sent,) = tables(shown, "at", "channel", "event", "title")
    assert [row[:3] for row in sent] == [
        ["02:11", "oncall", "open"], ["02:11", "team", "open"], ["02:51", "team", "open"], ["02:52", "team", "resolve"],
        ["03:11", "oncall", "escalate"], ["03:35", "oncall", "resolve"], ["03:35", "team", "resolve"],
        ["04:05", "team", "open"], ["05:00", "team", "resolve"],
    ]  # fmt: skip
    words = " ".join(texts(shown) + pages(shown))
    assert "shop cannot be reached" in words and "shop-feed did not come" not in words

    # the rules, of all but the source: what a replay cannot know
    (rules,) = tables(shown, "at", "channel", "event", "check", "members", "rule")
    assert [row[:5] for row in rules] == [
        ["02:10", "oncall", "open", "db-dump", "4"], ["02:10", "team", "open", "db-dump", "4"],
        ["02:50", "team", "open", "sync-crm", "1"], ["02:52", "team", "resolve", "sync-crm", "1"],
        ["03:10", "oncall", "escalate", "db-dump", "5"], ["03:35", "oncall", "resolve", "db-dump", "5"],
        ["03:35", "team", "resolve", "db-dump", "5"],
    ]  # fmt: skip
    # alone each of the five opens, its escalation follows but for that of db-dump, and sync-crm comes by itself
    lines = [line.split() for text in texts(shown) if "time_to_notice_p50_s" in text for line in text.splitlines()[1:]]
    of = {" ".join(row[1:-7]): row[-7:-1] for row in lines}
    assert of["in force"] == ["5", "3", "2", "1", "0", "7"]
    assert of["no groups, no after"] == ["5", "10", "9", "1", "0", "20"]
    assert of["two in a row"] == ["5", "0", "0", "0", "5", "0"]
    assert of["sync-crm: grace 10 min"][:-1] == ["5", "2", "2", "0", "0"]

    (alerts,) = [out.data["text/markdown"] for out in shown if "text/markdown" in out.data]
    assert alerts.startswith("- 4 pages in this window: 3 real and 1 went by alone, of 3 incidents.")
