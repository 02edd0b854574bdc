"""A noisy check is told of by the pages that were sent, where any were; else by a replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from watching import Watched, check

from qpanalytics.collect.fromfiles import take_files
from qpanalytics.history import History
from qpanalytics.report import report
from qpanalytics.store.db import Store
from qpanalytics.store.state import State

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
#: Every third day, at ten or so.
LATE = [MONDAY + timedelta(days=day, hours=10 + day % 5) for day in range(-90, 7, 3)]


def week(folder: Path, *, watching: bool) -> History:
    """Fourteen weeks of an hourly job that is done after a minute or two, and every third day after 8 min."""
    watched = Watched(folder, check("sync", "0 * * * *", "5 min", valid_from="2026-08-17T00:00:00Z"))
    lines = ["check,received_at,kind"]
    for hour in range(14 * 7 * 24):
        due = MONDAY - timedelta(days=91) + timedelta(hours=hour)
        came = due + timedelta(seconds=480 if due in LATE else 60 + 7 * hour % 60)
        lines.append(f"sync,{came.isoformat()},success")
    (folder / "pings.csv").write_text("\n".join(lines) + "\n")
    if watching:
        watched.round(MONDAY + timedelta(minutes=30))
        for due in (due for due in LATE if due >= MONDAY):
            for minute in (5.5, 8.5):
                watched.round(due + timedelta(minutes=minute))
    end = MONDAY + timedelta(days=7)
    with Store(watched.store).write() as con:
        files = [folder / "pings.csv"]
        take_files(con, files, watched.settings.check, source="jobs", covers_until=end, tried_at=end)
    return History(Store(watched.store), as_of=end, since=MONDAY, until=end)


def test_what_was_sent_is_told_as_sent_with_the_grace_that_spares_it(tmp_path: Path) -> None:
    (noisy,) = report(week(tmp_path, watching=True)).facts.quieten
    assert noisy.sentence.startswith("sync paged 3 times and came back by itself within 3 min each time. Grace 5 min -> 8 min")
    assert "3 pages fewer that week" in noisy.sentence and "replay" not in noisy.detail


def test_what_nobody_watched_is_told_as_what_would_have_been_sent(tmp_path: Path) -> None:
    (noisy,) = report(week(tmp_path, watching=False)).facts.quieten
    assert noisy.sentence.startswith("sync would have paged 3 times") and "replaying that week" in noisy.detail


def test_a_state_that_cannot_be_read_leaves_the_replay(tmp_path: Path) -> None:
    history = week(tmp_path, watching=True)
    State.path_beside(history.store.path).write_bytes(b"no database at all, but long enough")
    (noisy,) = report(history).facts.quieten
    assert noisy.sentence.startswith("sync would have paged 3 times")
