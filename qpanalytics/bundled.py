"""The bundled data: where it lies, and what each history is.

`data/README.md` tells where each comes from, under which licence, and what is odd about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qpanalytics.errors import QpaError

# Early on a Monday, when the runs of Sunday night (GitHub starts daily jobs up to hours late) have come in.
REAL_AS_OF = datetime(2026, 8, 17, 7, tzinfo=UTC)

# The last look at the recorded project: it vouches to this instant, and the server's own statuses are of it.
RECORDED_AS_OF = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)

REAL = "real ping histories"
RECORDED = "a project simulated through a real Healthchecks server"

# Folder of `histories/` -> what it is, for a reader
TITLES = {
    "crond-daily-ranking": "a daily ranking job, started by cron on a private machine",
    "crond-half-hourly": "a list fetched every half hour, started by cron, until January 2024",
    "gha-5min-uptime": "a probe every five minutes, started by GitHub Actions",
    "gha-daily-rome": "a daily digest in Rome's time zone, started by GitHub Actions",
    "gha-hourly-scrape": "an hourly scrape, started by GitHub Actions",
    "gha-schedule-changes": "two collecting jobs that change their schedules, until April 2022",
    "gha-three-workflows": "a job on three days a week, one twice a day, one retired; GitHub Actions",
    "upptime-daily-many-sites": "a daily look at 35 sites, started by GitHub Actions",
    "upptime-hourly-11-sites": "an hourly look at 11 sites, started by GitHub Actions, until 10 August 2026",
}


@dataclass(frozen=True)
class Bundled:
    """One bundled history: files of pings, the file of its checks, and the instant to report at."""

    name: str  # also its source in the store
    store: str  # those with the same one belong into one store; the words describe it
    title: str
    pings: tuple[Path, ...]
    checks: Path
    as_of: datetime
    covers_until: datetime | None = None  # vouched to here, where that is later than the last ping


def bundle() -> Path:
    """The folder of the bundled data: inside the installed package, else `data/` of the checkout.

    Raises `QpaError` where neither is there.
    """
    package = Path(__file__).resolve().parent
    places = (package / "_data", package.parent / "data")
    for place in places:
        if (place / "histories").is_dir():
            return place
    raise QpaError(
        f"The bundled data is missing: neither {places[0]} nor {places[1]} holds `histories`. "
        "Install qpanalytics again, or run from a complete checkout."
    )


def histories() -> list[Bundled]:
    """The bundled histories, those of one store together, by name.

    >>> [history.name for history in histories() if history.store == RECORDED]
    ['recorded-project']
    """
    folder = bundle()
    recorded = folder / "recorded-project"
    real = [_bundled(folder / "histories" / name, REAL, title, REAL_AS_OF) for name, title in TITLES.items()]
    return [*real, _bundled(recorded, RECORDED, RECORDED, RECORDED_AS_OF, RECORDED_AS_OF)]


def _bundled(folder: Path, store: str, title: str, as_of: datetime, covers_until: datetime | None = None) -> Bundled:
    return Bundled(
        name=folder.name,
        store=store,
        title=title,
        pings=(folder / "pings.csv.gz",),
        checks=folder / "checks.csv",
        as_of=as_of,
        covers_until=covers_until,
    )
