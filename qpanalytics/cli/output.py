"""Frames as text: a table for people, CSV and JSON for programs. What a name holds cannot steer a terminal or a sheet."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.cli.options import Format

if TYPE_CHECKING:
    import pandas as pd

#: The width of a table where nobody looks on a terminal.
WIDE = 200
#: Columns of sentences, which fold over several lines, and how much room such a one needs at least.
FOLDING = ("sentence", "detail", "why", "promise_why")
MOST_UNFOLDED = 24
#: No single name may push the other columns out.
MOST_WIDE = 48
#: What a terminal may act on, and what turns text around: C0 and C1 controls, marks of direction, line separators.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: A sheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show(frame: pd.DataFrame, shape: Format, *, tz: str | None = None, title: str = "") -> None:
    """Prints `frame` on stdout."""
    if shape is Format.JSON:
        text = json.dumps([dict(r) for r in records(frame)], ensure_ascii=False, indent=1) + "\n"
        text = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    elif shape is Format.CSV:
        text = as_csv(frame)
        if sys.stdout.isatty():
            text = _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)
    else:
        table(frame, tz=tz, title=title)
        return
    write(text)


def write(text: str) -> None:
    """Writes to stdout as UTF-8 whatever the locale says; lone surrogates become question marks."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.flush()


def records(frame: pd.DataFrame) -> Iterable[Mapping[str, Any]]:
    """Rows as JSON would have them: times ISO 8601 in UTC, unknown None, text and numbers as they are."""
    columns = {name: _values(frame[name]) for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(column: pd.Series[Any]) -> list[Any]:
    """The values of a column as JSON would have them; times a column at a time, since a ledger has many."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        at = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        whole = np.datetime_as_string(at.astype("datetime64[s]")).tolist()
        exact = np.datetime_as_string(at).tolist()
        fraction = (at.astype(np.int64) % 1_000_000 != 0).tolist()
        missing = np.isnat(at).tolist()
        parts = zip(whole, exact, fraction, missing, strict=True)
        return [None if gone else f"{e if part else w}Z" for w, e, part, gone in parts]
    if column.dtype.kind == "f":
        known = np.isfinite(column.to_numpy())
        return [v if k else None for v, k in zip(column.tolist(), known.tolist(), strict=True)]
    return [_plain(v) for v in column.astype(object).tolist()]


def as_csv(frame: pd.DataFrame) -> str:
    """CSV with a header; unknown is empty, a list is joined by spaces."""
    out = _Lines()
    writer = csv.writer(out)  # with \r\n at the end it puts quotes around either of them
    writer.writerow(frame.columns)
    for row in records(frame):
        writer.writerow([_cell(v) for v in row.values()])
    return "".join(out.lines)


class _Lines:
    """A file for `csv.writer` that ends lines as Unix does."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line.removesuffix("\r\n") + "\n")


def table(frame: pd.DataFrame, *, tz: str | None = None, title: str = "") -> None:
    """A table for a terminal: durations in words, times in `tz`, names with their control characters made visible.

    Columns that do not fit are left out, the last first, and it is said how many.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size((WIDE, 50)).columns
    console = Console(highlight=False, soft_wrap=False, width=width)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=Text(title) if title else None)
    told = [n for n in frame.columns if not _blank(frame, n)]
    words = [{n: _word(n, value, tz) for n, value in row.items()} for row in records(frame[told])]
    shown = _fitting(told, words, width)
    for name in shown:
        numeric = frame[name].dtype.kind in "if" or name.endswith("_s")
        most = None if name in FOLDING else MOST_WIDE
        drawn.add_column(Text(_heading(name)), justify="right" if numeric else "left", overflow="fold", max_width=most)
    for row in words:
        drawn.add_row(*(Text(row[name]) for name in shown))
    console.print(drawn)
    if len(shown) < len(told):
        more = ", ".join(_heading(name) for name in told if name not in shown)
        console.print(Text(f"not shown for want of room: {more}. All of it: --format csv"))
    if not len(frame):
        console.print(Text("nothing in this window"))


def _fitting(names: list[str], words: list[dict[str, str]], width: int) -> list[str]:
    """The columns that fit into `width`, in their order: sentences fold, so they need less than they are long."""
    found, used = names[:1], 0
    for name in names:
        longest = max((len(row[name]) for row in words), default=0)
        least = min(longest, MOST_UNFOLDED if name in FOLDING else MOST_WIDE)
        used += max(least, *(len(part) for part in _heading(name).split())) + 3
        if name not in found and used <= width + 3:
            found.append(name)
    return found


def _blank(frame: pd.DataFrame, name: str) -> bool:
    """Columns with nothing to say are left out of a table, never out of csv or json."""
    return bool(len(frame)) and all(value is None or value in ("", []) for value in map(_plain, frame[name]))


def _heading(name: str) -> str:
    return name.removesuffix("_s").removesuffix("_at").replace("_", " ")


def _plain(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return [_plain(v) for v in value]
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, datetime):
        return spell.iso(value)
    return value.item() if hasattr(value, "item") else value


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def _word(name: str, value: Any, tz: str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return spell.plain(" ".join(map(str, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_s") and isinstance(value, (int, float)):
        return spell.duration(value)
    if name.endswith("_at") and isinstance(value, str):
        from datetime import datetime as dt

        at = dt.fromisoformat(value)
        return f"{spell.day(at, tz or 'UTC')} {at.year} {spell.clock(at, tz or 'UTC')}"
    if isinstance(value, float):
        return spell.percent(value) if "rate" in name or name == "coverage" else f"{value:g}"
    if isinstance(value, int):
        return spell.number(value)
    return spell.plain(str(value))
