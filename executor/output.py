"""An attempt's output on its way from the pipes to the link: numbered, kept within the cap, sealed.

Bytes that follow each other in one stream are gathered into one chunk until somebody flushes, or another stream comes
in between; numbers are in the order in which the bytes were read, offsets count per stream. Over the cap, somebody who
wants every byte (a tap) gets them as passing chunks, which are not stored; the tail then repeats, as chunks to be
stored, bytes that have passed already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.link_pb2 import Chunk
from ..proto.values import Stream
from .keep import Keep
from .window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proto.sealing import Sealer
    from .window import Budget

STREAMS = tuple(int(stream) for stream in Stream)
CHUNK_BYTES = 256 * 1024


class Output:
    """Both streams of one attempt. `emit` is called with each chunk, once, in order."""

    def __init__(
        self,
        attempt_id: int,
        *,
        cap_bytes: int,
        tapped: bool,
        sealer: Sealer,
        budget: Budget,
        emit: Callable[[Chunk], None],
    ) -> None:
        self.window = Window(budget)
        self.tapped = tapped
        self.lengths: dict[int, int] = dict.fromkeys(STREAMS, 0)
        self._attempt_id = attempt_id
        self._keep = Keep(cap_bytes)
        self._sealer = sealer
        self._emit = emit
        self._number = 0
        self._place = (0, 0, False)  # stream, offset, passing of what is gathered
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0

    @property
    def dropped_bytes(self) -> int:
        """So many bytes are not and will not be stored."""
        return self._keep.dropped_bytes + self.window.lost_bytes

    def write(self, stream: int, data: bytes) -> None:
        """The task wrote this."""
        offset = self.lengths[stream]
        self.lengths[stream] += len(data)
        head = self._keep.admit(stream, offset, data)
        if head:
            self._cut(stream, offset, data[:head], passing=False)
        if head < len(data) and self.tapped:
            self._cut(stream, offset + head, data[head:], passing=True)

    def flush(self) -> None:
        """Make a chunk of what is gathered."""
        if not self._gathered:
            return
        stream, offset, passing = self._place
        data = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        self._make(stream, offset, data, passing=passing)

    def finish(self) -> None:
        """The task will write no more: make chunks of all that is kept."""
        self.flush()
        for piece in self._keep.take_tail():
            self._cut(piece.stream, piece.offset, bytes(piece.data), passing=False)
        self.flush()

    def _cut(self, stream: int, offset: int, data: bytes, *, passing: bool) -> None:
        """Gather it in pieces of which each fits into a chunk."""
        for start in range(0, len(data), CHUNK_BYTES):
            self._gather(stream, offset + start, data[start : start + CHUNK_BYTES], passing=passing)

    def _gather(self, stream: int, offset: int, data: bytes, *, passing: bool) -> None:
        at, since, passes = self._place
        follows = (at, since + self._gathered_bytes, passes) == (stream, offset, passing)
        if not follows or self._gathered_bytes + len(data) > CHUNK_BYTES:
            self.flush()
        if not self._gathered:
            self._place = (stream, offset, passing)
        self._gathered.append(data)
        self._gathered_bytes += len(data)

    def _make(self, stream: int, offset: int, data: bytes, *, passing: bool) -> None:
        self._number += 1
        sealed = self._sealer.seal(self._attempt_id, self._number, stream, offset, data)
        chunk = Chunk(
            attempt_id=self._attempt_id,
            number=self._number,
            stream=stream,
            offset=offset,
            length=len(data),
            data=sealed,
            passing=passing,
            sealed=self._sealer.seals,
        )
        self.window.add(chunk)
        self._emit(chunk)
