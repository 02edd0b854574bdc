"""Who is in the simulated fleet, what was promised of it, and when what goes wrong. All times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from qpanalytics.settings import CheckEntry, PromiseTable

TITLE = "a fleet of queues and workers, simulated"
SHOP, LISTS, HOSTS, CHECKS = "simulated-shop", "simulated-lists", "simulated-hosts", "simulated-checks"
SYSTEM = "simulated"
SEED = 20261124

AS_OF = datetime(2026, 11, 24, 9, 36, tzinfo=UTC)
"""A Tuesday, in the middle of the mailers' bad hour: the last look."""
SINCE = AS_OF - timedelta(days=14)
EACH_MINUTE = timedelta(hours=48)
"""So long before the last look there is one each minute; before that one for 5 minutes, as a store would have thinned them."""

FILLS_FROM, FILLS_TO = timedelta(hours=8, minutes=50), timedelta(hours=9, minutes=40)
"""From Monday to Friday more comes into `mailers` than its workers can do."""
RESET = datetime(2026, 11, 19, 13, 37, tzinfo=UTC)
"""The counters of `billing` begin at 0 again."""
KILLED = datetime(2026, 11, 23, 18, 12, tzinfo=UTC)
"""`video-2` dies with a job in hand."""
PRODUCER_DOWN = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
"""From this run on `extract-orders` fails, so `imports` gets nothing."""
HUNG = datetime(2026, 11, 24, 4, 11, tzinfo=UTC)
"""Both jobs of `search-1` hang from now on; it goes on beating."""
CRASHING = datetime(2026, 11, 24, 6, 20, tzinfo=UTC)
CRASH_EVERY = timedelta(minutes=4)
"""`thumbs-2` ends and is started again, again and again."""
STORM = datetime(2026, 11, 24, 7, 43, tzinfo=UTC)
"""What `reports` asks for answers no longer: 9 of 10 tries fail from now on."""


@dataclass(frozen=True)
class Queue:
    """A queue that does well: jobs that come a minute, on the average of a day, and what its workers can do."""

    name: str
    source: str
    per_min: float
    capacity_per_min: float
    workers: tuple[str, ...]
    #: Jobs that one worker takes at a time.
    slots: int
    fails: float = 0.0
    delayed: int = 0
    dead: int = 0
    #: It comes once an hour at this minute, all at once.
    batch_at: int | None = None

    @property
    def all_slots(self) -> int:
        """Jobs in hand when all of its workers are busy."""
        return self.slots * len(self.workers)

    @property
    def service_s(self) -> float:
        """How long one job takes, seconds."""
        return 60.0 * self.all_slots / self.capacity_per_min


QUEUES = (
    Queue("billing", SHOP, 5, 20, ("billing-1",), 4, fails=0.002),
    Queue("default", SHOP, 40, 90, ("default-1", "default-2"), 10, fails=0.0005, delayed=20, dead=3),
    Queue("imports", SHOP, 60 / 60, 20, ("imports-1",), 5, batch_at=6),
    Queue("mailers", SHOP, 30, 60, ("mailers-1", "mailers-2"), 5, fails=0.0005, delayed=40),
    Queue("reports", SHOP, 6, 15, ("reports-1",), 5, fails=0.004, dead=12),
    Queue("search", SHOP, 2, 6, ("search-1",), 2),
    Queue("video", SHOP, 0.5, 2, ("video-1", "video-2"), 1, fails=0.01),
    Queue("thumbnails", LISTS, 720 / 60, 60, ("thumbs-1", "thumbs-2"), 4, batch_at=30),
)
#: In the morning more comes into `mailers`, a minute, than the 60 that it can do.
MORNING_PER_MIN = 83.0

PROMISES = (
    PromiseTable.model_validate({"queue": "mailers", "oldest": "10 min"}),
    PromiseTable.model_validate({"queue": "default", "oldest": "5 min", "workers": 2}),
    PromiseTable.model_validate({"queue": "search", "oldest": "15 min"}),
    PromiseTable.model_validate({"queue": "video", "workers": 2}),
    PromiseTable.model_validate({"queue": "thumbnails", "depth": 2000}),
)
#: (check, queue, after), as a configuration would say.
JOINS: tuple[tuple[str, str | None, str | None], ...] = (
    ("close-books", "billing", None),
    ("load-orders", "imports", "extract-orders"),
    ("reindex", "search", None),
)


def entries() -> list[CheckEntry]:
    """The four heartbeat checks."""
    said = {
        "extract-orders": ("5 * * * *", 900),
        "load-orders": ("20 * * * *", 900),
        "reindex": ("*/15 * * * *", 300),
        "close-books": ("0 2 * * *", 1800),
    }
    return [
        CheckEntry.model_validate(
            {"check": name, "schedule": schedule, "grace_s": grace_s, "tags": ["simulated"], "valid_from": SINCE}
        )
        for name, (schedule, grace_s) in said.items()
    ]


def configuration(store: str) -> str:
    """What a `qpa.toml` over a store of the fleet would say: its promises, and which check belongs to which queue."""
    import json

    lines = ["# Of the simulated fleet that `qpa demo` makes.", "[store]", f"path = {json.dumps(store)}"]
    for check, queue, after in JOINS:
        lines += ["", "[[check]]", f'check = "{check}"']
        lines += [f'{name} = "{value}"' for name, value in (("queue", queue), ("after", after)) if value is not None]
    for promise in PROMISES:
        lines += ["", "[[promise]]", f'queue = "{promise.queue}"']
        lines += [f'oldest = "{promise.oldest / 60:.0f} min"'] if promise.oldest is not None else []
        lines += [f"depth = {promise.depth}"] if promise.depth is not None else []
        lines += [f"workers = {promise.workers}"] if promise.workers is not None else []
    return "\n".join(lines) + "\n"
