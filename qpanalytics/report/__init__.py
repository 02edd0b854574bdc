"""The digest of a window: `report(history)` gives a page, a text and a fragment that say the same."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast, overload

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.report.check import CheckReport
    from qpanalytics.report.model import Facts, Period

NAME_MOST = 150
"""File names end at 255 bytes, and people's patience before."""


@dataclass(frozen=True)
class Report:
    """One digest. `html` is a self-contained page without scripts, `text` the same words for a terminal."""

    facts: Facts
    history: History
    explore: bool = False

    @property
    def html(self) -> str:
        """The page."""
        from qpanalytics.report.page import page

        return page(self.facts, self.explored_name if self.explore else "")

    @property
    def explored(self) -> str:
        """The page beside it with the charts of each check, drawn when one is opened."""
        from qpanalytics.report.explore import explore

        return explore(self.facts, self.history, self.name)

    @property
    def text(self) -> str:
        """The same words as plain text."""
        from qpanalytics.report.text import text

        return text(self.facts)

    @property
    def name(self) -> str:
        """A file name that tells the window, and which checks if not all: `weekly-2026-08-10.html`."""
        from zoneinfo import ZoneInfo

        window = self.facts.window
        pick = self.history.pick
        first = window.since_at.astimezone(ZoneInfo(window.tz)).date()
        chosen = [plain(words) for words in (*pick.tags, *pick.checks, *pick.sources)]
        store = plain(self.history.store.path.stem)
        named = [store] if store not in ("qpa", "memory") else []
        # windows of one's own may begin on one day and differ
        last = ["to", window.until_at.astimezone(ZoneInfo(window.tz)).date().isoformat()] if window.period == "custom" else []
        words = [window.period, first.isoformat(), *last, *named, *filter(None, chosen)]
        return "-".join(words)[:NAME_MOST] + ".html"

    @property
    def explored_name(self) -> str:
        """The file name of the page with charts: `weekly-2026-08-10-explore.html`."""
        return self.name.removesuffix(".html") + "-explore.html"

    def write(self, folder: str | Path = "reports") -> Path:
        """Writes the page into `folder` (made if need be) and returns its path; OSError where that fails.

        With `explore` the page with charts is written first, so that no link leads nowhere.
        """
        if self.explore:
            keep(Path(folder) / self.explored_name, self.explored)
        return keep(Path(folder) / self.name, self.html)

    def write_text(self, folder: str | Path = "reports") -> Path:
        """Writes the text into `folder` as `write` does the page."""
        return keep((Path(folder) / self.name).with_suffix(".txt"), self.text)

    @property
    def verdict(self) -> str:
        """The headline."""
        from qpanalytics.report.wording import verdict

        return verdict(self.facts)

    def __repr__(self) -> str:
        return f"<Report {self.name}: {self.verdict}>"

    def _repr_html_(self) -> str:
        from qpanalytics.report.page import fragment

        return fragment(self.facts)


@overload
def report(
    history: History, *, period: str | None = None, tz: str = "UTC", command: str = "", explore: bool = False
) -> Report: ...
@overload
def report(
    history: History, *, check: str, period: str | None = None, tz: str = "UTC", command: str = ""
) -> CheckReport: ...
def report(
    history: History,
    *,
    check: str | None = None,
    period: str | None = None,
    tz: str = "UTC",
    command: str = "",
    explore: bool = False,
) -> Report | CheckReport:
    """The digest of the last full day, week (default) or month in `tz` before `history.as_of`; "custom": of its own window.

    With `check`, a name or key, the page of that check alone: without `period`, its 90 days up to `history.as_of`.
    `command` is printed as the way to the same numbers. With `explore` a second page with charts to zoom into is written
    beside a digest (`explored`), and the two link to each other.
    """
    from qpanalytics import __version__, spell
    from qpanalytics.errors import UsageError
    from qpanalytics.report.facts import facts
    from qpanalytics.report.window import period_window
    from qpanalytics.store.db import MemoryStore

    place = "" if isinstance(history.store, MemoryStore) else f" from {spell.plain(history.store.path.name)}"
    made_by = f"qpanalytics {__version__}{place}"
    if check is not None:
        if explore:
            raise UsageError("explore goes with a digest; the page of one check stands alone: leave one of the two away")
        from qpanalytics.report.check import check_report

        return check_report(history, check, period=period, tz=tz, command=command, made_by=made_by)
    period = period or "weekly"
    shown = history
    if period != "custom":
        since, until = period_window(period, history.as_of, tz)
        shown = history if (since, until) == (history.since, history.until) else history.window(since, until)
    gathered = facts(shown, period=cast("Period", period), tz=tz, command=command, made_by=made_by)
    return Report(gathered, replace(shown), explore)


def keep(path: Path, text: str) -> Path:
    """Writes `text` whole or not at all: a disk that fills up leaves the page that was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name[:NAME_MOST]}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def plain(words: str) -> str:
    """A part of a file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words)[:40].strip("-.")


class _Callable(ModuleType):
    """`qpa.report(h)` and `qpanalytics.report.page` are both wanted, and a package has one attribute of a name."""

    def __call__(self, history: History, **told: Any) -> Any:
        return report(history, **told)


sys.modules[__name__].__class__ = _Callable
