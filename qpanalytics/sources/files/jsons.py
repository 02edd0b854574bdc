"""JSON files: one object a line, a list of objects, or objects over several lines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping

import duckdb

from qpanalytics.errors import InputError
from qpanalytics.sources.files.columns import match, raw
from qpanalytics.sources.files.delimited import RECORDS, Reading, Refused, Row, ending_of, put, scan
from qpanalytics.sources.files.look import BOM, LONGEST_LINE, Look


def reading(con: duckdb.DuckDBPyConnection, found: Look, mapping: Mapping[str, str]) -> Reading:
    """How to read the file, whose values are put into a temporary table on the way.

    Lines are read as text, so that a broken one is one bad row and has its number. The keys of all objects together are
    the file's columns.
    """
    refused: list[Refused] = []
    if found.format == "jsonl" and not found.uniform:
        put(con, ["v"], lines(found, refused))
        values = RECORDS
    else:
        con.execute(f"create or replace temp table {RECORDS} as {_values(found)}", {"path": found.literal})
        values = f"(select v, row_number() over () as line from {RECORDS})"  # noqa: S608 - our own name
    keys = con.execute(
        f"""
        with sets as (
            select case when json_valid(v) then json_keys(v) end as keys, min(line) as line from {values} group by 1
        )
        select key from sets, unnest(keys) as u(key) group by key order by min(line), key
        """  # noqa: S608 - our own name
    ).fetchall()
    columns = [key for (key,) in keys]
    places, ignored = match(found.name, columns, mapping)
    # In a JSON pointer only these two characters mean something.
    pointers = ["/" + columns[at].replace("~", "~0").replace("/", "~1") for at in places.values()]
    texts = {name: f"texts[{at}]" for at, name in enumerate(places, 1)}
    return Reading(_select(texts, values), {"pointers": pointers}, ignored, refused)


def _values(found: Look) -> str:
    if found.format == "jsonl":
        return "from " + scan_lines(found)
    layout = "unstructured"
    if found.head.removeprefix(BOM).lstrip().startswith(b"["):
        layout = "array"
        if not found.tail.rstrip().endswith(b"]"):  # DuckDB takes what there is without a word
            raise InputError(f"{found.name}: is cut off: its list is not closed")
    packed = "gzip" if found.packed else "uncompressed"
    options = f"format = '{layout}', compression = '{packed}', hive_partitioning = false"
    return f"select json::varchar as v from read_json_objects($path, {options})"  # noqa: S608 - our own words


def scan_lines(found: Look) -> str:
    """A call of read_csv whose one column `v` is the text of each line; an empty line is NULL and keeps its place."""
    ending = ending_of(next(io.StringIO(found.head.decode("latin-1"), newline="")))
    # A byte 1 cannot stand in JSON, nor in a log, so no good line is parted.
    options = "header = false, delim = e'\\x01', quote = '', escape = ''"
    return scan(found, "'v': 'varchar'", options, ending, one_piece=False)


def lines(found: Look, refused: list[Refused]) -> Iterator[Row]:
    """The lines of a file whose line ends differ, with their numbers; what is no text goes to `refused`."""
    with found.open() as file:
        for line, data in enumerate(file, 1):
            text = (data.removeprefix(BOM) if line == 1 else data).rstrip(b"\r\n")
            if len(text) > LONGEST_LINE:
                refused.append(Refused(line, text[:200].decode(errors="replace"), "is longer than 2 MB"))
            elif text.strip():
                try:
                    yield line, [text.decode()]
                except UnicodeDecodeError:
                    refused.append(Refused(line, text[:200].decode(errors="replace"), "is not UTF-8"))


def _select(texts: Mapping[str, str], values: str) -> str:
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
        row_no="line",
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
                select line, v, case when json_valid(v) then json_extract_string(v, $pointers::varchar[]) end as texts
                from {values} where v is not null
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
