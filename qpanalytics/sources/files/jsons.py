"""JSON files: one object a line, a list of objects, or objects over several lines."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import duckdb

from qpanalytics.sources.files.columns import match, raw
from qpanalytics.sources.files.delimited import ending_of, scan
from qpanalytics.sources.files.look import BOM, Look

VALUES = "qpa_file_values"


def select(con: duckdb.DuckDBPyConnection, found: Look, mapping: Mapping[str, str]) -> tuple[str, list[str], list[str]]:
    """SQL for the raw columns, the JSON pointers it takes as $pointers, and the keys that mean nothing to us.

    The values go into a temporary table first. Lines are read as text, so that a broken one is one bad row and has its
    number. The keys of all objects together are the file's columns.
    """
    con.execute(f"create or replace temp table {VALUES} as {_values(found)}", {"path": found.literal})
    keys = con.execute(
        f"""
        with sets as (
            select case when json_valid(v) then json_keys(v) end as keys, min(rowid) as place from {VALUES} group by 1
        )
        select key from sets, unnest(keys) as u(key) group by key order by min(place), key
        """  # noqa: S608 - our own name
    ).fetchall()
    columns = [key for (key,) in keys]
    places, ignored = match(found.name, columns, mapping)
    # In a JSON pointer only these two characters mean something.
    pointers = ["/" + columns[at].replace("~", "~0").replace("/", "~1") for at in places.values()]
    return _select({name: f"texts[{at}]" for at, name in enumerate(places, 1)}), pointers, ignored


def _values(found: Look) -> str:
    if found.format == "jsonl":
        ending = ending_of(next(io.StringIO(found.head.decode("latin-1"), newline="")))
        # A byte 1 cannot stand in JSON, so no good line is parted. An empty line is NULL and keeps its place.
        options = "header = false, delim = e'\\x01', quote = '', escape = ''"
        return "from " + scan(found, "'v': 'varchar'", options, ending, one_piece=False)
    layout = "array" if found.head.removeprefix(BOM).lstrip().startswith(b"[") else "unstructured"
    packed = "gzip" if found.packed else "uncompressed"
    options = f"format = '{layout}', compression = '{packed}', hive_partitioning = false"
    return f"select json::varchar as v from read_json_objects($path, {options})"  # noqa: S608 - our own words


def _select(texts: Mapping[str, str]) -> str:
    # A name may begin with a brace and still be a name: the type is looked at only then, for it costs a second parsing.
    nested = [
        (name, text, f"{text}[1] in ('{{', '[') and json_type(v, $pointers[{at}]) in ('OBJECT', 'ARRAY')")
        for at, (name, text) in enumerate(texts.items(), 1)
        if name in ("check", "run_id", "host")
    ]
    faults = " ".join(f"when {test} then '{name}'" for name, _, test in nested)
    wholes = " ".join(f"when '{name}' then {text}" for name, text, _ in nested)
    columns = raw(
        {name: f"nullif({text}, '')" for name, text in texts.items()},
        row_no="place",
        fault="fault",
        whole=f"case fault {wholes} else v end" if wholes else "v",
    )
    check = texts.get("check", "null")
    return f"""
        select {columns}
        from (
            select *,
                case
                    when texts is null then 'json'
                    when {check} is null and json_type(v) <> 'OBJECT' then 'object'
                    {faults}
                end as fault
            from (
                select place, v,
                    case when json_valid(v) then json_extract_string(v, $pointers::varchar[]) end as texts
                from (select v, row_number() over () as place from {VALUES}) where v is not null
            )
        )
        """  # noqa: S608 - our own words


def broken(found: Look) -> str:
    """Where a list or a file of objects over several lines stops being JSON, as a sentence without the file."""
    with found.open() as file:
        text = file.read().removeprefix(BOM)
    try:
        at = 0
        whole = text.decode()
        while at < len(whole):
            _, at = json.JSONDecoder().raw_decode(whole, at)
            at += len(whole[at:]) - len(whole[at:].lstrip())
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: is not valid JSON: {error.msg} at column {error.colno}"
    except UnicodeDecodeError as error:
        return f"line {text[: error.start].count(10) + 1}: is not UTF-8"
    return ""
