"""What goes on beside the ticks: feeding the store, reports and pruning, daily facts, figures for Prometheus, our own ping.

None of it is waited for by an alert, and each is tried again if it failed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts.outbox import Outbox
from qpanalytics.errors import QpaError
from qpanalytics.instants import instant, micros
from qpanalytics.watch import apart, blind, dates, incidents
from qpanalytics.watch.around import Anew
from qpanalytics.watch.heartbeat import beat

if TYPE_CHECKING:
    from qpanalytics.settings import Settings
    from qpanalytics.settings_values import Secret
    from qpanalytics.store.state import State
    from qpanalytics.watch.around import Surroundings
    from qpanalytics.watch.feeding import Feeding
    from qpanalytics.watch.jobs import Jobs
    from qpanalytics.watch.kept import Kept

#: A report that could not be made is tried again after so long.
REPORT_AGAIN = timedelta(minutes=10)
#: Daily facts are taken from a store that was fed so lately.
FRESH = timedelta(hours=1)
#: What is old enough to be forgotten is looked for so often.
TIDY = timedelta(days=1)
#: And that old: incidents that ended, messages and tries.
KEEP = timedelta(days=400)


class Chores:
    """The jobs of one watch. `known` gives its row, `news` is called when one ended that a tick has to know of.

    What they find out is put into `notes`, and written by the next tick: only ticks write the row.
    """

    def __init__(
        self,
        settings: Settings,
        around: Surroundings,
        state: State,
        jobs: Jobs,
        known: Callable[[], Kept],
        now: Callable[[], datetime],
        news: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        self.settings, self.around, self.state = settings, around, state
        self._jobs, self._known, self._now, self._news, self._stop = jobs, known, now, news, stop
        self.notes: deque[Callable[[Kept, datetime], None]] = deque()
        self._report_at: dict[str, datetime] = {}
        self._say_anew = Anew(around.say)

    def begin(self) -> None:
        """Begins what is due on the calendar, and forgets what is old."""
        self._begin_dates()
        self._tidied()

    def feeding_due(self) -> bool:
        """Whether there is something for the store, and it is time, or the store was held the last time."""
        known = self._known()
        if known.held is None and self._now() < instant(known.fed) + timedelta(seconds=self.settings.watch.feed):
            return False
        return self.state.waiting() > 0

    def fed(self, fed: Feeding | None) -> None:
        """Notes how a feeding went; None where it was broken off."""
        if fed is None:
            return
        if fed.held or fed.wrong:
            self.around.say(f"{fed.held or fed.wrong} What came is safe in {self.state.name}.")
        self.notes.append(lambda kept, now: blind.note(kept, fed, now))
        self.measure()
        self._news()

    def _begin_dates(self) -> None:
        now = self._now()
        known = self._known()
        for name, due in dates.due(self.settings, known.reports, now).items():
            if name == "facts" and now - instant(known.fed) > FRESH:
                continue  # a store that was not fed would tell of holes that are none
            if self._report_at.get(name, now) <= now:
                self._jobs.start(name, lambda name=name, due=due: self._made(name, due))  # type: ignore[misc]

    def _tidied(self) -> None:
        """Forgets, once a day, what ended long ago."""
        now = self._now()
        if now < instant(self._known().tidied) + TIDY:
            return
        before = now - KEEP
        Outbox(self.state).forget(before)
        with self.state.transaction() as con:
            incidents.forget(con, before)
        self.notes.append(lambda kept, now: setattr(kept, "tidied", micros(now)))

    def _made(self, name: str, due: datetime) -> None:
        if name == "facts":
            config = [str(self.around.config)] if self.around.config is not None else []
            args = [str(self.around.store), spell.iso(self._now()), *config]
            done = apart.run(args, self._stop, "qpanalytics.watch.daily")
        else:
            folder = str(self.around.folder / self.settings.watch.reports)
            args = ["prune"] if name == "prune" else ["report", f"--{name}", "--as-of", spell.iso(due), "--out", folder, "--send"]
            done = apart.run([*args, *self._options], self._stop)
        if done.status is None:
            return
        if done.said:
            self.around.say(f"{name}: {done.said}")
        if done.status == 0:
            self.notes.append(lambda kept, now: kept.reports.__setitem__(name, micros(due)))
        else:
            self._report_at[name] = self._now() + REPORT_AGAIN
        self._news()

    def measure(self) -> None:
        """Has the file of figures written, when something is new in it: the store was fed, or an incident changed."""
        path = self.settings.watch.metrics
        if path is not None:
            args = ["export", "--openmetrics", str(self.around.folder / path), *self._options]
            self._jobs.start("metrics", lambda: self._measured(apart.run(args, self._stop)))

    @property
    def _options(self) -> list[str]:
        """What commands of ours are to work on."""
        config = [] if self.around.config is None else ["--config", str(self.around.config)]
        return [*config, "--db", str(self.around.store)]

    def _measured(self, done: apart.Done) -> None:
        self._say_anew("metrics", f"metrics: {done.said}" if done.status else "")

    def begin_heartbeat(self) -> None:
        """Pings whoever watches this watch."""
        reference = self.settings.watch.ping_url
        if reference is not None:
            self._jobs.start("ping_url", lambda: self._beat(reference))

    def _beat(self, reference: Secret) -> None:
        """Looks the address up, too: nothing waits for it, should it not be there."""
        try:
            beat(reference.resolve(self.around.environ, self.around.folder))
        except QpaError as error:
            self._say_anew("ping_url", f"ping_url: {error}")
        else:
            self._say_anew("ping_url", "")
