"""The way down: ask the task to end, give it its grace, kill its tree, and at last kill the runner that does not.

    TERM --grace--> KILL --no answer for `ANSWER_S`, or no end for `KILL_S`--> the runner itself, then all by its marks

A runner answers each order at once; one that has not answered a TERM of so long ago when the KILL is due is not asked
again. After its answer it has a while: to end a fork bomb is hard work, and nobody can do it better. All lengths are
monotonic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import Kill, Term

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .runners import Runner

ANSWER_S = 0.8
KILL_S = 10.0


class Ladder:
    """Ends one task. Its end is seen elsewhere; `cancel` then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, runner: Runner, attempt_id: int) -> None:
        self._loop = loop
        self._runner = runner
        self._id = attempt_id
        self._timer: asyncio.TimerHandle | None = None
        self._asked_at: float | None = None
        self._killing = False

    def descend(self, grace_s: float) -> None:
        """End the task within the grace; asked again, the earlier end holds."""
        kill_at = self._loop.time() + grace_s
        if self._killing or (self._timer and self._timer.when() <= kill_at):
            return
        first = self._timer is None
        self.cancel()
        if grace_s <= 0:
            self._kill()
            return
        self._timer = self._loop.call_at(kill_at, self._kill)
        if first:
            self._asked_at = self._loop.time()
            self._runner.send(Term(self._id))

    def answered(self) -> None:
        """The runner does what it was told."""
        self._asked_at = None
        if self._killing:
            self.cancel()
            self._timer = self._loop.call_later(KILL_S, self._runner.kill)

    def cancel(self) -> None:
        """The task has ended."""
        if self._timer:
            self._timer.cancel()

    def _kill(self) -> None:
        self._killing = True
        if self._asked_at is not None and self._asked_at + ANSWER_S <= self._loop.time():
            self._runner.kill()
            return
        self._runner.send(Kill(self._id))
        self._timer = self._loop.call_later(ANSWER_S, self._runner.kill)


class Fall:
    """Ends a call of a function: `ask`s, and after the grace ends its whole host. Its end is seen elsewhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ask: Callable[[], None], kill: Callable[[], None]) -> None:
        self._loop = loop
        self._ask = ask
        self._kill = kill
        self._timer: asyncio.TimerHandle | None = None

    def descend(self, grace_s: float) -> None:
        """End it within the grace; asked again, the earlier end holds."""
        kill_at = self._loop.time() + grace_s
        if self._timer and self._timer.when() <= kill_at:
            return
        first = self._timer is None
        self.cancel()
        self._timer = self._loop.call_at(kill_at, self._kill)
        if first and grace_s > 0:
            self._ask()

    def cancel(self) -> None:
        """The call has ended."""
        if self._timer:
            self._timer.cancel()
