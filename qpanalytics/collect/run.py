"""Looks at live sources side by side and sets aside what they show; knows neither the store nor any one source."""

from __future__ import annotations

import gc
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from qpanalytics import spell
from qpanalytics.collect import appended, pieces
from qpanalytics.errors import SourceError
from qpanalytics.sources.base import Batch, Cursor, SeenCheck, Snapshot, SnapshotSource, Source, TailSource
from qpanalytics.store.state import Piece, State

#: Sources looked at at a time, and replies asked of one source at a time.
SOURCES = 8
REPLIES = 4
#: Tries of one question, and how long to wait after the first that failed, seconds; doubled each time.
TRIES = 3
PAUSE_S = 0.5
#: Checks in a row that could not be read before a source is given up for this look.
HOPELESS = 3
#: A look that has more to say than this, or for longer, sets it aside in between.
MOST_PIECES = 50
SOON = timedelta(seconds=2)
#: The key of a queue source's one cursor.
SNAPSHOT = "snapshot"
#: A timer that fires a little early must not skip every other look: this share of the pace, at most so many seconds.
EARLY, EARLY_S = 0.1, 30.0

T = TypeVar("T")


@dataclass
class Look:
    """How one look went. `why` is empty where all went well; `pings` counts rows in replies, known ones included.

    `queues` and `workers` are None of a source that knows pings, else how many it showed; `queues` counts no `*`.
    """

    source: str
    queues: int | None = None
    workers: int | None = None
    checks: int = 0
    asked: int = 0
    pings: int = 0
    lost: int = 0
    bad: int = 0
    failed: int = 0
    why: str = ""
    #: Keys of checks that could not be read, in a look that came to its end.
    unread: list[str] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collector:
    """What looks need beside the sources. `pause(seconds)` waits and is cut short by `stop`; `clock` gives UTC."""

    state: State
    clock: Callable[[], datetime]
    #: The longest that one look may take, seconds; what it has not read by then is read by the next.
    patience_s: float = 300.0
    stop: threading.Event = field(default_factory=threading.Event)
    step: Callable[[int, int], None] | None = None

    def collect(self, sources: Sequence[Source | SnapshotSource | TailSource]) -> list[Look]:
        """One look at each source; one that fails never keeps the others from being read."""
        progress = _Progress(self.step)
        with _uncounted(), ThreadPoolExecutor(max_workers=min(SOURCES, max(len(sources), 1))) as pool:
            looks = [pool.submit(self._look, source, progress) for source in sources]
            try:
                return [look.result() for look in looks]
            except BaseException:
                self.stop.set()
                raise

    def _look(self, source: Source | SnapshotSource | TailSource, progress: _Progress) -> Look:
        look, at = uuid.uuid4().hex, self.clock()
        found = Look(source.name)
        resting = self.state.resting(source.name)
        if resting is not None and resting[0] > at:
            found.why = f"{resting[1].rstrip('.')}; it is left alone until {spell.iso(resting[0])}"
            return found
        until = at + timedelta(seconds=self.patience_s)
        if isinstance(source, SnapshotSource):
            self._snapshot(source, look, at, found, until, progress)
            return found
        try:
            if isinstance(source, TailSource):
                appended.read(self.state, source, look, at, found, until, self.clock)
                return found
            seen = list({check.key: check for check in self._tried(source.checks, until)}.values())
            found.checks = len(seen)
            self.state.keep([pieces.checks(look, source.name, at, seen)])
            found.unread = self._read(source, look, at, seen, found, until, progress)
        except SourceError as error:
            found.why = str(error)
            self._rest(source.name, error)
        finally:
            if not self.stop.is_set():
                end = pieces.end(look, source.name, self.clock(), "live", found.why, found.unread)
                self.state.keep([end], looked=(source.name, at))
        return found

    def _snapshot(
        self, source: SnapshotSource, look: str, at: datetime, found: Look, until: datetime, progress: _Progress
    ) -> None:
        """One look at queues and workers, whole or not at all; it ends in the transaction that keeps it."""
        cursor = self.state.cursors(source.name).get(SNAPSHOT, {})
        kept: list[Piece] = []
        moved: list[tuple[str, str, Mapping[str, Any]]] = []
        progress.more(1)
        try:
            seen: Snapshot = self._tried(lambda: source.snapshot(cursor.get("next", {})), until)
            found.queues, found.workers = sum(q.queue != "*" for q in seen.queues), len(seen.workers)
            found.notes += seen.notes
            kept = [pieces.snapshot(look, source.name, source.system, at, seen)]
            moved = [(source.name, SNAPSHOT, {"next": dict(seen.next_cursor), "offset_s": seen.offset_s})]
        except SourceError as error:
            found.why = str(error)
            self._rest(source.name, error)
        except Exception as error:
            # What stands in a queue is anybody's: a reader that stumbles over it must not keep the others from being read.
            # Only the kind of error is told, for its words may quote a payload.
            kind = type(error).__name__
            found.why = f"{spell.plain(source.name)}: what it showed could not be read ({kind}); please report this."
        finally:
            progress.done()
            if not self.stop.is_set():
                end = pieces.end(look, source.name, self.clock(), "snapshot", found.why)
                self.state.keep([*kept, end], moved, looked=(source.name, at))

    def _read(
        self,
        source: Source,
        look: str,
        at: datetime,
        seen: Sequence[SeenCheck],
        found: Look,
        until: datetime,
        progress: _Progress,
    ) -> list[str]:
        """The pings of every check that has new ones; pieces and cursors are kept together as they come.

        Returns the checks that could not be read.
        """
        unread: list[str] = []
        cursors = self.state.cursors(source.name)
        quiet, asking = {}, []
        for check in seen:
            cursor = cursors.get(check.key, {})
            if check.count is not None and cursor.get("n") == check.count and cursor.get("at"):
                # by the server's clock, where that is known to be behind ours
                behind_s = min(float(cursor.get("offset_s") or 0.0), 0.0)
                quiet[check.key] = (datetime.fromisoformat(str(cursor["at"])), at + timedelta(seconds=behind_s))
            else:
                asking.append(check)
        self.state.keep([pieces.still(look, source.name, at, quiet)])
        progress.more(len(asking))
        waiting: dict[Future[tuple[list[Batch], SourceError | None]], SeenCheck] = {}
        kept: list[Piece] = []
        moved: list[tuple[str, str, Mapping[str, Any]]] = []
        in_a_row, kept_at = 0, self.clock()
        with ThreadPoolExecutor(max_workers=REPLIES) as pool:
            todo = iter(asking)
            try:
                while True:
                    for check in islice(todo, 2 * REPLIES - len(waiting)):
                        cursor = cursors.get(check.key, {})
                        waiting[pool.submit(self._batches, source, check, cursor, until)] = check
                    if not waiting:
                        break
                    for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                        check = waiting.pop(done)
                        progress.done()
                        batches, error = done.result()
                        for batch in batches:
                            kept.append(pieces.pings(look, source.name, at, check, batch))
                            moved.append((source.name, check.key, batch.next_cursor))
                            found.pings += len(batch.rows)
                            found.lost += batch.lost
                            found.bad += batch.bad
                            if batch.why:
                                found.notes.append(f"{spell.plain(check.label or check.key[:6])}: {batch.why}")
                        if error is None:
                            in_a_row = 0
                            found.asked += 1
                            continue
                        in_a_row += 1
                        unread.append(check.key)
                        found.why = found.why or str(error)
                        if error.permanent or in_a_row >= HOPELESS or self.clock() >= until:
                            raise error
                    if len(kept) >= MOST_PIECES or self.clock() > kept_at + SOON:
                        self.state.keep(kept, moved)
                        kept, moved, kept_at = [], [], self.clock()
            finally:
                found.failed = len(asking) - found.asked
                for future in waiting:
                    future.cancel()
                if kept:
                    self.state.keep(kept, moved)
        return unread

    def _batches(
        self, source: Source, check: SeenCheck, cursor: Cursor, until: datetime
    ) -> tuple[list[Batch], SourceError | None]:
        """What a check's replies held, and what ended them early; another try goes on behind the batches that came."""
        found: list[Batch] = []

        def read() -> None:
            for batch in source.pings(check, found[-1].next_cursor if found else cursor):
                found.append(batch)

        try:
            self._tried(read, until)
        except SourceError as error:
            return found, error
        return found, None

    def _tried(self, question: Callable[[], T], until: datetime) -> T:
        """The answer, after up to three tries where another can help and time is left for it."""
        pause_s = PAUSE_S
        for left in range(TRIES - 1, -1, -1):
            try:
                return question()
            except SourceError as error:
                wait_s = error.retry_after_s if error.retry_after_s is not None else pause_s
                late = self.clock() + timedelta(seconds=wait_s) >= until
                if error.permanent or left == 0 or late or self.stop.wait(wait_s):
                    raise
            pause_s *= 2
        raise AssertionError("the last try returns or raises")

    def _rest(self, source: str, error: SourceError) -> None:
        if error.retry_after_s:
            self.state.rest(source, self.clock() + timedelta(seconds=error.retry_after_s), str(error))


@contextmanager
def _uncounted() -> Iterator[None]:
    """Without the search for cycles, which every thousand rows of a reply set off and which finds none among them."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


class _Progress:
    """One bar for all sources; each adds what it will ask as it learns it."""

    def __init__(self, step: Callable[[int, int], None] | None) -> None:
        self._step = step
        self._lock = threading.Lock()
        self._done = self._all = 0

    def more(self, number: int) -> None:
        with self._lock:
            self._all += number
            self._show()

    def done(self) -> None:
        with self._lock:
            self._done += 1
            self._show()

    def _show(self) -> None:
        if self._step is not None:
            self._step(self._done, self._all)


def is_due(every_s: float | None, looked_at: datetime | None, now: datetime) -> bool:
    """Whether it is time for another look at a source that is to be looked at every so often; without a pace always."""
    if every_s is None or looked_at is None or looked_at > now:
        return True
    return (now - looked_at).total_seconds() >= every_s - min(EARLY * every_s, EARLY_S)


def agree_on_cursors(state: State, fed: int) -> bool:
    """Has everything read again that a store no longer has; `fed` is the last piece that it got, 0 for none.

    A store that was deleted or put back from a copy lacks what was fed and forgotten since. True if it was so.
    """
    state.know_fed(fed)
    if state.dropped() > fed:
        state.forget_cursors()
        return True
    return False


