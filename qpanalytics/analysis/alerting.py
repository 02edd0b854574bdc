"""How alerting itself did over a window: pages and which were needless, time to notice, flaps, messages that never arrived.

From the state file alone, which is only read; it may be missing or older than incidents are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from qpanalytics.analysis.delivered import SCHEMA, Message, first_opened, incidents_of, messages_of
from qpanalytics.analysis.needless import Following, enough_s, following, needless
from qpanalytics.instants import micros
from qpanalytics.policy.changes import Incident, family

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.ledger.versions import Version

#: Opening again within so long is flapping, microseconds.
FLAP_US = 3_600_000_000
#: Messages of trouble, and those of them that are pages; a reminder is one where it took the place of an opening.
PAGES = ("open", "escalate")
GIVEN_UP = ("failed", "unclear")
#: A message is tried for a day, microseconds; see `alerts.outbox`.
TRIED_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Paged:
    """The pages that one check, queue, worker or source was in.

    Of each needless one: when it was sent (epoch microseconds), and the grace, seconds, that would have kept it quiet, None
    where that would not have helped. `back_s`: the longest time from one of them until all was well again.
    """

    name: str
    about: str
    pages: int
    needless_us: tuple[int, ...] = ()
    enough_s: tuple[float | None, ...] = ()
    back_s: float | None = None

    @property
    def needless(self) -> int:
        """How many went by alone."""
        return len(self.needless_us)


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages that one channel gave up, and why the last of them."""

    channel: str
    n: int
    why: str


@dataclass(frozen=True)
class Alerting:
    """The figures of one window.

    `pages` = `real` + `needless` + `open` (not over at `as_of`): each opening and escalation that a channel took, however
    many took it. `before`: pages of the window before, None where nothing was known then. `told` incidents were told first in
    the window, each with the seconds from when things went wrong to the first message that arrived in `noticed_s`, `acked` of
    them were taken on. `flaps`: by name, how often the same opened again within an hour.
    """

    pages: int = 0
    real: int = 0
    needless: int = 0
    open: int = 0
    before: int | None = None
    incidents: int = 0
    told: int = 0
    acked: int = 0
    noticed_s: tuple[float, ...] = ()
    paged: tuple[Paged, ...] = ()
    flaps: tuple[tuple[str, int], ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def noticed_p50_s(self) -> float | None:
        """The median time to notice, seconds."""
        return median(self.noticed_s) if self.noticed_s else None

    @property
    def noticed_max_s(self) -> float | None:
        """The longest, seconds."""
        return max(self.noticed_s, default=None)


def alerting(history: History) -> Alerting | None:
    """How alerting did over the window of `history`, as of its instant; None where there never was an incident.

    Of a choice of checks only incidents count that one of them is in. What happened after `as_of` is not known: an incident
    that was resolved later is open. StoreError where the state cannot be read.
    """
    found: Alerting | None = history.within("alerting", lambda: _read(history))
    return found


def _read(history: History) -> Alerting | None:
    from qpanalytics.store.db import MemoryStore
    from qpanalytics.store.peek import peek

    if isinstance(history.store, MemoryStore):
        return None
    as_of, since, until = micros(history.as_of), micros(history.since), micros(history.until)
    with peek(history.store.path, SCHEMA) as con:
        first = None if con is None else first_opened(con)
        if con is None or first is None or first > as_of:
            return None
        # of what was over by then nothing was sent in the two windows: a message is tried for a day
        from_us = 2 * since - until - TRIED_US
        incidents, messages = incidents_of(con, from_us, as_of), messages_of(con, from_us, as_of)
    names = None
    if history.pick.tags or history.pick.checks or history.pick.sources:
        names = set(history.checks["check"])
        incidents = [one for one in incidents if any(m.about == "check" and m.name in names for m in one.members)]
        chosen = {one.incident for one in incidents}
        messages = [message for message in messages if message.incident in chosen]
    after = following(_promised(history, {m.name for one in incidents for m in one.members if m.about == "check"}))
    late_is_real_s = None if history.budgets is None else history.budgets.late_is_real
    return figures(
        incidents, messages, since, until, after, known_before=first < since, late_is_real_s=late_is_real_s, names=names
    )


def figures(
    incidents: Sequence[Incident],
    messages: Sequence[Message],
    since: int,
    until: int,
    after: Following,
    *,
    known_before: bool = True,
    late_is_real_s: float | None = None,
    names: Collection[str] | None = None,
) -> Alerting:
    """The figures of [since, until), epoch microseconds; `names`: the only checks to be named."""
    by_incident: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.incident is not None:
            by_incident[message.incident].append(message)
    tally = _Tally(names)
    before = 0
    told: list[tuple[Incident, int]] = []
    for one in incidents:
        sent = by_incident[one.incident]
        at = pages(sent)
        before += sum(2 * since - until <= page < since for page in at)
        here = [page for page in at if since <= page < until]
        tally.add(one, here, needless(one, after, late_is_real_s))
        first = min((m.sent_at for m in sent if m.sent_at is not None), default=None)
        if first is not None and since <= first < until:
            told.append((one, first))
    return Alerting(
        pages=tally.pages, real=tally.pages - tally.needless - tally.open, needless=tally.needless, open=tally.open,
        before=before if known_before else None, incidents=tally.incidents, told=len(told),
        acked=sum(one.acked_at is not None for one, _ in told),
        noticed_s=tuple(sorted(max(first - one.opened_at, 0) / 1e6 for one, first in told)),
        paged=tally.paged(), flaps=_flapping(incidents, since, until), lost=_lost(messages, since, until),
    )  # fmt: skip


def pages(messages: Iterable[Message]) -> list[int]:
    """When somebody was paged of one incident: at the first channel that took each opening and escalation.

    A reminder that took the place of an opening which no channel took is the opening.
    """
    first: dict[tuple[str, int], int] = {}
    reminders: list[int] = []
    for message in messages:
        if message.sent_at is None:
            continue
        if message.event in PAGES:
            key = (message.event, message.made_at)
            first[key] = min(first.get(key, message.sent_at), message.sent_at)
        elif message.event == "remind":
            reminders.append(message.sent_at)
    if not any(event == "open" for event, _ in first) and reminders:
        first["open", 0] = min(reminders)
    return sorted(first.values())


def flaps(every: Iterable[Incident]) -> dict[str, int]:
    """For each incident, by its name: how often the same had opened in the hour before."""
    same: dict[tuple[str, str], list[Incident]] = defaultdict(list)
    for one in every:
        same[one.check, family(one.kind)].append(one)
    found = {}
    for alike in same.values():
        opened = sorted(one.opened_at for one in alike)
        for one in alike:
            found[one.incident] = bisect_left(opened, one.opened_at) - bisect_left(opened, one.opened_at - FLAP_US)
    return found


class _Tally:
    """Adds up pages."""

    def __init__(self, names: Collection[str] | None) -> None:
        self._names = names
        self.pages = self.needless = self.open = self.incidents = 0
        self._by: dict[tuple[str, str], list[tuple[Sequence[int], Incident, bool]]] = defaultdict(list)

    def add(self, one: Incident, pages: Sequence[int], alone: bool) -> None:
        if not pages:
            return
        self.incidents += 1
        self.pages += len(pages)
        self.needless += len(pages) * alone
        self.open += len(pages) * (one.resolved_at is None)
        for about, name in dict.fromkeys((m.about, m.name) for m in one.members if m.follows is None):
            if self._names is None or (about == "check" and name in self._names):
                self._by[about, name].append((pages, one, alone))

    def paged(self) -> tuple[Paged, ...]:
        """By name, those in most pages first."""
        found = [self._of(about, name, every) for (about, name), every in self._by.items()]
        return tuple(sorted(found, key=lambda p: (-p.pages, -p.needless, p.about, p.name)))

    @staticmethod
    def _of(about: str, name: str, every: Sequence[tuple[Sequence[int], Incident, bool]]) -> Paged:
        alone = [(at, one) for at, one, alone in every if alone]
        back = [max(one.resolved_at - min(at), 0) / 1e6 for at, one in alone if one.resolved_at is not None]
        needless = sorted(((page, enough_s(one)) for at, one in alone for page in at), key=lambda found: found[0])
        return Paged(
            name, about, sum(len(at) for at, _, _ in every), tuple(page for page, _ in needless), tuple(s for _, s in needless),
            max(back, default=None),
        )  # fmt: skip


def _flapping(incidents: Sequence[Incident], since: int, until: int) -> tuple[tuple[str, int], ...]:
    before = flaps(incidents)
    again = Counter(one.check for one in incidents if since <= one.opened_at < until and before[one.incident])
    return tuple(sorted(again.items(), key=lambda found: (-found[1], found[0])))


def _lost(messages: Iterable[Message], since: int, until: int) -> tuple[Lost, ...]:
    by: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.state in GIVEN_UP and message.ended_at is not None and since <= message.ended_at < until:
            by[message.channel].append(message)
    return tuple(
        Lost(channel, len(every), max(every, key=lambda m: (m.ended_at or 0, m.made_at)).why)
        for channel, every in sorted(by.items())
    )


def _promised(history: History, names: Collection[str]) -> Mapping[str, Sequence[Version]]:
    """What was promised of these checks, by name."""
    from qpanalytics.ledger import tables

    if not names:
        return {}
    with history.connection() as con:
        every = con.execute("select check_id, check_name from checks order by check_id").fetchall()
        listed = {check: name for check, name in every if name in names}
        promised = tables.promises(con, tables.first_pings(con, list(listed)))
    return {listed[check]: versions for check, versions in promised.items()}
