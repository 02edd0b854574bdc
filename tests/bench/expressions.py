"""A thousand different cron expressions such as a fleet of background jobs has, from a seed.

Of 1,000: 10 every minute of some hours, 30 every 5 to 30 minutes, 40 the same within working hours on weekdays, 30 several
times an hour by a list, 90 hourly or in some hours, 100 every few hours by a step, 50 two to four times a day by a list, 400
daily, 100 on weekdays or other days by name or number, 80 weekly, and 70 rarer: on the first, 15th or last day, the last
working day, the first Monday, the last Friday, quarterly, yearly. A third of the minutes are 0, 15, 30 or 45 and half of the
daily hours are 0 to 5, as people write them. About 6.5 million ticks a year.

Zones, where asked for, weigh as fleets have them: most in Berlin, London, New York, Los Angeles and Sydney, which all change
their clocks, some in Sao Paulo, Kathmandu and Tokyo, which do not now, some in Casablanca and Lord Howe, which do oddly.
"""

from __future__ import annotations

import random
from collections.abc import Callable

ZONES = (
    ["Europe/Berlin"] * 5 + ["Europe/London"] * 3 + ["America/New_York"] * 4 + ["America/Los_Angeles"] * 3
    + ["Australia/Sydney", "America/Sao_Paulo", "Asia/Kathmandu", "Asia/Tokyo", "Africa/Casablanca", "Australia/Lord_Howe"]
)  # fmt: skip
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

Draw = random.Random


def _minute(draw: Draw) -> int:
    return draw.choice((0, 15, 30, 45)) if draw.random() < 1 / 3 else draw.randrange(60)


def _hour(draw: Draw) -> int:
    return draw.randrange(6) if draw.random() < 1 / 2 else draw.randrange(24)


def _hours(draw: Draw) -> str:
    return f"{draw.randint(5, 9)}-{draw.randint(16, 22)}"


def _every_minute(draw: Draw) -> str:
    return f"* {_hours(draw)} * * *"


def _every_few_minutes(draw: Draw) -> str:
    step = draw.choice((5, 5, 10, 15, 20, 30))
    first = draw.randrange(step)
    return f"{f'{first}-59' if first else '*'}/{step} * * * *"


def _working_hours(draw: Draw) -> str:
    step = draw.choice((5, 10, 15, 20, 30))
    return f"{draw.choice(('*', f'{draw.randrange(1, step)}-59'))}/{step} {_hours(draw)} * * {draw.choice(('1-5', 'MON-FRI'))}"


def _list_in_the_hour(draw: Draw) -> str:
    return f"{','.join(map(str, sorted(draw.sample(range(60), draw.randint(2, 4)))))} * * * *"


def _hourly(draw: Draw) -> str:
    return f"{_minute(draw)} {draw.choice(('*', _hours(draw)))} * * *"


def _every_few_hours(draw: Draw) -> str:
    step = draw.choice((2, 3, 4, 6, 8, 12))
    return f"{_minute(draw)} {draw.choice(('*', f'{draw.randrange(step)}-23'))}/{step} * * *"


def _list_in_the_day(draw: Draw) -> str:
    return f"{_minute(draw)} {','.join(map(str, sorted(draw.sample(range(24), draw.randint(2, 4)))))} * * *"


def _daily(draw: Draw) -> str:
    return f"{_minute(draw)} {_hour(draw)} * * *"


def _some_days(draw: Draw) -> str:
    days = draw.choice(("1-5", "MON-FRI", "TUE-SAT", "1,3,5", "TUE,THU", "6,0", "MON,WED,FRI"))
    return f"{_minute(draw)} {_hour(draw)} * * {days}"


def _weekly(draw: Draw) -> str:
    return f"{_minute(draw)} {_hour(draw)} * * {draw.choice((*DAYS, *'0123456'))}"


def _rarer(draw: Draw) -> str:
    days = draw.choice((
        "1 * *", "15 * *", "1,15 * *", "L * *", "LW * *", "* * 1#1", "* * 5L", "* * SUN#2", "*/10 * *", "1-7 * *", "28 * *",
        "1 */3 *", "1 1,4,7,10 *", "1 JAN *", "31 12 *", "13 * FRI", "1 * MON", "* 1-3,11,12 *", "29 2 *",
    ))  # fmt: skip
    return f"{_minute(draw)} {_hour(draw)} {days}"


#: How many of a thousand are of each kind.
MIX: tuple[tuple[int, Callable[[Draw], str]], ...] = (
    (10, _every_minute), (30, _every_few_minutes), (40, _working_hours), (30, _list_in_the_hour), (90, _hourly),
    (100, _every_few_hours), (50, _list_in_the_day), (400, _daily), (100, _some_days), (80, _weekly), (70, _rarer),
)  # fmt: skip


def expressions(n: int, seed: int = 1) -> list[str]:
    """`n` different expressions of the mix, in random order."""
    draw = random.Random(seed)
    made: dict[str, None] = {}
    for share, kind in MIX:
        wanted = len(made) + round(n * share / 1_000)
        while len(made) < wanted:
            made[kind(draw)] = None
    found = list(made)
    draw.shuffle(found)
    return found


def zoned(n: int, seed: int = 1) -> list[tuple[str, str]]:
    """The same, each with a zone."""
    draw = random.Random(seed + 1)
    return [(text, draw.choice(ZONES)) for text in expressions(n, seed)]
