"""What would happen if a check did not run: its next deadline, and the policy's word on what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qpanalytics.errors import UsageError
from qpanalytics.instants import micros
from qpanalytics.ledger.versions import FOREVER_US, Version, in_force, schedule_of
from qpanalytics.policy.changes import Incident
from qpanalytics.policy.engine import Engine, Standing
from qpanalytics.policy.events import Promised
from qpanalytics.policy.explain import Step, explain, told
from qpanalytics.policy.rules import Policy
from qpanalytics.spell import quoted
from qpanalytics.watch import kept
from qpanalytics.watch.translate import promised_versions

if TYPE_CHECKING:
    from qpanalytics.settings import Settings
    from qpanalytics.store.state import State


@dataclass(frozen=True)
class Explained:
    """`standing` is None for a check that was never watched; `deadline_at` (epoch microseconds) None where no run is expected.

    `open` are its incidents, with the channels that were told and by which rule.
    """

    check: str
    standing: Standing | None
    deadline_at: int | None
    steps: list[Step]
    open: list[tuple[Incident, list[tuple[str, str]]]]


def explained(state: State | None, settings: Settings, check: str, now: datetime) -> Explained:
    """What is known of a check and what would follow. UsageError for one that neither a source nor `qpa.toml` knows."""
    policy = Policy.of(settings)
    checks, states = kept.Checks({}), {}
    if state is not None:
        with state.reading() as con:
            checks, states = kept.load_checks(con), kept.load_states(con)
    known = next((one for one in checks if one.name == check), None)
    if known is None:
        if check not in {entry.check for entry in settings.check}:
            names = [*(one.name for one in checks), *(entry.check for entry in settings.check)]
            near = get_close_matches(check, names, n=1)
            raise UsageError(f"there is no check {quoted(check)}{f'; did you mean {quoted(near[0])}?' if near else ''}")
        known = checks.add("", check, check)  # until its first ping nobody knows what source it is of
    engine = Engine(policy, states)
    standing = engine.standing(check) if check in engine.checks() else None
    versions = promised_versions(checks, settings.check)[check]
    after = next((entry.after for entry in reversed(settings.check) if entry.check == check), None)
    deadline = standing.deadline_at if standing is not None else _deadline(versions, micros(now))
    promised = Promised(check, micros(now), versions, known.source, after)
    steps = [] if deadline is None else explain(policy, promised, deadline_at=deadline)
    mine = [one for one in engine.incidents() if any(m.about == "check" and m.name == check for m in one.members)]
    return Explained(check, standing, deadline, steps, [(one, told(policy, one)) for one in mine])


def _deadline(versions: tuple[Version, ...], now: int) -> int | None:
    """The deadline of the next run that a clock schedule expects."""
    version = in_force(versions, now) or next((v for v in versions if v.from_us == -FOREVER_US), None)
    if version is None or version.schedule is None or version.kind == "interval":
        return None
    expected = schedule_of(version.schedule, version.tz).after(now)
    return None if expected is None else expected + version.grace_us


