"""One look at BullMQ's or Bull's queues: what is asked of the server, in which of at most four trips."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from qpanalytics.sources.queues import bullmq_rows as rows
from qpanalytics.sources.queues.gate import Command, Gate

#: Commands that one queue may cost in a look; what queues leave over of it pays for second looks at others.
A_QUEUE = 12
#: Running jobs whose locks are asked for in a look, the longest running of each queue first.
MOST_RUNNING = 100
#: Options of one job above which they are read only every `EVERY` looks, bytes.
LARGE, EVERY = 256_000, 20
CLIENTS: Command = ("CLIENT", "LIST")


class Look:
    """One look in at most four trips. `said` holds, by queue, the replies under the names that `bullmq_rows` reads."""

    def __init__(self, gate: Gate, prefix: str, system: str, names: Sequence[str], memory: dict[str, Any]) -> None:
        self._gate, self._system, self._memory = gate, system, memory
        self.said: dict[str, rows.Said] = {name: {} for name in names}
        self._base = {name: f"{prefix}:{name}:".encode() for name in names}
        self._asks: list[tuple[rows.Said, Any, Command]] = []
        self._spare = A_QUEUE * len(names)
        self._front = set(memory.get("lifo", ()))  # queues whose end holds the newest job
        self._ranked = set(memory.get("ranked", ()))  # queues whose jobs with a priority are read before the others
        self._large = {name: left - 1 for name, left in memory.get("large", {}).items() if left > 1}

    def _ask(self, name: str, what: Any, command: str, key: bytes | str, *more: str | bytes | int) -> None:
        key = self._base[name] + (key if isinstance(key, bytes) else key.encode())
        self._asks.append((self.said[name], what, (command, key, *more)))
        self._spare -= 1

    def _go(self, *others: Command) -> list[Any]:
        """One trip with `others`, whose replies are returned, and all that was asked for."""
        asks, self._asks = self._asks, []
        replies = self._gate.trip([*others, *(command for _, _, command in asks)], optional=(CLIENTS,))
        for (said, what, _), reply in zip(asks, replies[len(others) :], strict=True):
            said[what] = reply
        return replies[: len(others)]

    def first(self, clients: bool) -> tuple[datetime, Any]:
        """What every queue costs; the server's clock, and the list of connections where it is asked for."""
        for name, said in self.said.items():
            said["front"] = name in self._front
            self._ask(name, "meta", "HMGET", "meta", "paused", "version")
            if self._system == "bull":
                self._ask(name, "meta_paused", "EXISTS", "meta-paused")
            else:
                self._ask(name, "prioritized", "ZCARD", "prioritized")
            self._ask(name, "wait", "LLEN", "wait")
            self._ask(name, "parked", "LLEN", "paused")
            self._ask(name, "active", "LRANGE", "active", -MOST_RUNNING, -1)
            self._ask(name, "delayed", "ZCARD", "delayed")
            self._ask(name, "failed", "ZCARD", "failed")
            self._ask(name, "completions", "HGET", "metrics:completed", "count")
            if name in self._ranked:
                self._ask(name, ("id", "prioritized"), "ZRANGE", "prioritized", 0, 0)
            else:
                self._ask(name, ("id", "wait"), "LINDEX", "wait", 0 if said["front"] else -1)
        time, *listed = self._go(("TIME",), *([CLIENTS] if clients else []))
        return self._gate.clock(time), listed[0] if listed else None

    def second(self, now: datetime) -> None:
        """What only some queues need: the oldest job, what is overdue, the locks of running jobs."""
        due = int(now.timestamp() * 1000) * rows.A_MILLISECOND + rows.A_MILLISECOND - 1
        for name, said in self.said.items():
            if said["delayed"]:
                self._ask(name, "overdue", "ZCOUNT", "delayed", "-inf", due)
            if said["completions"] is not None:
                self._ask(name, "failures", "HGET", "metrics:failed", "count")
            if len(said["active"]) >= MOST_RUNNING:
                self._ask(name, "running", "LLEN", "active")
            if rows.seems_empty(said):
                self._ask(name, "exists", "EXISTS", "meta", self._base[name] + b"id")
            places = [place for place in rows.ENDS if said.get(("id", place))]
            if places:
                self._ask_job(name, places[0])
            elif said["wait"] and name in self._ranked:
                self._ask_end(name, "wait", "LINDEX", "wait", -1)
            elif said["parked"]:
                self._ask_end(name, "parked", "LINDEX", "paused", -1)
            elif said.get("prioritized"):
                self._ask_end(name, "prioritized", "ZRANGE", "prioritized", 0, 0)
        for name, said in self.said.items():
            if said["completions"] is None and said["failed"] and self._spare >= 1:
                self._ask(name, "failures", "HGET", "metrics:failed", "count")
            if said.get(("id", "wait")) and said.get("prioritized") and self._spare >= 2:
                self._ask_end(name, "prioritized", "ZRANGE", "prioritized", 0, 0)
            if said.get(("id", "prioritized")) and said["wait"] and self._spare >= 2:
                self._ask_end(name, "wait", "LINDEX", "wait", -1)
            if said["parked"] > 1 and not said["wait"] and self._spare >= 2:
                self._ask_end(name, "parked_other", "LINDEX", "paused", 0)
        self._ask_running()
        self._go()

    def third(self) -> None:
        """The jobs whose ids came last; the running lists once more where a lock is missing, for a job may just have ended."""
        for name, said in self.said.items():
            for place in rows.ENDS:
                if said.get(("id", place)) and ("job", place) not in said:
                    self._ask_job(name, place)
                    self._spare += 1  # it was reserved
            if any(not said[("lock", job)] for job in said["looked"]):
                self._ask(name, "active_again", "LRANGE", "active", -MOST_RUNNING, -1)
        for name, said in self.said.items():
            job, front = said.get(("job", "wait")), said["front"]
            if job is None or said["wait"] < 2 or name in self._ranked:
                continue
            (self._front.add if rows.lifo(job) else self._front.discard)(name)
            if (not rows.lifo(job) if front else rows.jumped(job)) and self._spare >= 2:
                self._ask_end(name, "other", "LINDEX", "wait", -1 if front else 0)
        self._go()

    def fourth(self) -> None:
        """The jobs at the other ends; then what the next look wants to know."""
        for name, said in self.said.items():
            if said.get(("id", "other")):
                self._ask_job(name, "other")
        self._go()
        self._remember()

    def _ask_end(self, name: str, place: str, command: str, key: str, *more: int) -> None:
        """The id of the job at one end; what its own fields will cost is reserved."""
        self._ask(name, ("id", place), command, key, *more)
        self._spare -= 1

    def _ask_job(self, name: str, place: str) -> None:
        """The few fields of one job that tell since when it waits, never its data."""
        (job,) = rows.ids(self.said[name][("id", place)])
        fields = rows.FIELDS[:-1] if name in self._large else rows.FIELDS
        self._ask(name, ("job", place), "HMGET", job, *fields)

    def _ask_running(self) -> None:
        """Locks and beginnings of running jobs: the oldest of each queue in turn, and other queues first each time."""
        names = [name for name, said in self.said.items() if said["active"]]
        turn = self._memory.get("turn", 0) % len(names) if names else 0
        left, depth = MOST_RUNNING, 0
        for said in self.said.values():
            said["looked"] = []
        while left and names:
            for name in names[turn:] + names[:turn]:
                said = self.said[name]
                if left and depth < len(said["active"]):
                    job = said["active"][-1 - depth]  # BullMQ puts what it begins at the left
                    said["looked"].append(job)
                    self._ask(name, ("lock", job), "EXISTS", job + b":lock")
                    self._ask(name, ("run", job), "HMGET", job, "processedOn", "pb")
                    self._spare += 2  # they are no part of what a queue may cost
                    left -= 1
            depth += 1
            names = [name for name in names if depth < len(self.said[name]["active"])]
            turn = turn % len(names) if names else 0
        if not left:
            self._memory["turn"] = self._memory.get("turn", 0) + MOST_RUNNING

    def _remember(self) -> None:
        """Which queues are filled from the front, and whose jobs have large options."""
        for name, said in self.said.items():
            for place in rows.ENDS:
                job = said.get(("job", place))
                if job and len(job) == len(rows.FIELDS) and len(job[-1] or b"") > LARGE:
                    self._large[name] = EVERY
            # Where both cannot be had, those with a priority come first from now on: they are the last to be served.
            if not (said["wait"] and said.get("prioritized")):
                self._ranked.discard(name)
            elif ("job", "prioritized") not in said:
                self._ranked.add(name)
        self._memory["lifo"], self._memory["ranked"] = sorted(self._front & set(self.said)), sorted(self._ranked & set(self.said))
        self._memory["large"] = self._large
