"""A runner's side of a pause: from the order, over the steps it takes, to the answer.

Every order is answered once, with how it is when it is clear: so an order that another one overtakes is answered with
what the other one brought about. What changes without an order is said too.

runs --on--> being stopped --everything stands still--> paused --off, or the task is to end--> runs
             being stopped --off, or it takes longer than `GIVE_UP_S`--> runs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.clock import SECOND_US
from .messages import Paused
from .stillness import Stillness

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proto.clock import Clock
    from .messages import Started

STEP_MS = 1
"""So long the runner hears its orders between two steps."""
GIVE_UP_S = 5
"""What does not stand still after this long cannot be paused: a debugger holds it, perhaps."""


class Pausing:
    """Whether a task runs, stands still, or is on the way there. `tell` says so to the executor."""

    def __init__(
        self,
        started: Started,
        clock: Clock,
        tell: Callable[..., None],
        begin: Callable[[], Stillness] = Stillness,
    ) -> None:
        self._id = started.attempt_id
        self._clock = clock
        self._tell = tell
        self._begin = begin
        self._stillness: Stillness | None = None
        self._still = self._paused = False
        self._since = (started.at_us, started.mono_us)
        self._asked_mono_us = 0
        self._owed = 0

    @property
    def patience_ms(self) -> int | None:
        """How long to wait for something to happen before the next step; None: for as long as it takes."""
        return STEP_MS if self._stillness and not self._still else None

    def turn(self, *, on: bool) -> None:
        """Have it stand still, or go on. Answered now, or when everything stands still."""
        self._owed += 1
        if on and not self._stillness:
            self._stillness = self._begin()
            self._asked_mono_us = self._clock.mono_us()
        elif not on and self._stillness:
            self._go_on()
        elif self._paused or not on:
            self._say()

    def wake(self) -> None:
        """Have it go on, if it stands still: it shall end."""
        if self._stillness:
            self._go_on()

    def step(self) -> None:
        """Something has happened, or it was time: stop whoever runs, and say so when nobody does."""
        if not self._stillness:
            return
        self._still = self._stillness.step()
        if self._still and not self._paused:
            self._paused = True
            self._change()
        elif not self._paused and self._clock.mono_us() - self._asked_mono_us > GIVE_UP_S * SECOND_US:
            self._go_on()

    def _go_on(self) -> None:
        assert self._stillness  # noqa: S101 - asked before
        self._stillness.end()
        self._stillness = None
        self._still = False
        if self._paused:
            self._paused = False
            self._change()
        else:
            self._say()

    def _change(self) -> None:
        self._since = (self._clock.now_us(), self._clock.mono_us())
        self._say()

    def _say(self) -> None:
        said = Paused(self._id, self._paused, *self._since, answer=self._owed > 0)
        self._tell(*[said] * max(1, self._owed))
        self._owed = 0
