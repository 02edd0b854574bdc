"""`qpa replay`: what a policy would have sent, against the one in force and against what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, AsOf, Check, Config, Db, Format, Shape, Since, Source, Tag, Tz, Until, opened

if TYPE_CHECKING:
    from qpanalytics.analysis.alternatives import Alternative
    from qpanalytics.analysis.replaying import Override
    from qpanalytics.settings import Settings

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A qpa.toml with the other policy: its [policy], routes, maintenance, checks.")
]
Grace = Annotated[
    list[str] | None, typer.Option("--grace", help='Another grace: "backup-*=20 min"; repeatable, the last that fits counts.')
]
MaxRuntime = Annotated[list[str] | None, typer.Option("--max-runtime", help='Another max runtime: "etl=2 h"; repeatable.')]
Severity = Annotated[list[str] | None, typer.Option("--severity", help='Another severity: "sync-*=info"; repeatable.')]
InARow = Annotated[int | None, typer.Option("--failures-in-a-row", min=1, help="So many bad runs before a page.")]
Diff = Annotated[bool, typer.Option("--diff", help="Each run that the two policies say something else of.")]
Drift = Annotated[bool, typer.Option("--drift", help="Also what a daily look for drift would have told.")]

#: What a terminal has room for.
TABLE = (
    "policy", "n", "bad", "pages", "real", "false", "unjudged", "missed", "night_pages", "time_to_notice_p50_s",
    "time_to_notice_p90_s", "why",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("replay")(replay)


def replay(
    policy: PolicyFile = None, grace: Grace = None, max_runtime: MaxRuntime = None, severity: Severity = None,
    failures_in_a_row: InARow = None, diff: Diff = False, drift: Drift = False,
    db: Db = None, config: Config = None, as_of: AsOf = None, since: Since = None, until: Until = None, check: Check = None,
    tag: Tag = None, source: Source = None, shape: Shape = Format.TABLE, tz: Tz = None,
) -> None:  # fmt: skip
    """What the policy would have sent: pages, real ones, false ones, missed ones; beside another policy, if one is given."""
    changes = _overrides(grace, max_runtime, severity)
    from qpanalytics.analysis.alternatives import known
    from qpanalytics.analysis.drifted import drifted
    from qpanalytics.analysis.replay import differences
    from qpanalytics.analysis.replay import replay as figures
    from qpanalytics.cli.output import show
    from qpanalytics.errors import UsageError

    history, settings = opened(Asked(db, config, as_of, since, until, check, tag, source, tz))
    known(history, changes)
    compared = _compared(settings, policy, changes, failures_in_a_row)
    also = drifted(history) if drift else ()
    if not diff:
        frame = figures(history, policies=compared, tz=tz or settings.report.tz, also=also)
        show(frame[list(TABLE)] if shape is Format.TABLE else frame, shape, tz=tz)
        return
    if len(compared) < 2:
        raise UsageError(
            '--diff needs a second policy: give --policy FILE, --grace "backup-*=20 min", --max-runtime, --severity or '
            "--failures-in-a-row"
        )
    show(differences(history, *compared, also=also), shape, tz=tz)


def _compared(
    settings: Settings, policy: Path | None, changes: list[Override], in_a_row: int | None
) -> list[Alternative]:
    """The policy in force, and the other one where something else is asked for."""
    from qpanalytics import settings as configuration
    from qpanalytics.analysis.alternatives import in_force, other

    present = in_force(settings)
    if policy is None and not changes and in_a_row is None:
        return [present]
    return [present, other(present, None if policy is None else configuration.load(policy), overrides=changes, in_a_row=in_a_row)]


def _overrides(grace: list[str] | None, max_runtime: list[str] | None, severity: list[str] | None) -> list[Override]:
    from qpanalytics.analysis.replaying import Override

    found = [Override(name, "grace_s", _duration("--grace", name, value)) for name, value in _pairs("--grace", grace, "20 min")]
    for name, value in _pairs("--max-runtime", max_runtime, "2 h"):
        found.append(Override(name, "max_runtime_s", _duration("--max-runtime", name, value)))
    for name, value in _pairs("--severity", severity, "info"):
        found.append(Override(name, "severity", _severity(name, value)))
    return found


def _pairs(option: str, said: list[str] | None, example: str) -> list[tuple[str, str]]:
    from qpanalytics.errors import UsageError
    from qpanalytics.spell import quoted

    found = []
    for text in said or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f'{option} {quoted(text)} is not a check and a value; try {option} "backup-db={example}"')
        found.append((name.strip(), value.strip()))
    return found


def _duration(option: str, name: str, value: str) -> float:
    from qpanalytics.errors import UsageError
    from qpanalytics.spell import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise UsageError(f"{option} for {name}: {error}") from None


def _severity(name: str, value: str) -> str:
    from qpanalytics.errors import UsageError
    from qpanalytics.spell import quoted
    from qpanalytics.words import Severity

    if value not in set(Severity):
        raise UsageError(f"--severity for {quoted(name)}: {quoted(value)} is not one of {', '.join(Severity)}")
    return value
