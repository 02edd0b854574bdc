"""Healthchecks (healthchecks.io or self-hosted), API v3: checks and their promises, numbered pings, bodies, flips.

What one look at a check proves
-------------------------------
The server numbers the stored pings of a check 1, 2, 3, ... and shows only the newest, 100 to 1,000 of them, in one
reply. So a number between the newest of the last look and the newest of this one that is not shown is a ping that we
shall never see: it was pushed out of the reply, or its events were cleared. These are counted in `lost`, exactly and
once. The first look loses nothing, since nobody was collecting before.

* The reply is empty although the check was pinged: somebody cleared its events. That alone loses nothing; but the
  check's own count goes on, so what it counts beyond the cursor was stored and cleared between two looks, and is lost.
* Numbers went back (or the ping at the cursor has another time): the server was restored from a backup. All that is
  shown is taken again, and `why` says that what came between the last look and the restore cannot be known.
* A check that was deleted and made anew has another uuid, so it is another check here.

A look vouches from the last one on if every number since is shown and readable, else from the oldest ping of the
unbroken row that ends with the newest; and up to when the server was asked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from qpanalytics import schedules
from qpanalytics.errors import ScheduleError, SourceError
from qpanalytics.sources.base import Batch, Capabilities, Cursor, Ping, SeenCheck
from qpanalytics.sources.http import Http, HttpError
from qpanalytics.spell import EARLIEST, LATEST, iso, number, plural, quoted
from qpanalytics.words import Kind

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

HOSTED = "https://healthchecks.io"
#: Pings shown again at each look: the one at the cursor tells whether the numbering is still the same.
OVERLAP = 5
#: What is kept of a body. Servers cut them here, too, unless told otherwise.
LONGEST_BODY = 10_000
#: Bodies are one request each, so a look is handed over in pieces: what stops it half way loses little.
BODIES_A_BATCH = 50
#: Requests for bodies in one look that may break off before the look itself is given up.
BODIES_BROKEN = 2
LARGEST_N = 2**53

_KINDS = {kind.value: kind.value for kind in Kind}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_UNIQUE_KEY = re.compile(r"[0-9a-f]{40}")


class Flip(NamedTuple):
    """A change of status as the server tells it. `up` False is down, paused or new; it does not say which."""

    at: datetime
    up: bool


class Healthchecks:
    """Checks and pings of one project. `bodies` also fetches what jobs sent along, a request for each such ping.

    There is no exit status in the API. The server's own durations are left out: it drops all of a reply where run ids
    do not pair, so runs are paired here, from starts and finishes.
    """

    capabilities = Capabilities(
        durations=True, failures=True, expected_times=False, numbered=True, history="the newest 100 to 1,000 pings"
    )

    def __init__(self, http: Http, *, name: str, bodies: bool = False) -> None:
        self.name = name
        self._http = http
        self._bodies = bodies

    def checks(self) -> list[SeenCheck]:
        """Every check of the key's project. SourceError, also where the reply is not a list of checks."""
        answer = self._http.json("api/v3/checks/", what="the list of checks")
        try:
            return [to_check(row) for row in _rows(answer.data, "checks")]
        except ValueError as error:
            said = str(error)
        raise self._failure(f"{self._http.where} sent a list of checks that cannot be read ({said}); check url.")

    def pings(self, check: SeenCheck, cursor: Cursor) -> Iterator[Batch]:
        """What one reply shows of a check since `cursor`; several batches only with bodies.

        `check` is as the same look's `checks()` gave it. The next cursor holds `n` (newest number seen), `newest` (that
        ping's time), `at` (nothing is missing from then on), `window` (most pings that a reply held) and `offset_s` (the
        server's clock minus ours, seconds, None where it does not tell its time). A check that is gone gives an empty
        batch that says so. SourceError; permanent if the key may not see pings.
        """
        if not _UUID.fullmatch(check.handle):
            raise self._read_only()
        try:
            answer = self._http.json(f"api/v3/checks/{check.handle}/pings/", what=f"the pings of {_called(check)}")
            trouble = None
        except HttpError as error:
            trouble = error
        if trouble is not None:
            if trouble.status in (404, 410):
                yield Batch([], cursor, None, why=f"{_called(check)} is no longer on the server")
                return
            raise self._read_only() if trouble.status == 401 else trouble
        try:
            rows = _rows(answer.data, "pings")
            said = ""
        except ValueError as error:
            said = str(error)
        if said:
            raise self._failure(f"{self._http.where} sent pings of {_called(check)} that cannot be read ({said}).")
        batch = to_batch(rows, cursor, count=check.count, until=answer.until)
        offset_s = None if answer.offset_s is None else round(answer.offset_s, 1)
        batch = replace(batch, next_cursor={**batch.next_cursor, "offset_s": offset_s})
        if self._bodies:
            with_body = {row.get("n") for row in rows if isinstance(row, dict) and row.get("body_url")}
            yield from self._with_bodies(check, batch, with_body, _whole(cursor.get("n")) or 0, answer.until)
        else:
            yield batch

    def flips(self, check: SeenCheck, since: datetime | None = None) -> list[Flip]:
        """Changes of status since an instant, in the order the server made them; a read-only key is enough.

        Their times may run backwards: a server that falls behind, or an autumn night, dates some before their
        predecessors. What cannot be read is left out, and a check that is gone has none. SourceError.
        """
        handle = check.handle if _UUID.fullmatch(check.handle) else check.key
        params = {} if since is None else {"start": int(since.timestamp())}
        try:
            answer = self._http.json(f"api/v3/checks/{handle}/flips/", what=f"the flips of {_called(check)}", params=params)
        except HttpError as error:
            if error.status in (404, 410):
                return []
            raise
        rows = answer.data.get("flips") if isinstance(answer.data, dict) else answer.data  # older servers: a bare list
        flips = []
        for row in reversed(rows if isinstance(rows, list) else []):
            try:
                flips.append(Flip(_instant(row["timestamp"], "timestamp"), bool(row["up"])))
            except (ValueError, TypeError, KeyError):
                continue
        return flips

    def close(self) -> None:
        self._http.close()

    def _with_bodies(self, check: SeenCheck, batch: Batch, with_body: set[Any], seen: int, until: datetime) -> Iterator[Batch]:
        """The batch in pieces, with the bodies of its new pings; each piece's cursor is good to go on from."""
        since = batch.vouches_for[0] if batch.vouches_for else until
        unread = broken = 0
        first = True
        pieces = [batch.rows[i : i + BODIES_A_BATCH] for i in range(0, len(batch.rows), BODIES_A_BATCH)] or [[]]
        for k, piece in enumerate(pieces, 1):
            rows = []
            for ping in piece:
                if ping.n in with_body and ping.n is not None and ping.n > seen:
                    try:
                        ping = ping._replace(body=self._body(check, ping.n))
                    except SourceError as error:
                        # Rate limits and a refused key concern all that is to come; else one body is only one body.
                        status = error.status if isinstance(error, HttpError) else None
                        broken += status is None
                        if status in (401, 429) or broken > BODIES_BROKEN:
                            raise
                        unread += 1
                rows.append(ping)
            last = k == len(pieces)
            why = batch.why if first else ""
            if last and unread:
                why = "; ".join(filter(None, [why, f"{plural(unread, 'body', 'bodies')} could not be read"]))
            cursor = batch.next_cursor if last else {**batch.next_cursor, "at": iso(since), **_place(rows[-1])}
            yield Batch(
                rows, cursor, batch.vouches_for if last else None,
                lost=batch.lost if first else 0, bad=batch.bad if first else 0, why=why,
            )  # fmt: skip
            first = False

    def _body(self, check: SeenCheck, n: int) -> str | None:
        path = f"api/v3/checks/{check.handle}/pings/{n}/body"
        content, kind = self._http.raw(path, what=f"a body of {_called(check)}", most=LONGEST_BODY)
        if kind != "text/plain":  # a web page that stands before the server
            return None
        return content.decode("utf-8", "replace").replace("\0", "\ufffd")

    def _failure(self, text: str, *, permanent: bool = False) -> SourceError:
        return SourceError(f"{quoted(self.name)[1:-1]}: {text}", permanent=permanent)

    def _read_only(self) -> SourceError:
        return self._failure(
            f"the key of {self._http.where} is read-only or no longer valid: it may show checks and their state, not their pings "
            "(401). Set api_key to a read-write key of the project; it could also change checks, so keep it as a secret.",
            permanent=True,
        )


def from_settings(table: SourceTable, secret: str, clock: Callable[[], datetime]) -> Healthchecks:
    """The source of a `[[source]]` table; `secret` is its resolved key. ConfigError for what cannot be one."""
    url = re.sub(r"/api(/v\d+)?(/checks)?/*$", "/", table.url or HOSTED)  # as copied from the documentation
    http = Http(url, source=table.name, clock=clock, headers={"X-Api-Key": secret})
    return Healthchecks(http, name=table.name, bodies=bool(getattr(table, "bodies", False)))


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


def to_batch(rows: list[Any], cursor: Cursor, *, count: int | None, until: datetime) -> Batch:
    """What one reply (newest first, as it came) shows and proves since `cursor`; see the module for the rule.

    `count` is how many pings the check ever had, `until` the instant up to which the reply can be complete.
    """
    seen = _whole(cursor.get("n"))
    since = _known(cursor.get("at"))
    newest = _known(cursor.get("newest"))
    if since is None:
        seen = newest = None  # a first look
    window = max(_whole(cursor.get("window")) or 0, len(rows))

    numbers = _numbers(rows)
    known = {n for n in numbers if n is not None}
    top = max(known, default=None)
    at_cursor = next((row for row, n in zip(rows, numbers, strict=True) if n == seen), None) if seen else None
    anew = seen is not None and (
        (top is not None and top < seen)
        or (not rows and count is not None and count < seen)
        or (newest is not None and at_cursor is not None and _known(_field(at_cursor, "date")) not in (newest, None))
    )
    floor = 0 if seen is None or anew else seen
    pings, bad, why = _read(rows, numbers, floor)

    lost = 0
    whys = [why] if why else []
    start: datetime | None = None
    if anew:
        whys.insert(0, "its numbers went back, as after a restore from a backup: pings since the last look may be lost uncounted")
        fresh = [ping for ping in _unbroken(pings, top) if ping.received_at > (newest or since or until)]
        start = fresh[0].received_at if fresh else None
    elif top is None:
        if seen is not None and count is not None and not rows:
            lost = max(0, count - seen)
            start = since if lost == 0 else None
            if count:
                whys.append("its events were cleared on the server")
    elif seen is not None:
        unread = sum(n is None for n in numbers)
        lost = max(0, top - seen - sum(n > seen for n in known) - unread)
        row = _unbroken(pings, top)
        if row and row[0].n is not None and row[0].n <= seen + 1 or top == seen:
            start = since
        elif row:
            start = row[0].received_at
    elif row := _unbroken(pings, top):
        start = row[0].received_at
    if lost:
        whys.append(
            f"{plural(lost, 'ping')} came and went between two looks, and the server shows no more than "
            f"{number(window)}; look more often"
        )
    last = max(top or 0, 0 if rows else count or 0, 0 if anew else seen or 0)
    told = next((iso(p.received_at) for p in reversed(pings) if p.n == last), None)
    return Batch(
        pings,
        {
            "n": last,
            "newest": told or (iso(newest) if newest and last == seen and not anew else None),
            "at": iso(until),
            "window": window,
        },
        (start, until) if start is not None and start < until else None,
        lost=lost,
        bad=bad,
        why="; ".join(whys),
    )


def _read(rows: list[Any], numbers: list[int | None], seen: int) -> tuple[list[Ping], int, str]:
    """The pings by number from a little before `seen` on, how many new ones cannot be read, and why the first cannot."""
    floor = seen - OVERLAP
    wanted = rows if floor <= 0 else [row for row, n in zip(rows, numbers, strict=True) if n is None or n > floor]
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
    if len(pings) > 1 and len({ping.n for ping in pings}) < len(pings):
        pings = list({ping.n: ping for ping in pings}.values())
    return pings, bad, why


def _unbroken(pings: list[Ping], top: int | None) -> list[Ping]:
    """The end of `pings` (by number) that has every number up to `top`."""
    if not pings or pings[-1].n != top:
        return []
    first = len(pings) - 1
    while first and pings[first - 1].n == (pings[first].n or 0) - 1:
        first -= 1
    return pings[first:]


def _numbers(rows: list[Any]) -> list[int | None]:
    return [_whole(_field(row, "n")) or None for row in rows]


def _place(ping: Ping) -> dict[str, int | str | None]:
    return {"n": ping.n, "newest": iso(ping.received_at)}


# Values ---------------------------------------------------------------------------------------------------------------


def _rows(data: Any, field: str) -> list[Any]:
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


def _called(check: SeenCheck) -> str:
    return quoted(check.label or check.name or "a check without a name")
