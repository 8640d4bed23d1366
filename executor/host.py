"""A function host: the process in which functions run, in the interpreter of their source. Only the standard library.

It was a runner first (runner.py): it dies with its executor, everything below it falls to it, and it has its mark, its
limits and its descriptors 1 and 2, two pipes, from there. Its life: Open, Ready, then calls, each answered by Ended.
The source's code is loaded with the first call, so that what it prints and how long it takes are that call's.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import socket
import sys
import warnings
from typing import TYPE_CHECKING, Any

from ..client.context import Context
from ..proto.clock import SystemClock
from . import kernel
from .found import Function, SourceError
from .host_messages import Call, Loaded, Open
from .outcome import NoFunctionError
from .upward import Port, SharedPort
from .verdict import EXIT_CUT_OFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sources import Functions

CALLS_PER_HOST = 20_000
CALLS_PER_LOOK = 64
GROWTH_BYTES = 256 * 1024 * 1024
"""A host that holds so much more than after its first call has a leak, perhaps; a fresh one holds less."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

CLOCK = SystemClock()


class Code:
    """The functions of the source, loaded when the first is asked for."""

    def __init__(self, source: dict[str, Any], port: Port) -> None:
        self._source = source
        self._port = port
        self._functions: Functions | None = None
        self._error = ""

    @property
    def failed(self) -> bool:
        """Whether it could not be loaded: somebody else may try again."""
        return bool(self._error)

    def find(self, name: str) -> Function:
        """The function. Raises SourceError, NoFunctionError."""
        if self._functions is None:
            self._functions = self._load()
        function = self._functions.get(name)
        if function is None and self._functions.problem:
            raise SourceError(self._functions.problem)
        if function is None:
            raise NoFunctionError(f"{self._source['name']} has no function {name} any more")
        return function

    def _load(self) -> Functions:
        from .sources import load  # noqa: PLC0415 - it is part of loading

        if self._error:
            raise SourceError(self._error)
        try:
            functions = load(self._source)
        except SourceError as error:
            self._error = str(error)
            raise
        self._port.send(Loaded())
        return functions


class Wear:
    """What a host has been through, and whether a fresh one should take its place."""

    def __init__(self) -> None:
        self.calls = 0
        self._at_first = 0

    def worn(self, peak_bytes: int | None = None) -> bool:
        """One more call has ended. `peak_bytes`: it took more memory than any before it, which it may hold still."""
        self.calls += 1
        if self.calls == 1:
            self._at_first = resident_bytes()
        if self.calls % CALLS_PER_LOOK and peak_bytes is None:
            return False
        return self.calls >= CALLS_PER_HOST or resident_bytes() - self._at_first > GROWTH_BYTES


def warn_anew() -> None:
    """Let what was warned of be warned of again: Python remembers it per process, and a call's output is its own."""
    with warnings.catch_warnings():  # going into it and out of it is what makes modules forget
        pass


def resident_bytes() -> int:
    """The memory that this process holds."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def context_of(
    call: Call,
    began_at_us: int,
    report: Callable[[float, float | None, str], None],
    cancelled: Callable[[], bool],
) -> Context:
    """What the function may know."""
    deadline_us = None if call.timeout_us is None else began_at_us + call.timeout_us
    return Context(
        call.task_id, call.number, call.max_attempts, call.function, call.queue, deadline_us, report, cancelled
    )


def serve(port: Port) -> None:
    """Be the host that the executor asks for, until it lets go."""
    kernel.reset_signals()
    faulthandler.enable(2, all_threads=False)
    order = port.next()
    assert isinstance(order, Open), order  # noqa: S101 - the executor's first word
    calls = socket.socket(fileno=port.descriptors.popleft())
    code = Code(order.source, port)
    if order.shared:
        from .host_async import AsyncHost  # noqa: PLC0415 - sync hosts do without asyncio

        AsyncHost(port, code).serve()
    else:
        from .host_sync import SyncHost  # noqa: PLC0415 - see above

        SyncHost(port, calls, code).serve()


def leave(code: int) -> None:
    """End, whatever threads the functions have left behind; what they have registered for the end is done."""
    with contextlib.suppress(BaseException):
        if code == 0:
            atexit._run_exitfuncs()  # noqa: SLF001 - what sys.exit does, without waiting for threads
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code)


def main(words: list[str]) -> None:
    """Serve the executor at the socket whose descriptor is the only argument. Does not return."""
    pid = os.getpid()
    sock = socket.socket(fileno=int(words[0]))
    sock.set_inheritable(False)
    code = 0
    try:
        serve(SharedPort(sock))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        code = 0
    except OSError:
        code = EXIT_CUT_OFF
    leave(code if os.getpid() == pid else 1)
