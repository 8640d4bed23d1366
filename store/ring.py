"""The keys of a store, the newest first: the first one seals, every one opens. Pure.

A key is a Fernet key: 32 random bytes as urlsafe base64 (https://github.com/fernet/spec). In a file each has a line of
its own; empty lines and what follows a # say nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from cryptography.fernet import Fernet

from ..proto.errors import Refusal, RefusalReason

ID_BYTES = 4
KEY_BYTES = 32
LINE = re.compile(r"[A-Za-z0-9_-]{43}=")
MOST_KEYS = 16
ABOUT = "# tsched's keys, the newest first. Who has them can read what is stored; without them nobody can.\n"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Its id stands before all that it sealed, and tells nothing about it."""

    text: str = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A new one."""
        return cls(Fernet.generate_key().decode())

    @property
    def id(self) -> bytes:
        """By which it is known."""
        return hashlib.sha256(b"tsched key id\0" + base64.urlsafe_b64decode(self.text)).digest()[:ID_BYTES]


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys of a store, one at least."""

    keys: tuple[Key, ...]

    @property
    def newest(self) -> Key:
        """The one that seals."""
        return self.keys[0]

    def with_new(self, key: Key) -> Ring:
        """The same with a newer one."""
        return Ring((key, *self.keys))

    def only_newest(self) -> Ring:
        """Without those that seal nothing any more."""
        return Ring(self.keys[:1])

    @property
    def text(self) -> str:
        """As it is written to a file."""
        return ABOUT + "".join(f"{key.text}\n" for key in self.keys)


def parse(text: str, origin: str) -> Ring:
    """The keys that a text holds. Raises Refusal KEY_UNUSABLE, which shows nothing of them."""
    keys = list(_keys(text.splitlines(), origin))
    if not keys:
        raise unusable(f"{origin} holds no key", "restore a copy of it")
    if len(keys) > MOST_KEYS:
        raise unusable(f"{origin} holds {len(keys)} keys, {MOST_KEYS} are the most", "remove those at its end")
    if len(set(keys)) < len(keys):
        raise unusable(f"{origin} holds a key twice", "remove one of the two")
    return Ring(tuple(keys))


def unusable(message: str, hint: str) -> Refusal:
    """Why a key cannot be used, or is not there."""
    return Refusal(RefusalReason.KEY_UNUSABLE, message, hint)


def _keys(lines: Iterable[str], origin: str) -> Iterator[Key]:
    for number, line in enumerate(lines, 1):
        word = line.partition("#")[0].strip()
        if word and not _is_key(word):
            raise unusable(f"line {number} of {origin} is no key", "restore a copy of it")
        if word:
            yield Key(word)


def _is_key(word: str) -> bool:
    try:
        return LINE.fullmatch(word) is not None and len(base64.urlsafe_b64decode(word)) == KEY_BYTES
    except binascii.Error:
        return False
