"""The README's examples do what they say: its files, commands, Python and configuration, in the order they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command import qpa
from healthchecks_server import READ_WRITE, Server
from redis_server import GRANTED

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def blocks(language: str) -> list[str]:
    """The fenced examples of one language, in order."""
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's files, and its configuration."""
    pings, checks, names = blocks("csv")
    (tmp_path / "names.csv").write_text(names)
    (tmp_path / "access.log").write_text(blocks("log")[0])
    (tmp_path / "pings.csv").write_text(pings)
    (tmp_path / "checks.csv").write_text(checks)
    return tmp_path


def test_the_commands_work_in_their_order(folder: Path) -> None:
    lines = [line for text in blocks("console") for line in text.splitlines() if line.startswith("qpa ")]
    assert len(lines) >= 12
    for line in lines:
        done = qpa(folder, *shlex.split(line)[1:])
        assert done.returncode == 0, (line, done.stderr)
    pages = sorted(p.name for p in (folder / "reports").iterdir())
    assert pages == ["weekly-2026-11-16-explore.html", "weekly-2026-11-16.html"]


def test_the_configuration_is_read(folder: Path) -> None:
    (folder / "qpa.toml").write_text(blocks("toml")[-1])
    for args in (["import", "pings.csv", "--checks", "checks.csv"], ["checks", "--format", "csv"]):
        done = qpa(folder, *args)
        assert done.returncode == 0, done.stderr
    assert ",1200.0," in done.stdout and ",critical," in done.stdout


def test_from_an_api_key_to_a_weekly_report(tmp_path: Path) -> None:
    (text,) = blocks("sh")
    assert len(text.strip().splitlines()) == 5
    with Server() as server:
        server.poll(3)
        script = (
            text.replace("=...", f"={READ_WRITE}")
            .replace('kind = "healthchecks"', f'url = "{server.url}"\\nkind = "healthchecks"')
            .replace("qpa c", f"{sys.executable} -m qpanalytics c")
            .replace("qpa d", f"{sys.executable} -m qpanalytics d")
            .replace("qpa r", f"{sys.executable} -m qpanalytics r")
        )
        done = subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "3,760 pings in 20 replies" in done.stdout and "collect every" in done.stdout
    assert READ_WRITE not in done.stdout + done.stderr
    (page,) = (tmp_path / "reports").iterdir()
    assert "db-backup" in page.read_text(encoding="utf-8") and READ_WRITE not in page.read_text(encoding="utf-8")


def test_timer_and_crontab_mean_every_five_minutes() -> None:
    from datetime import UTC, datetime, timedelta
    from itertools import islice, pairwise

    from cronsim import CronSim
    from oncalendar import OnCalendar

    (crontab,) = blocks("crontab")
    timer = "\n".join(blocks("ini"))
    start = datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
    calendar = re.search(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
    assert calendar is not None
    for ticks in (CronSim(" ".join(crontab.split()[:5]), start), OnCalendar(calendar[1], start)):
        assert {b - a for a, b in pairwise(islice(ticks, 20))} == {timedelta(minutes=5)}


def test_the_python_runs_without_a_word_on_stderr(folder: Path) -> None:
    for args in (["import", "pings.csv", "--checks", "checks.csv"], ["export", "history"]):
        assert qpa(folder, *args).returncode == 0
    text = "\n".join(blocks("python"))
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=ENV, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "db-backup" in done.stdout
    assert "│ backup  │" in done.stdout and "backup    447.0" in done.stdout


def test_the_two_commands_are_the_ones_that_exist() -> None:
    (two,) = [text for text in blocks("console") if "pip install" in text]
    assert two.split("\n")[:2] == ["pip install . && qpa demo", "tests/run"]
    assert os.access(ROOT / "tests" / "run", os.X_OK)


def test_the_user_of_the_readme_is_the_one_that_every_test_reads_with() -> None:
    (line,) = blocks("redis")
    assert line.strip() == f"ACL SETUSER qpa reset on >PASSWORD resetchannels -@all %R~* {GRANTED}"


def test_each_kind_of_queue_and_worker_is_configured_as_the_readme_shows(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from qpanalytics import settings, sources

    (tmp_path / "qpa.toml").write_text(blocks("toml")[0])
    read = settings.load(tmp_path / "qpa.toml")
    kinds = [table.kind for table in read.source]
    assert set(kinds) | {"bull", "celery"} == {*sources.SNAPSHOTS, "celery"} and len(read.promise) == 1
    for table in read.source:
        if table.kind in sources.SNAPSHOTS:  # nothing is asked of anyone before the first look
            sources.open_configured(table, {"QPA_REDIS_PASSWORD": "x"}, tmp_path, lambda: datetime.now(UTC)).close()
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    told = {kind for row in rows for kind in re.findall("`([a-z-]+)`", row)}
    assert {*kinds, "bull"} <= told


def test_each_kind_of_channel_is_configured_as_the_readme_shows(tmp_path: Path) -> None:
    from qpanalytics import alerts, settings

    (text,) = [text for text in blocks("toml") if 'kind = "email"' in text]
    (tmp_path / "qpa.toml").write_text(text)
    kinds = {table.kind for table in settings.load(tmp_path / "qpa.toml").channel}
    assert kinds <= set(alerts.KINDS)
    secrets = {
        "TG_TOKEN": "1:a", "PD_ROUTING_KEY": "k", "SLACK_HOOK": "https://h.example/a", "HOOK_URL": "https://h.example/b",
        "HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SMTP_PASSWORD": "p",
    }  # fmt: skip
    said = qpa(tmp_path, "doctor", **secrets).stdout
    assert said.count("ok    channels: ") == len(kinds), said
    assert qpa(tmp_path, "alert", "test", "log").returncode == 0


def test_the_alerts_of_the_readme_reach_the_channels_that_it_names(tmp_path: Path) -> None:
    (text,) = [text for text in blocks("toml") if "[watch]" in text]
    (tmp_path / "qpa.toml").write_text(text)
    (tmp_path / "pings").mkdir()
    (tmp_path / "pings" / "a.csv").write_text("check,received_at\nbackup,2026-11-24T02:00:10Z\n")
    secrets = {"TG_TOKEN": "1:a"}
    explained = qpa(tmp_path, "alert", "explain", "backup", **secrets).stdout
    assert "oncall is told [route 1]" in explained and "log is told [route 1]" in explained
    (tmp_path / "qpa.toml").write_text(text.replace('to = ["oncall", "log"]', 'to = ["log"]'))
    for clock in ("2026-11-24T03:00:00Z", "2026-11-25T02:16:00Z"):
        done = qpa(tmp_path, "watch", "--once", "--as-of", clock, **secrets)
        assert (done.returncode, done.stderr) == (0, "")
    assert "backup did not come" in (tmp_path / "alerts.jsonl").read_text()


def test_service_and_crontab_of_the_watch_run_it() -> None:
    (unit,) = blocks("service")
    (line,) = blocks("cron")
    assert "ExecStart=/usr/local/bin/qpa watch\n" in unit and "Restart=always" in unit
    assert line.split()[:5] == ["*"] * 5 and "qpa watch --once" in line


def test_digests_go_to_whom_the_readme_says(tmp_path: Path) -> None:
    from qpanalytics import settings
    from qpanalytics.alerts.digests import groups

    told = [text for text in blocks("toml") if 'kind = "email"' in text or "[[report.send]]" in text]
    (tmp_path / "qpa.toml").write_text("\n".join(told))
    found = groups(settings.load(tmp_path / "qpa.toml"))
    assert [(group.who, group.tags) for group in found] == [
        ("ops@example.com", ()), ("dba@example.com", ("db",)), ("team", ("front",)),
    ]  # fmt: skip


def test_every_series_of_the_readme_is_written_and_no_other() -> None:
    from test_openmetrics import SAMPLE, samples

    from qpanalytics.report.openmetrics import QueueNow, openmetrics

    queue = QueueNow("shop", "q", SAMPLE.tick_at, 1, 1, 1, 1, 1, 1, True)
    written = set(samples(openmetrics(replace(SAMPLE, queues=(queue,)))))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `qpa_")]
    named = {name if name.startswith("qpa_") else f"qpa_queue{name}" for row in rows for name in re.findall("`(\\w+)`", row)}
    assert named == written
