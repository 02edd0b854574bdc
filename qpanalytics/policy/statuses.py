"""One check's clock: how it stands, from its pings and the time gone by (design rule 7), and when that may change next.

The ledger derives this from everything at once; here it is carried along, and a property test holds the two together.
Instants are epoch microseconds, and the clock of a check is event time: it stands where the check was last judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.policy.expected import Window, holder
from qpanalytics.policy.waiting import Waiting

Tell = Callable[[str, int, dict[str, Any]], None]


class Watched(Protocol):
    """What was seen of a check."""

    def saw(self, since: int, until: int) -> bool:
        """Whether all of [since, until] was vouched for."""

    def begun(self, at: int) -> bool:
        """Whether anything was vouched for by then."""


class Clock(Waiting):
    """One check. `tell(what, at, evidence)` hears what becomes of its occurrences.

    `missed` and `late` (begun, and not finished) at a deadline, `failed`, `hung`, `kept` (a deadline with its success),
    `success` (with its duration), `well` (no longer down; `why` where nobody succeeded).
    """

    def __init__(self, name: str, watched: Watched, tell: Tell, said: dict[str, Any] | None = None) -> None:
        said = said or {}
        self.name, self.watched, self.tell = name, watched, tell
        super().__init__(said)

    # Events ------------------------------------------------------------------------------------------------------------

    def promise(self, versions: tuple[Version, ...]) -> None:
        """What is promised from now on."""
        self.versions = list(versions)
        self._forget()
        for run in self.open.runs:
            run.settled = False
            self._settle_limit(run)

    def pause(self, at: int) -> None:
        """Nothing is expected from `at` on."""
        self._due = None
        if not any(a <= at < b for a, b in self.pauses):
            self._leave(at, paused=True)
            self.pauses.append((at, FOREVER_US))
            self.tell("well", at, {"why": "paused"})

    def resume(self, at: int) -> None:
        """The pause that lasts ends."""
        self.pauses = [(a, at if b == FOREVER_US else b) for a, b in self.pauses if b != FOREVER_US or a < at]
        # older ones excuse nothing that is still to be judged; the last sets from when trouble counts
        self.pauses = self.pauses[-10:]
        self._fixed = self._due = None

    def fall_silent(self, silence_s: float | None) -> None:
        """Only silence for so long is a sign from now on; None: ticks are judged again."""
        self.silence, self._due = None if silence_s is None else round(silence_s * 1e6), None

    def hear(self, at: int, kind: str, run_id: str | None, duration_s: float | None, figures: dict[str, Any]) -> None:
        """A ping; what fell due before it has been judged."""
        self._due = None
        if self.first_ping is None or at < self.first_ping:
            self.first_ping = at
            if any(not version.counts for version in self.versions):
                self._forget()
        if self.rolls:
            for reign in self.reigns:
                if self.clock < reign.until <= at:
                    self._leave(reign.until)
        if kind == "start":
            self.acted = True
            # a start older than the last completion: its finish has been taken already
            if self.last is None or at >= self.last[0]:
                self._settle_limit(self.open.start(at, run_id or None))
        elif kind in ("success", "fail"):
            self.acted = True
            self._finish(at, kind == "success", run_id or None, duration_s, figures)

    def _finish(self, at: int, ok: bool, run_id: str | None, duration_s: float | None, figures: dict[str, Any]) -> None:
        was_down = self.missed is not None or (self.last is not None and not self.last[1]) or self._hung(self.clock) is not None
        run = self.open.finish(run_id)
        rolls = self.rolls
        if rolls:
            self._close(at, ok)
        if self.last is None or at >= self.last[0]:
            self.last = (at, ok)
        if duration_s is None and run is not None:
            duration_s = (at - run.started) / 1e6
        if ok:
            self.success = at if self.success is None else max(self.success, at)
            self.carried = [w for w in self.carried if not w.kept(self.success)]
            if self.missed is not None and self.missed[1].kept(self.success):
                self.missed = None
            self.tell("success", at, {"duration_s": duration_s})
            if was_down and self.down(self.clock) is None:
                self.tell("well", at, {})
        elif self.last == (at, ok):
            started = None if run is None else run.started
            where = self._where(at if started is None else started)
            self._trouble("failed", at, {"completed_at": at, "started_at": started, "duration_s": duration_s, **where, **figures})

    def _trouble(self, what: str, at: int, evidence: dict[str, Any]) -> None:
        """Tells of trouble; of a check that rests there is none, whatever its pings say."""
        if not self.resting(at):
            self.tell(what, at, evidence)

    def _where(self, at: int) -> dict[str, Any]:
        """The occurrence that a run at this instant belongs to, where ticks are fixed."""
        found = holder(self.reigns, at)
        return {} if found is None else {"expected_at": found[1].expected, "deadline_at": found[1].deadline}

    # Time --------------------------------------------------------------------------------------------------------------

    def due(self) -> int | None:
        """The next instant after the clock at which something may change by time alone."""
        if self._due is None:
            self._due = (self._next_due(),)
        return self._due[0]

    def _next_due(self) -> int | None:
        clock = self.clock
        found = [fixed[0]] if (fixed := self._next_fixed()) is not None else []
        if self.open.runs:
            found += [limit for run in self.open.runs if (limit := self._limit(run)) is not None and limit > clock]
        mine = self.reigns
        if len(mine) > 1 or (mine and (mine[0].since > clock or mine[0].until < FOREVER_US)):
            found += [edge for reign in mine for edge in (reign.since, reign.until) if clock < edge < FOREVER_US]
        if self.rolls:
            found += [window.deadline for window in self.carried if window.deadline > clock]
            found += self._rolling_dues(clock)
            # nothing is reckoned from a completion before what is a pause at the clock is over
            found += [until for _, until in self.pauses if clock < until < FOREVER_US]
        if self.silence is not None and self.last is not None and self.last[0] + self.silence > clock:
            found.append(self.last[0] + self.silence)
        return min(found, default=None)

    def run(self, upto: int) -> None:
        """Lets time go by: everything that falls due up to `upto`, that included, is judged."""
        while (due := self.due()) is not None and due <= upto:
            before, self.clock, self._due = self.clock, due, None
            self._judge(before, due)
            self._due = None
        self.clock = max(self.clock, upto)

    def _judge(self, before: int, at: int) -> None:
        fixed = self._fixed[1] if self._fixed is not None and self._fixed[0] == at else []
        rolling = [w for w in self._rolling(before) if w.deadline == at] if self.rolls else []
        rolling += [w for w in self.carried if w.deadline == at]
        if self.carried:
            self.carried = [w for w in self.carried if w.deadline > at]
        if self.silence is None:
            for window in [*fixed, *rolling]:
                self._pass(window)
        elif self.last is not None and at == self.last[0] + self.silence and self.watched.saw(self.last[0], at):
            silent = Window(self.last[0], at, at, anchored=True)
            self.missed = (silent, silent)
            self._trouble("missed", at, {"deadline_at": at, "silent_since": self.last[0], "began": bool(self.open.runs)})
        hung = [run for run in self.open.runs if self._limit(run) == at]
        if hung and (self.success is None or at > self.success) and at >= self.since(at):
            began = hung[0].started
            self._trouble("hung", at, {"started_at": began, "limit_at": at, "began": True, **self._where(began)})
        if any(at == reign.until for reign in self.reigns):
            self._leave(at)
            if self.version(at) is None:
                self.tell("well", at, {"why": "no longer promised"})
        if any(at == reign.since for reign in self.reigns) and self.since(at) == at and self.down(at) is None:
            self.tell("well", at, {"why": "promised anew"})

    def _pass(self, window: Window) -> None:
        """A deadline passes."""
        if window.kept(self.success):
            self.tell("kept", window.deadline, {"expected_at": window.expected})
            return
        if self.excused(window) or not self.watched.saw(window.start, window.deadline):
            return
        first, last = self.missed or (window, window)
        self.missed = first, max(last, window, key=lambda w: w.expected)
        # one that never reported is new, not down; and what was expected before a pause or another promise is forgotten
        if not self.acted or window.expected < self.since(window.deadline):
            return
        begun = [run.started for run in self.open.runs if run.started >= window.start]
        self._trouble(
            "late" if begun else "missed", window.deadline,
            {"expected_at": window.expected, "deadline_at": window.deadline, "began": bool(begun),
             "started_at": begun[0] if begun else None},
        )  # fmt: skip

    # How it stands -----------------------------------------------------------------------------------------------------

    def down(self, at: int) -> str | None:
        """Why the check is down at its clock `at`: `failed`, `hung` or `missed`; None where it is not."""
        since = self.since(at)
        if self.last is not None and not self.last[1] and self.last[0] >= since:
            return "failed"
        if self._hung(at) is not None:
            return "hung"
        return "missed" if self.missed is not None and self.missed[1].expected >= since else None

    def status(self, at: int) -> str:
        """How the check stands at `at`, its clock: the first that holds."""
        if self.resting(at):
            return "paused"
        if self.first_ping is None and not self.watched.begun(at):
            return "new"
        if not self.watched.saw(at, at):
            return "unknown"
        if not self.acted:
            return "new"
        if self.down(at) is not None:
            return "down"
        if self.awaited(at) is not None:
            return "grace"
        running = any((limit := self._limit(run)) is None or limit > at for run in self.open.runs)
        return "started" if running else "up"
