"""What one look at a source saw, in pieces that can be set aside one at a time.

`checks`: the list of checks. `still`: checks that had no new ping, so that nothing was asked. `pings`: what one reply
held. `snapshot`: how all queues and workers of a server looked. `end`: how the look went; a look without one was cut short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pyarrow as pa

from qpanalytics.instants import instant, micros
from qpanalytics.sources.base import Batch, Ping, PingColumns, QueueLook, SeenCheck, Snapshot, WorkerLook
from qpanalytics.store.state import Piece

_INSTANT = pa.timestamp("us", tz="UTC")
_PINGS = pa.schema(
    {
        "check_name": pa.string(), "received_at": _INSTANT, "kind": pa.string(), "n": pa.int64(), "run_id": pa.string(),
        "duration_s": pa.float64(), "exit_status": pa.int16(), "host": pa.string(), "body": pa.string(),
    }
)  # fmt: skip
#: A piece is of one check, so its key is said once.
_KEPT = pa.schema(list(_PINGS)[1:])


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
        "why": batch.why,
    }
    return Piece(look, source, "pings", at, said, _packed(batch.rows) if batch.rows else None)


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


def end(look: str, source: str, at: datetime, kind: str, why: str) -> Piece:
    """How the look went: `why` is empty where all went well."""
    return Piece(look, source, "end", at, {"kind": kind, "why": why})


def seen_checks(piece: Piece) -> list[SeenCheck]:
    """The checks of a `checks` piece."""
    return [SeenCheck(**{**said, "tags": tuple(said["tags"])}) for said in piece.said["checks"]]


def spans(piece: Piece) -> list[tuple[str, datetime, datetime]]:
    """The spans (key, since, until) in which a piece proves that no ping is missing."""
    if piece.kind == "still":
        return [(key, instant(a), instant(b)) for key, a, b in piece.said["spans"]]
    if piece.kind == "pings" and piece.said["span"] is not None:
        a, b = piece.said["span"]
        return [(piece.said["key"], instant(a), instant(b))]
    return []


def rows(piece: Piece) -> pa.Table:
    """The pings of a piece, under the key of their check."""
    if piece.rows is None:
        return _PINGS.empty_table()
    found = pa.ipc.open_stream(piece.rows).read_all()
    if "check_name" in found.column_names:  # as set aside by an earlier release
        return found
    return found.add_column(0, "check_name", pa.repeat(piece.said["key"], len(found)))


def empty() -> pa.Table:
    """No pings, in the columns of all."""
    return _PINGS.empty_table().append_column("file_no", pa.array([], pa.int32()))


def _packed(found: Sequence[Ping]) -> bytes:
    if isinstance(found, PingColumns):
        columns = list(found.columns)
    else:
        columns = [pa.array(values, field.type) for values, field in zip(zip(*found, strict=True), _KEPT, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _KEPT, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(pa.table(columns, schema=_KEPT))
    return bytes(sink.getvalue())
