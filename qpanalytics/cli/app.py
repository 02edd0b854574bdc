"""`qpa`: the verbs, and the one place where an error becomes a line on stderr and an exit status."""

from __future__ import annotations

import os
import sys

import typer

from qpanalytics import spell
from qpanalytics.cli import (
    alerts,
    bring,
    carry,
    digest,
    drift,
    explain,
    gather,
    graces,
    incidents,
    lists,
    prune,
    replay,
    setup,
    watch,
)
from qpanalytics.errors import QpaError

app = typer.Typer(
    name="qpa",
    help="How background jobs are really doing: analytics over heartbeat monitors and queues.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (setup, bring, carry, gather, prune, lists, graces, drift, replay, digest, watch, incidents, alerts, explain):
    module.register(app)

#: Exit status after Ctrl-C, as shells have it.
STOPPED = 130


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from qpanalytics import __version__

        typer.echo(f"qpanalytics {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs `qpa`. Exit status: 0 done, 1 the thing asked about is bad, 2 bad usage or input, 3 a source out of reach."""
    _settle_streams()
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
        if status == STOPPED:  # typer turns an interrupt within a verb into its status, without a word
            _stopped()
    except QpaError as error:
        typer.echo(f"qpa: {' '.join(str(error).split())}", err=True)
        status = error.exit_status
    except KeyboardInterrupt:
        status = _stopped()
    except BrokenPipeError:
        # The reader (`| head`) has gone; leave quietly.
        _drop_stdout()
        status = 0
    except OSError as error:
        where = f" {spell.quoted(str(error.filename))}" if error.filename else " the output"
        typer.echo(f"qpa:{where} cannot be written or read: {error.strerror or error}", err=True)
        status = 2
        _drop_stdout()
    except Exception as error:
        # Typer brings its own copy of click, whose usage errors know their exit status and their one line.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
        else:
            text = " ".join(error.format_message().split())
            typer.echo(f"qpa: {spell.plain(text)} See: qpa --help", err=True)
        status = getattr(error, "exit_code", 2)
    sys.exit(status if isinstance(status, int) else 0)


def _stopped() -> int:
    """Says that somebody stopped it; returns the status of that.

    An interrupt that fell into an `exec` (a dataclass being made) leaves a mark in CPython by which the process kills
    itself at exit, whatever its status; the next `exec` wipes it off.
    """
    typer.echo("qpa: stopped", err=True)
    exec("")
    return STOPPED


def _settle_streams() -> None:
    """Closed streams become ones that swallow, and a locale without our characters costs a question mark, not the run."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it lives as long as the process
        getattr(sys, name).reconfigure(errors="replace")


def _drop_stdout() -> None:
    """Keeps Python from complaining at exit of what can no longer be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
