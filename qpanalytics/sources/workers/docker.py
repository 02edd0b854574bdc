"""Containers of one Docker Engine, by its HTTP API over a Unix socket or TCP; GET requests only.

Whoever may open /var/run/docker.sock is root on that machine, whatever is asked: prefer a proxy before it that lets only
`GET /containers/` through, and set `url` to it. A look is one request for the list and one for each container that was
named, 200 at most. Nothing is asked of a particular version of the API, so old engines answer, too.

A row is a container, `worker` its name. What becomes of Docker's states (what is odd of them stands in `why`):

| Docker | state | |
|---|---|---|
| running, healthy or without a health check | alive | |
| running, health check `starting` | alive | it was not passed yet, which `why` says |
| running, `unhealthy` | stale | the process is there, and its own check says that it does not work |
| paused | stale | frozen by somebody; when is not told |
| restarting | gone | it exited and waits to be started again: a crash loop |
| created | gone | never started, or could not be |
| exited, dead, removing | gone | with its exit status, or that memory ran out |

`restarts` is RestartCount: by the restart policy only. A running container was seen at the look, an ended one when it
ended, by the engine's clock. What a container is told (its environment) and what its health check writes is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.http import Http, HttpError
from qpanalytics.sources.workers.processes import State, count, instant, matches, missing, row, shown
from qpanalytics.spell import duration, quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

ANSWER_S = 10.0
#: For all requests of a look together.
LOOK_S = 60.0
MOST_CONTAINERS = 200
MOST_BYTES = 16_000_000
URL = "unix:///var/run/docker.sock"
_NEVER = "it was never started"


class Docker:
    """The containers of one engine."""

    system = "docker"

    def __init__(
        self,
        name: str,
        http: Http,
        clock: Callable[[], datetime],
        *,
        containers: Sequence[str] = (),
        queues: Sequence[str] = (),
        look_s: float = LOOK_S,
    ) -> None:
        self.name = name
        self._http, self._clock, self._look_s = http, clock, look_s
        self._containers, self._queues = tuple(containers), tuple(queues)

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """All containers as they are now, or those that were named."""
        taken_at, until = self._clock(), monotonic() + self._look_s
        answer = self._http.json("containers/json", what="the list of containers", params={"all": "true"})
        try:
            wanted = [one for one in listed(answer.data) if matches(self._containers, one[1])]
        except ValueError as error:
            raise self._failure(f"{self._http.where} answered with something else than containers: {error}") from None
        notes = []
        if len(wanted) > MOST_CONTAINERS:
            notes.append(f"{len(wanted):,} containers match, and the first {MOST_CONTAINERS} by name were read; name fewer")
        found: list[tuple[Sequence[str], WorkerLook]] = []
        for handle, names in wanted[:MOST_CONTAINERS]:
            if monotonic() > until:
                raise self._failure(f"{self._http.where} took longer than {duration(self._look_s)} over {len(wanted)} containers")
            try:
                one = self._http.json(f"containers/{handle}/json", what=f"container {quoted(names[0])}").data
            except HttpError as error:
                if error.status == 404:  # removed since it was listed
                    continue
                raise
            try:
                found.append((names, looked(one, names[0], taken_at, queues=self._queues)))
            except ValueError as error:
                raise self._failure(f"{self._http.where} told nonsense of container {quoted(names[0])}: {error}") from None
        rows, seen = missing(
            self._containers, found, cursor, taken_at, system="Docker", thing="container", queues=self._queues
        )  # fmt: skip
        return Snapshot(
            taken_at, workers=[*(look for _, look in found), *rows], next_cursor={"seen": seen}, offset_s=answer.offset_s,
            notes=tuple(notes),
        )  # fmt: skip

    def close(self) -> None:
        self._http.close()

    def _failure(self, text: str) -> SourceError:
        return SourceError(f"{quoted(self.name)[1:-1]}: {text}.", permanent=False)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Docker:
    """The source that a `[[source]]` of kind docker describes. ConfigError for an address that is none."""
    if password and not table.user:
        raise ConfigError(f"source {quoted(table.name)}: it has a password but no user; add user")
    answer_s = table.timeout or ANSWER_S
    http = Http(
        re.sub(r"^tcp://", "http://", table.url or URL), source=table.name, clock=clock,
        login=(table.user, password) if table.user else None,
        connect_s=min(answer_s, 5.0), read_s=answer_s, total_s=answer_s, most_bytes=MOST_BYTES,
    )  # fmt: skip
    return Docker(table.name, http, clock, containers=table.containers, queues=table.queues)


def listed(data: Any) -> list[tuple[str, list[str]]]:
    """Id and names of each container in the list, by name; its own name comes first. ValueError for anything else."""
    if not isinstance(data, list):
        raise ValueError("it is no list")
    containers = []
    for one in data:
        handle, names = (one.get("Id"), one.get("Names")) if isinstance(one, dict) else (None, None)
        # The id becomes part of an address, so it is nothing but what ids are made of.
        if not isinstance(handle, str) or not re.fullmatch(r"[0-9a-f]{12,64}", handle):
            raise ValueError("a container has no id")
        texts = [name.removeprefix("/") for name in names if isinstance(name, str)] if isinstance(names, list) else []
        # A link of another container shows as "/other/alias" beside the container's own name.
        own = sorted((name for name in texts if name), key=lambda name: ("/" in name, name))
        containers.append((handle, own or [handle[:12]]))
    return sorted(containers, key=lambda container: container[1])


def looked(data: Any, name: str, taken_at: datetime, *, queues: Sequence[str] = ()) -> WorkerLook:
    """One container's row, from what `inspect` tells. ValueError for anything else."""
    told = data.get("State") if isinstance(data, dict) else None
    if not isinstance(told, dict):
        raise ValueError("it has no State")
    state, note = _state(told)
    notes = {"state": note}
    restarts = count(data.get("RestartCount"))
    if restarts is None:
        notes["restarts"] = "not told by this engine"
    last_seen_at: datetime | None = None
    status = _status(told)
    if status == "running":
        last_seen_at = taken_at
    elif status == "paused":
        notes["last_seen_at"] = "Docker does not tell since when it is paused"
    elif (last_seen_at := instant(told.get("FinishedAt"))) is None:
        notes["last_seen_at"] = _NEVER if instant(told.get("StartedAt")) is None else "not told by this engine"
    return row(name, state, system="Docker", last_seen_at=last_seen_at, restarts=restarts, queues=queues, notes=notes)


def _status(told: Mapping[str, Any]) -> str:
    """Its status in a word; engines before API 1.21 tell it by flags only."""
    status = told.get("Status")
    if isinstance(status, str) and status:
        return status
    for flag, word in (("Paused", "paused"), ("Restarting", "restarting"), ("Running", "running"), ("Dead", "dead")):
        if told.get(flag) is True:
            return word
    return "created" if instant(told.get("StartedAt")) is None else "exited"


def _state(told: Mapping[str, Any]) -> tuple[State, str]:
    """Our state for Docker's, and what is to be said of it; nothing of a container that simply runs."""
    status = _status(told)
    if status == "running":
        health = told.get("Health")
        health = health if isinstance(health, dict) else {}
        if health.get("Status") == "unhealthy":
            streak = count(health.get("FailingStreak"))
            return "stale", "unhealthy" + (f": its health check failed {streak:,} times in a row" if streak else "")
        if health.get("Status") == "starting":
            return "alive", "its health check was not passed yet"
        return "alive", ""
    if status == "paused":
        return "stale", "paused: its processes are frozen"
    if status == "restarting":
        return "gone", f"restarting: crash loop, {_end(told)}, waits to be started again"
    if status == "created":
        error = "could not be started" if told.get("Error") else "never started"
        return "gone", f"created: {error}"
    if status in ("exited", "dead", "removing"):
        return "gone", f"{status}: {_end(told)}"
    return "unknown", f"Docker calls it {quoted(shown(status))}"


def _end(told: Mapping[str, Any]) -> str:
    """How its process ended. Docker adds 128 to the signal that killed it, as shells do."""
    code = count(told.get("ExitCode"))
    signal = {137: " (SIGKILL)", 139: " (SIGSEGV)", 134: " (SIGABRT)", 143: " (SIGTERM)"}.get(code or 0, "")
    memory = ", its memory ran out" if told.get("OOMKilled") is True else ""
    return f"exited with {'an unknown status' if code is None else code}{signal}{memory}"
