"""The ledger's rules once more, slowly, in plain Python: what the fast SQL is compared with.

To be read beside "How a run meets its expected time". `oracle_runs` has rule 3, `oracle_windows` rules 1, 2, 5 (grace)
and 6, and here are 4, 7 and 8. It shares nothing with the ledger but the ticks of a schedule, and knows one check at a
time. Instants are ints, microseconds since 1970 in UTC; what ends in `_s` is float seconds. Left out: rates, which are
sums over this (rule 5), the choice of `as_of` (9), "cannot tell" (10) and identity (11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle_runs import SECOND, Paired, Ping, pair, visible
from oracle_windows import (
    BEGINNING,
    FOREVER,
    Span,
    Version,
    Window,
    chains,
    holder,
    promises,
    reigns,
    rolling_windows,
    ticking_windows,
)

__all__ = ["Occurrence", "Ping", "Result", "Run", "Version", "derive", "downs", "status"]


@dataclass(frozen=True)
class Run:
    """One execution; `result` is success, fail, open or abandoned."""

    run_id: str | None
    started_at: int | None
    completed_at: int | None
    duration_s: float | None
    result: str
    exit_status: int | None
    overran: bool
    expected_at: int | None


@dataclass(frozen=True)
class Occurrence:
    """One expected run and what became of it. `end_at` None: its window never closes."""

    expected_at: int
    window_start_at: int
    end_at: int | None
    deadline_at: int
    started_at: int | None
    completed_at: int | None
    outcome: str
    lateness_s: float | None
    start_delay_s: float | None
    duration_s: float | None
    attempts: int
    failures: int
    extra: int
    vouched: bool
    excused: bool


@dataclass(frozen=True)
class Result:
    """Runs by their start (else completion), occurrences by expected time."""

    runs: list[Run]
    occurrences: list[Occurrence]


def derive(
    pings: Sequence[Ping],
    versions: Sequence[Version],
    *,
    as_of: int,
    pauses: Sequence[Span] = (),
    vouched: Sequence[Span] = (),
) -> Result:
    """All runs and occurrences of one check at `as_of`. Pauses are [from, until), vouched spans [from, until]."""
    ledger = Ledger(pings, versions, as_of, pauses, vouched)
    runs = sorted(ledger.runs, key=lambda run: (run.belongs_at, run.order))
    windows = sorted(ledger.windows, key=lambda window: (window.expected_at, window.window_start_at))
    return Result([ledger.run(run) for run in runs], [ledger.occurrence(window) for window in windows])


def merged(spans: Sequence[Span]) -> list[Span]:
    """Closed spans as few disjoint ones; those that touch are one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


class Ledger:
    """All that is known of one check at `as_of`."""

    def __init__(
        self,
        pings: Sequence[Ping],
        versions: Sequence[Version],
        as_of: int,
        pauses: Sequence[Span],
        vouched: Sequence[Span],
    ) -> None:
        self.as_of, self.pauses, self.vouched = as_of, list(pauses), merged(vouched)
        self.pings = visible(pings, as_of)
        self.runs = pair(self.pings)
        self.completed = sorted((run for run in self.runs if run.finished_at is not None), key=lambda run: run.order)
        successes = [run.completed_at for run in self.completed if run.result == "success"]
        self.succeeded_at = max(successes, default=BEGINNING)
        self.promises = promises(versions, pings)
        self.chains = chains(self.promises, pauses)
        ticking = ticking_windows(self.promises, as_of)
        rolling = [window for chain in self.chains for window in rolling_windows(chain, self.completed, as_of)]
        self.windows = ticking + rolling
        self.window_of: dict[Paired, Window] = {run: window for window in rolling for run in window.runs}
        ticking.sort(key=lambda window: window.window_start_at)
        rolling.sort(key=lambda window: window.window_start_at)
        for run in self.runs:
            if run in self.window_of:  # it closed an interval's occurrence, wherever it began
                continue
            window = holder(ticking, run.belongs_at)
            if window is None and run.finished_at is None:  # a finished one went to the interval that it closed
                window = holder(rolling, run.belongs_at)
            if window is not None:
                self.window_of[run] = window
                window.runs.append(run)

    # ---------------------------------------------------------------------------------------------- rule 4: outcomes

    def limit(self, run: Paired) -> int | None:
        """When the run has run too long; None if nothing says, or if its start is not known."""
        window = self.window_of.get(run)
        if run.started_at is None or run.first_start_at is None:
            return None
        in_force = next((p for p in self.promises if p.start <= run.started_at < p.end), None)
        promise = in_force if window is None else window.promise
        if promise is not None and promise.max_runtime is not None:
            return run.first_start_at + promise.max_runtime
        if window is not None and window.end_at != FOREVER:
            return max(window.deadline_at, window.end_at)
        return None

    def overran(self, run: Paired) -> bool:
        limit = self.limit(run)
        if limit is None:
            return False
        if run.result == "open":
            return self.as_of >= limit
        ended_at = run.abandoned_at if run.result == "abandoned" else run.finished_at
        return ended_at is not None and ended_at > limit

    def excused(self, window: Window) -> bool:
        return any(start <= window.deadline_at and until > window.expected_at for start, until in self.pauses)

    def saw(self, since: int, until: int) -> bool:
        return any(start <= since and until <= end for start, end in self.vouched)

    def outcome(self, window: Window) -> str:
        """The first that holds."""
        successes = window.found("success")
        if successes:
            return "on_time" if successes[0].completed_at <= window.deadline_at else "late"
        if self.excused(window):
            return "excused"
        if window.found("fail"):
            return "failed"
        if any(self.overran(run) for run in window.found("open")):
            return "hung"
        if window.found("open") or self.as_of < window.deadline_at:
            return "pending"
        return "missed" if self.saw(window.window_start_at, window.deadline_at) else "unknown"

    def occurrence(self, window: Window) -> Occurrence:
        successes, failures, completed = window.found("success"), window.found("fail"), window.found("success", "fail")
        settling = next(iter(successes or failures or window.found("open") or window.found("abandoned")), None)
        started_at = None if settling is None else settling.started_at
        completed_at = None if settling is None else settling.finished_at
        if not successes:
            attempts = len(failures)
        elif window.promise.period is not None:
            attempts = len(completed)  # all that came at the one instant that closed it
        else:
            attempts = completed.index(successes[0]) + 1
        return Occurrence(
            expected_at=window.expected_at,
            window_start_at=window.window_start_at,
            end_at=None if window.end_at == FOREVER else window.end_at,
            deadline_at=window.deadline_at,
            started_at=started_at,
            completed_at=completed_at,
            outcome=self.outcome(window),
            lateness_s=(successes[0].completed_at - window.expected_at) / SECOND if successes else None,
            start_delay_s=None if started_at is None else (started_at - window.expected_at) / SECOND,
            duration_s=None if settling is None else settling.duration_s,
            attempts=attempts,
            failures=len(failures),
            extra=max(0, len(successes) - 1),
            vouched=self.saw(window.window_start_at, window.deadline_at),
            excused=self.excused(window),
        )

    def run(self, run: Paired) -> Run:
        window = self.window_of.get(run)
        return Run(
            run_id=run.run_id,
            started_at=run.started_at,
            completed_at=run.finished_at,
            duration_s=run.duration_s,
            result=run.result,
            exit_status=run.exit_status,
            overran=self.overran(run),
            expected_at=None if window is None else window.expected_at,
        )

    # ------------------------------------------------------------------------------------------------ rule 7: status

    def kept(self, window: Window) -> bool:
        """Whether a success, of whatever window, came since this one opened."""
        if window.after_anchor:  # the completion that anchors an interval opens the window and is no answer to it
            return self.succeeded_at > window.window_start_at
        return self.succeeded_at >= window.window_start_at

    def is_down(self) -> bool:
        at = self.as_of
        since = next((chain.start for chain in self.chains if chain.start <= at < chain.end), None)
        if since is None:  # nothing is promised yet, or ever: only a pause can have wiped the slate
            since = max((until for _, until in self.pauses if until <= at), default=BEGINNING)
        recent = [run for run in self.completed if run.completed_at >= since]
        if recent and recent[-1].result == "fail":
            return True
        limits = [self.limit(run) for run in self.runs if run.result == "open"]
        if any(limit is not None and max(since, self.succeeded_at + 1) <= limit <= at for limit in limits):
            return True
        # A deadline that was not watched from the window's start proves nothing: its outcome is unknown, not missed.
        due = [
            window
            for window in self.windows
            if since <= window.expected_at and window.deadline_at <= at and self.saw(window.window_start_at, window.deadline_at)
        ]
        return any(not self.excused(window) and not self.kept(window) for window in due)

    def is_in_grace(self) -> bool:
        awaited = [w for w in self.windows if w.expected_at <= self.as_of < w.deadline_at and not self.excused(w)]
        return any(not self.kept(window) for window in awaited)


def status(
    pings: Sequence[Ping],
    versions: Sequence[Version],
    *,
    at: int,
    pauses: Sequence[Span] = (),
    vouched: Sequence[Span] = (),
) -> str:
    """How the check stands at `at`: the first that holds."""
    ledger = Ledger(pings, versions, at, pauses, vouched)
    reigned = any(start <= at for start, _, _ in reigns(versions))
    reigning = any(start <= at < end for start, end, _ in reigns(versions))
    if (reigned and not reigning) or any(start <= at < until for start, until in pauses):
        return "paused"
    if not ledger.pings and not any(start <= at for start, _ in ledger.vouched):
        return "new"
    if not ledger.saw(at, at):
        return "unknown"
    if not ledger.runs:
        return "new"
    if ledger.is_down():
        return "down"
    if ledger.is_in_grace():
        return "grace"
    # one past its limit made the check down until the success that followed, and nobody waits for it any more
    return "started" if any(run.result == "open" and not ledger.overran(run) for run in ledger.runs) else "up"


def downs(
    pings: Sequence[Ping],
    versions: Sequence[Version],
    *,
    as_of: int,
    pauses: Sequence[Span] = (),
    vouched: Sequence[Span] = (),
) -> list[tuple[int, int | None]]:
    """The stretches [since, until) in which the status was `down`; until None: it still is at `as_of`.

    Slower than slow: the status is asked at every instant that could change it.
    """
    seen = merged(vouched)
    instants = {as_of, *(at for start, end, _ in reigns(versions) for at in (start, end))}
    instants |= {at for span in pauses for at in span} | {at for start, end in seen for at in (start, end + 1)}
    for known_at in {as_of, *(at for ping in pings for at in (ping.received_at - 1, ping.received_at))}:
        ledger = Ledger(pings, versions, known_at, pauses, vouched)
        limits = [ledger.limit(run) for run in ledger.runs]
        instants |= {known_at, *(window.deadline_at for window in ledger.windows)}
        instants |= {at for at in limits if at is not None}
    found: list[tuple[int, int | None]] = []
    since: int | None = None
    for at in sorted(at for at in instants if at <= as_of):
        down = status(pings, versions, at=at, pauses=pauses, vouched=vouched) == "down"
        if down and since is None:
            since = at
        elif not down and since is not None:
            # Vouched spans are closed: at their very end it was still known to be down.
            found.append((since, at - 1 if at - 1 in {end for _, end in seen} else at))
            since = None
    return found if since is None else [*found, (since, None)]
