"""The two pipes of an attempt, read as the task writes.

Pipes are made here, their write ends go to the runner and on to the program. Reading stops while `pause`d. An end of
file is no end of a task, nor the other way round: a child left in the background may hold a pipe for ever. So after the
task's end everything is read that is there, and after that the pipes are given up within `DRAIN_S`.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from .output import STREAMS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PIPE_BYTES = 256 * 1024
FIRST_PIPE_BYTES = 64 * 1024
DRAIN_S = 0.2
MOST_DRAINED_BYTES = 8 * 1024 * 1024
"""No task's own pipe holds so much: somebody else writes on."""


class Capture:
    """Reads both streams into `sink(stream, data)`. Raises OSError when there is no descriptor left.

    `uid`: whose the pipes are; only theirs may be opened again as /dev/stdout and /dev/stderr.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sink: Callable[[int, bytes], None], uid: int | None = None
    ) -> None:
        self._loop = loop
        self._sink = sink
        self._readers: dict[int, int] = {}
        self._watched: set[int] = set()
        self._large: set[int] = set()
        self._writers: list[int] = []
        self._drained: Callable[[], None] | None = None
        self._give_up: asyncio.TimerHandle | None = None
        try:
            for stream in STREAMS:
                self._open(stream)
            hand_over(self._writers, uid)
        except OSError:
            self.close()
            raise

    def take_writers(self) -> list[int]:
        """The ends to write to; whoever takes them closes them."""
        writers, self._writers = self._writers, []
        return writers

    def resume(self) -> None:
        """Read from now on."""
        for stream, reader in self._readers.items():
            if stream not in self._watched:
                self._watched.add(stream)
                self._loop.add_reader(reader, self._read, stream)

    def pause(self) -> None:
        """Leave what the task writes in the pipes, until `resume`."""
        for stream in self._watched:
            self._loop.remove_reader(self._readers[stream])
        self._watched.clear()

    def drain(self, drained: Callable[[], None]) -> None:
        """The task has ended: read what is left, paused or not, close the pipes, then call `drained`."""
        self._drained = drained
        for stream in list(self._readers):
            self._read_all(stream)
        if not self._readers:
            self._finish()
            return
        self._give_up = self._loop.call_later(DRAIN_S, self._finish)
        self.resume()

    def close(self) -> None:
        """Give up the pipes."""
        self.pause()
        for reader in self._readers.values():
            os.close(reader)
        self._readers.clear()
        for writer in self.take_writers():
            os.close(writer)

    def _open(self, stream: int) -> None:
        self._readers[stream], writer = os.pipe2(os.O_CLOEXEC)
        self._writers.append(writer)
        os.set_blocking(self._readers[stream], False)

    def _read(self, stream: int) -> None:
        if not self._read_some(stream) and not self._readers and self._drained:
            self._finish()

    def _read_all(self, stream: int) -> None:
        total = 0
        while (count := self._read_some(stream)) and total < MOST_DRAINED_BYTES:
            total += count

    def _read_some(self, stream: int) -> int:
        """Pass on what is there, at most a pipe full; returns how much."""
        reader = self._readers[stream]
        try:
            data = os.read(reader, PIPE_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._close(stream)
            return 0
        if len(data) == FIRST_PIPE_BYTES and stream not in self._large:
            self._enlarge(stream)
        self._sink(stream, data)
        return len(data)

    def _enlarge(self, stream: int) -> None:
        """A task that fills its pipe writes much; the larger, the fewer turns. The kernel may refuse: no matter."""
        self._large.add(stream)
        try:
            fcntl.fcntl(self._readers[stream], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            return

    def _close(self, stream: int) -> None:
        reader = self._readers.pop(stream)
        if stream in self._watched:
            self._watched.remove(stream)
            self._loop.remove_reader(reader)
        os.close(reader)

    def _finish(self) -> None:
        if self._give_up:
            self._give_up.cancel()
        self.close()
        drained, self._drained = self._drained, None
        if drained:
            drained()


def hand_over(pipes: list[int], uid: int | None) -> None:
    """Make these pipes a user's. Raises OSError."""
    if uid is not None:
        for pipe in pipes:
            os.fchown(pipe, uid, -1)
