"""What a check is waiting for: the promises in force, its next windows, and when its open runs have run too long.

It changes with every completion where a period rolls. Instants are epoch microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.policy.expected import Chain, Reign, Window, holder, reigns
from qpanalytics.policy.runs import OpenRuns, Run

BEGINNING = -FOREVER_US


class Waiting:
    """What one check is waiting for at its clock."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.versions = [Version(**{**v, "tags": tuple(v["tags"])}) for v in said.get("versions", ())]
        self.clock: int = said.get("clock", BEGINNING)
        self.first_ping: int | None = said.get("first_ping")
        self.acted: bool = said.get("acted", False)
        self.success: int | None = said.get("success")
        #: The last completion and whether it succeeded.
        self.last: tuple[int, bool] | None = tuple(said["last"]) if said.get("last") else None
        self.open = OpenRuns(said.get("open"))
        self.pauses: list[tuple[int, int]] = [(a, b) for a, b in said.get("pauses", ())]
        #: Windows of a gap that a failure closed, or of a chain that ended, whose deadline is to come.
        self.carried = [Window(*w) for w in said.get("carried", ())]
        #: The first and the last window that was missed since the last success.
        self.missed: tuple[Window, Window] | None = (
            (Window(*said["missed"][0]), Window(*said["missed"][1])) if said.get("missed") else None
        )
        #: The last window of a chain that ended: start, deadline, end and max runtime. It may reach a little further.
        self.tail: list[int | None] | None = said.get("tail")
        self.silence: int | None = said.get("silence")
        self.excuses: Callable[[int, int], bool] = lambda since, until: False
        self._reigns: list[Reign] | None = None
        self._fixed: tuple[int, list[Window]] | None = None
        self._rolls: bool | None = None
        self._left: int | None = None
        #: The next due time, as long as it is known to hold.
        self._due: tuple[int | None] | None = None

    def said(self) -> dict[str, Any]:
        """The state as JSON values; what is empty is left out."""
        every = {
            "versions": [{**asdict(v), "tags": list(v.tags)} for v in self.versions],
            "clock": self.clock, "first_ping": self.first_ping, "acted": self.acted, "success": self.success,
            "last": self.last and list(self.last), "open": self.open.said() if self.open.runs else None,
            "pauses": self.pauses, "carried": self.carried, "missed": self.missed and list(self.missed), "silence": self.silence,
            "tail": self.tail,
        }  # fmt: skip
        return {name: value for name, value in every.items() if value not in (None, [], False)}

    # What is in force --------------------------------------------------------------------------------------------------

    @property
    def reigns(self) -> list[Reign]:
        """The versions that expect anything."""
        if self._reigns is None:
            self._reigns = reigns(self.versions, self.first_ping)
        return self._reigns

    @property
    def rolls(self) -> bool:
        """Whether an interval is among them."""
        if self._rolls is None:
            self._rolls = any(reign.period is not None for reign in self.reigns)
        return self._rolls

    def version(self, at: int) -> Version | None:
        """The version in force, the first without a beginning counting from always."""
        return next((v for v in self.versions if v.from_us <= at < v.to_us), None)

    def resting(self, at: int) -> bool:
        """Whether the check is paused, or every promise so far has ended."""
        begun = any(v.from_us <= at for v in self.versions)
        return (begun and self.version(at) is None) or any(a <= at < b for a, b in self.pauses)

    def chain(self, at: int) -> Chain | None:
        """The stretch of promises that `at` lies in."""
        mine = self.reigns
        inside = next((place for place, r in enumerate(mine) if r.since <= at < r.until), None)
        if inside is None or any(a <= at < b for a, b in self.pauses):
            return None
        first = last = inside
        while first and mine[first - 1].until == mine[first].since:
            first -= 1
        while last + 1 < len(mine) and mine[last].until == mine[last + 1].since:
            last += 1
        since = max([mine[first].since, *(b for _, b in self.pauses if b <= at)])
        return Chain(since, mine[last].until, tuple(mine[first : last + 1]))

    def since(self, at: int) -> int:
        """From when on trouble counts: a pause and the end of a promise wipe the slate."""
        if len(self.reigns) == 1 and not self.pauses and self.reigns[0].since <= at < self.reigns[0].until:
            return self.reigns[0].since
        chain = self.chain(at)
        return max((b for _, b in self.pauses if b <= at), default=BEGINNING) if chain is None else chain.since

    def _forget(self) -> None:
        self._reigns = self._fixed = self._rolls = self._due = None

    # Cron and OnCalendar ----------------------------------------------------------------------------------------------

    def excused(self, window: Window) -> bool:
        """Whether a pause or maintenance reaches into the time in which the success was waited for."""
        paused = any(a <= window.deadline and b > window.expected for a, b in self.pauses)
        return paused or self.excuses(window.expected, window.deadline)

    def _next_fixed(self) -> tuple[int, list[Window]] | None:
        """The next deadline of a tick, and the windows that have it."""
        if self._fixed is not None and self._fixed[0] > self.clock:
            return self._fixed
        ticks = [(tick + r.grace, r, tick) for r in self.reigns if (tick := r.due_after(self.clock)) is not None]
        if not ticks:
            self._fixed = None
            return None
        at = min(deadline for deadline, _, _ in ticks)
        self._fixed = at, [reign.window(tick) for deadline, reign, tick in ticks if deadline == at]
        return self._fixed

    def awaited(self, at: int) -> Window | None:
        """The window whose tick has come and whose success has not, before its deadline."""
        found = []
        for reign in self.reigns:
            if reign.ticks is None:
                continue
            tick = reign.ticks.before(min(at + 1, reign.until))
            while tick is not None and tick >= reign.since and tick + reign.grace > at:
                window = reign.window(tick)
                if window.kept(self.success):
                    break
                found.append(window)
                tick = reign.ticks.before(tick)
        if self.rolls:
            found += [w for w in self.carried if w.expected <= at < w.deadline and not w.kept(self.success)]
            found += [w for w in self._rolling(at) if w.expected <= at]
        return min((w for w in found if not self.excused(w)), key=lambda w: w.expected, default=None)

    def next_window(self) -> Window | None:
        """The next window that is to be judged."""
        found = self._next_fixed()
        windows = [] if found is None else found[1][:1]
        if self.rolls:
            windows += [w for w in self._rolling(self.clock) if w.expected > self.clock][:1]
        return min(windows, key=lambda w: w.expected, default=None)

    # Intervals ---------------------------------------------------------------------------------------------------------

    def _anchor(self, chain: Chain | None) -> int | None:
        """The completion that the ticks of a chain are counted from: its last one."""
        if chain is None or self.last is None or not chain.since <= self.last[0] < chain.until:
            return None
        return self.last[0]

    def _rolling(self, clock: int, after_grace: bool = True) -> Iterator[Window]:
        """Windows after the last completion whose deadline (or, without `after_grace`, tick) is after `clock`; few of them."""
        chain = self.chain(clock)
        anchor = self._anchor(chain)
        if chain is None or anchor is None:
            return
        most = max((r.grace for r in chain.reigns), default=0) if after_grace else 0
        for number, tick in enumerate(chain.ticks(anchor, max(anchor, clock - most))):
            window = chain.window(anchor, tick)
            if (window.deadline if after_grace else window.expected) > clock:
                yield window
                if number > 2 * len(chain.reigns) + most // (tick.reign.period or 1):
                    return

    def _rolling_dues(self, clock: int) -> list[int]:
        found = [min((w.deadline for w in self._rolling(clock)), default=FOREVER_US)]
        if any(not run.settled for run in self.open.runs):  # a tick gives open runs their window
            found.append(next((w.expected for w in self._rolling(clock, after_grace=False)), FOREVER_US))
        return [at for at in found if at < FOREVER_US]

    def _close(self, at: int, ok: bool) -> None:
        """A completion ends the gap since the one before."""
        chain = self.chain(at)
        anchor = self._anchor(chain)
        if chain is None or anchor is None or anchor >= at:
            return
        unsettled = [run for run in self.open.runs if not run.settled and anchor <= run.started < at]
        if ok and not unsettled:
            return
        ticks, end = chain.closed(anchor, at)
        windows = chain.windows(anchor, ticks, end)
        for run in unsettled:
            run.limit, run.settled = self._limit_within(run, windows), True
        if not ok:
            self.carried += [window for window, _, _ in windows if window.deadline > self.clock]

    def _leave(self, at: int, *, paused: bool = False) -> None:
        """The chain that held until now ends: what it had expected stays expected, and no completion closes it."""
        self._fixed = None
        if not self.rolls or self._left == at:
            return
        chain = self.chain(at - 1)
        anchor = self._anchor(chain)
        if chain is None or anchor is None or (chain.until > at and not paused):
            return
        self._left = at
        chain = Chain(chain.since, at, chain.reigns)
        ticks = list(chain.until_(anchor, at))
        windows = chain.windows(anchor, ticks, chain.to_come(anchor, ticks))
        self.carried += [window for window, _, _ in windows if window.deadline >= at and window.deadline > self.clock]
        if windows:
            last, reign, end = windows[-1]
            self.tail = [last.start, last.deadline, end, reign.limit_us]
        for run in self.open.runs:
            if not run.settled and run.started >= anchor:
                run.limit, run.settled = self._limit_within(run, windows), True

    # Limits ------------------------------------------------------------------------------------------------------------

    def _settle_limit(self, run: Run) -> None:
        """When a run has run too long, as far as that hangs on fixed ticks: no later completion changes it then."""
        if not self.rolls:
            found = holder(self.reigns, run.started)
            run.limit, run.settled = self._limit_by(run, found and (found[1], found[0], found[2])), True

    def _limit(self, run: Run) -> int | None:
        if run.settled:
            return run.limit
        found = holder(self.reigns, run.started)
        if found is not None:
            run.limit, run.settled = self._limit_by(run, (found[1], found[0], found[2])), True
            return run.limit
        chain = self.chain(self.clock)
        anchor = self._anchor(chain)
        if chain is None or anchor is None or run.started < anchor:
            return self._limit_in_tail(run)
        ticks = list(chain.until_(anchor, self.clock))
        return self._limit_within(run, chain.windows(anchor, ticks, chain.to_come(anchor, ticks)))

    def _limit_within(self, run: Run, windows: list[tuple[Window, Reign, int]]) -> int | None:
        fixed = holder(self.reigns, run.started)
        if fixed is not None:
            return self._limit_by(run, (fixed[1], fixed[0], fixed[2]))
        mine = [(w, reign, end) for w, reign, end in windows if w.start <= run.started < end]
        return self._limit_by(run, max(mine, key=lambda one: one[0].start) if mine else None)

    def _limit_in_tail(self, run: Run) -> int | None:
        if self.tail is not None:
            start, deadline, end, longest = self.tail
            assert start is not None and deadline is not None and end is not None
            if start <= run.started < end:
                return max(deadline, end) if longest is None else run.started + longest
        return self._limit_by(run, None)

    def _limit_by(self, run: Run, held: tuple[Window, Reign, int] | None) -> int | None:
        if held is None:
            reign = next((r for r in self.reigns if r.since <= run.started < r.until), None)
            longest = None if reign is None else reign.limit_us
            return None if longest is None else run.started + longest
        window, reign, end = held
        if reign.limit_us is not None:
            return run.started + reign.limit_us
        return max(window.deadline, end) if end < FOREVER_US else None

    def _hung(self, at: int) -> int | None:
        """The first limit that an open run passed since the last success."""
        if not self.open.runs:
            return None
        earliest = max(self.since(at), BEGINNING if self.success is None else self.success + 1)
        limits = [limit for run in self.open.runs if (limit := self._limit(run)) is not None]
        return min((limit for limit in limits if earliest <= limit <= at), default=None)
