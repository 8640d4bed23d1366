from google.protobuf import any_pb2 as _any_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Call(_message.Message):
    __slots__ = ("function", "args", "kwargs")
    class KwargsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Argument
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Argument, _Mapping]] = ...) -> None: ...
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    function: str
    args: _containers.RepeatedCompositeFieldContainer[Argument]
    kwargs: _containers.MessageMap[str, Argument]
    def __init__(self, function: _Optional[str] = ..., args: _Optional[_Iterable[_Union[Argument, _Mapping]]] = ..., kwargs: _Optional[_Mapping[str, Argument]] = ...) -> None: ...

class Argument(_message.Message):
    __slots__ = ("value", "result_of", "results_of")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RESULT_OF_FIELD_NUMBER: _ClassVar[int]
    RESULTS_OF_FIELD_NUMBER: _ClassVar[int]
    value: _any_pb2.Any
    result_of: int
    results_of: Results
    def __init__(self, value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., result_of: _Optional[int] = ..., results_of: _Optional[_Union[Results, _Mapping]] = ...) -> None: ...

class Results(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, after: _Optional[_Iterable[int]] = ...) -> None: ...
