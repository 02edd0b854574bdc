"""Looks at the sources of the configuration, each at its own pace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.collect.appended import WHOLE
from qpanalytics.collect.run import Collector, is_due
from qpanalytics.errors import ConfigError
from qpanalytics.sources import FILES, open_configured
from qpanalytics.sources.base import TailSource

if TYPE_CHECKING:
    from qpanalytics.settings import Settings, SourceTable
    from qpanalytics.store.state import State

#: The longest that one look may take, seconds; the next one goes on.
PATIENCE_S = 300.0


class Looking:
    """Which source is due, and a look at it. `done(source, why)` is told of each look that ended; no why where all
    went well. `horizon` is the present of a watch that is not now: rows of files that lie behind it are left for later."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        environ: Mapping[str, str],
        clock: Callable[[], datetime],
        state: State,
        stop: threading.Event,
        done: Callable[[str, str], None],
        horizon: datetime | None = None,
    ) -> None:
        self.settings, self._folder, self._environ = settings, folder, environ
        self._clock, self._state, self._stop, self._done = clock, state, stop, done
        self._horizon = horizon
        #: Whether a source is not described well enough to be looked at.
        self.refused = False

    def due(self, now: datetime) -> list[SourceTable]:
        """The sources whose `every` has passed; one without is due at each tick."""
        looked = self._state.looked()
        return [table for table in self.settings.source if is_due(table.every, looked.get(table.name), now)]

    def look(self, table: SourceTable) -> None:
        """One look; what it saw is set aside. What goes wrong with it is told and ends up in the pieces, too."""
        from qpanalytics.collect import pieces

        try:
            source = open_configured(table, self._environ, self._folder, self._clock)
        except ConfigError as error:
            self.refused = True
            at = self._clock()
            self._state.keep([pieces.end(f"{table.name} {spell.iso(at)}", table.name, at, "live", str(error))])
            self._done(table.name, str(error))
            return
        if isinstance(source, TailSource):
            source.horizon = self._horizon
        try:
            (found,) = Collector(self._state, self._clock, patience_s=PATIENCE_S, stop=self._stop).collect([source])
        finally:
            source.close()
        self._done(table.name, found.why)

    def unseen(self, since: datetime, until: datetime) -> None:
        """The clock jumped over a stretch: files, whose times are our clock's, vouch for nothing in it."""
        if until > since:
            files = [table.name for table in self.settings.source if table.kind == FILES]
            self._state.keep([], [(name, WHOLE, {"at": spell.iso(until)}) for name in files])
