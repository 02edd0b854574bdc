"""What one look at a source saw, in pieces that can be set aside one at a time.

`checks`: the list of checks. `still`: checks that had no new ping, so that nothing was asked. `pings`: what one reply
held. `lines`: what was appended to one file. `snapshot`: how all queues and workers of a server looked. `end`: how the look
went; a look without one was cut short. A few rows are JSON, so that whoever reads them needs no Arrow; see `packed.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from qpanalytics.instants import instant, micros
from qpanalytics.sources.base import Appended, Batch, Ping, QueueLook, SeenCheck, Snapshot, WorkerLook
from qpanalytics.store.state import Piece

#: So many pings of one reply are set aside as JSON.
FEW = 100


def checks(look: str, source: str, at: datetime, seen: Sequence[SeenCheck]) -> Piece:
    """The list of checks as the source showed it at `at`, without their handles."""
    said = [
        {
            "key": c.key, "label": c.label, "name": c.name, "schedule": c.schedule, "tz": c.tz, "grace_s": c.grace_s,
            "max_runtime_s": c.max_runtime_s, "tags": list(c.tags), "paused": c.paused, "count": c.count, "why": c.why,
        }
        for c in seen
    ]  # fmt: skip
    return Piece(look, source, "checks", at, {"checks": said})


def still(look: str, source: str, at: datetime, spans: Mapping[str, tuple[datetime, datetime]]) -> Piece:
    """Checks whose count of pings had not changed, with the span in which that proves there was none."""
    return Piece(look, source, "still", at, {"spans": [[k, micros(a), micros(b)] for k, (a, b) in spans.items()]})


def pings(look: str, source: str, at: datetime, check: SeenCheck, batch: Batch) -> Piece:
    """The rows of one reply and what it vouches for; the list that led to it had counted `check.count` pings."""
    span = batch.vouches_for
    said: dict[str, Any] = {
        "key": check.key,
        "count": check.count,
        "span": None if span is None else [micros(span[0]), micros(span[1])],
        "reply_rows": batch.next_cursor.get("window"),
        "bad": batch.bad,
        "lost": batch.lost,
        "why": batch.why,
    }
    if len(batch.rows) > FEW:
        from qpanalytics.collect.packed import packed

        return Piece(look, source, "pings", at, said, packed(batch.rows))
    said["rows"] = [_row(ping) for ping in batch.rows]
    return Piece(look, source, "pings", at, said)


def lines(look: str, source: str, at: datetime, appended: Appended) -> Piece:
    """The rows that a file got since the last look, each with the name of its check; the file's name stays here."""
    said = {
        "rows": [[name, *_row(ping)] for name, ping in appended.rows],
        "bad": appended.bad,
        "why": appended.why,
    }
    return Piece(look, source, "lines", at, said)


def quiet(look: str, source: str, at: datetime, since: datetime, until: datetime) -> Piece:
    """That every check which the source ever showed is known whole in [since, until)."""
    return Piece(look, source, "still", at, {"every": [micros(since), micros(until)]})


def snapshot(look: str, source: str, system: str, at: datetime, seen: Snapshot) -> Piece:
    """What one look showed of queues and workers; unknown figures are left out."""
    said = {
        "system": system,
        "taken_at": micros(seen.taken_at),
        "queues": [dict(_said(q)) for q in seen.queues],
        "workers": [dict(_said(w)) for w in seen.workers],
    }
    return Piece(look, source, "snapshot", at, said)


#: A counter that is larger cannot be stored; it comes from a server, so it may be anything.
_MOST = 2**63 - 1


def _said(one: QueueLook | WorkerLook) -> Iterator[tuple[str, Any]]:
    """The known figures of a look by name, as JSON can hold them; times are epoch microseconds."""
    strange = []
    for field in fields(one):
        value = getattr(one, field.name)
        if isinstance(value, datetime):
            value = micros(value)
        elif isinstance(value, str):
            value = _text(value)
        elif isinstance(value, tuple):
            value = [_text(v) for v in value]
        elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= _MOST):
            strange.append(field.name)
            continue
        if value is not None and field.name != "why":
            yield field.name, value
    why = [_text(one.why)] if one.why else []
    yield "why", "; ".join([*why, *(f"{name}: no number that can be" for name in strange)])


def _text(value: str) -> str:
    """A name as the store can hold it: names come from whoever may put jobs into a queue."""
    return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def end(look: str, source: str, at: datetime, kind: str, why: str, unread: Sequence[str] | None = None) -> Piece:
    """How the look went: `why` is empty where all went well. `unread` are the keys of checks that could not be read although
    all others were; None where the look as a whole failed."""
    return Piece(look, source, "end", at, {"kind": kind, "why": why, "unread": None if unread is None else list(unread)})


def seen_checks(piece: Piece) -> list[SeenCheck]:
    """The checks of a `checks` piece."""
    return [SeenCheck(**{**said, "tags": tuple(said["tags"])}) for said in piece.said["checks"]]


def spans(piece: Piece, every: Iterable[str] = ()) -> list[tuple[str, datetime, datetime]]:
    """The spans (key, since, until) in which a piece proves that no ping is missing; `every` check the source ever showed."""
    if piece.kind == "still":
        if "every" in piece.said:
            a, b = piece.said["every"]
            return [(key, instant(a), instant(b)) for key in every]
        return [(key, instant(a), instant(b)) for key, a, b in piece.said["spans"]]
    if piece.kind == "pings" and piece.said["span"] is not None:
        a, b = piece.said["span"]
        return [(piece.said["key"], instant(a), instant(b))]
    return []


def few(piece: Piece) -> list[tuple[str, Ping]]:
    """The pings of a piece that are JSON, each under the key of its check."""
    found = piece.said.get("rows", ())
    if piece.kind == "lines":
        return [(key, Ping(instant(us), *rest)) for key, us, *rest in found]
    return [(piece.said["key"], Ping(instant(us), *rest)) for us, *rest in found]


def _row(ping: Ping) -> list[Any]:
    """A ping as JSON can hold it."""
    return [micros(ping.received_at), *ping[1:]]
