"""Figures for Prometheus: what both parsers read of them, what is left out, and how the file is written."""

from __future__ import annotations

import math
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import queue_weeks
from command import qpa, refused
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as prometheus_families

import qpanalytics as qpa_
from qpanalytics.report.metrics import KEPT, WINDOW, figures, gathered, kept_figures
from qpanalytics.report.openmetrics import CheckFigures, CheckNow, Figures, Metrics, QueueNow, openmetrics, written
from qpanalytics.sources.base import QueueLook, WorkerLook
from qpanalytics.words import Status

NOW = datetime(2026, 11, 23, 7, 0, 0, 250_000, tzinfo=UTC)
EPOCH = 1795417200.25  # date -u -d '2026-11-23 07:00:00.25' +%s.%2N
SAMPLE = Metrics(
    NOW,
    (
        CheckNow("backup", "down", "prod", "critical", ("db", "nightly"), NOW, NOW + timedelta(minutes=15)),
        CheckNow("adhoc", "new", "prod", "warning"),
    ),
    Figures(
        NOW,
        WINDOW.total_seconds(),
        (
            CheckFigures("backup", 28, 27 / 28, 0.5, {"0.5": -2.5, "0.95": 61.0}, {"0.5": 1234567.891}),
            CheckFigures("adhoc", 0),
        ),
    ),
    (QueueNow("shop", "mailers", NOW, depth=12, oldest_age_s=3.5, paused=False),),
    {("shop", "alive"): 2, ("shop", "gone"): 1},
    {"critical": 1},
)


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample by name and labels, as the OpenMetrics parser reads it; that of Prometheus must read the same."""
    read = []
    for parse in (openmetrics_families, prometheus_families):
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in parse(text):
            assert family.type == "gauge" and family.documentation
            for sample in family.samples:
                assert sample.timestamp is None, "the collector refuses a file with times"
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in found.setdefault(sample.name, {}), "a series twice costs the whole file"
                found[sample.name][labels] = sample.value
        read.append(found)
    assert read[0] == read[1]
    return read[0]


def of(found: Mapping[tuple[tuple[str, str], ...], float], **labels: str) -> float:
    return found[tuple(sorted(labels.items()))]


# The text -------------------------------------------------------------------------------------------------------------


def test_both_parsers_read_the_same_figures() -> None:
    told = samples(openmetrics(SAMPLE))

    statuses = told["qpa_check_status"]
    assert {labels for labels, value in statuses.items() if value} == {
        (("check", "adhoc"), ("status", "new")), (("check", "backup"), ("status", "down")),
    }  # fmt: skip
    assert len(statuses) == 2 * len(Status)
    assert of(told["qpa_check_info"], check="backup", source="prod", severity="critical", tags=",db,nightly,") == 1
    assert of(told["qpa_check_info"], check="adhoc", source="prod", severity="warning", tags="") == 1
    assert told["qpa_check_expected_timestamp_seconds"] == {(("check", "backup"),): EPOCH}
    assert told["qpa_check_deadline_timestamp_seconds"] == {(("check", "backup"),): EPOCH + 900}
    assert of(told["qpa_check_success_ratio"], check="backup") == pytest.approx(27 / 28, abs=1e-6)
    assert of(told["qpa_check_lateness_seconds"], check="backup", quantile="0.5") == -2.5
    assert of(told["qpa_check_duration_seconds"], check="backup", quantile="0.5") == 1234567.891
    assert of(told["qpa_queue_depth"], source="shop", queue="mailers") == 12
    assert of(told["qpa_queue_paused"], source="shop", queue="mailers") == 0
    assert of(told["qpa_workers"], source="shop", state="gone") == 1
    assert told["qpa_last_tick_timestamp_seconds"] == {(): EPOCH}
    assert told["qpa_window_seconds"] == {(): 28 * 86_400}


def test_what_is_not_known_is_left_out_and_never_nought() -> None:
    told = samples(openmetrics(SAMPLE))
    for name in ("success_ratio", "on_time_ratio", "lateness_seconds", "duration_seconds", "expected_timestamp_seconds"):
        assert not any(("check", "adhoc") in labels for labels in told[f"qpa_check_{name}"])
    assert of(told["qpa_check_runs"], check="adhoc") == 0
    assert "qpa_queue_dead" not in told
    nan = replace(SAMPLE.queues[0], depth=math.nan, oldest_age_s=math.inf)
    odd = samples(openmetrics(replace(SAMPLE, queues=(nan,))))
    assert "qpa_queue_depth" not in odd and of(odd["qpa_queue_oldest_age_seconds"], source="shop", queue="mailers") == math.inf


def test_incidents_are_counted_by_severity_also_where_none_is_open() -> None:
    assert samples(openmetrics(SAMPLE))["qpa_incidents_open"] == {
        (("severity", "critical"),): 1, (("severity", "warning"),): 0, (("severity", "info"),): 0,
    }  # fmt: skip
    assert "qpa_incidents_open" not in samples(openmetrics(replace(SAMPLE, incidents=None)))


def test_nothing_at_all_is_a_file_too() -> None:
    assert list(samples(openmetrics(Metrics(NOW)))) == ["qpa_last_tick_timestamp_seconds"]


@settings(max_examples=80)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
@example(['a"} 1\nqpa_check_status{check="b', "\\", '\\"', "\\n"])
@example(["same", "same"])
@example(["\r", "\u2028", "\x85", "\x00", "{}", "# EOF", "büro"])
def test_every_name_comes_back_as_it_was(names: list[str]) -> None:
    checks = tuple(CheckNow(name, "up", name, "info", (name,)) for name in names)
    queues = tuple(QueueNow(name, name, NOW, depth=1) for name in names)
    told = samples(openmetrics(Metrics(NOW, checks, Figures(NOW, 1.0, tuple(CheckFigures(n, 1) for n in names)), queues)))
    assert {dict(labels)["check"] for labels in told["qpa_check_status"]} == set(names)
    assert {dict(labels)["check"] for labels in told["qpa_check_runs"]} == set(names)
    assert {(dict(labels)["source"], dict(labels)["queue"]) for labels in told["qpa_queue_depth"]} == {(n, n) for n in names}


def test_the_text_keeps_to_what_the_collector_reads() -> None:
    lines = openmetrics(SAMPLE).split("\n")
    assert lines[-2:] == ["# EOF", ""]
    for line in lines[:-2]:
        assert line.startswith(("# HELP qpa_", "# TYPE qpa_", "qpa_"))
        assert not line.startswith("# TYPE") or line.endswith(" gauge")
        assert not line.startswith("# HELP") or ('"' not in line and "\\" not in line)


# The file -------------------------------------------------------------------------------------------------------------


def test_a_file_is_readable_for_all_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "qpa.prom"
    before = os.umask(0o077)
    try:
        written(path, "büro\n")
        first = path.stat().st_ino
        written(path, "second\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"second\n" and path.stat().st_ino != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["qpa.prom"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        written(tmp_path / "folder", "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "qpa.prom"]


# What a store says ----------------------------------------------------------------------------------------------------


def test_a_store_says_how_its_checks_stand() -> None:
    days = [datetime(2026, 11, day, 3, 0, 20, tzinfo=UTC) for day in range(1, 23) if day != 12]
    pings = pd.DataFrame({"check": "backup", "received_at": [*days, days[-1]]})
    pings.loc[len(days), "check"] = "adhoc"
    checks = pd.DataFrame({"check": ["backup", "adhoc"], "schedule": ["0 3 * * *", None], "grace_s": [600.0, None]})
    history = qpa_.History.from_frames(checks=checks, pings=pings, covers_until=NOW)
    history = history.window(NOW - WINDOW, NOW)
    told = samples(openmetrics(gathered(history, figures(history))))

    # promised from the first ping on: of the 2nd to 23rd those on the 12th and 23rd were missed
    assert of(told["qpa_check_status"], check="backup", status="down") == 1
    assert of(told["qpa_check_status"], check="adhoc", status="down") == 0
    assert of(told["qpa_check_runs"], check="backup") == 22
    assert of(told["qpa_check_success_ratio"], check="backup") == pytest.approx(20 / 22, abs=1e-6)
    assert of(told["qpa_check_lateness_seconds"], check="backup", quantile="0.5") == 20
    assert not any(("check", "adhoc") in labels for labels in told["qpa_check_success_ratio"])
    assert told["qpa_last_tick_timestamp_seconds"] == {(): history.as_of.timestamp()}


def test_a_store_says_how_its_queues_looked_last() -> None:
    def look(k: int) -> list[queue_weeks.Row]:
        return [
            QueueLook("mailers", depth=100 + k, oldest_age_s=30.0, paused=False), QueueLook("low"),
            WorkerLook("w-1", state="alive"), WorkerLook("w-2", state="gone"),
        ]  # fmt: skip

    told = samples(openmetrics(gathered(queue_weeks.history(queue_weeks.every(10, 3, look), store=queue_weeks.emptied()))))
    assert told["qpa_queue_depth"] == {(("queue", "mailers"), ("source", "shop")): 102}
    assert of(told["qpa_queue_oldest_age_seconds"], source="shop", queue="mailers") == 30
    looked = queue_weeks.AS_OF.timestamp()
    assert set(told["qpa_queue_looked_timestamp_seconds"].values()) == {looked}
    assert len(told["qpa_queue_looked_timestamp_seconds"]) == 2
    assert told["qpa_workers"] == {
        (("source", "shop"), ("state", "alive")): 1, (("source", "shop"), ("state", "gone")): 1,
    }  # fmt: skip
    assert "qpa_check_runs" not in told


def test_dear_figures_are_made_once_an_hour_and_for_the_checks_there_are(tmp_path: Path) -> None:
    made = []

    def make(checks: tuple[str, ...] = ("a",)) -> Figures:
        made.append(checks)
        return Figures(NOW, 60.0, tuple(CheckFigures(name, 3, 0.5, None, {"0.5": 1.5}) for name in checks))

    store = tmp_path / "qpa.duckdb"
    first = kept_figures(store, NOW, ["a"], make)
    assert kept_figures(store, NOW + timedelta(minutes=59), ["a"], make) == first
    assert len(made) == 1
    kept_figures(store, NOW + KEPT, ["a"], make)
    kept_figures(store, NOW - timedelta(seconds=1), ["a"], make)
    kept_figures(store, NOW, ["a", "b"], lambda: make(("a", "b")))
    assert len(made) == 4
    (tmp_path / "qpa.duckdb-figures").write_text('{"checks": 3}')
    assert kept_figures(store, NOW, ["a"], make) == first
    assert kept_figures(tmp_path / "no" / "qpa.duckdb", NOW, ["a"], make) == first  # nowhere to keep them


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_file_and_says_how_much_is_in_it(month: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(month, tmp_path / "qpa"))
    done = qpa(folder, "export", "--openmetrics", "qpa.prom", "--as-of", "2026-10-31T00:00:00Z")
    assert (done.returncode, done.stderr) == (0, ""), done
    told = samples((folder / "qpa.prom").read_text(encoding="utf-8"))
    assert done.stdout == f"qpa.prom: 1 check, {sum(map(len, told.values()))} samples\n"
    # 28 days up to the 31st, vouched for to the last ping: of the 3rd to 29th the run on the 12th was missed
    assert of(told["qpa_check_runs"], check="backup") == 27
    assert of(told["qpa_check_success_ratio"], check="backup") == pytest.approx(26 / 27, abs=1e-6)
    assert of(told["qpa_check_lateness_seconds"], check="backup", quantile="0.5") == 20

    refused(qpa(folder, "export"), "name one thing to write")
    refused(qpa(folder, "export", "parquet", "--openmetrics", "qpa.prom"), "name one thing to write")
    refused(qpa(folder, "export", "parquet", "--as-of", "2026-10-31"), "--as-of goes with --openmetrics")
    refused(qpa(folder, "export", "--openmetrics", "no/qpa.prom"), "no/qpa.prom cannot be written", "Name a file")
