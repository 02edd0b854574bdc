"""Which files are read: CSV of all kinds, JSON, Parquet, packed or not, one or many, and how their columns are found."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from staging import connect, read, rows, whys, write

from qpanalytics.errors import InputError
from qpanalytics.sources.files import read_pings

BRIEF = "check_name, received_at::varchar, kind, duration_s"
NEW_YEAR = "2026-01-01 00:00:00+00"


# CSV ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "check,received_at,kind,duration_s\na,1767225600,fail,1.5\n",
        "check;received_at;kind;duration_s\na;1767225600;fail;1.5\n",
        "check\treceived_at\tkind\tduration_s\na\t1767225600\tfail\t1.5\n",
        "\ufeffcheck,received_at,kind,duration_s\na,1767225600,fail,1.5\n",
        '\ufeff"check","received_at","kind","duration_s"\r\n"a","1767225600","fail","1.5"\r\n',
        "check,received_at,kind,duration_s\r\na,1767225600,fail,1.5\r\n",
        "check,received_at,kind,duration_s\ra,1767225600,fail,1.5\r",
        "check,received_at,kind,duration_s\na,1767225600,fail,1.5",
        "\n\ncheck,received_at,kind,duration_s\n\na,1767225600,fail,1.5\n\n\n",
        " Check , Received_At ,KIND,duration_s\na,1767225600,fail,1.5\n",
        "duration_s,kind,received_at,check\n1.5,fail,1767225600,a\n",
        'check,received_at,kind,duration_s,"a note\nover two lines"\r\na,1767225600,fail,1.5,\r\n',
        "check,received_at,kind,duration_s,\na,1767225600,fail,1.5,\n",  # a comma after each line
        'check;received_at;kind;duration_s;"x,y,z"\na;1767225600;fail;1.5;\n',
    ],
)
def test_the_usual_dialects_of_csv_say_the_same(tmp_path: Path, content: str) -> None:
    found, staged = read(write(tmp_path, content), BRIEF)

    assert found == [("a", NEW_YEAR, "fail", 1.5)]
    assert staged.skipped == 0


def test_quotes_hold_delimiters_line_ends_and_quotes(tmp_path: Path) -> None:
    content = 'check,received_at,body\n"a,b",1767225600,"He said ""no"".\r\nTwice."\n5"disk,1767225600,plain\n'

    assert read(write(tmp_path, content), "check_name, body")[0] == [
        ("a,b", 'He said "no".\r\nTwice.'),
        ('5"disk', "plain"),
    ]


def test_two_equal_rows_are_two_rows(tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, "check,received_at\na,1767225600\na,1767225600\n"), "check_name, row_no")

    assert found == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("name", ["pings.csv.gz", "pings.CSV.GZ", "pings.csv", "pings"])
def test_a_packed_file_is_known_by_what_is_in_it(tmp_path: Path, name: str) -> None:
    packed = gzip.compress(b"check,received_at\na,1767225600\n") + gzip.compress(b"b,1767225600\n")

    assert read(write(tmp_path, packed, name), "check_name")[0] == [("a",), ("b",)]


def test_a_header_without_rows_is_no_mistake_but_worth_a_warning(tmp_path: Path) -> None:
    for content in ("check,received_at\n", "check,received_at", "check,received_at\n\n\n"):
        path = write(tmp_path, content)
        found, staged = read(path)
        assert found == []
        assert staged.warnings == [f"{path}: has no rows"]
        assert [(file.rows, file.skipped) for file in staged.files] == [(0, 0)]


# Columns --------------------------------------------------------------------------------------------------------------


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    path = write(tmp_path, "job name,ts,check\nbackup,1767225600,42\n")

    found, staged = read(path, "check_name, received_at::varchar", mapping={"job name": "check", "ts": "received_at"})

    assert found == [("backup", NEW_YEAR)]
    assert staged.warnings == ['"check" is not a column of ping files and was ignored']


def test_columns_may_change_places(tmp_path: Path) -> None:
    path = write(tmp_path, "check,host,received_at\na,b,1767225600\n")

    assert read(path, "check_name, host", mapping={"check": "host", "host": "check"})[0] == [("b", "a")]


def test_a_mapped_column_has_no_second_meaning(tmp_path: Path) -> None:
    path = write(tmp_path, "check,received_at\na,1767225600\n")

    with pytest.raises(InputError, match='has no column "check"; it has "check", "received_at"'):
        read(path, mapping={"check": "host"})


def test_unknown_columns_of_all_files_are_named_in_one_warning(tmp_path: Path) -> None:
    write(tmp_path, "check,received_at,note,colour\na,1767225600,x,y\n", "1.csv")
    write(tmp_path, '{"check":"a","received_at":1767225600,"note":1,"size":2}\n', "2.jsonl")

    staged = read_pings(connect(), f"{tmp_path}/*")

    assert staged.warnings == ['"note", "colour", "size" are not columns of ping files and were ignored']


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"when": "received_at"}, 'has no column "when" to map; it has "check", "ts"'),
        ({}, 'has no column "received_at"; it has "check", "ts". Say which it is with --map THEIRS=received_at'),
        ({"ts": "received"}, '--map ts=received: "received" is none of check, received_at, kind, '),
        ({"ts": "received_at", "check": "received_at"}, 'cannot all be "received_at"'),
        ({"ts": "at\n"}, r"--map ts=at\n: "),
    ],
)
def test_a_mapping_that_fits_nothing_says_what_there_is(tmp_path: Path, mapping: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, "check,ts\na,1767225600\n"), mapping=mapping)

    assert said in str(caught.value)


def test_a_file_that_lacks_both_columns_names_both(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, "name,when\na,1767225600\n"))

    assert str(caught.value).endswith(
        'has no column "check" and "received_at"; it has "name", "when". '
        "Say which it is with --map THEIRS=check --map THEIRS=received_at"
    )


@pytest.mark.parametrize("first", ["backup,2026-01-01T00:00:00Z,success", "backup;1767225600", "2026-01-01 00:00:00,b"])
def test_a_file_without_header_is_recognised(tmp_path: Path, first: str) -> None:
    with pytest.raises(InputError, match="has no header: its first line looks like data"):
        read(write(tmp_path, f"{first}\n{first}\n"))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='has 2 columns named "check"'):
        read(write(tmp_path, "check,received_at,check\na,1767225600,b\n"))


# JSON -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"check":"a","received_at":1767225600.25}\n{"check":"b","received_at":"2026-01-01T00:00:00Z"}\n'),
        ("p.ndjson", '{"check":"a","received_at":1767225600.25}\r\n{"check":"b","received_at":1767225600}'),
        ("p.json", '{"check":"a","received_at":1767225600.25}\n\n{"received_at":1767225600,"check":"b"}\n'),
        ("p.json", '[{"check":"a","received_at":1767225600.25},{"check":"b","received_at":1767225600}]'),
        ("p.json", ' [\n {\n  "check": "a",\n  "received_at": 1767225600.25\n },\n {"check":"b","received_at":"1767225600"}]'),
        ("p.json", '{\n"check":"a",\n"received_at":1767225600.25}\n{\n"check":"b",\n"received_at":1767225600}\n'),
        ("pings", '{"check":"a","received_at":1767225600.25}\n{"check":"b","received_at":1767225600}\n'),
        ("p.jsonl", '\ufeff{"check":"a","received_at":1767225600.25}\n{"check":"b","received_at":1767225600}\n'),
        ("p.json", '\ufeff[{"check":"a","received_at":1767225600.25},{"check":"b","received_at":1767225600}]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_json_comes_by_the_line_as_a_list_or_as_objects(tmp_path: Path, name: str, content: str, packed: bool) -> None:
    data = gzip.compress(content.encode()) if packed else content.encode()

    found, _ = read(write(tmp_path, data, name + ".gz" * packed), "check_name, received_at::varchar")

    assert found == [("a", "2026-01-01 00:00:00.25+00"), ("b", NEW_YEAR)]


def test_values_of_json_may_be_numbers_texts_or_null(tmp_path: Path) -> None:
    content = (
        '{"check":"a\\nb","received_at":1767225600.000001,"kind":3,"n":7,"duration_s":1.5,"run_id":null,"body":{"x":[1]}}\n'
        '{"check":"{curly","received_at":"1767225600","kind":"START","duration_s":"2","run_id":"","host":"h"}\n'
    )

    found, _ = read(write(tmp_path, content, "p.jsonl"))

    assert found == [
        ("a\nb", "2026-01-01 00:00:00.000001+00", "fail", 7, None, 1.5, 3, None, '{"x":[1]}'),
        ("{curly", NEW_YEAR, "start", None, None, 2.0, None, "h", None),
    ]


def test_keys_of_json_are_columns_whatever_they_are_called(tmp_path: Path) -> None:
    content = '{"a/b~c":"x","$.t":1767225600}\n{"a/b~c":"y","$.t":1767225601,"say \\"hi\\"":4}\n'
    mapping = {"a/b~c": "check", "$.t": "received_at", 'say "hi"': "duration_s"}

    found, _ = read(write(tmp_path, content, "p.jsonl"), "check_name, duration_s", mapping=mapping)

    assert found == [("x", None), ("y", 4.0)]


def test_json_without_rows_is_worth_a_warning(tmp_path: Path) -> None:
    _, staged = read(write(tmp_path, "[]", "p.json"))

    assert [warning.split(": ")[1] for warning in staged.warnings] == ["has no rows"]


# Parquet --------------------------------------------------------------------------------------------------------------


def parquet(folder: Path, name: str = "p.parquet", **columns: Any) -> Path:
    table = {"check": ["a"], "received_at": [1767225600]} | columns
    path = folder / name
    pq.write_table(pa.table(table), path)
    return path


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (pa.array([NOON], pa.timestamp("us", "UTC")), "2026-01-31 12:00:00.123456+00"),
        (pa.array([NOON], pa.timestamp("ns", "Europe/Berlin")), "2026-01-31 12:00:00.123456+00"),
        (pa.array([NOON.replace(microsecond=0)], pa.timestamp("ms", "UTC")), "2026-01-31 12:00:00+00"),
        (pa.array([1767225600], pa.int64()), NEW_YEAR),
        (pa.array([1767225600], pa.uint32()), NEW_YEAR),
        (pa.array([1767225600.000001], pa.float64()), "2026-01-01 00:00:00.000001+00"),
        (pa.array([Decimal("1767225600.123456")]), "2026-01-01 00:00:00.123456+00"),
        (pa.array(["2026-01-31T12:00:00+01:00"]), "2026-01-31 11:00:00+00"),
        (pa.array(["2026-01-31T12:00:00Z"]).dictionary_encode(), "2026-01-31 12:00:00+00"),
    ],
)
def test_instants_of_parquet_are_taken_where_their_type_is_certain(tmp_path: Path, values: pa.Array, meant: str) -> None:
    assert read(parquet(tmp_path, received_at=values), "received_at::varchar")[0] == [(meant,)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), "is timestamp; without a time zone nobody knows"),
        (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns")), "is timestamp_ns; without a time zone nobody"),
        (pa.array([date(2026, 1, 31)]), "is date; write it as a timestamp in UTC"),
        (pa.array([1767225600.0], pa.float32()), "is float; it rounds epoch seconds to minutes"),
        (pa.array([b"2026"]), "is blob; write it as a timestamp in UTC"),
        (pa.array([[1]]), "is bigint[]; write it as a timestamp in UTC"),
    ],
)
def test_other_types_of_instants_are_refused_with_what_to_write(tmp_path: Path, values: pa.Array, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(parquet(tmp_path, received_at=values))

    assert f'column "received_at" {said}' in str(caught.value)


def test_the_other_columns_of_parquet_may_be_numbers(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        check=pa.array([17]),
        kind=pa.array([2], pa.int8()),
        n=pa.array([5.0]),
        duration_s=pa.array([1.25], pa.float32()),
        run_id=pa.array([99]),
        host=pa.array([None]),
        body=pa.array([""]),
    )

    assert read(path)[0] == [("17", NEW_YEAR, "fail", 5, "99", 1.25, 2, None, None)]


def test_a_structure_is_no_name(tmp_path: Path) -> None:
    for values, type_ in ((pa.array([{"x": 1}]), "struct(x bigint)"), (pa.array([b"a"]), "blob")):
        with pytest.raises(InputError) as caught:
            read(parquet(tmp_path, check=values))
        assert f'column "check" is {type_}; write it as text or numbers' in str(caught.value)


def test_a_bad_row_of_parquet_is_counted_from_one(tmp_path: Path) -> None:
    times = pa.array([NOON, datetime(1969, 12, 31, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    path = parquet(tmp_path, check=["a", "b", "c"], received_at=times)

    found, staged = read(path, "check_name", skip_bad=True)

    assert found == [("a",)]
    assert [str(bad).split("p.parquet ")[1] for bad in staged.bad] == [
        'row 2: received_at: "1969-12-31 00:00:00+00" lies outside 1970-01-02 to 2261-12-31',
        'row 3: received_at: "" is empty',
    ]


def test_columns_of_parquet_are_mapped_whatever_they_are_called(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({'the "check"; --': ["a"], "when it came": [1767225600]}), path)
    mapping = {'the "check"; --': "check", "when it came": "received_at"}

    assert read(path, "check_name, received_at::varchar", mapping=mapping)[0] == [("a", NEW_YEAR)]


# Paths ----------------------------------------------------------------------------------------------------------------

ODD = ["it's.csv", 'say "hi".csv', "two words.csv", "a[1].csv", "a*.csv", "what?.csv", "~home.csv", "k=v.csv", "ü🐘.csv",
       "semi;colon.csv", "$path.csv", "-rf.csv", "{a,b}.csv"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_path_is_the_file_of_that_name_and_no_pattern(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "year=2026 [it's]"
    folder.mkdir()
    write(folder, "check,received_at\nwrong,1767225600\n", "a1.csv")
    write(folder, "check,received_at\nwrong,1767225600\n", "what1.csv")
    path = write(folder, "check,received_at\nright,1767225600\n", name)

    found, staged = read(path, "check_name")

    assert found == [("right",)]
    assert [file.path for file in staged.files] == [str(path)]


def test_a_backslash_in_a_path_is_read_or_refused_but_never_another_file(tmp_path: Path) -> None:
    write(tmp_path, "check,received_at\nwrong,1767225600\n", "aXb[1].csv")
    plain = write(tmp_path, "check,received_at\nright,1767225600\n", "a\\b.csv")
    both = write(tmp_path, "check,received_at\nright,1767225600\n", "a\\b[1].csv")

    assert read(plain, "check_name")[0] == [("right",)]
    with pytest.raises(InputError, match="rename it"):
        read(both)


def test_files_are_read_in_the_order_given_and_patterns_by_name_each_file_once(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path, f"check,received_at\n{name}1,1767225600\n{name}2,1767225600\n", f"{name}.csv")
    (tmp_path / "d.csv").mkdir()
    con = connect()

    staged = read_pings(con, [tmp_path / "c.csv", f"{tmp_path}/*.csv", f"{tmp_path}/./a.csv"])

    assert [Path(file.path).name for file in staged.files] == ["c.csv", "a.csv", "b.csv"]
    assert rows(con, "file_no, row_no, check_name") == [
        (0, 1, "c1"), (0, 2, "c2"), (1, 1, "a1"), (1, 2, "a2"), (2, 1, "b1"), (2, 2, "b2"),
    ]  # fmt: skip


def test_a_pattern_reaches_into_folders(tmp_path: Path) -> None:
    (tmp_path / "2026" / "01").mkdir(parents=True)
    write(tmp_path / "2026" / "01", "check,received_at\na,1767225600\n")

    assert read_pings(connect(), f"{tmp_path}/**/*.csv").rows == 1


def test_files_of_different_kinds_are_read_together(tmp_path: Path) -> None:
    write(tmp_path, "check,received_at\na,1767225600\n", "1.csv")
    write(tmp_path, '{"received_at":1767225600,"check":"b"}', "2.jsonl")
    parquet(tmp_path, "3.parquet", check=["c"])
    con = connect()

    read_pings(con, f"{tmp_path}/*")

    assert rows(con, "check_name") == [("a",), ("b",), ("c",)]


def test_the_digest_is_that_of_the_bytes_on_disk(tmp_path: Path) -> None:
    packed = gzip.compress(b"check,received_at\na,1767225600\n")
    _, staged = read(write(tmp_path, packed, "p.csv.gz"))

    assert staged.files[0].digest == hashlib.sha256(packed).hexdigest()


def test_a_second_call_begins_afresh(tmp_path: Path) -> None:
    con = connect()
    read_pings(con, write(tmp_path, "check,received_at\na,1767225600\n", "1.csv"))
    read_pings(con, write(tmp_path, "check,received_at\nb,1767225600\n", "2.csv"))

    assert rows(con, "file_no, check_name") == [(0, "b")]


def test_nothing_but_the_staged_rows_is_left_behind(tmp_path: Path) -> None:
    con = connect()
    before = con.execute("select name, value from duckdb_settings() order by name").fetchall()

    read_pings(con, write(tmp_path, "check,received_at\na,1767225600\nb\n"), skip_bad=True)

    assert con.execute("select table_name from duckdb_tables()").fetchall() == [("staged_pings",)]
    assert con.execute("select name, value from duckdb_settings() order by name").fetchall() == before


def test_instants_are_the_same_in_every_time_zone_of_the_reader(tmp_path: Path) -> None:
    con = connect()
    con.execute("set timezone = 'Asia/Kathmandu'")
    read_pings(con, write(tmp_path, "check,received_at\na,2026-01-01T00:00:00Z\na,1767225600\n"))

    found = con.execute("select distinct epoch_us(received_at) from staged_pings").fetchall()
    assert found == [(int(timedelta(seconds=1767225600) / timedelta(microseconds=1)),)]


def test_bad_rows_of_several_files_are_counted_by_file(tmp_path: Path) -> None:
    write(tmp_path, "check,received_at\na,1767225600\n,1767225600\n", "1.csv")
    write(tmp_path, '{"check":"b","received_at":1767225600}\nno\nno\n', "2.jsonl")

    staged = read_pings(connect(), f"{tmp_path}/*", skip_bad=True)

    assert [(file.rows, file.skipped) for file in staged.files] == [(1, 1), (1, 2)]
    assert (staged.rows, staged.skipped) == (2, 3)
    assert whys(staged) == [(3, "check", "is empty"), (2, "", "is not valid JSON"), (3, "", "is not valid JSON")]
