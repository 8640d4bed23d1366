"""The runners of an executor: started when needed, kept warm, let go when idle for long.

A runner takes no task before the supervisor has acknowledged its mark, so that whatever it ever starts can be found by
a later supervisor, whatever dies in between.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

from ..proto.link_pb2 import RunnerUp
from ..proto.procs import NONCE_VARIABLE
from .messages import Exited, Setup, Up
from .port import Port

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from ..proto.profiles import Profile
    from .attempts import Attempt
    from .boot import Boot
    from .messages import Message, Order

COMMAND = (sys.executable, "-P", "-X", "utf8", "-m", "tsched.executor.runner")
END_TIMEOUT_S = 1.0


class Overseer(Protocol):
    """Who is told about runners."""

    def runner_up(self, runner: Runner) -> None:
        """It waits for its acknowledgement."""

    def runner_reported(self, runner: Runner, report: Message) -> None:
        """It said this about its task."""

    def runner_died(self, runner: Runner) -> None:
        """It has been reaped; what it left behind is not yet looked for."""


class Runner:
    """One runner, as its executor sees it. Raises OSError when no descriptor is left to watch it, and ends it then."""

    def __init__(self, process: subprocess.Popen[bytes], profile: str) -> None:
        self.process = process
        self.pid = process.pid
        self.profile = profile
        try:
            self.pidfd = os.pidfd_open(process.pid)
        except OSError:
            process.kill()
            process.wait()
            raise
        self.port: Port
        self.up: Up | None = None
        self.acknowledged = False
        self.attempt: Attempt | None = None
        self.idle_since_s = 0.0
        self.tired = False
        self.dead = False
        self.retired = False

    @property
    def idle(self) -> bool:
        """Whether it can take a task."""
        return self.acknowledged and self.attempt is None and not self.retired

    @property
    def report(self) -> RunnerUp | None:
        """Its mark, once known."""
        if self.up is None:
            return None
        return RunnerUp(pid=self.pid, start_ticks=self.up.start_ticks, mount_namespace=self.up.mount_namespace)

    def send(self, order: Order, descriptors: list[int] | None = None) -> None:
        """Give it an order, if it lives; the descriptors are closed here."""
        if not self.dead:
            self.port.send(order, descriptors)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()

    def retire(self) -> None:
        """Let it end; it is idle."""
        self.retired = True
        self.port.close()


class Pool:
    """All runners, at most one per slot, one of the first profile always kept warm."""

    def __init__(self, loop: asyncio.AbstractEventLoop, boot: Boot, overseer: Overseer) -> None:
        self._loop = loop
        self._boot = boot
        self._overseer = overseer
        self.favourite = next(iter(boot.profiles))
        self._timer: asyncio.TimerHandle | None = None
        self.runners: dict[int, Runner] = {}

    def reports(self) -> list[RunnerUp]:
        """The marks of all runners."""
        return [report for runner in self.runners.values() if (report := runner.report)]

    def unacknowledged(self) -> list[RunnerUp]:
        """The marks nobody is known to have stored."""
        waiting = (runner for runner in self.runners.values() if not runner.acknowledged)
        return [report for runner in waiting if (report := runner.report)]

    def acknowledge(self, pids: Iterable[int]) -> None:
        """The marks of these are stored: they may take tasks."""
        for pid in pids:
            runner = self.runners.get(pid)
            if runner and not runner.acknowledged:
                runner.acknowledged = True
                self.release(runner)

    def take(self, profile: str) -> Runner | None:
        """The runner of this profile that was last busy, of those that are idle."""
        idle = (runner for runner in self.runners.values() if runner.idle and runner.profile == profile)
        return max(idle, key=lambda runner: runner.idle_since_s, default=None)

    def release(self, runner: Runner) -> None:
        """It has no task any more."""
        runner.attempt = None
        runner.idle_since_s = self._loop.time()
        if runner.tired:
            runner.retire()
        elif self._timer is None:
            self._arm()

    def ensure(self, profile: str, count: int) -> None:
        """Start as many as are missing for `count` more tasks of this profile. Raises OSError."""
        starting = sum(1 for runner in self.runners.values() if runner.profile == profile and not runner.acknowledged)
        for _ in range(count - starting):
            self._make_room()
            self._start(self._boot.profiles[profile])

    def close(self) -> None:
        """End all runners, which are idle, and wait for them."""
        if self._timer:
            self._timer.cancel()
        for runner in self.runners.values():
            self._loop.remove_reader(runner.pidfd)
            if not runner.retired:
                runner.retire()
        for runner in self.runners.values():
            _await_end(runner)
        self.runners.clear()

    def wake(self) -> None:
        """A child has changed its state (SIGCHLD). A runner that was stopped, by its own task perhaps, goes on."""
        for pid in self.runners:
            if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG):
                os.kill(pid, signal.SIGCONT)

    def _start(self, profile: Profile) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                runner = Runner(self._spawn(theirs.fileno()), profile.name)
            except OSError:
                ours.close()
                raise
        self.runners[runner.pid] = runner
        runner.port = Port(self._loop, ours, lambda report: self._heard(runner, report))
        self._loop.add_reader(runner.pidfd, self._ended, runner)
        runner.send(Setup(os.getpid(), profile.as_dict()))

    def _spawn(self, fd: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, str(fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,
            env={**os.environ, NONCE_VARIABLE: self._boot.executor_id},
        )

    def _heard(self, runner: Runner, report: Message) -> None:
        if isinstance(report, Up):
            runner.up = report
            self._overseer.runner_up(runner)
            return
        runner.tired = isinstance(report, Exited) and report.tired
        self._overseer.runner_reported(runner, report)

    def _ended(self, runner: Runner) -> None:
        """Its pidfd says that it has exited."""
        self._loop.remove_reader(runner.pidfd)
        os.close(runner.pidfd)
        runner.process.wait()
        runner.dead = True
        del self.runners[runner.pid]
        if not runner.retired:
            runner.port.read_rest()
            runner.port.close()
            self._overseer.runner_died(runner)

    def _make_room(self) -> None:
        """Let the longest idle one go when all slots have runners already."""
        present = [runner for runner in self.runners.values() if not runner.retired]
        idle = [runner for runner in present if runner.idle]
        if idle and len(present) >= self._boot.slots:
            min(idle, key=lambda runner: runner.idle_since_s).retire()

    def _dispensable(self) -> list[Runner]:
        """The idle ones, longest idle first, without the one that is kept warm."""
        idle = sorted((r for r in self.runners.values() if r.idle), key=lambda runner: runner.idle_since_s)
        favourites = [runner for runner in idle if runner.profile == self.favourite]
        return [runner for runner in idle if runner not in favourites[-1:]]

    def _arm(self) -> None:
        """Look again when the first idle one has been idle for long enough; not at all when none is."""
        self._timer = None
        if idle := self._dispensable():
            self._timer = self._loop.call_at(idle[0].idle_since_s + self._boot.runner_idle_s, self._let_go)

    def _let_go(self) -> None:
        now_s = self._loop.time()
        for runner in self._dispensable():
            if runner.idle_since_s + self._boot.runner_idle_s <= now_s:
                runner.retire()
        self._arm()


def _await_end(runner: Runner) -> None:
    try:
        runner.process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        runner.kill()
        runner.process.wait()
