"""A watch in a folder, round by round at instants of our own: files of pings, `qpa.toml`, and what a channel was told."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qpanalytics import settings
from qpanalytics.instants import micros
from qpanalytics.settings import Settings
from qpanalytics.store.state import State
from qpanalytics.watch import told
from qpanalytics.watch.around import Surroundings
from qpanalytics.watch.evaluate import Ticked
from qpanalytics.watch.loop import Watch

DAY = datetime(2026, 11, 24, tzinfo=UTC)
FILES = '[[source]]\nname = "jobs"\nkind = "files"\nfiles = ["pings.csv"]\n'
LOG = '[[channel]]\nname = "log"\nkind = "file"\npath = "told.jsonl"\n'


def at(clock: str, day: datetime = DAY) -> datetime:
    """The instant of a time of day, "06:11" or "06:11:05", or of "25 06:11" on another day of November 2026."""
    *date, clock = clock.split()
    hour, minute, second = (*map(int, clock.split(":")), 0)[:3]
    return (day.replace(day=int(date[0])) if date else day) + timedelta(hours=hour, minutes=minute, seconds=second)


def check(name: str, schedule: str = "*/5 * * * *", grace: str = "1 min", **more: str) -> str:
    """A `[[check]]`."""
    extra = "".join(f'{key} = "{value}"\n' for key, value in more.items() if key != "tags")
    tags = f'tags = ["{more["tags"]}"]\n' if "tags" in more else ""
    return f'[[check]]\ncheck = "{name}"\nschedule = "{schedule}"\ngrace = "{grace}"\n{extra}{tags}'


@dataclass(frozen=True)
class Said:
    """A message that the channel `log` took."""

    event: str
    checks: tuple[str, ...]
    title: str
    lines: tuple[str, ...]
    at: datetime


class Watched:
    """The folder. Each round is a `Watch` of its own, as `qpa watch --once` makes it."""

    def __init__(self, folder: Path, *tables: str) -> None:
        self.folder = folder
        self.troubles: list[str] = []
        self.configure(*tables)

    def configure(self, *tables: str) -> None:
        """Writes the configuration anew; without a word on it, the store is not fed, which takes longer than all else."""
        source = "" if any("[[source]]" in table for table in tables) else FILES
        watch = "" if any("[watch]" in table for table in tables) else '[watch]\nfeed = "1000 d"\n'
        (self.folder / "qpa.toml").write_text("\n".join([*tables, source, watch, LOG]))

    @property
    def settings(self) -> Settings:
        return settings.load(self.folder / "qpa.toml")

    @property
    def store(self) -> Path:
        return self.folder / "qpa.duckdb"

    def ping(self, check: str, when: datetime, kind: str = "success", **more: Any) -> None:
        """Appends a ping to the file."""
        path = self.folder / "pings.csv"
        head = "" if path.exists() else "check,received_at,kind,run_id,host,exit_status\n"
        row = [check, when.isoformat(), kind, *(str(more.get(name, "")) for name in ("run_id", "host", "exit_status"))]
        with path.open("a") as file:
            file.write(head + ",".join(row) + "\n")

    def pings(self, check: str, *clocks: str, kind: str = "success") -> None:
        for clock in clocks:
            self.ping(check, at(clock), kind)

    def round(self, now: datetime, **environ: str) -> Ticked | None:
        """What `qpa watch --once --as-of NOW` does."""
        around = Surroundings(
            self.store, self.folder, {**os.environ, **environ}, lambda: now, self.troubles.append,
            self.folder / "qpa.toml", now,
        )  # fmt: skip
        with State.beside(self.store) as state:
            watch = Watch(self.settings, around, state)
            if not watch.seed():
                return None
            ticked = watch.once()
            watch.end()
        return ticked

    def rounds(self, since: datetime, until: datetime, every_s: float = 60.0) -> None:
        """Rounds in [since, until]."""
        while since <= until:
            self.round(since)
            since += timedelta(seconds=every_s)

    def said(self) -> list[Said]:
        """What the channel was told so far."""
        path = self.folder / "told.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            Said(
                row["data"]["event"], tuple(row["data"].get("members", ())), row["data"]["title"], tuple(row["data"]["lines"]),
                datetime.fromisoformat(row["timestamp"]),
            )
            for row in rows
        ]  # fmt: skip

    def news(self) -> list[tuple[str, str]]:
        """What the channel was told, in short: the event and the first name."""
        return [(said.event, said.checks[0] if said.checks else said.title) for said in self.said()]

    def incidents(self) -> list[dict[str, Any]]:
        with State.beside(self.store) as state:
            return told.incidents(state, self.settings, DAY)


__all__ = ["DAY", "FILES", "LOG", "Said", "Watched", "at", "check", "micros"]
