"""How fields are kept at rest: sealed, each bound to its place, so that no row can speak for another.

What is kept in clear stands behind a magic byte and a checksum, which notices damage, not intent. What is sealed stands
behind another magic byte and the id of its key; it is a Fernet token (raw, not as base64) over the place and the field,
so a field that was moved, or put back after it had changed, opens nowhere.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import ClassVar, Protocol

from cryptography.fernet import Fernet, InvalidToken

from .fresh import Fresh
from .ring import ID_BYTES, Ring

PLAIN_MAGIC = b"\x00"
SEALED_MAGIC = b"\x01"
KEYED_MAGIC = b"\x01"
CHECKSUM_BYTES = 8
HEAD_BYTES = 1 + ID_BYTES
PLAIN_ID = b""
"""Stands for the key of what is kept in clear."""


class CorruptRecord(Exception):  # noqa: N818 - a fact about the record, named as such
    """What is stored cannot be trusted: it was damaged, or sealed for another place."""


class Cipher(Protocol):
    """Seals fields for the place they are stored in, and digests what is only compared."""

    @property
    def seals(self) -> bool:
        """Whether what is stored from now on is unreadable without a key."""

    @property
    def takes_plain(self) -> bool:
        """Whether some of what is stored may be in clear."""

    def seal(self, plain: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """The bytes to store there."""

    def open(self, sealed: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """The bytes that were sealed for this place. Raises CorruptRecord when they were not."""

    def digest(self, data: bytes) -> bytes:
        """A fingerprint that tells nothing to who lacks the key."""

    def matches(self, digest: bytes, data: bytes) -> bool:
        """Whether it is the fingerprint of this data."""


@dataclass(frozen=True, slots=True)
class PlainCipher:
    """Keeps fields readable, behind a checksum over the field and its place.

    `digest_key` is that of a store that was encrypted before: fingerprints of that time go on to be understood.
    """

    digest_key: bytes | None = field(default=None, repr=False)
    seals: ClassVar[bool] = False
    takes_plain: ClassVar[bool] = True

    def seal(self, plain: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """Magic byte, checksum, the field itself."""
        return PLAIN_MAGIC + _checksum(plain, _place(table, row, column, revision)) + plain

    def open(self, sealed: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """The field, when it is as it was sealed, here."""
        place = _place(table, row, column, revision)
        plain = sealed[1 + CHECKSUM_BYTES :]
        if sealed[: 1 + CHECKSUM_BYTES] != PLAIN_MAGIC + _checksum(plain, place):
            raise CorruptRecord(f"{place.decode()} is damaged")
        return plain

    def digest(self, data: bytes) -> bytes:
        """SHA-256, of which the key of a former time makes an HMAC."""
        return _digest(data, self.digest_key)

    def matches(self, digest: bytes, data: bytes) -> bool:
        """Whether it is the fingerprint of this data, made with the key or without one."""
        return digest in (_digest(data, None), self.digest(data))


PLAIN = PlainCipher()


@dataclass(slots=True)
class FernetCipher:
    """Seals with the newest key of a ring and opens with any.

    `takes_plain`: some of what is stored may be in clear, from a time without encryption; elsewhere what is in clear is
    not trusted, for anybody could have written it. `seals` is False on the way back to such a time. All this may change
    while it is in use.
    """

    ring: Ring
    digest_key: bytes = field(repr=False)
    takes_plain: bool = False
    seals: bool = True
    _fernets: dict[bytes, Fernet] = field(init=False, repr=False)
    _head: bytes = field(init=False, repr=False)
    _fresh: Fresh = field(init=False, repr=False, default_factory=Fresh)

    def __post_init__(self) -> None:
        self.use(self.ring)

    def use(self, ring: Ring) -> None:
        """Seal with the newest key of this ring from now on."""
        self._fernets = {key.id: Fernet(key.text) for key in ring.keys}
        self._head = SEALED_MAGIC + ring.newest.id
        self.ring = ring

    @property
    def target(self) -> bytes:
        """The id of the key under which everything is to be; PLAIN_ID for none."""
        return self.ring.newest.id if self.seals else PLAIN_ID

    def seal(self, plain: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """Magic byte, id of the key, token."""
        if not self.seals:
            return PLAIN.seal(plain, table=table, row=row, column=column, revision=revision)
        head = self._head
        place = _place(table, row, column, revision)
        token = self._fernets[head[1:]].encrypt(len(place).to_bytes(1, "big") + place + plain)
        sealed = head + base64.urlsafe_b64decode(token)
        self._fresh.put(sealed, place, plain)
        return sealed

    def open(self, sealed: bytes, *, table: str, row: int | str, column: str, revision: int = 0) -> bytes:
        """The field, when it was sealed for this place under a key that is here."""
        if sealed[:1] == PLAIN_MAGIC and self.takes_plain:
            return PLAIN.open(sealed, table=table, row=row, column=column, revision=revision)
        place = _place(table, row, column, revision)
        fresh = self._fresh.take(sealed)
        if fresh is not None and fresh[0] == place:
            return fresh[1]
        plain = self._opened(sealed, place)
        start = 1 + plain[0]
        if plain[1:start] != place:
            raise CorruptRecord(f"{place.decode()} was sealed for another place")
        return plain[start:]

    def _opened(self, sealed: bytes, place: bytes) -> bytes:
        fernet = self._fernets.get(sealed[1:HEAD_BYTES]) if sealed[:1] == SEALED_MAGIC else None
        if fernet is None:
            raise CorruptRecord(f"{place.decode()} was not sealed by a key of this store")
        try:
            return fernet.decrypt(base64.urlsafe_b64encode(sealed[HEAD_BYTES:]))
        except InvalidToken:
            raise CorruptRecord(f"{place.decode()} is damaged") from None

    def digest(self, data: bytes) -> bytes:
        """Magic byte, and HMAC-SHA-256 over the SHA-256."""
        return _digest(data, self.digest_key)

    def matches(self, digest: bytes, data: bytes) -> bool:
        """Whether it is the fingerprint of this data; one made without a key, where such are taken."""
        return digest == self.digest(data) or (self.takes_plain and digest == _digest(data, None))


def key_of(sealed: bytes) -> bytes:
    """The id of the key that sealed this; PLAIN_ID for what is in clear."""
    return sealed[1:HEAD_BYTES] if sealed[:1] == SEALED_MAGIC else PLAIN_ID


def keyed(digest: bytes, key: bytes) -> bytes:
    """The fingerprint that takes the place of one made without a key."""
    return KEYED_MAGIC + hmac.digest(key, digest, "sha256")


def _digest(data: bytes, key: bytes | None) -> bytes:
    plain = sha256(data).digest()
    return plain if key is None else keyed(plain, key)


def _place(table: str, row: int | str, column: str, revision: int) -> bytes:
    return f"{table}/{row}/{column}/{revision}".encode()


def _checksum(plain: bytes, place: bytes) -> bytes:
    return blake2b(place + b"\0" + plain, digest_size=CHECKSUM_BYTES).digest()
