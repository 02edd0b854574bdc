"""A year of expected times from our schedules against iterating cronsim: python tests/bench/schedules.py

`--rows` is the number of different expressions. Ours end as an int64 array each, cronsim's as a list of datetimes. The first
pair has to find which days match; the others find that remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product, takewhile
from zoneinfo import ZoneInfo

import pairs
from cronsim import CronSim

from qpanalytics.instants import micros
from qpanalytics.schedules import parse

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SHAPES = ("{} {} * * *", "{} {} * * 1-5", "{} {}-23/6 * * *", "{} * * * *", "{} {} 1,15 * *", "{} {} * * 5L")
ZONES = ("Europe/Berlin", "America/New_York", "UTC")

Expressions = list[tuple[str, str]]


def different(options: pairs.Options) -> Expressions:
    """Expressions and their zones: daily, on weekdays, every six hours, hourly, twice a month, on the last Friday."""
    moments = [(at * 7 % 60, at * 5 % 24, ZONES[at % 3]) for at in range(options.rows)]
    made = dict.fromkeys((shape.format(minute, hour), zone) for (minute, hour, zone), shape in product(moments, SHAPES))
    return list(made)[: options.rows]


def every_minute(_: pairs.Options) -> Expressions:
    return [("* * * * *", "Europe/Berlin")]


def ours(expressions: Callable[[pairs.Options], Expressions]) -> pairs.Side:
    def side(_: object, options: pairs.Options) -> Callable[[], int]:
        since, until = micros(BEGIN), micros(END)
        return lambda: sum(len(parse(text, zone).ticks(since, until)) for text, zone in expressions(options))

    return side


def bare(expressions: Callable[[pairs.Options], Expressions]) -> pairs.Side:
    def side(_: object, options: pairs.Options) -> Callable[[], int]:
        return lambda: sum(len(_iterated(text, ZoneInfo(zone))) for text, zone in expressions(options))

    return side


def _iterated(text: str, zone: ZoneInfo) -> list[datetime]:
    before = (BEGIN - timedelta(seconds=1)).astimezone(zone)
    return list(takewhile(lambda at: at < END, CronSim(text, before)))


if __name__ == "__main__":
    pairs.compare(
        "a year of cron schedules expanded, against iterating cronsim",
        {name: (ours(them), bare(them)) for name, them in (("different", different), ("every_minute", every_minute))},
        rows=200, pairs=3,
    )  # fmt: skip
