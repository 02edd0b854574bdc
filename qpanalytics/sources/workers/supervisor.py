"""Programs under supervisord, by one XML-RPC call a look over its Unix socket or HTTP port.

supervisord has no account that may only read: whoever reaches its socket may also stop programs. We only ever ask
`supervisor.getAllProcessInfo`. A row is a process, `worker` its `group:name`. What becomes of supervisord's states (what
is odd about them, and how a process ended, stands in `why`):

| supervisord | state | |
|---|---|---|
| RUNNING | alive | it ran for its startsecs |
| STARTING | unknown | it has not run for its startsecs yet; a crash loop is mostly here and in BACKOFF |
| STOPPING | alive | being stopped, and still there |
| BACKOFF | gone | it exited too quickly, and is tried again |
| EXITED, FATAL, STOPPED | gone | ended by itself (with 0 it may be meant to), given up, stopped by somebody |

supervisord keeps no count of restarts, so `restarts` counts what changed between our looks since the first one, which
therefore has none: several between two looks are one, and those by hand count too. Times are whole seconds by
supervisord's clock.
"""

from __future__ import annotations

import re
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.http import Http, HttpError
from qpanalytics.sources.workers.processes import State, count, matches, missing, row, shown
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

ANSWER_S = 10.0
#: 1 kB a process; 5,000 of them are more than a supervisord can hold.
MOST_BYTES = 8_000_000
MOST_PROGRAMS = 1_000
QUESTION = xmlrpc.client.dumps((), "supervisor.getAllProcessInfo").encode()
WHAT = "the list of programs"
_SHUTTING_DOWN = 6
_FIRST_LOOK = "supervisord keeps no count; it is counted from the next look on"


class Process(NamedTuple):
    """What is read of one process. Times are epoch seconds by supervisord's clock, 0 for never."""

    group: str
    name: str
    state: str
    pid: int
    start: int
    stop: int
    now: int
    exitstatus: int
    spawnerr: str

    @property
    def worker(self) -> str:
        return f"{self.group}:{self.name}"


class Supervisor:
    """The programs of one supervisord."""

    system = "supervisor"

    def __init__(
        self,
        name: str,
        http: Http,
        clock: Callable[[], datetime],
        *,
        programs: Sequence[str] = (),
        queues: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._http, self._clock, self._programs, self._queues = http, clock, tuple(programs), tuple(queues)

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """All programs as they are now, or those that were named."""
        taken_at = self._clock()
        try:
            content, kind = self._http.post("RPC2", QUESTION, "text/xml", what=WHAT)
        except HttpError as error:
            if error.status == 404:
                raise self._failure(f"{self._http.where} has no /RPC2; is it supervisord, with its rpcinterface?", True) from None
            raise
        try:
            processes = parsed(content)
        except xmlrpc.client.Fault as fault:
            # What it is called comes from the server, too.
            said = quoted(str(fault.faultString), 100)
            raise self._failure(f"{self._http.where} would not tell {WHAT} ({said})", fault.faultCode != _SHUTTING_DOWN) from None
        except ValueError as error:
            kind = f", but {quoted(kind)}" if kind not in ("text/xml", "application/xml", "") else ""
            raise self._failure(f"what {self._http.where} sent is no reply of supervisord{kind}: {error}; check url") from None
        rows, next_cursor = looks(self._programs, processes, cursor, taken_at, queues=self._queues)
        notes = [] if len(processes) <= MOST_PROGRAMS else [f"of {len(processes):,} programs, {MOST_PROGRAMS:,} at most are told"]
        offset_s = processes[0].now + 0.5 - taken_at.timestamp() if processes else None
        return Snapshot(taken_at, workers=rows, next_cursor=next_cursor, offset_s=offset_s, notes=tuple(notes))

    def close(self) -> None:
        self._http.close()

    def _failure(self, text: str, permanent: bool = False) -> SourceError:
        return SourceError(f"{quoted(self.name)[1:-1]}: {text}" + ("" if text.endswith("?") else "."), permanent=permanent)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Supervisor:
    """The source that a `[[source]]` of kind supervisor describes. ConfigError for an address that is none."""
    where = f"source {quoted(table.name)}"
    if table.url is None:
        raise ConfigError(f'{where}: it has no url; add url = "unix:///run/supervisor.sock" or "http://127.0.0.1:9001"')
    if password and not table.user:
        raise ConfigError(f"{where}: it has a password but no user; add user")
    url = re.sub(r"/RPC2/?$", "", table.url) if table.url.startswith("http") else table.url
    answer_s = table.timeout or ANSWER_S
    http = Http(
        url, source=table.name, clock=clock, login=(table.user, password) if table.user else None,
        connect_s=min(answer_s, 5.0), read_s=answer_s, total_s=answer_s, most_bytes=MOST_BYTES,
    )  # fmt: skip
    return Supervisor(table.name, http, clock, programs=table.programs, queues=table.queues)


def parsed(content: bytes) -> list[Process]:
    """The processes in a reply. ValueError for what is no such reply, xmlrpc.client.Fault for supervisord's refusal."""
    try:
        # As text, so that no encoding declared inside hides anything from the next line.
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # no XML-RPC has them, and small ones unfold to gigabytes
        raise ValueError("it defines entities")
    try:
        (listed,), _ = xmlrpc.client.loads(text, use_builtin_types=True)
    except xmlrpc.client.Fault:
        raise
    except Exception:  # expat and the unmarshaller trip over nonsense in a dozen ways
        raise ValueError("it is not XML-RPC") from None
    if not isinstance(listed, list):
        raise ValueError("it is no list")
    return [_process(one) for one in listed]


def _process(one: Any) -> Process:
    if not isinstance(one, dict):
        raise ValueError("a program is no structure")
    texts = [one.get(field) for field in ("group", "name", "statename")]
    numbers = [count(one.get(field)) for field in ("pid", "start", "stop", "now")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a program has no group, name or state")
    if None in numbers:
        raise ValueError(f"{quoted(str(texts[1]))} has no pid or no times")
    status = one.get("exitstatus")
    return Process(*texts, *numbers, status if isinstance(status, int) else 0, str(one.get("spawnerr") or ""))  # type: ignore[arg-type, call-arg]


def looks(
    asked: Sequence[str],
    processes: Sequence[Process],
    cursor: Mapping[str, Any],
    taken_at: datetime,
    *,
    queues: Sequence[str] = (),
) -> tuple[list[WorkerLook], dict[str, Any]]:
    """A row for each process that is asked for and each name that has none, and what the next look wants to know."""
    before = cursor.get("processes")
    before = before if isinstance(before, Mapping) else {}
    found: list[tuple[Sequence[str], WorkerLook]] = []
    kept: dict[str, list[int]] = {}
    for process in processes:
        names = (process.name, process.worker)
        if len(found) == MOST_PROGRAMS or not matches(asked, names):
            continue
        restarts = restarted(before.get(process.worker), process)
        kept[process.worker] = [process.start, process.pid, restarts or 0]
        found.append((names, looked(process, taken_at, restarts=restarts, queues=queues)))
    rows, seen = missing(asked, found, cursor, taken_at, system="supervisord", thing="program", queues=queues)
    return [*(look for _, look in found), *rows], {"processes": kept, "seen": seen}


def restarted(before: Any, process: Process) -> int | None:
    """Restarts since the first look, given what the last one kept of this process; None at the first."""
    try:
        start, pid, restarts = (int(part) for part in before)
    except (TypeError, ValueError):
        return None
    if not start or not process.start:  # never started until now
        return restarts
    if pid and pid == process.pid:  # supervisord moves `start` back where the clock was set back
        return restarts + (process.start > start)
    return restarts + (start != process.start or bool(pid and process.pid))


def looked(process: Process, taken_at: datetime, *, restarts: int | None, queues: Sequence[str] = ()) -> WorkerLook:
    """One process's row."""
    state, note = _state(process)
    notes = {"state": note, "restarts": "" if restarts is not None else _FIRST_LOOK}
    if process.pid:
        last_seen_at: datetime | None = taken_at
    elif process.stop > 0:
        last_seen_at = datetime.fromtimestamp(process.stop, UTC)
    else:
        last_seen_at, notes["last_seen_at"] = None, "no process of it ended yet under this supervisord"
    return row(
        process.worker, state, system="supervisord", last_seen_at=last_seen_at, restarts=restarts, queues=queues, notes=notes
    )


def _state(process: Process) -> tuple[State, str]:
    """Our state for supervisord's, and what is to be said of it; nothing of a process that simply runs."""
    said = shown(process.state)
    wrong = shown(process.spawnerr).rstrip(".")
    if process.state == "RUNNING":
        return "alive", ""
    if process.state == "STOPPING":
        return "alive", f"{said}: being stopped"
    if process.state == "STARTING":
        return "unknown", f"{said}: has not run for its startsecs yet"
    if process.state == "BACKOFF":
        return "gone", f"{said}: crash loop, is tried again; {wrong or 'exited too quickly'}"
    if process.state == "FATAL":  # its exitstatus is 0 whatever the program said
        return "gone", f"{said}: given up after its startretries; {wrong or 'exited too quickly'}"
    if process.state == "EXITED":
        ended = "killed by a signal" if process.exitstatus < 0 else f"exited with {process.exitstatus}"
        return "gone", f"{said}: {ended}" + (", which may be meant" if process.exitstatus == 0 else "")
    if process.state == "STOPPED":
        return "gone", f"{said}: " + ("stopped by somebody" if process.start else "not started yet")
    return "unknown", f"{said}: supervisord does not know either" if said == "UNKNOWN" else said
