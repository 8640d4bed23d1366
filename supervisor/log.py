"""The service's log: structlog JSON lines on the real stderr; on a terminal it prints for people.

Everything that reaches the process's stderr (gRPC's own lines, the interpreter's) goes through a pipe into the same
log, and so does the stderr of the executors. No line ever holds a command's text or a secret.
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
from typing import Any, TextIO, cast

import structlog

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

    def flush(self) -> None:
        """Nothing waits."""


def setup(level: str) -> Outlet:
    """Log from `level` on to what is stderr now, which is returned."""
    real = Outlet()
    pretty = os.isatty(real.fileno())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_endings(pretty=pretty),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", real)),
        cache_logger_on_first_use=True,
    )
    faulthandler.enable(file=real.fileno())
    sys.excepthook = _log_uncaught
    return real


def _endings(*, pretty: bool) -> list[Any]:
    if pretty:
        # The default shows the values of local variables, where rich is installed: commands and secrets among them.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    get().critical("uncaught", exc_info=(kind, error, trace))


def get(**bound: Any) -> Any:
    """A logger with these values bound."""
    return structlog.get_logger(**bound)


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

    def close(self) -> None:
        """Hand over what is left and close the pipe."""
        if self._descriptor < 0:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._give(self._rest)


def capture_stderr() -> Callable[[], None]:
    """Turn what this process writes to fd 2 into log lines. Returns what undoes it.

    A thread reads it: whoever fills the pipe waits for room in it, and that may be the event loop.
    """
    saved = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    reader = threading.Thread(target=_log_lines, args=(reading,), name="stderr", daemon=True)
    reader.start()

    def release() -> None:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
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
