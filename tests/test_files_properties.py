"""Random files against what they were written from, and random nonsense against a slow and plain reading of it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from staging import connect, rows, write

from qpanalytics.errors import InputError
from qpanalytics.sources.files import delimited, read_pings
from qpanalytics.sources.files.look import look

EASY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda name: name.strip() != ""
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


CON = connect()  # opening one takes longer than reading a small file


def read_back(path: Path, columns: str) -> list[tuple[object, ...]]:
    read_pings(CON, [path], mapping={})
    return rows(CON, columns)


@EASY
@given(
    st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.booleans(),
    st.booleans(),
)
@example([('"', "")], ",", "\n", csv.QUOTE_MINIMAL, False, False)
@example([("\ufeff", "\r")], ",", "\r\n", csv.QUOTE_MINIMAL, True, False)
def test_what_the_csv_module_writes_is_read_back_the_same(
    tmp_path: Path,
    written: list[tuple[str, str]],
    delimiter: str,
    ending: str,
    quoting: int,
    bom: bool,
    packed: bool,
) -> None:
    # The module leaves a carriage return without quotes where lines end in LF alone, and cannot read it back itself.
    assume(ending == "\r\n" or quoting != csv.QUOTE_MINIMAL or not any("\r" in name + body for name, body in written))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["check", "received_at", "body"])
    writer.writerows((name, 1_767_225_600, body) for name, body in written)
    data = ("\ufeff" * bom + text.getvalue()).encode()

    path = write(tmp_path, gzip.compress(data) if packed else data, "p.csv")

    assert read_back(path, "check_name, body") == [(name.strip(), body or None) for name, body in written]


@EASY
@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=12), st.booleans(), st.booleans())
def test_what_the_json_module_writes_is_read_back_the_same(
    tmp_path: Path, written: list[tuple[str, str]], ascii_only: bool, as_list: bool
) -> None:
    objects = [{"check": name, "body": body, "received_at": 1_767_225_600} for name, body in written]
    lines = [json.dumps(one, ensure_ascii=ascii_only) for one in objects]
    content = json.dumps(objects, ensure_ascii=ascii_only, indent=1) if as_list else "\n".join(lines)

    path = write(tmp_path, content, "p.json" if as_list else "p.jsonl")

    assert read_back(path, "check_name, body") == [(name.strip(), body or None) for name, body in written]


FIRST, LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2261, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
INSTANTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(lambda at: at.replace(tzinfo=UTC))
MICROSECOND = timedelta(microseconds=1)


@EASY
@given(st.lists(st.tuples(INSTANTS, st.integers(-14 * 60, 14 * 60)), min_size=1, max_size=30))
@example([(FIRST, 0), (LAST, -840), (LAST, 840)])
def test_instants_keep_their_microseconds(tmp_path: Path, written: list[tuple[datetime, int]]) -> None:
    texts = []
    for at, minutes in written:
        micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
        texts += [
            at.astimezone(timezone(timedelta(minutes=minutes))).isoformat(),
            f"{micros // 1_000_000}.{micros % 1_000_000:06d}",
            f"{micros // 1_000_000}.{micros % 1_000_000:06d}999",
        ]
    path = write(tmp_path, "check,received_at\n" + "".join(f"a,{text}\n" for text in texts))

    found = read_back(path, "epoch_us(received_at)")

    assert found == [
        ((at - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND,) for at, _ in written for _ in range(3)
    ]  # fmt: skip


# Nonsense -------------------------------------------------------------------------------------------------------------


def plainly(data: bytes) -> tuple[list[list[str]], list[int]]:
    """The rows of three values and the lines of what is none, character by character; the first record is the header.

    A quote opens at the beginning of a value only; after the quote that closes it the value must end. What breaks this
    is dropped up to the end of its line, and an open quote takes all the rest.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    good: list[list[str]] = []
    bad: list[int] = []
    at, line = 0, 1
    while at < len(text):
        begun, values, value, state = line, [], "", "begin"
        ended = False
        while at < len(text) and not ended:
            char = text[at]
            at += 1
            line += char == "\n"
            if state == "quoted":
                if char == '"' and text[at : at + 1] == '"':
                    value, at = value + '"', at + 1
                elif char == '"':
                    state = "closed"
                else:
                    value += char
            elif char == "\n":
                ended = True
            elif state == "broken":
                pass
            elif char == ",":
                values.append(value)
                value, state = "", "begin"
            elif char == '"' and state == "begin":
                state = "quoted"
            elif state == "closed":
                state = "broken"
            else:
                value, state = value + char, "plain"
        if state == "begin" and not values:
            continue  # an empty line
        values.append(value)
        raw = "".join(values)
        whole = state not in ("quoted", "broken") and not any("\udc80" <= char <= "\udcff" for char in raw)
        if whole and (len(values) == 3 or (len(values) > 3 and not any(values[3:]))):
            good.append(values[:3])
        else:
            bad.append(begun)
    return good[1:], bad


PIECES = [
    "a",
    "bb",
    "7",
    ",",
    ",",
    "\n",
    "\n",
    '"',
    '"',
    '""',
    "é",
    "\udcff",
    "x,1767225600,y\n",
    '"q,\n",1767225600,z\n',
    "\n\n",
]


def joined(pieces: list[str]) -> bytes:
    return ("check,received_at,body\n" + "".join(pieces)).encode("utf-8", errors="surrogateescape")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=16).map(joined))
@example(joined(['a,1767225600,"']))
@example(joined(['"a"b,1767225600,\n', "x,1767225600,y\n"]))
@example(joined(['a"b,1767225600,"', "\n", '"c,1767225600,"\n', "x,1767225600,y\n"]))
@example(joined(['"', "x,1767225600,y\n" * 3]))
def test_of_random_nonsense_no_row_is_lost_and_none_invented(tmp_path: Path, data: bytes) -> None:
    good, bad = plainly(data)
    # Of the rows of three values those are taken that have a name and a time; where the others stand is not told.
    wanted = [(check.strip(), body or None) for check, at, body in good if check.strip() and at == "1767225600"]

    staged = read_pings(CON, write(tmp_path, data), skip_bad=True)

    assert rows(CON, "check_name, body") == wanted
    assert staged.skipped == len(good) - len(wanted) + len(bad)
    assert [row.line for row in staged.bad if not row.field] == bad[:20]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=16).map(joined), st.integers(3, 30), st.booleans())
def test_a_survey_finds_every_misplaced_quote_at_any_cut(tmp_path: Path, data: bytes, size: int, crlf: bool) -> None:
    data = data.replace(b"\n", b"\r\n") if crlf else data
    found = look(str(write(tmp_path, data)))
    head = delimited.header(found, ["check", "received_at", "body"])

    assert delimited.sound(found, head, size) is not misplaced(data.decode("latin-1"))


def misplaced(text: str) -> bool:
    """Whether a quote stands inside a plain value, text after a closing quote, or a quote is open at the end."""
    state = "begin"
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if state == "quoted":
            if char == '"' and text[at : at + 1] == '"':
                at += 1
            elif char == '"':
                state = "closed"
        elif char in ",\r\n":
            state = "begin"
        elif char == '"' and state == "begin":
            state = "quoted"
        elif char == '"' or state == "closed":
            return True
        else:
            state = "plain"
    return state == "quoted"


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_json_list_that_was_cut_off_is_never_taken_for_whole(tmp_path: Path, cut: int) -> None:
    whole = '[{"check":"a","received_at":1767225600,"body":"]}"},{"check":"b","received_at":1767225601}]'
    with pytest.raises(InputError, match=r"p\.json"):
        read_pings(CON, write(tmp_path, whole[:-cut], "p.json"))
