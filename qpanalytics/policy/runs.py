"""The runs of one check that are under way: starts and the finishes that end them, ping by ping (design rule 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Run:
    """A start without its finish. `limit` is when it has run too long; `settled`: no completion will change that any more."""

    started: int
    run_id: str | None
    limit: int | None = None
    settled: bool = False


class OpenRuns:
    """The open runs of a check in the order of their starts. Each run id has a lane; pings without one share a lane."""

    __slots__ = ("_newest_open", "runs")

    def __init__(self, said: dict[str, Any] | None = None) -> None:
        self.runs = [Run(*one) for one in (said or {}).get("runs", ())]
        self._newest_open: bool = (said or {}).get("newest", False)

    def said(self) -> dict[str, Any]:
        """As JSON values; the constructor takes them back."""
        return {"runs": [[r.started, r.run_id, r.limit, r.settled] for r in self.runs], "newest": self._newest_open}

    def start(self, at: int, run_id: str | None) -> Run:
        """A start ping."""
        run = Run(at, run_id)
        self.runs.append(run)
        self._newest_open = True
        return run

    def finish(self, run_id: str | None) -> Run | None:
        """The run that a finish ends, if any; earlier open starts of its lane are abandoned with it."""
        if not self.runs:
            return None
        newest = self.runs[-1]
        lane = [run for run in self.runs if run.run_id == run_id]
        if lane:
            self.runs = [run for run in self.runs if run.run_id != run_id]
            if newest.run_id == run_id:
                self._newest_open = False
            return lane[-1]
        if run_id is None and self._newest_open:
            # a start with an id and then a plain finish: it can only mean the run that began last
            self._newest_open = False
            return self.runs.pop()
        return None
