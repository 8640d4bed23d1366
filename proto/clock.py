"""The only place that reads a clock.

`_us` are integer microseconds. Wall time is UTC since the Unix epoch and may jump; monotonic time counts from boot and
never does: instants of the world use the first, lengths of time the second.
"""

from __future__ import annotations

import time
from typing import Protocol

SECOND_US = 1_000_000


class Clock(Protocol):
    """Where the time comes from; tests inject their own."""

    def now_us(self) -> int:
        """Wall time, UTC."""

    def mono_us(self) -> int:
        """Monotonic time."""


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        """Wall time (CLOCK_REALTIME), UTC."""
        return time.time_ns() // 1000

    def mono_us(self) -> int:
        """Monotonic time (CLOCK_MONOTONIC), not counting suspends."""
        return time.monotonic_ns() // 1000
