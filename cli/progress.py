"""A progress bar on a terminal, and nothing anywhere else.

tqdm draws it: one line, no colours, no hidden cursor, so that there is nothing to restore when we are ended under it.
What is printed meanwhile stands above the bar.
"""

from __future__ import annotations

import io
import math
import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from . import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..proto import api_pb2 as api

    Note = Callable[[bool], None]
    Tell = Callable[[api.TaskProgress], None]

FORMAT = "{n_fmt}/{total_fmt} {bar} {percentage:3.0f}% {elapsed}<{remaining} {rate_noinv_fmt}{postfix}"
OF_TASK = "{percentage:3.0f}% {bar} {n:g}/{total:g} {elapsed}{postfix}"
BARE = "{done} {{elapsed}}{{postfix}}"
"""Of a task that does not say how much there is to do."""
TEXT_COLUMNS = 40
TICK_S = 1.0
"""The clock in the bar goes on while no task ends."""


@contextmanager
def bar(total: int, *, wanted: bool) -> Iterator[Note]:
    """Gives what is to be called for each task that has ended, with whether it failed."""
    if not (wanted and total > 1 and shows()):
        yield lambda _failed: None
        return
    drawn = _drawn(total=total, unit=" tasks", bar_format=FORMAT)
    with _on_screen(drawn):
        yield _noting(drawn)


@contextmanager
def of_task(*, wanted: bool) -> Iterator[Tell | None]:
    """Gives what is to be told how far one task says that it is; None where nobody would see it.

    There is no bar before the task has said something.
    """
    if not (wanted and shows()):
        yield None
        return
    with ExitStack() as stack:
        yield _TaskBar(stack).tell


class _TaskBar:
    """The bar of one task."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._drawn: Any = None

    def tell(self, told: api.TaskProgress) -> None:
        """Draw it as the task says."""
        if self._drawn is None:
            self._drawn = _drawn(unit="")
            self._stack.enter_context(_on_screen(self._drawn))
        progress, drawn = told.progress, self._drawn
        known = progress.HasField("total") and 0 < progress.total < math.inf and math.isfinite(progress.done)
        with drawn.get_lock():
            drawn.total, drawn.n = (progress.total if known else None), (progress.done if known else 0)
            drawn.bar_format = OF_TASK if known else BARE.format(done=f"{progress.done:g}")
            drawn.set_postfix_str(escape.fit(escape.line(progress.text), TEXT_COLUMNS), refresh=False)
            drawn.refresh()


@contextmanager
def _on_screen(drawn: Any) -> Iterator[None]:
    """What is printed stands above the bar, which is drawn anew each second; at the end it stays as it is."""
    stopped = threading.Event()
    threading.Thread(target=_tick, args=(drawn, stopped), name="bar", daemon=True).start()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _above(drawn, before[0]), _above(drawn, before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        stopped.set()
        drawn.close()


def shows() -> bool:
    """Whether stderr is a terminal that can draw over a line."""
    return os.isatty(2) and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _drawn(**options: Any) -> Any:
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own would be one between processes
    tqdm.monitor_interval = 0
    return tqdm(dynamic_ncols=True, smoothing=0.05, **options)


def _tick(drawn: Any, stopped: threading.Event) -> None:
    while not stopped.wait(TICK_S):
        drawn.refresh()


def _noting(drawn: Any) -> Note:
    failures = 0

    def note(failed: bool) -> None:
        nonlocal failures
        if failed:
            failures += 1
            drawn.set_postfix_str(f"{failures} failed", refresh=False)
        drawn.update()

    return note


def _above(drawn: Any, stream: TextIO) -> TextIO:
    return cast("TextIO", _Above(drawn, stream)) if stream.isatty() else stream


class _Above(io.TextIOBase):
    """Writes whole lines where the bar stands, and has it drawn again below them."""

    def __init__(self, drawn: Any, stream: TextIO) -> None:
        self._drawn = drawn
        self._stream = stream
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def write(self, text: str) -> int:
        lines, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            with self._drawn.get_lock():
                self._drawn.clear(nolock=True)
                self._stream.write(lines + newline)
                self._stream.flush()
                self._drawn.refresh(nolock=True)
        return len(text)
