"""How fast an outbox is emptied beside a channel that hangs, and what kills do to it: `python tests/bench/deliver.py [KILLS]`.

Each kill hits a program that sends to a web hook (which is told each message's id) and to Slack (which cannot tell a
repetition). Printed are messages lost, and messages that arrived twice: for the web hook those that its receiver drops.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from receiver import HANG, OK_SLACK, Answer, Receiver, alert
from test_alerts_deliver import ENVIRON, described, start

from qpanalytics.alerts.deliver import Deliverer, opener
from qpanalytics.alerts.outbox import Outbox
from qpanalytics.settings_channels import ChannelTable
from qpanalytics.store.state import State

MESSAGES = 300


def now() -> datetime:
    return datetime.now(UTC)


def speed(folder: Path) -> None:
    with (
        State(folder / "speed") as state,
        Receiver(Answer(204, b"")) as hook,
        Receiver(OK_SLACK) as slack,
        Receiver(HANG) as dead,
    ):
        box = Outbox(state)
        channels = [("hook", "webhook", hook), ("slack", "slack", slack), ("dead", "webhook", dead)]
        tables = [ChannelTable.model_validate(described(name, kind, server.url, timeout=60)) for name, kind, server in channels]
        deliverer = Deliverer(box, opener(tables, ENVIRON, folder, now, state), clock=now, chance=random.random)
        began = time.perf_counter()
        with state.transaction():
            for number in range(MESSAGES):
                box.put(alert(f"i{number}"), ["hook", "slack", "dead"], now())
        recorded = time.perf_counter()
        deliverer.wake()
        hook.wait(MESSAGES, 120)
        slack.wait(MESSAGES, 120)
        sent = time.perf_counter()
        ended = deliverer.stop()
        stopped = time.perf_counter()
    print(f"recorded {3 * MESSAGES} messages in {recorded - began:.2f} s, in one transaction")
    print(f"sent {2 * MESSAGES} to two channels in {sent - recorded:.2f} s beside one that hangs")
    print(f"stopped: {ended}, in {stopped - sent:.2f} s")


def kills(folder: Path, wanted: int) -> None:
    chance = random.Random(20261129)
    killed = made = 0

    def slow(_: object) -> Answer:
        time.sleep(0.02 * chance.random())
        return OK_SLACK

    with Receiver(slow) as hook, Receiver(slow) as slack:
        channels = [described("hook", "webhook", hook.url, timeout=30), described("slack", "slack", slack.url, timeout=30)]
        while killed < wanted:
            process = start(folder, channels)
            for _ in range(12):
                put_one(folder, f"i{made}")
                made += 1
            time.sleep(0.4 + 0.6 * chance.random())
            process.kill()
            _, wrong = process.communicate(timeout=60)
            assert "Traceback" not in wrong, wrong
            killed += process.returncode == -9
        while start(folder, channels).wait(600):
            pass
    hooks = Counter(taken.headers["webhook-id"] for taken in hook.taken)
    told = Counter(taken.json["text"] for taken in slack.taken)
    print(f"{killed} kills, {made} messages to each channel")
    print(f"web hook: {made - len(hooks)} lost, {sum(hooks.values()) - len(hooks)} came twice and are told by their id")
    print(f"slack: {made - len(told)} lost, {sum(told.values()) - len(told)} came twice, at most {max(told.values())} times")


def put_one(folder: Path, incident: str) -> None:
    with State(folder / "state") as state:
        Outbox(state).put(alert(incident, sentence=f"{incident} is down."), ["hook", "slack"], now())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        speed(Path(name))
        kills(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 200)
