"""`qpa report --email` and `--send`: the digest to everybody whom `[[report.send]]` names, each group its own checks.

`--email` mails it now. `--send` leaves it in the outbox, from where the watch sends it by whatever channel, with retries.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qpanalytics.cli.options import Asked, now

if TYPE_CHECKING:
    from qpanalytics.alerts.digests import Group, Letter
    from qpanalytics.report import Report
    from qpanalytics.report.check import CheckReport
    from qpanalytics.settings import Settings
    from qpanalytics.settings_channels import ChannelTable


@dataclass(frozen=True)
class Mailing:
    """Who is to be told."""

    asked: Asked
    settings: Settings
    groups: list[Group]

    def send(self, whole: Report | CheckReport, folder: Path) -> None:
        """Mails the digest and says on stderr who was told. typer.Exit with 3 if a server did not take a mail.

        `whole` is the digest of all that was asked for, `folder` where its page lies: with a link, those of the groups are
        written beside it.
        """
        from qpanalytics import spell
        from qpanalytics.alerts.base import DeliveryError
        from qpanalytics.cli.handing import handing

        made, strange = self._letters(whole)
        link = self.settings.report.link
        failed = False
        with ExitStack() as open_:
            hands = {name: open_.enter_context(handing(self.asked, self.settings, table)) for name, table in self.tables.items()}
            for letter in made:
                if link is not None and letter.report is not whole:
                    letter.report.write(folder)
                # who asks once more is told once more, so the time belongs to the key
                how, _ = hands[letter.channel.name](letter.digest, f"{letter.key} {spell.iso(letter.digest.told_at)}")
                if isinstance(how, DeliveryError):
                    failed = True
                    typer.echo(f"qpa: not mailed to {letter.who}: {spell.plain(str(how))}", err=True)
                else:
                    but = f"; {spell.plain(how.why)}" if how.why else ""
                    typer.echo(f"qpa: mailed to {letter.who}: {letter.digest.subject}{but}", err=True)
        if failed or strange:
            raise typer.Exit(3 if failed else 2)

    def leave(self, whole: Report | CheckReport, folder: Path) -> None:
        """Leaves the digest in the outbox, each letter once however often this is asked; says on stderr for whom."""
        from qpanalytics.alerts.outbox import Learned, Outbox
        from qpanalytics.store.state import State

        made, _ = self._letters(whole)
        store = self.asked.db or self.settings.store.path
        with State.beside(store) as state:
            known, outbox = Learned(state, "", now), Outbox(state)
            for letter in made:
                if self.settings.report.link is not None and letter.report is not whole:
                    letter.report.write(folder)
                with state.transaction():
                    if known.get(letter.key) is None:
                        outbox.put(letter.digest, [letter.channel.name], now())
                        known.put(letter.key, "left")
                        typer.echo(f"qpa: left for {letter.who}: {letter.digest.subject}", err=True)

    def _letters(self, whole: Report | CheckReport) -> tuple[list[Letter], bool]:
        """The letters, and whether some group is told nothing, since no check has its tags; that is said on stderr."""
        from qpanalytics.alerts.digests import letters, nobody
        from qpanalytics.report import Report

        assert isinstance(whole, Report)  # the page of one check is not sent
        whole = replace(whole, explore=False)  # the page with charts lies beside the file, not beside the mail
        known = {tag for row in whole.facts.all_rows for tag in row.tags}
        strange = {id(group): why for group in self.groups if (why := nobody(group, known))}
        for why in strange.values():
            typer.echo(f"qpa: not mailed to {why}", err=True)
        told = [group for group in self.groups if id(group) not in strange]
        link = self.settings.report.link
        return list(letters(told, lambda tags: self._of(whole, tags), told_at=now(), link=link)), bool(strange)

    @property
    def tables(self) -> dict[str, ChannelTable]:
        """The channels that reach them, by name."""
        return {group.channel.name: group.channel for group in self.groups}

    def _of(self, whole: Report, tags: tuple[str, ...]) -> Report:
        """The digest of the checks with one of these tags, over the window of the whole one."""
        from qpanalytics.cli.digest import command
        from qpanalytics.history import Pick
        from qpanalytics.report import report

        if not tags:
            return whole
        asked = replace(self.asked, tag=list(tags))
        window = whole.facts.window
        history = whole.history.picking(Pick(tuple(asked.check or ()), tags, tuple(asked.source or ())))
        typed = command(asked, history, window.period, window.tz)
        return report(history, period=window.period, tz=window.tz, command=typed)


def everybody(asked: Asked) -> Mailing:
    """All groups, whatever their channel; there may be none."""
    from qpanalytics.alerts.digests import groups

    settings = asked.settings()
    return Mailing(asked, settings, groups(settings))


def prepared(asked: Asked) -> Mailing:
    """The groups and their channels; ConfigError where there is nobody to tell or something is missing to reach them."""
    from qpanalytics.alerts.digests import groups
    from qpanalytics.cli.handing import handing
    from qpanalytics.errors import ConfigError, UsageError

    settings = asked.settings()
    found = groups(settings, mail_only=True)
    if not found:
        where = asked.config or "qpa.toml"
        raise ConfigError(f'{where}: nobody is to be mailed; add a [[channel]] with kind = "email", host, sender and to')
    if asked.tag and any(group.tags for group in found):
        raise UsageError("--email sends each group of [[report.send]] the checks with its tags; leave --tag away")
    mailing = Mailing(asked, settings, found)
    with ExitStack() as open_:  # what is wrong in a [[channel]] is said before the digest is made
        for table in mailing.tables.values():
            open_.enter_context(handing(asked, settings, table))
    return mailing
