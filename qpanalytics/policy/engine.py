"""The engine: events in, changes out. It has no clock: `advance` is told how late it is, in epoch microseconds.

Live alerting and replay run this one; see README.md beside it. Due times lie in one heap, so that a step costs what is due
and not what is known; states are taken up again only when something happens to them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from qpanalytics.policy.changes import Change, Incident
from qpanalytics.policy.events import (
    Acked,
    CannotTell,
    Closed,
    Covered,
    Event,
    Lost,
    Paused,
    Ping,
    Promised,
    QueueLook,
    Removed,
    Resumed,
    Seen,
    Snoozed,
    Told,
    Unreachable,
    WorkersLook,
)
from qpanalytics.policy.feeds import Feed
from qpanalytics.policy.incidents import Book
from qpanalytics.policy.looks import Looks
from qpanalytics.policy.notices import Desk
from qpanalytics.policy.rules import Policy
from qpanalytics.policy.sign import Fact
from qpanalytics.policy.subjects import CheckSubject, State, Surroundings

#: At one instant what happens to checks and sources comes before what is sent.
HAPPENS, SENT = 0, 1
FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Standing:
    """How a check stands: design rule 7. `cause` is of one that is down; `at` is up to when it was seen."""

    status: str
    at: int
    cause: str = ""
    expected_at: int | None = None
    deadline_at: int | None = None


class Engine:
    """One engine over all checks, queues, workers and sources.

    `states` are what `changed_states` returned in earlier lives, by key: plain JSON values. `live` is off in a replay:
    then nothing counts as long ago, since each thing is told at its time.
    """

    def __init__(self, policy: Policy, states: Mapping[str, State] | None = None, *, live: bool = True) -> None:
        states = dict(states or {})
        self._live = live
        self._desk = Desk(policy, states, live=live)
        self._book = Book(policy, self._desk, self._after, states)
        self._around = Surroundings(policy, self._book)
        self._feeds = {k[5:]: Feed(k[5:], v, most=_kept(live)) for k, v in states.items() if k.startswith("feed:")}
        self._looks = Looks(self._around, states)
        #: Checks as they were put away, until something happens to them.
        self._asleep = {k[6:]: v for k, v in states.items() if k.startswith("check:")}
        self._checks: dict[str, CheckSubject] = {}
        self._afters = {name: said["after"] for name, said in self._asleep.items() if said.get("after")}
        self._now: int = states.get("engine", {}).get("now", -FOREVER)
        self._inbox: list[Event] = []
        self._heap: list[tuple[int, int, str]] = []
        self._queued: dict[str, int] = {}
        self._changed: set[str] = set()
        self._gone: set[str] = set()
        for name, said in self._asleep.items():
            self._queue_check(name, said.get("due"), said.get("feed", ""))
        for key, due in self._looks.dues():
            self._queue(key, due)
        for name, record in self._book.records.items():
            self._queue(f"incident:{name}", record.due(), SENT)
        for name in self._desk.channels:
            self._queue(f"channel:{name}", self._desk.next_due(name), SENT)

    # What people see ---------------------------------------------------------------------------------------------------

    def feed(self, *events: Event) -> None:
        """Takes events, in any order; they count from the next `advance` on (in a replay from that which reaches them)."""
        self._inbox += events
        for event in events:
            # what was seen, and what is lost, is known before what it showed is judged
            if isinstance(event, Seen):
                self._see(event)
            elif isinstance(event, Lost):
                self._check(event.check).holes.append((event.since, event.until))

    def next_due_at(self) -> int | None:
        """When `advance` will have something to do even if nothing is fed; None: never."""
        while self._heap and self._queued.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def changed_states(self) -> dict[str, State | None]:
        """The states that changed since the last time this was asked; None: to be deleted."""
        found: dict[str, State | None] = {}
        for name in self._changed:
            found[f"check:{name}"] = self._checks[name].said() if name in self._checks else None
        found |= self._looks.changed()
        for name in self._desk.touched:
            found[f"channel:{name}"] = self._desk.channels[name]
        for name in self._book.touched:
            record = self._book.records.get(name)
            found[f"incident:{name}"] = None if record is None else record.said()
        if self._book.touched:
            found["book"] = self._book.said()
        for name, feed in self._feeds.items():
            if feed.changed:
                found[f"feed:{name}"] = feed.said()
                feed.changed = False
        found["engine"] = {"now": self._now}
        self._changed, self._desk.touched, self._book.touched = set(), set(), set()
        return found

    def checks(self) -> Iterable[str]:
        """The checks that are known."""
        return sorted({*self._asleep, *self._checks})

    def incidents(self) -> list[Incident]:
        """The incidents that are open, the oldest first."""
        found = [record.shown() for record in self._book.records.values() if record.resolved_at is None]
        return sorted(found, key=lambda incident: (incident.opened_at, incident.incident))

    def standing(self, check: str) -> Standing:
        """How a check stands, as far as it was seen. KeyError for one that is not known."""
        if check not in self._checks and check not in self._asleep:
            raise KeyError(check)
        subject = self._check(check)
        subject.clock.run(min(self._now, subject.feed.until))
        at = subject.clock.clock
        waits = subject.clock.awaited(at) or subject.clock.next_window()
        status = subject.clock.status(at)
        if self._looks.blind(subject.source) and status not in ("paused", "new"):
            status = "unknown"
        cause = subject.clock.down(at) if status == "down" else None
        return Standing(
            status, at, cause or "", None if waits is None else waits.expected, None if waits is None else waits.deadline
        )

    # Time --------------------------------------------------------------------------------------------------------------

    def advance(self, until: int) -> list[Change]:
        """Everything that follows from the events fed and the time gone by up to `until`, in order of time.

        Time never goes back: an earlier `until` than the last one is taken for that, until the clock has caught up.
        """
        until = max(until, self._now)
        events = sorted(self._inbox, key=lambda event: (event.at, event.rank))
        # a replay is told the future; live, what is dated later than now has a wrong clock and counts as now
        known = len(events) if self._live else bisect_right(events, until, key=lambda event: event.at)
        events, self._inbox = events[:known], events[known:]
        self._desk.now = until
        step, place = self._now, 0
        while True:
            happens = min(events[place].at, until) if place < len(events) else FOREVER
            due = self._due_by(until)
            first = min(happens, due)
            # what began at one instant is placed when all of that instant is known, and before anything is sent
            moves_on = first > step or (due < happens and self._heap[0][1] == SENT)
            if moves_on and (self._book.unsettled or self._desk.unsettled or self._book.dirty):
                self._settle(step)
                continue
            if first == FOREVER:
                break
            step = max(step, first)
            if happens <= due:
                self._happen(events[place], happens)
                place += 1
            else:
                self._fall_due(until)
        self._now = until
        return self._desk.take()

    def _due_by(self, until: int) -> int:
        due = self.next_due_at()
        return FOREVER if due is None or due > until else due

    def _settle(self, at: int) -> None:
        """Places what began, and notes when it is due what came of it."""
        self._book.settle(at)
        self._book.touched |= self._desk.told
        incidents, self._book.dirty, self._desk.told = self._book.dirty | self._desk.told, set(), set()
        for name in incidents:
            record = self._book.records.get(name)
            self._queue(f"incident:{name}", None if record is None else record.due(), SENT)
        channels, self._desk.dirty = self._desk.dirty, set()
        for name in channels:
            self._queue(f"channel:{name}", self._desk.next_due(name), SENT)
        finished, self._desk.finished = self._desk.finished, []
        for record in finished:
            self._book.records.pop(record.id, None)
            self._book.touched.add(record.id)

    def _fall_due(self, until: int) -> None:
        at, _, key = heappop(self._heap)
        if self._queued.get(key) != at:
            return
        del self._queued[key]
        kind, _, name = key.partition(":")
        late = until if self._live else at  # nothing can be sent before now
        if kind == "check":
            self._run(self._check(name), at)
        elif kind == "incident":
            self._book.run(name, late)
        elif kind == "channel":
            self._desk.release(name, late, self._book.records)
        else:
            self._queue(key, self._looks.run(key, at))

    def _queue(self, key: str, due: int | None, rank: int = HAPPENS) -> None:
        """Notes when a key has something due; an earlier entry stays, and finds the later one then."""
        if due is not None and due < self._queued.get(key, FOREVER):
            self._queued[key] = due
            heappush(self._heap, (due, rank, key))

    # Checks ------------------------------------------------------------------------------------------------------------

    def _after(self, check: str) -> str | None:
        return self._afters.get(check)

    def _feed(self, name: str) -> Feed:
        found = self._feeds.get(name)
        if found is None:
            found = self._feeds[name] = Feed(name, most=_kept(self._live))
        return found

    def _check(self, name: str) -> CheckSubject:
        """A check, woken where it was asleep, new where it is not known."""
        found = self._checks.get(name)
        if found is None:
            said = self._asleep.pop(name, {})
            found = self._checks[name] = CheckSubject(name, self._around, self._feed(said.get("feed", "")), said)
        return found

    def _run(self, check: CheckSubject, at: int) -> None:
        """Lets time go by for a check, up to where it was seen."""
        check.run(min(at, check.feed.until))
        self._changed.add(check.name)
        self._queue_check(check.name, check.due(), check.feed.name)

    def _queue_check(self, name: str, due: int | None, feed: str) -> None:
        if due is None:
            return
        seen = self._feed(feed)
        if due <= seen.until:
            self._queue(f"check:{name}", due)
        else:
            seen.wait(due, name)

    def _see(self, event: Seen) -> None:
        feed = self._feed(event.feed)
        if feed.see(event.since, event.until):
            for name in feed.ready():
                if name in self._checks or name in self._asleep:
                    due = self._checks[name].due() if name in self._checks else self._asleep[name].get("due")
                    self._queue_check(name, due, feed.name)

    def _happen(self, event: Event, at: int) -> None:
        match event:
            case Ping():
                check = self._check(event.check)
                check.run(min(at - 1, check.feed.until))
                check.hear(event, at)
                self._changed.add(check.name)
                self._queue_check(check.name, check.due(), check.feed.name)
            case Promised():
                self._promise(event, at)
            case Paused() | Resumed() | CannotTell() | Told() | Lost():
                check = self._check(event.check)
                check.run(min(at - 1, check.feed.until))
                if isinstance(event, Paused):
                    check.clock.pause(at)
                elif isinstance(event, Resumed):
                    check.clock.resume(at)
                elif isinstance(event, CannotTell):
                    check.clock.fall_silent(event.silence_s)
                elif isinstance(event, Lost):
                    check.holes = check.holes[-8:]
                    self._queue(*self._looks.lost(check.source, event))
                else:
                    check.told(event, at)
                self._changed.add(check.name)
                self._queue_check(check.name, check.due(), check.feed.name)
            case Removed():
                self._remove(event.check, at)
            case Seen() | Unreachable() | Covered():
                self._queue(*self._looks.source(event))
            case QueueLook() | WorkersLook():
                for key, due in self._looks.look(event, at):
                    self._queue(key, due)
            case Acked():
                self._book.ack(event.incident, at, event.by)
            case Snoozed():
                self._book.snooze(event.incident, at, event.until)
            case Closed():
                self._book.close(event.incident, at, event.by)

    def _promise(self, event: Promised, at: int) -> None:
        new = event.check not in self._checks and event.check not in self._asleep
        check = self._check(event.check)
        feed = self._feed(event.feed if event.feed is not None else event.source)
        moved = feed is not check.feed
        check.feed = feed
        if new:
            check.clock.clock = at  # what was due before anybody was asked is nobody's trouble
        elif not moved and check.same(event):
            return
        else:
            check.run(min(at - 1, feed.until))
        check.promise(event)
        self._looks.blinds(check.source, check.severity(Fact("", at)))
        if event.after is None:
            self._afters.pop(event.check, None)
        else:
            self._afters[event.check] = event.after
        self._changed.add(check.name)
        self._queue_check(check.name, check.due(), feed.name)

    def _remove(self, name: str, at: int) -> None:
        self._asleep.pop(name, None)
        self._checks.pop(name, None)
        self._afters.pop(name, None)
        self._queued.pop(f"check:{name}", None)
        self._changed.add(name)
        for key in self._book.keys_of("check", name):
            self._book.end(key, at, "removed")


def _kept(live: bool) -> int:
    """How many spans a feed keeps: a replay is told all of them beforehand."""
    return 64 if live else FOREVER
