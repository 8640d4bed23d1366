"""Time zones by name, and the one of this place; what is 02:30 where clocks are set."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from datetime import tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCALTIME = "/etc/localtime"


def named(name: str) -> tzinfo:
    """The zone of an IANA name. Raises Refusal BAD_TIME."""
    from zoneinfo import ZoneInfo  # only those who see a time pay for it

    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        shown = name if name.isprintable() and len(name) < len(_LOCALTIME) * 3 else repr(name[:40])
        hint = "use an IANA name such as Europe/Berlin, or UTC"
        raise Refusal(RefusalReason.BAD_TIME, f"no such time zone: {shown}", hint) from None


def local() -> tzinfo:
    """The zone of this process: TZ, else /etc/localtime, else UTC. Raises Refusal BAD_TIME when TZ is no IANA name."""
    name = os.environ.get("TZ")
    if name is not None:
        return named(name.removeprefix(":")) if name else UTC
    path = os.path.realpath(_LOCALTIME)
    if "zoneinfo/" in path:
        return named(path.partition("zoneinfo/")[2].removeprefix("posix/"))
    from zoneinfo import ZoneInfo

    try:
        with open(_LOCALTIME, "rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError):
        return UTC


def local_or_utc() -> tzinfo:
    """The zone to show times in; UTC where this place's cannot be known."""
    try:
        return local()
    except Refusal:
        return UTC


def name_of(zone: tzinfo) -> str:
    """What people call it."""
    return str(getattr(zone, "key", zone))


def at(at_us: int, zone: tzinfo) -> datetime:
    """An instant on the clocks of a zone."""
    return (EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def microseconds(moment: datetime) -> int:
    """The instant that a moment with a zone is."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def begin_of(day: date, zone: tzinfo) -> datetime:
    """The first instant of a day: also where its midnight comes twice or never."""
    return datetime.combine(day, time(0)).replace(tzinfo=zone, fold=0)


def settle(wall: datetime, zone: tzinfo) -> datetime:
    """The one instant at which clocks of the zone show `wall`.

    Raises Refusal BAD_TIME where they never do (set forward over it) or do it twice (set back over it): which was meant
    is not ours to guess.
    """
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall:
        message = f"{wall} comes twice in {name_of(zone)}: clocks are set back over it"
        raise Refusal(RefusalReason.BAD_TIME, message, f"write {first.isoformat()} or {second.isoformat()}")
    # In a gap, fold=0 reckons with the offset from before it and lands behind it, fold=1 the other way round.
    before, behind = second.astimezone(UTC).astimezone(zone), first.astimezone(UTC).astimezone(zone)
    message = f"{wall} does not exist in {name_of(zone)}: clocks are set forward over it"
    raise Refusal(RefusalReason.BAD_TIME, message, f"write {before.isoformat()} or {behind.isoformat()}")
