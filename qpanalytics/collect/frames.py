"""Frames that people bring along, taken into a store in memory the same way as files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics.collect.intake import Looked, take
from qpanalytics.errors import InputError
from qpanalytics.instants import EPOCH
from qpanalytics.settings import check_entry

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.store.db import Store

_PING_COLUMNS = {
    "n": "bigint",
    "run_id": "varchar",
    "duration_s": "double",
    "exit_status": "smallint",
    "host": "varchar",
    "body": "varchar",
}
SOURCE = "frames"


def fill(
    store: Store,
    *,
    checks: pd.DataFrame,
    pings: pd.DataFrame,
    pauses: pd.DataFrame | None = None,
    covers_until: datetime | None = None,
) -> datetime:
    """Takes the frames into `store`; returns the last instant they vouch for.

    InputError names the frame, row and value: `check` must be text, `received_at` an aware time, `kind` one of
    start, success, fail, log (success where absent).
    """
    entries = [check_entry(_said(row), where=f"checks row {n}") for n, row in enumerate(checks.to_dict("records"))]
    frame = _pings(pings)
    with store.write() as con:
        con.register("brought", frame)
        typed = ", ".join(
            f"{name}::{kind} as {name}" if name in frame else f"null::{kind} as {name}"
            for name, kind in _PING_COLUMNS.items()
        )
        con.execute(
            f"""
            create or replace temp table staged_pings as
            select 0 as file_no, row_no::bigint as row_no, check_name, received_at::timestamptz as received_at, kind, {typed}
            from brought
            """  # noqa: S608 - names and types are constants above
        )
        con.unregister("brought")
        last = frame["received_at"].max() if len(frame) else None
        tried = covers_until or (last.to_pydatetime() if last is not None else EPOCH)
        if pauses is not None and len(pauses):
            # Pauses must be known before intervals are derived, and checks before their pauses: name them first.
            take(con, source=SOURCE, looks=[], entries=entries, tried_at=tried)
            _add_pauses(con, pauses)
        take(con, source=SOURCE, looks=[Looked("frame")], entries=entries, covers_until=covers_until, tried_at=tried)
    return tried


def _said(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a frame without its missing values."""
    import pandas as pd

    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, (list, tuple)):
            out[str(name)] = list(value)
        elif not pd.isna(value):
            out[str(name)] = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
    return out


def _pings(pings: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    for name in ("check", "received_at"):
        if name not in pings:
            raise InputError(f"pings: column {name} is missing; it has {', '.join(map(str, pings.columns))}")
    frame = pings.rename(columns={"check": "check_name"}).reset_index(drop=True)
    at = frame["received_at"]
    if not isinstance(at.dtype, pd.DatetimeTZDtype):
        try:
            parsed = pd.to_datetime(at, utc=False, format="ISO8601")
        except (ValueError, TypeError) as error:
            raise InputError(f"pings: received_at: {error}. Give aware times (UTC)") from None
        if not isinstance(parsed.dtype, pd.DatetimeTZDtype):
            raise InputError("pings: received_at has no UTC offset; give aware times, such as 2026-01-01T00:00:00Z")
        at = parsed
    frame["check_name"] = frame["check_name"].str.strip()
    frame["received_at"] = at.dt.tz_convert("UTC").astype("datetime64[us, UTC]")
    if frame["received_at"].isna().any() or frame["check_name"].isna().any():
        raise InputError("pings: a row has no check or no received_at")
    kind = frame["kind"].fillna("success").astype(str) if "kind" in frame else pd.Series("success", index=frame.index)
    wrong = ~kind.isin(["start", "success", "fail", "log", "ign"])
    if wrong.any():
        raise InputError(
            f"pings row {list(wrong).index(True)}: kind: {kind[wrong].iloc[0]!r} is not start, success, fail or log"
        )
    frame["kind"] = kind
    frame["row_no"] = range(len(frame))
    return frame


def _add_pauses(con: Any, pauses: pd.DataFrame) -> None:
    rows = pauses.to_dict("records")
    for row in rows:
        until = row.get("until_at")
        con.execute(
            """
            insert into store.pauses
            select check_id, ?, ?, 'paused' from store.checks where source = ? and key = ?
            """,
            [
                row["since_at"].to_pydatetime(),
                None if until is None or until != until else until.to_pydatetime(),
                SOURCE,
                row["check"],
            ],
        )
