"""What trouble is about: one check, queue, worker or source, with the memories of its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from qpanalytics.policy import conditions_sources
from qpanalytics.policy.changes import Member, key_of
from qpanalytics.policy.conditions import OF_CHECKS, OF_SOURCES
from qpanalytics.policy.events import Ping, Promised, Told
from qpanalytics.policy.feeds import Feed
from qpanalytics.policy.grouping import Fresh
from qpanalytics.policy.maintained import Maintained
from qpanalytics.policy.rules import Policy
from qpanalytics.policy.sign import HOUR, About, Condition, Fact, Memory, Setting, capped
from qpanalytics.policy.statuses import Clock
from qpanalytics.promised import promised

State = dict[str, Any]


class Troubles(Protocol):
    """Where trouble is noted."""

    def begin(self, fresh: Fresh) -> None:
        """Something is wrong, or came to another stage."""

    def end(self, key: str, at: int, why: str = "") -> None:
        """It no longer is."""


class Surroundings:
    """What all subjects share: the policy, its maintenance, and where trouble is noted."""

    def __init__(self, policy: Policy, troubles: Troubles) -> None:
        self.policy, self.troubles = policy, troubles
        self.maintained = Maintained(policy.maintenance)
        self.setting = Setting(policy.table)


class Subject:
    """One thing that can be in trouble."""

    about: About

    def __init__(self, name: str, source: str, around: Surroundings, said: State | None = None) -> None:
        said = said or {}
        self.name, self.source, self.around = name, source, around
        self.memories: dict[str, Memory] = said.get("memories", {})
        #: Trouble that began in maintenance and is held against it once that ends: by kind, until when, and the member.
        self.deferred: dict[str, tuple[int, State]] = {k: (v[0], v[1]) for k, v in said.get("deferred", {}).items()}

    def said(self) -> State:
        """The state as JSON values; what is empty is left out."""
        every: State = {"source": self.source, "memories": self.memories, "deferred": self.deferred}
        return {name: value for name, value in every.items() if value}

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels to route and group by."""
        return ()

    def severity(self, fact: Fact) -> str:
        """How much trouble with it matters."""
        return "warning"

    def causes(self) -> tuple[str, ...]:
        """What trouble of many could have in common, the narrowest first."""
        return (f"source:{self.source}",) if self.source else ()

    def judge(self, conditions: Sequence[Condition], fact: Fact, setting: Setting) -> None:
        """Has each condition look at a fact, and notes what began or ended."""
        for condition in conditions:
            if condition.hears and fact.what not in condition.hears:
                continue
            memory = self.memories.get(condition.kind)
            if memory is None:
                memory = {}
            found = condition.judge(memory, fact, setting)
            if memory:
                self.memories[condition.kind] = memory
            else:
                self.memories.pop(condition.kind, None)
            if found is None:
                continue
            member = Member(
                self.about, self.name, found.kind, capped(self.severity(fact), condition.most), found.at, self.source,
                self.tags, found.evidence,
            )  # fmt: skip
            if found.bad:
                self._begin(member, condition.covered_by)
            else:
                self.deferred.pop(condition.kind, None)
                key = key_of(self.about, self.source, self.name, condition.kind)
                self.around.troubles.end(key, found.at, found.evidence.get("why", ""))

    def _begin(self, member: Member, covered_by: Sequence[str] = ()) -> None:
        end = self.around.maintained.until(self.name, self.tags, member.since_at)
        if end is None:
            keys = tuple(key_of(self.about, self.source, self.name, kind) for kind in covered_by)
            self.around.troubles.begin(Fresh(member, self.causes(), keys))
        else:
            self.deferred[member.key.rpartition("#")[2]] = end, member_said(member)

    def due(self) -> int | None:
        """When it has something to do by time alone."""
        return min((end for end, _ in self.deferred.values()), default=None)

    def run(self, at: int) -> None:
        """Lets time go by."""
        for kind, (end, said) in list(self.deferred.items()):
            if end <= at:
                del self.deferred[kind]
                self._begin(member_of({**said, "since_at": end, "evidence": {**said["evidence"], "since_at": said["since_at"]}}))


class CheckSubject(Subject):
    """One check: its clock, what is said of it, and what its runs say."""

    about: About = "check"

    def __init__(self, name: str, around: Surroundings, feed: Feed, said: State | None = None) -> None:
        said = said or {}
        super().__init__(name, said.get("source", ""), around, said)
        self.feed = feed
        self.after: str | None = said.get("after")
        self.own: dict[str, Any] = said.get("own", {})  # severity and tags beside those of the versions
        self.host: str = said.get("host", "")
        self.holes: list[tuple[int, int]] = [(a, b) for a, b in said.get("holes", ())]
        self.clock = Clock(name, self, self.tell, said.get("clock"))
        if around.policy.maintenance:
            self.clock.excuses = lambda since, until: around.maintained.touches(name, self.tags, since, until)
        self._of_promise: tuple[Any, tuple[str, ...], str, Setting] | None = None

    def said(self) -> State:
        every = {
            "feed": self.feed.name, "after": self.after, "own": self.own, "host": self.host, "holes": self.holes,
            "clock": self.clock.said(), "due": self.due(),
        }  # fmt: skip
        return super().said() | {name: value for name, value in every.items() if value}

    def saw(self, since: int, until: int) -> bool:
        """Whether all of [since, until] was vouched for, and no ping in it is known to be lost."""
        return self.feed.saw(since, until) and all(until <= a or since >= b for a, b in self.holes)

    def begun(self, at: int) -> bool:
        """Whether anything was vouched for by then."""
        return self.feed.begun(at)

    def _promised(self) -> tuple[Any, tuple[str, ...], str, Setting]:
        version = self.clock.version(self.clock.clock) or (self.clock.versions[-1] if self.clock.versions else None)
        if self._of_promise is None or self._of_promise[0] is not version:
            tags = tuple(dict.fromkeys((*(version.tags if version else ()), *self.own.get("tags", ()))))
            policy = self.around.policy
            severity = policy.severity(self.name, tags, (version.severity if version else None) or self.own.get("severity"))
            scheduled = version is not None and version.schedule is not None
            setting = Setting(policy.table, policy.failures_in_a_row(self.name, tags), scheduled=scheduled)
            self._of_promise = version, tags, severity, setting
        return self._of_promise

    @property
    def tags(self) -> tuple[str, ...]:
        return self._promised()[1]

    def severity(self, fact: Fact) -> str:
        return self._promised()[2]

    def causes(self) -> tuple[str, ...]:
        host = (f"host:{self.host}",) if self.host else ()
        return (*host, *(f"tag:{tag}" for tag in self.tags), *super().causes())

    def tell(self, what: str, at: int, evidence: Mapping[str, Any]) -> None:
        """What its clock tells."""
        self.judge(OF_CHECKS, Fact(what, at, evidence), self._promised()[3])

    def told(self, event: Told, at: int) -> None:
        """What a daily analysis says of it."""
        self.judge(OF_CHECKS, Fact("told", at, seen=event), self._promised()[3])

    def same(self, said: Promised) -> bool:
        """Whether this is what is promised already."""
        mine = (list(said.versions), said.source, said.after, _own(said))
        return mine == (self.clock.versions, self.source, self.after, self.own)

    def promise(self, said: Promised) -> None:
        """What is promised from now on."""
        self.source, self.after, self.own = said.source, said.after, _own(said)
        self.clock.promise(said.versions)
        self._of_promise = None

    def hear(self, ping: Ping, at: int) -> None:
        """A ping."""
        if ping.host:
            self.host = ping.host
        figures = {} if ping.exit_status is None else {"exit_status": ping.exit_status}
        self.clock.hear(at, ping.kind, ping.run_id, ping.duration_s, figures)

    def due(self) -> int | None:
        own = self.clock.due()
        other = super().due() if self.deferred else None
        return own if other is None else other if own is None else min(own, other)

    def run(self, at: int) -> None:
        self.clock.run(at)
        if self.deferred:
            super().run(at)


class QueueSubject(Subject):
    """One queue of one source."""

    about: About = "queue"

    def __init__(self, name: str, source: str, around: Surroundings, said: State | None = None) -> None:
        super().__init__(name, source, around, said)
        promise = promised(around.policy.promises, source, name)
        self.setting = Setting(around.policy.table, promise=promise)

    def severity(self, fact: Fact) -> str:
        return self.setting.promise.severity


class WorkerSubject(Subject):
    """One worker process; its trouble matters as much as its queues."""

    about: About = "worker"

    def severity(self, fact: Fact) -> str:
        queues = getattr(fact.seen, "queues", None) or ()
        found = [promised(self.around.policy.promises, self.source, queue).severity for queue in queues]
        return min(found, key=("critical", "warning", "info").index, default="warning")


class SourceSubject(Subject):
    """One source. Its trouble matters as much as the checks that it blinds."""

    about: About = "source"
    worst = "warning"

    def severity(self, fact: Fact) -> str:
        return self.worst

    def causes(self) -> tuple[str, ...]:
        return ()  # the source is the cause

    @property
    def blind(self) -> bool:
        """Whether it has been out of reach for so long that nothing is known of its checks."""
        return bool(self.memories.get("unreachable", {}).get("on"))

    def due(self) -> int | None:
        memory = self.memories.get("unreachable", {})
        found = [super().due()]
        if "since" in memory and not memory.get("on"):
            found.append(conditions_sources.due(memory, self.around.setting))
        if "last" in self.memories.get("lost", {}):
            found.append(self.memories["lost"]["last"] + HOUR)
        return min((at for at in found if at is not None), default=None)

    def run(self, at: int) -> None:
        super().run(at)
        self.judge(OF_SOURCES, Fact("time", at), self.around.setting)


def _own(said: Promised) -> dict[str, Any]:
    return {name: value for name, value in (("severity", said.severity), ("tags", list(said.tags))) if value}


def member_said(member: Member) -> State:
    """A member as JSON values."""
    return {name: getattr(member, name) for name in Member.__dataclass_fields__} | {
        "tags": list(member.tags), "evidence": dict(member.evidence),
    }  # fmt: skip


def member_of(said: State) -> Member:
    """The member that `member_said` wrote."""
    return Member(**{**said, "tags": tuple(said["tags"])})
