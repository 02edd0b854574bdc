"""The one place that decides what is worth saying, and says it: page, mail, chat and command line only format it.

`cases` puts the figures of the analyses side by side, `rules*` make findings of them without words, `say` words them.
What they need is imported when a verdict is asked for: who words an incident needs neither NumPy nor DuckDB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from qpanalytics.verdict.finding import Finding as Finding
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case
    from qpanalytics.verdict.queue_cases import Looked

COLUMNS = Columns(
    rank="1 is the first to read; what asks for somebody comes before what is only worth knowing",
    kind="`down`, `hung`, `failing`, `missing`, `later`, `slower`, `not_vouched`, `late`, `recovered`, `never_seen`, "
    "`not_judged`, `cannot_tell`; of queues and workers `workers_gone`, `crash_loop`, `alive_not_draining`, `stuck`, "
    "`promise_broken`, `not_draining`, `retry_storm`, `orphaned`, `too_few_workers`, `dead_grew`, `empty_unexplained`, "
    "`job_silent`, `unwatched`",
    severity="`critical`, `warning` or `info`, from the check's or the promise's own and the kind",
    check="the check it is about, the first of `checks`; of queues and workers their name, which also stands in `figures`",
    sentence="what is so, in one sentence; times in the zone asked for",
    since_at="since when, or when it last happened; missing where that means nothing",
    figures="the numbers behind it: plain values, times ISO 8601 in UTC, durations in seconds",
    checks="all checks it is about: the same thing for the same reason is told once",
    label="the kind in a word or two",
    tone="`bad`, `warn`, `quiet` or `good`: how loudly to say it",
    detail="more figures, and what can be done",
    command="what to type to see the runs behind it; empty for frames without a store",
)


def verdicts(history: History, *, tz: str = "UTC") -> pd.DataFrame:
    """What is worth saying about the window, worst first: one row per finding, none if all is well.

    A check has at most one row that asks for somebody; the rest of its troubles stands in `detail`. Growth (`later`,
    `slower`) is told where the 95 % interval of the median's change lies above 0 *and* the change matters: a fifth of
    the grace or limit, or a fifth of what it was and a minute. It is asked against the window before and against the
    one four windows back, and only of checks with 20 occurrences behind them. Trouble that came right by itself, once,
    is `recovered`. `tz` is the reader's zone, for days and clock times in sentences.
    """
    import pandas as pd

    found = findings(history, tz=tz)
    table = pd.DataFrame(
        {
            "rank": pd.Series(range(1, len(found) + 1), dtype="int64"),
            **{name: pd.Series([getattr(f, name) for f in found], dtype="str") for name in _TEXTS},
            "since_at": pd.Series([f.since_at for f in found], dtype="datetime64[us, UTC]"),
            "figures": pd.Series([f.figures for f in found], dtype="object"),
            "checks": pd.Series([list(f.checks) for f in found], dtype="object"),
        }
    )
    return COLUMNS.order(table)


_TEXTS = ("kind", "severity", "check", "sentence", "label", "tone", "detail", "command")


def findings(history: History, *, tz: str = "UTC") -> list[Finding]:
    """What `verdicts` says, as objects, in the same order."""
    from qpanalytics.verdict.cases import cases, opened
    from qpanalytics.verdict.queue_cases import looked

    with opened(history):
        return worded(cases(history), history, tz=tz, queues=looked(history, tz=tz))


def worded(known: Sequence[Case], history: History, *, tz: str, queues: Looked | None = None) -> list[Finding]:
    """The findings about cases, and about queues and workers, that were read already."""
    from qpanalytics.verdict.commands import command
    from qpanalytics.verdict.rules import judge
    from qpanalytics.verdict.rules_queues import judge as judge_queues
    from qpanalytics.verdict.rules_seen import Span
    from qpanalytics.verdict.say import say
    from qpanalytics.verdict.voice import Voice

    span = Span(history.since, history.until, history.as_of)
    voice = Voice(history.since, history.until, history.as_of, tz)
    found = judge(known, span)
    if queues is not None:
        found = sorted([*found, *judge_queues(queues, span)], key=lambda finding: finding.order)
    said = [say(finding, voice) for finding in found]
    return [replace(finding, command=command(finding, history)) for finding in said]
