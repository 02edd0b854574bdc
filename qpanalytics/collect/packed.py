"""Pings of pieces as Arrow: how thousands of them are set aside, and how the store takes them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from qpanalytics.collect import pieces
from qpanalytics.sources.base import Ping, PingColumns
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


def packed(found: Sequence[Ping]) -> bytes:
    """The pings of one check as an Arrow stream."""
    if isinstance(found, PingColumns):
        columns = list(found.columns)
    else:
        columns = [pa.array(values, field.type) for values, field in zip(zip(*found, strict=True), _KEPT, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _KEPT, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(pa.table(columns, schema=_KEPT))
    return bytes(sink.getvalue())


def rows(piece: Piece) -> pa.Table:
    """The pings of a piece, under the keys of their checks."""
    if piece.rows is None:
        few = [(key, *ping) for key, ping in pieces.few(piece)]
        if not few:
            return empty_rows()
        columns = zip(zip(*few, strict=True), _PINGS, strict=True)
        return pa.table([pa.array(values, field.type) for values, field in columns], schema=_PINGS)
    found = pa.ipc.open_stream(piece.rows).read_all()
    if "check_name" in found.column_names:  # as set aside by an earlier release
        return found
    return found.add_column(0, "check_name", pa.repeat(piece.said["key"], len(found)))


def pings(piece: Piece) -> list[tuple[str, Ping]]:
    """The pings of a piece one by one, however they were set aside."""
    if piece.rows is None:
        return pieces.few(piece)
    names, *columns = rows(piece).columns
    taken = PingColumns(*(column.combine_chunks() for column in columns))
    return list(zip(names.to_pylist(), taken, strict=True))


def empty_rows() -> pa.Table:
    """No pings, in the columns of all."""
    return _PINGS.empty_table()


def empty() -> pa.Table:
    """No pings, in the columns of all and with that of their file."""
    return empty_rows().append_column("file_no", pa.array([], pa.int32()))
