"""Everything below a runner: waiting for it, accounting for it, ending it.

The runner is a subreaper with one task at a time, so whatever the task started is a descendant of the runner until it
has been reaped here, and "no child left" (ECHILD) proves that nothing is left at all.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

from ..proto import procs

if TYPE_CHECKING:
    from collections.abc import Callable

_KIB = 1024


class Brood:
    """The descendants of this process, of which one is the program that was asked for."""

    def __init__(self, main: int) -> None:
        self.main = main
        self.returncode: int | None = None
        self.empty = False
        self.cpu_s = 0.0
        self.peak_bytes: int | None = None
        self.killed = 0
        self._struck: set[int] = set()

    def reap(self) -> None:
        """Take the exit status of whoever has ended; `empty` tells whether nobody is left, and then nobody will be."""
        while not self.empty and self._wait(os.WNOHANG):
            pass

    def terminate(self) -> None:
        """Ask the program's process group to end, also when it is stopped."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            self._signal_group(number)

    @property
    def group_alive(self) -> bool:
        """Whether anybody of the program's process group is left."""
        return self._signal_group(0)

    def end(self, beyond: Callable[[], None] = lambda: None) -> int:
        """Kill everything and wait until nobody is left; returns how many had to be killed.

        `beyond` is told when somebody more is found who is another user's, and not ours to kill.

        Direct children are looked at anew after every death: whoever hops from pid to pid, leaving its parent each
        time, becomes one on the way.
        """
        self.reap()
        self.killed = 0
        while not self.empty:
            fresh = set(procs.children_of(os.getpid())) - self._struck
            self._struck |= procs.strike(fresh)
            if any(map(_is_beyond, fresh)):
                beyond()
            if self._wait(0):
                self.reap()
        return self.killed

    def _wait(self, options: int) -> bool:
        """Reap one child; False when there was none to reap."""
        try:
            pid, status, usage = os.wait4(-1, options)
        except ChildProcessError:
            self.empty = True
            return False
        if pid:
            self._account(pid, status, usage)
        return pid != 0

    def _account(self, pid: int, status: int, usage: resource.struct_rusage) -> None:
        self._struck.discard(pid)
        self.killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        self.cpu_s += usage.ru_utime + usage.ru_stime
        if pid == self.main:
            self.returncode = os.waitstatus_to_exitcode(status)
            self.peak_bytes = _peak_bytes(usage)

    def _signal_group(self, number: int) -> bool:
        try:
            os.killpg(self.main, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _is_beyond(pid: int) -> bool:
    """Whether it is not ours to signal."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return False


def _peak_bytes(usage: resource.struct_rusage) -> int | None:
    """The peak resident memory of a child and of what it waited for.

    Until its exec a vforked child lives in its parent's memory, and the kernel counts that as the child's: a peak not
    above our own says nothing.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _KIB if usage.ru_maxrss > own else None
