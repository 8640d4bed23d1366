"""The frames between an executor and a runner: four bytes of length, then `[(type, fields), ...]`.

Orders are marshalled, in a form that every Python reads: a long environment costs a quarter of what it does as JSON.
Reports are JSON: whoever reads them trusts nobody below. Descriptors travel as SCM_RIGHTS beside the first byte of the
frame they belong to.
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

MOST_BYTES = 64 * 1024 * 1024
"""Of a frame. No order and no result that may be sent is as long, whatever JSON makes of it."""
MARSHAL_VERSION = 2
_HEAD = struct.Struct(">I")
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class FrameError(ValueError):
    """What came is none of ours."""


class Codec(NamedTuple):
    """How plain values become bytes, and values again."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


ORDERS = Codec(lambda values: marshal.dumps(values, MARSHAL_VERSION), marshal.loads)
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
        """The messages that are complete with this data. Raises FrameError."""
        self._buffer += data
        messages: list[Message] = []
        try:
            while (body := self._cut()) is not None:
                messages += [TYPES[name](*fields) for name, fields in self._codec.decode(body)]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FrameError(f"{type(error).__name__}: {error}") from error
        return messages

    def _cut(self) -> bytes | None:
        if len(self._buffer) < _HEAD.size:
            return None
        end = _HEAD.size + _HEAD.unpack_from(self._buffer)[0]
        if end > MOST_BYTES:
            raise FrameError(f"a frame of {end} bytes")
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return body
