"""Why a value cannot be taken, in words; `pings.sql` decides that it cannot."""

from __future__ import annotations

import re

from qpanalytics.sources.files.delimited import QUOTES, count

LONGEST_NAME = 500

_KINDS = "start, success, fail, log or an exit status from 0 to 255"
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?")
_EXAMPLE = "write 2026-01-31T07:00:00Z or epoch seconds"


def why(field: str, value: str | None) -> str:
    """What is wrong with the value of a field, as the end of a sentence that begins with field and value."""
    text = (value or "").strip()
    if field == "json":
        return "is not valid JSON"
    if field == "object":
        return "is not a JSON object with the fields of one ping"
    if field in ("check", "received_at") and not text:
        return "is empty"
    if "\0" in text and field in ("check", "run_id", "host", "body"):
        return "holds a NUL byte"
    if field == "check" and len(value or "") > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    if field == "received_at":
        return _why_not_an_instant(text)
    if field == "duration_s":
        return _why_not_a_duration(text)
    if field == "exit_status":
        if re.fullmatch(r"\d{1,3}(\.0*)?", text) and float(text) <= 255:
            return "contradicts the exit status in kind"
        return "is not an exit status, a whole number from 0 to 255"
    return {"kind": f"is not {_KINDS}", "n": "is not a whole number from 0 up"}.get(field, "is a JSON object or list, not a text")


def _why_not_an_instant(text: str) -> str:
    if _CLOCK.fullmatch(text):
        return "has no UTC offset; add Z or +01:00"
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"has no time of day; {_EXAMPLE}"
    if re.fullmatch(r"\d{8}(\.0*)?", text):
        return f"looks like a date; {_EXAMPLE}"
    if re.fullmatch(r"-?\d+(\.\d*)?", text):
        seconds = abs(float(text))
        for unit, factor in (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
            if 1e9 <= seconds / factor < 1e10:
                return f"looks like epoch {unit}; epoch seconds are meant: divide by {factor:,.0f}"
        return "lies outside 1970-01-02 to 2261-12-31"
    if clock := re.match(_CLOCK, text):
        rest = text[clock.end() :].strip()
        if re.fullmatch(r"(?i)Z|UTC|GMT|[+-](0\d|1[0-5])(:?[0-5]\d)?", rest):
            outside = not "1970-01-02" <= text[:10] <= "2261-12-31" or text[:10] in ("1970-01-02", "2261-12-31")
            return "lies outside 1970-01-02 to 2261-12-31" if outside else "is no date and time that exists"
        return f"has a UTC offset that cannot be read; {_EXAMPLE}"
    return f"is not a time; {_EXAMPLE}"


def _why_not_a_duration(text: str) -> str:
    try:
        seconds = float(text.replace("_", "x"))
    except ValueError:
        return "is not a number of seconds"
    if seconds < 0:
        return "is negative"
    return "is longer than a hundred years" if 0 <= seconds < float("inf") else "is not a finite number of seconds"


# What DuckDB says about a line that it could not part into columns.
_REJECTS = {
    "UNQUOTED VALUE": QUOTES,
    "INVALID ENCODING": "is not UTF-8",
    "LINE SIZE OVER MAXIMUM": "is longer than 2 MB",
}


def why_rejected(kind: str, message: str, columns: int, otherwise: str | None = None) -> str:
    """What is wrong with a line as a whole; `columns` is how many the header names, 0 where lines are read as text."""
    if kind in _REJECTS:
        return _REJECTS[kind]
    if not columns:
        return otherwise or "is not valid JSON"
    found = re.search(r"Found: (\d+)", message)
    return count(int(found[1]), columns) if found else "cannot be parted into columns"
