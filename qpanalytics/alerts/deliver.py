"""Sends what waits in an outbox: each channel in a thread of its own, so that a dead one delays no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.alerts import open_channel
from qpanalytics.alerts.base import Asks, DeliveryError, Sent
from qpanalytics.alerts.outbox import Job, Learned, Outbox, retry_s
from qpanalytics.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from qpanalytics.alerts.base import Channel
    from qpanalytics.settings_channels import ChannelTable
    from qpanalytics.store.state import State

#: Whoever delivers is stopped within this, seconds, also while a channel hangs.
STOP_S = 4.0
#: How long a thread sleeps at most without looking at the clock, which may have been set meanwhile.
_NAP_S = 30.0
#: And while the state cannot be written: nothing is sent that could not be recorded.
_STORE_REST_S = 2.0
#: In a single round a channel that failed so often in a row is left for the next round.
_ENOUGH = 3


class Deliverer:
    """Threads that send for as long as something waits.

    `opened` gives a channel by name, or ConfigError. `chance` gives numbers from 0 to 1. `trouble` is told in one line
    what kept a message from being sent or recorded, with the channel's name; it is called from several threads.
    """

    def __init__(
        self,
        outbox: Outbox,
        opened: Callable[[str], Channel],
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        trouble: Callable[[str], None] = lambda said: None,
    ) -> None:
        self.outbox, self.opened, self.clock, self.chance, self.trouble = outbox, opened, clock, chance, trouble
        self.stopping = threading.Event()
        self.one_round = False
        self._lanes: dict[str, _Lane] = {}
        self._lock = threading.Lock()

    def wake(self) -> None:
        """Has everything sent that waits; returns at once. Call it after each `put`, and once at the start."""
        channels = self.outbox.waiting()
        with self._lock:
            for channel in channels:
                if self.stopping.is_set():
                    return
                if (lane := self._lanes.get(channel)) is None or not lane.is_alive():
                    lane = self._lanes[channel] = _Lane(channel, self)
                    lane.start()
                lane.news.set()

    def round(self, within_s: float) -> bool:
        """Sends what is due now and stops, as for `watch --once`; whether it came to an end within so many seconds.

        What failed waits for a later round. Afterwards this deliverer is done.
        """
        self.one_round = True
        self.wake()
        until = monotonic() + within_s
        for lane in self._running():
            lane.join(max(until - monotonic(), 0.0))
        ended = not any(lane.is_alive() for lane in self._running())
        return self.stop() and ended

    def stop(self, within_s: float = STOP_S) -> bool:
        """Ends the threads; whether they all ended in time.

        What is under way has half of the time to come to an end; then it is broken off, and tried again later.
        """
        self.stopping.set()
        until = monotonic() + within_s
        lanes = self._running()
        for lane in lanes:
            lane.news.set()
        for lane in lanes:
            lane.join(max(until - within_s / 2 - monotonic(), 0.0))
        for lane in lanes:
            lane.break_off()
        for lane in lanes:
            lane.join(max(until - monotonic(), 0.0))
        return not any(lane.is_alive() for lane in lanes)

    def leave(self, lane: _Lane) -> bool:
        """Whether a lane may end: not if something was put for it meanwhile."""
        with self._lock:
            if lane.news.is_set() and not (self.stopping.is_set() or self.one_round):
                return False
            self._lanes.pop(lane.channel, None)
            return True

    def _running(self) -> Sequence[_Lane]:
        with self._lock:
            return list(self._lanes.values())


class _Lane(threading.Thread):
    """What one channel is sent, one message after the other."""

    def __init__(self, channel: str, owner: Deliverer) -> None:
        super().__init__(name=f"qpa-alerts-{channel}", daemon=False)
        self.channel, self.news = channel, threading.Event()
        self._owner, self._outbox = owner, owner.outbox
        self._open: Channel | None = None
        self._failures = 0
        self._complaint = ""

    def run(self) -> None:
        try:
            self._deliver()
        finally:
            if self._open is not None:
                self._open.close()

    def break_off(self) -> None:
        """Ends what is under way, from another thread."""
        if (channel := self._open) is not None:
            channel.close()

    def _deliver(self) -> None:
        owner = self._owner
        while True:
            self.news.clear()
            job: Job | datetime | None = None
            if not owner.stopping.is_set() and not (owner.one_round and self._failures >= _ENOUGH):
                try:
                    job = self._outbox.begin(self.channel, owner.clock())
                except StoreError as error:
                    self._complain(f"{self.channel}: nothing is sent, since it could not be recorded: {error}")
                    if not owner.one_round:
                        owner.stopping.wait(_STORE_REST_S)
                        continue
            if isinstance(job, Job):
                self._try(job)
            elif isinstance(job, datetime) and not owner.one_round:
                self.news.wait(min(max((job - owner.clock()).total_seconds(), 0.05), _NAP_S))
            elif owner.leave(self):
                return

    def _try(self, job: Job) -> None:
        owner = self._owner
        began = monotonic()
        how = self._send(job)
        latency_s = monotonic() - began
        recorded = self._recorded(job, how, latency_s)
        tries = 0
        while not recorded and not owner.stopping.wait(_STORE_REST_S) and not (owner.one_round and tries > _ENOUGH):
            recorded, tries = self._recorded(job, how, latency_s), tries + 1
        if self._failures and not owner.one_round:
            # a channel that failed is likely to fail over the next message, too
            owner.stopping.wait(min(retry_s(self._failures, owner.chance()), _NAP_S))

    def _send(self, job: Job) -> Sent | DeliveryError:
        try:
            if self._open is None:
                self._open = self._owner.opened(self.channel)
            if job.unclear and not self._open.distinguishes and isinstance(self._open, Asks):
                # It may have the message; the one more try that it gets shall not be lost on a server that is down.
                self._open.ask()
            return self._open.send(job.message, job.key)
        except DeliveryError as error:
            return error
        except ConfigError as error:  # not permanent: somebody may put it right while the message waits
            return DeliveryError(str(error))
        except Exception as error:
            # One channel's bug must not end its thread, nor may its text, which could hold an address, go anywhere.
            return DeliveryError(f"{self.channel}: {type(error).__name__} while sending; please report this.", unclear=True)

    def _recorded(self, job: Job, how: Sent | DeliveryError, latency_s: float) -> bool:
        """Writes down how a try ended; False where the state cannot be written. Then the try shows as cut short."""
        owner = self._owner
        try:
            if isinstance(how, Sent):
                self._outbox.sent(job, owner.clock(), latency_s, how)
                self._failures, self._complaint = 0, ""
                return True
            knows = self._open is not None and self._open.distinguishes
            status = self._outbox.failed(job, owner.clock(), latency_s, how, distinguishes=knows, chance=owner.chance())
        except StoreError as error:
            self._complain(f"{self.channel}: how a message was sent could not be recorded: {error}")
            return False
        self._complain(str(how))
        self._failures = 0 if status == "failed" else self._failures + 1
        if status == "failed" and self._open is not None:  # its token may be another by the next message
            self._open.close()
            self._open = None
        return True

    def _complain(self, said: str) -> None:
        """Tells of a trouble, once while it lasts: a full disk is asked every few seconds."""
        if said != self._complaint:
            self._owner.trouble(said)
        self._complaint = said


def opener(
    tables: Sequence[ChannelTable], environ: Mapping[str, str], folder: Path, clock: Callable[[], datetime], state: State
) -> Callable[[str], Channel]:
    """Opens the channels of `qpa.toml` by name, with their memory in the state; ConfigError for any other name."""
    known = {table.name: table for table in tables}

    def opened(name: str) -> Channel:
        if name not in known:
            raise ConfigError(f"channel {spell.quoted(name)} is no longer in qpa.toml; put it back, or its messages are given up")
        return open_channel(known[name], environ, folder, clock, Learned(state, name, clock))

    return opened
