"""The arguments of a call against what its function takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..proto import anys, call_pb2, checks
from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import DEPTH_LIMIT, SIZE_LIMIT, NotPlainError, Plain

POSITIONAL_ONLY = "positional_only"
POSITIONAL = "positional_or_keyword"
VAR_POSITIONAL = "var_positional"
KEYWORD_ONLY = "keyword_only"
VAR_KEYWORD = "var_keyword"
KINDS = frozenset({POSITIONAL_ONLY, POSITIONAL, VAR_POSITIONAL, KEYWORD_ONLY, VAR_KEYWORD})

# What Python's type checkers take where a type is asked for: a bool is an int, and an int is taken for a float.
_SCALARS: dict[str, tuple[type, ...]] = {
    "any": (object,),
    "none": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bytes": (bytes,),
}
_WORDS = {bool: "a bool", int: "an int", float: "a float", str: "a string", bytes: "bytes", list: "a list"}


class Type(NamedTuple):
    """What a parameter takes: any, none, bool, int, float, str, bytes, or list, map, union of others."""

    word: str
    of: tuple[Type, ...] = ()

    def __str__(self) -> str:
        parts = [str(each) for each in self.of]
        match self.word:
            case "list":
                return f"list[{parts[0]}]"
            case "map":
                return f"dict[str, {parts[0]}]"
            case "union":
                return " | ".join(parts)
        return {"none": "None", "any": "Any"}.get(self.word, self.word)


ANY = Type("any")


def type_of(told: Any, depth: int = 0) -> Type:
    """The type that a description tells of. Raises ValueError for what is none."""
    if isinstance(told, str) and told in _SCALARS:
        return Type(told)
    if depth < DEPTH_LIMIT and isinstance(told, list) and told:
        word, *of = told
        if (word in ("list", "map") and len(of) == 1) or (word == "union" and of):
            return Type(word, tuple(type_of(each, depth + 1) for each in of))
    raise ValueError(f"no such type: {str(told)[:40]}")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a function."""

    name: str
    kind: str
    type: Type
    required: bool

    def __str__(self) -> str:
        stars = {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(self.kind, "")
        return f"{stars}{self.name}" if self.type == ANY else f"{stars}{self.name}: {self.type}"


class Params:
    """All that a function takes, in order; None: nobody knows, and it takes values by place only."""

    def __init__(self, params: Sequence[Param] | None) -> None:
        self._known = params is not None
        given = params or ()
        self._places = [each for each in given if each.kind in (POSITIONAL_ONLY, POSITIONAL)]
        self._names = {each.name: each for each in given if each.kind in (POSITIONAL, KEYWORD_ONLY)}
        self._rest = _only(given, VAR_POSITIONAL) if self._known else Param("arguments", VAR_POSITIONAL, ANY, False)
        self._others = _only(given, VAR_KEYWORD)
        self._needs = any(each.required for each in given)

    def check(self, function: str, call: call_pb2.Call) -> None:
        """Raises Refusal BAD_ARGUMENTS naming function and parameter."""
        for param, where, argument in self._matched(function, call):
            _check_argument(function, param, where, argument)
        # Last, as it is the dearest: what holds too many values was refused above if it is wrong besides.
        if (size := call.ByteSize()) > SIZE_LIMIT:
            message = f"the arguments of {function} are {size} bytes long, at most {SIZE_LIMIT} are taken"
            raise Refusal(RefusalReason.BAD_ARGUMENTS, message, "put large data into a file, and give its path")

    def _matched(self, function: str, call: call_pb2.Call) -> Iterator[tuple[Param, str, call_pb2.Argument]]:
        """Each argument with its parameter and what to call it."""
        count = len(call.args)
        if count > len(self._places) and self._rest is None:
            raise _refused(f"{function} takes {self._most()}, not {count}")
        for place, argument in enumerate(call.args):
            param = self._places[place] if place < len(self._places) else self._rest
            assert param is not None  # noqa: S101 - counted above
            own = param.kind != VAR_POSITIONAL
            yield param, param.name if own else f"{param.name}[{place - len(self._places)}]", argument
        if call.kwargs:
            for name in sorted(call.kwargs):
                yield self._named(function, name, count), name, call.kwargs[name]
        if self._needs and (missing := list(self._missing(call))):
            raise _refused(f"{function} needs {', '.join(map(str, missing))}")

    def _most(self) -> str:
        most = len(self._places)
        if not most:
            return "no arguments by place" if self._names or self._others else "no arguments"
        return f"at most {most} argument{'s'[: most != 1]} by place"

    def _named(self, function: str, name: str, given: int) -> Param:
        place = next((place for place, each in enumerate(self._places) if each.name == name), None)
        if (param := self._names.get(name)) is not None:
            if place is not None and place < given:
                raise _refused(f"{function} is given {name} twice, by place and by name")
            return param
        if self._others is not None:
            return self._others
        shown = checks.quoted(name)
        if place is not None:
            raise _refused(f"{function} takes {name} by place only, not by name")
        if not self._known:
            raise _refused(f"{function} takes arguments by place only, not {shown} by name")
        raise _refused(f"{function} has no parameter named {shown}", self._meant(name))

    def _meant(self, name: str) -> str:
        near = get_close_matches(name, self._names, n=1)
        return f"did you mean {near[0]}?" if near else _names_hint(self._names)

    def _missing(self, call: call_pb2.Call) -> Iterator[Param]:
        for place, param in enumerate(self._places):
            by_name = param.kind == POSITIONAL and param.name in call.kwargs
            if param.required and place >= len(call.args) and not by_name:
                yield param
        for param in self._names.values():
            if param.kind == KEYWORD_ONLY and param.required and param.name not in call.kwargs:
                yield param


def _only(params: Iterable[Param], kind: str) -> Param | None:
    return next((each for each in params if each.kind == kind), None)


def _names_hint(names: Iterable[str]) -> str:
    shown = ", ".join(names)
    return f"it takes {shown}" if shown else "it takes none by name"


def params_of(told: Any) -> Params:
    """What a description tells of the parameters. Raises ValueError for what is no such list."""
    if told is None:
        return Params(None)
    if not isinstance(told, list):
        raise ValueError("its parameters are no list")  # noqa: TRY004 - what was sent is wrong, not a type of ours
    return Params([_param_of(each) for each in told])


def _param_of(told: Any) -> Param:
    match told:
        case {"name": str(name), "kind": str(kind), "type": kept, "required": bool(required)} if (
            kind in KINDS and name.isidentifier()
        ):
            return Param(name, kind, type_of(kept), required)
    raise ValueError(f"no such parameter: {str(told)[:80]}")


def _check_argument(function: str, param: Param, where: str, argument: call_pb2.Argument) -> None:
    kind = argument.WhichOneof("kind")
    if kind is None:
        raise _refused(f"{function} is given nothing for {where}, not even none")
    if kind != "value":
        return  # a result: it is looked at when it is there
    try:
        value = anys.from_any(argument.value, where)
    except NotPlainError as error:
        raise _refused(f"{function}: {error}") from None
    if (wrong := _mismatch(value, param.type, "")) is not None:
        raise _refused(_complaint(function, param, where, *wrong))


def _complaint(function: str, param: Param, where: str, path: str, value: Plain) -> str:
    if not path:
        return f"{function} takes {param}, not {_word(value)}"
    return f"{function} takes {param}, but {where}{path} is {_word(value)}"


def _word(value: Plain) -> str:
    return "none" if value is None else _WORDS.get(type(value), "a map")


def _mismatch(value: Plain, wanted: Type, path: str) -> tuple[str, Plain] | None:
    """Where in the value something is that is not wanted, and what."""
    if (types := _SCALARS.get(wanted.word)) is not None:
        return None if isinstance(value, types) else (path, value)
    if wanted.word == "union":
        found = [_mismatch(value, each, path) for each in wanted.of]
        # The deepest complaint is of the one that was meant.
        return None if None in found else max((each for each in found if each), key=lambda each: len(each[0]))
    if wanted.word == "list" and isinstance(value, list):
        inner = ((f"{path}[{place}]", each) for place, each in enumerate(value))
    elif wanted.word == "map" and isinstance(value, dict):
        inner = ((f"{path}[{key!r}]", each) for key, each in value.items())
    else:
        return path, value
    return next((wrong for at, each in inner if (wrong := _mismatch(each, wanted.of[0], at))), None)


def _refused(message: str, hint: str = "tsched functions shows what it takes") -> Refusal:
    return Refusal(RefusalReason.BAD_ARGUMENTS, message, hint)
