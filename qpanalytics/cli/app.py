"""`qpa`: the verbs, and the one place where an error becomes a line on stderr and an exit status."""

from __future__ import annotations

import os
import sys

import typer

from qpanalytics.cli import bring, digest, gather, lists, setup
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
for module in (setup, bring, gather, lists, digest):
    module.register(app)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from qpanalytics import __version__

        typer.echo(f"qpanalytics {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs `qpa`. Exit status: 0 done, 1 the thing asked about is bad, 2 bad usage or input, 3 a source out of reach."""
    try:
        status = app(standalone_mode=False)
    except QpaError as error:
        typer.echo(f"qpa: {' '.join(str(error).split())}", err=True)
        status = error.exit_status
    except KeyboardInterrupt:
        typer.echo("qpa: stopped", err=True)
        status = 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; leave quietly, and keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as error:
        # Typer brings its own copy of click, whose usage errors know their exit status and their one line.
        if not hasattr(error, "format_message"):
            raise
        from qpanalytics import spell

        text = " ".join(error.format_message().split())
        typer.echo(f"qpa: {spell.plain(text)} See: qpa --help", err=True)
        status = getattr(error, "exit_code", 2)
    sys.exit(status if isinstance(status, int) else 0)
