"""From when on something counts as trouble: the numbers that analysis, verdicts and live alerts share."""

from __future__ import annotations

from datetime import timedelta

#: A retry storm is told from the last of three steps between looks; of fewer jobs it is none.
STORM_STEPS = 3
STORM_GROWTH = 5
#: Growth by less than so many times its scatter is chance.
STORM_SCATTER = 4.0
#: How far back the usual pace is taken from, seconds; where fewer looks are in that, so many are taken.
STORM_BEFORE_S = 3600.0
STORM_LOOKS = 8
#: Over which time restarts are counted, and how many of them are a crash loop.
CRASH_OVER = timedelta(hours=1)
CRASH_LOOP = 3
#: So long nothing is finished while jobs wait before a queue is said to stand still.
STANDS_S = 1800.0
#: So many dead jobs at least are worth a word.
LEAST_DIED = 5
#: Of fewer looks the usual number of workers cannot be told.
WORKER_LOOKS = 10
