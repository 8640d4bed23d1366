"""Output that waits for a supervisor and has no room in memory: one file that has no name, and so ends with us.

It is given out in extents of one size, each to one attempt, which fills it with its chunks as they are: sealed, where
the executor seals. In memory there are only a few numbers of each extent. What was read gives its space back to the
file system, and the file is closed when nothing is in it.

Each chunk has a keyed hash before it. What comes back otherwise than it went in, or is not the next of its attempt, is
noticed, and with it the rest of its extent is lost; how much that was is known.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import struct
import tempfile
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..proto.link_pb2 import Chunk
from .kernel import punch_hole

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

EXTENT_BYTES = 1024 * 1024 + 4096
"""Four full chunks with what is said of them."""
RESERVE_BYTES = 32 * 1024 * 1024
"""So much of the file system stays free: the next supervisor needs some to begin to store what we hold."""
FRAME = struct.Struct("<I16s")
HASH_BYTES = 16


class SpoolDamagedError(Exception):
    """So many bytes of output that were to be kept cannot be read back."""

    def __init__(self, lost_bytes: int) -> None:
        super().__init__(f"{lost_bytes} bytes are damaged")
        self.lost_bytes = lost_bytes


@dataclass(slots=True)
class Extent:
    """One attempt's part of the file, from byte `place` on: written up to `end`, read up to `at`."""

    place: int
    end: int = 0
    at: int = 0
    last_number: int = 0
    kept_bytes: int = 0
    """In clear, of what is not read yet and is to be stored."""


class Spool:
    """The file. `refuse` is called with the reason when it takes no more; until `full` is reset it does not try."""

    def __init__(
        self,
        folder: str = "",
        limit_bytes: int = 0,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        refuse: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self.open = False
        """Whether output may go here: only while no supervisor listens."""
        self.full = limit_bytes == 0
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._reserve_bytes = reserve_bytes
        self._refuse = refuse
        self._key = secrets.token_bytes(HASH_BYTES)
        self._file: IO[bytes] | None = None
        self._size = 0
        self._free: list[int] = []

    @property
    def takes(self) -> bool:
        """Whether it is worth while to come here with output."""
        return self.open and not self.full

    def try_again(self) -> None:
        """There may be room since."""
        self.full = self._limit_bytes == 0

    def take(self) -> Extent | None:
        """A part of the file; None: there is no room."""
        try:
            return self._more()
        except OSError as error:
            self._refused(error)
            return None

    def give(self, extent: Extent) -> None:
        """Nothing in it is of use any more."""
        assert self._file  # noqa: S101 - it came from there
        self._free.append(extent.place)
        if len(self._free) * EXTENT_BYTES < self._size:
            punch_hole(self._file.fileno(), extent.place, EXTENT_BYTES)
            return
        self._file.close()
        self._file = None
        self._size = 0
        self._free.clear()

    def write(self, extent: Extent, chunk: Chunk, frame: bytes) -> bool:
        """Add a chunk as it is framed; False: there is no room."""
        assert self._file  # noqa: S101 - the extent came from there
        try:
            _write_all(self._file.fileno(), frame, extent.place + extent.end)
        except OSError as error:
            self._refused(error)
            return False
        extent.end += len(frame)
        extent.last_number = chunk.number
        extent.kept_bytes += _kept_bytes(chunk)
        return True

    def read(self, extent: Extent) -> Chunk | None:
        """The next chunk in it; None: it is damaged."""
        assert self._file  # noqa: S101 - the extent came from there
        fd, place = self._file.fileno(), extent.place + extent.at
        try:
            length, told = FRAME.unpack(os.pread(fd, FRAME.size, place))
            data = os.pread(fd, min(length, EXTENT_BYTES), place + FRAME.size)
        except (OSError, struct.error):
            return None
        if len(data) < length or self._hash(data) != told:
            return None
        extent.at += FRAME.size + length
        chunk = Chunk.FromString(data)
        extent.kept_bytes -= _kept_bytes(chunk)
        return chunk

    def framed(self, chunk: Chunk) -> bytes:
        """The chunk as it lies in the file."""
        data = chunk.SerializeToString()
        return FRAME.pack(len(data), self._hash(data)) + data

    def _more(self) -> Extent:
        """Raises OSError when there is no room."""
        if not self._free and self._size + EXTENT_BYTES > self._limit_bytes:
            raise OSError(errno.EDQUOT, f"executors.spool_bytes ({self._limit_bytes}) is reached")
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < EXTENT_BYTES + self._reserve_bytes:
            raise OSError(errno.ENOSPC, f"the file system of {self._folder} is nearly full")
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed when empty
        if self._free:
            return Extent(self._free.pop())
        self._size += EXTENT_BYTES
        return Extent(self._size - EXTENT_BYTES)

    def _refused(self, error: OSError) -> None:
        self.full = True
        self._refuse(error.strerror or str(error))

    def _hash(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, digest_size=HASH_BYTES, key=self._key).digest()


class Tail:
    """The chunks of one attempt that are in the spool, in their order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._extents: deque[Extent] = deque()
        self._next = (0, 0)
        """Attempt and number of the oldest."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._extents)

    def append(self, chunk: Chunk) -> bool:
        """Add the newest; False: there is no room."""
        frame = self._spool.framed(chunk)
        extent = self._extents[-1] if self._extents else None
        if extent is None or extent.end + len(frame) > EXTENT_BYTES:
            extent = self._spool.take()
        if extent is None:
            return False
        if not self._spool.write(extent, chunk, frame):
            if extent.end == 0:
                self._spool.give(extent)
            return False
        if not self._extents:
            self._next = (chunk.attempt_id, chunk.number)
        if not self._extents or self._extents[-1] is not extent:
            self._extents.append(extent)
        return True

    def pop(self) -> Chunk:
        """Take the oldest. Raises SpoolDamagedError; it, and what cannot be read for its sake, is gone then."""
        extent = self._extents[0]
        chunk = self._spool.read(extent)
        if chunk is None or (chunk.attempt_id, chunk.number) != self._next:
            self._leave_first()
            self._next = (self._next[0], extent.last_number + 1)
            raise SpoolDamagedError(extent.kept_bytes + (_kept_bytes(chunk) if chunk else 0))
        self._next = (chunk.attempt_id, chunk.number + 1)
        if extent.at == extent.end:
            self._leave_first()
        return chunk

    def clear(self) -> None:
        """Nothing of it is of use any more."""
        while self._extents:
            self._leave_first()

    def _leave_first(self) -> None:
        self._spool.give(self._extents.popleft())


def _write_all(fd: int, data: bytes, place: int) -> None:
    """Raises OSError when there is room for a part of it only."""
    if os.pwrite(fd, data, place) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _kept_bytes(chunk: Chunk) -> int:
    return 0 if chunk.passing else chunk.length
