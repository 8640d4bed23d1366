"""One timer for the earliest due time, on the wall clock, woken by clock jumps.

timerfd_create(2) on CLOCK_REALTIME with an absolute time never fires early, counts suspends, and with
TFD_TIMER_CANCEL_ON_SET tells when somebody sets the clock. The standard library has it from Python 3.13 on only.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Protocol

CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME = 1
TFD_TIMER_CANCEL_ON_SET = 2
# Far enough that only a clock jump wakes us before, near enough for every time_t.
NEVER_US = 253_402_300_799_000_000

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm(Protocol):
    """Calls back once its instant has come, or when the clock was set."""

    def set(self, due_us: int | None) -> None:
        """Ring at this wall time instead of the former one; None: only on a clock jump."""

    def close(self) -> None:
        """Ring no more."""


class WallAlarm:
    """The alarm on the machine's clock. Raises OSError where timerfd is missing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._descriptor = _checked(_libc.timerfd_create(CLOCK_REALTIME, os.O_CLOEXEC | os.O_NONBLOCK))
        self._loop.add_reader(self._descriptor, self._woken)
        self.set(None)

    def set(self, due_us: int | None) -> None:
        """Arm the timer; an instant that has passed rings at once."""
        # a value of zero would disarm the timer
        due = max(1, NEVER_US if due_us is None else due_us)
        value = _Itimerspec(_Timespec(0, 0), _Timespec(due // 1_000_000, due % 1_000_000 * 1000))
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        _checked(_libc.timerfd_settime(self._descriptor, flags, ctypes.byref(value), None))

    def _woken(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        except OSError:  # ECANCELED: the clock was set; whoever is called arms us anew
            pass
        self._ring()

    def close(self) -> None:
        """Give the timer back."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
