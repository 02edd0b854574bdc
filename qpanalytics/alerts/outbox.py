"""Messages that wait to be sent, and the ledger of each try: what of it must survive a kill at any moment.

A message is put here in the transaction that changes its incident. A try is recorded before it is made and again when
its end is known, so that one cut short shows. Nothing here sends or knows a clock.

- Order: of what is said about one incident in one channel only the latest word is told. An alert that still waits when
  the next one comes is `superseded`, since each says all that is so: a resolve tells when the incident opened.
- Again: after an error that may pass, with growing distances and jitter, for a day; not before the channel wants it.
- Twice: a try that a kill cut short is made again. Where the other side cannot tell a repetition, an answer that failed
  to come (`unclear`) is followed by one more try, once the other side answers at all; if that has no answer either, the
  message is given up.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from qpanalytics import spell
from qpanalytics.alerts.base import Alert, DeliveryError, Message, Sent, heard, said
from qpanalytics.alerts.told import title
from qpanalytics.instants import TICK, instant, micros
from qpanalytics.store.state import State

#: Seconds before the first retry; doubled with each, up to the longest, and spread by half to one and a half of it.
FIRST_S, LONGEST_S = 5.0, 600.0
#: A message that could not be sent for so long is given up: who reads it a day later is misled.
GIVE_UP = timedelta(days=1)
#: Tries whose answer failed to come, in a channel that cannot tell a repetition: one, and one more.
MOST_UNCLEAR = 2
#: No wait is longer; what seems to be due later was put down by a clock that has been set back since.
_LONGEST_WAIT = timedelta(hours=1, minutes=10)


@dataclass(frozen=True)
class Job:
    """A message whose next try has been recorded as begun; `unclear` counts earlier ones without an answer."""

    message: Message
    key: str
    channel: str
    attempt: int
    number: int
    try_: int
    unclear: int


class Outbox:
    """The messages and tries in a state file."""

    def __init__(self, state: State) -> None:
        self.state = state

    # Putting ----------------------------------------------------------------------------------------------------------

    def put(self, message: Message, channels: Iterable[str], at: datetime) -> None:
        """Has a message sent to each of the channels, from now on.

        Within `state.transaction()` it belongs to that transaction.
        """
        with self.state.transaction() as con:
            for channel in channels:
                self._put(con, message, channel, micros(at))

    def _put(self, con: sqlite3.Connection, message: Message, channel: str, at_us: int) -> None:
        origin = self.state.identity
        incident = message.incident if isinstance(message, Alert) else None
        values = json.dumps(said(replace(message, origin=origin)))
        row = (f"new {channel}", incident, channel, message.event, values, at_us, at_us)
        number = con.execute(
            "insert into outbox (key, incident, channel, event, said, made_us, next_us) values (?, ?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        # derived from what is never given twice, so it is the same on each retry and nobody else's
        key = "msg_" + hashlib.sha256(f"{origin} {number}".encode()).hexdigest()[:32]
        con.execute("update outbox set key = ? where message = ?", [key, number])
        if incident is not None:
            for (older,) in con.execute(
                "select message from outbox where channel = ? and incident = ? and state = 'waiting' and message < ?",
                [channel, incident, number],
            ).fetchall():
                self._supersede(con, older, at_us)

    # Trying -----------------------------------------------------------------------------------------------------------

    def waiting(self) -> set[str]:
        """The channels for which something waits."""
        with self.state.reading() as con:
            return {name for (name,) in con.execute("select distinct channel from outbox where state = 'waiting'")}

    def recover(self, at: datetime) -> int:
        """Takes up what another process left when it was killed; how many tries were cut short.

        Call it only while no other process sends from this state.
        """
        with self.state.transaction() as con:
            cut = con.execute("select message from outbox where state = 'sending'").fetchall()
            for (number,) in cut:
                con.execute("update outbox set state = 'waiting', next_us = ? where message = ?", [micros(at), number])
                con.execute(
                    "update tries set why = 'the program ended before the answer was known' "
                    "where message = ? and ended_us is null",
                    [number],
                )
                self._supersede_if_older(con, number, micros(at))
        return len(cut)

    def begin(self, channel: str, at: datetime) -> Job | datetime | None:
        """The next message to try, with its try recorded; else when to ask again; None if nothing waits."""
        now = micros(at)
        with self.state.transaction() as con:
            row = con.execute(
                "select message, key, incident, event, said, attempts, unclear, next_us from outbox "
                "where channel = ? and state = 'waiting' order by next_us, message limit 1",
                [channel],
            ).fetchone()
            if row is None:
                return None
            number, key, incident, event, values, attempts, unclear, next_us = row
            rest = con.execute("select until_us from channel_rests where channel = ?", [channel]).fetchone()
            due_us = max(next_us, rest[0] if rest else 0)
            if now < due_us <= now + _LONGEST_WAIT // TICK:
                return instant(due_us)
            message = heard(json.loads(values))
            attempt = attempts + 1
            con.execute("update outbox set state = 'sending', attempts = ? where message = ?", [attempt, number])
            try_ = self._record(con, number, incident, channel, event, title(message), attempt, now)
        return Job(message, key, channel, attempt, number, try_, unclear)

    def sent(self, job: Job, at: datetime, latency_s: float, sent: Sent) -> None:
        """Records that the other side took it."""
        with self.state.transaction() as con:
            con.execute("update outbox set state = 'sent' where message = ?", [job.number])
            self._ended(con, job.try_, at, "sent", sent.http_status, latency_s, sent.why)

    def failed(
        self, job: Job, at: datetime, latency_s: float, error: DeliveryError, *, distinguishes: bool, chance: float
    ) -> str:
        """Records that it was not taken, or that this is not known, and when it is tried again. The try's status.

        `chance`, 0 to 1, spreads retries.
        """
        with self.state.transaction() as con:
            made_us, unclear = con.execute("select made_us, unclear from outbox where message = ?", [job.number]).fetchone()
            unclear += error.unclear
            why, state, status = str(error), "waiting", "unclear" if error.unclear else "retrying"
            if error.permanent:
                state = status = "failed"
            elif error.unclear and not distinguishes and unclear >= MOST_UNCLEAR:
                state, why = "unclear", f"{why} Given up: it may have arrived, and would arrive once more with each try."
            elif instant(made_us) + GIVE_UP <= at:
                state = status = "failed"
                why = f"{why} Given up after {spell.duration(GIVE_UP.total_seconds())}."
            wait = timedelta(seconds=max(retry_s(job.attempt, chance), error.retry_after_s or 0.0))
            con.execute(
                "update outbox set state = ?, unclear = ?, next_us = ? where message = ?",
                [state, unclear, micros(at + wait), job.number],
            )
            self._ended(con, job.try_, at, status, error.http_status, latency_s, why)
            if error.retry_after_s:  # it wants to be left alone, whatever the message
                until = micros(at + timedelta(seconds=error.retry_after_s))
                con.execute("insert or replace into channel_rests values (?, ?)", [job.channel, until])
            if state == "waiting":
                self._supersede_if_older(con, job.number, micros(at))
        return status

    # The tables -------------------------------------------------------------------------------------------------------

    def note(self, channel: str, message: Message, at: datetime) -> Callable[[datetime, float, Sent | DeliveryError], None]:
        """Records a try outside the outbox, such as a test, as begun; the call that it returns records its end."""
        incident = message.incident if isinstance(message, Alert) else None
        with self.state.transaction() as con:
            try_ = self._record(con, None, incident, channel, message.event, title(message), 1, micros(at))

        def end(at: datetime, latency_s: float, how: Sent | DeliveryError) -> None:
            status = "sent" if isinstance(how, Sent) else "unclear" if how.unclear else "failed"
            why = how.why if isinstance(how, Sent) else str(how)
            with self.state.transaction() as con:
                self._ended(con, try_, at, status, how.http_status, latency_s, why)

        return end

    def forget(self, before: datetime) -> None:
        """Drops what ended, was tried or learned before an instant."""
        us = micros(before)
        with self.state.transaction() as con:
            con.execute("delete from outbox where made_us < ? and state not in ('waiting', 'sending')", [us])
            con.execute(
                "delete from tries where began_us < ? and (message is null or message not in (select message from outbox))",
                [us],
            )
            # where a group moved to stays true
            con.execute("delete from learned where at_us < ? and name not like 'chat %'", [us])

    def _record(
        self, con: sqlite3.Connection, number: int | None, incident: str | None, channel: str, event: str, what: str,
        attempt: int, at_us: int,
    ) -> int:  # fmt: skip
        made = con.execute(
            "insert into tries (message, incident, channel, event, title, attempt, began_us) values (?, ?, ?, ?, ?, ?, ?)",
            [number, incident, channel, event, what, attempt, at_us],
        ).lastrowid
        assert made is not None
        return made

    def _ended(
        self, con: sqlite3.Connection, try_: int, at: datetime, status: str, http_status: int | None, latency_s: float | None,
        why: str,
    ) -> None:  # fmt: skip
        con.execute(
            "update tries set ended_us = ?, status = ?, http_status = ?, latency_s = ?, why = ? where try = ?",
            [micros(at), status, http_status, latency_s, why, try_],
        )

    def _supersede_if_older(self, con: sqlite3.Connection, number: int, at_us: int) -> None:
        newer = con.execute(
            "select 1 from outbox o join outbox n using (channel, incident) where o.message = ? and n.message > o.message",
            [number],
        ).fetchone()
        if newer is not None:
            self._supersede(con, number, at_us)

    def _supersede(self, con: sqlite3.Connection, number: int, at_us: int) -> None:
        con.execute("update outbox set state = 'superseded' where message = ?", [number])
        incident, channel, event, values, attempts = con.execute(
            "select incident, channel, event, said, attempts from outbox where message = ?", [number]
        ).fetchone()
        try_ = self._record(con, number, incident, channel, event, title(heard(json.loads(values))), attempts, at_us)
        why = "not sent: a later word on this incident, which tells this too, takes its place"
        con.execute("update tries set ended_us = began_us, status = 'superseded', why = ? where try = ?", [why, try_])


class Learned:
    """What one channel must remember, in the state file."""

    def __init__(self, state: State, channel: str, clock: Callable[[], datetime]) -> None:
        self._state, self._channel, self._clock = state, channel, clock

    def get(self, name: str) -> str | None:
        with self._state.reading() as con:
            row = con.execute("select value from learned where channel = ? and name = ?", [self._channel, name]).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        with self._state.transaction() as con:
            con.execute("insert or replace into learned values (?, ?, ?, ?)", [self._channel, name, value, micros(self._clock())])


def retry_s(attempt: int, chance: float) -> float:
    """Seconds until the try after the `attempt`-th, spread by `chance` (0 to 1) so that channels do not march in step."""
    return float(min(FIRST_S * 2 ** min(attempt - 1, 30), LONGEST_S) * (0.5 + chance))
