"""Arguments against a signature: what is refused names function and parameter, what Python would take is taken."""

import inspect

import pytest
from google.protobuf import wrappers_pb2 as wrappers
from google.protobuf.any_pb2 import Any
from hypothesis import given, settings
from hypothesis import strategies as st

from tsched.proto import anys, call_pb2
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor import arguments

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional_only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional_or_keyword",
    inspect.Parameter.VAR_POSITIONAL: "var_positional",
    inspect.Parameter.KEYWORD_ONLY: "keyword_only",
    inspect.Parameter.VAR_KEYWORD: "var_keyword",
}


def value(plain):
    return call_pb2.Argument(value=anys.to_any(plain))


def call(*args, **kwargs):
    return call_pb2.Call(
        function="f", args=map(value, args), kwargs={name: value(each) for name, each in kwargs.items()}
    )


def params(signature, **types):
    """What an inspection would tell of a function, given as the text between its brackets, or as a signature."""
    if isinstance(signature, str):
        signature = inspect.signature(eval(f"lambda {signature}: None"))
    return arguments.params_of(
        [
            {
                "name": each.name,
                "kind": KINDS[each.kind],
                "type": types.get(each.name, "any"),
                "required": each.default is each.empty and "VAR" not in each.kind.name,
            }
            for each in signature.parameters.values()
        ]
    )


def refusal(checked, asked, name="math::add"):
    with pytest.raises(Refusal) as caught:
        checked.check(name, asked)
    assert caught.value.reason == RefusalReason.BAD_ARGUMENTS
    assert "\n" not in caught.value.message
    return caught.value


def message(checked, asked):
    return refusal(checked, asked).message


def test_an_annotation_that_does_not_match_names_function_parameter_and_both_types():
    add = params("a, b", a="int", b="int")
    add.check("math::add", call(1, 2))
    assert message(add, call(1, "2")) == "math::add takes b: int, not a string"
    assert message(add, call(1, b=None)) == "math::add takes b: int, not none"
    assert message(add, call(1.0, 2)) == "math::add takes a: int, not a float"


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ("bool", [True], [1, None, "true"]),
        ("int", [1, True, -(2**63), 2**64 - 1], [1.0, "1", None, b"", [1]]),
        ("float", [1.5, 1, False, float("nan")], ["1.5", None]),
        ("str", ["", "a"], [b"a", 1, ["a"]]),
        ("bytes", [b"a"], ["a", [97]]),
        ("none", [None], [0, "", False]),
        ("any", [None, 1, [None, {"a": [b""]}]], []),
        (["union", "int", "none"], [1, None], ["1", 1.5]),
        (["list", "int"], [[], [1, True]], [1, {"a": 1}, "ab", None, b"12"]),
        (["map", ["list", "str"]], [{}, {"a": ["b"]}], [[], {"a": "b"}, {"a": [1]}]),
    ],
)
def test_values_are_taken_as_type_checkers_take_them(wanted, good, bad):
    checked = params("x", x=wanted)
    for each in good:
        checked.check("f", call(each))
    for each in bad:
        refusal(checked, call(each))


def test_what_is_wrong_inside_a_value_is_named_with_its_place():
    checked = params("rows", rows=["list", ["map", "int"]])
    assert message(checked, call([{"a": 1}, {"b": "x"}])) == (
        "math::add takes rows: list[dict[str, int]], but rows[1]['b'] is a string"
    )
    either = params("rows", rows=["union", "none", ["list", "int"]])
    assert message(either, call([1, "x"])) == "math::add takes rows: None | list[int], but rows[1] is a string"


def test_too_many_too_few_unknown_and_double_arguments_are_told_apart():
    add = params("a, b=2", a="int")
    assert message(add, call(1, 2, 3)) == "math::add takes at most 2 arguments by place, not 3"
    assert message(add, call()) == "math::add needs a: int"
    assert message(add, call(1, a=1)) == "math::add is given a twice, by place and by name"
    assert message(add, call(1, c=1)) == "math::add has no parameter named 'c'"
    assert message(params(""), call(1)) == "math::add takes no arguments, not 1"
    assert refusal(params("scale"), call(1, scal=1)).hint == "did you mean scale?"


def test_stars_and_slashes_mean_what_they_mean_in_python():
    only = params("a, /, *, b")
    only.check("f", call(1, b=2))
    assert "by place only" in message(only, call(a=1, b=2))
    assert "needs b" in message(only, call(1))
    assert "at most 1 argument by place" in message(only, call(1, 2))
    stars = params("a=0, *rest, **others", rest="int", others="str")
    stars.check("f", call(1, 2, 3, x="y"))
    assert message(stars, call(1, 2, "c")) == "math::add takes *rest: int, not a string"
    assert message(stars, call(x=1)) == "math::add takes **others: str, not an int"
    slash = params("a, /, **others")
    slash.check("f", call(1, a=2))


def test_native_functions_take_anything_by_place_and_nothing_by_name():
    native = arguments.params_of(None)
    native.check("f", call(1, "b", [None]))
    assert "by place only" in message(native, call(1, b=2))


def test_results_of_other_tasks_count_as_there_and_are_of_any_type():
    add = params("a, b", a="int", b="int")
    asked = call(1)
    asked.args.append(call_pb2.Argument(result_of=0))
    add.check("f", asked)
    asked.args.append(call_pb2.Argument(results_of=call_pb2.Results(after=[0, 1])))
    assert "at most 2" in message(add, asked)
    assert "not even none" in message(add, call_pb2.Call(function="f", args=[call_pb2.Argument(), value(1)]))


def test_types_that_are_not_on_the_list_and_damaged_values_are_refused():
    echo = params("x")
    for url in ("type.googleapis.com/google.protobuf.Duration", "evil.example/google.protobuf.Int64Value", "x"):
        asked = call_pb2.Call(function="f", args=[call_pb2.Argument(value=Any(type_url=url))])
        assert "no such type" in message(echo, asked)
    broken = Any(type_url=f"{anys.PREFIX}google.protobuf.StringValue", value=b"\xff\xff")
    assert "at x: this is no google.protobuf.StringValue" in message(echo, call_pb2.Call(args=[{"value": broken}]))


def test_integers_of_more_bits_than_their_type_has_are_refused():
    echo = params("x")
    for narrow, wide in ((wrappers.Int32Value, wrappers.Int64Value), (wrappers.UInt32Value, wrappers.UInt64Value)):
        url = f"{anys.PREFIX}{narrow.DESCRIPTOR.full_name}"
        for number in (0, 1, 2**31 - 1):
            packed = Any(type_url=url, value=wide(value=number).SerializeToString())
            echo.check("f", call_pb2.Call(args=[{"value": packed}]))
        packed = Any(type_url=url, value=wide(value=2**32 + 1).SerializeToString())
        assert "out of range" in message(echo, call_pb2.Call(args=[{"value": packed}]))
    minus = Any(
        type_url=f"{anys.PREFIX}google.protobuf.Int32Value", value=wrappers.Int32Value(value=-5).SerializeToString()
    )
    echo.check("f", call_pb2.Call(args=[{"value": minus}]))


def test_values_too_deep_and_arguments_too_large_are_refused():
    echo = params("x, y=None")
    deep = 1
    for _ in range(64):
        deep = [deep]
    echo.check("f", call(deep))
    assert "64 deep" in message(echo, call([deep]))
    echo.check("f", call("x" * 4_000_000))
    assert "at most 4194304" in message(echo, call("x" * 2_200_000, "x" * 2_200_000))


@pytest.mark.parametrize("told", ["date", 3, [], ["list"], ["list", "int", "int"], ["union"], ["map", "date"], {}])
def test_a_description_with_types_that_are_none_is_refused(told):
    with pytest.raises(ValueError, match="no such type"):
        arguments.params_of([{"name": "a", "kind": "positional_only", "type": told, "required": True}])


names = st.sampled_from("abcde")
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def signatures(draw):
    """Any signature that Python takes."""
    order = draw(st.lists(st.sampled_from(list(KINDS)), max_size=5))
    kinds = sorted(order)
    for star in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        while kinds.count(star) > 1:
            kinds.remove(star)
    given, optional = [], False
    for name, kind in zip("abcde", kinds, strict=False):
        star = "VAR" in kind.name
        if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            optional = optional or draw(st.booleans())
            default = None if optional else inspect.Parameter.empty
        else:
            default = inspect.Parameter.empty if star or draw(st.booleans()) else None
        given.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(given)


@settings(deadline=None)
@given(signatures(), st.lists(plain, max_size=4), st.dictionaries(names, plain, max_size=3))
def test_it_takes_exactly_the_calls_that_python_takes(signature, args, kwargs):
    checked = params(signature)
    function = eval(f"lambda {str(signature)[1:-1]}: None")
    try:
        function(*args, **kwargs)
    except TypeError:
        refusal(checked, call(*args, **kwargs))
    else:
        checked.check("f", call(*args, **kwargs))


types = st.recursive(
    st.sampled_from(["any", "none", "bool", "int", "float", "str", "bytes"]),
    lambda inner: (
        st.tuples(st.sampled_from(["list", "map"]), inner).map(list)
        | st.lists(inner, min_size=1, max_size=3).map(lambda each: ["union", *each])
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(types, plain)
def test_whatever_it_is_given_it_takes_it_or_refuses_in_one_line(wanted, given_value):
    fits = arguments._mismatch(given_value, arguments.type_of(wanted), "") is None
    checked = params("x", x=wanted)
    if fits:
        checked.check("f", call(given_value))
    else:
        refusal(checked, call(given_value))
    params("x", x=["union", wanted, "any"]).check("f", call(given_value))
