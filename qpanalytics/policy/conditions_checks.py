"""What can be wrong with a check: runs that do not come, fail, hang, fail too often, or take far too little time."""

from __future__ import annotations

from statistics import median

from qpanalytics.policy.changes import DOWN
from qpanalytics.policy.sign import Condition, Fact, Memory, Setting, Sign

#: So many durations tell what is usual; so many are kept; so many short runs in a row are no chance, so many a new usual.
ENOUGH, KEPT, SHORT, USUAL_NOW = 20, 30, 2, 10
#: As short as what is usual now and then: at most twice as long as so many of the runs that are kept.
NOW_AND_THEN = 2
#: Evidence names so many occurrences.
NAMED = 10


def down(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Bad runs in a row, `failures_in_a_row` of them; over when the check is no longer down.

    A failure and the deadline that it leads to are one bad run.
    """
    if fact.what == "well":
        memory.clear()
        return Sign(False, fact.at, "down", fact.evidence)
    if fact.what == "success":
        memory.clear()
        return None
    key = fact.evidence.get("expected_at") or fact.at
    keys = memory.setdefault("of", [])
    if key not in keys:
        memory["n"] = memory.get("n", 0) + 1
        memory["of"] = [*keys, key][-NAMED:]
    if memory["n"] < setting.in_a_row:
        return None
    return Sign(True, fact.at, fact.what, {**fact.evidence, "n": memory["n"], "occurrences": memory["of"]})


def often(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """`often` bad runs among the last `often_of`; over when at most half as many are.

    It is for checks that wait for several bad runs in a row: of the others each bad run is told by itself.
    """
    if setting.in_a_row == 1:
        return None
    most, of = setting.table.often, setting.table.often_of
    if fact.what in ("missed", "late", "kept"):
        bad = fact.what != "kept"
    elif not setting.scheduled and fact.what in ("failed", "success"):
        bad = fact.what == "failed"
    else:
        return None
    if not most or (not bad and "last" not in memory):
        return None
    # the last runs as a text of their marks; good ones are not noted before the first bad one
    last = memory["last"] = (memory.get("last", "") + ("x" if bad else "."))[-of:]
    n = last.count("x")
    if not memory.get("on") and n >= most and bad:
        memory["on"] = True
        return Sign(True, fact.at, "often", {"n": n, "of": len(last)})
    if memory.get("on") and n <= most // 2:
        memory["on"] = False
        return Sign(False, fact.at, "often", {"n": n, "of": len(last)})
    if not n:
        memory.clear()
    return None


def too_fast(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Successes that took less than a share of the usual time, twice in a row: they did nothing.

    Ten of them in a row are what is usual now. A job that often finds nothing to do ends soon, and that is usual, too: what
    several of the last runs took is not too fast, and a short run that comes alone counts among them.
    """
    took = fact.evidence.get("duration_s")
    if took is None or not setting.table.too_fast:
        return None
    usual = memory.setdefault("usual", [])
    middle = median(usual) if len(usual) >= ENOUGH else 0.0
    if took < setting.table.too_fast * middle and sum(took >= one / 2 for one in usual) < NOW_AND_THEN:
        n = memory["short"] = memory.get("short", 0) + 1
        memory["alone"] = round(took, 3)
        if n == SHORT:
            return Sign(True, fact.at, "too_fast", {"duration_s": took, "usual_s": middle})
        if n < USUAL_NOW:
            return None
        memory["usual"] = []
    was, alone = memory.pop("short", 0), memory.pop("alone", None)
    memory["usual"] = [*memory["usual"], *([alone] if was == 1 else ()), round(took, 3)][-KEPT:]
    return Sign(False, fact.at, "too_fast", {"duration_s": took}) if was >= SHORT else None


def drifting(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """What the daily analysis found; it has its own patience."""
    if memory.get("on", False) == fact.seen.lasts:
        return None
    memory["on"] = fact.seen.lasts
    return Sign(fact.seen.lasts, fact.at, "drifting", {"said": fact.seen.said, **fact.seen.figures})


CONDITIONS = (
    Condition(
        "down", "check", "a run was missed, is late, failed or hangs: so many in a row", down,
        hears=("well", "success", *DOWN),
    ),
    Condition(
        "often", "check", "too many of the last runs were missed, late or failed", often, "warning",
        covered_by=("down",), hears=("kept", "success", *DOWN),
    ),
    Condition("too_fast", "check", "runs end far sooner than usual", too_fast, "warning", hears=("success",)),
    Condition("drifting", "check", "runs come later or take longer than they did", drifting, "info", hears=("told",)),
)  # fmt: skip
