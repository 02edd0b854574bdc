"""`qpa alert test`, `qpa deliveries` and what `qpa doctor` says of channels."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from command import qpa, refused
from receiver import FAILS, OK_SLACK, OK_TELEGRAM, Answer, Receiver, alert

from qpanalytics.alerts.base import DeliveryError, Digest, Sent
from qpanalytics.alerts.ledger import COLUMNS
from qpanalytics.alerts.outbox import Job, Outbox
from qpanalytics.store.state import State

TOKEN = {"TG_TOKEN": "123456:averysecrettoken"}
NOW = datetime(2026, 11, 27, 2, 35, tzinfo=UTC)


def configure(folder: Path, url: str) -> None:
    (folder / "qpa.toml").write_text(
        f'[[channel]]\nname = "oncall"\nkind = "telegram"\ntoken = "env:TG_TOKEN"\nchat = -100123\napi_url = "{url}"\n'
        'timeout = "0.5 s"\n[[channel]]\nname = "log"\nkind = "file"\npath = "alerts.jsonl"\n'
        '[[route]]\nseverity = ["critical"]\nto = ["oncall"]\n'
    )


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A folder whose outbox has sent one alert at the second try, failed over a second, and has a third to send."""
    with State(tmp_path / "qpa.duckdb-state") as state:
        outbox = Outbox(state)
        outbox.put(alert("i1", sentence="back\u202eup is down."), ["oncall"], NOW)
        for minute, how in ((0, DeliveryError("oncall: it failed (500).", http_status=500)), (1, Sent(200))):
            at = NOW + timedelta(minutes=minute)
            job = outbox.begin("oncall", at)
            assert isinstance(job, Job)
            if isinstance(how, Sent):
                outbox.sent(job, at, 0.25, how)
            else:
                outbox.failed(job, at, 1.5, how, distinguishes=False, chance=0.5)
        now = datetime.now(UTC)
        outbox.put(Digest("Nothing needs you", "All is well.", now), ["log"], now)
        job = outbox.begin("log", now)
        assert isinstance(job, Job)
        outbox.failed(job, now, 0.1, DeliveryError("log: Is a directory.", permanent=True), distinguishes=True, chance=0.5)
        outbox.put(alert("i2"), ["log"], now)
    return tmp_path


# alert test -----------------------------------------------------------------------------------------------------------


def test_a_test_says_what_happened_and_how_long_it_took(tmp_path: Path) -> None:
    with Receiver(OK_TELEGRAM) as server:
        configure(tmp_path, server.url)
        done = qpa(tmp_path, "alert", "test", "oncall", **TOKEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("oncall: telegram took the message in ") and done.stdout.endswith(", answer 200\n")
    assert "a test of channel" in server.taken[0].json["text"]
    assert not (tmp_path / "qpa.duckdb-state").exists(), "a try makes no store"
    done = qpa(tmp_path, "alert", "test", "log")
    assert done.stdout.startswith("log: file took the message in ")
    assert json.loads((tmp_path / "alerts.jsonl").read_text())["type"] == "test"


@pytest.mark.parametrize(
    ("answer", "words"),
    [(FAILS, "oncall: it failed (500)"), ("hang", "did not answer within 0.5 s"), (Answer(401), "refused the key or token")],
)
def test_a_test_that_does_not_arrive_is_one_line_and_exit_status_3(tmp_path: Path, answer: Answer | str, words: str) -> None:
    with Receiver(answer) as server:
        configure(tmp_path, server.url)
        done = qpa(tmp_path, "alert", "test", "oncall", **TOKEN)
    refused(done, words, status=3)
    assert "averysecrettoken" not in done.stderr and server.url not in done.stderr


def test_a_channel_that_is_not_there_or_not_described_is_bad_usage(tmp_path: Path) -> None:
    refused(qpa(tmp_path, "alert", "test", "oncall"), "no [[channel]]")
    configure(tmp_path, "http://127.0.0.1:1")
    refused(qpa(tmp_path, "alert", "test", "boss"), '"boss" is no channel of qpa.toml; there is oncall, log')
    refused(qpa(tmp_path, "alert", "test", "oncall"), 'channel "oncall": token: TG_TOKEN is not set')
    refused(qpa(tmp_path, "alert", "test", "oncall", **TOKEN), "nothing listens at its address", status=3)


def test_a_test_stands_in_the_ledger(told: Path) -> None:
    with Receiver(OK_TELEGRAM) as server:
        configure(told, server.url)
        assert qpa(told, "alert", "test", "oncall", **TOKEN).returncode == 0
    rows = json.loads(qpa(told, "deliveries", "--channel", "oncall", "--format", "json").stdout)
    assert (rows[0]["event"], rows[0]["status"], rows[0]["http_status"], rows[0]["incident"]) == ("test", "sent", 200, None)


# deliveries -----------------------------------------------------------------------------------------------------------


def test_the_ledger_is_printed_newest_first_with_its_declared_columns(told: Path) -> None:
    rows = json.loads(qpa(told, "deliveries", "--format", "json").stdout)
    assert [list(row) for row in rows] == [list(COLUMNS)] * 4
    assert [(row["incident"], row["channel"], row["event"], row["status"]) for row in rows] == [
        ("i2", "log", "open", "waiting"), (None, "log", "digest", "failed"), ("i1", "oncall", "open", "sent"),
        ("i1", "oncall", "open", "retrying"),
    ]  # fmt: skip
    sent, failed = rows[2:]
    assert (sent["tried_at"], sent["http_status"], sent["latency_s"], sent["attempt"]) == ("2026-11-27T02:36:00Z", 200, 0.25, 2)
    assert (failed["http_status"], failed["why"], failed["next_at"]) == (500, "oncall: it failed (500).", None)
    table = list(csv.DictReader(io.StringIO(qpa(told, "deliveries", "--format", "csv").stdout)))
    assert [row["status"] for row in table] == [row["status"] for row in rows]
    assert table[3]["http_status"] == "500" and table[1]["http_status"] == ""
    shown = qpa(told, "deliveries").stdout
    assert "retrying" in shown and "\u202e" not in shown


def test_the_ledger_can_be_asked_in_parts_and_for_an_exit_status(told: Path) -> None:
    def statuses(*options: str) -> list[str]:
        return [row["status"] for row in json.loads(qpa(told, "deliveries", "--format", "json", *options).stdout)]

    assert statuses("--incident", "i1") == ["sent", "retrying"]
    assert statuses("--since", "2026-11-27T02:36:00Z", "--channel", "oncall") == ["sent"]
    assert qpa(told, "deliveries", "--fail-on", "failed").returncode == 1
    assert qpa(told, "deliveries", "--fail-on", "failed", "--channel", "oncall").returncode == 0
    refused(qpa(told, "deliveries", "--fail-on", "broken"), '"broken" is no status', "superseded")
    refused(qpa(told, "deliveries", "--since", "yesterday"), "--since")


def test_the_ledger_is_told_while_another_program_holds_the_store(told: Path) -> None:
    hold = "import duckdb, sys; con = duckdb.connect('qpa.duckdb'); print('held', flush=True); sys.stdin.read()"
    duckdb.connect(str(told / "qpa.duckdb")).close()
    holder = subprocess.Popen([sys.executable, "-c", hold], cwd=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    done = qpa(told, "deliveries", "--format", "csv")
    holder.communicate("")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.count("\n") == 5


def test_without_a_state_there_is_nothing_and_none_is_made(tmp_path: Path) -> None:
    done = qpa(tmp_path, "deliveries", "--format", "json")
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (0, "[]\n", [])


# doctor ---------------------------------------------------------------------------------------------------------------


def test_doctor_names_channels_that_cannot_work_and_messages_that_were_given_up(told: Path) -> None:
    configure(told, "http://127.0.0.1:1")
    with (told / "qpa.toml").open("a") as file:
        file.write('[[route]]\nto = ["boss"]\n[[channel]]\nname = "hook"\nkind = "webhook"\n')
    said = qpa(told, "doctor", **TOKEN)
    assert said.returncode == 1
    lines = [line for line in said.stdout.splitlines() if "channels: " in line]
    assert lines == [
        "ok    channels: oncall, telegram; try it: qpa alert test oncall",
        "ok    channels: log, file; try it: qpa alert test log",
        'bad   channels: channel "hook": it has no url; add url = "env:NAME" and set NAME',
        'bad   channels: route[2] goes to "boss", which is no [[channel]]; describe it',
        "bad   channels: 1 message to log given up in the last 7 days; the last: log: Is a directory. See: qpa deliveries",
    ]


def test_two_channels_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "qpa.toml").write_text('[[channel]]\nname = "a"\nkind = "file"\n' * 2)
    refused(qpa(tmp_path, "deliveries"), 'channel[2] "a": there is one of this name already')


def test_an_outbox_without_anything_to_send_loads_no_http_and_no_pandas() -> None:
    code = (
        "import sys, qpanalytics.alerts.deliver, qpanalytics.alerts.ledger, qpanalytics.alerts.outbox\n"
        "print({'httpx', 'httpcore', 'numpy', 'pandas', 'duckdb', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_slack_hooks_are_secrets_of_the_configuration_too(tmp_path: Path) -> None:
    with Receiver(OK_SLACK) as server:
        (tmp_path / "qpa.toml").write_text(
            '[[channel]]\nname = "team"\nkind = "slack"\nurl = "file:hook"\nallow_private = true\n'
        )
        (tmp_path / "hook").write_text(f"{server.url}/services/averysecret\n")
        assert qpa(tmp_path, "alert", "test", "team").returncode == 0
    assert server.taken[0].path == "/services/averysecret"
    (tmp_path / "qpa.toml").write_text(
        '[[channel]]\nname = "team"\nkind = "slack"\nurl = "https://hooks.slack.com/averysecret"\n'
    )
    done = qpa(tmp_path, "alert", "test", "team")
    refused(done, "a secret must not stand in this file")
    assert "averysecret" not in done.stderr
