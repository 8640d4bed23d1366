"""Everything below a runner, or a function host with it, stands still, and goes on later as it was.

A stopped process cannot fork, but those that are not stopped yet can, and move away from their parents meanwhile. So
this looks again and again, in steps between which the runner hears its orders, until twice in a row nobody was found
who runs. Parents come first, and are seen to stand still before their children are stopped: a shell with job control
that sees its child stop goes on without it. For the same reason children go on first. Whoever stood still before,
because the task itself had stopped it, stays as it was.

Nothing tells when somebody from outside wakes a process that is no child of the runner; one that is, is stopped again.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ..proto import procs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

QUIET_STEPS = 2
SETTLE_LOOKS = 20
PATIENCE_STEPS = 50
"""So many steps a process may take to stop before its children are stopped all the same."""

_OVER = {b"T", b"Z", b"X"}
"""Stopped, or ended: whoever stopped it."""
_STILL = _OVER | {b"t", b"D"}
"""Of one that was told to stop also: held by a debugger, or waiting in the kernel, where it does nothing itself."""


class Stillness:
    """A pause of these processes and all below them; as a rule of all descendants of this one."""

    def __init__(self, first: Callable[[], set[int]] = lambda: _children([os.getpid()])) -> None:
        self._first = first
        self._told: dict[int, int] = {}
        """Whom we have told to stop, and in which step first."""
        self._beyond: set[int] = set()
        """Whom we may not tell anything."""
        self._steps = 0
        self._quiet = 0

    def step(self) -> bool:
        """Stop whoever is found running; True when everything stands still."""
        self._steps += 1
        quiet = True
        level = self._first()
        while level:
            moving = self._stop(level)
            quiet = quiet and not moving
            level = _children(level - {pid for pid in moving if self._is_awaited(pid)})
        self._quiet = self._quiet + 1 if quiet else 0
        return self._quiet >= QUIET_STEPS

    def end(self) -> None:
        """Have all that were told to stop go on, children first."""
        levels = [self._first()]
        while levels[-1]:
            levels.append(_children(levels[-1]))
        for level in reversed(levels):
            for pid in level & self._told.keys():
                _signal(pid, signal.SIGCONT)
        self._told.clear()

    def _stop(self, level: set[int]) -> set[int]:
        """Tell those who run to stop, and let them do so, not for long: others go on meanwhile. Returns whom."""
        moving = {pid for pid in level - self._beyond if self._runs(pid)}
        for pid in moving:
            self._told.setdefault(pid, self._steps)
            if not _signal(pid, signal.SIGSTOP):
                self._beyond.add(pid)
        for _ in range(SETTLE_LOOKS):
            if not any(self._runs(pid) for pid in moving - self._beyond):
                break
            os.sched_yield()
        return moving

    def _is_awaited(self, pid: int) -> bool:
        """Whether its children have to wait until it has stopped."""
        return pid not in self._beyond and self._steps - self._told[pid] < PATIENCE_STEPS and self._runs(pid)

    def _runs(self, pid: int) -> bool:
        return not procs.states_of(pid) <= (_STILL if pid in self._told else _OVER)


def _children(pids: Iterable[int]) -> set[int]:
    return {child for pid in pids for child in procs.children_of(pid)}


def _signal(pid: int, number: signal.Signals) -> bool:
    """Whether it may be told: somebody else's may not. One that has ended meanwhile does not matter."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True
