"""Output at rest: the executor seals each chunk, the store keeps the bytes as they come, readers open them.

One interface from the first day; `PlainSealer` keeps bytes as they are. The encrypted one (AES-256-GCM under a data key
per executor session) takes its place without a change anywhere else.
"""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Seals and opens output chunks, bound to attempt, chunk number and stream."""

    def seal(self, attempt_id: int, number: int, stream: int, data: bytes) -> bytes:
        """The bytes to store."""

    def open(self, attempt_id: int, number: int, stream: int, sealed: bytes) -> bytes:
        """The bytes the task wrote. Raises ValueError when they were not sealed for this place."""


class PlainSealer:
    """Keeps output as it is."""

    def seal(self, attempt_id: int, number: int, stream: int, data: bytes) -> bytes:
        """The data itself."""
        return data

    def open(self, attempt_id: int, number: int, stream: int, sealed: bytes) -> bytes:
        """The stored bytes themselves."""
        return sealed
