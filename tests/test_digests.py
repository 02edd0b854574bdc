"""Who is sent which digest, by tag and by channel, and `qpa report --email` against a real mail server."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sample_facts
from command import qpa, refused
from mail_server import Handler, MailServer

from qpanalytics.alerts import open_channel
from qpanalytics.alerts.base import heard, said
from qpanalytics.alerts.digests import groups, letters, nobody
from qpanalytics.alerts.outbox import Job, Outbox
from qpanalytics.errors import ConfigError
from qpanalytics.report import Report
from qpanalytics.report.model import Facts
from qpanalytics.settings import Settings
from qpanalytics.store.state import State

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
CHECKS = """check,schedule,tz,grace_s,valid_from,tags
backup,0 2 * * *,UTC,900,2026-11-09T00:00:00Z,db
vacuum,0 4 * * *,UTC,900,2026-11-09T00:00:00Z,db
web,0 3 * * *,UTC,900,2026-11-09T00:00:00Z,front
"""
PINGS = "check,received_at\n" + "".join(
    f"{check},2026-11-{day:02d}T0{hour}:01:00Z\n"
    for check, hour in (("backup", 2), ("vacuum", 4), ("web", 3))
    for day in range(9, 24)
    if (check, day) < ("web", 19)
)
CONFIG = """
[[channel]]
name = "mail"
kind = "email"
host = "127.0.0.1"
port = {port}
sender = "Jobs <qpa@example.com>"
to = ["ops@example.com"]
timeout = 1

[[report.send]]
channel = "mail"

[[report.send]]
channel = "mail"
to = ["dba@example.com", "Ann <ann@example.com>"]
tags = ["db"]
"""
WEEK = ("report", "--weekly", "--as-of", "2026-11-23T07:00:00Z")


def settings(**report: Any) -> Settings:
    channels = [
        {"name": "mail", "kind": "email", "host": "h", "sender": "a@example.com", "to": ["ops@example.com"]},
        {"name": "empty", "kind": "email", "host": "h", "sender": "a@example.com"},
        {"name": "chat", "kind": "telegram"},
    ]
    return Settings.model_validate({"channel": channels, "report": report}, context="toml")


@dataclass(frozen=True)
class Made:
    """What `letters` asks of a report."""

    facts: Facts
    name: str
    html: str = "<!doctype html><title>page</title>"


# Who ------------------------------------------------------------------------------------------------------------------


def test_without_a_word_each_mail_channel_sends_to_its_own_recipients() -> None:
    (group,) = groups(settings())
    assert (group.channel.name, group.who, group.tags) == ("mail", "ops@example.com", ())


def test_groups_take_their_own_recipients_and_only_mails_go_out_as_mails() -> None:
    told = settings(send=[{"channel": "mail", "to": ["a@example.com"], "tags": "db, web"}, {"channel": "chat"}])
    assert [(group.who, group.tags) for group in groups(told)] == [("a@example.com", ("db", "web")), ("chat", ())]
    assert [group.who for group in groups(told, mail_only=True)] == ["a@example.com"]


@pytest.mark.parametrize(
    ("send", "words"),
    [
        ({"channel": "mial"}, 'report.send[1].channel: "mial" is no channel; there is mail, empty, chat'),
        ({"channel": "chat", "to": "a@example.com"}, 'report.send[1].to: channel "chat" is not of kind email'),
        ({"channel": "empty"}, 'report.send[1].to: nobody is named, nor in channel "empty"'),
        ({"channel": "mail", "to": "nobody"}, 'report.send[1].to: "nobody" is not a mail address'),
    ],
)
def test_a_group_that_cannot_be_reached_is_named(send: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        groups(settings(send=[send]))
    assert words in str(caught.value)


def test_each_set_of_tags_is_one_report_with_a_verdict_of_its_own() -> None:
    asked = []

    def report(tags: tuple[str, ...]) -> Report:
        asked.append(tags)
        facts = sample_facts.quiet() if tags else sample_facts.sample()
        return Made(facts, f"weekly{'-'.join(('', *tags))}.html")  # type: ignore[return-value]

    told = settings(
        send=[
            {"channel": "mail"}, {"channel": "mail", "to": "a@example.com", "tags": ["x", "db"]},
            {"channel": "mail", "to": "b@example.com", "tags": ["db", "x"]}, {"channel": "chat", "tags": ["db", "x"]},
        ]
    )  # fmt: skip
    whole, first, second, chat = letters(groups(told), report, told_at=NOW)

    assert asked == [(), ("db", "x")]
    assert whole.digest.subject == "8 of 50 checks need you, Mon 16 to Sun 22 Nov 2026"
    assert first.digest.subject == "x, db: Nothing needs you, Mon 16 to Sun 22 Nov 2026"
    assert (first.digest.page, first.digest.page_name) == (Made.html, "weekly-db-x.html")
    assert first.digest.to == ("a@example.com",) and "attached: weekly-db-x.html" in first.digest.text
    assert len({letter.key for letter in (whole, first, second, chat)}) == 4
    assert chat.digest.html == chat.digest.page == "" and "24 checks, 1,456 occurrences" in chat.digest.text
    for letter in (whole, chat):
        assert heard(json.loads(json.dumps(said(letter.digest)))) == letter.digest

    (linked,) = letters(groups(told)[:1], report, told_at=NOW, link="https://r.example/qpa")
    assert linked.digest.link == "https://r.example/qpa/weekly.html" and not linked.digest.page
    assert 'href="https://r.example/qpa/weekly.html"' in linked.digest.html


def test_a_group_whose_tags_no_check_has_is_told_apart() -> None:
    _, group = groups(settings(send=[{"channel": "mail"}, {"channel": "mail", "tags": ["nix"]}]))
    assert nobody(group, {"db", "nix"}) == ""
    assert nobody(group, {"db"}) == 'ops@example.com: no check has the tag "nix", as report.send wants; there is db'
    assert "there is no tag yet" in nobody(group, ())


def test_a_link_is_an_address_of_the_web() -> None:
    assert settings(link="https://r.example/qpa/").report.link == "https://r.example/qpa"
    for wrong in ("reports/", "javascript:alert(1)", "https://", "https://r.example/a b"):
        with pytest.raises(ValueError, match="is not an address of a folder on the web"):
            settings(link=wrong)


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digests")
    (folder / "checks.csv").write_text(CHECKS)
    (folder / "pings.csv").write_text(PINGS)
    done = qpa(folder, "import", "pings.csv", "--checks", "checks.csv", "--covers-until", "2026-11-23T07:00:00Z")
    assert done.returncode == 0, done
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "qpa"))


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as opened:
        yield opened


def test_each_group_is_mailed_the_digest_of_its_checks_and_the_page_is_written(folder: Path, server: MailServer) -> None:
    server.taken.clear()
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port))
    done = qpa(folder, *WEEK, "--email")

    assert (done.returncode, done.stdout) == (0, "1 of 3 checks needs you: reports/weekly-2026-11-16.html\n"), done
    assert done.stderr.splitlines() == [
        "qpa: mailed to ops@example.com: 1 of 3 checks needs you, Mon 16 to Sun 22 Nov 2026",
        "qpa: mailed to dba@example.com, Ann <ann@example.com>: db: Nothing needs you, Mon 16 to Sun 22 Nov 2026",
    ]
    whole, db = server.taken
    assert (whole.to, db.to) == (["ops@example.com"], ["dba@example.com", "ann@example.com"])
    for mail, name, checks in (
        (whole, "weekly-2026-11-16.html", {"web", "backup", "vacuum"}), (db, "weekly-2026-11-16-db.html", {"backup", "vacuum"}),
    ):  # fmt: skip
        (page,) = mail.message.iter_attachments()
        assert page.get_filename() == name
        assert {check for check in ("web", "backup", "vacuum") if f"<bdi>{check}</bdi>" in page.get_content()} == checks
    attached = next(whole.message.iter_attachments()).get_content()
    assert attached == (folder / "reports" / "weekly-2026-11-16.html").read_text(encoding="utf-8")
    assert b"web" not in db.message.get_body(("plain",)).get_content().encode()  # type: ignore[union-attr]
    text = db.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "--tag db" in text.replace("\n", " ")


@pytest.mark.parametrize("period", ["--daily", "--monthly"])
def test_every_period_can_be_mailed(folder: Path, server: MailServer, period: str) -> None:
    server.taken.clear()
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port).split("[[report.send]]")[0])
    done = qpa(folder, "report", period, "--as-of", "2026-11-23T07:00:00Z", "--email")
    assert done.returncode == 0, done
    assert len(server.taken) == 1 and server.taken[0].to == ["ops@example.com"]


def test_with_a_link_nothing_is_attached_and_the_pages_lie_where_it_leads(folder: Path, server: MailServer) -> None:
    server.taken.clear()
    config = CONFIG.format(port=server.port) + '[report]\nlink = "https://r.example/qpa"\n'
    (folder / "qpa.toml").write_text(config)
    done = qpa(folder, *WEEK, "--email", "--out", "web", "--explore")
    assert done.returncode == 0, done
    pages = ["weekly-2026-11-16-db.html", "weekly-2026-11-16-explore.html", "weekly-2026-11-16.html"]
    assert sorted(path.name for path in (folder / "web").iterdir()) == pages
    assert "weekly-2026-11-16-explore.html" in (folder / "web" / "weekly-2026-11-16.html").read_text(encoding="utf-8")
    for mail, name in zip(server.taken, ("weekly-2026-11-16.html", "weekly-2026-11-16-db.html"), strict=True):
        assert not list(mail.message.iter_attachments())
        assert f"https://r.example/qpa/{name}" in mail.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_server_that_is_not_there_is_exit_3_and_says_who_was_not_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (folder / "qpa.toml").write_text(CONFIG.format(port=port))
    done = qpa(folder, *WEEK, "--email")
    assert done.returncode == 3
    assert (folder / "reports" / "weekly-2026-11-16.html").exists()
    first, second = done.stderr.splitlines()
    assert first.startswith("qpa: not mailed to ops@example.com: mail: connecting to 127.0.0.1:")
    assert second.startswith("qpa: not mailed to dba@example.com, Ann <ann@example.com>: mail: ")


def test_one_group_that_is_refused_does_not_keep_the_other_from_its_mail(folder: Path) -> None:
    with MailServer(Handler(rcpt={"ops@example.com": "550 no such user"})) as server:
        (folder / "qpa.toml").write_text(CONFIG.format(port=server.port))
        done = qpa(folder, *WEEK, "--email")
        assert done.returncode == 3, done
        assert "not mailed to ops@example.com: mail: ops@example.com was refused: 550 no such user" in done.stderr
        assert [mail.to for mail in server.taken] == [["dba@example.com", "ann@example.com"]]


def test_tags_that_nobody_has_are_exit_2_and_the_others_are_told(folder: Path, server: MailServer) -> None:
    server.taken.clear()
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port).replace('tags = ["db"]', 'tags = ["nix"]'))
    done = qpa(folder, *WEEK, "--email")
    assert done.returncode == 2
    assert 'not mailed to dba@example.com, Ann <ann@example.com>: no check has the tag "nix"' in done.stderr
    assert [mail.to for mail in server.taken] == [["ops@example.com"]]


def test_what_cannot_be_mailed_is_one_line_and_nothing_is_made(folder: Path, server: MailServer) -> None:
    refused(qpa(folder, *WEEK, "--email"), "nobody is to be mailed", "[[channel]]")
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port))
    refused(qpa(folder, *WEEK, "--email", "--tag", "db"), "leave --tag away")
    refused(qpa(folder, "report", "--check", "web", "--email"), "--email", "--weekly")
    refused(qpa(folder, *WEEK, "--email", "--format", "text"), "--email", "--format")
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port).replace('sender = "Jobs <qpa@example.com>"', ""))
    refused(qpa(folder, *WEEK, "--email"), 'channel "mail": it has no sender')
    assert not (folder / "reports").exists()


def test_doctor_looks_at_whom_digests_go_to(folder: Path) -> None:
    (folder / "qpa.toml").write_text(CONFIG.format(port=25).replace('channel = "mail"', 'channel = "mial"'))
    done = qpa(folder, "doctor")
    assert 'report.send[1].channel: "mial" is no channel; there is mail' in done.stdout + done.stderr
    routed = '[[route]]\nto = ["mail"]\n'
    (folder / "qpa.toml").write_text(CONFIG.format(port=25).split("[[report.send]]")[0].replace("\nto =", "\n#to =") + routed)
    assert 'route[1] goes to "mail", which has no to' in qpa(folder, "doctor").stdout


def test_a_digest_that_waits_in_the_outbox_is_mailed_whole(tmp_path: Path, server: MailServer) -> None:
    server.taken.clear()
    told = settings(send=[{"channel": "mail", "to": "a@example.com"}])
    (letter,) = letters(groups(told), lambda _: Made(sample_facts.sample(), "weekly.html"), told_at=NOW)  # type: ignore[arg-type,return-value]
    with State(tmp_path / "state") as state:
        Outbox(state).put(letter.digest, ["mail"], NOW)
        job = Outbox(state).begin("mail", NOW)
    assert isinstance(job, Job)
    table = letter.channel.model_copy(update={"host": "127.0.0.1", "port": server.port})
    with closing(open_channel(table, {}, tmp_path, lambda: NOW)) as channel:
        channel.send(job.message, job.key)

    (mail,) = server.taken
    assert mail.to == ["a@example.com"]
    (page,) = mail.message.iter_attachments()
    assert (page.get_filename(), page.get_content()) == ("weekly.html", Made.html)
    html = mail.message.get_body(("html",))
    assert html is not None and html.get_content().replace("\r\n", "\n").strip() == letter.digest.html.strip()


def test_a_test_message_reaches_the_mailbox_and_the_ledger_knows(folder: Path, server: MailServer) -> None:
    server.taken.clear()
    (folder / "qpa.toml").write_text(CONFIG.format(port=server.port))
    done = qpa(folder, "alert", "test", "mail")
    assert done.returncode == 0 and "mail: email took the message in" in done.stdout, done
    assert server.taken[0].message["Subject"] == 'qpa: a test of channel "mail"'
