"""A collector that is killed at any moment loses nothing and stores nothing twice: real processes, a real server."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from healthchecks_server import READ_WRITE, Fleet, Server

KILLS = 6
COLLECT = [sys.executable, "-c", "from qpanalytics.cli.app import main; main()", "collect"]


def start(folder: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "QPA_TEST_KEY": READ_WRITE}
    return subprocess.Popen(COLLECT, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(folder: Path) -> Counter[tuple[str, int]]:
    """How often each ping is stored; an unfinished first transaction leaves a file without tables, or none."""
    if not (folder / "qpa.duckdb").exists():
        return Counter()
    with duckdb.connect(str(folder / "qpa.duckdb"), read_only=True) as con:
        if not con.execute("select 1 from duckdb_tables() where table_name = 'pings'").fetchall():
            return Counter()
        return Counter(con.execute("select key, n from store.pings join store.checks using (check_id)").fetchall())


def test_a_collector_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    fleet = Fleet(checks=20, pings=300, window=1000, start=datetime.now(UTC) - timedelta(days=30))
    with Server(fleet) as server:
        (tmp_path / "qpa.toml").write_text(
            f'[[source]]\nname = "prod"\nkind = "healthchecks"\nurl = "{server.url}"\napi_key = "env:QPA_TEST_KEY"\n'
        )
        killed = 0
        for kill in range(KILLS):
            collector = start(tmp_path)
            time.sleep(0.2 + 1.4 * (kill + chance.random()) / KILLS)  # one in each part of a run's time
            collector.kill()
            _, said = collector.communicate(timeout=30)
            killed += collector.returncode == -9
            assert "Traceback" not in said
            assert set(stored(tmp_path).values()) <= {1}
            if (tmp_path / "qpa.duckdb-state").exists():
                with sqlite3.connect(tmp_path / "qpa.duckdb-state") as con:
                    assert con.execute("pragma integrity_check").fetchall() == [("ok",)]
            for number in range(len(fleet.jobs)):
                fleet.ping(number, times=chance.randrange(12))
        collector = start(tmp_path)
        said, wrong = collector.communicate(timeout=60)
    assert (collector.returncode, wrong) == (0, ""), said
    assert killed >= 2, "every collector was done before it was killed; nothing was tested"
    shown = {(job.key, n) for job in fleet.jobs for n in range(1, job.n + 1)}
    found = stored(tmp_path)
    assert set(found) == shown and set(found.values()) == {1}
    assert "lost" not in said
