"""Queues, workers and sources: what each look shows goes to the conditions of what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qpanalytics.policy.changes import key_of
from qpanalytics.policy.conditions import OF_QUEUES, OF_QUEUES_BY_WORKERS, OF_SOURCES, OF_SOURCES_BY_WORKERS, OF_WORKERS
from qpanalytics.policy.events import Covered, Lost, QueueLook, Seen, Unreachable, WorkersLook
from qpanalytics.policy.sign import Fact
from qpanalytics.policy.subjects import QueueSubject, SourceSubject, State, Subject, Surroundings, WorkerSubject

_MADE: dict[str, type[Subject]] = {"queue": QueueSubject, "worker": WorkerSubject, "source": SourceSubject}


class Looks:
    """All queues, workers and sources. Keys are `queue:SOURCE/NAME`, `worker:SOURCE/NAME` and `source:NAME`."""

    def __init__(self, around: Surroundings, said: Mapping[str, State]) -> None:
        self._around = around
        self._subjects: dict[str, Subject] = {}
        for key, state in said.items():
            if key.startswith(("queue:", "worker:", "source:")):
                kind, _, rest = key.partition(":")
                source = state.get("source", "")
                name = rest if kind == "source" else rest.removeprefix(f"{source}/")
                self._subjects[key] = _MADE[kind](name, source, around, state)
        self._touched: set[str] = set()
        self._gone: set[str] = set()

    def dues(self) -> Iterator[tuple[str, int | None]]:
        """When each has something due."""
        return ((key, subject.due()) for key, subject in self._subjects.items())

    def changed(self) -> dict[str, State | None]:
        """The states that changed since the last time."""
        found: dict[str, State | None] = {key: self._subjects[key].said() for key in self._touched if key in self._subjects}
        found |= dict.fromkeys(self._gone)
        self._touched, self._gone = set(), set()
        return found

    def run(self, key: str, at: int) -> int | None:
        """Lets time go by for one; when it is due next."""
        subject = self._subjects[key]
        subject.run(at)
        self._touched.add(key)
        return subject.due()

    def blind(self, source: str) -> bool:
        """Whether a source has been out of reach for so long that nothing is known of its checks."""
        found = self._subjects.get(f"source:{source}")
        return isinstance(found, SourceSubject) and found.blind

    def blinds(self, source: str, severity: str) -> None:
        """A check of this severity is seen through that source."""
        _, subject = self._subject("source", source, source)
        assert isinstance(subject, SourceSubject)
        if severity == "critical" and subject.worst != severity:
            subject.worst = severity
            self._touched.add(f"source:{source}")

    def source(self, event: Seen | Unreachable | Covered) -> tuple[str, int | None]:
        """A look at a source, or what the day showed; its key and when it is due."""
        name = event.feed if isinstance(event, Seen) else event.source
        key = f"source:{name}"
        if isinstance(event, Seen):
            if key not in self._subjects or "unreachable" not in self._subjects[key].memories:
                return key, None
            fact = Fact("seen", event.at)
        elif isinstance(event, Unreachable):
            fact = Fact("unreachable", event.at, {"why": event.why})
        else:
            fact = Fact("covered", event.at, {"coverage": event.coverage})
        return self._judge_source(key, fact)

    def lost(self, source: str, event: Lost) -> tuple[str, int | None]:
        """Pings of a check of that source are lost."""
        return self._judge_source(f"source:{source}", Fact("lost", event.at, {"n": event.n, "check": event.check}))

    def _judge_source(self, key: str, fact: Fact) -> tuple[str, int | None]:
        name = key.partition(":")[2]
        _, subject = self._subject("source", name, name)
        subject.judge(OF_SOURCES, fact, self._around.setting)
        self._touched.add(key)
        return key, subject.due()

    def look(self, event: QueueLook | WorkersLook, at: int) -> list[tuple[str, int | None]]:
        """A look at a queue or at all workers of a source; keys and when they are due."""
        if isinstance(event, QueueLook):
            return [self._judge_queue(event, at)]
        found = []
        there = set()
        for worker in event.workers:
            key, subject = self._subject("worker", event.source, worker.worker)
            there.add(key)
            subject.judge(OF_WORKERS, Fact("look", at, seen=worker), self._around.setting)
            self._touched.add(key)
            found.append((key, subject.due()))
        mine = [key for key, s in self._subjects.items() if s.about == "worker" and s.source == event.source]
        for key in [key for key in mine if key not in there]:
            self._forget(key, at)
        for said in self._around.policy.promises:
            if said.workers is not None and said.source in (None, event.source):
                found += self._judge_workers(said.queue, event, at, named=said.source is not None)
        _, subject = self._subject("source", event.source, event.source)
        subject.judge(OF_SOURCES_BY_WORKERS, Fact("look", at, seen=event), self._around.setting)
        self._touched.add(f"source:{event.source}")
        return found

    def _judge_queue(self, event: QueueLook, at: int) -> tuple[str, int | None]:
        key, subject = self._subject("queue", event.source, event.queue)
        assert isinstance(subject, QueueSubject)
        subject.judge(OF_QUEUES, Fact("look", at, seen=event), subject.setting)
        self._touched.add(key)
        return key, subject.due()

    def _judge_workers(self, glob: str, event: WorkersLook, at: int, *, named: bool) -> list[tuple[str, int | None]]:
        """The queues of a source that a promise of workers is for: those that a look showed, or that workers name."""
        names = {s.name for s in self._subjects.values() if s.about == "queue" and s.source == event.source}
        names |= {queue for worker in event.workers for queue in worker.queues or ()}
        if named:  # a promise of this very source; of others a look has to show the queue
            names |= {glob} if not set(glob) & set("*?[") else set()
        found = []
        for name in sorted(names):
            key, subject = self._subject("queue", event.source, name)
            assert isinstance(subject, QueueSubject)
            if subject.setting.promise.workers is not None:
                subject.judge(OF_QUEUES_BY_WORKERS, Fact("look", at, {"queue": name}, event), subject.setting)
                self._touched.add(key)
                found.append((key, subject.due()))
        return found

    def _forget(self, key: str, at: int) -> None:
        """A worker process that is no longer listed: it does not hang any more; a crash loop may go on under other names."""
        subject = self._subjects.pop(key)
        self._gone.add(key)
        for condition in OF_WORKERS:
            self._around.troubles.end(key_of("worker", subject.source, subject.name, condition.kind), at, "no longer there")

    def _subject(self, kind: str, source: str, name: str) -> tuple[str, Subject]:
        """One of them with its key, new where it is not known."""
        key = f"source:{name}" if kind == "source" else f"{kind}:{source}/{name}"
        if key not in self._subjects:
            self._subjects[key] = _MADE[kind](name, source, self._around)
        return key, self._subjects[key]
