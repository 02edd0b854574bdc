"""`qpa.toml`: what it means, and the one line that a mistake in it gets."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qpanalytics.errors import ConfigError, InputError
from qpanalytics.settings import Secret, Settings, check_entry, example, load
from qpanalytics.words import Severity

MICRO = 1_000_000

EVERY_TABLE = """
[store]
path = "history/qpa.duckdb"
keep = "400 d"
[[source]]
name = "prod"
kind = "healthchecks"
url = "https://healthchecks.io"
api_key = "env:QPA_HEALTHCHECKS_KEY"
every = "5 min"
[[source]]
name = "shop"
kind = "bullmq"
url = "redis://qpa@10.0.0.5/3"
queues = ["email", "video"]
[[check]]
check = "backup-db"
schedule = "0 3 * * *"
tz = "Europe/Berlin"
valid_from = 2026-01-01
valid_to = 2026-12-24T18:00:00+01:00
grace = "15 min"
early_s = 30
max_runtime = "2 h"
severity = "critical"
tags = ["db", "nightly"]
queue = "mailers"
after = "extract-orders"
[[promise]]
queue = "mailers"
oldest = "10 min"
workers = 4
[[maintenance]]
cron = "0 2 * * SUN"
for = "2 h"
tags = ["db"]
[[channel]]
name = "oncall"
kind = "telegram"
token = "env:TG_TOKEN"
chat = -100123
[[route]]
severity = ["critical"]
between = "22:00-07:00"
escalate = { after = "15 min", to = ["boss"] }
to = ["oncall"]
[watch]
tick = "30 s"
weekly = "Mon 07:00 Europe/Berlin"
ping_url = "env:QPA_WATCHDOG_URL"
[report]
tz = "Europe/Berlin"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "qpa.toml"


def read(toml: Path, text: str) -> Settings:
    toml.write_text(text, encoding="utf-8")
    return load(toml)


def mistake(toml: Path, text: str | bytes) -> str:
    """The one line that `text` is refused with, the folder left out."""
    toml.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refusal:
        load(toml)
    message = str(refusal.value)
    assert message.startswith(f"{toml}")
    assert "\n" not in message and len(message) < 600
    assert refusal.value.exit_status == 2
    return message.removeprefix(f"{toml.parent}/")


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * MICRO)


# What it means --------------------------------------------------------------------------------------------------------


def test_every_table_is_read_into_our_units(toml: Path) -> None:
    settings = read(toml, EVERY_TABLE)

    assert settings.store.path == toml.parent / "history/qpa.duckdb"
    assert settings.store.keep == 400 * 86_400
    assert [source.name for source in settings.source] == ["prod", "shop"]
    assert settings.source[0].every == 300
    assert settings.source[1].queues == ("email", "video")
    check = settings.check[0]
    assert (check.check, check.schedule, check.tz) == ("backup-db", "0 3 * * *", "Europe/Berlin")
    assert check.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert check.valid_to == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert (check.grace_s, check.early_s, check.max_runtime_s) == (900, 30, 7_200)
    assert (check.severity, check.tags) == (Severity.CRITICAL, ("db", "nightly"))
    assert (check.queue, check.after) == ("mailers", "extract-orders")
    assert (settings.promise[0].oldest, settings.promise[0].workers) == (600, 4)
    assert settings.channel[0].chat == "-100123"
    assert settings.route[0].escalate is not None and settings.route[0].escalate.after == 900
    assert settings.watch.tick == 30
    assert settings.report.tz == "Europe/Berlin"


def test_without_a_file_there_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().store.path == Path("qpa.duckdb")
    assert load().report.tz == "UTC"
    assert load().check == ()


def test_without_a_path_the_file_in_this_folder_is_read(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[store]\npath = "here.duckdb"')
    monkeypatch.chdir(toml.parent)
    assert load().store.path == Path("here.duckdb")


def test_an_absolute_store_stays_where_it_is(toml: Path) -> None:
    assert read(toml, '[store]\npath = "/var/lib/qpa.duckdb"').store.path == Path("/var/lib/qpa.duckdb")


def test_what_was_not_written_is_known_as_such(toml: Path) -> None:
    check = read(toml, '[[check]]\ncheck = "a"').check[0]
    assert (check.tz, check.grace_s, check.severity, check.tags) == ("UTC", None, None, ())
    assert not check.given("tz")
    assert check.given("check")


def test_the_fingerprint_is_of_what_changes_the_ledger_however_it_is_written(toml: Path) -> None:
    first = read(toml, EVERY_TABLE).fingerprint()
    same = EVERY_TABLE.replace('grace = "15 min"', "grace_s = 900").replace(
        "2026-12-24T18:00:00+01:00", '"2026-12-24T17:00Z"'
    )
    assert read(toml, same).fingerprint() == first
    assert (
        read(toml, EVERY_TABLE.replace('[report]\ntz = "Europe/Berlin"', '[report]\ntz = "UTC"')).fingerprint() == first
    )
    assert read(toml, EVERY_TABLE.replace('tick = "30 s"', 'tick = "31 s"')).fingerprint() == first
    for changed in (
        EVERY_TABLE.replace('grace = "15 min"', 'grace = "16 min"'),
        EVERY_TABLE.replace("2026-01-01", "2026-01-02"),
        EVERY_TABLE.replace('for = "2 h"', 'for = "3 h"'),
        EVERY_TABLE.replace('tags = ["db"]', 'tags = ["dc"]'),
        "",
    ):
        assert read(toml, changed).fingerprint() != first


def test_the_example_loads_as_it_is_and_with_every_example_in_it_taken_up(toml: Path) -> None:
    untouched = read(toml, example())
    assert (untouched.store.path, untouched.report.tz, untouched.check) == (toml.parent / "qpa.duckdb", "UTC", ())

    taken_up = re.sub(r"(?m)^#(?=[^ ])", "", example())
    assert taken_up.count("\n") == example().count("\n")
    settings = read(toml, taken_up)
    assert settings.check[0].check == "backup-db"
    assert settings.check[0].grace_s == 900
    assert settings.maintenance[0].covers("any", ["db"])
    assert max(map(len, example().splitlines())) <= 110 and example().count("\n") <= 60


# Rows of check files --------------------------------------------------------------------------------------------------


def test_a_row_of_texts_is_read_by_the_same_rules_and_empty_cells_say_nothing() -> None:
    row = {
        "check": "ranking", "valid_from": "2020-07-01T00:00:00Z", "valid_to": "", "schedule": "0 11 * * *",
        "tz": "Asia/Shanghai", "early_s": "0", "grace": "", "tags": "db, nightly", "severity": "Warning",
        "note": "seen",
    }  # fmt: skip
    entry = check_entry(row, where="checks.csv line 2")
    assert entry.valid_from == datetime(2020, 7, 1, tzinfo=UTC)
    assert (entry.valid_to, entry.early_s, entry.grace_s) == (None, 0, None)
    assert (entry.tags, entry.severity) == (("db", "nightly"), Severity.WARNING)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"check": "a", "grace": "5 mins"}, 'grace: "5 mins" is not a duration; try "5 min".'),
        ({"check": "a", "max_runtime_s": "-1"}, 'max_runtime_s: "-1" is a negative duration; try "15 min".'),
        ({"check": "a", "grace_s": "nan"}, 'grace_s: "nan" is not a duration; try "15 min".'),
        ({"check": "a", "schedule": "61 * * * *"}, 'schedule: "61 * * * *" is not a cron expression (bad minute)'),
        ({"check": "a", "valid_from": "2026-01-01 00:00"}, 'valid_from: "2026-01-01T00:00:00" has no offset'),
        ({"schedule": "0 3 * * *"}, 'needs "check"; add it.'),
        ({"check": "  "}, "check: is empty."),
    ],
)
def test_a_bad_row_is_told_with_its_place_field_and_value(row: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as refusal:
        check_entry(row, where="checks.csv line 7")
    assert str(refusal.value).startswith("checks.csv line 7")
    assert words in str(refusal.value)


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[store]\npaht = "x"', 'qpa.toml: [store] knows no "paht"; did you mean "path"?'),
        ("[stroe]", 'qpa.toml: it knows no "stroe"; did you mean "store"?'),
        ("[store]\npath = 5", "qpa.toml: [store]: path: 5 is not text; put it in quotes."),
        ('[store]\npath = ""', "qpa.toml: [store]: path: is empty."),
        ('[check]\ncheck = "a"', "qpa.toml: [check] can be there many times; write [[check]]."),
        ("[[store]]", "qpa.toml: [store] is a table of its own and only one; write [store] and its keys below it."),
        (
            '[report]\ntz = "Europe/Berln"',
            'qpa.toml: [report]: tz: "Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?',
        ),
        (
            '[[promise]]\nqueue = "mailers"',
            'qpa.toml: promise[1] "mailers" promises nothing; add oldest = "10 min", depth = 1000 or workers = 4.',
        ),
        (
            '[[promise]]\nqueue = "mailers"\nworkers = -1',
            'qpa.toml: promise[1] "mailers": workers: -1 is not a whole number from 0.',
        ),
        (
            '[[check]]\ncheck = "a"\n[[check]]\ncheck = "a"',
            'qpa.toml: check[2] "a": check[1] is the same check from the same time on; '
            "give one of them another valid_from.",
        ),
        (
            '[[route]]\nto = ["a"]\nescalate = { aftr = "5 min", to = ["b"] }',
            'qpa.toml: route[1] [escalate] needs "after"; add it.',
        ),
        (
            '[[route]]\nto = ["a"]\nbetween = "22-7"',
            'qpa.toml: route[1]: between: "22-7" is not two times of day; try "22:00-07:00".',
        ),
        ("a = = 3", 'qpa.toml: line 1, column 5: Invalid value; a text stands in quotes, as in tz = "UTC".'),
        ('[store]\npath = "x', "qpa.toml: end of the file: Unterminated string."),
        (b'# fine\nname = "\xff"', "qpa.toml: line 2: this is not UTF-8 text; save the file as UTF-8."),
        ("x = " + "[" * 5_000, "qpa.toml: its lists or tables are nested too deeply."),
        ("# " + "x" * 5_000_000, "qpa.toml has over 4 MB and is surely no qpa.toml."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_place_and_advice(toml: Path, text: str | bytes, line: str) -> None:
    assert mistake(toml, text) == line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('grace = "5 mins"', 'grace: "5 mins" is not a duration; try "5 min".'),
        ("grace = nan", "grace: nan is not a duration"),
        ("grace_s = inf", "grace_s: inf is not a duration"),
        ("early_s = -1", "early_s: -1 is a negative duration"),
        ('early = ""', 'early: "" is not a duration'),
        ("max_runtime = 0", "max_runtime: 0 is no time at all"),
        ("grace = true", "grace: true is not a duration"),
        ("grace = []", "grace: [] is not a duration"),
        ('grace = "1 min"\ngrace_s = 60', "grace is given twice, by two of its names; keep one."),
        ('grase = "1 min"', 'knows no "grase"; did you mean "grace"?'),
        ('colour = "red"', 'knows no "colour"; it knows check, name, tz, schedule,'),
        ('schedule = "61 * * * *"', 'schedule: "61 * * * *" is not a cron expression (bad minute)'),
        ('schedule = "0 0 30 2 *"', 'schedule: "0 0 30 2 *" never fires'),
        ('schedule = ""', "schedule: is empty."),
        ('schedule = "0 3 * * *"\ntz = "Mars/Olympus"', 'tz: "Mars/Olympus" is not a time zone'),
        ('severity = "high"', 'severity: "high" is not one of critical, warning, info.'),
        ("valid_from = 2026-01-01T00:00:00", 'has no offset; try "2026-01-01T00:00:00Z" if it is in UTC.'),
        ("valid_from = 07:00:00", "valid_from: 07:00:00 is not a time"),
        ('valid_from = "soon"', 'valid_from: "soon" is not a time; try "2026-11-24T07:00:00Z"'),
        ("valid_from = 1969-12-31", "valid_from: 1969-12-31 lies outside the years 1970 to 2261."),
        ("valid_to = 2262-01-01", "valid_to: 2262-01-01 lies outside the years 1970 to 2261."),
        ('valid_to = "0001-01-01T00:00:00+14:00"', "lies outside the years 1970 to 2261."),
        ("valid_from = 2026-01-02\nvalid_to = 2026-01-02", 'valid_to: "2026-01-02T00:00:00Z" is not after valid_from'),
        ('tags = ["db", 5]', "tags: 5 is not text"),
        ("tags = 5", "tags: 5 is not a list of texts"),
        ('name = "a\\u0000b"', r'name: "a\x00b" holds a character that is no text'),
    ],
)
def test_a_mistake_in_a_check_names_the_check_and_the_field(toml: Path, line: str, words: str) -> None:
    message = mistake(toml, f'[[check]]\ncheck = "first"\n[[check]]\ncheck = "backup-db"\n{line}\n')
    assert words in message
    assert 'check[2] "backup-db"' in message or "line 5" in message


def test_a_name_that_plays_with_the_terminal_is_escaped_in_a_message(toml: Path) -> None:
    message = mistake(toml, '[[check]]\ncheck = "\\u001b[31m\\u202eevil\\n"\ngrace = "\\u001b[0m"')
    assert r'check[1] "\x1b[31m\u202eevil\n"' in message
    assert "\x1b" not in message and "\u202e" not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/qpa\.toml: there is no such file; `qpa init` writes one"):
        load(tmp_path / "nowhere" / "qpa.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


keys = st.sampled_from(["check", "store", "source", "maintenance", "route", "grace", "cron", "from", "x"])
scalars = st.text("ab\n\"'=[]{}.:\x00é", max_size=6) | st.integers() | st.floats() | st.booleans()


@given(st.text("[]{}=\"'.,#\n abcxyz0123456789:-+\\", max_size=60) | st.binary(max_size=60))
@hypothesis_settings(max_examples=150, deadline=None)
def test_any_file_is_settings_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        load(path)
    except ConfigError as refusal:
        assert len(str(refusal).splitlines()) == 1


@given(
    st.dictionaries(
        keys,
        st.recursive(
            scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
        ),
        max_size=4,
    )
)
@hypothesis_settings(max_examples=150, deadline=None)
def test_any_row_is_an_entry_or_one_line(row: dict[str, object]) -> None:
    try:
        check_entry(row, where="row 1")
    except InputError as refusal:
        assert len(str(refusal).splitlines()) == 1


# Maintenance ----------------------------------------------------------------------------------------------------------


def test_a_maintenance_once_is_its_span_where_it_touches(toml: Path) -> None:
    text = '[[maintenance]]\nfrom = 2026-11-24T22:00:00+01:00\nuntil = "2026-11-25T02:00:00Z"'
    maintenance = read(toml, text).maintenance[0]
    start, end = us("2026-11-24T21:00Z"), us("2026-11-25T02:00Z")
    assert maintenance.spans(us("2026-11-24T00:00Z"), us("2026-11-26T00:00Z")) == [(start, end)]
    assert maintenance.spans(end - 1, end + MICRO) == [(start, end)]
    assert maintenance.spans(end, end + MICRO) == []
    assert maintenance.spans(start - MICRO, start) == []
    assert maintenance.spans(start - MICRO, start + 1) == [(start, end)]


def test_a_time_without_offset_is_taken_in_the_zone_of_the_maintenance_or_refused(toml: Path) -> None:
    once = '[[maintenance]]\nfrom = 2026-07-01T22:00:00\nfor = "90 min"\n'
    assert read(toml, once + 'tz = "Europe/Berlin"').maintenance[0].spans(0, us("2027-01-01T00:00Z")) == [
        (us("2026-07-01T20:00Z"), us("2026-07-01T21:30Z"))
    ]
    assert read(toml, once + 'tz = "UTC"').maintenance[0].spans(0, us("2027-01-01T00:00Z"))[0][0] == us(
        "2026-07-01T22:00Z"
    )
    assert 'maintenance[1]: from: "2026-07-01T22:00:00" has no offset' in mistake(toml, once)


def test_a_maintenance_comes_again_in_its_zone_and_lasts_elapsed_time(toml: Path) -> None:
    text = '[[maintenance]]\ncron = "0 2 * * SUN"\ntz = "Europe/Berlin"\nfor = "2 h"'
    weekly = read(toml, text).maintenance[0]
    # 02:00 CEST on 18 and 25 October (the clocks go back an hour later), 02:00 CET on 1 November.
    expected = [
        (us("2026-10-18T00:00Z"), us("2026-10-18T02:00Z")),
        (us("2026-10-25T00:00Z"), us("2026-10-25T02:00Z")),
        (us("2026-11-01T01:00Z"), us("2026-11-01T03:00Z")),
    ]
    assert weekly.spans(us("2026-10-12T00:00Z"), us("2026-11-02T00:00Z")) == expected
    assert weekly.spans(us("2026-10-18T01:59Z"), us("2026-10-25T00:00Z")) == expected[:1]
    assert weekly.spans(us("2026-10-18T02:00Z"), us("2026-10-25T00:00Z")) == []


def test_stretches_that_overlap_or_touch_are_one(toml: Path) -> None:
    text = '[[maintenance]]\ncron = "0 1-3 * * *"\nfor = "1 h"\n[[maintenance]]\ncron = "0,30 1 * * *"\nfor = "45 min"'
    touching, overlapping = read(toml, text).maintenance
    day = us("2026-11-24T00:00Z"), us("2026-11-25T00:00Z")
    assert touching.spans(*day) == [(us("2026-11-24T01:00Z"), us("2026-11-24T04:00Z"))]
    assert overlapping.spans(*day) == [(us("2026-11-24T01:00Z"), us("2026-11-24T02:15Z"))]


def test_a_maintenance_covers_by_name_or_by_tag_and_without_both_everything(toml: Path) -> None:
    every = '\nfrom = 2026-01-01\nfor = "1 h"\n'
    text = "".join(
        f"[[maintenance]]{every}{line}\n"
        for line in (
            'checks = ["backup-*", "sync"]',
            'check = "nightly job"',
            'tags = ["db"]',
            "",
            'check = "a"\ntags = ["db"]',
        )
    )
    globs, named, tagged, everything, either = read(toml, text).maintenance
    assert (
        globs.covers("backup-db") and globs.covers("sync") and not globs.covers("sync-2") and not globs.covers("Sync")
    )
    assert named.covers("nightly job") and not named.covers("nightly")
    assert tagged.covers("x", ["web", "db"]) and not tagged.covers("db", ["web"])
    assert everything.covers("anything")
    assert either.covers("a") and either.covers("b", ["db"]) and not either.covers("b")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('for = "2 h"', "has no beginning; add from = 2026-11-24T07:00:00Z or cron"),
        ('cron = "0 2 * * *"', 'has a cron but no length; add for = "2 h".'),
        ('cron = "0 2 * * *"\nfor = "0 s"', 'for: "0 s" is no time at all'),
        ('cron = "0 2 * * *"\nfor = "2 h"\nuntil = 2026-01-01', "has both cron and from or until; make it two tables."),
        ('cron = "every 15 min"\nfor = "2 h"', 'cron: "every 15 min" has no clock times'),
        ('cron = "0 25 * * *"\nfor = "2 h"', 'cron: "0 25 * * *" is not a cron expression (bad hour)'),
        ("from = 2026-01-01", 'needs until or for, one of them; add for = "2 h".'),
        ('from = 2026-01-01\nuntil = 2026-01-02\nfor = "1 d"', "needs until or for, one of them"),
        ("from = 2026-01-02\nuntil = 2026-01-01", 'until: "2026-01-01T00:00:00Z" is not after from, "2026-01-02T'),
    ],
)  # fmt: skip
def test_a_maintenance_that_has_no_beginning_or_end_is_refused(toml: Path, lines: str, words: str) -> None:
    message = mistake(toml, f"[[maintenance]]\n{lines}")
    assert message.startswith("qpa.toml: maintenance[1]") and words in message


# Secrets --------------------------------------------------------------------------------------------------------------


def test_a_secret_is_a_reference_until_it_is_resolved(toml: Path) -> None:
    text = '[[source]]\nname = "a"\nkind = "healthchecks"\napi_key = "env:KEY"\n[watch]\nping_url = "file:url.txt"'
    settings = read(toml, text)
    key, url = settings.source[0].api_key, settings.watch.ping_url
    assert key == Secret("env:KEY") and url == Secret("file:url.txt")
    (toml.parent / "url.txt").write_text("https://hc.example/hunter2\n")
    assert key.resolve({"KEY": "hunter2"}) == "hunter2"
    assert url.resolve({}, toml.parent) == "https://hc.example/hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {key!r} {url}"


def test_a_secret_that_is_not_there_says_where_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for reference, words in [
        ("env:KEY", "KEY is not set in the environment"),
        ("file:absent", "absent: qpa.toml takes a secret from this file, but: No such file"),
        ("file:empty", "empty is empty"),
        ("file:binary", "but: it is not text"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(words)):
            Secret(reference).resolve({"KEY": " "}, tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        '[[source]]\nname = "a"\nkind = "healthchecks"\napi_key = "hunter2"',
        '[[source]]\nname = "a"\nkind = "bullmq"\nurl = "redis://qpa:hunter2@10.0.0.5/3"',
        '[[source]]\nname = "a"\nkind = "bullmq"\nurl = "redis://:hunter2@10.0.0.5/3"',
        '[[channel]]\nname = "a"\nkind = "telegram"\ntoken = "env:hunter2 "\npassword = "hunter2"',
        '[watch]\nping_url = "https://hc.example/hunter2"',
        '[watch]\nping_url = ["hunter2"]',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(toml: Path, lines: str) -> None:
    message = mistake(toml, lines)
    assert "hunter2" not in message
    assert "env:NAME" in message


def test_reading_settings_imports_neither_pandas_nor_numpy_nor_duckdb() -> None:
    code = "import sys, qpanalytics.settings as s; s.load(); print({'numpy', 'pandas', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
