"""How fields are kept at rest: sealed, each bound to its place, so that no row can speak for another.

One interface from the first day. `PlainCipher` hides nothing, but notices what was damaged or moved.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Protocol

PLAIN_MAGIC = b"\x00"
CHECKSUM_BYTES = 8


class CorruptRecord(Exception):  # noqa: N818 - a fact about the record, named as such
    """What is stored cannot be trusted: it was damaged, or sealed for another place."""


class Cipher(Protocol):
    """Seals fields for the place they are stored in, and digests what is only compared."""

    def seal(self, plain: bytes, *, table: str, row: int, column: str, revision: int = 0) -> bytes:
        """The bytes to store there."""

    def open(self, sealed: bytes, *, table: str, row: int, column: str, revision: int = 0) -> bytes:
        """The bytes that were sealed for this place. Raises CorruptRecord when they were not."""

    def digest(self, data: bytes) -> bytes:
        """A fingerprint that tells nothing to who lacks the key."""


class PlainCipher:
    """Keeps fields readable, behind a checksum over the field and its place."""

    def seal(self, plain: bytes, *, table: str, row: int, column: str, revision: int = 0) -> bytes:
        """Magic byte, checksum, the field itself."""
        return PLAIN_MAGIC + _checksum(plain, f"{table}/{row}/{column}/{revision}") + plain

    def open(self, sealed: bytes, *, table: str, row: int, column: str, revision: int = 0) -> bytes:
        """The field, when it is as it was sealed, here."""
        place = f"{table}/{row}/{column}/{revision}"
        plain = sealed[1 + CHECKSUM_BYTES :]
        if sealed[: 1 + CHECKSUM_BYTES] != PLAIN_MAGIC + _checksum(plain, place):
            raise CorruptRecord(f"{place} is damaged")
        return plain

    def digest(self, data: bytes) -> bytes:
        """SHA-256; there is no key."""
        return sha256(data).digest()


def _checksum(plain: bytes, place: str) -> bytes:
    return blake2b(place.encode() + b"\0" + plain, digest_size=CHECKSUM_BYTES).digest()
