"""Fields that were sealed a moment ago, kept as they were: most are asked for once, soon, and need no opening then."""

from __future__ import annotations

import threading

LIMIT_BYTES = 4 << 20
FIELD_BYTES = 4096
"""Of longer ones opening is not what takes the time."""
COST_BYTES = 300
"""What a field takes beside its bytes."""


class Fresh:
    """What was sealed lately, by how it looks sealed, until it is asked for.

    Only what this process has sealed itself gets here: whatever is found is what was sealed. From any thread.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._size = 0
        self._kept: dict[bytes, tuple[bytes, bytes]] = {}
        self._gate = threading.Lock()

    def put(self, sealed: bytes, place: bytes, plain: bytes) -> None:
        """Keep a small one; the oldest make room."""
        size = len(sealed) + len(plain) + COST_BYTES
        if len(plain) > FIELD_BYTES:
            return
        with self._gate:
            self._kept[sealed] = (place, plain)
            self._size += size
            while self._size > self._limit_bytes:
                self._drop(next(iter(self._kept)))

    def take(self, sealed: bytes) -> tuple[bytes, bytes] | None:
        """Its place and what was sealed; then it is kept no more."""
        if sealed not in self._kept:
            return None
        with self._gate:
            return self._drop(sealed)

    def _drop(self, sealed: bytes) -> tuple[bytes, bytes] | None:
        found = self._kept.pop(sealed, None)
        if found is not None:
            self._size -= len(sealed) + len(found[1]) + COST_BYTES
        return found
