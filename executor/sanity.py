"""Whether a function host's report can be what a host says: functions run in the same process, and may say anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..proto.values import EndReason
from .host_messages import Ended, Loaded, Progress, Ready, Wrote

if TYPE_CHECKING:
    from .messages import Message

MOST = 2**62
MOST_LEFTOVERS = 2**31
LONGEST_S = 1e10
MOST_CHARACTERS = 64 * 1024
"""Of a message and of a text of progress: what no message to the supervisor holds would keep it away for ever."""
LAST_US = 253_402_300_800_000_000
"""The end of the year 9999: what is later cannot be shown."""
HOWS = {
    "returned",
    "cancel",
    EndReason.RAISED,
    EndReason.RETRY,
    EndReason.SNOOZED,
    EndReason.BAD_RESULT,
    EndReason.NO_SUCH_FUNCTION,
    EndReason.SOURCE_FAILED,
}


def sane(report: Message) -> bool:
    """Whether every field is of its type and within its range."""
    if isinstance(report, Ended):
        return _sane_end(report)
    if isinstance(report, Wrote):
        return _whole(report.attempt_id) and report.stream in (1, 2) and isinstance(report.text, str)
    if isinstance(report, Progress):
        total = 0 if report.total is None else report.total
        whole = _whole(report.attempt_id, report.at_us) and report.at_us < LAST_US
        return whole and _numbers(report.done, total) and _text(report.text)
    return isinstance(report, Ready | Loaded)


def _sane_end(report: Ended) -> bool:
    peak_bytes = 0 if report.peak_bytes is None else report.peak_bytes
    cpu_s = 0 if report.cpu_s is None else report.cpu_s
    times = (report.began_at_us, report.began_mono_us, report.at_us, report.mono_us)
    if not _whole(report.attempt_id, peak_bytes, report.leftovers, *times) or report.leftovers > MOST_LEFTOVERS:
        return False
    if report.at_us >= LAST_US or report.began_at_us >= LAST_US:
        return False
    if not isinstance(report.how, str) or report.how not in HOWS or not _text(report.message) or not _seconds(cpu_s):
        return False
    return report.how == "returned" or report.value is None or _seconds(report.value)


def _text(value: Any) -> bool:
    """Whether it is a string that can be sent, and no longer than any that is."""
    try:
        return isinstance(value, str) and len(value) <= MOST_CHARACTERS and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def _whole(*values: Any) -> bool:
    return all(type(value) is int and 0 <= value < MOST for value in values)


def _numbers(*values: Any) -> bool:
    """Whether they can be stored: no database holds a NaN, and an int can be larger than any float."""
    return all(
        not math.isnan(each) if type(each) is float else type(each) is int and abs(each) < MOST for each in values
    )


def _seconds(value: Any) -> bool:
    return _numbers(value) and 0 <= value < LONGEST_S
