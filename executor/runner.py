"""A runner: a small warm process that runs one task at a time, and answers for everything that task started.

It imports the standard library and psutil only, has one thread, and takes on its profile once, so that whatever it
starts inherits that at no cost per task. It dies with its executor. Its life: Setup, Up, then for each Run either
Refused, or Exited, with Started before it when the task runs on. A function host (host.py) begins its life here too.

    waiting --Run--> running --program ended, or Kill--> ending what is left --nobody left--> waiting
                     running --Term--> stopping: until the program and its process group have ended, or Kill
                     running --Pause--> stands still, until Pause off, Term or Kill
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from ..proto import procs
from ..proto.clock import SystemClock
from ..proto.profiles import Profile
from ..proto.values import EndReason
from . import kernel, limits
from .brood import Brood
from .messages import Beyond, Exited, Kill, Pause, Refused, Run, Setup, Started, Stopping, Term, Unfit, Up
from .pausing import Pausing
from .spawn import SpawnError, spawn
from .upward import READ_BYTES, Port
from .user import User, UserError

if TYPE_CHECKING:
    from .messages import Message, Report

TASKS_PER_RUNNER = 1000
QUICK_MS = 2
"""A task that ends within this time is reported once, at its end."""

CLOCK = SystemClock()


class Ears:
    """What a runner listens to during a task: word from its executor, and the ends of children."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._children = kernel.signal_descriptor(signal.SIGCHLD)
        self._poll = select.poll()
        for fd in (port.sock.fileno(), self._children):
            self._poll.register(fd, select.POLLIN)

    def listen(self, timeout_ms: int | None) -> None:
        """Wait for something to happen; orders are in the port's inbox then. Raises EOFError."""
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self._children:
                os.read(fd, READ_BYTES)
            else:
                self._port.read()


class Task:
    """One task, from its first process to its last."""

    def __init__(self, port: Port, ears: Ears, started: Started) -> None:
        self.id = started.attempt_id
        self.port = port
        self.ears = ears
        self.brood = Brood(started.pid)
        self.stopped = self.killed = False
        self.ended: tuple[int, int] | None = None
        self.pausing = Pausing(started, CLOCK, self._send)
        self._started = started
        self._told = False

    def see_through(self, *, tired: bool) -> None:
        """Wait for the end of the program, end what it left behind, report."""
        self._wait(QUICK_MS)
        if not self._over:
            self._send()
        while not self._over:
            self._wait(self.pausing.patience_ms)
        leftovers = self.brood.end(lambda: self._send(Beyond(self.id)))
        self.port.send(self._exited(0 if self.killed else leftovers, tired=tired))

    @property
    def _over(self) -> bool:
        if self.killed:
            return True
        return self.brood.returncode is not None and not (self.stopped and self.brood.group_alive)

    def _wait(self, timeout_ms: int | None) -> None:
        if not self.port.inbox:
            self.ears.listen(timeout_ms)
        while self.port.inbox:
            self._obey(self.port.inbox.popleft())
        self._reap()
        self.pausing.step()

    def _obey(self, order: Message) -> None:
        self._reap()
        too_late = self.ended and not self.stopped
        if not isinstance(order, Term | Kill | Pause) or order.attempt_id != self.id or too_late:
            return
        if isinstance(order, Pause):
            self.pausing.turn(on=order.on and not self.stopped)
        else:
            self._stop(kill=isinstance(order, Kill))

    def _stop(self, *, kill: bool) -> None:
        """End it: at once, standing still or not, or by itself, for which it has to run."""
        self.stopped = True
        self._send(Stopping(self.id))
        if kill:
            self.killed = True
        else:
            self.brood.terminate()
            self.pausing.wake()

    def _reap(self) -> None:
        self.brood.reap()
        if self.brood.returncode is not None and not self.ended:
            self.ended = (CLOCK.now_us(), CLOCK.mono_us())

    def _exited(self, leftovers: int, *, tired: bool) -> Exited:
        self._reap()
        at_us, mono_us = self.ended or (CLOCK.now_us(), CLOCK.mono_us())
        code = self.brood.returncode if self.brood.returncode is not None else -int(signal.SIGKILL)
        cpu_s, peak_bytes = round(self.brood.cpu_s, 6), self.brood.peak_bytes
        began = (self._started.pid, self._started.at_us, self._started.mono_us)
        return Exited(self.id, *began, code, at_us, mono_us, cpu_s, peak_bytes, leftovers, self.stopped, tired)

    def _send(self, *reports: Report) -> None:
        """Report this; before anything else, that it runs."""
        if not self._told:
            self._told = True
            ticks = procs.start_ticks(self._started.pid) or 0
            reports = (self._started._replace(start_ticks=ticks), *reports)
        self.port.send(*reports)


def start(order: Run, descriptors: list[int]) -> Started:
    """Start the program; when exactly, in ticks, is left open. Raises SpawnError."""
    at_us, mono_us = CLOCK.now_us(), CLOCK.mono_us()
    pid = spawn(order, *descriptors)
    return Started(order.attempt_id, pid, 0, at_us, mono_us)


class Service:
    """Takes orders until the executor closes the socket."""

    def __init__(self, port: Port, profile: Profile, user: User | None = None) -> None:
        self.port = port
        self.user = user
        self.ears = Ears(port)
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.cpu_limit_s = profile.limits.get("cpu_s")
        self.tasks = 0

    def serve(self) -> None:
        """Run tasks, one after the other. Orders about a task that has ended are too late: its end is on the way."""
        while True:
            order = self.port.next()
            if isinstance(order, Run):
                self._run(order)

    def _run(self, order: Run) -> None:
        self.tasks += 1
        descriptors = [self.port.descriptors.popleft() for _ in range(2 + order.stdin)]
        try:
            order = self._for_user(order)
            started = start(order, descriptors if order.stdin else [self.null, *descriptors])
        except SpawnError as error:
            refusal = Refused(order.attempt_id, error.reason, error.message, error.exit_code, CLOCK.now_us())
            self.port.send(refusal)
            return
        finally:
            for fd in descriptors:
                os.close(fd)
        Task(self.port, self.ears, started).see_through(tired=self._tired)

    def _for_user(self, order: Run) -> Run:
        """The order as it is for the user, who may have gone since the last one. Raises SpawnError."""
        if self.user is None:
            return order
        try:
            User.of_uid(self.user.uid)
        except UserError as error:
            raise SpawnError(EndReason.USER_UNUSABLE, str(error)) from None
        return order._replace(env=self.user.environment(order.env))

    @property
    def _tired(self) -> bool:
        """Whether a fresh runner would be better.

        This one's own processor time runs against the limit of its tasks; and it has the groups that its user had.
        """
        if self.user is not None and not self.user.unchanged:
            return True
        spent = self.cpu_limit_s is not None and 2 * time.process_time() > self.cpu_limit_s
        return spent or self.tasks >= TASKS_PER_RUNNER


def set_up(setup: Setup) -> tuple[Up, User | None]:
    """Become what the executor asked for, and say which mark everything below will carry. Raises UserError."""
    kernel.die_with(setup.executor_pid)
    kernel.become_subreaper()
    kernel.reset_signals()
    user = None if setup.uid is None else User.of_uid(setup.uid)
    namespace = _own_namespace()
    notes = limits.apply(Profile.of_dict(setup.profile))
    if user is not None:
        user.become()
        kernel.die_with(setup.executor_pid)  # the change of user has undone it
    return Up(os.getpid(), procs.start_ticks(os.getpid()) or 0, namespace or 0, notes), user


def become(program: list[str], sock: socket.socket) -> None:
    """Go on as a function host, in the interpreter of its source; ends this process when that cannot be started."""
    sock.set_inheritable(True)
    try:
        os.execvp(program[0], [*program, str(sock.fileno())])  # noqa: S606 - what is to be run is in the configuration
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}")


def _let_go_of_log() -> None:
    """What is said here from now on is said by somebody else's process: it has no place in the service's log."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 2)
    os.close(null)


def _own_namespace() -> int | None:
    """Enter a mount namespace of our own, where the kernel gives them ids by which to find them for certain."""
    has_ids = procs.mount_namespace(os.getpid()) is not None
    return procs.mount_namespace(os.getpid()) if has_ids and kernel.enter_mount_namespace() else None


def main() -> None:
    """Serve the executor at the socket whose descriptor is the only argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    port = Port(sock)
    try:
        setup = port.next()
        assert isinstance(setup, Setup), setup  # noqa: S101 - ours on both ends
        try:
            up, user = set_up(setup)
        except UserError as error:
            port.send(Unfit(str(error)))
            return
        port.send(up)
        if setup.host:
            become(setup.host, sock)
        if user is not None:
            _let_go_of_log()
        Service(port, Profile.of_dict(setup.profile), user).serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main()
