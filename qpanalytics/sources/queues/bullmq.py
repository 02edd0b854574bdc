"""BullMQ 5 and 6, and Bull 4: a few bounded reads of each queue, its running jobs and the connections of its workers.

Neither keeps a list of its queues: they are named in `qpa.toml`, or found by one walk over the keys at the first look and
once a day. Neither keeps heartbeats: a worker is a named connection, and the lock of a job says whether its worker moves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import SourceError
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.queues import bullmq_rows as rows
from qpanalytics.sources.queues.bullmq_look import Look
from qpanalytics.sources.queues.bullmq_workers import connections, workers
from qpanalytics.sources.queues.gate import Gate, Refused, from_table
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

DAY_S = 86_400.0
#: Seconds until queues are sought again where there were none.
SOON_S = 600.0
SCAN_COUNT, MOST_SCANS = 1_000, 5_000


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Bull:
    """The queues that a `[[source]]` of kind `bullmq` or `bull` describes."""
    return Bull(
        from_table(table, password), clock, name=table.name, system=table.kind, prefix=table.prefix or "bull",
        queues=table.queues, clients=table.clients,
    )  # fmt: skip


class Bull:
    """The queues under one prefix of one database. `system` is `bullmq`, or `bull` for version 4 and older."""

    def __init__(
        self, gate: Gate, clock: Callable[[], datetime], *, name: str, system: str, prefix: str = "bull",
        queues: Sequence[str] = (), clients: bool = True,
    ) -> None:  # fmt: skip
        self.name, self.system = name, system
        self._gate, self._clock, self._prefix = gate, clock, prefix
        self._queues, self._clients = tuple(dict.fromkeys(queues)), clients

    def close(self) -> None:
        """Gives the connection back."""
        self._gate.close()

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How the queues and the connected workers look now."""
        place = f"{self.system} {self._gate.database} {self._prefix}"
        memory = dict(cursor) if cursor.get("place") == place else {}  # what was found elsewhere is of no use here
        memory["place"] = place
        names, notes = self._names(memory)
        taken_at = self._clock()
        look = Look(self._gate, self._prefix, self.system, names, memory)
        ask_clients = self._clients and not self._refused_lately(memory, taken_at)
        now, listed = look.first(ask_clients)
        look.second(now)
        look.third()
        look.fourth()
        queues = tuple(rows.queue_look(self.system, name, said, now) for name, said in look.said.items())
        if not queues:
            notes.append(f"no queue was found under {quoted(self._prefix + ':')} in database {self._gate.database}")
        found: tuple[WorkerLook, ...] = ()
        if isinstance(listed, Refused):
            memory["refused"] = [self._gate.user or "", taken_at.timestamp()]
        if listed is None or isinstance(listed, Refused):
            if self._clients:
                notes.append("workers: this user may not see who is connected; grant +client|list, or set clients = false")
        else:
            memory.pop("refused", None)
            seen = connections(listed, self._prefix, self._gate.database)
            self._learn({one.queue for one in seen}, memory)
            found, memory["workers"] = workers(seen, look.said, now, memory.get("workers", {}))
        return Snapshot(taken_at, queues, found, memory, (now - taken_at).total_seconds(), tuple(notes))

    # Which queues there are -----------------------------------------------------------------------------------------------

    def _names(self, memory: dict[str, Any]) -> tuple[list[str], list[str]]:
        """The queues to look at, and what is to be said of how they were found."""
        if self._queues:
            return list(self._queues), []
        known, now = memory.get("queues"), self._clock().timestamp()
        if known is not None and 0 <= now - memory.get("found_at", 0) < (DAY_S if known else SOON_S):
            return list(known), []
        notes: list[str] = []
        try:
            known = self._discovered()
        except SourceError as error:
            if not known or not error.permanent:
                raise
            notes.append(f"new queues are not seen: {error}")
        memory["queues"], memory["found_at"] = known, now
        return list(known), notes

    def _discovered(self) -> list[str]:
        """The names under the prefix, by one bounded walk over the keys: BullMQ's `meta`, Bull's counter of jobs."""
        base, end = self._prefix.encode() + b":", b":id" if self.system == "bull" else b":meta"
        pattern = re.sub(rb"([\\*?\[\]^])", rb"\\\1", base) + b"*" + end
        found: set[str] = set()
        place: Any = 0
        for _ in range(MOST_SCANS):
            (reply,) = self._gate.attempt([("SCAN", place, "MATCH", pattern, "COUNT", SCAN_COUNT)])
            if isinstance(reply, Refused):
                raise self._failure(
                    f"{self._gate.where} does not let this user look for queues ({reply.code}). "
                    'Name them, queues = ["email"], or grant +scan'
                )
            place, keys = reply
            for key in keys:
                try:
                    name = key[len(base) : -len(end)].decode()
                except UnicodeDecodeError:
                    continue  # neither writes such a name
                # BullMQ allows no colon in a name: what has one lies under a longer prefix, and is another source's.
                if name and (":" not in name or self.system == "bull"):
                    found.add(name)
            if int(place) == 0:
                return sorted(found)
        raise self._failure(f'{self._gate.where} holds too many keys to look for queues. Name them, queues = ["email"]')

    def _learn(self, served: set[str], memory: dict[str, Any]) -> None:
        """Queues that have a worker but were not known are looked at from the next time on."""
        if not self._queues and not served <= set(memory["queues"]):
            memory["queues"] = sorted(served.union(memory["queues"]))

    def _refused_lately(self, memory: dict[str, Any], now: datetime) -> bool:
        """Whether this very user was refused the list of connections within a day: asking again would only fill the log."""
        user, since = memory.get("refused", (None, 0.0))
        return bool(user == (self._gate.user or "") and 0 <= now.timestamp() - since < DAY_S)

    def _failure(self, text: str) -> SourceError:
        return SourceError(f"{quoted(self.name)[1:-1]}: {text}.", permanent=True)
