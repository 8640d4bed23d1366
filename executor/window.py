"""The output that has been read and is not yet known to be stored: what bounds an executor's memory.

A chunk stays here, to be sent again over the next link, until it is acknowledged. While a supervisor is there and too
much waits, the task's pipes are not read, so that a task that writes faster than the store takes it is held by its own
pipe. While none is there, what is too much goes to the spool; the pipes wait only when that has no room either.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .spool import Spool, SpoolDamagedError, Tail

if TYPE_CHECKING:
    from ..proto.link_pb2 import Chunk

ATTEMPT_BYTES = 1024 * 1024
EXECUTOR_BYTES = 8 * 1024 * 1024
CHUNK_COST_BYTES = 256
"""What a chunk costs beside its bytes."""


class Budget:
    """What all attempts of the executor hold in memory, and the spool for what they may not."""

    def __init__(self, limit_bytes: int = EXECUTOR_BYTES, spool: Spool | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.spool = spool or Spool()
        self.held_bytes = 0
        """Of what is to be sent, or on its way."""
        self.late_bytes = 0
        """Of what follows on something in the spool, and had no room there."""

    @property
    def busy(self) -> bool:
        """Whether nothing more may be sent before something is acknowledged."""
        return self.held_bytes >= self.limit_bytes

    @property
    def full(self) -> bool:
        """Whether memory takes nothing more."""
        return self.held_bytes + self.late_bytes >= self.limit_bytes


class Window:
    """The unacknowledged chunks of one attempt, in their order: the oldest here, to be sent, the others behind them."""

    def __init__(self, budget: Budget) -> None:
        self.chunks: deque[Chunk] = deque()
        self.lost_bytes = 0
        """What was damaged in the spool."""
        self._budget = budget
        self._held_bytes = 0
        self._tail = Tail(budget.spool)
        self._late: deque[Chunk] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there are chunks behind those that are to be sent."""
        return bool(self._tail or self._late)

    @property
    def full(self) -> bool:
        """Whether the attempt's output must not be read now."""
        return not self._budget.spool.takes and (self.waiting or self._over)

    @property
    def _over(self) -> bool:
        return self._held_bytes >= ATTEMPT_BYTES or self._budget.full

    def add(self, chunk: Chunk) -> None:
        """A chunk was made."""
        if self.waiting or (self._over and self._budget.spool.takes):
            self._late.append(chunk)
            self._budget.late_bytes += _cost(chunk)
            self._spill()
        else:
            self._send(chunk)

    def next(self) -> Chunk | None:
        """The first of what waits, which is to be sent now; None: nothing waits, or it has to wait longer."""
        while self.waiting and self._held_bytes < ATTEMPT_BYTES and not self._budget.busy:
            if chunk := self._take():
                self._send(chunk)
                return chunk
        return None

    def acknowledge(self, number: int) -> None:
        """This chunk and all before it are stored."""
        while self.chunks and self.chunks[0].number <= number:
            self._hold(-_cost(self.chunks.popleft()))

    def clear(self) -> None:
        """Nothing of it is of use any more."""
        self.chunks.clear()
        self._hold(-self._held_bytes)
        self._tail.clear()
        while self._late:
            self._take_late()

    def _send(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._hold(_cost(chunk))

    def _spill(self) -> None:
        """Into the spool with what is late, as far as there is room."""
        while self._late and self._budget.spool.takes and self._tail.append(self._late[0]):
            self._take_late()

    def _take(self) -> Chunk | None:
        """The first of what waits; None: it was damaged."""
        if not self._tail:
            return self._take_late()
        try:
            return self._tail.pop()
        except SpoolDamagedError as damage:
            self.lost_bytes += damage.lost_bytes
            return None

    def _take_late(self) -> Chunk:
        chunk = self._late.popleft()
        self._budget.late_bytes -= _cost(chunk)
        return chunk

    def _hold(self, change_bytes: int) -> None:
        self._held_bytes += change_bytes
        self._budget.held_bytes += change_bytes


def _cost(chunk: Chunk) -> int:
    return chunk.length + CHUNK_COST_BYTES
