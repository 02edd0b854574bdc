"""The verbs that print one table: `checks`, `runs`, `occurrences`, `coverage`, `success`, `lateness`, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import (
    Asked,
    AsOf,
    Check,
    Config,
    Db,
    Format,
    Shape,
    Since,
    Source,
    Tag,
    Tz,
    Until,
    opened,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

#: What a table of findings has room for; csv and json hold every column.
VERDICT_COLUMNS = ("rank", "kind", "severity", "sentence", "detail")
#: And of checks; what nobody looks for in a list (keys, limits) is left to csv and json.
CHECK_COLUMNS = (
    "check", "source", "status", "schedule", "tz", "grace_s", "last_ping_at", "last_duration_s", "next_expected_at",
    "deadline_at", "down_since_at", "tags",
)  # fmt: skip
#: More rows than a terminal helps with; csv and json always hold all.
MOST_ROWS = 200

#: And of queues and workers.
QUEUE_COLUMNS = (
    "source", "queue", "taken_at", "depth", "oldest_age_s", "drains", "drain_s", "promise", "active", "orphaned", "delayed",
    "overdue", "retrying", "dead", "paused", "arrivals_per_min", "service_per_min", "net_per_min", "promise_why",
)  # fmt: skip
WORKER_COLUMNS = (
    "source", "worker", "state", "busy", "last_seen_at", "oldest_running_s", "queues", "restarts", "taken_at", "why",
)  # fmt: skip

FailOn = Annotated[
    list[str] | None, typer.Option("--fail-on", help="Exit with 1 if a check has this status; repeatable.")
]
By = Annotated[str, typer.Option("--by", help="check, tag, source, hour or weekday (in the check's own zone).")]
Before = Annotated[bool, typer.Option("--against-before", help="Beside the window of equal length before it.")]


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("checks")(checks)
    for name, help_text in (
        ("runs", "Each execution, from its pings."),
        ("occurrences", "Each expected run, and what became of it."),
    ):
        app.command(name, help=help_text)(_frame_verb(name))
    app.command("coverage")(coverage)
    app.command("success")(success)
    for name, help_text in (
        (
            "lateness",
            "How late runs complete: quantiles with 95 % intervals; a run that never came is later than every arrival.",
        ),
        ("durations", "How long runs take: quantiles with 95 % intervals."),
    ):
        app.command(name, help=help_text)(_quantile_verb(name))
    app.command("verdicts")(verdicts)
    app.command("queues")(queues)
    app.command("workers")(workers)


def checks(
    fail_on: FailOn = None, db: Db = None, config: Config = None, as_of: AsOf = None, check: Check = None, tag: Tag = None,
    source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """Each check: its promise, how it stands, and its next deadline."""
    from qpanalytics.errors import UsageError
    from qpanalytics.words import Status

    wrong = [s for s in fail_on or [] if s not in set(Status)]
    if wrong:
        raise UsageError(f"--fail-on {wrong[0]} is no status; there are {', '.join(Status)}")
    asked = Asked(db, config, as_of, None, None, check, tag, source, tz)
    frame = opened(asked)[0].checks
    _print(_list(frame) if shape is Format.TABLE else frame, shape, tz)
    if fail_on and frame["status"].isin(fail_on).any():
        raise typer.Exit(1)


def _list(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that a terminal has room for, as monitors list them; the source where there are several."""
    several = frame["source"].nunique() > 1
    return frame[[name for name in CHECK_COLUMNS if name != "source" or several]]


def coverage(
    by: Annotated[str, typer.Option("--by", help="check or source.")] = "check",
    stretches: Annotated[bool, typer.Option("--gaps", help="Each stretch that nobody observed, by check.")] = False,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None, check: Check = None,
    tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """What could be seen of each check, and what could not."""
    from qpanalytics.analysis.coverage import coverage as figures
    from qpanalytics.analysis.coverage import gaps

    history, _ = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    _print(gaps(history) if stretches else figures(history, by=by), shape, tz)


def success(
    by: By = "check", against_before: Before = False, db: Db = None, config: Config = None, as_of: AsOf = None,
    since: Since = None, until: Until = None, check: Check = None, tag: Tag = None, source: Source = None,
    shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """How many expected runs came, how many in time, with 95 % intervals, and time down."""
    from qpanalytics.analysis.success import success as figures

    history, _ = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    _print(figures(history, by=by, against_before=against_before), shape, tz)


def verdicts(
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
    check: Check = None, tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """What is worth saying, worst first."""
    from qpanalytics.verdict import verdicts as found

    history, settings = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    frame = found(history, tz=tz or settings.report.tz)
    _print(frame[list(VERDICT_COLUMNS)] if shape is Format.TABLE else frame, shape, tz)


Every = Annotated[bool, typer.Option("--history", help="All looks of the window, not only the last.")]
OfSource = Annotated[list[str] | None, typer.Option("--source", help="Only of this source; repeatable.")]


def queues(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Only these queues (shell pattern); repeatable.")] = None,
    every: Every = False,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="promise: exit with 1 if one is broken.")
    ] = None,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
    source: OfSource = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """Each queue at the last look: what waits, how old it is, whether it drains, and whether promises are kept."""
    from qpanalytics.analysis.promise import promise
    from qpanalytics.analysis.queues import looks
    from qpanalytics.analysis.queues import queues as figures

    _known(fail_on, ("promise",))
    history, _ = opened(Asked(db, config, as_of, since, until, None, None, source, tz), say=False)
    frame = looks(history, queue=queue or ()) if every else figures(history, queue=queue or ())
    if shape is Format.TABLE:
        names = [n for n in QUEUE_COLUMNS if n in frame]
        _print(frame[names].round({n: 2 for n in names if n.endswith("_per_min")}), shape, tz)
    else:
        _print(frame, shape, tz)
    if fail_on:
        promised = promise(history) if every else frame.rename(columns={"promise": "state"})
        if (promised["state"] == "broken").any():
            raise typer.Exit(1)


def workers(
    worker: Annotated[list[str] | None, typer.Option("--worker", help="Only these (shell pattern); repeatable.")] = None,
    every: Every = False,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="stale, gone, unknown: exit with 1 if a worker is; repeatable.")
    ] = None,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
    source: OfSource = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """Each worker process at the last look: is it alive, is it busy, and for how long with one job."""
    from qpanalytics.analysis.workers import looks
    from qpanalytics.analysis.workers import workers as figures

    _known(fail_on, ("stale", "gone", "unknown"))
    history, _ = opened(Asked(db, config, as_of, since, until, None, None, source, tz), say=False)
    frame = looks(history, worker=worker or ()) if every else figures(history, worker=worker or ())
    _print(frame[[n for n in WORKER_COLUMNS if n in frame]] if shape is Format.TABLE else frame, shape, tz)
    if fail_on and (figures(history, worker=worker or ()) if every else frame)["state"].isin(fail_on).any():
        raise typer.Exit(1)


def _known(fail_on: list[str] | None, words: tuple[str, ...]) -> None:
    from qpanalytics.errors import UsageError
    from qpanalytics.spell import quoted

    for word in fail_on or []:
        if word not in words:
            raise UsageError(f"--fail-on {quoted(word)} is not known here; there is {', '.join(words)}")


def _frame_verb(name: str):  # type: ignore[no-untyped-def]
    def verb(
        db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None,
        check: Check = None, tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
    ) -> None:  # fmt: skip
        history, _ = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
        _print(history.frame(name), shape, tz)

    return verb


def _quantile_verb(name: str):  # type: ignore[no-untyped-def]
    def verb(
        by: By = "check", against_before: Before = False, db: Db = None, config: Config = None, as_of: AsOf = None,
        since: Since = None, until: Until = None, check: Check = None, tag: Tag = None, source: Source = None,
        shape: Shape = Format.TABLE, tz: Tz = None,
    ) -> None:  # fmt: skip
        from importlib import import_module

        figures = getattr(import_module(f"qpanalytics.analysis.{name}"), name)
        history, _ = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
        _print(figures(history, by=by, against_before=against_before), shape, tz)

    return verb


def _print(frame: pd.DataFrame, shape: Format, tz: str | None) -> None:
    from qpanalytics import spell
    from qpanalytics.cli.output import show

    if shape is Format.TABLE and len(frame) > MOST_ROWS:
        typer.echo(
            f"the last {MOST_ROWS} of {spell.number(len(frame))} rows; --format csv or json has all, --since fewer",
            err=True,
        )
        frame = frame.tail(MOST_ROWS)
    show(frame, shape, tz=tz)
