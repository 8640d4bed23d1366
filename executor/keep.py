"""What is kept of an attempt's output: the first bytes and the last, of both streams together.

Decisions only. The head goes out as it is read; the tail is kept here, as the last bytes seen so far, until the end.
"""

from __future__ import annotations

from collections import deque

MOST_TAIL_BYTES = 1024 * 1024
TAIL_FRACTION = 4
MOST_PIECES = 16384
"""A tail of countless tiny alternating writes gives up its oldest ones, rather than cost many times its size."""
JOIN_BYTES = 65536


class Piece:
    """Bytes that follow each other in one stream."""

    __slots__ = ("data", "offset", "stream")

    def __init__(self, stream: int, offset: int, data: bytes) -> None:
        self.stream = stream
        self.offset = offset
        self.data = bytearray(data)


class Keep:
    """The head and the tail of an output of unknown length, in `cap_bytes` together."""

    def __init__(self, cap_bytes: int) -> None:
        self.tail_bytes = min(MOST_TAIL_BYTES, cap_bytes // TAIL_FRACTION)
        self.head_left = cap_bytes - self.tail_bytes
        self.dropped_bytes = 0
        self._tail: deque[Piece] = deque()
        self._held = 0

    def admit(self, stream: int, offset: int, data: bytes) -> int:
        """How many of these bytes belong to the head; the others are kept as the newest of the tail."""
        head = min(self.head_left, len(data))
        self.head_left -= head
        if head < len(data):
            self._append(stream, offset + head, data[head:])
        return head

    def take_tail(self) -> list[Piece]:
        """The tail, cut to size. Once, at the end."""
        self._drop(self._held - self.tail_bytes)
        tail = list(self._tail)
        self._tail.clear()
        self._held = 0
        return tail

    def _append(self, stream: int, offset: int, data: bytes) -> None:
        last = self._tail[-1] if self._tail else None
        if last and last.stream == stream and len(last.data) < JOIN_BYTES:
            last.data += data
        else:
            self._tail.append(Piece(stream, offset, data))
        self._held += len(data)
        while self._tail and self._oldest_is_over:
            self._drop(len(self._tail[0].data))

    @property
    def _oldest_is_over(self) -> bool:
        """Whether the tail is long enough without its oldest piece."""
        return self._held - len(self._tail[0].data) >= self.tail_bytes or len(self._tail) > MOST_PIECES

    def _drop(self, count: int) -> None:
        """Forget this many of the oldest bytes."""
        while count > 0:
            first = self._tail[0]
            gone = min(count, len(first.data))
            del first.data[:gone]
            first.offset += gone
            if not first.data:
                self._tail.popleft()
            self._held -= gone
            self.dropped_bytes += gone
            count -= gone
