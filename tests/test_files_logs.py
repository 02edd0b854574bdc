"""Access logs: what nginx, Apache and Caddy write of requests for `/ping/` is taken as it was meant, and nothing else."""

from __future__ import annotations

import gzip
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from command import qpa, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from staging import read, whys, write

from qpanalytics.errors import InputError
from qpanalytics.sources.files.accesslogs import LOOKED_AT, key_of
from qpanalytics.sources.files.delimited import RECORDS
from qpanalytics.sources.healthchecks_replies import unique_key

UUID = "5f0c1d9e-1c2d-4e3f-8a4b-0123456789ab"
RID = "00000000-0000-4000-8000-00000000000A"
TAKEN = "check_name, received_at::varchar, kind, run_id, exit_status, host"
TIME = "10/Oct/2026:13:55:36 -0700"
AT = "2026-10-10 20:55:36+00"


def combined(target: str, *, status: int | str = 200, method: str = "GET", time: str = TIME, user: str = "-") -> str:
    return f'203.0.113.9 - {user} [{time}] "{method} {target} HTTP/1.1" {status} 2 "-" "curl/8.5.0"\n'


def caddy(target: str, *, status: int = 200, method: str = "GET", ts: object = 1791665736.25) -> str:
    request = {"remote_ip": "203.0.113.9", "proto": "HTTP/2.0", "method": method, "host": "hc.example.org", "uri": target}
    return json.dumps({"level": "info", "ts": ts, "msg": "handled request", "request": request, "status": status}) + "\n"


# Addresses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [combined, caddy])
@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("/ping/backup", ("backup", "success", None, None)),
        ("/ping/backup/", ("backup", "success", None, None)),
        ("/ping/backup/start", ("backup", "start", None, None)),
        ("/ping/backup/fail", ("backup", "fail", None, None)),
        ("/ping/backup/log", ("backup", "log", None, None)),
        ("/ping/backup/0", ("backup", "success", None, 0)),
        ("/ping/backup/137", ("backup", "fail", None, 137)),
        ("/monitor/v1/ping/backup/start", ("backup", "start", None, None)),
        ("/ping/ping/backup", ("backup", "success", None, None)),
        ("https://hc.example.org/ping/backup", ("backup", "success", None, None)),
        (f"/ping/backup?rid={RID}", ("backup", "success", RID.lower(), None)),
        (f"/ping/backup/fail?a=1&rid={RID}&b=2", ("backup", "fail", RID.lower(), None)),
        ("/ping/backup?rid=7&create=1", ("backup", "success", None, None)),
        ("/ping/backup?next=/ping/other/fail", ("backup", "success", None, None)),
        ("/ping/night%20job", ("night job", "success", None, None)),
        ("/ping/a%zzb%ff", ("a%zzb%ff", "success", None, None)),
        ("/ping/a%2Fb", ("a/b", "success", None, None)),
        (f"/ping/{UUID}", (unique_key(UUID), "success", None, None)),
        (f"/ping/{UUID.upper()}/start", (unique_key(UUID), "start", None, None)),
        (f"/ping/{UUID.replace('-', '')}", (unique_key(UUID), "success", None, None)),
    ],
)  # fmt: skip
def test_an_address_means_what_it_means_to_healthchecks(tmp_path: Path, line, target: str, meant: tuple) -> None:  # type: ignore[no-untyped-def]
    found, staged = read(write(tmp_path, line(target) * 2, "access.log"), TAKEN)
    check, kind, run_id, exit_status = meant
    at = AT if line is combined else "2026-10-10 20:55:36.25+00"
    assert found == [(check, at, kind, run_id, exit_status, None)] * 2  # the client's address is not kept
    assert staged.files[0].note == ""


def test_only_what_the_server_took_is_a_ping_and_the_rest_is_counted(tmp_path: Path) -> None:
    lines = [
        combined("/ping/a"),
        combined("/ping/a", method="HEAD"),
        combined("/ping/a", method="POST", status=202),
        combined("/ping/a", method="OPTIONS"),
        combined("/ping/a", status=301),
        combined("/ping/a", status=404),
        combined("/ping/a", status=499),
        combined("/ping/0123456789012345678901/slug"),  # an address by a project's key
        combined("/"), combined("/pinging/a"), combined("/x?u=/ping/a"),
        caddy("/ping/a"), caddy("/ping/a", status=0), caddy("/metrics"),
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "\\x16\\x03\\x01" 400 157 "-" "-"\n',
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "-" 408 0 "-" "-"\n',
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.1" 200 2 "https://x/ping/a" "-"\n',
        '{"level":"info","ts":1791665736.2,"msg":"autosaved config","file":"/ping/x"}\n',
        "\n",
    ]  # fmt: skip
    found, staged = read(write(tmp_path, "".join(lines), "access.log"), TAKEN)
    assert len(found) == staged.rows == 4 and staged.skipped == 0 and not staged.warnings
    assert staged.files[0].note == (
        "not taken: 8 lines of other paths, 5 requests for /ping/ that the server did not accept, "
        "1 request below /ping/ in a form that is no ping's"
    )


def test_the_last_line_counts_whether_it_is_a_ping_or_not(tmp_path: Path) -> None:
    for last, rows, note in ((combined("/ping/a"), 1, "1 line"), (combined("/"), 0, "2 lines"), ("\n\n", 0, "1 line")):
        _, staged = read(write(tmp_path, combined("/") + last, "access.log"))
        assert (staged.rows, staged.files[0].note) == (rows, f"not taken: {note} of other paths")


# Times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ts", "at"),
    [
        (1791665736.5241024, "2026-10-10 20:55:36.524102+00"),
        (1791665736, AT),
        (1791665736524.1, "2026-10-10 20:55:36.5241+00"),
        (1791665736524102400, "2026-10-10 20:55:36.524102+00"),
        ("2026-10-10T13:55:36.000-0700", AT),
        ("2026-10-10T20:55:36Z", AT),
        ("10/Oct/2026:13:55:36 -0700", AT),
    ],
)
def test_every_time_that_caddy_can_be_told_to_write(tmp_path: Path, ts: object, at: str) -> None:
    assert [row[1] for row in read(write(tmp_path, caddy("/ping/a", ts=ts), "x.log"), TAKEN)[0]] == [at]


def test_a_time_that_nobody_can_place_is_a_bad_row(tmp_path: Path) -> None:
    text = combined("/ping/a") + caddy("/ping/a", ts="2026/10/10 13:55:36")
    text += combined("/ping/a", time="31/Feb/2026:01:00:00 +0000")
    found, staged = read(write(tmp_path, text, "x.log"), skip_bad=True)
    assert len(found) == 1 and [(line, field) for line, field, _ in whys(staged)] == [(2, "received_at"), (3, "received_at")]


def test_two_requests_in_one_second_are_two_pings_and_a_second_import_adds_none(tmp_path: Path) -> None:
    write(tmp_path, combined("/ping/a") * 2 + combined("/ping/a/start"), "access.log")
    assert "access.log: 3 pings, 3 new\n" in qpa(tmp_path, "import", "access.log").stdout
    # the log has grown
    write(tmp_path, combined("/ping/a") * 2 + combined("/ping/a/start") + combined("/ping/a") + combined("/"), "access.log")
    assert "access.log: 4 pings, 1 new; not taken: 1 line of other paths\n" in qpa(tmp_path, "import", "access.log").stdout


# What is hostile or broken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        r'203.0.113.9 - x\x22 [10/Oct/2026:13:55:36 -0700] \x22GET /ping/evil HTTP/1.1\x22 200 [10/Oct/2026:13:55:36 -0700] '
        r'"GET /ping/a HTTP/1.1" 200 2 "-" "-"',
        r'203.0.113.9 - x\" [11/Oct/2026:13:55:36 -0700] \"GET /ping/evil HTTP/1.1\" 200 [10/Oct/2026:13:55:36 -0700] '
        r'"GET /ping/a HTTP/1.1" 200 2 "-" "-"',
        r'203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET /ping/a HTTP/1.1" 200 2 "\" 200 2" "\\\" \"GET /ping/e HTTP/1.1\""',
        '2001:db8::1 - John Doe [10/Oct/2026:13:55:36 -0700] "GET /ping/a HTTP/1.1" 200 2 "-" "=cmd|\' /C calc\'!A0"',
        'hc.example.org:443 203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET /ping/a HTTP/1.1" 200 2',
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET /ping/a" 200 2 "-" "-" "198.51.100.7" 0.003',
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET /ping/a HTTP/1.1" 200 2 "https://exa',
        '203.0.113.9 - - [10/Oct/2026:13:55:36 -0700] "GET /ping/a HTTP/1.1" 200',
    ],
)  # fmt: skip
def test_nothing_that_a_client_sends_makes_a_request_of_its_own(tmp_path: Path, line: str) -> None:
    for text in (line + "\n", line, line + "\r\n"):
        assert read(write(tmp_path, text, "access.log"), TAKEN)[0] == [("a", AT, "success", None, None, None)]


def test_broken_lines_are_bad_rows_with_their_numbers_and_without_ids(tmp_path: Path) -> None:
    good = combined("/ping/a").encode()
    rows = [
        good, good[:50] + b"\n", combined(f"/ping/{UUID}", status="2").encode(), b"\0" * 300 + b"\n", b"\x80\xff\x01\n", b"\n",
        caddy(f"/ping/{UUID}")[:-40].encode() + b"\n", combined("/ping/a/999").encode(), b"plain words\n", good,
    ]  # fmt: skip
    for name, content in (("access.log", b"".join(rows)), ("access.log.2.gz", gzip.compress(b"".join(rows)))):
        path = write(tmp_path, good * 9 + b"".join(rows), name) if name == "access.log" else write(tmp_path, content, name)
        shift = 9 if name == "access.log" else 0
        found, staged = read(path, TAKEN, skip_bad=True)
        assert len(found) == 2 + shift
        assert [bad.line - shift for bad in staged.bad] == [2, 3, 4, 5, 7, 8, 9]
        assert [bad.field for bad in staged.bad] == ["", "", "", "", "", "kind", ""]
        told = " ".join(map(str, staged.bad))
        assert UUID[:8] not in told and "\0" not in told and "combined format" in told
        with pytest.raises(InputError, match=r"line \d+: .*and 6 more bad rows.*--skip-bad"):
            read(path)


def test_mixed_line_ends_change_nothing(tmp_path: Path) -> None:
    text = combined("/ping/a") + combined("/ping/b").replace("\n", "\r\n") + "\r\n" + combined("/") + "broken\n"
    text += caddy("/ping/c")
    found, staged = read(write(tmp_path, text, "access.log"), TAKEN, skip_bad=True)
    assert [row[0] for row in found] == ["a", "b", "c"] and [bad.line for bad in staged.bad] == [5]
    assert staged.files[0].note == "not taken: 1 line of other paths"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x80\x81\x00\x01" * 999, b"just words\nand more\n", b"\x1f\x8bnot gzip"])
def test_what_is_no_log_at_all_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "access.log").write_bytes(content)
    refused(qpa(tmp_path, "import", "access.log"), "access.log")
    assert not (tmp_path / "qpa.duckdb").exists()


def test_a_log_is_told_by_what_it_holds(tmp_path: Path) -> None:
    for name in ("access.log", "access.log.1", "access", "log.csv", "caddy.json"):
        line = caddy if name.endswith("json") else combined
        assert read(write(tmp_path, line("/ping/a"), name), TAKEN)[1].rows == 1
    started = '{"level":"info","ts":1791665736.2,"logger":"tls","msg":"started"}\n' * 30
    assert read(write(tmp_path, started + caddy("/ping/a"), "caddy.log"))[1].rows == 1
    begins_cut = combined("/ping/a")[60:] + combined("/ping/a") * 5
    assert read(write(tmp_path, begins_cut, "access.log"), skip_bad=True)[1].rows == 5
    # A ping file that speaks of requests is a ping file.
    body = combined("/ping/x").strip().replace('"', '""')
    rows = "check,received_at,body\n" + f'a,{1791665736},"{body}"\n' * (LOOKED_AT + 5)
    assert read(write(tmp_path, rows, "access.log"), "check_name")[0][0] == ("a",)
    line = '{"check":"a","received_at":1791665736,"request":{"uri":"/ping/b"}}\n'
    assert read(write(tmp_path, line, "x.jsonl"), "check_name")[0] == [("a",)]


def test_lines_of_a_program_s_log_are_pings_to_who_names_their_columns(tmp_path: Path) -> None:
    line = '{"level":"info","ts":1791665736.25,"msg":"done","job":"backup"}\n'
    found, staged = read(write(tmp_path, line, "app.log"), TAKEN, mapping={"job": "check", "ts": "received_at"})
    assert found[0][:3] == ("backup", "2026-10-10 20:55:36.25+00", "success") and not staged.files[0].note


# Round trips ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What a client asked, and what the server said of it."""

    at: datetime
    ping_id: str
    kind: str
    method: str
    status: int
    run_id: str | None
    user: str
    agent: str
    client: str


def written_by_nginx(text: str) -> str:
    return "".join(f"\\x{b:02X}" if b < 32 or b > 126 or chr(b) in '"\\' else chr(b) for b in text.encode())


def written_by_apache(text: str) -> str:
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return "".join(named.get(chr(b)) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in text.encode())


def line_of(request: Request, server: str) -> str:
    target = f"/hc/ping/{request.ping_id.replace('%', '%25')}" + (f"/{request.kind}" if request.kind != "success" else "")
    target += f"?x=1&rid={request.run_id}" if request.run_id else ""
    if server == "caddy":
        parts = {"remote_ip": request.client, "method": request.method, "uri": target, "headers": {"User-Agent": [request.agent]}}
        entry = {"level": "info", "ts": request.at.timestamp(), "msg": "handled request", "request": parts}
        return json.dumps(entry | {"status": request.status}, ensure_ascii=False)
    escaped = written_by_nginx if server == "nginx" else written_by_apache
    at = request.at.strftime("%d/%b/%Y:%H:%M:%S %z")
    asked = f"{request.method} {escaped(target)} HTTP/1.1"
    user, agent = escaped(request.user) or "-", escaped(request.agent)
    return f'{request.client} - {user} [{at}] "{asked}" {request.status} 2 "{agent}" "{agent}"'


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/?#"), min_size=1, max_size=20)
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\x01"), max_size=30) | st.sampled_from(
    ['" 200 2', '\\" [10/Oct/2026:13:55:36 +0000] "GET /ping/evil HTTP/1.1" 200 2', "\\", '\\"', "{", "=1+1", "/ping/evil"]
)
requests = st.builds(
    Request,
    at=st.builds(
        lambda s, offset: datetime.fromtimestamp(s, timezone(timedelta(minutes=offset))),
        st.integers(86_400 * 365, 4_000_000_000), st.integers(-56, 56).map(lambda q: q * 15),
    ),
    ping_id=names | st.uuids().map(str),
    kind=st.sampled_from(["success", "start", "fail", "log", "0", "3", "255"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]),
    status=st.sampled_from([200, 201, 204, 301, 404, 500]),
    run_id=st.none() | st.uuids().map(str),
    user=words, agent=words, client=st.ip_addresses().map(str),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(requests, st.sampled_from(["nginx", "apache", "caddy"])), min_size=1, max_size=12))
def test_what_a_server_writes_is_read_as_it_was_meant(log: list[tuple[Request, str]]) -> None:
    meant = [r for r, _ in log if 200 <= r.status < 300 and r.method in ("GET", "HEAD", "POST")]
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(line_of(request, server) + "\n" for request, server in log)
        found, staged = read(write(Path(folder), text, "access.log"), TAKEN)
    assert staged.skipped == 0
    exits = {"0": ("success", 0), "3": ("fail", 3), "255": ("fail", 255)}
    assert found == [
        (key_of(r.ping_id) or r.ping_id, f"{r.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00", exits.get(r.kind, (r.kind,))[0],
         r.run_id, exits.get(r.kind, ("", None))[1], None)
        for r in meant
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8), st.binary(max_size=200))
def test_rubbish_between_good_lines_loses_none_of_them(rubbish: list[bytes], end: bytes) -> None:
    good = combined("/ping/good").encode()
    lines = [b"".join(piece.split(b"\n")) + b"\n" for piece in rubbish]
    content = good * 10 + b"".join(piece + good for piece in lines) + b"".join(end.split(b"\n"))
    with tempfile.TemporaryDirectory() as folder:
        found, _ = read(write(Path(folder), content, "access.log"), "check_name", skip_bad=True)
    if b"\r" not in content:  # a lone one ends a line, too
        assert found.count(("good",)) == 10 + len(lines)


# Names ----------------------------------------------------------------------------------------------------------------


def test_an_id_that_opens_doors_is_stored_and_shown_nowhere_and_gets_a_name(tmp_path: Path) -> None:
    other = "77777777-1c2d-4e3f-8a4b-0123456789ab"
    write(tmp_path, "".join(combined(f"/ping/{i}") for i in (UUID, other, "plain")), "access.log")
    write(tmp_path, f"check,name,schedule,tz\n{UUID},nightly,55 20 * * *,UTC\nplain,,every 1 d,\n", "checks.csv")
    done = qpa(tmp_path, "import", "access.log", "--checks", "checks.csv")
    assert (done.returncode, done.stderr) == (0, "")
    shown = qpa(tmp_path, "checks", "--format", "json")
    checks = {row["check"]: row for row in json.loads(shown.stdout)}
    assert set(checks) == {"nightly", "plain", f"unnamed-{unique_key(other)[:6]}"}
    assert checks["nightly"]["key"] == unique_key(UUID) and checks["nightly"]["schedule"] == "55 20 * * *"
    for secret in (UUID, other):
        # the second half is not in the key
        assert secret not in shown.stdout and secret[:8].encode() not in (tmp_path / "qpa.duckdb").read_bytes()
    again = qpa(tmp_path, "import", "access.log", "--checks", "checks.csv")
    assert "3 pings, 0 new" in again.stdout and "0 checks new" in again.stdout


def test_ping_files_that_hold_ids_keep_them(tmp_path: Path) -> None:
    write(tmp_path, f"check,received_at\n{UUID},1791665736\n", "pings.csv")
    write(tmp_path, f"check,schedule\n{UUID},every 1 d\n", "checks.csv")
    for _ in range(2):
        assert qpa(tmp_path, "import", "pings.csv", "--checks", "checks.csv").returncode == 0
    assert [row["check"] for row in json.loads(qpa(tmp_path, "checks", "--format", "json").stdout)] == [UUID]


def test_the_name_encodings_of_a_client_do_not_make_two_checks(tmp_path: Path) -> None:
    text = combined("/ping/n%C3%A4chtlich") + combined(f"/ping/{written_by_nginx('nächtlich')}") + caddy("/ping/nächtlich")
    found, _ = read(write(tmp_path, text + combined(f"/ping/{quote('nächtlich')}"), "x.log"), TAKEN)
    assert {row[0] for row in found} == {"nächtlich"}


def test_no_table_is_left_behind(tmp_path: Path) -> None:
    from staging import connect

    from qpanalytics.sources.files import read_pings

    con = connect()
    read_pings(con, [write(tmp_path, combined("/ping/a") + "broken\n" * 3, "x.log")], skip_bad=True)
    left = [name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()]
    assert left == ["staged_pings"] and RECORDS not in left
