"""What can be wrong with the collector itself: a source that cannot be reached, pings proven lost, too little seen."""

from __future__ import annotations

from qpanalytics.policy.sign import HOUR, SECOND, Condition, Fact, Memory, Setting, Sign


def unreachable(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """No look succeeded for `unreachable`; over with the first that does. `time` facts come when that may be due."""
    if fact.what == "seen":
        on = memory.pop("on", False)
        memory.clear()
        return Sign(False, fact.at, "unreachable") if on else None
    if fact.what == "unreachable":
        memory.setdefault("since", fact.at)
        memory["why"] = fact.evidence.get("why", "")
    since = memory.get("since")
    if since is None or memory.get("on") or fact.at < due(memory, setting):
        return None
    memory["on"] = True
    return Sign(True, fact.at, "unreachable", {"since_at": since, "why": memory.get("why", "")})


def due(memory: Memory, setting: Setting) -> int:
    """When a source that fails counts as unreachable."""
    return int(memory["since"] + setting.table.unreachable * SECOND)


def lost(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Pings are proven to be lost; over after an hour without."""
    if fact.what == "lost":
        memory["n"] = memory.get("n", 0) + fact.evidence["n"]
        memory["last"] = fact.at
        return Sign(True, fact.at, "lost", {"n": memory["n"], **fact.evidence})
    if "last" in memory and fact.at >= memory["last"] + HOUR:
        memory.clear()
        return Sign(False, fact.at, "lost")
    return None


def coverage(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Less than the share `coverage` of a day was seen; over from a quarter of the rest above it on."""
    if fact.what != "covered":
        return None
    least, share = setting.table.coverage, fact.evidence["coverage"]
    if share < least and not memory.get("on"):
        memory["on"] = True
        return Sign(True, fact.at, "coverage", {"coverage": share, "least": least})
    if memory.get("on") and share >= least + (1 - least) / 4:
        memory.clear()
        return Sign(False, fact.at, "coverage", {"coverage": share})
    return None


CONDITIONS = (
    Condition("unreachable", "source", "a source cannot be reached, so nothing is known of its checks", unreachable),
    Condition("lost", "source", "pings are proven to be lost", lost, most="warning"),
    Condition("coverage", "source", "a source was seen too little", coverage, most="warning"),
)
