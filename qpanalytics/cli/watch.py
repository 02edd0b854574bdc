"""`qpa watch`: the scheduled run. It collects, evaluates, tells and reports, until it is ended.

Exit status of a round: 3 where a source or a channel could not be reached, 2 where the configuration is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qpanalytics.cli.options import Asked, AsOf, Config, Db, now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from qpanalytics.watch.evaluate import Ticked
    from qpanalytics.watch.loop import Watch

#: A round that another one is in the way of waits for it at most so long, seconds.
ROUND_PATIENCE_S = 50.0


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("watch")(watch)


def watch(
    once: Annotated[bool, typer.Option("--once", help="One round and stop, for cron and timers.")] = False,
    db: Db = None,
    config: Config = None,
    as_of: AsOf = None,
) -> None:
    """Look at the sources, tell who has to know, make the reports: for months, or once."""
    import os
    import signal
    import sys
    from types import FrameType

    from qpanalytics.cli.options import instant
    from qpanalytics.errors import ConfigError, UsageError
    from qpanalytics.store.state import State
    from qpanalytics.watch.around import Surroundings
    from qpanalytics.watch.lock import Lock
    from qpanalytics.watch.loop import Watch
    from qpanalytics.watch.ready import unready

    clock = now()
    fixed = instant("--as-of", as_of, clock)
    if fixed is not None and not once:
        raise UsageError("--as-of is one instant, and a watch goes on; say qpa watch --once --as-of ...")
    asked = Asked(db=db, config=config)
    settings = asked.settings()
    if not settings.source:
        raise ConfigError("qpa.toml has no [[source]] to watch; `qpa init` shows one.")
    wrong = list(unready(settings, os.environ, asked.folder, now, whole=not once))
    say = _each_once() if once else _say
    for error in wrong:  # one missing secret must not leave all the others unwatched
        say(str(error))
    store = db or settings.store.path
    around = Surroundings(store, asked.folder, os.environ, now, say, config, fixed)
    ending = _Ending()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Lock(store) as lock:
            if not lock.take(ending.wait, say, ROUND_PATIENCE_S if once else None):
                return
            with State.beside(store) as state:
                made = Watch(settings, around, state)
                ending.also(made)
                _start(made, once, ending)
                if once:
                    _told(made.once(), fixed)
                else:
                    _say(f"watching {_sources(len(settings.source))} of {state.name.removesuffix('-state')}")
                    made.run()
                left = made.end()
                status = (2 if wrong or made.refused else 3 if made.unreached else 0) if once else 0
                if left:
                    # A reply that does not come holds its thread; all that matters is written, so nothing is lost.
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not once:
        _say("stopped")
    if status:
        raise typer.Exit(status)


class _Ending:
    """Whether the watch is to end, known before there is one."""

    def __init__(self) -> None:
        import threading

        self._event = threading.Event()
        self._watch: Watch | None = None

    def also(self, made: Watch) -> None:
        """Has a watch end with it."""
        self._watch = made
        if self._event.is_set():
            made.wake_to_end()

    def set(self) -> None:
        """It is to end; called by a signal."""
        self._event.set()
        if self._watch is not None:
            self._watch.wake_to_end()

    def wait(self, seconds: float) -> bool:
        """Sleeps; True if the watch is to end."""
        return self._event.wait(seconds)


def _start(made: Watch, once: bool, ending: _Ending) -> None:
    """Takes over what the store knows, once; a round of `--once` leaves it to the next one."""
    from qpanalytics.errors import StoreBusy

    while not made.seed():
        if once:
            raise StoreBusy("the store is held, and this is the first round: nothing was evaluated. The next one tries again.")
        if ending.wait(5.0):
            return


def _told(ticked: Ticked | None, fixed: datetime | None) -> None:
    from qpanalytics import spell

    if ticked is None:
        raise typer.Exit(2)
    news = [change for change in ticked.changes if change.step in ("opened", "resolved")]
    if news or ticked.pings:
        opened = sum(change.step == "opened" for change in news)
        typer.echo(
            f"{spell.plural(ticked.pings, 'new ping')}; {spell.plural(opened, 'incident')} opened, "
            f"{len(news) - opened} resolved, {ticked.open} open; {spell.plural(ticked.notices, 'message')} to send"
        )


def _sources(number: int) -> str:
    from qpanalytics import spell

    return spell.plural(number, "source")


def _each_once() -> Callable[[str], None]:
    """Says each line once: what is found out at the start is found out again where it is needed."""
    known: set[str] = set()

    def say(said: str) -> None:
        if said not in known:
            known.add(said)
            _say(said)

    return say


def _say(said: str) -> None:
    from qpanalytics import spell

    typer.echo(f"qpa: {spell.plain(' '.join(said.split()))}", err=True)
