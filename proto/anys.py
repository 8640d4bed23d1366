"""Plain values on the wire: google.protobuf.Any of an exact list of types (call.proto)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any as Anything

from google.protobuf import wrappers_pb2 as wrappers
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from .plain import DEPTH_LIMIT, NotPlainError, Plain
from .taskscheduler_pb2 import ListValue, MapValue

PREFIX = "type.googleapis.com/"
INT64_MOST = 2**63 - 1

_SCALARS: dict[str, Callable[[], Anything]] = {
    f"{PREFIX}google.protobuf.{kind.__name__}": kind
    for kind in (
        wrappers.Int32Value,
        wrappers.Int64Value,
        wrappers.UInt32Value,
        wrappers.UInt64Value,
        wrappers.FloatValue,
        wrappers.DoubleValue,
        wrappers.BoolValue,
        wrappers.StringValue,
        wrappers.BytesValue,
    )
}
# A number of more bits than its type has would be cut short without a word.
_WIDER: dict[str, Callable[[], Anything]] = {
    f"{PREFIX}google.protobuf.Int32Value": wrappers.Int64Value,
    f"{PREFIX}google.protobuf.UInt32Value": wrappers.UInt64Value,
}
LIST = f"{PREFIX}taskscheduler.ListValue"
MAP = f"{PREFIX}taskscheduler.MapValue"
TYPE_URLS = (*_SCALARS, LIST, MAP)
Place = tuple[Anything, ...]
"""Where in a value something lies: (what the whole is called,), or (where what it lies in lies, its place there). In
words only when something is wrong there: to name each of a million places takes longer than to read them."""


def to_any(value: Plain) -> Any:
    """A plain value (plain.plain made it) on the wire. An int is an Int64Value, where it fits, else a UInt64Value."""
    if value is None:
        return Any()
    message = _message(value)
    return Any(type_url=PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True))


def from_any(packed: Any, where: str = "") -> Plain:
    """The plain value. Raises NotPlainError for a type that is not on the list, damaged bytes, or too much depth."""
    return _plain_of(packed, (where,), 0)


def _plain_of(packed: Any, at: Place, depth: int) -> Plain:
    type_url = packed.type_url
    if (kind := _SCALARS.get(type_url)) is not None:
        value = _parsed(kind, packed, at).value
        if type_url in _WIDER:
            _check_range(value, packed, at)
        return value
    if not type_url and not packed.value:
        return None
    if type_url not in (LIST, MAP):
        raise NotPlainError(f"{_at(at)}no such type: {type_url[:100]!r}")
    if depth >= DEPTH_LIMIT:
        raise NotPlainError(f"{_at(at, 40)}lists and maps lie more than {DEPTH_LIMIT} deep in each other")
    depth += 1
    if type_url == LIST:
        return [_plain_of(each, (at, place), depth) for place, each in enumerate(_parsed(ListValue, packed, at).values)]
    fields = _parsed(MapValue, packed, at).fields
    return {key: _plain_of(fields[key], (at, key), depth) for key in sorted(fields)}


def _message(value: Plain) -> Message:  # noqa: PLR0911 - one line for each type
    if isinstance(value, bool):
        return wrappers.BoolValue(value=value)
    if isinstance(value, int):
        return wrappers.Int64Value(value=value) if value <= INT64_MOST else wrappers.UInt64Value(value=value)
    if isinstance(value, float):
        return wrappers.DoubleValue(value=value)
    if isinstance(value, str):
        return wrappers.StringValue(value=value)
    if isinstance(value, bytes):
        return wrappers.BytesValue(value=value)
    if isinstance(value, list):
        return ListValue(values=[to_any(each) for each in value])
    return MapValue(fields={key: to_any(each) for key, each in value.items()})


def _parsed(kind: Callable[[], Anything], packed: Any, at: Place) -> Anything:
    try:
        return kind.FromString(packed.value)  # type: ignore[attr-defined]  # a class of messages
    except DecodeError:
        raise NotPlainError(f"{_at(at)}this is no {packed.type_url.removeprefix(PREFIX)}") from None


def _check_range(value: Plain, packed: Any, at: Place) -> None:
    if (whole := _parsed(_WIDER[packed.type_url], packed, at).value) != value:
        raise NotPlainError(f"{_at(at)}{whole} is no {packed.type_url.removeprefix(PREFIX)}: out of range")


def _at(at: Place, most: int | None = None) -> str:
    where = _where(at)[:most]
    return f"at {where}: " if where else ""


def _where(at: Place) -> str:
    if len(at) == 1:
        return str(at[0])
    outer, place = at
    return f"{_where(outer)}[{place!r}]"
