"""The days of a year as columns, so that which of them match is asked of all at once."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class Year(NamedTuple):
    """A row a day, 1 January first."""

    month: Numbers
    day: Numbers
    weekday: Numbers  # 0 is Monday
    to_end: Numbers  # days to the month's last
    last_workday: Flags  # whether it is the month's last day from Monday to Friday


def year(like: int) -> Year:
    """The days of a year of that shape, of which there are 14: leap or not, and its first weekday."""
    return _year(isleap(like), date(like, 1, 1).weekday())


@lru_cache(maxsize=14)
def _year(leap: bool, first_weekday: int) -> Year:
    lengths = [monthrange(2000 if leap else 2001, month)[1] for month in range(1, 13)]
    month = np.repeat(np.arange(1, 13), lengths)
    day = np.concatenate([np.arange(1, length + 1) for length in lengths])
    weekday = (first_weekday + np.arange(len(day))) % 7
    to_end = np.repeat(lengths, lengths) - day
    # The last of its month with a weekday, if fewer than three days are left or just the weekend is.
    last_workday = ((weekday < 5) & (to_end == 0)) | ((weekday == 4) & (to_end <= 2))
    return Year(month, day, weekday, to_end, last_workday)


def among(column: Numbers, wanted: set[int]) -> Flags:
    """Which entries of a column of numbers below 64 are wanted."""
    table = np.zeros(64, dtype=np.bool_)
    table[[number for number in wanted if number >= 0]] = True
    return table[column]
