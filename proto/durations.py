"""Lengths of time as people write them: `90`, `90s`, `1h30m`, `0.2s`, `250ms`, `2d`, `1 h 30 min`.

Inside they are whole microseconds. A day is 24 hours; months and years have no fixed length and are refused.
"""

from __future__ import annotations

import re

from .errors import Refusal, RefusalReason

UNITS_US = {"w": 604_800_000_000, "d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000}
UNITS_US |= {"ms": 1_000, "us": 1}
_WORDS = {
    "w": ("w", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds"),
    "us": ("us", "usec", "microsecond", "microseconds"),
}
_UNIT_OF = {word: UNITS_US[unit] for unit, words in _WORDS.items() for word in words}
_PART = re.compile(r"\s*([0-9]{1,18})(?:\.([0-9]{1,9}))?\s*([a-z]*)", re.ASCII)
_HINT = "write 90s, 1h30m, 250ms or 2d"
_HUMAN = (("d", UNITS_US["d"]), ("h", UNITS_US["h"]), ("min", UNITS_US["m"]), ("s", UNITS_US["s"]))


def parse_us(text: str) -> int:
    """The length in microseconds; a bare number is seconds. Raises Refusal BAD_DURATION."""
    if re.fullmatch(r"\s*[0-9]{1,18}(\.[0-9]{1,9})?\s*", text, re.ASCII):
        text += "s"
    total, position, smallest = 0, 0, UNITS_US["w"] + 1
    while position < len(text.rstrip()):
        part = _PART.match(text, position)
        unit = _UNIT_OF.get(part[3]) if part else None
        if part is None or unit is None or unit >= smallest:
            raise _unreadable(text)
        total, position, smallest = total + _scaled(part[1], part[2] or "", unit), part.end(), unit
    if position == 0:
        raise _unreadable(text)
    return total


def _scaled(whole: str, fraction: str, unit_us: int) -> int:
    """The number times the unit, rounded up: nothing happens early."""
    scale: int = 10 ** len(fraction)
    return -(-int(whole + fraction) * unit_us // scale)


def _unreadable(text: str) -> Refusal:
    shown = repr(text) if len(text) <= len(_HINT) else f"{text[: len(_HINT)]!r}..."
    return Refusal(RefusalReason.BAD_DURATION, f"not a length of time: {shown}", _HINT)


def compact(length_us: int) -> str:
    """The exact length, as `parse_us` reads it: `1h30m`."""
    parts = []
    for unit, unit_us in UNITS_US.items():
        count, length_us = divmod(length_us, unit_us)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def human(length_us: int) -> str:
    """The length to be read, in its two largest units at most: `3 h 12 min`; rounded down."""
    if length_us < UNITS_US["s"]:
        return f"{length_us // UNITS_US['ms']} ms"
    if length_us < 10 * UNITS_US["s"]:
        return f"{length_us / UNITS_US['s']:.1f} s".replace(".0 s", " s")
    place = next(place for place, (_, unit_us) in enumerate(_HUMAN) if length_us >= unit_us)
    parts = []
    for name, unit_us in _HUMAN[place : place + 2]:
        count, length_us = divmod(length_us, unit_us)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)
