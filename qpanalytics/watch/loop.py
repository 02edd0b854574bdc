"""The watch itself, and the only clock: what is due is begun, what came is evaluated, what follows is sent.

`schedule` wakes it. What is due is decided by instants of our own, in UTC: `schedule` counts in the local time of the
machine, which stands still for an hour in autumn, so it is set up anew whenever that time jumps.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from random import random
from time import monotonic
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts.deliver import Deliverer, opener
from qpanalytics.alerts.outbox import Outbox
from qpanalytics.errors import QpaError, StoreBusy
from qpanalytics.store.state import State
from qpanalytics.watch import blind, dates, tell
from qpanalytics.watch.around import Anew, Surroundings
from qpanalytics.watch.chores import Chores
from qpanalytics.watch.clock import Read, Steady
from qpanalytics.watch.evaluate import Evaluator, Ticked
from qpanalytics.watch.feeding import feed_apart, feed_here
from qpanalytics.watch.jobs import Jobs
from qpanalytics.watch.looking import Looking

if TYPE_CHECKING:
    from qpanalytics.alerts.base import Message
    from qpanalytics.policy import events
    from qpanalytics.policy.changes import Notice
    from qpanalytics.settings import Settings
    from qpanalytics.watch.kept import Kept

#: A tick waits for quick looks so long, seconds; what slow ones bring is evaluated when it is there.
QUICK_S = 1.0
#: `watch --once` waits so long for looks before it evaluates, and for them and for channels at the end.
ONCE_LOOKS_S, ONCE_END_S = 15.0, 30.0
#: How long the end may take; see `Watch.end`.
END_S = 2.0
#: The local time of the machine jumped if it goes so much other than time does, seconds.
JUMP_S = 2.0


class Watch:
    """One watch over one store; its caller holds the lock."""

    def __init__(self, settings: Settings, around: Surroundings, state: State) -> None:
        self.settings, self.around, self.state = settings, around, state
        self.stop = threading.Event()
        self._news = threading.Event()
        self._evaluator = Evaluator(state, settings, self._worded, self._also)
        self._steady = Steady(self._evaluator.known.clock)
        self._doubted = False
        self._sending = False
        self._say_anew = Anew(around.say)
        #: Whether a source or a channel could not be reached.
        self.unreached = False
        self._jobs = Jobs(lambda name, error: around.say(f"{name}: {error}"))
        self._looking = Looking(
            settings, around.folder, around.environ, self.now, state, self.stop, self._looked, around.fixed
        )
        self._chores = Chores(
            settings, around, state, self._jobs, lambda: self._evaluator.known, self.now, self._news.set, self.stop
        )
        outbox = Outbox(state)
        outbox.recover(self.now())
        opened = opener(settings.channel, around.environ, around.folder, self.now, state)
        self._deliverer = Deliverer(outbox, opened, clock=self.now, chance=random, trouble=self._undelivered)

    # The two ways to go ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Watches until `stop` is set."""
        import schedule

        waker = schedule.Scheduler()
        self._sending = True
        self._deliverer.wake()
        lags = _Lags()
        self._arm(waker)
        while not self.stop.is_set():
            if lags.jumped():
                self._arm(waker)
            waker.run_pending()
            if self._news.is_set():
                self._news.clear()
                self._tick()
                self._deliverer.wake()  # a report may have been left for it
            # not the idle time that `schedule` tells: its clock may be set while this sleeps
            self._news.wait(min(max(waker.idle_seconds or 0.0, 0.05), 1.0))

    def once(self) -> Ticked | None:
        """One round, for cron and timers: looks, evaluation, delivery, what is due. None where it could not be evaluated."""
        ticks: list[Ticked | None] = []
        self._begin_looks()
        self._wait(ONCE_LOOKS_S)
        ticks.append(self._tick())
        if self._jobs.running():
            self._wait(ONCE_END_S)
            ticks.append(self._tick())
        if self._chores.feeding_due():
            self._chores.fed(feed_here(self.around.store))
        if self._chores.notes:
            ticks.append(self._tick())
        self._deliverer.wake()  # a report takes seconds, and no alert waits for it
        self._chores.begin()
        if ticks[-1] is not None:
            self._chores.begin_heartbeat()
        self._wait()
        self._deliverer.round(ONCE_END_S)
        if self._chores.notes and ticks[-1] is not None:
            ticks.append(self._tick())
        whole = Ticked()
        for ticked in ticks:
            if ticked is None:
                return None
            whole.add(ticked)
        return whole

    def _wait(self, most_s: float | None = None) -> None:
        """Waits for the jobs under way."""
        until = None if most_s is None else monotonic() + most_s
        while self._jobs.running() and (until is None or monotonic() < until) and not self.stop.wait(0.01):
            pass

    def seed(self) -> bool:
        """The first start on a store: what it knows of the past is taken over. False while somebody holds it."""
        if self._evaluator.seeded:
            return True
        from qpanalytics.store.db import Store  # not before it is needed, which is once

        try:
            self._evaluator.seed(Store(self.around.store, patience_s=3.0), self.now())
        except StoreBusy as busy:
            self.around.say(f"{busy} The first start of a watch has to read it once; waiting for that.")
            return False
        return True

    def end(self) -> list[str]:
        """Ends what is under way, within seconds; names what would not end. Nothing is lost by a kill at this point."""
        self.stop.set()
        self._deliverer.stop(END_S)
        return self._jobs.stop(END_S)

    @property
    def refused(self) -> bool:
        """Whether a source was not described well enough to be looked at."""
        return self._looking.refused

    def wake_to_end(self) -> None:
        """Has `run` and `once` return soon; safe in a signal's handler."""
        self.stop.set()
        self._news.set()

    def now(self) -> datetime:
        """The time to go by."""
        return self.around.fixed or self._steady.now(Read.now(self.around.wall))

    # What a tick is ----------------------------------------------------------------------------------------------------

    def _arm(self, waker: object) -> None:
        """Has `schedule` wake us at each tick, and at the pace of sources that are to be looked at more often."""
        from schedule import Scheduler

        assert isinstance(waker, Scheduler)
        waker.clear()
        paces = [self.settings.watch.tick, *(table.every for table in self.settings.source if table.every)]
        waker.every(min(paces)).seconds.do(self._beat)  # type: ignore[arg-type]  # half a second is an interval, too
        self._beat()

    def _beat(self) -> None:
        """Begins what is due, and evaluates; a state that cannot be read or written is tried again at the next tick."""
        try:
            self._round()
        except (QpaError, OSError) as error:
            self.around.say(f"this tick came to nothing: {error}")

    def _round(self) -> None:
        looks = self._begin_looks()
        until = monotonic() + QUICK_S
        while any(name in self._jobs.running() for name in looks) and monotonic() < until and not self.stop.wait(0.02):
            pass
        ticked = self._tick()
        if self._chores.feeding_due():
            self._jobs.start("store", lambda: self._chores.fed(feed_apart(self.around.store, self.stop)))
        self._chores.begin()
        if ticked is not None:
            self._chores.begin_heartbeat()

    def _tick(self) -> Ticked | None:
        """Evaluates what is there; None where that could not be written, and nothing happened."""
        try:
            ticked = self._evaluator.tick(self._time())
        except (QpaError, OSError) as error:
            self.around.say(f"nothing was evaluated: {error}")
            return None
        except Exception as error:
            # A bug must not end the watch: looks and deliveries go on, and the ping that does not go out calls for help.
            # Only where it is, for its words may quote what somebody pinged.
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}"
            self.around.say(f"nothing was evaluated ({where}); please report this")
            return None
        if ticked.notices and self._sending:
            self._deliverer.wake()
        if ticked.changes:
            self._chores.measure()
        return ticked

    def _time(self) -> datetime:
        """The time, with what has to be done when the clock was set."""
        if self.around.fixed is not None:
            return self.around.fixed
        told = self._steady.tell(Read.now(self.around.wall))
        if told.doubted is not None and not self._doubted:
            by = spell.duration(abs(told.doubted.total_seconds()))
            ahead = "ahead" if told.doubted > timedelta(0) else "back"
            self.around.say(f"the clock was set {ahead} by {by}; it is believed if it stays so for ten minutes")
        self._doubted = told.doubted is not None
        if told.jumped is not None:
            self._looking.unseen(told.jumped, told.now)
            if told.now < told.jumped:
                said = blind.set_back(told.jumped, told.now, self.settings.report.tz)
                self.around.say(said.subject)
                Outbox(self.state).put(said, [channel.name for channel in self.settings.channel], told.now)
        return told.now

    def _also(self, kept: Kept, now: datetime) -> Iterable[events.Event]:
        """What jobs noted since the last tick, into the watcher's row; what the watch itself cannot see."""
        while self._chores.notes:
            self._chores.notes.popleft()(kept, now)
        kept.clock = self._steady.said
        dates.begun(self.settings, kept.reports, now)
        return blind.sights(kept, now)

    def _worded(self, notice: Notice, now: datetime) -> Message:
        return tell.message(notice, now, self.settings.report.tz)

    # What is begun -----------------------------------------------------------------------------------------------------

    def _begin_looks(self) -> list[str]:
        begun = []
        for table in self._looking.due(self.now()):
            if self._jobs.start(f"source {table.name}", lambda table=table: self._looking.look(table)):  # type: ignore[misc]
                begun.append(f"source {table.name}")
        return begun

    def _undelivered(self, said: str) -> None:
        """A message was not sent, or not recorded."""
        self.unreached = True
        self.around.say(said)

    def _looked(self, source: str, why: str) -> None:
        """A look ended. What is wrong with a source is said once, not at every look."""
        self.unreached = self.unreached or bool(why)
        self._say_anew(f"source {source}", why)
        self._news.set()


class _Lags:
    """Tells when the local time of the machine jumped: set, or one of the two nights a year."""

    def __init__(self) -> None:
        self._last = self._now()

    def jumped(self) -> bool:
        """Whether it did since this was asked last."""
        local, steady = self._now()
        before_local, before_steady = self._last
        self._last = local, steady
        return abs((local - before_local).total_seconds() - (steady - before_steady)) > JUMP_S

    @staticmethod
    def _now() -> tuple[datetime, float]:
        return datetime.now(), monotonic()  # noqa: DTZ005 - the naive local time is what `schedule` goes by

