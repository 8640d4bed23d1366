"""The frames between an executor and a runner: four bytes of length, then `[(type, fields), ...]`.

Orders are marshalled: both ends are the same interpreter, and a long environment costs a quarter of what it does as
JSON. Reports are JSON: whoever reads them trusts nobody below. Descriptors travel as SCM_RIGHTS beside the first byte
of the frame they belong to.
"""

from __future__ import annotations

import json
import marshal
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from .messages import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .messages import Message

_HEAD = struct.Struct(">I")
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Codec(NamedTuple):
    """How plain values become bytes, and values again."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


ORDERS = Codec(marshal.dumps, marshal.loads)
REPORTS = Codec(lambda values: _to_json(values).encode(), json.loads)


def pack(codec: Codec, messages: Sequence[Message]) -> bytes:
    """One frame with these messages."""
    body = codec.encode([(type(message).__name__, tuple(message)) for message in messages])
    return _HEAD.pack(len(body)) + body


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with this data."""
        self._buffer += data
        messages: list[Message] = []
        while (body := self._cut()) is not None:
            messages += [TYPES[name](*fields) for name, fields in self._codec.decode(body)]
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
