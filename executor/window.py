"""The output that has been read and is not yet known to be stored: what bounds an executor's memory.

A chunk stays here, to be sent again over the next link, until it is acknowledged. While too much waits, the task's
pipes are not read, so that a task that writes faster than the store takes it is held by its own pipe.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..proto.link_pb2 import Chunk

ATTEMPT_BYTES = 1024 * 1024
EXECUTOR_BYTES = 8 * 1024 * 1024
CHUNK_COST_BYTES = 256
"""What a chunk costs beside its bytes."""


class Budget:
    """The unacknowledged bytes of all attempts of the executor."""

    def __init__(self, limit_bytes: int = EXECUTOR_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    @property
    def full(self) -> bool:
        """Whether nothing more may be read."""
        return self.held_bytes >= self.limit_bytes


class Window:
    """The unacknowledged chunks of one attempt, in their order."""

    def __init__(self, budget: Budget) -> None:
        self.chunks: deque[Chunk] = deque()
        self._budget = budget
        self._held_bytes = 0

    @property
    def full(self) -> bool:
        """Whether the attempt's output must not be read now."""
        return self._held_bytes >= ATTEMPT_BYTES or self._budget.full

    def add(self, chunk: Chunk) -> None:
        """A chunk was made."""
        self.chunks.append(chunk)
        self._hold(_cost(chunk))

    def acknowledge(self, number: int) -> None:
        """This chunk and all before it are stored."""
        while self.chunks and self.chunks[0].number <= number:
            self._hold(-_cost(self.chunks.popleft()))

    def clear(self) -> None:
        """Nothing of it is of use any more."""
        self.chunks.clear()
        self._hold(-self._held_bytes)

    def _hold(self, change_bytes: int) -> None:
        self._held_bytes += change_bytes
        self._budget.held_bytes += change_bytes


def _cost(chunk: Chunk) -> int:
    return chunk.length + CHUNK_COST_BYTES
