"""Units of the systemd that this machine was booted with, by one `systemctl show` a look; no root is needed.

A row is a unit, `worker` its full name. What becomes of systemd's states (the state and its cause stand in `why` unless
the unit simply runs):

| systemd | state | |
|---|---|---|
| active, reloading | alive | `active (exited)` has no process left: gone |
| activating | unknown | being started; a `Type=oneshot` that runs is alive: it is in this state all its life |
| activating (auto-restart) | gone | it crashed and waits to be started again: a crash loop if it goes on |
| deactivating | alive | being stopped, while its process is there; then gone. Stopped for its watchdog: stale |
| inactive, failed | gone | with its exit status or signal |
| LoadState not-found | unknown | no such unit; gone if an earlier look saw it running |
| a timer, socket, slice, ... | unknown | it has no process of its own |

`restarts` is NRestarts: automatic ones since somebody last started the unit by hand. With `WatchdogSec=` a service pings
systemd itself: then `last_seen_at` is its last ping, `expected_period_s` the time it is given, seconds, and `stale` one
that let it pass. Else a running process was seen at the look, and one that ended when it ended.

Units of users (`systemctl --user`) are not seen. Patterns are expanded by systemctl, which knows only loaded units: an
instance that ended well may vanish from `worker@*.service`. Name each instance that must be there.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.base import Snapshot, WorkerLook
from qpanalytics.sources.workers.processes import State, count, instant, missing, row, shown
from qpanalytics.spell import duration, quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

ANSWER_S = 10.0
MOST_UNITS = 200
MOST_BYTES = 4_000_000
PROPERTIES = (
    "Id,Names,Type,LoadState,ActiveState,SubState,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,"
    "ExecMainStartTimestamp,ExecMainExitTimestamp,ActiveExitTimestamp,InactiveEnterTimestamp,WatchdogTimestamp,WatchdogUSec"
)
#: Nothing of our own environment goes along: it could colour, page or translate what is to be parsed.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_URLIFY": "0"}
_ENDINGS = ("service", "scope", "timer", "socket", "target", "slice", "mount", "automount", "swap", "path", "device")
_CAUSES = {"exit-code", "signal", "core-dump", "success", ""}
_SPANS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "day": 86_400.0, "days": 86_400.0,
    "w": 604_800.0, "week": 604_800.0, "weeks": 604_800.0, "month": 2_629_800.0, "months": 2_629_800.0,
    "y": 31_557_600.0, "year": 31_557_600.0, "years": 31_557_600.0,
}  # fmt: skip
_UNKNOWN_TIMES = "this systemctl tells times as local text only (--timestamp=unix needs systemd 247)"

Unit = Mapping[str, str]


class Systemd:
    """The units of one machine, the one that this runs on."""

    system = "systemd"

    def __init__(
        self,
        name: str,
        units: Sequence[str],
        clock: Callable[[], datetime],
        *,
        queues: Sequence[str] = (),
        answer_s: float = ANSWER_S,
    ) -> None:
        self.name = name
        self._units, self._clock, self._queues, self._answer_s = tuple(units), clock, tuple(queues), answer_s
        self._stamped = True

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """All units as they are now, asked for at once."""
        taken_at = self._clock()
        try:
            units = parsed(self._shown())
            rows, seen = looks(self._units, units, cursor, taken_at, queues=self._queues, stamped=self._stamped)
        except ValueError as error:
            raise self._failure(f"systemctl show answered what makes no sense: {error}", permanent=False) from None
        return Snapshot(taken_at, workers=rows, next_cursor={"seen": seen})

    def close(self) -> None:
        """There is no connection to give back."""

    def _shown(self) -> str:
        """What `systemctl show` writes, with times as epoch seconds where it can."""
        program = shutil.which("systemctl")
        if program is None:
            raise self._failure("there is no systemctl here; this kind reads the machine that it runs on", permanent=True)
        command = [program, "show", "--no-pager", f"--property={PROPERTIES}"]
        while True:
            extra = ["--timestamp=unix"] if self._stamped else []
            code, out, said = self._run([*command, *extra, "--", *self._units])
            if code == 0:
                return out
            if self._stamped and re.search(r"--timestamp|Invalid value: unix|timestamp style", said):
                self._stamped = False
                continue
            if "not been booted with systemd" in said:
                raise self._failure(
                    "this machine was not booted with systemd (a container is not); run this source where the units run",
                    permanent=True,
                )
            words = next((line for line in said.splitlines() if line.strip()), "nothing on stderr")
            raise self._failure(f"systemctl show ended with {code}: {quoted(words.strip().rstrip('.'), 160)}", permanent=False)

    def _run(self, command: Sequence[str]) -> tuple[int, str, str]:
        """Exit status, output and errors of a command that is given its time and no more."""
        until = monotonic() + self._answer_s
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise self._failure(f"systemctl cannot be run ({error.strerror or error})", permanent=True) from None
        outputs: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
        try:
            with selectors.DefaultSelector() as ready:
                for pipe in outputs:
                    ready.register(pipe, selectors.EVENT_READ)
                while ready.get_map() and (left := until - monotonic()) > 0:
                    for key, _ in ready.select(left):
                        part = os.read(key.fd, 65_536)
                        outputs[key.fileobj] += part
                        if not part:
                            ready.unregister(key.fileobj)
                    if any(len(output) > MOST_BYTES for output in outputs.values()):
                        raise self._failure(f"systemctl show wrote more than {MOST_BYTES // 1_000_000} MB", permanent=False)
                if ready.get_map():
                    raise subprocess.TimeoutExpired(command, self._answer_s)
            code = process.wait(max(until - monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            said = f"systemctl did not answer in {duration(self._answer_s)}; see whether it does by hand"
            raise self._failure(said, permanent=False) from None
        finally:
            _ended(process)
        out, said = (bytes(output).decode("utf-8", "backslashreplace") for output in outputs.values())
        return code, out, said

    def _failure(self, text: str, *, permanent: bool) -> SourceError:
        return SourceError(f"{quoted(self.name)[1:-1]}: {text}.", permanent=permanent)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> Systemd:
    """The source that a `[[source]]` of kind systemd describes. ConfigError for names that are no units."""
    where = f"source {quoted(table.name)}"
    if not table.units:
        raise ConfigError(f'{where}: it names no units; add units = ["worker@*.service"]')
    if len(table.units) > MOST_UNITS:
        raise ConfigError(f"{where}: {len(table.units)} units are too many; {MOST_UNITS} are the most")
    for unit in table.units:
        if not re.fullmatch(r"[A-Za-z0-9:_.@*?\[\]\\][A-Za-z0-9:_.@*?\[\]\\!-]*", unit) or unit.isdigit():
            raise ConfigError(f'{where}: {quoted(unit)} is no name of a unit; try "worker.service", or ask systemd-escape')
        if re.search(r"@(\.|$)", unit):
            raise ConfigError(f'{where}: {quoted(unit)} is a template; name its instances, or all as "worker@*.service"')
    return Systemd(table.name, table.units, clock, queues=table.queues, answer_s=table.timeout or ANSWER_S)


def parsed(text: str) -> list[Unit]:
    """The blocks of `systemctl show`, one a unit: lines of NAME=VALUE in any order. ValueError for anything else."""
    units: list[Unit] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if not block:
            continue
        unit = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        if not unit.keys() >= {"Id", "LoadState", "ActiveState", "SubState"}:
            raise ValueError(f"{quoted(block.splitlines()[0])} where a unit with its Id and state should be")
        units.append(unit)
    return units


def looks(
    asked: Sequence[str],
    units: Sequence[Unit],
    cursor: Mapping[str, Any],
    taken_at: datetime,
    *,
    queues: Sequence[str] = (),
    stamped: bool = True,
) -> tuple[list[WorkerLook], dict[str, str]]:
    """A row for each unit and for each name that has none, and when each name last ran. ValueError where one is left out."""
    # Without its ending, a name means the service of that name; that is what systemctl takes it for.
    full = [name if name.endswith(_DOTTED) or re.search(r"[*?\[]", name) else f"{name}.service" for name in asked]
    there: dict[str, tuple[Sequence[str], WorkerLook]] = {}
    absent = set()
    for unit in units:
        if unit["LoadState"] == "not-found" and unit["ActiveState"] == "inactive":
            absent.add(unit["Id"])
        elif unit["Id"] not in there:
            names = (unit["Id"], *unit.get("Names", "").split())
            there[unit["Id"]] = (names, looked(unit, taken_at, queues=queues, stamped=stamped))
    known = absent.union(*(names for names, _ in there.values()))
    for name in full:
        if name not in known and not re.search(r"[*?\[]", name):
            raise ValueError(f"nothing of {quoted(name)}")
    rows, seen = missing(full, list(there.values()), cursor, taken_at, system="systemd", thing="unit", queues=queues)
    return [*(look for _, look in there.values()), *rows], seen


def looked(unit: Unit, taken_at: datetime, *, queues: Sequence[str] = (), stamped: bool = True) -> WorkerLook:
    """One unit's row."""
    state, note = _state(unit)
    notes = {"state": note}
    restarts = count(unit.get("NRestarts"))
    if restarts is None:
        notes["restarts"] = "not told for this kind of unit, nor by systemd before 235"
    period_s = None
    if state == "alive" or (count(unit.get("MainPID")) or 0) > 0:
        last_seen_at: datetime | None = taken_at
        pinged_at = _instant(unit, "WatchdogTimestamp") if stamped else None
        if pinged_at is not None and (period_s := _span_s(unit.get("WatchdogUSec", ""))) is not None:
            last_seen_at = pinged_at
            # Times are cut to the second, and systemd may be at work on it: a moment more before we say so.
            if state == "alive" and (silent := taken_at - pinged_at) > timedelta(seconds=period_s + 2):
                state = "stale"
                notes["state"] = f"no ping to the watchdog for {duration(silent.total_seconds())}"
    elif not stamped:
        last_seen_at, notes["last_seen_at"] = None, _UNKNOWN_TIMES
    else:
        ended = (_instant(unit, name) for name in ("ExecMainExitTimestamp", "ActiveExitTimestamp", "InactiveEnterTimestamp"))
        last_seen_at = next((at for at in ended if at is not None), None)
        if last_seen_at is None:
            notes["last_seen_at"] = "no process ran since systemd loaded it"
    return row(
        unit["Id"], state, system="systemd", last_seen_at=last_seen_at, restarts=restarts, queues=queues,
        expected_period_s=period_s, notes=notes,
    )  # fmt: skip


def _state(unit: Unit) -> tuple[State, str]:
    """Our state for systemd's, and what is to be said of it; nothing of a unit that simply runs."""
    active, sub, load = (shown(unit[name]) for name in ("ActiveState", "SubState", "LoadState"))
    is_there = (count(unit.get("MainPID")) or 0) > 0
    said = f"{active} ({sub})"
    kind = unit["Id"].rpartition(".")[2]
    if kind not in ("service", "scope"):
        return "unknown", f"{said}; a {shown(kind)} has no process of its own"
    if load not in ("loaded", "merged"):
        said += ", its unit file is missing" if load == "not-found" else f", {load}"
    if active in ("active", "reloading", "refreshing"):
        if sub == "exited":
            return "gone", f"{said}: no process is left, {_end(unit)}"
        return "alive", "" if active == "active" and load in ("loaded", "merged") else said
    if active == "activating":
        if "auto-restart" in sub:
            loop = "" if unit.get("Result") == "success" else "crash loop, "
            return "gone", f"{said}: {loop}{_end(unit)}, waits to be started again"
        if is_there and unit.get("Type") == "oneshot":
            return "alive", ""
        return "unknown", f"{said}: being started"
    if sub == "stop-watchdog" and is_there:
        return "stale", f"{said}: its watchdog had no ping in time, and it is being killed"
    if active == "deactivating":
        return ("alive", f"{said}: being stopped") if is_there else ("gone", f"{said}: {_end(unit)}")
    if active in ("inactive", "failed"):
        between = unit.get("Type") == "oneshot" and active == "inactive" and bool(count(unit.get("ExecMainCode")))
        return "gone", f"{said}: {_end(unit)}{', as a oneshot is between its runs' if between else ''}"
    return "unknown", said


def _end(unit: Unit) -> str:
    """How its process ended: "exited with 3", "killed by SIGKILL", with systemd's reason where it says more."""
    code, status = count(unit.get("ExecMainCode")), count(unit.get("ExecMainStatus"))
    result = unit.get("Result", "")
    more = "" if result in _CAUSES else f" ({shown(result)})"
    if code == 1:
        return f"exited with {status}{more}"
    if code in (2, 3):
        try:
            name = signal.Signals(status or 0).name
        except ValueError:
            name = f"signal {status}"
        return f"killed by {name}{', core dumped' if code == 3 else ''}{more}"
    return f"no process ran yet{more}"


def _instant(unit: Unit, name: str) -> datetime | None:
    """`@1795545890`, and None for an empty one."""
    value = unit.get(name, "")
    return instant(value[1:]) if value.startswith("@") else None


def _span_s(text: str) -> float | None:
    """Seconds of a span as systemd writes it, "1min 30s"; None for none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", text)
    if not parts or any(unit not in _SPANS for _, unit in parts):
        return None
    return sum(float(count) * _SPANS[unit] for count, unit in parts) or None


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Nothing of it is left, children included, whatever became of the reading."""
    if process.returncode is None:  # not waited for, so the number of its group is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


_DOTTED = tuple(f".{ending}" for ending in _ENDINGS)
