"""Output at rest: the executor seals each chunk, the store keeps the bytes as they come, readers open them.

AES-256-GCM (NIST SP 800-38D) under a random key per executor. An attempt has one executor and its chunks are numbered,
so attempt (7 bytes) and number (5 bytes) are a nonce that never comes twice under a key; stream and offset are
authenticated with it. What was moved, cut or changed opens nowhere.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
ATTEMPT_BYTES = 7
NUMBER_BYTES = 5


class Sealer(Protocol):
    """Seals output chunks, bound to attempt, chunk number, stream and offset."""

    seals: bool

    def seal(self, attempt_id: int, number: int, stream: int, offset: int, data: bytes) -> bytes:
        """The bytes to store."""


class PlainSealer:
    """Keeps output as it is."""

    seals = False

    def seal(self, attempt_id: int, number: int, stream: int, offset: int, data: bytes) -> bytes:
        """The data itself."""
        return data


class KeySealer:
    """Seals output under one key."""

    seals = True

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, attempt_id: int, number: int, stream: int, offset: int, data: bytes) -> bytes:
        """The data, unreadable, and a tag of 16 bytes."""
        return self._aead.encrypt(_nonce(attempt_id, number), data, _place(stream, offset))

    def open(self, attempt_id: int, number: int, stream: int, offset: int, sealed: bytes) -> bytes:
        """The bytes the task wrote. Raises ValueError when they were not sealed for this place under this key."""
        try:
            return self._aead.decrypt(_nonce(attempt_id, number), sealed, _place(stream, offset))
        except (InvalidTag, OverflowError):  # numbers that none was sealed for are in no nonce
            raise ValueError(f"chunk {number} of attempt {attempt_id} does not open") from None


def sealer(key: bytes | None) -> Sealer:
    """What seals under this key; without one, what keeps output as it is."""
    return PlainSealer() if key is None else KeySealer(key)


def _nonce(attempt_id: int, number: int) -> bytes:
    return attempt_id.to_bytes(ATTEMPT_BYTES, "big") + number.to_bytes(NUMBER_BYTES, "big")


def _place(stream: int, offset: int) -> bytes:
    return f"{stream}/{offset}".encode()
