"""Replies of Healthchecks' API, turned into our rows; and what one look at a check proves.

The server numbers the stored pings of a check 1, 2, 3, ... and shows only the newest, 100 to 1,000 of them, in one
reply. So a number between the newest of the last look and the newest of this one that is not shown is a ping that we
shall never see: it was pushed out of the reply, or its events were cleared. These are counted in `lost`, exactly and
once. The first look loses nothing, since nobody was collecting before.

* The reply is empty although the check was pinged: somebody cleared its events. That alone loses nothing; but the
  check's own count goes on, so what it counts beyond the cursor was stored and cleared between two looks, and is lost.
* Numbers went back (or the ping at the cursor has another time): the server was restored from a backup. All that is
  shown is taken again, and `why` says that what came between the last look and the restore cannot be known. A restore
  to what the last look saw, or to a later state, leaves no trace, nor does one whose numbers then outran the reply.
* A check that was deleted and made anew has another uuid, so it is another check here.

A look vouches from the last one on if every number since is shown and readable, else from the oldest ping of the
unbroken row that ends with the newest; and up to when the server was asked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter, lt
from typing import Any, NamedTuple

from qpanalytics import schedules
from qpanalytics.errors import ScheduleError
from qpanalytics.sources.base import Batch, Cursor, Ping, PingColumns, SeenCheck
from qpanalytics.spell import EARLIEST, LATEST, duration, iso, plural, quoted
from qpanalytics.words import Kind

#: Pings shown again at each look: the one at the cursor tells whether the numbering is still the same.
OVERLAP = 5
LARGEST_N = 2**53

_KINDS = {kind.value: kind.value for kind in Kind}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_UNIQUE_KEY = re.compile(r"[0-9a-f]{40}")


# Checks ---------------------------------------------------------------------------------------------------------------


def to_check(row: Any) -> SeenCheck:
    """One check of a list. ValueError if it has no identity; what else cannot be read is left out and told in `why`."""
    if not isinstance(row, Mapping):
        raise ValueError("an entry is not an object")
    uuid = _uuid(row)
    key = row.get("unique_key")
    if uuid is not None:
        key = unique_key(uuid)
    elif not isinstance(key, str) or not _UNIQUE_KEY.fullmatch(key):
        raise ValueError("an entry has neither uuid nor unique_key")
    troubles = []
    tz = _text(row.get("tz")) or "UTC"
    schedule = None
    try:
        if schedule := _schedule(row):
            schedule = _parsed(schedule, tz)
        else:
            troubles.append("it has no schedule that can be read")
    except ScheduleError as error:
        schedule = None
        troubles.append(str(error))
    if schedule is None:
        tz = "UTC"
    grace_s = _seconds(row.get("grace"))
    if grace_s is None:
        troubles.append("it has no grace that can be read")
    name = _text(row.get("name"))
    return SeenCheck(
        key=key,
        label=_text(row.get("slug")) or name,
        name=name or None,
        schedule=schedule,
        tz=tz,
        grace_s=grace_s,
        max_runtime_s=grace_s,  # that server's grace is also how long a run may take
        tags=tuple(dict.fromkeys(_text(row.get("tags")).split())),
        paused=row.get("status") == "paused",
        count=_whole(row.get("n_pings")),
        handle=uuid or key,
        why="; ".join(troubles),
    )


def unique_key(uuid: str) -> str:
    """What a read-only key shows in place of the uuid."""
    return hashlib.sha1(uuid.replace("-", "").lower()[:16].encode(), usedforsecurity=False).hexdigest()


def is_uuid(handle: str) -> bool:
    """Whether a check's handle is its uuid, which only a read-write key shows."""
    return _UUID.fullmatch(handle) is not None


def _uuid(row: Mapping[str, Any]) -> str | None:
    """The uuid, which older servers only tell within addresses."""
    for field in ("uuid", "update_url", "ping_url"):
        value = row.get(field)
        if isinstance(value, str) and _UUID.fullmatch(found := value.rstrip("/").rpartition("/")[2]):
            return found.lower()
    return None


def _schedule(row: Mapping[str, Any]) -> str | None:
    """The schedule as `schedules.parse` takes it. Five fields are cron for that server, too; all else is OnCalendar."""
    expression = _text(row.get("schedule"))
    if not expression:
        period_s = _whole(row.get("timeout"))
        return None if not period_s else f"every {_period(period_s)}"
    lines = [line.strip() for line in expression.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0].split()) == 5:
        return lines[0]
    return " ; ".join(f"OnCalendar={line}" for line in lines)


def _period(seconds: int) -> str:
    """Whole seconds as people write them, exactly: "1 h 30 min"."""
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


@lru_cache(maxsize=4_096)
def _parsed(text: str, tz: str) -> str:
    return schedules.parse(text, tz).text


# Pings ----------------------------------------------------------------------------------------------------------------


def to_ping(row: Any) -> Ping:
    """One ping of a list. ValueError with the reason if it cannot be read."""
    try:
        at = datetime.fromisoformat(row["date"])
        n, rid, host = row["n"], row["rid"], row["remote_addr"]
        if (
            at.tzinfo is UTC
            and 1970 <= at.year < 2262
            and type(n) is int
            and 0 < n < LARGEST_N
            and (rid is None or (type(rid) is str and rid and len(rid) <= 64))
            and (host is None or (type(host) is str and len(host) <= 64))
        ):
            return Ping(at, _KINDS[row["type"]], n, rid, None, None, host or None)
    except (KeyError, TypeError, ValueError):
        pass
    return _odd_ping(row)


def usual(rows: list[Any]) -> PingColumns | None:
    """All pings of a reply (newest first) at once, oldest first; None if one of them is not quite as usual."""
    import pyarrow as pa

    try:
        dates, kinds, numbers, rids, hosts = zip(*map(_FIELDS, reversed(rows)), strict=True)
        if not (
            set(map(type, numbers)) == {int}
            and numbers[0] > 0
            and numbers[-1] < LARGEST_N
            and all(map(lt, numbers, numbers[1:]))
            and set(kinds) <= _KINDS.keys()
            and all(type(rid) is str and 0 < len(rid) <= 64 for rid in set(rids) - {None})
            and all(type(host) is str and 0 < len(host) <= 64 for host in set(hosts) - {None})
            and set(map(itemgetter(_OFFSET), dates)) == {"+00:00"}
        ):
            return None
        at = pa.array(dates, pa.string()).cast(pa.timestamp("us", tz="UTC"))
    except (KeyError, TypeError, ValueError):
        return None
    first, last = min(dates), max(dates)
    if not (first >= "1970" and last < "2262"):
        return None
    n = len(rows)
    none = (pa.nulls(n, pa.float64()), pa.nulls(n, pa.int16()))
    texts = [pa.array(values, pa.string()) for values in (kinds, rids, hosts)]
    return PingColumns(at, texts[0], pa.array(numbers, pa.int64()), texts[1], *none, texts[2], pa.nulls(n, pa.string()))


_FIELDS = itemgetter("date", "type", "n", "rid", "remote_addr")
_OFFSET = slice(-6, None)


def _odd_ping(row: Any) -> Ping:
    """A ping that is not quite as usual, field by field."""
    if not isinstance(row, Mapping):
        raise ValueError("a ping is not an object")
    n = _whole(row.get("n"))
    if not n:
        raise ValueError("a ping has no number")
    kind = row.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        shown = quoted(kind, 20) if isinstance(kind, str) else "nothing"
        raise ValueError(f"ping {n} is of type {shown}, which is not known")
    run_id = row.get("rid")
    if not (run_id is None or isinstance(run_id, str)) or len(run_id or "") > 200:
        raise ValueError(f"ping {n} has a run id that is none")
    host = _text(row.get("remote_addr"))[:200]
    return Ping(_instant(row.get("date"), f"the date of ping {n}"), _KINDS[kind], n, run_id or None, None, None, host or None)


class _Seen(NamedTuple):
    """Where the last look ended: the newest number and its time, and from when on nothing is missing."""

    n: int
    newest: datetime | None
    at: datetime

    @classmethod
    def of(cls, cursor: Cursor) -> _Seen | None:
        n, at = _whole(cursor.get("n")), _known(cursor.get("at"))
        return None if n is None or at is None else cls(n, _known(cursor.get("newest")), at)


def to_batch(rows: list[Any], cursor: Cursor, *, count: int | None, until: datetime) -> Batch:
    """What one reply (newest first, as it came) shows and proves since `cursor`; see the module for the rule.

    `count` is how many pings the check ever had, `until` the instant up to which the reply can be complete.
    """
    seen = _Seen.of(cursor)
    numbers = _numbers(rows)
    known = {n for n in numbers if n is not None}
    top = max(known, default=None)
    anew = seen is not None and _went_back(seen, rows, numbers, top, count)
    last_n = 0 if seen is None or anew else seen.n
    pings, bad, why = _read(rows, numbers, last_n)
    row = _unbroken(pings, top)

    lost = 0
    whys = [why] if why else []
    since = row[0].received_at if row else None
    if seen is not None and anew:
        whys.insert(0, "its numbers went back, as after a restore from a backup: pings since the last look may be lost uncounted")
        since = next((ping.received_at for ping in row if ping.received_at > (seen.newest or seen.at)), None)
    elif not rows and count:
        whys.append("its events were cleared on the server")
        if seen is not None:
            lost = max(0, count - seen.n)
            since = None if lost else seen.at
    elif seen is not None:
        if top is not None:
            lost = max(0, top - seen.n - sum(n > seen.n for n in known) - (len(rows) - sum(n is not None for n in numbers)))
        if top == seen.n or (top is None and not rows) or (row and (row[0].n or 0) <= seen.n + 1):
            since = seen.at
    if lost:
        reach = f"a reply reaches back {duration((until - pings[0].received_at).total_seconds())}; " if pings else ""
        whys.append(f"{plural(lost, 'ping')} came and went between two looks; {reach}look more often")

    last = top if rows else max(count or 0, last_n)
    if last is None:
        last = last_n
    newest = next((ping.received_at for ping in reversed(pings) if ping.n == last), None)
    if newest is None and seen is not None and not anew and seen.n == last:
        newest = seen.newest
    behind: dict[str, int | float | str | None] = {
        "n": last if rows or count is not None or seen is not None else None,
        "newest": None if newest is None else iso(newest),
        "at": iso(until),
        "window": max(_whole(cursor.get("window")) or 0, len(rows)),
    }
    vouched = (since, until) if since is not None and since < until else None
    return Batch(pings, behind, vouched, lost=lost, bad=bad, why="; ".join(whys))


def _went_back(seen: _Seen, rows: list[Any], numbers: list[int | None], top: int | None, count: int | None) -> bool:
    """Whether the numbers are other ones than at the last look."""
    if top is None:
        return not rows and count is not None and count < seen.n
    if top < seen.n:
        return True
    if seen.newest is None or seen.n not in numbers:
        return False
    return _known(_field(rows[numbers.index(seen.n)], "date")) not in (seen.newest, None)


def _read(rows: list[Any], numbers: list[int | None], seen: int) -> tuple[Sequence[Ping], int, str]:
    """The pings by number from a little before `seen` on, how many new ones cannot be read, and why the first cannot."""
    floor = seen - OVERLAP
    wanted = rows if floor <= 0 else [row for row, n in zip(rows, numbers, strict=True) if n is None or n > floor]
    columns = usual(wanted)
    if columns is not None:
        return columns, 0, ""
    bad, why = 0, ""
    try:
        pings = [to_ping(row) for row in wanted]
    except ValueError:
        pings = []
        for row in wanted:
            try:
                pings.append(to_ping(row))
            except ValueError as error:
                if (_whole(_field(row, "n")) or LARGEST_N) > seen:  # older ones were told at an earlier look
                    bad += 1
                    why = why or str(error)
    pings.reverse()
    pings.sort(key=itemgetter(2))  # the server's order is by row, which is by number
    if len(set(map(itemgetter(2), pings))) < len(pings):
        pings = list({ping.n: ping for ping in pings}.values())
    return pings, bad, why


def _unbroken(pings: Sequence[Ping], top: int | None) -> Sequence[Ping]:
    """The end of `pings` (by number) that has every number up to `top`."""
    if not pings or top is None or pings[-1].n != top:
        return []
    if pings[0].n == top - len(pings) + 1:  # each number is there once, so nearly always this
        return pings
    first = len(pings) - 1
    while first and pings[first - 1].n == (pings[first].n or 0) - 1:
        first -= 1
    return pings[first:]


def _numbers(rows: list[Any]) -> list[int | None]:
    try:
        numbers = [row["n"] for row in rows]
    except (TypeError, KeyError):
        numbers = [_field(row, "n") for row in rows]
    if set(map(type, numbers)) == {int} and min(numbers) > 0 and max(numbers) < LARGEST_N:
        return numbers
    return [_whole(n) or None for n in numbers]


def place(ping: Ping) -> dict[str, int | str | None]:
    """The part of a cursor that says which ping was the last one read."""
    return {"n": ping.n, "newest": iso(ping.received_at)}


# Flips ----------------------------------------------------------------------------------------------------------------


class Flip(NamedTuple):
    """A change of status as the server tells it. `up` False is down, paused or new; it does not say which."""

    at: datetime
    up: bool


def to_flips(data: Any) -> list[Flip]:
    """The flips of a reply in the order the server made them; what cannot be read is left out."""
    rows = data.get("flips") if isinstance(data, dict) else data  # a bare list from older servers
    flips = []
    for row in reversed(rows if isinstance(rows, list) else []):
        try:
            flips.append(Flip(_instant(row["timestamp"], "timestamp"), bool(row["up"])))
        except (ValueError, TypeError, KeyError):
            continue
    return flips


# Values ---------------------------------------------------------------------------------------------------------------


def listed(data: Any, field: str) -> list[Any]:
    """The list that a reply holds under `field`. ValueError if it has none."""
    rows = data.get(field) if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f'it has no list "{field}"')
    return rows


def _field(row: Any, field: str) -> Any:
    return row.get(field) if isinstance(row, dict) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < LARGEST_N else None


def _seconds(value: Any) -> float | None:
    return None if (seconds := _whole(value)) is None else float(seconds)


def _instant(value: Any, what: str) -> datetime:
    """The UTC instant of an ISO time with offset. ValueError says what is wrong with `what`."""
    try:
        at = datetime.fromisoformat(value).astimezone(UTC) if _has_offset(value) else None
    except (ValueError, OverflowError):
        at = None
    if at is None or not EARLIEST <= at < LATEST:
        raise ValueError(f"{what} is not a time" + (f": {quoted(value, 40)}" if isinstance(value, str) else ""))
    return at


def _has_offset(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def _known(value: Any) -> datetime | None:
    try:
        return _instant(value, "")
    except ValueError:
        return None
