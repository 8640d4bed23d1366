"""A runner's end of the socket to its executor, also of a function host: only the standard library."""

from __future__ import annotations

import socket
from array import array
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING

from .frames import ORDERS, REPORTS, Unpacker, pack

if TYPE_CHECKING:
    from .messages import Message, Report

READ_BYTES = 65536
DESCRIPTORS_BYTES = socket.CMSG_SPACE(3 * array("i").itemsize)


class Port:
    """The runner's end of the socket to its executor. When that is closed, the runner ends."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox: deque[Message] = deque()
        self.descriptors: deque[int] = deque()
        self._unpacker = Unpacker(ORDERS)

    def read(self) -> None:
        """Wait for more messages. Raises EOFError."""
        data, ancillary, _, _ = self.sock.recvmsg(READ_BYTES, DESCRIPTORS_BYTES, socket.MSG_CMSG_CLOEXEC)
        if not data:
            raise EOFError
        for _, _, packed in ancillary:
            self.descriptors.extend(array("i", packed))
        self.inbox.extend(self._unpacker.feed(data))

    def next(self) -> Message:
        """Wait for the next message. Raises EOFError."""
        while not self.inbox:
            self.read()
        return self.inbox.popleft()

    def send(self, *reports: Report) -> None:
        """Report to the executor."""
        self.sock.sendall(pack(REPORTS, reports))


class SharedPort(Port):
    """One that several threads report through."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._sending = RLock()

    def send(self, *reports: Report) -> None:
        """Report to the executor, one frame after the other."""
        with self._sending:
            super().send(*reports)
