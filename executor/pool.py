"""The runners of an executor: started when needed, kept warm, let go when idle for long.

A runner takes no task before the supervisor has acknowledged its mark, so that whatever it ever starts can be found by
a later supervisor, whatever dies in between.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol

from ..proto.procs import NONCE_VARIABLE
from .host_messages import Ended, Ready
from .hosts import BEGIN, RUNNER_VARIABLE, Host
from .kinds import Kind
from .messages import Exited, Setup, Unfit, Up
from .pipes import Pipes
from .port import Port
from .runners import Runner
from .sanity import sane

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from ..proto.link_pb2 import RunnerUp
    from .boot import Boot
    from .messages import Message

COMMAND = (sys.executable, "-P", "-X", "utf8", "-m", "tsched.executor.runner")
END_TIMEOUT_S = 1.0
SPARE = 4
"""So many idle ones of other kinds may be kept beside those that the slots need."""


class Overseer(Protocol):
    """Who is told about runners."""

    def runner_up(self, runner: Runner) -> None:
        """It waits for its acknowledgement."""

    def runner_unfit(self, runner: Runner, message: str) -> None:
        """It cannot become what it was to be, nor could another."""

    def runner_reported(self, runner: Runner, report: Message) -> None:
        """It said this about its task."""

    def runner_died(self, runner: Runner) -> None:
        """It has been reaped; what it left behind is not yet looked for."""

    def runner_left(self, runner: Runner) -> None:
        """It was let go and has been reaped; functions may have left something behind."""


class Pool:
    """All runners, at most one per slot, one of the first profile always kept warm."""

    def __init__(self, loop: asyncio.AbstractEventLoop, boot: Boot, overseer: Overseer) -> None:
        self._loop = loop
        self._boot = boot
        self._overseer = overseer
        self.favourite = Kind(next(iter(boot.profiles)))
        self.sources: dict[str, dict[str, Any]] = {}
        """Where functions are found, by name."""
        self._timer: asyncio.TimerHandle | None = None
        self.runners: dict[int, Runner] = {}

    def hosts(self) -> list[Host]:
        """Those that run functions."""
        return [runner for runner in self.runners.values() if isinstance(runner, Host)]

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

    def take(self, kind: Kind) -> Runner | None:
        """The runner of this kind that was last busy, of those that are free."""
        free = (runner for runner in self.runners.values() if runner.kind == kind and runner.free)
        return max(free, key=lambda runner: runner.idle_since_s, default=None)

    def release(self, runner: Runner) -> None:
        """It has no task any more."""
        runner.attempt = None
        runner.idle_since_s = self._loop.time()
        if not runner.idle:
            return
        if runner.tired or self._outdated(runner):
            runner.retire()
        elif self._timer is None:
            self._arm()

    def ensure(self, kind: Kind, count: int) -> None:
        """Start as many as are missing for `count` more tasks of this kind. Raises OSError."""
        starting = sum(
            1 for runner in self.runners.values() if runner.kind == kind and not runner.retired and not _begun(runner)
        )
        for _ in range(count - starting):
            self._make_room(kind)
            self._start(kind)

    def know(self, sources: dict[str, dict[str, Any]]) -> None:
        """These are all sources: hosts of others, and of older code, take no more calls."""
        self.sources = sources
        for runner in list(self.runners.values()):
            if isinstance(runner, Host) and self._outdated(runner):
                runner.outdated = True
                if runner.idle:
                    runner.retire()

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
        for pid, runner in self.runners.items():
            if _has_stopped(pid) and not runner.paused:
                os.kill(pid, signal.SIGCONT)

    def _outdated(self, runner: Runner) -> bool:
        """Whether it runs code that nobody has any more."""
        kind = runner.kind
        return kind.host and self.sources.get(kind.source, {}).get("generation") != kind.generation

    def _start(self, kind: Kind) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                runner = (
                    self._start_host(kind, theirs.fileno()) if kind.host else self._start_runner(kind, theirs.fileno())
                )
            except OSError:
                ours.close()
                raise
        self.runners[runner.pid] = runner
        runner.port = Port(self._loop, ours, lambda report: self._heard(runner, report), runner.kill)
        self._loop.add_reader(runner.pidfd, self._ended, runner)
        host = [self.sources[kind.source]["python"], "-P", "-X", "utf8", BEGIN, "host"] if kind.host else []
        runner.send(Setup(os.getpid(), self._boot.profiles[kind.profile].as_dict(), host, kind.uid))

    def _start_runner(self, kind: Kind, fd: int) -> Runner:
        return Runner(self._spawn(fd, {}, subprocess.DEVNULL, None), kind)

    def _start_host(self, kind: Kind, fd: int) -> Host:
        pipes = Pipes(self._loop, kind.uid)
        mark = secrets.token_hex(16)
        own = {RUNNER_VARIABLE: mark, "TSCHED_SOCKET": self._boot.socket}
        try:
            process = self._spawn(fd, own, *pipes.writers)
            pipes.close_writers()
            return Host(process, kind, loop=self._loop, pipes=pipes, mark=mark, source=self.sources[kind.source])
        except OSError:
            pipes.close()
            raise

    def _spawn(self, fd: int, own: dict[str, str], stdout: int, stderr: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, str(fd)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[fd],
            start_new_session=True,
            env={**os.environ, NONCE_VARIABLE: self._boot.executor_id, **own},
        )

    def _heard(self, runner: Runner, report: Message) -> None:
        if isinstance(report, Up | Unfit) and runner.up:
            runner.kill()  # a host that says of itself again what it is, and which marks it has
            return
        if isinstance(report, Unfit):
            self._give_up(runner, report)
            return
        if isinstance(report, Up):
            runner.up = report
            if isinstance(runner, Host):
                runner.open()
            self._overseer.runner_up(runner)
            return
        if isinstance(report, Exited | Ended):
            runner.tired = runner.tired or bool(report.tired)
        twice = isinstance(runner, Host) and runner.ready and isinstance(report, Ready)
        if isinstance(runner, Host) and isinstance(report, Ready) and not twice:
            runner.begin_to_wait()
            self.release(runner)
        if runner.kind.host and (twice or not sane(report)):
            runner.kill()
        else:
            self._overseer.runner_reported(runner, report)

    def _give_up(self, runner: Runner, report: Unfit) -> None:
        runner.retire()
        self._overseer.runner_unfit(runner, report.message)

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
        elif runner.kind.host:
            self._overseer.runner_left(runner)

    def _make_room(self, kind: Kind) -> None:
        """Let the longest idle one go when all slots have runners already, and some other kinds have some."""
        present = [runner for runner in self.runners.values() if not runner.retired]
        idle = [runner for runner in present if runner.idle]
        same = [runner for runner in present if runner.kind == kind]
        if idle and (len(same) >= self._boot.slots or len(present) >= self._boot.slots + SPARE):
            min(idle, key=lambda runner: runner.idle_since_s).retire()

    def _dispensable(self) -> list[Runner]:
        """The idle ones, longest idle first, without the one that is kept warm."""
        idle = sorted((r for r in self.runners.values() if r.idle), key=lambda runner: runner.idle_since_s)
        favourites = [runner for runner in idle if runner.kind == self.favourite]
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


def _begun(runner: Runner) -> bool:
    """Whether it can be given tasks, or could be."""
    return runner.acknowledged and getattr(runner, "ready", True)


def _has_stopped(pid: int) -> bool:
    """Whether this child was stopped since the last look; one that has ended was not."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None
    except ChildProcessError:
        return False


def _await_end(runner: Runner) -> None:
    try:
        runner.process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        runner.kill()
        runner.process.wait()
