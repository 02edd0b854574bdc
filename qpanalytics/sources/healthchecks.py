"""Healthchecks (healthchecks.io or self-hosted), API v3: checks and their promises, numbered pings, bodies, flips."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import SourceError
from qpanalytics.sources.base import Batch, Capabilities, Cursor, SeenCheck
from qpanalytics.sources.healthchecks_replies import Flip, is_uuid, listed, place, to_batch, to_check, to_flips
from qpanalytics.sources.http import READ_S, TOTAL_S, Http, HttpError
from qpanalytics.spell import iso, plural, quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

HOSTED = "https://healthchecks.io"
#: What is kept of a body. Servers cut them here, too, unless told otherwise.
LONGEST_BODY = 10_000
#: Bodies are one request each, so a look is handed over in pieces: what stops it half way loses little.
BODIES_A_BATCH = 50
#: Requests for bodies in one look that may break off before the look itself is given up.
BODIES_BROKEN = 2


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
            return [to_check(row) for row in listed(answer.data, "checks")]
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
        if not is_uuid(check.handle):
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
            rows = listed(answer.data, "pings")
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
            yield from self._with_bodies(check, batch, with_body, cursor, answer.until)
        else:
            yield batch

    def flips(self, check: SeenCheck, since: datetime | None = None) -> list[Flip]:
        """Changes of status since an instant, in the order the server made them; a read-only key is enough.

        Their times may run backwards: a server that falls behind, or an autumn night, dates some before their
        predecessors. What cannot be read is left out, and a check that is gone has none. SourceError.
        """
        handle = check.handle if is_uuid(check.handle) else check.key
        params = {} if since is None else {"start": int(since.timestamp())}
        try:
            answer = self._http.json(f"api/v3/checks/{handle}/flips/", what=f"the flips of {_called(check)}", params=params)
        except HttpError as error:
            if error.status in (404, 410):
                return []
            raise
        return to_flips(answer.data)

    def close(self) -> None:
        self._http.close()

    def _with_bodies(
        self, check: SeenCheck, batch: Batch, with_body: set[Any], cursor: Cursor, until: datetime
    ) -> Iterator[Batch]:
        """The batch in pieces, with the bodies of its new pings; each piece's cursor is good to go on from."""
        since = batch.vouches_for[0] if batch.vouches_for else until
        known = cursor.get("n")
        seen = known if isinstance(known, int) else 0
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
            behind = batch.next_cursor if last else {**batch.next_cursor, "at": iso(since), **place(rows[-1])}
            yield Batch(
                rows, behind, batch.vouches_for if last else None,
                lost=batch.lost if first else 0, bad=batch.bad if first else 0, why=why,
            )  # fmt: skip
            first = False

    def _body(self, check: SeenCheck, n: int) -> str:
        path = f"api/v3/checks/{check.handle}/pings/{n}/body"
        content, kind = self._http.raw(path, what=f"a body of {_called(check)}", most=LONGEST_BODY)
        if kind in ("text/html", "application/xhtml+xml"):  # bodies come as plain text, also those that are HTML
            raise self._failure(f"{self._http.where} answered with a web page instead of a body of {_called(check)}.")
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
    """The source of a `[[source]]` table; `secret` is its resolved key. ConfigError for what cannot be one.

    `timeout` is for a whole answer; without it 30 s of silence, or two minutes in all, are the end.
    """
    url = re.sub(r"/api(/v\d+)?(/checks)?/*$", "/", table.url or HOSTED)  # as copied from the documentation
    total_s = table.timeout or TOTAL_S
    read_s = READ_S if table.timeout is None else total_s
    http = Http(url, source=table.name, clock=clock, headers={"X-Api-Key": secret}, read_s=read_s, total_s=total_s)
    return Healthchecks(http, name=table.name, bodies=table.bodies)


def _called(check: SeenCheck) -> str:
    return quoted(check.label or check.name or "a check without a name")
