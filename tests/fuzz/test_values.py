"""Values that come over the wire or as JSON: each is a value, and comes out as it went in, or is refused by its words."""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from hypothesis import strategies as st

from support.fuzz import SOME, fair, fuzzed
from support.messages import damaged, messages, packed
from tsched.proto import anys, call_pb2, plain
from tsched.proto.errors import Refusal, RefusalReason
from tsched.supervisor.arguments import KINDS, params_of, type_of

marked = st.sampled_from(["@bytes", "@float", "@map", "@", "nan", "inf", "AAE=", "A"])
words = st.text(max_size=8) | marked | st.sampled_from(["\ud800", "a\udcff"])
numbers = st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400]) | st.floats()
json_values: Any = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(words, inner, max_size=3)
        | st.builds(lambda key, value: {key: value}, marked, inner)
    ),
    max_leaves=12,
)
anything: Any = st.recursive(
    json_values | st.binary(max_size=8) | st.just(object()) | st.complex_numbers() | st.builds(bytearray),
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.integers() | words, inner, max_size=3),
    max_leaves=6,
)
types: Any = st.recursive(
    st.sampled_from(["any", "none", "bool", "int", "float", "str", "bytes", "other"]),
    lambda inner: st.tuples(st.sampled_from(["list", "map", "union"]), inner).map(list) | st.lists(inner, max_size=3),
    max_leaves=6,
)
a_param = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd"), "kind": st.sampled_from(sorted(KINDS)), "type": types, "required": st.booleans()}
)
whole_any = packed().map(lambda message: message.SerializeToString())


def deep(kind: str, depth: int) -> AnyMessage:
    """Lists in lists, or maps in maps, made from within: a message of that depth is more than Python can make at once."""
    inner = AnyMessage()
    for _ in range(depth):
        if kind == anys.LIST:
            body = field(1, inner.SerializeToString())
        else:
            body = field(1, field(1, b"k") + field(2, inner.SerializeToString()))
        inner = AnyMessage(type_url=kind, value=body)
    return inner


def field(number: int, data: bytes) -> bytes:
    """Bytes as a message has them: tag, length, themselves."""
    out, size = bytes([number << 3 | 2]), len(data)
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size]) + data


any_any = packed() | st.builds(deep, st.sampled_from([anys.LIST, anys.MAP]), st.sampled_from([1, 63, 64, 65, 200]))


@fuzzed(message=any_any)
def test_an_any_is_a_value_or_refused_and_a_value_comes_out_as_it_went_in(message: Any) -> None:
    try:
        value = anys.from_any(message, "here")
    except plain.NotPlainError:
        return
    # repr: a NaN is not equal to itself
    assert repr(plain.plain(value)) == repr(value)
    assert repr(anys.from_any(anys.to_any(value))) == repr(value)
    assert repr(plain.from_json(plain.to_json(value))) == repr(value)


@fuzzed(many=SOME, data=damaged(whole_any) | st.binary(max_size=60))
def test_damaged_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        anys.from_any(AnyMessage.FromString(data))
    except (DecodeError, plain.NotPlainError):
        return


@fuzzed(many=SOME, value=json_values)
def test_json_is_a_value_or_refused_and_a_value_can_be_sent(value: Any) -> None:
    try:
        read = plain.from_json(value)
    except plain.NotPlainError:
        return
    assert repr(_sorted(anys.from_any(anys.to_any(read)))) == repr(_sorted(read))
    assert plain.least_bytes(read) <= anys.to_any(read).ByteSize()


@fuzzed(many=SOME, value=anything)
def test_any_object_is_a_value_or_refused_and_a_value_can_be_sent(value: Any) -> None:
    try:
        read = plain.plain(value)
    except plain.NotPlainError:
        return
    assert repr(_sorted(anys.from_any(anys.to_any(read)))) == repr(_sorted(read))


def _sorted(value: Any) -> Any:
    """Maps have no order on the wire."""
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


@fuzzed(many=SOME, told=st.lists(a_param, max_size=4) | st.none(), call=messages(call_pb2.Call.DESCRIPTOR))
def test_a_call_is_what_its_function_takes_or_refused(told: Any, call: Any) -> None:
    try:
        params = params_of(told)
    except ValueError:
        return
    try:
        params.check("f", call)
    except Refusal as refusal:
        fair(refusal, RefusalReason.BAD_ARGUMENTS)


@fuzzed(many=SOME, told=json_values | types)
def test_a_description_is_understood_or_refused(told: Any) -> None:
    for read in (params_of, type_of):
        try:
            read(told)
        except ValueError:
            continue
