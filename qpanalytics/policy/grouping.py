"""Is it one trouble or many: what follows from another check, what has a cause in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qpanalytics.policy.changes import Member, family


@dataclass(frozen=True, slots=True)
class Fresh:
    """Trouble that began just now, with what it could have in common with others, the narrowest first."""

    member: Member
    causes: tuple[str, ...]
    #: Troubles of the same thing that this one belongs to.
    covered_by: tuple[str, ...] = ()

    @property
    def shared(self) -> tuple[str, ...]:
        """The causes, for trouble of its kind: a queue that fills and one that dies have nothing in common."""
        return tuple(f"{family(self.member.kind)}|{cause}" for cause in self.causes)


def broken_links(
    fresh: Mapping[str, Fresh], after: Callable[[str], str | None], in_trouble: Callable[[str], bool]
) -> dict[str, str]:
    """For each check that waits for one in trouble: the first broken link of its chain, by name.

    `fresh` is by name; `after` names what a check follows, `in_trouble` tells whether a check was in trouble already.
    """
    found = {}
    for name in fresh:
        seen, first, link = {name}, None, after(name)
        while link is not None and link not in seen and (link in fresh or in_trouble(link)):
            seen.add(link)
            first, link = link, after(link)
        if first is not None and link not in seen:  # checks that wait for one another in a circle follow nobody
            found[name] = first
    return found


def common_causes(
    fresh: Sequence[Fresh], open_: Mapping[str, str], recent: Mapping[str, Sequence[str]], least: int
) -> list[tuple[str | None, list[Fresh]]]:
    """Fresh trouble by what it has in common; None: each by itself.

    `open_` are causes of incidents that take more members, `recent` the incidents of one member that began a short time
    ago, by each of their causes. From `least` of one cause on it is one. Of several causes the narrowest that is shared by
    so many decides, and of these the one shared by most.
    """
    counts = Counter(cause for one in fresh for cause in one.shared)
    for cause, incidents in recent.items():
        if cause in counts:
            counts[cause] += len(incidents)
    groups: dict[str | None, list[Fresh]] = {}
    for one in fresh:
        joined = next((cause for cause in one.shared if cause in open_), None)
        if joined is None:
            many = [cause for cause in one.shared if counts[cause] >= least]
            rank = {"host": 0, "tag": 1, "source": 2}
            joined = min(many, key=lambda c: (rank[c.partition("|")[2].partition(":")[0]], -counts[c], c), default=None)
        groups.setdefault(joined, []).append(one)
    return list(groups.items())
