"""The two pipes of a function host, kept over all its calls: descriptors 1 and 2 of the host and of all below it.

They are read only while it is certain whose output it is: while the call that runs is the only one there (`watch`), and
after its end, when the host waits (`drain`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .capture import MOST_DRAINED_BYTES, PIPE_BYTES, hand_over
from .output import STREAMS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Sink = Callable[[int, bytes], None]


class Pipes:
    """Both streams, of a user's where one is named. Raises OSError when there is no descriptor left."""

    def __init__(self, loop: asyncio.AbstractEventLoop, uid: int | None = None) -> None:
        self._loop = loop
        self._readers: dict[int, int] = {}
        self._writers: list[int] = []
        self._sink: Sink | None = None
        self._watching = False
        try:
            for stream in STREAMS:
                self._readers[stream], writer = os.pipe2(os.O_CLOEXEC)
                self._writers.append(writer)
                os.set_blocking(self._readers[stream], False)
            hand_over(self._writers, uid)
        except OSError:
            self.close()
            raise

    @property
    def writers(self) -> tuple[int, int]:
        """The ends to write to, for stdout and stderr."""
        return self._writers[0], self._writers[1]

    @property
    def watched(self) -> bool:
        """Whether somebody reads what is written as it comes."""
        return self._sink is not None

    def watch(self, sink: Sink) -> None:
        """Pass on what is written from now on, as it comes."""
        self._sink = sink
        self.resume()

    def pause(self) -> None:
        """Leave what is written in the pipes, until `resume`."""
        if self._watching:
            self._watching = False
            for reader in self._readers.values():
                self._loop.remove_reader(reader)

    def resume(self) -> None:
        """Go on reading, if somebody wants it."""
        if self._sink and not self._watching:
            self._watching = True
            for stream, reader in self._readers.items():
                self._loop.add_reader(reader, self._read, stream)

    def drain(self, sink: Sink) -> None:
        """Pass on what is there, and watch no more."""
        self.pause()
        self._sink = sink
        self.catch_up()
        self._sink = None

    def catch_up(self) -> None:
        """Pass on what is there."""
        for stream in STREAMS:
            total = 0
            while (count := self._read(stream)) and total < MOST_DRAINED_BYTES:
                total += count

    def close_writers(self) -> None:
        """They have been passed on."""
        for writer in self._writers:
            os.close(writer)
        self._writers.clear()

    def close(self) -> None:
        """Give up the pipes."""
        self.pause()
        self._sink = None
        self.close_writers()
        for reader in self._readers.values():
            os.close(reader)
        self._readers.clear()

    def _read(self, stream: int) -> int:
        """Pass on what is there, at most a pipe full; returns how much."""
        reader = self._readers.get(stream)
        if reader is None:
            return 0
        try:
            data = os.read(reader, PIPE_BYTES)
        except BlockingIOError:
            return 0
        if not data:  # the host is dead
            self._readers.pop(stream)
            if self._watching:
                self._loop.remove_reader(reader)
            os.close(reader)
        elif self._sink:
            self._sink(stream, data)
        return len(data)
