"""Messages as a fuzzer has them: any message of a contract with any fields, and bytes that nearly are one.

What a field is called says what is likely to mean something there (`LIKELY`); everything else is there as well. Commands
are harmless by their first word; of a line for the shell the service under test makes nothing (`CONFIG`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st

from tsched.proto import anys, api_pb2, call_pb2, taskscheduler_pb2, values
from tsched.proto.values import TaskState

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message
    from hypothesis.strategies import SearchStrategy

CONFIG = '[tasks]\nshell = "/bin/true"\n[service]\nstop_timeout_s = 0\n'
DEEPEST = 4
FIELDS_MOST = 6
IDS = ("a", "b", "job-1", "c.d:e", "7", "1", "2", "3", "id:7", "id:_20")
FUNCTIONS = ("add", "echo", "fail", "ping", "sum_list", "sleep", "builtin::add", "nope")

texts = st.text(max_size=30)
known_ids = st.sampled_from(IDS)
ids = known_ids | known_ids | known_ids | texts
numbers = {
    64: st.sampled_from([0, 1, -1, 1000, 10**6, -(10**6), 1_800_000_000_000_000, 2**63 - 1, -(2**63)]),
    32: st.sampled_from([0, 1, -1, 2, 7, 100, 1000, 2**31 - 1, -(2**31)]),
}
LIKELY: dict[str, SearchStrategy[Any]] = {
    "id": ids,
    "ids": ids,
    "task_id": ids,
    "deps": ids,
    "key": st.sampled_from(["", "k1", "k2"]) | texts,
    "name": st.sampled_from(["", "add", "builtin"]) | texts,
    "queue": st.sampled_from(["", "default", "etl"]) | texts,
    "profile": st.sampled_from(["", "default"]) | texts,
    "on_lost": st.sampled_from(["", *values.OnLost]) | texts,
    "condition": st.sampled_from(["", *values.Condition]) | texts,
    "states": st.sampled_from(list(TaskState)) | texts,
    "stream": st.sampled_from(["", "out", "err"]) | texts,
    "cwd": st.sampled_from(["/", "/tmp", "/nowhere", "relative", "/\0"]) | texts,
    "function": st.sampled_from(FUNCTIONS) | texts,
    "method": st.sampled_from(FUNCTIONS) | texts,
    "type_url": st.sampled_from(["", *anys.TYPE_URLS]) | texts,
    "page_token": st.sampled_from(["", "1", "AAAA", "eyJ9"]) | texts,
}


def _number(bits: int, *, signed: bool) -> SearchStrategy[int]:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return numbers[bits].filter(lambda each: least <= each <= most) | st.integers(least, most)


KINDS: dict[int, SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: _number(32, signed=True),
    FieldDescriptor.CPPTYPE_INT64: _number(64, signed=True),
    FieldDescriptor.CPPTYPE_UINT32: _number(32, signed=False),
    FieldDescriptor.CPPTYPE_UINT64: _number(64, signed=False),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-3, 3),
}


arguments = st.sampled_from([1, 2.5, "a", [1.0, 2.0], None]).map(anys.to_any)
commands = st.sampled_from([("true",), ("false",), ("sleep", "0.01"), ("sleep", "60"), ("echo", "x")])
calls = st.builds(
    lambda function, args: call_pb2.Call(function=function, args=[call_pb2.Argument(value=each) for each in args]),
    st.sampled_from(FUNCTIONS),
    st.lists(arguments, max_size=2),
)
GOOD: dict[str, SearchStrategy[Any]] = {
    "tsched.v1.TaskSpec": st.builds(
        lambda work, **fields: api_pb2.TaskSpec(
            **{"command": work} if isinstance(work, api_pb2.Command) else {"call": work}, **fields
        ),
        commands.map(lambda words: api_pb2.Command(argv=api_pb2.Argv(args=words))) | calls,
        id=st.just("") | known_ids,
        cwd=st.just("/"),
        hold=st.booleans(),
        delay_us=st.sampled_from([None, None, 0, 10**9]),
        retries=st.sampled_from([None, 1]),
        after=st.lists(
            known_ids.map(lambda id: api_pb2.Dependency(task=api_pb2.TaskRef(id=id))),  # noqa: A006 - its word
            max_size=1,
        ),
    ),
    "taskscheduler.TaskRequest": st.builds(
        taskscheduler_pb2.TaskRequest,
        task_id=ids,
        method=st.sampled_from(FUNCTIONS),
        args=st.lists(arguments, max_size=2),
        is_async=st.booleans(),
    ),
}
"""Where any field at all would hardly ever do, most have to be good: nothing would be there otherwise."""


@functools.cache
def messages(descriptor: Descriptor, depth: int = 0) -> SearchStrategy[Message]:
    """Any message of this type."""
    kind = message_factory.GetMessageClass(descriptor)
    if descriptor.full_name == "google.protobuf.Any":
        return packed(depth)
    if descriptor.full_name == "tsched.v1.Argv":
        return st.lists(texts, max_size=4).map(lambda args: kind(args=_harmless(args)))
    fields = [each for each in descriptor.fields if depth < DEEPEST or each.message_type is None]
    if not fields:
        return st.just(kind())
    few = fields if depth else [*fields, *fields[:1] * len(fields)]  # the first one says what a request is about
    # Later fields of a oneof take the place of earlier ones, as on the wire.
    chosen = st.lists(
        st.sampled_from(few), min_size=not depth, max_size=FIELDS_MOST, unique_by=lambda each: each.number
    )
    made = chosen.flatmap(
        lambda some: st.tuples(*(_value(each, depth) for each in some)).map(
            lambda given: _filled(kind(), zip(some, given, strict=True))
        )
    )
    good = GOOD.get(descriptor.full_name)
    return made if good is None else good | st.builds(_changed, good, made)


def _changed(good: Message, by: Message) -> Message:
    """What was good, with one field of another."""
    for field, value in by.ListFields()[:1]:
        by = type(by)(**{field.name: value})
    good.MergeFrom(by)
    return good


def _harmless(args: list[str]) -> list[str]:
    if not args or args[0] in ("true", "false", "", "/nowhere"):
        return args
    return [f"no-such-{args[0]}", *args[1:]] if len(args) % 2 else ["true", *args]


@functools.cache
def packed(depth: int = 0) -> SearchStrategy[Message]:
    """Any Any: of the known types with a value of theirs or another's, or of no type at all."""
    from google.protobuf.any_pb2 import Any as AnyMessage

    def made(url: str) -> SearchStrategy[Message]:
        body = st.binary(max_size=12)
        if url in BY_URL and depth < DEEPEST:
            own = messages(BY_URL[url], depth + 1).map(lambda message: message.SerializeToString())
            body = own | body
        return body.map(lambda value: AnyMessage(type_url=url, value=value))

    return LIKELY["type_url"].flatmap(made)


def _by_url() -> dict[str, Descriptor]:
    from google.protobuf import wrappers_pb2

    pools = (wrappers_pb2.DESCRIPTOR, taskscheduler_pb2.DESCRIPTOR)
    known = {each.full_name: each for pool in pools for each in pool.message_types_by_name.values()}
    return {url: known[url.removeprefix(anys.PREFIX)] for url in anys.TYPE_URLS}


BY_URL = _by_url()


def _value(field: FieldDescriptor, depth: int) -> SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        parts = field.message_type.fields_by_name
        return st.dictionaries(_one(parts["key"], depth), _one(parts["value"], depth), max_size=3)
    one = _one(field, depth)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _one(field: FieldDescriptor, depth: int) -> SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth + 1)
    if field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
        return KINDS[field.cpp_type]
    return st.binary(max_size=40) if field.type == FieldDescriptor.TYPE_BYTES else LIKELY.get(field.name, texts)


def _filled(message: Any, given: Any) -> Any:
    for field, value in given:
        at = getattr(message, field.name) if field.is_repeated or field.message_type is not None else None
        if at is None:
            setattr(message, field.name, value)
        elif isinstance(value, dict) and field.message_type.fields_by_name["value"].message_type is not None:
            for key, each in value.items():
                at[key].CopyFrom(each)
        elif isinstance(value, dict):
            at.update(value)
        elif field.is_repeated:
            at.extend(value)
        else:
            at.CopyFrom(value)
            at.SetInParent()
    return message


@st.composite
def damaged(draw: Any, whole: SearchStrategy[bytes]) -> bytes:
    """What was whole, and has been cut, changed, doubled or added to."""
    data = draw(whole)
    place = draw(st.integers(0, len(data)))
    match draw(st.integers(0, 4)):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + draw(st.binary(min_size=1, max_size=4)) + data[place + 1 :]
        case 2:
            return data[:place] + draw(st.binary(max_size=10)) + data[place:]
        case 3:
            return data + data[place:]
    return data[:place] + data[place : place + 1] * draw(st.sampled_from([2, 60, 2000])) + data[place:]


def wire(descriptor: Descriptor) -> SearchStrategy[bytes]:
    """Bytes that are a message of this type, nearly one, or none."""
    whole = messages(descriptor).map(lambda message: message.SerializeToString())
    return whole | whole | whole | damaged(whole) | st.binary(max_size=60)
