"""A year of expected times from our schedules against iterating cronsim: python tests/bench/schedules.py

`--rows` is the number of different expressions, a realistic mix (expressions.py), in UTC and in zones most of which change
their clocks. Each time is from the text to the last tick, with nothing remembered from the time before: ours end as an int64
array each, cronsim's as a list of datetimes. With 1,000 expressions cronsim takes two to four minutes a race and time, so that
three pairs take half an hour; `--rows 100 --pairs 1` takes two minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import expressions
import pairs
from cronsim import CronSim

from qpanalytics.instants import micros
from qpanalytics.schedules import cron, parse, zones

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

Zoned = list[tuple[str, str]]


def in_utc(options: pairs.Options) -> Zoned:
    return [(text, "UTC") for text in expressions.expressions(options.rows)]


def in_zones(options: pairs.Options) -> Zoned:
    return expressions.zoned(options.rows)


def every_minute(_: pairs.Options) -> Zoned:
    return [("* * * * *", "Europe/Berlin")]


def ours(expressions: Callable[[pairs.Options], Zoned]) -> pairs.Side:
    def side(_: object, options: pairs.Options) -> Callable[[], int]:
        since, until = micros(BEGIN), micros(END)
        wanted = expressions(options)

        def expand() -> int:
            cron.forget()
            zones.forget()
            return sum(len(parse(text, zone).ticks(since, until)) for text, zone in wanted)

        return expand

    return side


def bare(expressions: Callable[[pairs.Options], Zoned]) -> pairs.Side:
    def side(_: object, options: pairs.Options) -> Callable[[], int]:
        wanted = expressions(options)
        return lambda: sum(len(_iterated(text, UTC if zone == "UTC" else ZoneInfo(zone))) for text, zone in wanted)

    return side


def _iterated(text: str, zone: ZoneInfo) -> list[datetime]:
    before = (BEGIN - timedelta(seconds=1)).astimezone(zone)
    return list(takewhile(lambda at: at < END, CronSim(text, before)))


if __name__ == "__main__":
    races = {"in_utc": in_utc, "in_zones": in_zones, "every_minute": every_minute}
    pairs.compare(
        "a year of cron schedules expanded, against iterating cronsim",
        {name: (ours(them), bare(them)) for name, them in races.items()},
        rows=1_000, pairs=3,
    )  # fmt: skip
