"""Rule 3, slowly: pings -> runs. Part of the oracle; see `oracle.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SECOND = 1_000_000


@dataclass(frozen=True)
class Ping:
    """One signal. Where several came at one instant `n` decides, then the order of the list."""

    received_at: int
    kind: str = "success"
    n: int | None = None
    run_id: str | None = None
    duration_s: float | None = None
    exit_status: int | None = None


@dataclass(eq=False)
class Paired:
    """A start and its finish, or either of them alone; `result` is open, success, fail or abandoned."""

    run_id: str | None
    order: int  # place of its last ping among all; among completed runs this is the order of completion
    started_at: int | None = None
    first_start_at: int | None = None  # what max runtime counts from
    finished_at: int | None = None
    abandoned_at: int | None = None
    duration_s: float | None = None
    result: str = "open"
    exit_status: int | None = None

    @property
    def belongs_at(self) -> int:
        """The instant that decides which window the run belongs to: its start ping, else its completion."""
        return self.completed_at if self.started_at is None else self.started_at

    @property
    def completed_at(self) -> int:
        """When its finish came; only to be asked of a run that has one."""
        assert self.finished_at is not None
        return self.finished_at


def visible(pings: Sequence[Ping], as_of: int) -> list[Ping]:
    """The pings known at `as_of`, in the order that holds everywhere: received_at, n (none first), place in `pings`."""
    numbered = [(p.received_at, p.n is not None, p.n or 0, place) for place, p in enumerate(pings)]
    return [pings[place] for received_at, _, _, place in sorted(numbered) if received_at <= as_of]


def pair(pings: Sequence[Ping]) -> list[Paired]:
    """Starts and finishes paired. Each run id has a lane of its own; pings without one share a lane."""
    runs: list[Paired] = []
    lanes: dict[str | None, list[Paired]] = {}  # the open starts of each lane, oldest first
    latest: Paired | None = None  # the run of the most recent start ping, whatever its id
    for order, ping in enumerate(pings):
        if ping.kind not in ("start", "success", "fail"):
            continue
        run_id = ping.run_id or None
        lane = lanes.setdefault(run_id, [])
        if ping.kind == "start":
            latest = Paired(run_id, order, started_at=ping.received_at, first_start_at=ping.received_at)
            lane.append(latest)
            runs.append(latest)
            continue
        if lane:
            run, forgotten = lane[-1], lane[:-1]
            run.first_start_at = lane[0].started_at
            for earlier in forgotten:
                earlier.result, earlier.abandoned_at = "abandoned", ping.received_at
            lane.clear()
        elif run_id is None and latest is not None and latest.result == "open":
            # A start with an id and then a plain finish: it can only mean the run that began last.
            run = latest
            lanes[run.run_id].remove(run)
        else:
            run = Paired(run_id, order)
            runs.append(run)
        run.order, run.finished_at, run.result, run.exit_status = order, ping.received_at, ping.kind, ping.exit_status
        run.duration_s = ping.duration_s
        if run.duration_s is None and run.started_at is not None:
            run.duration_s = (ping.received_at - run.started_at) / SECOND
    return runs
