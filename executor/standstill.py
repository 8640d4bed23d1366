"""A sync call stands still: its host and everything below it, stopped from here, because the host runs the call itself.

The steps are those of a runner (pausing.py, stillness.py), taken by this process between its other work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import Paused, Started
from .pausing import Pausing
from .stillness import Stillness

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..proto.clock import Clock
    from .hosts import Host


class StandStill:
    """Whether a call's host runs or stands still. `tell` says so."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, home: Host, attempt_id: int, tell: Callable[[Paused], None]
    ) -> None:
        began = Started(attempt_id, home.pid, 0, clock.now_us(), clock.mono_us())
        self._loop = loop
        self._home = home
        self._tell = tell
        self._pausing = Pausing(began, clock, self._say, lambda: Stillness(lambda: {home.pid}))
        self._timer: asyncio.TimerHandle | None = None

    def turn(self, *, on: bool) -> None:
        """Have it stand still, or go on."""
        self._home.paused = on
        self._pausing.turn(on=on)
        self._go_on()

    def wake(self) -> None:
        """Have it go on, if it stands still: it shall end."""
        self._home.paused = False
        self._pausing.wake()
        self._go_on()

    def end(self) -> None:
        """The call has ended, perhaps just before its host was stopped, which goes on then."""
        self._home.paused = False
        if not self._home.dead:
            self._pausing.wake()
        if self._timer:
            self._timer.cancel()

    def _go_on(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        patience_ms = self._pausing.patience_ms
        if patience_ms is not None:
            self._timer = self._loop.call_later(patience_ms / 1000, self._step)

    def _step(self) -> None:
        self._timer = None
        self._pausing.step()
        self._go_on()

    def _say(self, *said: Paused) -> None:
        for each in said:
            self._tell(each)
