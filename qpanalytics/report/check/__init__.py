"""The page of one check: `check_report(history, "backup")` gives a page and a text that say the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.report.check.model import CheckFacts


@dataclass(frozen=True)
class CheckReport:
    """One check. `html` is a self-contained page without scripts, `text` the same words for a terminal."""

    facts: CheckFacts
    history: History

    @property
    def html(self) -> str:
        """The page."""
        from qpanalytics.report.check.page import page

        return page(self.facts)

    @property
    def text(self) -> str:
        """The same words as plain text."""
        from qpanalytics.report.check.text import text

        return text(self.facts)

    @property
    def verdict(self) -> str:
        """The headline."""
        from qpanalytics.report.check.words import headline

        before, after = headline(self.facts)
        return f"{before}{self.facts.check}{after}"

    @property
    def name(self) -> str:
        """A file name that tells the check and the last day: `check-backup-2026-11-24.html`.

        A name that file systems mind is told apart from others like it by a few digits of its own.
        """
        from qpanalytics.instants import TICK
        from qpanalytics.report import plain
        from qpanalytics.report.check.words import kind

        window, check = self.facts.window, self.facts.check
        words = [plain(check)]
        if words[0] != check:
            words.append(hashlib.sha256(check.encode("utf-8", "surrogatepass")).hexdigest()[:6])
        zone = ZoneInfo(window.tz)
        last = (min(window.until_at, window.as_of + TICK) - TICK).astimezone(zone).date().isoformat()
        # windows of one's own may end on one day and differ
        first = [] if kind(self.facts).startswith("90 days") else [window.since_at.astimezone(zone).date().isoformat(), "to"]
        store = plain(self.history.store.path.stem)
        named = [store] if store not in ("qpa", "memory") else []
        return "-".join(filter(None, ["check", *words, *first, last, *named])) + ".html"

    def write(self, folder: str | Path = "reports") -> Path:
        """Writes the page into `folder` (made if need be) and returns its path; OSError where that fails."""
        from qpanalytics.report import keep

        return keep(Path(folder) / self.name, self.html)

    def write_text(self, folder: str | Path = "reports") -> Path:
        """Writes the text into `folder` as `write` does the page."""
        from qpanalytics.report import keep

        return keep((Path(folder) / self.name).with_suffix(".txt"), self.text)

    def __repr__(self) -> str:
        from qpanalytics import spell

        return f"<CheckReport {self.name}: {spell.plain(self.verdict)}>"

    def _repr_html_(self) -> str:
        from qpanalytics.report.check.page import fragment

        return fragment(self.facts)


def check_report(
    history: History, check: str, *, period: str | None = None, tz: str = "UTC", command: str = "", made_by: str = ""
) -> CheckReport:
    """The page of the check of that name or key; UsageError, with the nearest name, where there is none.

    Without `period` it tells of the 90 days that end with `as_of`; "custom" is the history's own window; "daily",
    "weekly" and "monthly" are as for the digest.
    """
    from qpanalytics.report.check.facts import check_facts, last_days
    from qpanalytics.report.check.find import named
    from qpanalytics.report.window import period_window

    name = named(history.store, check)
    if period is None:
        history = last_days(history, tz)
    elif period != "custom":
        history = history.window(*period_window(period, history.as_of, tz))
    return CheckReport(check_facts(history, name, tz=tz, command=command, made_by=made_by), history)
