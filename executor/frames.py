"""The frames between an executor and a runner: four bytes of length, then JSON `[[type, fields], ...]`.

Descriptors travel as SCM_RIGHTS beside the first byte of the frame they belong to.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from .messages import TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .messages import Message

_HEAD = struct.Struct(">I")
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def pack(messages: Sequence[Message]) -> bytes:
    """One frame with these messages."""
    body = _encode([(type(message).__name__, message) for message in messages]).encode()
    return _HEAD.pack(len(body)) + body


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with this data."""
        self._buffer += data
        messages: list[Message] = []
        while (body := self._cut()) is not None:
            messages += [TYPES[name](*fields) for name, fields in json.loads(body)]
        return messages

    def _cut(self) -> bytes | None:
        if len(self._buffer) < _HEAD.size:
            return None
        end = _HEAD.size + _HEAD.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return body
