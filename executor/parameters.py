"""What can be said of a Python function without calling it: signature, documentation, types of its parameters.

A type is "any", "none", "bool", "int", "float", "str", "bytes", ["list", TYPE], ["map", TYPE of its values] or
["union", TYPE, TYPE...]. What plain values have no word for is "any": such a function may know what to make of them.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from .found import shortened

SIGNATURE_LIMIT = 1000
"""Characters of a signature's text."""
SHOWN_LIMIT = 60
"""Characters of one default or annotation in it."""
DOC_LIMIT = 16_000
"""Characters of a function's documentation."""
TYPE_DEPTH = 8
"""A type nested deeper is "any" from there on; types may be recursive."""

Type = Any
"""str | list: see above."""

_SCALARS = ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (bytes, "bytes"))
_BYTES = (bytearray, memoryview)
_MAPS = (collections.abc.Mapping,)
_LISTS = (list, tuple, set, frozenset, collections.abc.Set, collections.abc.Sequence)
_ITERABLES = (collections.abc.Collection, collections.abc.Iterable, collections.abc.Reversible)


class _Shown:
    """Stands in a signature for a default or an annotation, by its text."""

    def __init__(self, text: str) -> None:
        self.text = shortened(text, SHOWN_LIMIT)

    def __repr__(self) -> str:
        return self.text


def signature_of(function: Callable[..., Any]) -> str:
    """The signature as one writes it, without the word def: `(a: int, b: int = 0) -> int`."""
    signature = _signature(function)
    if signature is None:
        return "(...)"
    parameters = [_shown(parameter) for parameter in signature.parameters.values()]
    returns = _annotation_text(signature.return_annotation)
    return shortened(str(signature.replace(parameters=parameters, return_annotation=returns)), SIGNATURE_LIMIT)


def doc_of(function: Callable[..., Any]) -> str:
    """Its own documentation, without the indentation that it has in the code."""
    doc = getattr(function, "__doc__", None)
    return shortened(inspect.cleandoc(doc), DOC_LIMIT) if isinstance(doc, str) else ""


def params_of(function: Callable[..., Any]) -> list[dict[str, Any]] | None:
    """Its parameters in order: name, kind, type, required. None where nobody can know: a call is not checked then."""
    signature = _signature(function)
    if signature is None:
        return None
    names = _names_of(function)
    return [_described(parameter, names) for parameter in signature.parameters.values()]


def type_of(annotation: Any, depth: int = 0) -> Type:  # noqa: PLR0911 - one line for each kind of annotation
    """The type that an annotation stands for."""
    if annotation is None or annotation is types.NoneType:
        return "none"
    if depth > TYPE_DEPTH:
        return "any"
    if isinstance(annotation, typing.NewType):
        return type_of(annotation.__supertype__, depth + 1)
    if hasattr(annotation, "__value__"):  # type X = ..., from Python 3.12 on
        return type_of(annotation.__value__, depth + 1)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_of(arguments[0], depth)
    if origin is typing.Literal:
        return _union(type_of(type(value)) for value in arguments)
    if origin is typing.Union or isinstance(annotation, types.UnionType):
        return _union(type_of(each, depth + 1) for each in arguments)
    if annotation is typing.LiteralString:
        return "str"
    return _of_class(origin or annotation, arguments, depth)


def _of_class(kind: Any, arguments: tuple[Any, ...], depth: int) -> Type:
    if not isinstance(kind, type):
        return "any"
    for scalar, word in _SCALARS:
        if issubclass(kind, scalar):
            return word
    if kind in _BYTES:
        return "bytes"
    if issubclass(kind, _MAPS) or typing.is_typeddict(kind):
        return ["map", type_of(arguments[1], depth + 1) if len(arguments) > 1 else "any"]
    if issubclass(kind, _LISTS) or kind in _ITERABLES:
        within = [type_of(each, depth + 1) for each in arguments if each is not ...]
        return ["list", _union(within) if within else "any"]
    return "any"


def _union(kinds: Iterable[Type]) -> Type:
    """One of these; what says no more than the others is left out."""
    flat: list[Type] = []
    for kind in kinds:
        several = kind[1:] if isinstance(kind, list) and kind[0] == "union" else [kind]
        flat += [each for each in several if each not in flat]
    if "any" in flat or not flat:
        return "any"
    return flat[0] if len(flat) == 1 else ["union", *flat]


def _described(parameter: inspect.Parameter, names: dict[str, Any]) -> dict[str, Any]:
    kind = _type_in(parameter.annotation, names)
    star = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    if parameter.default is None:
        kind = _union([kind, "none"])  # `x: int = None` is often written, and means that None may be given
    return {
        "name": parameter.name,
        "kind": parameter.kind.name.lower(),
        "type": kind,
        "required": not star and parameter.default is parameter.empty,
    }


def _type_in(annotation: Any, names: dict[str, Any]) -> Type:
    """The type with strings looked up; what means nothing here, as a name known under TYPE_CHECKING alone, is any."""
    if annotation is inspect.Parameter.empty:
        return "any"
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return type_of(typing.get_type_hints(holder, globalns=names, localns={}, include_extras=True)["it"])
    except Exception:  # noqa: BLE001 - evaluating it runs somebody's code
        return "any"


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # of compiled code that does not say
        return None


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names that its annotations mean: of the module that defines it."""
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    called = function if hasattr(function, "__globals__") else type(function).__call__
    return getattr(called, "__globals__", {})


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    if default is not parameter.empty:
        default = _Shown(_text(default))
    return parameter.replace(default=default, annotation=_annotation_text(parameter.annotation))


def _annotation_text(annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return annotation
    return _Shown(annotation if isinstance(annotation, str) else _text(annotation, inspect.formatannotation))


def _text(value: object, write: Callable[[object], str] = repr) -> str:
    try:
        return " ".join(write(value).split())
    except Exception:  # noqa: BLE001 - its __repr__ is somebody's code
        return "..."
