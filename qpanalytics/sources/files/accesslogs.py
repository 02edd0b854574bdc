r"""Access logs of web servers in front of a monitor: requests to `/ping/<id>` are pings.

nginx's and Apache's combined format (the common one is its beginning, and what follows it is not looked at) and Caddy's
JSON lines, also mixed. It is the way in for monitors whose pings cannot be read back.

* `/ping/<id>` is a success, `/ping/<id>/start`, `/fail`, `/log` and `/<exit status>` what they say, as in Healthchecks'
  addresses; `?rid=<uuid>` is the run id. Any path may stand before `/ping/`.
* GET, HEAD and POST that were answered 2xx count. A redirect does not: the client follows it, and that request has a
  line of its own. What was refused (or sent by another method, as a browser's OPTIONS) is counted and told.
* An id that is a uuid opens the door for everyone who knows it, so it is known by the key that Healthchecks makes of it.
  The client's address is not kept: nothing here needs it.
* Quotes within a quoted text are escaped (`\"` by Apache, `\x22` by nginx), so no user name, address or user agent can
  end the text it stands in, and a made-up request within one is none.
"""

from __future__ import annotations

import json
import re
from functools import partial

import duckdb

from qpanalytics.sources.files.columns import FIELDS, raw
from qpanalytics.sources.files.delimited import RECORDS, Reading, Refused, put
from qpanalytics.sources.files.jsons import lines, scan_lines
from qpanalytics.sources.files.look import CHUNK, Look
from qpanalytics.sources.healthchecks_replies import unique_key
from qpanalytics.spell import plural

LOOKED_AT = 100  # lines that are looked at to tell what the file is

_TIME = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
#: Up to the status; a line that was cut off behind it still says what was asked and answered.
_COMBINED = rf'^(?:[^"\\]|\\.)*\[({_TIME})\] "((?:[^"\\]|\\.)*)" (\d{{3}})(?: |$)'
_PING = r"^(?:[A-Za-z]+://[^/?#]*)?/(?:[^?#]*?/)?ping/([^/?#]+)(?:/(start|fail|log|\d+))?/?(?:[?#]|$)"
_HEX = "[0-9a-fA-F]"
_UUID = rf"{_HEX}{{8}}-?(?:{_HEX}{{4}}-?){{3}}{_HEX}{{12}}"
_RID = rf"\?(?:[^#]*&)?rid=({_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}})(?:[&#]|$)"
_POINTERS = ["/ts", "/request/method", "/request/uri", "/status"]

_LIKE_A_LOG = re.compile(rf'[^\s",]+ (?:[^"\\]|\\.)*\[{_TIME}\] "|\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[')
_SECRET = re.compile(rf"(?<=/ping/)[^/?#\s\"]+|{_HEX}{{8}}-{_HEX}{{4}}-[0-9a-fA-F-]*|{_HEX}{{32}}")


# What it is -----------------------------------------------------------------------------------------------------------


def recognises(found: Look) -> bool:
    """Whether the first line, or most of the first, are such as web servers write, whatever the file is called."""
    text = found.head.decode("utf-8", errors="replace")
    first = [line for line in re.split(r"\r\n|\n|\r", text)[: 2 * LOOKED_AT] if line.strip("\0 \t")]
    if len(found.head) == CHUNK and len(first) > 1:
        first.pop()  # cut off by the look, if it is the last at all
    first = first[:LOOKED_AT]
    if first and {"check", "received_at"} <= set(re.split(r"[\s\",;]+", first[0].lower())):
        return False  # CSV, whose texts may hold anything
    likely = [_like_a_log(line) for line in first]
    return any(likely[:1]) or sum(likely) * 2 > len(likely)


def _like_a_log(line: str) -> bool:
    if not line.startswith("{"):
        return _LIKE_A_LOG.match(line) is not None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(entry, dict) or "check" in map(str.lower, entry):
        return False
    request = entry.get("request")
    # What Caddy says of itself stands in the same file, and before the first request.
    return (isinstance(request, dict) and "uri" in request) or {"level", "ts", "msg"} <= entry.keys()


def key_of(ping_id: str) -> str | None:
    """What an id that is a uuid is known by; None for any other, which is its own key."""
    return unique_key(ping_id) if re.fullmatch(_UUID, ping_id) else None


# Reading it -----------------------------------------------------------------------------------------------------------


def reading(con: duckdb.DuckDBPyConnection, found: Look) -> Reading:
    """How to read the log, whose requests for `/ping/` are put into a temporary table on the way."""
    refused: list[Refused] = []
    source = f"(select v, row_number() over () as line from {scan_lines(found)})"  # noqa: S608 - our own words
    params: dict[str, object] = {"path": found.literal}
    if not found.uniform:
        put(con, ["v"], lines(found, refused))
        source, params = f"(from {RECORDS} order by line)", {}
    known = {"combined": _COMBINED, "ping": _PING, "rid": _RID, "uuid": _UUID, "pointers": _POINTERS}
    con.execute(f"create or replace temp table qpa_file_requests as {_REQUESTS.format(source=source)}", params | known)
    con.execute(f"drop table if exists temp.{RECORDS}")
    con.execute(f"alter table temp.qpa_file_requests rename to {RECORDS}")
    texts = {name: name for name in FIELDS if name in ("received_at", "kind", "run_id")} | {"check": "ping_id"}
    columns = raw(texts, row_no="line", fault="fault", whole="whole", known_at="known_at")
    sql = f"select {columns} from {RECORDS} where form in ('ping', 'broken')"  # noqa: S608 - our own words
    faults = {"line": "is no line of nginx's or Apache's combined format, nor of Caddy's JSON"}
    shown = partial(_SECRET.sub, "...")
    return Reading(sql, {}, [], refused, faults=faults, shown=shown, note=_left_out(con), keyed=True)


#: Rows for requests that have to do with pings, for broken lines, and for the last line, which tells how many there are.
#: All lines are matched against the shape, which is cheap; taking parts out by it costs six times that.
_REQUESTS = r"""
    with sorted as (
        select line, v, row_number() over () as number, lead(1) over () is null as last,
            case
                when v is null then 'empty'
                when starts_with(v, '{{') then
                    case when not json_valid(v) then 'broken' when contains(v, '/ping/') then 'json' else 'other' end
                when regexp_matches(v, $combined) then if(contains(v, '/ping/'), 'combined', 'other')
                when trim(v, e' \t\r') = '' then 'empty'
                else 'broken'
            end as form
        from {source}
    ),
    parted as (
        select line, number, form,
            case when form = 'broken' then left(v, 600) end as whole,
            case
                when form <> 'combined' then null
                when contains(v, '\') then regexp_extract(v, $combined, ['time', 'request', 'status'])
                -- Without escapes the parts of what has the shape lie between quotes, and are taken out much sooner.
                else struct_pack("time" := left(right(split_part(v, '"', 1), 28), 26), request := split_part(v, '"', 2),
                    status := left(split_part(v, '"', 3), 4)[2:])
            end as c,
            case when form = 'json' then json_extract_string(v, $pointers::varchar[]) end as j
        from sorted where form <> 'other' or last
    ),
    requests as (
        select line, number, form, whole, coalesce(c.time, j[1]) as received_at,
            coalesce(split_part(c.request, ' ', 1), j[2]) as method,
            coalesce(split_part(c.request, ' ', 2), j[3]) as target, coalesce(c.status, j[4]) as status
        from parted
    ),
    addressed as (
        select * exclude (form),
            case
                when form not in ('combined', 'json') then form
                when target is null or not contains(split_part(target, '?', 1), '/ping/') then 'other'
                when coalesce(not (starts_with(status, '2') and length(status) = 3), true)
                    or coalesce(method not in ('GET', 'HEAD', 'POST'), true) then 'refused'
                when not regexp_matches(target, $ping) then 'odd'
                else 'ping'
            end as form,
            case when form in ('combined', 'json') then regexp_extract(target, $ping, ['id', 'kind']) end as p
        from requests
    ),
    named as (
        select line, number, form, whole, received_at, p.kind as kind, target,
            -- What the server escaped in its log, as the client would have had to write it; else what the client wrote.
            case when not contains(p.id, '\') then p.id
                else regexp_replace(replace(replace(p.id, '\\', '%5C'), '\"', '%22'), '\\x([0-9a-fA-F]{{2}})', '%\1', 'g')
            end as id
        from addressed
    ),
    decoded as (
        select * replace (case when contains(id, '%') then coalesce(try(url_decode(id)), id) else id end as id) from named
    )
    select line, number, form, whole,
        case when form = 'broken' then 'line' end as fault,
        case when form = 'ping' then received_at end as received_at,
        case
            when form <> 'ping' then null
            when contains(received_at, '/') then try_strptime(received_at, '%d/%b/%Y:%H:%M:%S %z')
            -- Caddy can be told to write milliseconds or nanoseconds.
            when regexp_full_match(received_at, '\d{{13}}(\.\d*)?')
                then make_timestamptz(round(received_at::double * 1000)::bigint)
            when regexp_full_match(received_at, '\d{{19}}') then make_timestamptz(try_cast(received_at as bigint) // 1000)
        end as known_at,
        case when form = 'ping' then nullif(kind, '') end as kind,
        case
            when form = 'ping' and contains(target, 'rid=') then nullif(lower(regexp_extract(target, $rid, 1)), '')
        end as run_id,
        case
            when form <> 'ping' then null
            when regexp_full_match(id, $uuid) then sha1(left(replace(lower(id), '-', ''), 16))
            else id
        end as ping_id
    from decoded
"""


def _left_out(con: duckdb.DuckDBPyConnection) -> str:
    """What of the log is no ping, in words."""
    ((requests, kept, others, refused, odd),) = con.execute(
        f"""
        select coalesce(max(number), 0) - count(*) filter (where form = 'empty'), count(*) filter (where form <> 'empty'),
            count(*) filter (where form = 'other'), count(*) filter (where form = 'refused'),
            count(*) filter (where form = 'odd')
        from {RECORDS}
        """  # noqa: S608 - our own name
    ).fetchall()
    others += requests - kept
    parts = [f"{plural(others, 'line')} of other paths"] if others else []
    if refused:
        parts.append(f"{plural(refused, 'request')} for /ping/ that the server did not accept")
    if odd:
        parts.append(f"{plural(odd, 'request')} below /ping/ in a form that is no ping's")
    return f"not taken: {', '.join(parts)}" if parts else ""
