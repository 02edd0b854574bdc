"""How durations, instants and counts are read from people and written for them.

Everything inside the project is float seconds and UTC; this is the one place that turns them into
"7 min" or "Mon 16 Nov", and back. Names of days and months are English whatever the locale.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
CENTURY = 36_525 * DAY
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)  # a little before the end of 64-bit nanoseconds, which pandas counts in

_UNITS = {"ms": 0.001, "s": 1, "min": MINUTE, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
# What people write instead: refused with the unit they meant, so that one file has one way to say five minutes.
_MEANT = {"sec": "s", "second": "s", "minute": "min", "mn": "min", "hr": "h", "hour": "h", "day": "d", "week": "w",
          "msec": "ms", "millisecond": "ms"}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]+)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?", re.IGNORECASE)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# Durations ------------------------------------------------------------------------------------------------------------


def parse_duration(value: str | float) -> float:
    """Seconds meant by "15 min", "2 h 10 min", "90 s", "1d", "0.5 h" or a bare number of seconds.

    Units are ms, s, min (or m), h, d and w, each at most once. Negative, infinite and longer than a hundred years
    are refused, as is anything else: ValueError with what to write instead.
    """
    if isinstance(value, bool):
        raise ValueError(f'{str(value).lower()} is not a duration; try "15 min"')
    if isinstance(value, int | float):
        try:
            return _bounded(float(value), f"{value:g}")
        except OverflowError:  # a Python integer can be longer than any float
            return _bounded(math.inf, "such a number")
    text = value.strip()
    shown = quoted(text)
    if _NUMBER.fullmatch(text[:64]) and len(text) <= 64:
        return _bounded(float(text), shown)
    parts = _PART.findall(text) if len(text) <= 64 else []
    units = [unit.lower() for _, unit in parts]
    rest = _PART.sub("", text[:64]).strip()
    if not parts or rest or any(unit not in _UNITS for unit in units):
        raise ValueError(f"{shown} is not a duration; try {quoted(_meant(text, parts, rest))}")
    if len({_UNITS[unit] for unit in units}) < len(units):
        raise ValueError(f'{shown} is not a duration: it names a unit twice; try "2 h 10 min"')
    return _bounded(sum(float(number) * _UNITS[unit] for (number, _), unit in zip(parts, units, strict=True)), shown)


def _bounded(seconds: float, shown: str) -> float:
    if not math.isfinite(seconds):
        raise ValueError(f'{shown} is not a duration; try "15 min"')
    if seconds < 0:
        raise ValueError(f'{shown} is a negative duration; try "15 min"')
    if seconds > CENTURY:
        raise ValueError(f'{shown} is longer than a hundred years; try "15 min"')
    return seconds


def _meant(text: str, parts: list[tuple[str, str]], rest: str) -> str:
    """The duration that a refused text was probably meant to be, else an example."""
    if comma := re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9})\s*([a-z]{1,12})", text, re.IGNORECASE):
        parts, rest = [(f"{comma[1]}.{comma[2]}", comma[3])], ""
    if rest.startswith("-"):  # "-5 min": the sign is what is wrong
        rest = rest[1:].strip()
    words = []
    for number, unit in parts:
        unit = unit.lower()
        for guess in (unit, unit.rstrip("s")):
            if unit := _MEANT.get(guess, guess if guess in _UNITS else ""):
                break
        words.append(f"{number} {unit}" if unit else "")
    if not words or not all(words) or (rest and not set(rest.lower()) <= set(" ,;and")):
        return "15 min"
    return " ".join(words)


def duration(seconds: float | None) -> str:
    """`seconds` in people's words, at most two units: "0.4 s", "12 s", "7 min", "2 h 10 min", "4 d 22 h".

    Rounded to what the reader can use: tenths below 10 s, seconds below 10 min, minutes below a day, hours below
    100 days. Unknown (None, NaN) is "n/a".
    """
    if seconds is None or math.isnan(seconds):
        return "n/a"
    if seconds < 0:
        words = duration(-seconds)
        return words if words == "0 s" else f"-{words}"
    if math.isinf(seconds):
        return "infinite"
    if seconds < 0.0995:
        return f"{round(seconds * 1000)} ms" if seconds >= 0.0005 else "0 s"
    if seconds < 9.95:
        return f"{round(seconds, 1):g} s"
    # Round before choosing the units, or 59.7 s is "60 s" and 23 h 59.8 min is "23 h 60 min".
    for limit, step, big, small, names in (
        (10 * MINUTE, 1, MINUTE, 1, ("min", "s")),
        (DAY, MINUTE, HOUR, MINUTE, ("h", "min")),
        (100 * DAY, HOUR, DAY, HOUR, ("d", "h")),
    ):
        rounded = math.floor(seconds / step + 0.5) * step
        if rounded < limit:
            whole, part = divmod(rounded, big)
            counts = zip((whole, part // small), names, strict=True)
            return " ".join(f"{count} {name}" for count, name in counts if count)
    return f"{number(math.floor(seconds / DAY + 0.5))} d"


# Instants -------------------------------------------------------------------------------------------------------------


def parse_instant(text: str, *, now: datetime | None = None) -> datetime:
    """The UTC instant meant by "2026-11-24", "2026-11-24T07:00:00Z", epoch seconds, "now", or "90d" (ago).

    A date, or a time without offset, is UTC. "now" and "90d" need `now`. ValueError says what to write instead, also
    for years before 1970 and from 2262 on.
    """
    words = text.strip()
    shown = quoted(words)
    help_text = 'try "2026-11-24", "2026-11-24T07:00:00Z" or "90d"'
    if len(words) > 64 or not words.isascii() or not words:
        raise ValueError(f"{shown} is not an instant; {help_text}")
    if re.fullmatch(r"[0-9]{8}", words) and "1970" <= words[:4] < "2262":  # as epoch seconds always 1970: surely a date
        raise ValueError(f'{shown} is not an instant; try "{words[:4]}-{words[4:6]}-{words[6:]}"')
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", words):
        seconds = float(words)
        if seconds >= LATEST.timestamp() and seconds < LATEST.timestamp() * 1e9:
            raise ValueError(f"{shown} is not an instant: epoch times are in seconds, not milliseconds")
        return _within(EARLIEST + timedelta(seconds=seconds) if 0 <= seconds < CENTURY * 3 else None, shown)
    ago = words.lower().removesuffix("ago").strip()
    if ago == "now" or re.fullmatch(r"([0-9.]+\s*[a-z]+\s*)+", ago):
        try:
            seconds = 0.0 if ago == "now" else parse_duration(ago)
        except ValueError as error:
            raise ValueError(f"{shown} is not an instant; {help_text}") from error
        if now is None:
            raise ValueError(f"{shown} depends on the present time, which means nothing here; {help_text}")
        return _within(now.astimezone(UTC) - timedelta(seconds=seconds), shown)
    if not re.match(r"[0-9]{4}-", words):
        raise ValueError(f"{shown} is not an instant; {help_text}")
    try:
        found = datetime.fromisoformat(words)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{shown} is not an instant; {help_text}") from None
    return _within(found, shown)


def _within(found: datetime | None, shown: str) -> datetime:
    if found is None or not EARLIEST <= found < LATEST:
        raise ValueError(f"{shown} lies outside the years 1970 to 2261")
    return found


def iso(instant: datetime | int) -> str:
    """An aware datetime, or epoch microseconds, as "2026-11-24T07:00:00Z"; six decimals only if not whole seconds."""
    if isinstance(instant, datetime):
        if instant.tzinfo is None:
            raise ValueError("an instant without a time zone has no place in UTC")
        moment_utc = instant.astimezone(UTC)
    else:
        moment_utc = EARLIEST + timedelta(microseconds=instant)
    return moment_utc.replace(tzinfo=None).isoformat() + "Z"


def _local(instant: datetime, tz: str | tzinfo) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone has no local time")
    return instant.astimezone(ZoneInfo(tz) if isinstance(tz, str) else tz)


def day(instant: datetime, tz: str | tzinfo) -> str:
    """The local day: "Mon 16 Nov"."""
    local = _local(instant, tz)
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}"


def clock(instant: datetime, tz: str | tzinfo) -> str:
    """The local time of day: "02:30"."""
    return f"{_local(instant, tz):%H:%M}"


def moment(instant: datetime, tz: str | tzinfo, near: datetime | None = None) -> str:
    """Local day and time: "Fri 02:30" less than 7 days from `near`, else "Fri 13 Nov 02:30", with the year if another.

    Days are counted on the local calendar, so that the same weekday a week away is never told by its name alone.
    """
    local = _local(instant, tz)
    if near is not None:
        reference = _local(near, tz)
        if abs((local.date() - reference.date()).days) < 7:
            return f"{_DAYS[local.weekday()]} {local:%H:%M}"
        if local.year != reference.year:
            return f"{day(instant, tz)} {local.year} {local:%H:%M}"
    return f"{day(instant, tz)} {local:%H:%M}"


def span(since: datetime, until: datetime, tz: str | tzinfo) -> str:
    """The stretch [since, until): "Mon 16 to Sun 22 Nov 2026"; with times where its ends are not midnight."""
    start, end = _local(since, tz), _local(until, tz)
    if start.time() == end.time() == datetime.min.time() and start < end:
        # `until` is not part of the stretch: a week ends on its Sunday. A microsecond before, not a day: 23-hour days.
        end = _local(until - timedelta(microseconds=1), tz)
        if start.date() == end.date():
            return f"{day(start, tz)} {start.year}"
        first = f"{_DAYS[start.weekday()]} {start.day}"
        if start.year != end.year:
            first += f" {_MONTHS[start.month - 1]} {start.year}"
        elif start.month != end.month:
            first += f" {_MONTHS[start.month - 1]}"
        return f"{first} to {day(end, tz)} {end.year}"
    year = f" {start.year}" if start.year != end.year else ""
    return f"{day(start, tz)}{year} {start:%H:%M} to {day(end, tz)} {end.year} {end:%H:%M}"


# Counts and text ------------------------------------------------------------------------------------------------------


def plural(n: int, noun: str, many: str | None = None) -> str:
    """A count with its noun: "1 check", "24 checks", "3,412 checks"; `many` where an s is not enough."""
    return f"{number(n)} {noun if n == 1 else many or noun + 's'}"


def number(value: float | None) -> str:
    """A number with thousands marked: "3,412"; one decimal where it is not whole; unknown is "n/a"."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    tenths = round(value, 1)
    return f"{int(tenths):,}" if tenths == int(tenths) else f"{tenths:,.1f}"


def percent(rate: float | None) -> str:
    """A share (0 to 1) as "99.7 %"; only a true 1 is "100 %" and only a true 0 is "0 %", so one miss stays visible."""
    if rate is None or math.isnan(rate):
        return "n/a"
    if rate in (0, 1):
        return f"{rate:.0%}".replace("%", " %")
    if 0 < rate < 1:
        if rate < 0.001:
            return "< 0.1 %"
        if rate > 0.999:
            return "99.9 %"
    return f"{rate * 100:.1f} %"


def plain(text: str) -> str:
    """`text` as one line that is safe on a terminal: line ends, escapes, bidi overrides and the like shown as \\x1b.

    A name can come from anyone who may ping; printed raw it could recolour the terminal or reverse the line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    # Zero-width joiners stay: they hold emoji and Indic letters together and move nothing.
    if char in "\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return char
    return char.encode("unicode_escape").decode("ascii")


def quoted(text: str, limit: int = 60) -> str:
    """`text` in double quotes for a message: one safe line, cut to `limit` characters."""
    cut = text[: limit + 1]
    shown = plain(cut) if len(cut) <= limit else plain(cut[: limit - 3]) + "..."
    return f'"{shown}"'
