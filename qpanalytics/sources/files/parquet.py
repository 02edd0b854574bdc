"""Parquet files: values come typed, and only types whose meaning is certain are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb

from qpanalytics.errors import InputError
from qpanalytics.sources.files.columns import match, raw
from qpanalytics.sources.files.delimited import Reading
from qpanalytics.sources.files.look import Look
from qpanalytics.spell import quoted

_INSTANTS = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
# What reads the same as text. A BLOB does not: bytes outside ASCII would come out as escapes.
_TEXTUAL = re.compile(r'VARCHAR|JSON|UUID|BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*|ENUM\(.*|"NULL"')


def reading(con: duckdb.DuckDBPyConnection, found: Look, mapping: Mapping[str, str]) -> Reading:
    """How to read the file; InputError for a column of a type whose meaning nobody knows."""
    described = con.execute(
        "select column_name, column_type from (describe select * from read_parquet($path, hive_partitioning = false))",
        {"path": found.literal},
    ).fetchall()
    columns = [name for name, _ in described]
    places, ignored = match(found.name, columns, mapping)
    texts = {}
    known = {}
    for name, at in places.items():
        column, type_ = described[at]
        value = '"' + column.replace('"', '""') + '"'
        if name == "received_at" and type_ in _INSTANTS:
            known["known_at"] = value
            continue
        if advice := _refusal(name, type_):
            raise InputError(f"{found.name}: column {quoted(column)} is {type_.lower()[:60]}; {advice}")
        texts[name] = f"nullif({value}::varchar, '')"
    sql = f"select {raw(texts, **known)} from read_parquet($path, hive_partitioning = false)"  # noqa: S608 - quoted
    return Reading(sql, {"path": found.literal}, ignored)


def _refusal(name: str, type_: str) -> str:
    """What to do about a type that cannot be taken for the column; empty if it can."""
    if name == "received_at":
        if type_.startswith("TIMESTAMP"):
            return "without a time zone nobody knows which instants it means: write it as a timestamp in UTC"
        if type_ == "FLOAT":
            return "it rounds epoch seconds to minutes: write it as double or as a timestamp in UTC"
        if not _TEXTUAL.fullmatch(type_):
            return "write it as a timestamp in UTC"
    return "" if _TEXTUAL.fullmatch(type_) else "write it as text or numbers"
