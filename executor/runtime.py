"""How long an attempt has run: what its time limit counts, and what it does not, because the task stood still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.clock import SECOND_US

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class RunTime:
    """The running time of one attempt, in instants of the monotonic clock. `over` is called at its limit, if any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_us: int | None, over: Callable[[], None]) -> None:
        self.paused_us = 0
        """It stood still for so long, in all the pauses that are over."""
        self._loop = loop
        self._limit_us = limit_us
        self._over = over
        self._since_us = 0
        self._stands_since_us: int | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def count_from(self, mono_us: int) -> None:
        """It began then."""
        self._since_us = mono_us
        self._arm()

    def pause(self, mono_us: int) -> None:
        """It has stood still since then. Repeated, the first time holds."""
        if self._stands_since_us is None:
            self._stands_since_us = mono_us
            self._disarm()

    def go_on(self, mono_us: int) -> None:
        """It has run again since then, if it ever stood still."""
        if self._stands_since_us is not None:
            self._count_pause(mono_us)
            self._arm()

    def end(self, mono_us: int) -> None:
        """It has ended."""
        self._disarm()
        if self._stands_since_us is not None:
            self._count_pause(mono_us)

    def _count_pause(self, mono_us: int) -> None:
        assert self._stands_since_us is not None  # noqa: S101 - asked before
        self.paused_us += max(0, mono_us - self._stands_since_us)
        self._stands_since_us = None

    def _arm(self) -> None:
        self._disarm()
        if self._limit_us is not None:
            at_us = self._since_us + self._limit_us + self.paused_us
            self._deadline = self._loop.call_at(at_us / SECOND_US, self._over)

    def _disarm(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
