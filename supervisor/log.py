"""The service's log: JSON lines on the real stderr and in files; on a terminal stderr is for people.

Everything that reaches the process's stderr (gRPC's own lines, the interpreter's) goes through a pipe into the same
log, and so does the stderr of the executors. No line ever holds a command's text or a secret.

A step of a single task is a line of level debug (`step`): at a thousand tasks a second anything else would be dear. An
attempt that did not succeed is a line of level info.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from ..proto.clock import SECOND_US, Clock, SystemClock
from .log_files import LogFiles

LINE_LIMIT = 4096
READ_SIZE = 65_536
RELEASE_S = 2.0


class Outlet:
    """What is stderr now, reachable also when fd 2 is captured. What it does not take is gone: no work fails of it."""

    def __init__(self) -> None:
        self._descriptor = os.dup(2)

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def write(self, text: str) -> None:
        """Write a line, if the disk has room for it and the reader of the pipe is still there."""
        with suppress(OSError):
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))


def _colours() -> bool:
    """Whether a terminal shows colours and nobody asked for none (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")


class Lines:
    """Where each line goes: to the files where there are some, and to stderr."""

    def __init__(self, real: Outlet) -> None:
        self._real = real
        self._pretty = structlog.dev.ConsoleRenderer(
            colors=_colours(), exception_formatter=structlog.dev.plain_traceback
        )
        self._for_people = os.isatty(real.fileno())
        self._plain = structlog.processors.JSONRenderer()
        self.files: LogFiles | None = None
        self.quiet = False
        """Whether stderr gets only what no file took, and what ends the service."""

    def put(self, line: dict[str, Any]) -> None:
        """Write a line, its values still apart."""
        text = str(self._plain(None, "", line))
        kept = self.files is not None and self.files.write(text, line["timestamp"][:10])
        if not (self.quiet and kept) or line["level"] == "critical":
            # The renderer for people takes the dictionary to pieces.
            self._real.write(f"{self._pretty(None, '', line) if self._for_people else text}\n")

    def trouble(self, wrong: str) -> None:
        """Say once on stderr that the files take nothing, and that they do again."""
        event = {"event": "log_files_failed", "error": wrong} if wrong else {"event": "log_files_work_again"}
        line = _stamped(None, "", {**event, "level": "error" if wrong else "info"})
        self._real.write(f"{self._plain(None, '', line)!s}\n")

    debug = info = warning = error = critical = put


_clock: Clock = SystemClock()
_steps = False


def setup(level: str, clock: Clock | None = None) -> Lines:
    """Log from `level` on to what is stderr now, which is returned."""
    global _clock, _steps
    _clock, _steps = clock or _clock, level == "debug"
    real = Outlet()
    lines = Lines(real)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamped,
            # Not the default one: that shows the values of local variables, commands and secrets among them.
            structlog.processors.format_exc_info,
            lambda _logger, _method, line: ((line,), {}),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    faulthandler.enable(file=real.fileno())
    sys.excepthook = _log_uncaught
    return lines


def _stamped(_logger: Any, _method: str, line: Any) -> Any:
    now_us = _clock.now_us()
    instant = datetime.fromtimestamp(now_us // SECOND_US, UTC).replace(microsecond=now_us % SECOND_US, tzinfo=None)
    line["timestamp"] = f"{instant.isoformat(timespec='microseconds')}Z"
    return line


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    get().critical("uncaught", exc_info=(kind, error, trace))


def get(**bound: Any) -> Any:
    """A logger with these values bound."""
    return structlog.get_logger(**bound)


def ready() -> Any:
    """A logger also where nothing was set up yet."""
    if not structlog.is_configured():
        setup("info")
    return get()


def tells_steps() -> bool:
    """Whether somebody asked for level debug."""
    return _steps


def step(event: str, **values: Any) -> None:
    """Log one step of a task's way; costs nothing where nobody asked for level debug."""
    if _steps:
        get().debug(event, **values)


class LineReader:
    """Reads a pipe on the event loop and hands over its lines; ends by itself at the end of the pipe."""

    def __init__(self, descriptor: int, take: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._take = take
        self._rest = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._give(line)

    def _give(self, line: bytes) -> None:
        if line.strip():
            self._take(line[:LINE_LIMIT].decode("utf-8", "backslashreplace"))

    def detach(self) -> int:
        """Read no more; the pipe is for somebody else to read. Below zero when it has ended."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            asyncio.get_running_loop().remove_reader(descriptor)
            self._give(self._rest)
        return descriptor

    def close(self) -> None:
        """Hand over what is left and close the pipe."""
        if self._descriptor < 0:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._give(self._rest)


def capture_stderr() -> Callable[[], None]:
    """Turn what this process writes to fd 2 into log lines. Returns what undoes it, harmless when repeated.

    A thread reads it: whoever fills the pipe waits for room in it, and that may be the event loop.
    """
    saved = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    reader = threading.Thread(target=_log_lines, args=(reading,), name="stderr", daemon=True)
    reader.start()

    def release() -> None:
        nonlocal saved
        if saved >= 0:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            saved = -1
            reader.join(RELEASE_S)

    return release


def _log_lines(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as pipe:
        while line := pipe.readline(LINE_LIMIT):
            if line.strip():
                get().warning("stderr", text=line.rstrip(b"\n").decode("utf-8", "backslashreplace"))


def level(word: str) -> int:
    """The number of a level's name; an unknown one is a warning."""
    known = {"debug": logging.DEBUG, "info": logging.INFO, "error": logging.ERROR}
    return known.get(word, logging.WARNING)
