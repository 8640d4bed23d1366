"""What `--at` and `--since` take: one instant from what a person writes, or a refusal; never a guess.

    2026-11-22T14:30:00+01:00   2026-11-22 14:30   14:30   9am   tomorrow 9:00   monday 8am   22 Nov 2026 14:30
    now + 2 hours   in 10 minutes   @1795351104         --since only: 2h   2 hours ago   today   monday   22 Nov

A time of day alone, a weekday and a day without a year mean the next such one; for `--since` the last one, and a day
means its begin. What two people could read differently (4/1, for `--at` a day without a time), what lies on the wrong
side of now, and what no clock shows or shows twice is refused with a hint. Pure: the present and the zone are given.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ..proto import durations
from ..proto.checks import AHEAD_LIMIT_US, quoted
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from . import zones

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

HINT = "write 2026-11-22 14:30, tomorrow 9:00, monday 8am, now + 2 hours or an RFC 3339 time"
PAST_HINT = "write 2h, today, yesterday 9:00, monday, 2026-11-22, 2026-11-22 14:30 or an RFC 3339 time"
LONGEST_TEXT = 100
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

_EPOCH_TIME = re.compile(r"@([0-9]{1,15})(?:\.([0-9]{1,9}))?", re.ASCII)
_AGO = re.compile(r"([0-9.]+ ?[A-Za-z].*?)( ago)?", re.ASCII)
_RELATIVE = re.compile(r"(?:now ?\+ ?|in )(.+)", re.ASCII)
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[t ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))? ?(z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_CLOCK = r"(?:noon|[0-9]{1,2}(?::[0-9]{2}(?::[0-9]{2})?)? ?[ap]m|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)"
_DAY_CLOCK = re.compile(rf"(?:(?P<day>.*?[^ ,])(?:,? at |,? |(?<=[0-9])t))?(?P<clock>{_CLOCK})", re.ASCII)
_CLOCK_DAY = re.compile(rf"(?P<clock>{_CLOCK}),?(?: on)? (?P<day>.+)", re.ASCII)
_CLOCK_PARTS = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2}))? ?([ap]m)?", re.ASCII)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_AMBIGUOUS_DAY = re.compile(r"\b[0-9]{1,4}([/.-])[0-9]{1,2}(\1[0-9]{2,4})?\b", re.ASCII)
_NAMED_DAY = re.compile(
    rf"(?:(?:{_MONTHS})[a-z]*\.? [0-9]{{1,2}}(?:st|nd|rd|th)?|[0-9]{{1,2}}(?:st|nd|rd|th|\.)? (?:{_MONTHS})[a-z]*\.?)"
    r"(?P<year>,? [0-9]{4})?",
    re.ASCII,
)


def resolve(text: str, *, now_us: int, zone: tzinfo) -> int:
    """The instant meant, not before `now_us`. Raises Refusal BAD_TIME, or BAD_DURATION for the length in `now + X`."""
    if len(text) > LONGEST_TEXT:
        raise _unreadable(text)
    words = " ".join(text.split())
    try:
        at_us = _read(words, now_us, zone, back=False)
    except (OverflowError, OSError):  # beyond what datetime or a zone's rules can hold
        raise _too_far() from None
    return _checked(at_us, now_us, zone)


def resolve_past(text: str, *, now_us: int, zone: tzinfo) -> int:
    """The instant meant, not behind `now_us`: a length of time back, or as for `resolve` but the last such one.

    Raises Refusal BAD_TIME.
    """
    words = " ".join(text.split())
    try:
        at_us = _read_past(words, now_us, zone)
    except Refusal as refusal:
        raise Refusal(RefusalReason.BAD_TIME, refusal.message, _past_hint(refusal)) from None
    except (OverflowError, OSError):
        raise Refusal(RefusalReason.BAD_TIME, f"not a time: {quoted(text)}", PAST_HINT) from None
    if at_us > now_us:
        shown = zones.at(at_us, zone).isoformat(" ", "seconds")
        raise Refusal(RefusalReason.BAD_TIME, f"{shown} is still to come", "give an earlier time")
    return max(0, at_us)


def _past_hint(refusal: Refusal) -> str:
    return PAST_HINT if refusal.hint == HINT or refusal.reason is RefusalReason.BAD_DURATION else refusal.hint


def _read_past(words: str, now_us: int, zone: tzinfo) -> int:
    if len(words) > LONGEST_TEXT:
        raise _unreadable(words)
    if (length_us := _length_back(words)) is not None:
        return now_us - length_us
    day = _day(words.casefold(), zones.at(now_us, zone), back=True)
    if day is not None:
        return zones.microseconds(zones.begin_of(day, zone))
    return _read(words, now_us, zone, back=True)


def _length_back(words: str) -> int | None:
    """`2h` or `2 hours ago`; a number alone could as well be a year."""
    found = _AGO.fullmatch(words)
    if found is None:
        return None
    try:
        return durations.parse_us(_lower_words(found[1]))
    except Refusal:
        if found[2]:
            raise
        return None  # a time such as 9am


def delay_us(text: str) -> int | None:
    """How long after its submission, for `now`, `now + X` and `in X`; None for what names an instant.

    Sent as it was meant, the same words ask for the same thing however often they are repeated.
    """
    words = " ".join(text.split()) if len(text) <= LONGEST_TEXT else ""
    if words.casefold() == "now":
        return 0
    found = _RELATIVE.fullmatch(words[:4].casefold() + words[4:])
    if found is None:
        return None
    length_us = durations.parse_us(_lower_words(found[1]))
    if length_us > AHEAD_LIMIT_US:
        raise _too_far()
    return length_us


def _read(words: str, now_us: int, zone: tzinfo, *, back: bool) -> int:
    if found := _EPOCH_TIME.fullmatch(words):
        return _scaled(int(found[1]), found[2])
    if words.casefold() == "now":
        return now_us
    if found := _RELATIVE.fullmatch(words[:4].casefold() + words[4:]):
        return now_us + durations.parse_us(_lower_words(found[1]))
    if found := _RFC_3339.fullmatch(words.casefold()):
        return _rfc_3339(found)
    return zones.microseconds(_calendar(words.casefold(), zones.at(now_us, zone), zone, back=back))


def _scaled(whole_s: int, fraction: str | None) -> int:
    """Seconds and the digits behind the point, rounded up: nothing happens early."""
    return whole_s * SECOND_US + -(-int((fraction or "0").ljust(9, "0")) // 1000)


def _lower_words(text: str) -> str:
    """Units written as words in lower case; a single letter stays, for M could mean months."""
    return re.sub(r"[A-Za-z]{2,}", lambda word: word[0].lower(), text)


def _rfc_3339(found: re.Match[str]) -> int:
    zone_text = "+00:00" if found[4] == "z" else found[4]
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{zone_text}")
    except ValueError:
        raise Refusal(RefusalReason.BAD_TIME, f"no such time: {found[0].upper()}", HINT) from None
    return zones.microseconds(moment) + _scaled(0, found[3])


def _calendar(words: str, now: datetime, zone: tzinfo, *, back: bool) -> datetime:
    found = _DAY_CLOCK.fullmatch(words) or _CLOCK_DAY.fullmatch(words)
    if found is None:
        raise _unreadable(words)
    clock = _clock(found["clock"])
    wall = _at_clock(clock, now, back=back) if found["day"] is None else _on_day(found["day"], clock, now, back=back)
    if wall is None:
        raise _unreadable(found["day"])
    return zones.settle(wall, zone)


def _clock(text: str) -> time:
    if text == "noon":
        return time(12)
    parts = _CLOCK_PARTS.fullmatch(text)
    assert parts  # noqa: S101 - _CLOCK let it pass
    hour, minute, second = (int(part or 0) for part in parts.groups()[:3])
    if parts[4]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - the hours of a half day
            raise _no_such_time(text)
        hour = hour % 12 + (12 if parts[4] == "pm" else 0)
    try:
        return time(hour, minute, second)
    except ValueError:
        raise _no_such_time(text) from None


def _nearest(nth: Callable[[int], datetime], now: datetime, *, back: bool) -> datetime:
    """Of instants that come again and again, the next one or the last one; the present is both."""
    wall, here = nth(0), now.replace(tzinfo=None)
    if back:
        return wall if wall <= here else nth(-1)
    return wall if wall >= here else nth(1)


def _at_clock(clock: time, now: datetime, *, back: bool) -> datetime:
    return _nearest(lambda n: datetime.combine(now.date() + timedelta(days=n), clock), now, back=back)


def _day(words: str, now: datetime, *, back: bool) -> date | None:
    """The day that is meant, None where the words are no day."""
    wall = _on_day(words, time(0), now, back=back)
    return wall and wall.date()


def _on_day(day: str, clock: time, now: datetime, *, back: bool) -> datetime | None:
    if day in _NEAR_DAYS:
        return datetime.combine(now.date() + timedelta(days=_NEAR_DAYS[day]), clock)
    if (weekday := _weekday(day)) is not None:
        first = now.date() + timedelta(days=(weekday - now.weekday()) % 7)
        return _nearest(lambda n: datetime.combine(first + timedelta(days=7 * n), clock), now, back=back)
    if _ISO_DAY.fullmatch(day):
        return datetime.combine(_date(date.fromisoformat, day), clock)
    if found := _NAMED_DAY.fullmatch(day):
        if found["year"] is not None:
            return datetime.combine(_named_day(day, now.year), clock)
        return _nearest(lambda n: datetime.combine(_named_day(day, now.year + n), clock), now, back=back)
    return None


def _weekday(day: str) -> int | None:
    """Monday is 0; three letters are enough."""
    names = [place for place, name in enumerate(_DAYS) if name.startswith(day) and len(day) >= len("mon")]
    return names[0] if names else None


def _date(read: Callable[[str], date], text: str) -> date:
    try:
        return read(text)
    except ValueError:
        raise Refusal(RefusalReason.BAD_TIME, f"no such day: {quoted(text)}", HINT) from None


def _named_day(day: str, year: int) -> date:
    """A day with its month's name; `year` where it has none of its own."""
    return _date(lambda text: _parsed(text, year), day)


def _parsed(text: str, year: int) -> date:
    """What dateutil reads. Its own guesses are kept out: the shape was checked, and the day must be in the text."""
    from dateutil import parser  # costs 25 ms, and few write months' names

    readings = {
        parser.parse(text, default=datetime(year, month, day)).date()  # noqa: DTZ001 - a day has no zone
        for month, day in ((1, 1), (12, 28))
    }
    if len(readings) != 1:
        raise ValueError(text)
    return readings.pop()


def _checked(at_us: int, now_us: int, zone: tzinfo) -> int:
    if at_us > now_us + AHEAD_LIMIT_US:
        raise _too_far()
    if at_us < now_us:
        shown = zones.at(max(at_us, -(10**15)), zone).isoformat(" ", "seconds")
        ago = durations.human(now_us - at_us)
        raise Refusal(RefusalReason.BAD_TIME, f"{shown} is past, {ago} ago", "give a later time, or use: tsched run")
    return at_us


def _no_such_time(text: str) -> Refusal:
    return Refusal(RefusalReason.BAD_TIME, f"no such time of day: {text}", "write 14:30 or 2:30pm")


def _too_far() -> Refusal:
    return Refusal(RefusalReason.BAD_TIME, "more than 100 years ahead", "give a time in this century")


def _unreadable(text: str) -> Refusal:
    """Why it cannot be read, as far as that can be told."""
    if _AMBIGUOUS_DAY.search(text) and not _ISO_DAY.fullmatch(text):
        hint = "write the day as 2027-04-01, or with its month's name"
        return Refusal(RefusalReason.BAD_TIME, f"can be read in more than one way: {quoted(text)}", hint)
    if text == "yesterday":
        return Refusal(RefusalReason.BAD_TIME, "yesterday is past", "give a later time, or use: tsched run")
    if _ISO_DAY.fullmatch(text):
        _date(date.fromisoformat, text)
    if _ISO_DAY.fullmatch(text) or text in (*_NEAR_DAYS, *_DAYS) or _NAMED_DAY.fullmatch(text):
        return Refusal(RefusalReason.BAD_TIME, f"a day without a time: {text}", f"add one: {text} 9:00")
    return Refusal(RefusalReason.BAD_TIME, f"not a time: {quoted(text)}", HINT)


def echo(at_us: int, *, now_us: int, zone: tzinfo) -> str:
    """The instant with its zone and how far off it is: `2026-11-22 14:30:00+01:00 (Europe/Berlin), in 3 h 12 min`."""
    shown = zones.at(at_us, zone).isoformat(" ", "seconds")
    wait = f"in {durations.human(at_us - now_us)}" if at_us > now_us else "now"
    return f"{shown} ({zones.name_of(zone)}), {wait}"
