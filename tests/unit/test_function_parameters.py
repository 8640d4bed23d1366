"""What is said of a function: its signature, its documentation, what its parameters take."""

from __future__ import annotations

import collections
import collections.abc
import enum
import functools
import json
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import pytest

from tsched.executor.parameters import DOC_LIMIT, SIGNATURE_LIMIT, doc_of, params_of, signature_of, type_of

UserId = NewType("UserId", int)
T = TypeVar("T")
Json = Union[None, int, str, list["Json"], dict[str, "Json"]]  # noqa: UP007 - a string within


@dataclass
class Point:
    x: int


class Row(NamedTuple):
    left: int
    right: str


class Fields(TypedDict):
    left: int


class Colour(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, "none"),
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (str, "str"),
        (bytes, "bytes"),
        (bytearray, "bytes"),
        (Any, "any"),
        (object, "any"),
        (Optional[int], ["union", "int", "none"]),  # noqa: UP045 - both ways of writing it
        (int | str | None, ["union", "int", "str", "none"]),
        (int | Any, "any"),
        (Union[int, Union[int, str]], ["union", "int", "str"]),  # noqa: PYI016, UP007 - both ways of writing it
        (list, ["list", "any"]),
        (typing.List, ["list", "any"]),  # noqa: UP006 - both ways of writing it
        (list[int], ["list", "int"]),
        (list[list[int | None]], ["list", ["list", ["union", "int", "none"]]]),
        (tuple[int, ...], ["list", "int"]),
        (tuple[int, str, int], ["list", ["union", "int", "str"]]),
        (tuple[()], ["list", "any"]),
        (collections.abc.Sequence[float], ["list", "float"]),
        (collections.abc.Iterable[float], ["list", "float"]),
        (set[str], ["list", "str"]),
        (Row, ["list", "any"]),
        (dict, ["map", "any"]),
        (dict[str, int], ["map", "int"]),
        (collections.abc.Mapping[str, list[int]], ["map", ["list", "int"]]),
        (collections.OrderedDict[str, int], ["map", "int"]),
        (Fields, ["map", "any"]),
        (Literal[1, 2], "int"),
        (
            Literal["a", 1, None, True],  # noqa: PYI061
            ["union", "str", "int", "none", "bool"],
        ),
        (Literal[b"x"], "bytes"),
        (Literal[Colour.RED], "any"),
        (UserId, "int"),
        (Annotated[int, "of a user"], "int"),
        (list[Annotated[UserId, 1]], ["list", "int"]),
        (Point, "any"),
        (Colour, "any"),
        (Word, "str"),
        (T, "any"),
        (typing.LiteralString, "str"),
        (collections.abc.Callable[[int], int], "any"),
        (type[int], "any"),
        (3, "any"),
    ],
    ids=str,
)
def test_annotations_become_types(annotation: Any, expected: Any) -> None:
    assert type_of(annotation) == expected


def test_a_type_that_contains_itself_ends_somewhere() -> None:
    def takes(value: Json) -> None: ...

    (described,) = params_of(takes)
    assert described["type"][:4] == ["union", "none", "int", "str"]
    assert len(json.dumps(described)) < 100_000


def test_strings_are_looked_up_where_the_function_was_written_and_are_any_where_they_mean_nothing() -> None:
    def takes(known: Point, plain: list[int], unknown: Nowhere, within: dict[str, Nowhere]) -> None: ...  # noqa: F821

    def quoted(a: list["int"]) -> None: ...  # noqa: UP037 - quotes within

    assert [each["type"] for each in params_of(takes)] == ["any", ["list", "int"], "any", "any"]
    assert [each["type"] for each in params_of(quoted)] == [["list", "int"]]


def test_an_annotation_that_raises_is_any() -> None:
    def takes(a: 1 / 0, b: int) -> None: ...

    assert [each["type"] for each in params_of(takes)] == ["any", "int"]
    assert signature_of(takes) == "(a: 1 / 0, b: int) -> None"


def odd(a, b: int, /, c: str = "x", *rest: float, d: bool, e: int = None, **others: bytes):  # noqa: RUF013
    """Has one of each."""


def test_every_kind_of_parameter_is_told_and_whether_it_has_to_be_given() -> None:
    described = [(each["name"], each["kind"], each["type"], each["required"]) for each in params_of(odd)]
    assert described == [
        ("a", "positional_only", "any", True),
        ("b", "positional_only", "int", True),
        ("c", "positional_or_keyword", "str", False),
        ("rest", "var_positional", "float", False),
        ("d", "keyword_only", "bool", True),
        ("e", "keyword_only", ["union", "int", "none"], False),
        ("others", "var_keyword", "bytes", False),
    ]
    assert signature_of(odd) == ("(a, b: int, /, c: str = 'x', *rest: float, d: bool, e: int = None, **others: bytes)")


class Machine:
    def method(self, speed: int) -> None:
        """Goes."""

    @staticmethod
    def static(speed: int) -> None: ...

    @classmethod
    def of(cls, speed: int) -> None: ...

    def __call__(self, speed: UserId) -> None: ...


def wrapper(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@wrapper
def decorated(number: UserId) -> None:
    """What it is."""


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda a, b=1: a + b, ["a", "b"]),
        (functools.partial(odd, 1, 2, d=True), ["c", "rest", "d", "e", "others"]),
        (Machine().method, ["speed"]),
        (Machine.method, ["self", "speed"]),
        (Machine.static, ["speed"]),
        (Machine.of, ["speed"]),
        (Machine(), ["speed"]),
        (decorated, ["number"]),
        (len, ["obj"]),
    ],
    ids=["lambda", "partial", "bound", "plain", "static", "of a class", "callable", "decorated", "built in"],
)
def test_the_parameters_of_all_that_can_be_called_are_found(function: Any, names: list[str]) -> None:
    assert [each["name"] for each in params_of(function)] == names


@pytest.mark.parametrize("function", [decorated, Machine()], ids=["function", "object"])
def test_the_strings_of_a_wrapped_function_are_looked_up_where_it_was_written(function: Any) -> None:
    assert [each["type"] for each in params_of(function)] == ["int"]


def test_compiled_code_that_does_not_tell_its_parameters_is_not_checked() -> None:
    assert params_of(getattr) is None
    assert signature_of(getattr) == "(...)"


class Loud:
    def __init__(self, text: str | None) -> None:
        self.text = text

    def __repr__(self) -> str:
        if self.text is None:
            raise RuntimeError("no")
        return self.text


def test_defaults_are_shown_short_whatever_their_repr_does() -> None:
    def takes(a=Loud("x" * 1_000_000), b=Loud(None), c=Loud("two\nlines"), d=Loud("\ud800")): ...  # noqa: B008

    shown = signature_of(takes)
    assert shown == f"(a={'x' * 57}..., b=..., c=two lines, d=?)"


def test_a_signature_without_end_is_cut() -> None:
    names: dict[str, Any] = {}
    exec(f"def takes({', '.join(f'parameter_{number}' for number in range(1000))}): ...", names)
    assert len(signature_of(names["takes"])) == SIGNATURE_LIMIT
    assert len(params_of(names["takes"])) == 1000


def test_documentation_loses_its_indentation_and_keeps_its_letters() -> None:
    def documented() -> None:
        """Zählt Äpfel 🍎.

        Mehr:
            eingerückt
        """

    assert doc_of(documented) == "Zählt Äpfel 🍎.\n\nMehr:\n    eingerückt"


@pytest.mark.parametrize("doc", [None, 3, "x" * 100_000, "\ud800"], ids=["none", "number", "long", "surrogate"])
def test_documentation_that_is_none_or_too_much_breaks_nothing(doc: Any) -> None:
    def documented() -> None: ...

    documented.__doc__ = doc
    assert len(doc_of(documented).encode()) <= DOC_LIMIT
