"""Files and rows that cannot be taken: one line that says what, where and what to do, and nothing taken."""

from __future__ import annotations

import bz2
import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from staging import connect, read, rows, whys, write

from qpanalytics.errors import InputError
from qpanalytics.sources.files import read_pings

HEAD = "check,received_at,kind\n"
GOOD = "a,1767225600,success\n"


def refusal(path: str | Path, *, skip_bad: bool = False) -> str:
    """What is said of the file, without its folder."""
    con = connect()
    with pytest.raises(InputError) as caught:
        read_pings(con, [path], mapping={}, skip_bad=skip_bad)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    assert con.execute("select table_name from duckdb_tables()").fetchall() == []
    folder = os.path.dirname(str(path))
    assert said.startswith(folder)
    return said.removeprefix(folder).lstrip("/")


# Whole files ----------------------------------------------------------------------------------------------------------

PACKED = gzip.compress(
    HEAD.encode() + b"".join(b"check-%d,%d,success\n" % (i, 1767225600 + i * i) for i in range(9999)), mtime=0
)  # equal test names in every process


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", b"", "is empty (0 bytes)"),
        ("p.csv", b"\n \n\n", "is empty"),
        ("p.csv", b"\xef\xbb\xbf", "is empty"),
        ("p.jsonl", b"\n", "is empty"),
        ("p.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("p.parquet", b"", "is empty (0 bytes)"),
        ("p.csv.gz", b"", "is empty (0 bytes)"),
        ("p.csv.gz", HEAD.encode(), "is named .gz but is not a gzip file; rename it or fetch it again"),
        ("p.csv.gz", PACKED[: len(PACKED) // 2], "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.gz", PACKED[:-4], "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.gz", PACKED[:5], "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.gz", damaged(PACKED, len(PACKED) // 2), "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.gz", damaged(PACKED, len(PACKED) - 6), "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.gz", PACKED + b"garbage", "the gzip file is cut off or damaged; fetch it again"),
        ("p.jsonl.gz", PACKED[:-9], "the gzip file is cut off or damaged; fetch it again"),
        ("p.csv.bz2", bz2.compress(HEAD.encode()), "is packed with bzip2; unpack it, or pack it with gzip"),
        ("p.csv", b"PK\x03\x04rest", "is a ZIP archive; unpack it, or pack it with gzip"),
        ("p.csv", HEAD.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("p.csv", b"\xff\xfe", "is UTF-16; save it as UTF-8"),
        ("p.csv", b"ch\xffeck,received_at\n", "line 1: is not UTF-8; save the file as UTF-8"),
        ("p.parquet", HEAD.encode(), "is named like a Parquet file but is not one"),
        ("p.parquet", b"PAR1" + b"x" * 100, "cannot be read: "),
        ("p.json", b'[{"check":"a"},\n{"check":}]', "line 2: is not valid JSON: Expecting value at column 10"),
        ("p.json", b'[{"check":"a"},\n', "is cut off: its list is not closed"),
        ("p.json", b'{\n"check":"a",\n"received_at":1767225600\n', "line 4: is not valid JSON"),
        ("p.json", b'[{"check":"a",\n"received_at":"\xff"}]', "line 2: is not UTF-8"),
        ("p.json", b'{\n"pings": [{"check":"a"}]}', 'has no column "check" and "received_at"; it has "pings"'),
        ("p.csv", b'check,received_at,"body"s\na,1767225600,\n', "line 1: the names of the columns: has a quote"),
        ("p.csv", b"x" * 3_000_000 + b"\n", "line 1: the names of the columns do not end within 1 MB"),
        ("p.csv", b'"' + b"x\n" * 600_000, "line 1: the names of the columns do not end within 1 MB"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_is_not_what_it_should_be_is_refused_as_a_whole(
    tmp_path: Path, name: str, content: bytes, said: str, skip_bad: bool
) -> None:
    assert said in refusal(write(tmp_path, content, name), skip_bad=skip_bad)


def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"check": ["a"] * 99, "received_at": [1767225600] * 99}), path)
    whole = path.read_bytes()

    assert "cannot be read" in refusal(write(tmp_path, whole[: len(whole) // 2], "cut.parquet"))
    assert "is a Parquet file inside gzip" in refusal(write(tmp_path, gzip.compress(whole), "p.parquet.gz"))


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")

    assert refusal(tmp_path / "missing.csv") == "missing.csv: there is no such file"
    assert refusal(f"{tmp_path}/*.csv") == "*.csv: no file matches this pattern"
    assert refusal(tmp_path / "folder").startswith("folder: is a directory; name its files, for example ")
    assert refusal(tmp_path / "pipe") == "pipe: is not a regular file; write the rows to one first"
    assert refusal(tmp_path / "nowhere") == "nowhere: there is no such file"
    assert refusal(f"{tmp_path}/" + "x" * 300) == f"{'x' * 300}: there is no such file"
    assert refusal(f"{tmp_path}/a\nb\x1b.csv") == r"a\nb\x1b.csv: there is no such file"
    with pytest.raises(InputError, match="the empty path: there is no such file"):
        read_pings(connect(), [""], mapping={}, skip_bad=False)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.csv")
    with open(path, "wb") as file:
        file.write((HEAD + GOOD).encode())

    assert refusal(os.fsdecode(path)) == r"caf\udce9.csv: its name is not UTF-8; rename it"


def test_a_refused_file_leaves_nothing_of_the_files_before_it(tmp_path: Path) -> None:
    write(tmp_path, HEAD + GOOD, "1.csv")
    write(tmp_path, "", "2.csv")

    assert refusal(f"{tmp_path}/*.csv") == "2.csv: is empty (0 bytes)"


# Bad rows -------------------------------------------------------------------------------------------------------------


def test_the_first_bad_row_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD + "b,2026-01-01T00:00:00,start\n" + GOOD)

    assert refusal(path) == (
        'pings.csv line 3: received_at: "2026-01-01T00:00:00" has no UTC offset; add Z or +01:00; '
        "nothing was imported. Fix it, or leave the row out with --skip-bad"
    )


def test_the_other_bad_rows_are_counted_over_all_files(tmp_path: Path) -> None:
    write(tmp_path, HEAD + GOOD + ",1767225600,\n" * 25, "1.csv")
    write(tmp_path, HEAD + "b,1767225600,maybe\n" + "c\n" * 1000, "2.csv")

    assert refusal(f"{tmp_path}/*.csv") == (
        '1.csv line 3: check: "" is empty (and 1,025 more bad rows); '
        "nothing was imported. Fix them, or leave such rows out with --skip-bad"
    )


def test_good_rows_are_kept_and_bad_ones_counted_where_they_may_be_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD + ",1767225600,\nb,soon,\nc,1767225601,maybe\nd,1767225602,fail\n")

    found, staged = read(path, "row_no, check_name, kind", skip_bad=True)

    assert found == [(1, "a", "success"), (5, "d", "fail")]
    assert [(file.rows, file.skipped) for file in staged.files] == [(2, 3)]
    assert [(bad.line, bad.field, bad.value) for bad in staged.bad] == [
        (3, "check", ""), (4, "received_at", "soon"), (5, "kind", "maybe"),
    ]  # fmt: skip
    assert {bad.file for bad in staged.bad} == {str(path)}


def test_twenty_bad_rows_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    lines = [f"{'a' if i % 3 else ''},1767225600,\n" if i % 5 else "torn\n" for i in range(1, 301)]

    _, staged = read(write(tmp_path, HEAD + "".join(lines)), skip_bad=True)

    # Every third has no check, every fifth is torn, both every fifteenth: 100 + 60 - 20.
    assert staged.skipped == 140
    bad = [i for i in range(1, 301) if i % 3 == 0 or i % 5 == 0]
    assert [row.line for row in staged.bad] == [i + 1 for i in bad[:20]]
    assert [row.field for row in staged.bad] == ["" if i % 5 == 0 else "check" for i in bad[:20]]


def test_a_file_of_bad_rows_only_is_worth_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "b,soon,\n" * 3)

    assert read(path, skip_bad=True)[1].warnings == [f"{path}: none of its 3 rows could be taken"]


def test_lines_that_cannot_be_parted_are_bad_rows(tmp_path: Path) -> None:
    content = (HEAD + "a,1767225600\n" + "b,1767225600,start,extra,more\n").encode()
    content += b"c\xff,1767225600,\n" + b'"d"e,1767225600,\n' + GOOD.encode() + b'f,1767225600,"open\n' + GOOD.encode()

    found, staged = read(write(tmp_path, content), "check_name", skip_bad=True)

    assert found == [("a",)]
    assert whys(staged) == [
        (2, "", "has only 2 of the 3 values that the header names"),
        (3, "", "has more values than the 3 columns of the header; put quotes around a value with the delimiter"),
        (4, "", "is not UTF-8"),
        (5, "", "has a quote that is not closed, or text after a closing quote"),
        (7, "", "has a quote that is not closed, or text after a closing quote; 2 lines are left out with it"),
    ]
    assert staged.skipped == 5


def test_the_line_is_that_of_an_editor_also_after_empty_lines_and_quoted_line_ends(tmp_path: Path) -> None:
    for ending in ("\n", "\r\n", "\r"):
        lines = [
            "",
            "check,received_at,body",
            "",
            "a,1767225600,",
            '"b',
            'c",1767225600,"x',
            "",
            'y"',
            "torn",
            "  ",
            "",
            "d,soon,",
        ]

        found, staged = read(write(tmp_path, ending.join(lines)), "check_name", skip_bad=True)

        assert found == [("a",), (f"b{ending}c",)]
        assert [(bad.line, bad.value) for bad in staged.bad] == [(9, "torn"), (10, "  "), (12, "soon")]


def test_lines_of_json_keep_their_numbers(tmp_path: Path) -> None:
    good = '{"check":"a","received_at":1767225600}'
    lines = ["", good, "{torn", "", "[1]", "7", '"text"', "null", "{}", '{"check":{"x":1},"received_at":1767225600}',
             '{"check":"a","received_at":[1]}', good + good, '{"check":"\\ud800","received_at":1767225600}', "7\x017",
             '{"check":"a\\u0000","received_at":1767225600}', good]  # fmt: skip
    content = "\n".join(lines).encode() + b'\n{"check":"\xff"}\n{"check":"last"}\n'

    found, staged = read(write(tmp_path, content, "p.jsonl"), "row_no, check_name", skip_bad=True)

    assert [name for _, name in found] == ["a", "a"]
    assert whys(staged) == [
        (3, "", "is not valid JSON"),
        (5, "", "is not a JSON object with the fields of one ping"),
        (6, "", "is not a JSON object with the fields of one ping"),
        (7, "", "is not a JSON object with the fields of one ping"),
        (8, "", "is not a JSON object with the fields of one ping"),
        (9, "check", "is empty"),
        (10, "check", "is a JSON object or list, not a text"),
        (11, "received_at", "is not a time; write 2026-01-31T07:00:00Z or epoch seconds"),
        (12, "", "is not valid JSON"),
        (13, "", "is not valid JSON"),
        (14, "", "is not valid JSON"),
        (15, "check", "holds a NUL byte"),
        (17, "", "is not UTF-8"),
        (18, "received_at", "is empty"),
    ]
    assert staged.skipped == 14


def test_a_row_of_a_json_list_is_a_record(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"check":"a","received_at":1767225600},\n\n{"check":"b","received_at":"soon"}]', "p.json")

    assert refusal(path).startswith('p.json record 2: received_at: "soon" is not a time')


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_line_of_ten_megabytes_is_one_bad_row(tmp_path: Path, name: str) -> None:
    lines = {
        "p.csv": (HEAD, "a,1767225600,\n", "x" * 10_000_000 + ",1767225600,\n"),
        "p.jsonl": ("", '{"check":"a","received_at":1767225600}\n', '{"check":"%s"}\n' % ("x" * 10_000_000)),
    }
    head, good, long = lines[name]

    found, staged = read(write(tmp_path, head + good + long + good, name), "check_name", skip_bad=True)

    assert found == [("a",), ("a",)]
    assert whys(staged) == [(2 + bool(head), "", "is longer than 2 MB")]
    assert len(str(staged.bad[0])) < 300


def test_a_line_of_forty_megabytes_is_refused_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD + "x" * 40_000_000 + ",1767225600,\n" + GOOD)

    assert refusal(path, skip_bad=True) == "pings.csv: has a line of 40 MB; cut it to 2 MB"


def test_a_quote_that_is_never_closed_is_one_bad_row_and_takes_no_more_than_two_megabytes_with_it(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD + '"' + GOOD * 200_000 + "last,1767225600,\n")

    found, staged = read(path, "check_name", skip_bad=True)

    assert staged.bad[0].line == 3
    assert staged.bad[0].why.startswith("has a value longer than 2 MB, or a quote that is not closed; 95,23")
    assert found[-1] == ("last",)
    # A line has 21 bytes: some 95,238 of them go with the quote, and the other 104,762 are kept.
    assert abs(len(found) - 104_764) < 5
    assert staged.skipped == 1


def test_a_quote_left_open_at_the_end_is_a_bad_row(tmp_path: Path) -> None:
    for tail in ('b,1767225600,"open', 'b,1767225600,"open\n', 'b,1767225600,"open\n\n"a,1767225600,\n', '"'):
        found, staged = read(write(tmp_path, HEAD + GOOD + tail), "check_name", skip_bad=True)

        assert found == [("a",)]
        assert [(bad.line, bad.field) for bad in staged.bad] == [(3, "")]
        assert staged.bad[0].why.startswith("has a quote that is not closed, or text after a closing quote")


def test_values_in_quotes_may_follow_a_space(tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, 'check, received_at, body\n"a,b", "1767225600", "x, y"\n'), "check_name, body")

    assert found == [("a,b", "x, y")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_lines_may_end_in_two_ways(tmp_path: Path, quote: str) -> None:
    content = f"check,received_at,body\r\na,1767225600,{quote}x{quote}\n\nb,soon,\r\nc,1767225600,{quote}y{quote}\r\n"

    found, staged = read(write(tmp_path, content), "row_no, check_name, body", skip_bad=True)

    assert found == [(2, "a", "x"), (5, "c", "y")]
    assert [bad.line for bad in staged.bad] == [4]


def test_lines_of_json_may_end_in_two_ways(tmp_path: Path) -> None:
    good = '{"check":"a","received_at":1767225600}'
    content = f"{good}\n\r\n{good}\r\nno\n".encode() + b'{"check":"\xff"}\n{"check":"%s"}\r\n' % (b"x" * 2_100_000)

    found, staged = read(write(tmp_path, content, "p.jsonl"), "row_no, check_name", skip_bad=True)

    assert found == [(1, "a"), (3, "a")]
    assert whys(staged) == [
        (4, "", "is not valid JSON"), (5, "", "is not UTF-8"), (6, "", "is longer than 2 MB"),
    ]  # fmt: skip


def test_a_carriage_return_in_the_middle_of_a_line_is_refused_for_it_may_be_one_row_or_two(tmp_path: Path) -> None:
    _, staged = read(write(tmp_path, HEAD + "a\rb,1767225600,\n" + GOOD), skip_bad=True)

    assert whys(staged) == [(2, "", "has a carriage return outside quotes")]


def test_an_odd_number_of_quotes_inside_plain_values_is_no_open_quote(tmp_path: Path) -> None:
    content = HEAD + '5"disk,1767225600,fail\n' + '"a",1767225600,\n' * 100_000

    assert read(write(tmp_path, content), "check_name")[0] == [(chr(53) + chr(34) + "disk",)] + [("a",)] * 100_000


# Transactions ---------------------------------------------------------------------------------------------------------


def test_inside_a_transaction_rows_keep_their_numbers_and_bad_ones_their_lines(tmp_path: Path) -> None:
    con = connect()
    con.execute("begin")

    staged = read_pings(
        con,
        [write(tmp_path, HEAD + "a,1767225600,\nb,soon,\nc,1767225600,\n"),
         write(tmp_path, '{"check":"d","received_at":1767225600}\nno\n', "p.jsonl")],
        mapping={},
        skip_bad=True,
    )  # fmt: skip

    assert rows(con, "file_no, row_no, check_name") == [(0, 1, "a"), (0, 3, "c"), (1, 1, "d")]
    assert [bad.line for bad in staged.bad] == [3, 2]


def test_a_file_that_cannot_be_read_is_told_also_inside_a_transaction_which_then_can_be_rolled_back(
    tmp_path: Path,
) -> None:
    con = connect()
    con.execute("create table kept as select 1 as one")
    con.execute("begin")
    con.execute("insert into kept values (2)")

    with pytest.raises(InputError, match=r"p\.json line 1: is not valid JSON"):
        read_pings(con, write(tmp_path, '[{"check":}]', "p.json"))

    con.execute("rollback")
    assert con.execute("from kept").fetchall() == [(1,)]
    assert con.execute("select table_name from duckdb_tables()").fetchall() == [("kept",)]
