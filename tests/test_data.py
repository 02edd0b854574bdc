"""The bundled data: whole, sorted, reproducible, small, and what it should tell is worked out from these very files."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from qpanalytics import bundled as demo
from qpanalytics.bundled import REAL, RECORDED, Bundled, bundle, histories
from qpanalytics.errors import QpaError

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tests" / "tools"
HISTORIES = histories()

# As their sources state them: pings, checks
SIZES = {
    "crond-daily-ranking": (1963, 1),
    "crond-half-hourly": (97592, 1),
    "gha-5min-uptime": (8888, 1),
    "gha-daily-rome": (732, 1),
    "gha-hourly-scrape": (56564, 1),
    "gha-schedule-changes": (15655, 2),
    "gha-three-workflows": (3272, 3),
    "upptime-daily-many-sites": (1749, 35),
    "upptime-hourly-11-sites": (13612, 11),
    "recorded-project": (3810, 20),
}

# Numbered by the recorded server up to n; of these the first 2454 of hourly-sync and what it ignored are left out.
NUMBERED = {
    "auto-made": 9,
    "bodies": 16,
    "db-backup": 147,
    "dst-nightly": 55,
    "etl-overlap": 758,
    "exit-codes": 460,
    "flappy": 798,
    "hourly-sync": 3550 - 2454,
    "keywords": 36 - 12,
    "mail-ping": 20 - 1,
    "nightly-cleanup": 159,
    "ny-report": 52,
    "paused-import": 76 - 21,
    "post-only": 22 - 12,
    "rid-noise": 54,
    "started-only": 1,
    "unnamed": 4,
    "worker-a": 48,
    "worker-b": 45,
}

each = pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)


def rows(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", newline="") as file:
            return list(csv.DictReader(file))
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def checks_of(history: Bundled) -> list[dict[str, str]]:
    return rows(history.checks)


def pings_of(history: Bundled) -> list[dict[str, str]]:
    return [row for path in history.pings for row in rows(path)]


def test_the_demo_knows_each_bundled_folder_and_no_other() -> None:
    folders = [folder for folder in (bundle() / "histories").iterdir() if folder.is_dir()]
    assert {h.checks.parent for h in HISTORIES} == {*folders, bundle() / "recorded-project"}
    assert Counter(h.store for h in HISTORIES) == {REAL: 9, RECORDED: 1}


def test_one_store_is_reported_at_one_instant() -> None:
    assert {h.as_of for h in HISTORIES if h.store == REAL} == {datetime(2026, 8, 17, 7, tzinfo=UTC)}
    assert {h.as_of for h in HISTORIES if h.store == RECORDED} == {datetime(2026, 11, 24, 6, 30, tzinfo=UTC)}


@each
def test_as_many_pings_and_checks_as_the_source_states(history: Bundled) -> None:
    assert (len(pings_of(history)), len({row["check"] for row in checks_of(history)})) == SIZES[history.name]


@each
def test_every_check_with_pings_has_a_promise(history: Bundled) -> None:
    assert {row["check"] for row in pings_of(history)} <= {row["check"] for row in checks_of(history)}


@each
def test_pings_have_a_known_kind_a_time_in_utc_and_a_sane_duration(history: Bundled) -> None:
    for row in pings_of(history):
        assert row["kind"] in {"start", "success", "fail", "log"}
        assert row["received_at"].endswith("Z")
        assert 2018 <= datetime.fromisoformat(row["received_at"]).year <= 2026
        assert not row.get("duration_s") or float(row["duration_s"]) >= 0


@each
def test_pings_of_a_check_are_in_order_of_time(history: Bundled) -> None:
    times: dict[str, list[datetime]] = {}
    for row in pings_of(history):
        times.setdefault(row["check"], []).append(datetime.fromisoformat(row["received_at"]))
    assert all(of_check == sorted(of_check) for of_check in times.values())


@each
def test_promises_of_a_check_follow_each_other_without_overlap(history: Bundled) -> None:
    versions: dict[str, list[tuple[str, str]]] = {}
    for row in checks_of(history):
        assert row["schedule"]
        versions.setdefault(row["check"], []).append((row["valid_from"], row["valid_to"]))
    for of_check in versions.values():
        for (since, until), (following, _) in pairwise(of_check):
            assert since < (until or following) <= following


@each
def test_gzip_holds_no_time_of_its_making(history: Bundled) -> None:
    for path in history.pings:
        assert path.read_bytes()[4:8] == b"\0\0\0\0"


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in bundle().rglob("*") if path.is_file()) < 3_000_000


def test_the_readme_of_the_bundle_tells_of_each_history() -> None:
    text = (bundle() / "README.md").read_text()
    assert [name for name in SIZES if f"`{name}" not in text] == []
    assert "simulated through a real" in text


def test_the_recorded_project_holds_what_its_server_numbered_but_for_what_the_readme_leaves_out() -> None:
    recorded = HISTORIES[-1]
    assert Counter(row["check"] for row in pings_of(recorded)) == NUMBERED


def test_nothing_is_claimed_of_the_time_in_which_pings_of_hourly_sync_were_lost() -> None:
    recorded = HISTORIES[-1]
    promises = [row for row in checks_of(recorded) if row["check"] == "hourly-sync"]
    first = next(row for row in pings_of(recorded) if row["check"] == "hourly-sync")
    assert [row["valid_from"] for row in promises] == ["2026-10-31T08:58:29Z"]
    assert first["received_at"] == "2026-10-31T08:58:29.278131Z"


def test_the_recorded_project_carries_no_address_and_no_uuid() -> None:
    recorded = HISTORIES[-1]
    text = "\n".join(" ".join(row.values()) for row in [*checks_of(recorded), *pings_of(recorded)])
    assert re.search(r"https?:|@|[0-9a-f]{8}-[0-9a-f]{4}|hc[wr]_", text) is None


def test_the_expected_weeks_follow_from_the_files() -> None:
    made = subprocess.run(
        [sys.executable, TOOLS / "expected_weeks.py"], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(made.stdout) == json.loads((ROOT / "tests" / "expected_weeks.json").read_text())


def test_a_recording_becomes_pings_once_without_the_ignored_ones(tmp_path: Path) -> None:
    check = {
        "name": "Nightly",
        "slug": "nightly",
        "tags": "prod db",
        "grace": 600,
        "schedule": "0 2 * * *",
        "tz": "UTC",
    }
    timed = {"name": "", "slug": "", "tags": "", "grace": 60, "timeout": 5400}

    def ping(n: int, kind: str, rid: str | None) -> dict[str, object]:
        return {"n": n, "type": kind, "date": f"2026-09-10T02:00:0{n}+00:00", "rid": rid}

    looks = {
        "p1": [ping(2, "success", "c0ffee"), ping(1, "start", "c0ffee")],
        "p2": [ping(3, "ign", None), ping(2, "success", "c0ffee")],
        "p3": [ping(4, "fail", None), ping(3, "ign", None)],
    }
    for day, (look, pings) in enumerate(looks.items(), start=10):
        for name, body in (("list_checks", {"checks": [check, timed]}), ("pings_nightly", {"pings": pings})):
            reply = {"recorded_at": f"2026-09-{day}T06:00:00+00:00", "response": {"body_json": body}}
            (tmp_path / f"{look}_{name}.json").write_text(json.dumps(reply))

    made = subprocess.run(
        [sys.executable, TOOLS / "make_recorded_project.py", tmp_path, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "left out: 1 nightly: ignored by the server" in made.stdout
    assert gzip.decompress((tmp_path / "out" / "pings.csv.gz").read_bytes()).decode() == (
        "check,received_at,kind,run_id\n"
        "nightly,2026-09-10T02:00:01Z,start,r1\n"
        "nightly,2026-09-10T02:00:02Z,success,r1\n"
        "nightly,2026-09-10T02:00:04Z,fail,\n"
    )
    assert (tmp_path / "out" / "checks.csv").read_text() == (
        "check,name,valid_from,valid_to,schedule,tz,grace_s,max_runtime_s,severity,tags\n"
        "nightly,Nightly,2026-09-10T02:00:01Z,,0 2 * * *,UTC,600,600,,prod db\n"
        "unnamed,,2026-09-10T06:00:00Z,,every 90 min,,60,,,\n"
    )


def test_a_missing_bundle_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "qpanalytics" / "demo.py"))
    with pytest.raises(QpaError, match="Install qpanalytics again"):
        bundle()


def test_an_installed_package_reads_its_own_copy_of_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "qpanalytics" / "_data"
    (own / "histories").mkdir(parents=True)
    (tmp_path / "data" / "histories").mkdir(parents=True)
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "qpanalytics" / "demo.py"))
    assert bundle() == own.resolve()
