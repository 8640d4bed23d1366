"""The executor's end of the socket to a runner. Never blocks: what the socket does not take now waits here."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING

from .frames import ORDERS, REPORTS, FrameError, Unpacker, pack

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .messages import Message, Order

READ_BYTES = 65536


class Port:
    """Sends orders, and calls `hear` with each report; `broken` when something else comes than reports."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        hear: Callable[[Message], None],
        broken: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._hear = hear
        self._broken = broken
        self._paused = False
        self._unpacker = Unpacker(REPORTS)
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._waits = False
        sock.setblocking(False)
        loop.add_reader(sock, self._read)

    def send(self, order: Order, descriptors: list[int] | None = None) -> None:
        """Send the order and the descriptors, which are closed here. Raises OSError when they cannot be passed on."""
        idle = not self._queue
        self._queue.append((pack(ORDERS, [order]), descriptors or []))
        try:
            if idle:
                self._write()
        except OSError:
            _close(self._queue.popleft()[1])
            raise

    def pause(self) -> None:
        """Hear nothing for a while: whoever reports much has to wait."""
        if not self._paused:
            self._paused = True
            self._loop.remove_reader(self._sock)

    def resume(self) -> None:
        """Hear again."""
        if self._paused and self._sock.fileno() >= 0:
            self._paused = False
            self._loop.add_reader(self._sock, self._read)

    def read_rest(self) -> None:
        """Hear what was reported before the runner died."""
        while self._read():
            pass

    def close(self) -> None:
        """Let go; an idle runner ends of that. Harmless when repeated."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        for _, descriptors in self._queue:
            _close(descriptors)
        self._queue.clear()

    def _read(self) -> bool:
        """Hear some; False when there is nothing, or nobody to hear any more."""
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)  # its death is seen elsewhere
        try:
            reports = self._unpacker.feed(data)
        except FrameError:
            self._loop.remove_reader(self._sock)
            self._broken()
            return False
        for report in reports:
            self._hear(report)
        return bool(data) and self._sock.fileno() >= 0  # whoever heard may have let go

    def _write(self) -> None:
        while self._queue:
            try:
                sent = socket.send_fds(self._sock, [self._queue[0][0]], self._queue[0][1])
            except BlockingIOError:
                self._wait_for_room(wait=True)
                return
            except (BrokenPipeError, ConnectionResetError):
                break  # its death is seen elsewhere
            self._took(sent)
        self._wait_for_room(wait=False)

    def _wait_for_room(self, *, wait: bool) -> None:
        if wait and not self._waits:
            self._loop.add_writer(self._sock, self._write)
        elif self._waits and not wait:
            self._loop.remove_writer(self._sock)
        self._waits = wait

    def _took(self, sent: int) -> None:
        data, descriptors = self._queue.popleft()
        _close(descriptors)
        if sent < len(data):
            self._queue.appendleft((data[sent:], []))


def _close(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)
