"""One evaluation: what came since the last one goes through the policy, and everything that follows lands in one transaction.

DuckDB is not needed: looks are taken from the state file, where collectors set them aside. A piece is forgotten when both
the store and this have it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from qpanalytics.alerts.outbox import Outbox
from qpanalytics.instants import instant, micros
from qpanalytics.policy import events
from qpanalytics.policy.changes import Change, Incident, IncidentChange, Notice
from qpanalytics.policy.engine import Engine
from qpanalytics.policy.rules import Policy
from qpanalytics.watch import incidents, kept, tell
from qpanalytics.watch.kept import Checks, Kept
from qpanalytics.watch.translate import Translator

if TYPE_CHECKING:
    from qpanalytics.alerts.base import Message
    from qpanalytics.settings import Settings
    from qpanalytics.store.db import Store
    from qpanalytics.store.state import Piece, State


@dataclass
class Ticked:
    """What one evaluation did."""

    pieces: int = 0
    pings: int = 0
    changes: list[IncidentChange] = field(default_factory=list)
    notices: int = 0
    #: Incidents that are open now.
    open: int = 0

    def add(self, later: Ticked) -> None:
        """The two as one."""
        self.pieces, self.pings, self.notices = self.pieces + later.pieces, self.pings + later.pings, self.notices + later.notices
        self.changes += later.changes
        self.open = later.open


class Evaluator:
    """The engine with its memory. Everything is in the state file; what is held here is a copy that saves reading it.

    `worded` makes a message of a notice. `also(kept, now)` gives events of the watcher's own: what it cannot see.
    """

    def __init__(
        self,
        state: State,
        settings: Settings,
        worded: Callable[[Notice, datetime], Message],
        also: Callable[[Kept, datetime], Iterable[events.Event]] = lambda kept, now: (),
    ) -> None:
        self.state = state
        self.settings = settings
        self.policy = Policy.of(settings)
        self._worded = worded
        self._also = also
        self._engine: Engine | None = None
        self._kept = Kept()
        self._checks = Checks({})

    def tick(self, now: datetime) -> Ticked:
        """Takes in what is new and what is due at `now`. If it fails, nothing has happened, and the next one does it all."""
        try:
            return self._tick(now)
        except BaseException:
            self._engine = None  # it is ahead of the file
            raise

    @property
    def known(self) -> Kept:
        """The watcher's row."""
        with self.state.reading() as con:
            return kept.load(con)

    def next_due_at(self) -> datetime | None:
        """When there will be something to say even if nothing comes."""
        due = None if self._engine is None else self._engine.next_due_at()
        return None if due is None else instant(due)

    def _load(self) -> Engine:
        with self.state.reading() as con:
            self._kept = kept.load(con)
            self._checks = kept.load_checks(con)
            self._engine = Engine(self.policy, kept.load_states(con))
        return self._engine

    def _tick(self, now: datetime) -> Ticked:
        engine = self._engine or self._load()
        known = self._kept
        at = micros(now)
        translator = Translator(self._checks, known, self.settings.check)
        done = Ticked()
        told: list[events.Event] = []
        for source in self._sources:
            if found := self._arrived(source):
                known.consumed[source] = found[-1].piece
                done.pieces += len(found)
                told += translator.read(found)
        told += self._reconfigured(translator, at)
        with self.state.reading() as con:
            orders, last_order = incidents.asked(con)
        engine.feed(*told, *orders, *self._also(known, now))
        done.pings = translator.pings
        self._land(engine, done, translator.cold, last_order, now)
        return done

    @property
    def seeded(self) -> bool:
        """Whether there was a first start already."""
        return self.known.seeded

    def seed(self, store: Store, now: datetime) -> None:
        """The first start: takes over what the store knows of the past, and tells nobody of what is over.

        StoreBusy where another program holds it; then nothing has happened.
        """
        from qpanalytics.watch.seed import seed

        engine = self._load()
        known = self._kept
        told = seed(store, self.state, self.settings, self._checks, known, now)
        known.seeded = True
        promised = self._reconfigured(Translator(self._checks, known, self.settings.check), micros(now))
        engine.feed(*promised, *told)
        try:
            self._land(engine, Ticked(), {check.name for check in self._checks}, 0, now)
        finally:
            self._engine = None

    @property
    def _sources(self) -> list[str]:
        return [table.name for table in self.settings.source]

    def _reconfigured(self, translator: Translator, at: int) -> list[events.Event]:
        """What a configuration that is not the one of the last tick changes."""
        configured = self.settings.fingerprint() + "\n" + "\n".join(sorted(self._sources))
        if configured == self._kept.configured:
            return []
        self._kept.configured = configured
        return [*translator.removed(self._sources, at), *translator.configured(at)]

    def _land(self, engine: Engine, done: Ticked, cold: set[str], last_order: int, now: datetime) -> None:
        """Lets the engine go on to `now`, and writes all that follows in one transaction."""
        changes = _worth_telling(engine.advance(micros(now)), cold)
        done.changes = [change for change in changes if isinstance(change, IncidentChange)]
        notices = [change for change in changes if isinstance(change, Notice)]
        done.notices = len(notices)
        states = engine.changed_states()
        outbox = Outbox(self.state)
        with self.state.transaction() as con:
            self._kept.piece = self._through(con, self._sources)
            kept.save(con, self._kept, now)
            kept.save_states(con, states)
            self._checks.save(con)
            incidents.record(con, done.changes)
            incidents.taken(con, last_order)
            for notice in notices:
                outbox.put(self._worded(notice, now), [notice.channel], now)
            for change in done.changes:
                if change.step == "acked":
                    outbox.put(tell.acked(change.incident, now, self.settings.report.tz), change.incident.told, now)
        done.open = len(engine.incidents())

    def _arrived(self, source: str) -> Sequence[Piece]:
        """New pieces of a source. The first look at it is waited for as a whole: half of a history is a wrong one."""
        known = self._kept
        found = self.state.pending(max(known.consumed.get(source, 0), known.piece), source)
        if found and source not in known.done and not any(piece.kind == "end" for piece in found):
            size = sum(len(piece.rows or b"") for piece in found)
            if size < MOST_HELD:
                return []
        return found

    def _through(self, con: sqlite3.Connection, sources: Iterable[str]) -> int:
        """The last piece that every source is through with; those of a source that is configured no more count as such."""
        known = self._kept
        (through,) = con.execute("select coalesce(max(piece), 0) from pieces").fetchone()
        for source in sources:
            after = max(known.consumed.get(source, 0), known.piece)
            (waits,) = con.execute("select min(piece) from pieces where piece > ? and source = ?", [after, source]).fetchone()
            through = min(through, through if waits is None else waits - 1)
        return max(known.piece, int(through))


#: A first look is waited for until so many bytes of it are there.
MOST_HELD = 32 * 2**20


def _worth_telling(changes: Iterable[Change], cold: set[str]) -> list[Change]:
    """The changes without what was over before anybody watched: checks that were seen for the first time just now."""
    found = list(changes)
    if not cold:
        return found
    over = {
        change.incident.incident
        for change in found
        if isinstance(change, IncidentChange) and change.step == "resolved" and _all_of(change.incident, cold)
    }
    out: list[Change] = []
    for change in found:
        if isinstance(change, Notice):
            if change.incident is not None and change.incident.incident in over:
                continue
            if change.incident is None:
                covers = tuple(one for one in change.covers if one.incident not in over)
                if not covers:
                    continue
                change = replace(change, covers=covers)
        elif change.incident.incident in over:
            continue
        out.append(change)
    return out


def _all_of(incident: Incident, checks: set[str]) -> bool:
    return all(member.about == "check" and member.name in checks for member in incident.members)
