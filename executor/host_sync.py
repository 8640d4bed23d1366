"""A host of sync functions: one call at a time, in the main thread, with nothing of it left before the next one begins.

Calls come through a socket of their own, each a packet, so that the executor can send some ahead and take back, for
certain, those that were not begun: a packet is read here or there. What a call writes goes into two pipes that are kept
over all calls; while something is in them after a call, the next one waits until it has been read.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal without its enums, which cost ten times as much
import _thread
import array
import contextlib
import fcntl
import marshal
import os
import resource
import signal
import socket
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any

from ..client.context import entered
from ..client.flow import Cancelled
from ..proto.plain import to_json
from .brood import Brood
from .host import CLOCK, Code, Wear, context_of, warn_anew
from .host_messages import Call, Ended, GoOn, Ready
from .outcome import RETURNED, Outcome, raised, returned
from .throttle import Throttle
from .upward import DESCRIPTORS_BYTES, Port

if TYPE_CHECKING:
    from collections.abc import Callable

    from .found import Function

HOME = "/"
UMASK = 0o022
PACKET_BYTES = 64 * 1024
ID_BYTES = 8
HIGH = 100
"""Our own descriptors lie out of the way of those who close the first few."""
_HANDLED = [signal.Signals[f"SIG{name}"] for name in ("TERM", "INT", "ALRM", "CHLD", "HUP", "USR1", "USR2")]
_KIB = 1024


class Surroundings:
    """What a call may change of its process, and the next one finds as it was."""

    def __init__(self, on_term: Callable[..., None]) -> None:
        self._on_term = on_term
        self._kept = [_aside(fd) for fd in range(3)]
        self._waiting = array.array("i", [0])
        self.outputs = (sys.stdout, sys.stderr)
        for stream in self.outputs:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.chdir(HOME)
        os.umask(UMASK)
        self.settle()

    def settle(self) -> None:
        """The code is loaded: what it has set up is as it should be. Asking a call to end stays ours."""
        signal.signal(signal.SIGTERM, self._on_term)
        self._handlers = _handlers()
        self._known = set(threading.enumerate())
        self._threads = _thread._count()  # noqa: SLF001 - threading.enumerate costs ten times as much

    def flush(self) -> None:
        """Let everything that was printed reach its descriptor."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()

    def restore(self) -> bool:
        """Put everything back; False when something cannot be. Raises OSError when the way to the executor is gone."""
        for number, fd in enumerate(self._kept):
            os.dup2(fd, number)
        os.umask(UMASK)
        os.chdir(HOME)
        signal.alarm(0)
        warn_anew()
        whole = not any(stream.closed for stream in self.outputs)
        sys.stdout, sys.stderr = self.outputs
        return whole and _handlers() == self._handlers and not self._threads_left()

    def written(self) -> bool:
        """Whether something that was written is still to be read."""
        for fd in self._kept[1:]:
            fcntl.ioctl(fd, termios.FIONREAD, self._waiting)
            if self._waiting[0]:
                return True
        return False

    def _threads_left(self) -> bool:
        """Whether threads go on that the next call should not have beside it. Daemons of libraries may."""
        if _thread._count() <= self._threads:  # noqa: SLF001 - see above
            return False
        return any(not thread.daemon for thread in threading.enumerate() if thread not in self._known)


class SyncHost:
    """Runs calls, one after the other, until the executor closes a socket."""

    def __init__(self, port: Port, calls: socket.socket, code: Code) -> None:
        self._port = port
        self._calls = calls
        self._code = code
        self._pid = os.getpid()
        self._wear = Wear()
        self._throttle = Throttle(port.send)
        self._inside = False
        self._stopped = False
        self._peak_kib = 0
        self._spent_s = 0.0
        self._settled = False
        self._surroundings = Surroundings(self._asked_to_end)
        self._usage()

    def serve(self) -> None:
        """Raises EOFError when the executor lets go, OSError when a call has cut us off from it."""
        self._port.send(Ready())
        while not self._run(self._next()):
            pass
        while True:
            self._port.next()

    def _next(self) -> Call:
        packet, ancillary, _, _ = self._calls.recvmsg(PACKET_BYTES, DESCRIPTORS_BYTES, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            raise EOFError
        values = packet[ID_BYTES:]
        if ancillary:
            with os.fdopen(array.array("i", ancillary[0][2])[0], "rb") as file:
                values = file.read()
        return Call(*marshal.loads(values))  # noqa: S302 - the executor's own

    def _run(self, call: Call) -> bool:
        """Run it and report; True when this host should be replaced."""
        self._stopped = False
        self._throttle.begin(call.attempt_id)
        began_at_us, began_us = CLOCK.now_us(), CLOCK.mono_us()
        outcome = self._outcome(call, began_at_us)
        at_us, mono_us = CLOCK.now_us(), CLOCK.mono_us()
        leftovers = _end_children()
        cpu_s, peak_bytes = self._usage()
        self._surroundings.flush()
        tired = not self._surroundings.restore() or self._wear.worn(peak_bytes) or self._code.failed or leftovers > 0
        writes = self._surroundings.written()
        times = (began_at_us, began_us, at_us, mono_us)
        spent = (cpu_s, peak_bytes, leftovers)
        ended = Ended(call.attempt_id, *outcome, *times, *spent, self._stopped, writes, tired)
        self._port.send(*self._throttle.rest(), ended)
        if writes and not tired:
            self._wait_for_the_reader()
        return tired

    def _outcome(self, call: Call, began_at_us: int) -> Outcome:
        try:
            context = context_of(call, began_at_us, self._throttle.report, lambda: self._stopped)
            try:
                self._inside = True
                function = self._find(call.function)
                self._inside = not function.native  # that one asks: what is raised while C calls back would be lost
                with entered(context):
                    value = _called(function, call)
            finally:
                self._inside = False
                self._leave_if_forked()
            outcome = Outcome(RETURNED, to_json(value)) if function.native else returned(value)
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is its result
            self._inside = False
            outcome = raised(error)
        return outcome

    def _find(self, name: str) -> Function:
        function = self._code.find(name)
        if not self._settled:
            self._settled = True
            self._surroundings.settle()
        return function

    def _leave_if_forked(self) -> None:
        """A child that the function forked, and let come back here, has no business here."""
        if os.getpid() != self._pid:
            self._surroundings.flush()
            os._exit(1 if sys.exc_info()[0] else 0)

    def _usage(self) -> tuple[float, int | None]:
        """Processor time since the last call, with that of children; the peak of memory, if it is a new one."""
        own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        spent_s = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
        used_s, self._spent_s = spent_s - self._spent_s, spent_s
        if own.ru_maxrss <= self._peak_kib:
            return round(used_s, 6), None
        self._peak_kib = own.ru_maxrss
        return round(used_s, 6), own.ru_maxrss * _KIB

    def _wait_for_the_reader(self) -> None:
        while not isinstance(self._port.next(), GoOn):
            pass

    def _asked_to_end(self, *_: Any) -> None:
        """SIGTERM: the call shall end; between calls it is too late."""
        self._stopped = True
        if self._inside:
            self._inside = False
            raise Cancelled("the task is being ended")


def _called(function: Function, call: Call) -> Any:
    if function.native:
        return function.call(call.args)
    value = function.call(call.args, call.kwargs)
    if not function.is_async:
        return value
    import asyncio  # noqa: PLC0415 - dear to load, and needed only where a function has become async meanwhile

    return asyncio.run(value)


def _end_children() -> int:
    """End whatever the call has started and left behind; how many had to be killed."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return Brood(0).end()


def _handlers() -> list[Any]:
    return [_signal.getsignal(number) for number in _HANDLED]


def _aside(fd: int) -> int:
    """A copy out of the way."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except OSError:  # the profile allows few descriptors
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
