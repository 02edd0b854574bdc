"""What only the whole history can tell, once a day: which checks drift, or cannot be judged by ticks, and how much was seen.

`python -m qpanalytics.watch.daily STORE NOW [CONFIG]` works it out in a process of its own and leaves it for the watch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpanalytics.errors import QpaError
from qpanalytics.instants import TICK, micros
from qpanalytics.policy import events
from qpanalytics.store.state import State
from qpanalytics.watch import kept

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.settings import Settings
    from qpanalytics.store.db import Store

DAY = timedelta(days=1)
#: What was not known a week ago is news.
WEEK = timedelta(days=7)


def facts(
    store: Store, settings: Settings, now: datetime, silent: Collection[str] = (), drifts: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """What is to be told, as JSON values; `silent` are checks that were judged by silence only until now.

    `drifts` are checks that were told to drift until now; None leaves the question out, since the answer takes a while.
    A check whose ticks cannot be told apart (design rule 10) is judged by the longest time between completions in 90 days;
    where not even that is known, by nothing. StoreBusy where the store is held.
    """
    from qpanalytics.analysis.coverage import coverage
    from qpanalytics.analysis.replaying import LEAST_GAPS
    from qpanalytics.collect.configured import agree
    from qpanalytics.history import History, resolve_as_of

    agree(store, settings, now=now)
    at, _ = resolve_as_of(store, now=now)
    history = History(store, as_of=at, since=at, until=at + TICK, maintenance=tuple(settings.maintenance))
    found: list[dict[str, Any]] = []
    known = {row["name"]: row for row in history.sql("replay_gaps").to_pylist()}
    for name in sorted({*known, *silent}):
        row = known.get(name)
        longest = row["gap_us"] / 1e6 if row is not None and row["n"] >= LEAST_GAPS else NEVER_S
        found.append({"fact": "cannot_tell", "check": name, "silence_s": None if row is None else longest})
    day = coverage(history.window(at - DAY, at), by="source")
    for source, share in zip(day["source"].tolist(), day["coverage"].tolist(), strict=True):
        if share == share:  # NaN where nothing was to be seen
            found.append({"fact": "covered", "source": source, "coverage": float(share)})
    return found if drifts is None else [*found, *_drifting(history.window(at - WEEK, at), drifts)]


def _drifting(history: History, until_now: Collection[str]) -> Iterator[dict[str, Any]]:
    """Checks of which a digest of the last seven days would ask somebody to look at a drift, in its words; and those no more."""
    from qpanalytics.verdict.cases import cases, opened
    from qpanalytics.verdict.rules_drift import drifting
    from qpanalytics.verdict.rules_seen import Span
    from qpanalytics.verdict.say import say
    from qpanalytics.verdict.voice import Voice

    window = history.since, history.until, history.as_of
    with opened(history) as read:
        for case in cases(read):
            found = drifting(case, Span(*window))
            asks = found is not None and found.asks
            if found is not None and asks:
                sentence = say(found, Voice(*window, "UTC")).sentence
                yield {"fact": "drifting", "check": case.check, "lasts": True, "figures": {"sentence": sentence}}
            elif case.check in until_now:
                yield {"fact": "drifting", "check": case.check, "lasts": False, "figures": {}}


#: A silence that is never reached, seconds: a hundred years.
NEVER_S = 36_525 * 86_400.0


def event(fact: Mapping[str, Any], at: int) -> events.Event | None:
    """A fact as the engine is told it; None for one of a newer version."""
    if fact["fact"] == "cannot_tell":
        return events.CannotTell(fact["check"], at, fact["silence_s"])
    if fact["fact"] == "covered":
        return events.Covered(fact["source"], at, fact["coverage"])
    if fact["fact"] == "drifting":
        return events.Told(fact["check"], at, "drifting", fact["lasts"], fact["figures"])
    return None


def leave(path: Path, settings: Settings, now: datetime) -> int:
    """Works the facts out and leaves them for the watch of that store; how many."""
    from qpanalytics.store.db import Store

    store = Store(path, patience_s=3.0)
    if not store.exists():
        return 0
    with State.beside(path) as state:
        with state.reading() as con:
            states = kept.load_states(con)
        checks = {key[6:]: said for key, said in states.items() if key.startswith("check:")}
        silent = [name for name, said in checks.items() if "silence" in said.get("clock", {})]
        drifts = [name for name, said in checks.items() if said.get("memories", {}).get("drifting", {}).get("on")]
        found = facts(store, settings, now, silent, drifts)
        with state.transaction() as con:
            con.executemany("insert into orders (at_us, said) values (?, ?)", [(micros(now), json.dumps(f)) for f in found])
    return len(found)


def main(path: str, now: str, config: str | None = None) -> int:
    """Exit status 1, and one line, where the store cannot be read now."""
    from qpanalytics import settings

    try:
        leave(Path(path), settings.load(None if config is None else Path(config)), datetime.fromisoformat(now))
    except QpaError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
