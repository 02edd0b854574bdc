"""A program that sends what waits in an outbox, to be killed: `python sending.py FOLDER CHANNELS.json [POINT]`.

At `begun` it stops when a try is recorded and not made, at `answered` when it is made and its end not recorded; it says so
on its output and waits to be killed. Else it ends once nothing waits.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from qpanalytics.alerts import outbox as outbox_
from qpanalytics.alerts.base import Sent
from qpanalytics.alerts.deliver import Deliverer, opener
from qpanalytics.alerts.outbox import Job, Outbox
from qpanalytics.settings_channels import ChannelTable
from qpanalytics.store.state import State

outbox_.FIRST_S = 0.05


def clock() -> datetime:
    return datetime.now(UTC)


class Stopping(Outbox):
    """Stands still at a point that a kill shall hit."""

    point = ""

    def begin(self, channel: str, at: datetime) -> Job | datetime | None:
        job = super().begin(channel, at)
        if isinstance(job, Job):
            self._stand("begun")
        return job

    def sent(self, job: Job, at: datetime, latency_s: float, sent: Sent) -> None:
        self._stand("answered")
        super().sent(job, at, latency_s, sent)

    def _stand(self, point: str) -> None:
        if point == self.point:
            print(point, flush=True)
            time.sleep(600)


def main() -> None:
    folder, described, *point = sys.argv[1:]
    tables = [ChannelTable.model_validate(one) for one in json.loads(Path(described).read_text())]
    with State(Path(folder) / "state") as state:
        box = Stopping(state)
        box.point = point[0] if point else ""
        box.recover(clock())
        opened = opener(tables, os.environ, Path(folder), clock, state)
        deliverer = Deliverer(box, opened, clock=clock, chance=random.random, trouble=lambda said: print(said, flush=True))
        deliverer.wake()
        while box.waiting() or _sending(state):
            time.sleep(0.02)
        assert deliverer.stop()


def _sending(state: State) -> bool:
    with state.reading() as con:
        return con.execute("select 1 from outbox where state = 'sending'").fetchone() is not None


if __name__ == "__main__":
    main()
