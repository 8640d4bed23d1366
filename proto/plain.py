"""Plain values: what functions take and return. Only the standard library: a function's own interpreter loads this too.

None, bool, int of 64 bits, float, str, bytes, and lists and string-keyed maps of such. As JSON, for people and between
processes that trust nobody: bytes as {"@bytes": base64}, a float that JSON has no word for as {"@float": "nan"}, a map
of which a key begins with @ as {"@map": {...}}.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

DEPTH_LIMIT = 64
"""Lists and maps inside each other."""
_NESTED_BYTES = 2
"""What a value inside of another takes at least: none does."""
SIZE_LIMIT = 4 * 1024 * 1024
"""Of all arguments of a call, and of a result, as bytes on the wire."""
INT64_LEAST = -(2**63)
UINT64_MOST = 2**64 - 1
_NO_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

Plain = Any
"""None | bool | int | float | str | bytes | list[Plain] | dict[str, Plain]"""


class NotPlainError(ValueError):
    """A value cannot be sent; says which, and where."""


def plain(value: object, where: str = "", depth: int = 0) -> Plain:  # noqa: PLR0911 - one line for each kind
    """The value as plain values: tuples become lists, subclasses what they stand for. Raises NotPlainError."""
    if value is None or type(value) in (bool, str, float):
        return _encodable(value, where) if type(value) is str else value
    if isinstance(value, (list, tuple, Mapping)):
        return _nested(value, where, depth)
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return _ranged(int(value), where)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _encodable(str.__str__(value), where)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise NotPlainError(f"{_at(where)}a value of type {type(value).__name__} cannot be sent")


def to_json(value: Plain) -> Any:
    """A plain value as JSON has it."""
    if isinstance(value, bytes):
        return {"@bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"@float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, dict):
        fields = {key: to_json(each) for key, each in value.items()}
        return {"@map": fields} if any(key.startswith("@") for key in fields) else fields
    return value


def from_json(value: Any, where: str = "", depth: int = 0) -> Plain:
    """The plain value that `to_json` made this of. Raises NotPlainError, also for what nobody could have made."""
    if isinstance(value, dict) and any(key.startswith("@") for key in value):
        return _special(value, where, depth)
    if isinstance(value, list):
        _check_depth(where, depth)
        return [from_json(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(value)]
    return _map(value, where, depth) if isinstance(value, dict) else plain(value, where, depth)


def _nested(value: Any, where: str, depth: int) -> Plain:
    _check_depth(where, depth)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise NotPlainError(f"{_at(where)}a map's key is of type {type(key).__name__}, not a string")
        return {
            _encodable(str.__str__(key), where): plain(each, f"{where}[{key!r}]", depth + 1)
            for key, each in value.items()
        }
    return [plain(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(value)]


def _special(value: dict[str, Any], where: str, depth: int) -> Plain:
    match value:
        case {"@bytes": str(text), **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise NotPlainError(f"{_at(where)}@bytes holds no base64") from None
        case {"@float": str(word), **rest} if not rest and word in _NO_JSON:
            return _NO_JSON[word]
        case {"@map": dict(fields), **rest} if not rest:
            return _map(fields, where, depth)
    raise NotPlainError(f'{_at(where)}a key that begins with @ means something else; write {{"@map": {{...}}}}')


def _map(fields: dict[str, Any], where: str, depth: int) -> Plain:
    _check_depth(where, depth)
    return {_encodable(key, where): from_json(each, f"{where}[{key!r}]", depth + 1) for key, each in fields.items()}


def _check_depth(where: str, depth: int) -> None:
    if depth >= DEPTH_LIMIT:
        raise NotPlainError(f"{_at(where[:40])}lists and maps lie more than {DEPTH_LIMIT} deep in each other")


def _ranged(value: int, where: str) -> int:
    if not INT64_LEAST <= value <= UINT64_MOST:
        raise NotPlainError(f"{_at(where)}an integer of more than 64 bits cannot be sent")
    return value


def _encodable(text: Any, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotPlainError(f"{_at(where)}a string that is not valid UTF-8 cannot be sent; use bytes") from None
    return str(text)


def _at(where: str) -> str:
    return f"at {where}: " if where else ""


def least_bytes(value: Plain) -> int:
    """What a value takes on the wire at least; quicker to tell than what it takes."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, list):
        return _NESTED_BYTES * len(value) + sum(least_bytes(each) for each in value if each is not None)
    if isinstance(value, dict):
        return sum(_NESTED_BYTES + len(key) + least_bytes(each) for key, each in value.items())
    return 0
