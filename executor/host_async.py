"""A host of async functions: many calls beside each other, in one event loop in the main thread.

What a call writes to sys.stdout and sys.stderr, by print, logging, warnings or a traceback, is told to be its own by a
context variable, which the tasks and threads it starts inherit. What goes straight to the descriptors (C code, child
processes) cannot be told apart. Native functions block; they run in threads, and are asked to end, not interrupted.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..client.context import entered
from ..client.flow import Cancelled
from ..proto.plain import to_json
from .brood import Brood
from .gatherer import Gatherer
from .host import CLOCK, Code, Wear, context_of, warn_anew
from .host_messages import Call, Cancel, Ended, Progress, Ready, Wrote
from .outcome import RETURNED, Outcome, raised, returned
from .throttle import EVERY_S, progress_of

if TYPE_CHECKING:
    from .found import Function
    from .upward import Port

THREADS = 64
"""Native calls that block at the same time."""
HOME = "/"
UMASK = 0o022


class Running:
    """A call that runs."""

    def __init__(self, call: Call, gatherer: Gatherer) -> None:
        self.call = call
        self.task: asyncio.Task[None] | None = None
        self.begun = self.stopped = False
        """A task that is cancelled before it has begun never runs, and could not report."""
        self.below: set[asyncio.Task[Any]] = set()
        """What it started beside itself."""
        self.aside: set[Future[Any]] = set()
        """What it has run in threads and has not ended."""
        self.over = False
        self._gatherer = gatherer
        self._newest: Progress | None = None
        self._timer: asyncio.TimerHandle | None = None

    def write(self, stream: int, text: str) -> None:
        """It has written this. After its end nobody wants to know."""
        if not self.over and text:
            self._gatherer.put(Wrote(self.call.attempt_id, stream, text))

    def report(self, done: float, total: float | None, text: str) -> None:
        """It says how far it is, from any thread: the newest at most every quarter of a second."""
        self._newest = progress_of(self.call.attempt_id, done, total, text)
        if self.task and self._timer is None:
            self.task.get_loop().call_soon_threadsafe(self._pass_on)

    def end(self) -> None:
        """It has ended: tell what was not told yet, and end what it left behind."""
        if self._timer:
            self._timer.cancel()
        self._tell()
        self.over = True
        for task in list(self.below):
            task.cancel()

    @property
    def left_threads(self) -> bool:
        """Whether a thread goes on with what it was given; what had not begun was taken back with its task."""
        return any(not work.done() for work in list(self.aside))

    def _pass_on(self) -> None:
        if self._timer is None and self.task and not self.over:
            self._tell()
            self._timer = self.task.get_loop().call_later(EVERY_S, self._next)

    def _next(self) -> None:
        self._timer = None
        if self._newest:
            self._pass_on()

    def _tell(self) -> None:
        newest, self._newest = self._newest, None
        if newest and not self.over:
            self._gatherer.put(newest)


_ENDED = Cancelled("the task is being ended")
_RUNNING: ContextVar[Running | None] = ContextVar("tsched_running", default=None)


class Threads(ThreadPoolExecutor):
    """Where asyncio.to_thread and the like go: it is known which call they belong to."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it in a thread."""
        work = super().submit(function, *args, **kwargs)
        if running := _RUNNING.get():
            running.aside.add(work)
            work.add_done_callback(running.aside.discard)
        return work


class Bytes(io.RawIOBase):
    """What sys.stdout.buffer is: bytes that are the call's too."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Where C code would write."""
        return self._writer.fileno()

    def close(self) -> None:
        """It stays open: other calls write to it as well."""

    def write(self, data: Any) -> int:
        """Never in parts."""
        self._writer.write(bytes(data).decode("utf-8", "surrogateescape"))
        return len(data)


class Writer(io.TextIOBase):
    """What sys.stdout or sys.stderr is: what a call writes is its own; what nobody's call writes goes to the pipe."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self.buffer = Bytes(self)

    encoding = "utf-8"
    errors = "surrogateescape"
    line_buffering = True

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Where C code would write."""
        return self._stream

    def reconfigure(self, **_: Any) -> None:
        """What is written leaves at once as it is."""

    def close(self) -> None:
        """It stays open: other calls write to it as well."""

    def write(self, text: str) -> int:
        """Write it; how much, in characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        running = _RUNNING.get()
        if running:
            running.write(self._stream, text)
        else:
            os.write(self._stream, text.encode("utf-8", "surrogateescape"))
        return len(text)


class AsyncHost:
    """Runs calls beside each other until the executor closes the socket."""

    def __init__(self, port: Port, code: Code) -> None:
        self._port = port
        self._code = code
        self._wear = Wear()
        self._gatherer = Gatherer(port)
        self._running: dict[int, Running] = {}
        self._let_go: asyncio.Future[None]
        self._threads = ThreadPoolExecutor(THREADS, "tsched-native")
        sys.stdout, sys.stderr = Writer(1), Writer(2)
        os.chdir(HOME)
        os.umask(UMASK)

    def serve(self) -> None:
        """Raises EOFError when the executor lets go, OSError when a call has cut us off from it."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads(thread_name_prefix="asyncio"))
        loop.set_task_factory(_task_of)  # type: ignore[arg-type]  # what it passes on is as the factory takes it
        self._let_go = loop.create_future()
        self._gatherer.attach(loop)
        loop.add_reader(self._port.sock, self._read)
        self._port.send(Ready())
        for order in iter(self._waiting, None):
            self._obey(order)
        await self._let_go

    def _waiting(self) -> Any:
        return self._port.inbox.popleft() if self._port.inbox else None

    def _read(self) -> None:
        try:
            self._port.read()
        except (OSError, EOFError) as error:
            asyncio.get_running_loop().remove_reader(self._port.sock)
            self._let_go.set_exception(error)
            return
        for order in iter(self._waiting, None):
            self._obey(order)

    def _obey(self, order: Any) -> None:
        if isinstance(order, Call):
            self._begin(order)
        elif isinstance(order, Cancel) and (running := self._running.get(order.attempt_id)):
            running.stopped = True
            if running.task and running.begun:
                running.task.cancel()

    def _begin(self, call: Call) -> None:
        running = self._running[call.attempt_id] = Running(call, self._gatherer)
        context = contextvars.copy_context()
        context.run(_RUNNING.set, running)
        work = asyncio.Task(
            self._see_through(running), loop=asyncio.get_running_loop(), name=call.function, context=context
        )
        running.task = work

    async def _see_through(self, running: Running) -> None:
        call = running.call
        running.begun = True
        warn_anew()
        began_at_us, began_us = CLOCK.now_us(), CLOCK.mono_us()
        outcome = raised(_ENDED) if running.stopped else await self._outcome(running, began_at_us)
        at_us, mono_us = CLOCK.now_us(), CLOCK.mono_us()
        running.end()
        del self._running[call.attempt_id]
        leftovers = 0 if self._running else _end_children()
        tired = self._wear.worn() or self._code.failed or running.left_threads
        began = (began_at_us, began_us)
        self._gatherer.put(
            Ended(
                call.attempt_id, *outcome, *began, at_us, mono_us, None, None, leftovers, running.stopped, False, tired
            )
        )

    async def _outcome(self, running: Running, began_at_us: int) -> Outcome:
        call = running.call
        context = context_of(call, began_at_us, running.report, lambda: running.stopped)
        try:
            function = self._code.find(call.function)
            with entered(context):
                value = await self._called(function, call)
            return Outcome(RETURNED, to_json(value)) if function.native else returned(value)
        except asyncio.CancelledError as error:
            return raised(_ENDED if running.stopped else error)
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is its result
            return raised(error)

    async def _called(self, function: Function, call: Call) -> Any:
        if function.native:
            return await self._in_a_thread(function.call, call.args)
        if not function.is_async:  # it has become a sync one meanwhile
            return await self._in_a_thread(function.call, call.args, call.kwargs)
        return await function.call(call.args, call.kwargs)

    async def _in_a_thread(self, function: Any, *args: Any) -> Any:
        """What it returns. A thread cannot be interrupted: a call that is to end has ended when its thread has."""
        work = self._threads.submit(contextvars.copy_context().run, function, *args)
        done = asyncio.wrap_future(work)
        while not done.done():
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError:
                if work.cancel() or self._let_go.done():  # it has not begun, or nobody wants to know
                    raise
        return done.result()


def _task_of(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
    """A task that ends with the call that started it."""
    task = asyncio.Task(work, loop=loop, **more)
    running = _RUNNING.get()
    if running and not running.over:
        running.below.add(task)
        task.add_done_callback(running.below.discard)
    return task


def _end_children() -> int:
    """Nothing runs: end whatever calls have started and left behind; how many had to be killed."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return Brood(0).end()
