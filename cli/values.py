"""Arguments of a function as they are typed: JSON where a word is JSON, otherwise the word itself. Pure.

`5`, `-1.5`, `true`, `null`, `"5"`, `[1, 2]`, `{"a": 1}` and `{"@bytes": "AAE="}` are JSON. `007`, `nan`, `1_000`,
`hello world` are not: they are strings. A word that begins as a list, a map or a quoted string and is none is a mistake
rather than a string, and so is a number that cannot be sent. `@result:ID` is what another task returned.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..proto import checks, plain
from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from ..proto.plain import Plain

RESULT = "@result:"
_OPENING = ("[", "{", '"')
HINT = "quote it as JSON, or take every word as it stands: --raw"


class ResultOf(NamedTuple):
    """What another task returned."""

    id: str


class _NotJsonError(ValueError):
    """It looked like JSON of Python's making, and is none."""


def argument(word: str, *, raw: bool) -> Plain | ResultOf:
    """One argument. Raises Refusal BAD_ARGUMENTS."""
    if raw:
        return _plain(word, word)
    if word.startswith(RESULT):
        return ResultOf(checks.check_reference(word.removeprefix(RESULT)))
    return _plain(_read(word), word)


def keyword(pair: str, *, raw: bool) -> tuple[str, Plain | ResultOf]:
    """A name and its argument, NAME=VALUE. Raises Refusal BAD_USAGE or BAD_ARGUMENTS."""
    name, equals, word = pair.partition("=")
    if not equals or not name.isidentifier():
        message = f"not an argument by name: {checks.quoted(pair)}"
        raise Refusal(RefusalReason.BAD_USAGE, message, "write --kw NAME=VALUE")
    return name, argument(word, raw=raw)


def _read(word: str) -> Any:
    """The JSON value of a word, or the word."""
    try:
        return json.loads(
            word, parse_constant=_refuse_constant, parse_float=_number, parse_int=_number, object_pairs_hook=_map
        )
    except RecursionError:
        raise _bad(word, "it is nested too deeply") from None
    except json.JSONDecodeError as error:
        if word.lstrip().startswith(_OPENING):
            raise _bad(word, f"no JSON from character {error.pos + 1} on: {error.msg}") from None
    except _NotJsonError:
        if word.lstrip().startswith(_OPENING):
            raise _bad(word, "NaN and Infinity are no JSON") from None
    return word


def _refuse_constant(_word: str) -> NoReturn:
    raise _NotJsonError


def _number(digits: str) -> int | float:
    if set(digits) & set(".eE"):
        value = float(digits)
        if not math.isfinite(value):
            raise _bad(digits, "a number as large as that cannot be sent")
        return value
    if len(digits) > len(str(plain.INT64_LEAST)):
        raise _bad(digits, "an integer of more than 64 bits cannot be sent")
    return int(digits)


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise _bad(name, "a map has this key twice")
        fields[name] = value
    return fields


def _plain(value: Any, word: str) -> Plain:
    try:
        return plain.from_json(value)
    except plain.NotPlainError as error:
        raise _bad(word, str(error)) from None


def _bad(word: str, why: str) -> Refusal:
    return Refusal(RefusalReason.BAD_ARGUMENTS, f"bad argument {checks.quoted(word)}: {why}", HINT)
