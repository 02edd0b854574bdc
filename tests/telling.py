"""Small histories for verdicts and reports: jobs whose days are told in words, read as one week.

The week is Mon 16 to Sun 22 Nov 2026, UTC, looked at on Mon 23 at 01:00, before the night's jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from qpanalytics.history import History
from qpanalytics.verdict import findings
from qpanalytics.verdict.finding import Finding

SINCE, UNTIL = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
AS_OF = datetime(2026, 11, 23, 1, tzinfo=UTC)


class Job:
    """A check and its pings, one word a run, the last of them on `last`: "60x20 M F H D300".

    `60` succeeds 60 s after its tick, `D300` starts at once and takes 300 s, `F` starts at once and fails after a minute
    (`F3` with exit status 3), `H` starts and never ends, `S` starts, `M` sends nothing, `-` is a tick that the schedule
    does not have (a weekend). With `ids` each run has one, so that no later start takes it over.
    """

    def __init__(
        self,
        name: str,
        words: str,
        *,
        schedule: str | None = "0 3 * * *",
        last: str = "2026-11-22 03:00",
        every: timedelta = timedelta(days=1),
        ids: bool = False,
        **promise: Any,
    ) -> None:
        self.name = name
        told = [word for part in words.split() for word in _times(part)]
        end = datetime.fromisoformat(last).replace(tzinfo=UTC)
        first = end - every * (len(told) - 1)
        self.check = {"check": name, "schedule": schedule, "valid_from": first - timedelta(minutes=1), **promise}
        self.pings = [
            ping for i, word in enumerate(told) for ping in self._pings(first + i * every, word, f"run-{i}" if ids else None)
        ]

    def _pings(self, tick: datetime, word: str, run_id: str | None) -> Iterable[dict[str, Any]]:
        letter, figure = (word[0], word[1:]) if word[0].isalpha() or word == "-" else ("", word)
        if letter in ("M", "-"):
            return
        if letter:
            yield {"check": self.name, "received_at": tick, "kind": "start", "run_id": run_id}
        if letter in ("H", "S"):
            return
        after = 60.0 if letter == "F" else float(figure)
        yield {
            "check": self.name,
            "received_at": tick + timedelta(seconds=after),
            "kind": "fail" if letter == "F" else "success",
            "run_id": run_id,
            "exit_status": int(figure) if letter == "F" and figure else None,
        }


def _times(part: str) -> list[str]:
    word, _, times = part.partition("x")
    return [word] * int(times or 1)


def week(
    *jobs: Job,
    as_of: datetime = AS_OF,
    covers_until: datetime | None = None,
    since: datetime = SINCE,
    until: datetime = UNTIL,
    pauses: list[dict[str, Any]] | None = None,
) -> History:
    """The week of these jobs; everything up to `as_of` was seen, unless `covers_until` says less."""
    checks, pings = frames(jobs, as_of)
    return History.from_frames(
        checks=checks,
        pings=pings,
        pauses=None if pauses is None else pd.DataFrame(pauses),
        as_of=as_of,
        since=since,
        until=until,
        covers_until=covers_until or as_of,
    )


def frames(jobs: Iterable[Job], as_of: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The jobs as check and ping frames."""
    jobs = list(jobs)
    pings = [ping for job in jobs for ping in job.pings if ping["received_at"] <= as_of]
    columns = ["check", "received_at", "kind", "run_id", "exit_status"]
    frame = pd.DataFrame(pings, columns=columns).astype({"received_at": "datetime64[us, UTC]", "exit_status": "Int16"})
    return pd.DataFrame([job.check for job in jobs]), frame


def told(history: History, tz: str = "UTC") -> list[tuple[str, str]]:
    """What is said: (kind, sentence) of each finding."""
    return [(f.kind, f.sentence) for f in findings(history, tz=tz)]


def only(history: History, tz: str = "UTC") -> Finding:
    """The one finding of a history that must have exactly one."""
    (finding,) = findings(history, tz=tz)
    return finding


def instant(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
