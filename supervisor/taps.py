"""Taps: a foreground `run` gets every byte of its task, also those that are not kept, and alone may slow it.

What is under the output cap comes from the store like everybody's; what is over it passes through here. An executor
sends no more than its window before it is acknowledged, and a passing chunk is acknowledged when its reader took it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..proto import link_pb2
from .news import Bell


class Tap:
    """The passing chunks of one task, for one reader."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._waiting: deque[tuple[link_pb2.Chunk, Callable[[], None]]] = deque()

    def give(self, chunk: link_pb2.Chunk, acknowledge: Callable[[], None]) -> None:
        """Pass a chunk on; `acknowledge` is called when the reader has taken it."""
        self._waiting.append((chunk, acknowledge))
        self._bell.ring("")

    @property
    def number(self) -> int | None:
        """The number of the next passing chunk, or None when none is here now."""
        return self._waiting[0][0].number if self._waiting else None

    def take(self) -> link_pb2.Chunk:
        """Take the next passing chunk, which must be here."""
        chunk, acknowledge = self._waiting.popleft()
        acknowledge()
        return chunk

    def drain(self) -> None:
        """Acknowledge what nobody will read any more."""
        while self._waiting:
            self.take()


class Taps:
    """The taps that are open, by task id."""

    def __init__(self) -> None:
        self._open: dict[str, Tap] = {}

    def open(self, task_id: str, bell: Bell) -> Tap:
        """Open a tap on a task. A later one on the same task takes its place."""
        self.close(task_id)
        tap = self._open[task_id] = Tap(bell)
        return tap

    def close(self, task_id: str, tap: Tap | None = None) -> bool:
        """Close the task's tap, or only this one if given. Whether none is open any more."""
        current = self._open.get(task_id)
        if tap is not None and current is not tap:
            tap.drain()
            return current is None
        if current is not None:
            del self._open[task_id]
            current.drain()
        return True

    def get(self, task_id: str) -> Tap | None:
        """The open tap on a task."""
        return self._open.get(task_id)
