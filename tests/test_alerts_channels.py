"""Every channel against a server that answers rightly, wrongly and not at all: what is sent, and how failures are told."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from receiver import (
    DROP,
    FAILS,
    HANG,
    LIMITED,
    MOVED,
    OK_PAGERDUTY,
    OK_SLACK,
    OK_TELEGRAM,
    PAGE,
    Answer,
    Receiver,
    alert,
)

from qpanalytics.alerts import KINDS, open_channel, telegram
from qpanalytics.alerts.base import Channel, DeliveryError, Digest, Forgetful, Memory
from qpanalytics.alerts.told import units
from qpanalytics.errors import ConfigError
from qpanalytics.settings_channels import ChannelTable

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = "T0000/B0000/averysecretpath"
ENVIRON = {"TOKEN": "123456:averysecrettoken", "KEY": "averysecretroutingkey0123456789a", "SECRET": SECRET}
SECRETS = ("averysecret", SECRET, "127.0.0.1")
NEEDS: dict[str, dict[str, Any]] = {
    "telegram": {"token": "env:TOKEN", "chat": "-1001"},
    "slack": {"url": "env:URL"},
    "pagerduty": {"api_key": "env:KEY"},
    "webhook": {"url": "env:URL", "secret": "env:SECRET"},
}
YES = {"telegram": OK_TELEGRAM, "slack": OK_SLACK, "pagerduty": OK_PAGERDUTY, "webhook": Answer(204, b"")}
#: Of the channels that speak HTTP.
POSTING = sorted(NEEDS)


@contextmanager
def opened(kind: str, url: str, memory: Memory | None = None, **fields: Any) -> Iterator[Channel]:
    """A channel that is pointed at a server of ours."""
    told = {"name": "oncall", "kind": kind, "timeout": 0.3, **NEEDS.get(kind, {})}
    if kind in ("slack", "webhook"):
        told["allow_private"] = True
    else:
        told["api_url"] = url
    table = ChannelTable.model_validate({**told, **fields})
    channel = open_channel(table, {**ENVIRON, "URL": f"{url}/{HOOK}"}, Path(), lambda: NOW, memory or Forgetful())
    with closing(channel):
        yield channel


def failure(kind: str, *answers: Any, **fields: Any) -> DeliveryError:
    """How a channel says that it could not deliver."""
    with Receiver(*answers) as server, opened(kind, server.url, **fields) as channel:
        with pytest.raises(DeliveryError) as caught:
            channel.send(alert(), "msg_1")
        assert len(server.taken) == 1, "a channel sends once; the outbox tries again"
    said = "".join(traceback.format_exception(caught.value))
    assert not any(secret in said for secret in SECRETS), said
    assert str(caught.value).startswith("oncall: ") and "\n" not in str(caught.value)
    return caught.value


def test_every_kind_is_tried_here_or_has_a_test_of_its_own() -> None:
    assert set(KINDS) - set(POSTING) <= {"file", "email"}


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POSTING)
def test_a_server_that_fails_is_tried_again(kind: str) -> None:
    error = failure(kind, FAILS)
    assert (error.permanent, error.unclear, error.http_status) == (False, False, 500)


@pytest.mark.parametrize("kind", POSTING)
def test_a_server_that_wants_fewer_messages_says_when_to_come_back(kind: str) -> None:
    error = failure(kind, LIMITED)
    assert (error.permanent, error.retry_after_s, error.http_status) == (False, 17.0, 429)
    assert "17 s" in str(error)


@pytest.mark.parametrize("kind", POSTING)
@pytest.mark.parametrize("fault", [HANG, DROP])
def test_an_answer_that_fails_to_come_leaves_it_unclear_whether_the_message_arrived(kind: str, fault: str) -> None:
    error = failure(kind, fault)
    assert (error.permanent, error.unclear, error.http_status) == (False, True, None)
    assert "may have arrived" in str(error)


@pytest.mark.parametrize("kind", POSTING)
@pytest.mark.parametrize(("status", "permanent"), [(301, True), (302, False), (307, False), (308, True)])
def test_nothing_is_sent_on_to_another_address(kind: str, status: int, permanent: bool) -> None:
    error = failure(kind, MOVED._replace(status=status))
    assert (error.permanent, error.unclear, error.http_status) == (permanent, False, status)


@pytest.mark.parametrize("kind", sorted({*POSTING} - {"webhook"}))
def test_a_web_page_is_no_answer(kind: str) -> None:
    error = failure(kind, PAGE)
    assert (error.permanent, error.unclear, error.http_status) == (False, False, 200)
    assert "web page" in str(error)


def test_a_web_hook_may_answer_with_a_page_and_it_is_noted() -> None:
    with Receiver(PAGE) as server, opened("webhook", server.url) as channel:
        assert "web page" in channel.send(alert(), "msg_1").why


@pytest.mark.parametrize("kind", POSTING)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_the_other_side_refuses_for_good_is_not_tried_again(kind: str, status: int) -> None:
    error = failure(kind, Answer(status, b'{"ok":false,"description":"Unauthorized: bot was blocked"}'))
    assert (error.permanent, error.unclear, error.http_status) == (True, False, status)


@pytest.mark.parametrize("kind", POSTING)
@pytest.mark.parametrize(
    ("url", "said"), [("http://no-such-host.invalid", "not known"), ("http://127.0.0.1:1", "nothing listens")]
)
def test_a_server_that_is_not_there_surely_got_nothing(kind: str, url: str, said: str) -> None:
    with opened(kind, url) as channel, pytest.raises(DeliveryError, match=said) as caught:
        channel.send(alert(), "msg_1")
    assert not caught.value.permanent and not caught.value.unclear
    assert "invalid" not in str(caught.value) and caught.value.__cause__ is None and caught.value.__context__ is None


@pytest.mark.parametrize("kind", POSTING)
def test_no_log_line_holds_an_address_or_a_key(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Receiver(YES[kind], FAILS) as server, opened(kind, server.url) as channel:
        channel.send(alert(), "msg_1")
        with pytest.raises(DeliveryError):
            channel.send(alert(), "msg_1")
        shown = repr(channel) + repr(vars(channel).get("_post"))
    assert not any(secret in caplog.text + shown for secret in SECRETS), caplog.text


def test_an_endless_answer_is_cut_off() -> None:
    flood = Answer(200, b"x" * 3_000_000, "text/plain")
    with Receiver(flood) as server, opened("slack", server.url) as channel:
        assert "something else than ok" in channel.send(alert(), "msg_1").why


# Telegram -------------------------------------------------------------------------------------------------------------


def test_telegram_gets_html_in_a_topic_and_later_words_are_replies_to_the_first() -> None:
    with Receiver(OK_TELEGRAM) as server, opened("telegram", server.url, thread=5) as channel:
        assert channel.send(alert(), "msg_1").http_status == 200
        channel.send(alert(event="resolve"), "msg_2")
        channel.send(alert("i2"), "msg_3")
    first, second, other = (taken.json for taken in server.taken)
    assert server.taken[0].path == "/bot123456:averysecrettoken/sendMessage"
    assert (first["chat_id"], first["message_thread_id"], first["parse_mode"]) == (-1001, 5, "HTML")
    assert first["text"].splitlines() == [
        "<b>[critical] invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 02:30.</b>",
        "No start ping on those days, so the job never began.",
        "<code>qpa occurrences --check invoice-export</code>",
    ]
    assert "reply_parameters" not in first and "reply_parameters" not in other
    assert second["reply_parameters"] == {"message_id": 77, "allow_sending_without_reply": True}
    assert second["text"].startswith("<b>[resolved after 41 min] ")
    assert "Open from Fri 27 Nov 02:30 to Fri 27 Nov 03:11 UTC." in second["text"]


def test_hostile_names_are_text_to_telegram_and_call_nobody() -> None:
    sentence = 'a<b>&"</b>\u202e @everyone /start\n#x \x1b[31mred is down.'
    text = telegram.text(alert(sentence=sentence, detail="", command=""))
    assert text == (
        '<b>[critical] a&lt;b&gt;&amp;"&lt;/\u200cb&gt;\\u202e @\u200ceveryone /\u200cstart\\n#x \\x1b[31mred is down.</b>'
    )


def test_a_long_message_keeps_its_title_and_its_command_within_telegrams_limit() -> None:
    detail = "\N{PILE OF POO}" * 3_000  # two code units each
    told = telegram.text(alert(detail=detail, evidence=tuple(f"line {n} <&> " + "x" * 300 for n in range(40))))
    plain = told.replace("<b>", "").replace("</b>", "").replace("<code>", "").replace("</code>", "")
    plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert units(plain) <= 4_096
    lines = plain.splitlines()
    assert lines[0].startswith("[critical] invoice-export") and lines[-1].startswith("qpa occurrences")
    assert lines[-2] == "and 40 lines more"


def test_a_group_that_moved_is_followed_and_remembered() -> None:
    moved = Answer(
        400,
        b'{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat",'
        b'"parameters":{"migrate_to_chat_id":-1009999999999}}',
    )
    memory = Forgetful()
    with Receiver(moved, OK_TELEGRAM) as server, opened("telegram", server.url, memory) as channel:
        assert "new id" in channel.send(alert(), "msg_1").why
        with opened("telegram", server.url, memory) as again:  # after a restart
            assert again.send(alert("i2"), "msg_2").why == ""
    assert [taken.json["chat_id"] for taken in server.taken] == [-1001, -1009999999999, -1009999999999]


def test_a_topic_that_was_closed_does_not_silence_the_alert() -> None:
    gone = Answer(400, b'{"ok":false,"error_code":400,"description":"Bad Request: message thread not found"}')
    with Receiver(gone, OK_TELEGRAM) as server, opened("telegram", server.url, thread=5) as channel:
        assert "no open topic" in channel.send(alert(), "msg_1").why
    assert ["message_thread_id" in taken.json for taken in server.taken] == [True, False]


def test_markup_that_telegram_cannot_read_is_sent_as_plain_text() -> None:
    wrong = Answer(400, b'{"ok":false,"error_code":400,"description":"Bad Request: can\'t parse entities: x"}')
    with Receiver(wrong, OK_TELEGRAM) as server, opened("telegram", server.url) as channel:
        channel.send(alert(), "msg_1")
    assert "parse_mode" not in server.taken[1].json and "<b>" not in server.taken[1].json["text"]


def test_a_yes_that_broke_off_may_be_one() -> None:
    error = failure("telegram", Answer(200, b'{"ok":tr'))
    assert (error.unclear, error.permanent, error.http_status) == (True, False, 200)


def test_telegrams_own_word_on_waiting_counts() -> None:
    limited = Answer(
        429, b'{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}'
    )
    error = failure("telegram", limited)
    assert (error.retry_after_s, error.permanent) == (9.0, False)


# Slack ----------------------------------------------------------------------------------------------------------------


def test_slack_gets_blocks_and_a_text_for_notifications() -> None:
    with Receiver(OK_SLACK) as server, opened("slack", server.url) as channel:
        channel.send(alert(link="https://qpa.example/i1"), "msg_1")
    (taken,) = server.taken
    assert taken.path == f"/{HOOK}"
    title = "[critical] invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 02:30."
    assert taken.json["text"] == title
    assert [block["type"] for block in taken.json["blocks"]] == ["section", "section", "context"]
    assert taken.json["blocks"][0]["text"] == {"type": "mrkdwn", "text": f"*{title}*", "verbatim": True}
    assert taken.json["blocks"][1]["text"]["text"] == "No start ping on those days, so the job never began."
    assert [part["text"] for part in taken.json["blocks"][2]["elements"]] == [
        "qpa occurrences --check invoice-export", "https://qpa.example/i1",
    ]  # fmt: skip


def test_a_name_cannot_call_everybody_in_slack() -> None:
    with Receiver(OK_SLACK) as server, opened("slack", server.url) as channel:
        channel.send(alert(sentence="<!channel> & <https://evil.example|click> is down.", detail="<!here> <@U1>"), "msg_1")
    asked = server.taken[0].json
    assert asked["text"] == "[critical] &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; is down."
    assert asked["blocks"][1]["text"] == {"type": "plain_text", "text": "<!here> <@U1>", "emoji": False}
    assert asked["mrkdwn"] is False and asked["unfurl_links"] is False


def test_slacks_limits_hold_for_the_longest_message() -> None:
    long = alert(
        sentence="<" * 5_000, detail="y" * 9_000, evidence=tuple("z" * 2_000 for _ in range(90)), command="q" * 5_000,
        members=tuple(f"check-{n}" for n in range(400)),
    )  # fmt: skip
    with Receiver(OK_SLACK) as server, opened("slack", server.url) as channel:
        channel.send(long, "msg_1")
    blocks = server.taken[0].json["blocks"]
    assert len(blocks) <= 50 and len(json.dumps(blocks)) < 13_000
    assert all(len(block["text"]["text"]) <= 3_000 for block in blocks if "text" in block)


def test_blocks_that_slack_does_not_take_do_not_silence_the_alert() -> None:
    wrong = Answer(400, b"invalid_blocks", "text/plain")
    with Receiver(wrong, OK_SLACK) as server, opened("slack", server.url) as channel:
        assert "not the blocks" in channel.send(alert(), "msg_1").why
    asked = server.taken[1].json
    assert "blocks" not in asked and "No start ping on those days" in asked["text"]


def test_slacks_word_for_what_is_wrong_is_told() -> None:
    error = failure("slack", Answer(404, b"channel_is_archived", "text/plain"))
    assert error.permanent and '"channel_is_archived"' in str(error)


# PagerDuty ------------------------------------------------------------------------------------------------------------


def test_pagerduty_is_triggered_acknowledged_and_resolved_under_one_key() -> None:
    with Receiver(OK_PAGERDUTY) as server, opened("pagerduty", server.url) as channel:
        for event in ("open", "remind", "escalate", "ack", "resolve"):
            channel.send(alert(event=event, origin="abc"), f"msg_{event}")
        channel.send(alert(origin="another"), "msg_other")
    asked = [taken.json for taken in server.taken]
    assert {taken.path for taken in server.taken} == {"/v2/enqueue"}
    assert [one["event_action"] for one in asked] == ["trigger", "trigger", "trigger", "acknowledge", "resolve", "trigger"]
    assert [one["dedup_key"] for one in asked] == ["qpanalytics/abc/i1"] * 5 + ["qpanalytics/another/i1"]
    payload = asked[0]["payload"]
    assert (payload["severity"], payload["component"], payload["class"]) == ("critical", "invoice-export", "down")
    assert payload["timestamp"] == "2026-11-27T02:30:00Z"
    assert payload["custom_details"]["figures"] == {"missed": 3, "n": 5}
    assert asked[0]["routing_key"] == ENVIRON["KEY"] and "payload" not in asked[4]


def test_pagerdutys_limits_hold() -> None:
    figures = {f"f{n}": "x" * 1_000 for n in range(1_000)}
    with Receiver(OK_PAGERDUTY) as server, opened("pagerduty", server.url) as channel:
        channel.send(alert("i" * 500, sentence="s" * 3_000, figures=figures), "msg_1")
    (taken,) = server.taken
    assert len(taken.body) < 512_000
    assert len(taken.json["payload"]["summary"]) <= 1_024 and len(taken.json["dedup_key"]) <= 255


def test_pagerduty_tells_what_it_does_not_like_and_takes_no_digests() -> None:
    said = b'{"status":"invalid event","message":"Event object is invalid","errors":["\'payload\' is missing"]}'
    error = failure("pagerduty", Answer(400, said))
    assert error.permanent and "'payload' is missing" in str(error)
    with Receiver(OK_PAGERDUTY) as server, opened("pagerduty", server.url) as channel:
        with pytest.raises(DeliveryError, match="no digests") as caught:
            channel.send(Digest("Nothing needs you", "24 checks", NOW), "msg_1")
        channel.send(Digest("A test", "", NOW, event="test"), "msg_2")
    assert caught.value.permanent
    (taken,) = server.taken
    assert (taken.json["dedup_key"], taken.json["payload"]["severity"]) == ("msg_2", "info")


def test_a_key_that_the_other_side_repeats_is_not_shown() -> None:
    said = json.dumps({"status": "invalid", "errors": [f"no such key: {ENVIRON['KEY']}"]}).encode()
    assert str(failure("pagerduty", Answer(400, said))) == "oncall: it refused the message (400)."
    said = json.dumps({"ok": False, "description": "who is AverySecretToken?"}).encode()
    assert "(401)" in str(failure("telegram", Answer(401, said)))


# Any kind -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({*POSTING} - {"pagerduty"}))
def test_a_digest_is_taken_as_text(kind: str) -> None:
    digest = Digest("Nothing needs you", "24 checks kept every promise.\n\n<b> & co", NOW)
    with Receiver(YES[kind]) as server, opened(kind, server.url) as channel:
        channel.send(digest, "msg_1")
    body = server.taken[0].body.decode()
    assert "Nothing needs you" in body and "24 checks kept every promise." in body


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("telegram", {"token": None}, 'it has no token; add token = "env:NAME"'),
        ("telegram", {"chat": None}, "it has no chat; add chat = "),
        ("telegram", {"chat": "two words"}, 'chat "two words" is neither'),
        ("telegram", {"token": "env:BAD"}, "token holds characters"),
        ("slack", {"url": None}, "it has no url"),
        ("slack", {"url": "env:BAD"}, "begins with https://"),
        ("webhook", {"secret": "env:BAD"}, "secret is no base64"),
        ("pagerduty", {"api_key": None}, "it has no api_key"),
        ("file", {}, "it has no path"),
        ("discord", {}, 'kind "discord" is not known; there is telegram, slack'),
        ("telegram", {"token": "env:ABSENT"}, "token: ABSENT is not set"),
    ],
)
def test_a_channel_that_is_described_badly_is_one_line(kind: str, fields: dict[str, Any], said: str) -> None:
    table = ChannelTable.model_validate({"name": "oncall", "kind": kind, **NEEDS.get(kind, {}), **fields})
    with pytest.raises(ConfigError) as caught:
        open_channel(table, {**ENVIRON, "URL": "https://hooks.example/x", "BAD": "no such//averysecret"}, Path(), lambda: NOW)
    assert str(caught.value).startswith('channel "oncall": ') and said in str(caught.value)
    assert "averysecret" not in str(caught.value)
