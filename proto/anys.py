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


def to_any(value: Plain) -> Any:
    """A plain value (plain.plain made it) on the wire. An int is an Int64Value, where it fits, else a UInt64Value."""
    if value is None:
        return Any()
    message = _message(value)
    return Any(type_url=PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True))


def from_any(packed: Any, where: str = "", depth: int = 0) -> Plain:
    """The plain value. Raises NotPlainError for a type that is not on the list, damaged bytes, or too much depth."""
    if not packed.type_url and not packed.value:
        return None
    if packed.type_url in _SCALARS:
        value = _parsed(_SCALARS[packed.type_url](), packed, where).value
        _check_range(value, packed, where)
        return value
    if packed.type_url not in (LIST, MAP):
        raise NotPlainError(f"{_at(where)}no such type: {packed.type_url[:100]!r}")
    if depth >= DEPTH_LIMIT:
        raise NotPlainError(f"{_at(where[:40])}lists and maps lie more than {DEPTH_LIMIT} deep in each other")
    if packed.type_url == LIST:
        values = _parsed(ListValue(), packed, where).values
        return [from_any(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(values)]
    fields = _parsed(MapValue(), packed, where).fields
    return {key: from_any(fields[key], f"{where}[{key!r}]", depth + 1) for key in sorted(fields)}


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


def _parsed(message: Anything, packed: Any, where: str) -> Anything:
    try:
        message.ParseFromString(packed.value)
    except DecodeError:
        raise NotPlainError(f"{_at(where)}this is no {packed.type_url.removeprefix(PREFIX)}") from None
    return message


def _check_range(value: Plain, packed: Any, where: str) -> None:
    wider = _WIDER.get(packed.type_url)
    if wider is not None and (whole := _parsed(wider(), packed, where).value) != value:
        raise NotPlainError(f"{_at(where)}{whole} is no {packed.type_url.removeprefix(PREFIX)}: out of range")


def _at(where: str) -> str:
    return f"at {where}: " if where else ""
