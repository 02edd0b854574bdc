"""How the queues of the simulated fleet move, minute by minute: what comes, what is done, what waits and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from qpanalytics.simulated import fleet
from qpanalytics.simulated.fleet import AS_OF, SINCE, Queue

Floats = npt.NDArray[np.float64]
Wholes = npt.NDArray[np.int64]
MINUTE = timedelta(minutes=1)
MINUTES = (AS_OF - SINCE) // MINUTE
#: A failed job is tried again so many minutes later, where the fault is not planted.
AGAIN = 5


@dataclass(frozen=True)
class Moved:
    """One queue at the end of each minute, the first one before any; figures are jobs, ages seconds (NaN: nothing waits)."""

    depth: Wholes
    age_s: Floats
    processed: Wholes
    failed: Wholes
    retrying: Wholes
    dead: Wholes


def place(at: datetime) -> int:
    """The minute of the simulation that begins at an instant."""
    return (at - SINCE) // MINUTE


def moved(queue: Queue, chance: np.random.Generator) -> Moved:
    """What becomes of a queue, with what was planted in it."""
    came = chance.poisson(_arrivals(queue))
    can = chance.poisson(_capacity(queue))
    # Lindley's recursion, depth = max(depth + came - can, 0), in closed form
    net = np.cumsum(came - can)
    depth = net - np.minimum(np.minimum.accumulate(net), 0)
    done = came - np.diff(depth, prepend=0)
    failures = chance.binomial(done, queue.fails)
    waiting = np.cumsum(failures)
    retrying = waiting - np.concatenate([np.zeros(AGAIN, dtype=np.int64), waiting[:-AGAIN]])
    dead = np.full(MINUTES, queue.dead, dtype=np.int64)
    if queue.name == "reports":
        failures, retrying, dead, done = _storm(done, failures, retrying, dead, chance)
    processed, failed = np.cumsum(done), np.cumsum(failures)
    if queue.name == "billing":
        after = place(fleet.RESET)
        for counter in (processed, failed):
            counter[after:] -= counter[after - 1]
    moved = Moved(depth, _ages(came, depth), processed, failed, retrying, dead)
    return Moved(*(np.concatenate([values[:1], values]) for values in vars(moved).values()))


def _arrivals(queue: Queue) -> Floats:
    """Jobs that come in each minute, on the average: a tide over the day, half of it at weekends."""
    hour, weekend, minute = _clock()
    expected = queue.per_min * (1 + 0.4 * np.sin((hour - 9) / 24 * 2 * np.pi)) * np.where(weekend, 0.5, 1.0)
    if queue.batch_at is not None:
        expected = np.where(minute == queue.batch_at, 60 * expected, 0.0)
    if queue.name == "imports":
        expected[place(fleet.PRODUCER_DOWN) :] = 0.0
    if queue.name == "mailers":
        first, last = (t.total_seconds() / 3600 for t in (fleet.FILLS_FROM, fleet.FILLS_TO))
        expected = np.where(~weekend & (hour >= first) & (hour < last), fleet.MORNING_PER_MIN, expected)
    return expected


def _capacity(queue: Queue) -> Floats:
    """Jobs that its workers can do in each minute, on the average."""
    can = np.full(MINUTES, queue.capacity_per_min, dtype=np.float64)
    if queue.name == "search":
        can[place(fleet.HUNG) :] = 0.0
    if queue.name == "video":
        can[place(fleet.KILLED) :] /= 2
    if queue.name == "thumbnails":
        can[place(fleet.CRASHING) :] /= 2
    return can


def _clock() -> tuple[Floats, npt.NDArray[np.bool_], Wholes]:
    """Hour of the day (with its fraction), whether it is a weekend, minute of the hour: of the beginning of each minute."""
    since = SINCE.hour * 60 + SINCE.minute + np.arange(MINUTES)
    weekday = (SINCE.weekday() + since // 1440) % 7
    return since % 1440 / 60, weekday >= 5, since % 60


def _ages(came: Wholes, depth: Wholes) -> Floats:
    """How long the oldest waiting job waits: first come, first served, arrivals spread evenly over their minute."""
    total = np.cumsum(came)
    oldest = total - depth + 1  # its number among all that ever came
    minute = np.minimum(np.searchsorted(total, oldest), MINUTES - 1)
    share = (oldest - (total[minute] - came[minute])) / np.maximum(came[minute], 1)
    return np.where(depth > 0, (np.arange(1, MINUTES + 1) - minute - share) * 60, np.nan)


def _storm(
    done: Wholes, failures: Wholes, retrying: Wholes, dead: Wholes, chance: np.random.Generator
) -> tuple[Wholes, Wholes, Wholes, Wholes]:
    """From a known minute on 9 of 10 tries fail and wait for another, and of the tries that fail again some are given up."""
    failures, retrying, dead, done = (values.copy() for values in (failures, retrying, dead, done))
    for k in range(place(fleet.STORM), MINUTES):
        again = chance.binomial(retrying[k - 1], 1 / 30)
        again_failed = chance.binomial(again, 0.9)
        gone = chance.binomial(again_failed, 0.2)
        first_failed = chance.binomial(done[k], 0.9)
        retrying[k] = retrying[k - 1] - again + again_failed - gone + first_failed
        dead[k] = dead[k - 1] + gone
        failures[k] = first_failed + again_failed
        done[k] += again
    return failures, retrying, dead, done
