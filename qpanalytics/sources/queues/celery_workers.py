"""Celery's workers, by the heartbeats that they publish and nobody keeps.

Each says every 2 s (`freq`) that it is there, what it runs and what it has taken. That is listened to for some seconds, and
who was heard is remembered for the next look, so that silence is noticed. Silence is not always death: a worker with the
solo pool says nothing while it runs a task. Heartbeats do not name the pool; a worker that was ever heard running something
does not have that one, and one that fell silent and came back with more tasks taken has it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from qpanalytics.sources.base import WorkerLook, reasons
from qpanalytics.sources.queues.gate import Heard, text
from qpanalytics.spell import duration

#: How long is listened, and at least although all known ones were heard: two periods of a worker not known yet.
LISTEN_S, LEAST_S = 5.0, 4.5
PERIOD_S = 2.0
#: So many periods without a sign are silence; after so long a silence, seconds, a worker is gone; later it is forgotten.
SILENT_PERIODS, GONE_S, FORGOTTEN_S, FORGOTTEN_SOLO_S = 2.5, 600.0, 4_200.0, 90_000.0
#: After so long it is asked again whether this user may listen, seconds.
ASK_AGAIN_S = 86_400.0
MOST_WORKERS, LONGEST_NAME = 1_000, 255

_ALWAYS = {"restarts": "Celery counts no restarts"}
_QUIET = "it was not heard"


def pattern(prefix: bytes, database: int) -> bytes:
    """The channels of workers' own events; what a prefix holds is no wildcard."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + f"/{database}.celeryev/worker.*".encode()


def events(message: bytes) -> list[dict[str, Any]]:
    """The events in one published message; none where it is not what a worker writes."""
    try:
        outer = json.loads(message)
        properties = outer.get("properties") or {}
        body = outer["body"]
        if properties.get("body_encoding") == "base64":
            body = base64.b64decode(body)
        found = json.loads(body)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return []
    found = found if isinstance(found, list) else [found]
    return [one for one in found if isinstance(one, dict) and _name(one) and str(one.get("type")).startswith("worker-")]


class Roll:
    """The workers known and heard. Instants are epoch seconds by the server's clock, as is `now`, when listening begins."""

    def __init__(self, cursor: Mapping[str, Any], now: datetime) -> None:
        self.now = now.timestamp()
        kept = cursor.get("workers")
        self._known: dict[str, dict[str, Any]] = {
            name: dict(one)
            for name, one in (kept if isinstance(kept, dict) else {}).items()
            if isinstance(one, dict) and isinstance(one.get("at"), int | float)
        }
        self._start, self._read, self._window_s = self.now, 0, 0.0
        self._present: set[str] = set()
        self._answers: dict[str, dict[str, Any]] = {}
        self._asked = False
        self.notes: list[str] = []
        refused_at = cursor.get("refused_at")
        self._refused_at = refused_at if isinstance(refused_at, int | float) else None
        if self._refused_at is not None and not 0 <= self.now - self._refused_at < ASK_AGAIN_S:
            self._refused_at = None
        self._cut = self._crowded = False
        self._pattern = text(cursor.get("pattern") or "")

    @property
    def may_listen(self) -> bool:
        """Whether it is worth asking: a refusal is remembered for a day."""
        return self._refused_at is None

    def refused(self, channels: bytes) -> None:
        """This user may not listen."""
        self._refused_at, self._pattern = self.now, text(channels)

    def enough(self, heard: Heard) -> bool:
        """Takes what is new; True once everybody known was heard and new ones had time to speak."""
        for second, message in heard.messages[self._read :]:
            for event in events(message):
                self._take(event, self._start + second)
        self._read = len(heard.messages)
        waiting = {name for name, one in self._known.items() if not one.get("off") and self._start - one["at"] < GONE_S}
        return heard.seconds >= LEAST_S and waiting <= self._present

    def listened(self, heard: Heard) -> None:
        """Listening is over."""
        self.enough(heard)
        self._window_s, self._cut = heard.seconds, heard.cut
        self.now = self._start + heard.seconds
        if heard.cut:
            self.notes.append("workers: more was published to their channels than is listened to; some may not have been heard")

    def answered(self, answers: Mapping[str, dict[str, Any]]) -> None:
        """What workers said when they were asked: `active`, a list of {"time_start"}, and where known `queues` and `solo`."""
        self._asked, self._answers = True, dict(answers)
        for name, said in answers.items():
            one = self._known.setdefault(name, {"freq": None})
            one.update(at=self.now, off=False, silent=False)
            if said.get("solo") is not None:
                one["solo"] = said["solo"]
            self._present.add(name)

    def looks(self, *, listening: bool) -> tuple[list[WorkerLook], dict[str, Any], list[str]]:
        """A row a worker, what the next look wants to remember, and notes."""
        deaf = listening and self._refused_at is not None
        if deaf:
            self.notes.append(
                "workers: this user may not listen to their heartbeats. Grant it as in the README "
                f"(ACL SETUSER ... +psubscribe &{self._pattern}), or set heartbeats = false"
            )
        if not listening and not self._asked:
            return [], {}, self.notes
        rows, kept = [], {}
        for name, one in sorted(self._known.items()):
            look = self._look(name, one, deaf=deaf and not self._asked)
            if look is not None:
                rows.append(look)
                silent = look.state == "stale" or (name not in self._present and bool(one.get("silent")))
                kept[name] = {**one, "silent": silent}
        if self._crowded:
            self.notes.append(f"workers: only {MOST_WORKERS:,} are kept in mind, and more were heard")
        if not rows and not deaf:
            self.notes.append(
                f"workers: none was heard in {self._window_s:.1f} s: none runs, or they run without heartbeats, with another "
                "prefix or database"
                if listening
                else "workers: none answered"
            )
        refusal = {} if self._refused_at is None else {"refused_at": self._refused_at, "pattern": self._pattern}
        return rows, {"workers": kept, **refusal}, self.notes

    def _take(self, event: dict[str, Any], at: float) -> None:
        name = _name(event)
        if name not in self._known and len(self._known) >= MOST_WORKERS:
            self._crowded = True
            return
        before = self._known.get(name, {})
        pid, processed, active = _count(event.get("pid")), _count(event.get("processed")), _count(event.get("active"))
        freq = event.get("freq")
        fits = isinstance(freq, int | float) and not isinstance(freq, bool) and 0 < freq < 86_400
        one: dict[str, Any] = {
            "at": at, "freq": float(freq or 0) if fits else PERIOD_S, "pid": pid, "processed": processed, "busy": active,
            "off": event["type"] == "worker-offline",
        }  # fmt: skip
        if before.get("pid") == pid and (before.get("processed") or 0) <= (processed or 0):  # the same process
            solo = before.get("solo")
            if solo is None and before.get("silent") and (before.get("processed") or 0) < (processed or 0):
                solo = True
            one["solo"] = False if active else solo
        else:
            one["solo"] = False if active else None
        self._known[name] = one
        self._present.add(name)

    def _look(self, name: str, one: dict[str, Any], *, deaf: bool) -> WorkerLook | None:
        """The row of a worker; None once it is forgotten."""
        silent_s = max(self.now - one["at"], 0.0)
        if silent_s > (FORGOTTEN_SOLO_S if one.get("solo") else FORGOTTEN_S):
            return None
        seen_at = datetime.fromtimestamp(one["at"], UTC)
        period_s, ago = one.get("freq"), f"not heard for {duration(silent_s)}"
        said = self._answers.get(name)
        why = {"queues": "heartbeats do not name them", "oldest_running_s": "heartbeats do not say; inspect = true asks"}
        if self._asked:
            why = dict.fromkeys(why, "it did not answer")
        if period_s is None:
            why["expected_period_s"] = "no heartbeat of it was heard"
        if said is None and name not in self._present:
            state, reason = self._silent(one, silent_s, ago, deaf=deaf)
            if state != "alive":
                why = {"state": reason, "busy": _QUIET} | why
                return WorkerLook(name, state, last_seen_at=seen_at, expected_period_s=period_s, why=reasons(why | _ALWAYS))
        if one.get("off"):
            why = {"state": "it said that it stops", "busy": "it stops"} | why
            return WorkerLook(name, "gone", last_seen_at=seen_at, expected_period_s=period_s, why=reasons(why | _ALWAYS))
        busy, oldest_s, queues = one.get("busy"), None, None
        if said is not None:
            starts = [job["time_start"] for job in said["active"] if isinstance(job.get("time_start"), int | float)]
            busy = len(said["active"])
            queues = said.get("queues")
            oldest_s = max(self.now - min(starts), 0.0) if starts else None
            why.pop("queues" if queues is not None else "", None)
            why["oldest_running_s"] = "it runs nothing" if not busy else "it does not say since when"
            if oldest_s is not None:
                del why["oldest_running_s"]
        if busy is None:
            why["busy"] = "its heartbeat does not say"
        return WorkerLook(
            name, "alive", busy=busy, last_seen_at=seen_at, expected_period_s=period_s, oldest_running_s=oldest_s,
            queues=queues, why=reasons(why | _ALWAYS),
        )  # fmt: skip

    def _silent(self, one: dict[str, Any], silent_s: float, ago: str, *, deaf: bool) -> tuple[Any, str]:
        """What silence means."""
        if one.get("off"):
            return "gone", "it said that it stops"
        if deaf:
            return "unknown", "this user may not listen to heartbeats"
        period_s = one.get("freq") or PERIOD_S
        if silent_s <= SILENT_PERIODS * period_s:
            return "alive", ""
        if self._cut:
            return "unknown", f"{ago}, but not all that was published was taken"
        if one.get("solo"):
            return "unknown", f"{ago}; it has the solo pool, which is silent while it runs a task"
        if not self._asked and self._window_s < 2 * period_s:
            return "unknown", f"it speaks every {duration(period_s)}, and {duration(self._window_s)} were listened to"
        if silent_s > GONE_S:
            return "gone", ago
        maybe = "" if one.get("solo") is False else "; with the solo pool it may be running a task"
        return "stale", ago + maybe


def _name(event: dict[str, Any]) -> str:
    name = event.get("hostname")
    return name if isinstance(name, str) and len(name) <= LONGEST_NAME else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
