"""A call that takes results of other tasks, filled with them when its turn has come. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.any_pb2 import Any

from ..proto import anys, call_pb2
from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import SIZE_LIMIT
from ..proto.taskscheduler_pb2 import ListValue

Results = Sequence[bytes | None]


def filled(call: call_pb2.Call, results: Results) -> call_pb2.Call:
    """The call with values only; `results` by place, None: there is none. Raises Refusal BAD_ARGUMENTS."""
    if all(each.HasField("value") for each in (*call.args, *call.kwargs.values())):
        return call
    _check_size(call, results)
    made = call_pb2.Call(function=call.function)
    made.args.extend(_value(each, results) for each in call.args)
    for name, each in call.kwargs.items():
        made.kwargs[name].CopyFrom(_value(each, results))
    return made


def _check_size(call: call_pb2.Call, results: Results) -> None:
    """Looked at before anything is made: a result may be taken many times over."""
    size = call.ByteSize() + sum(
        len(results[place] or b"") for each in (*call.args, *call.kwargs.values()) for place in _places(each)
    )
    if size > SIZE_LIMIT:
        message = f"with the results of other tasks its arguments are {size} bytes long, at most {SIZE_LIMIT} are taken"
        raise Refusal(RefusalReason.BAD_ARGUMENTS, message, "pass large data on in files")


def _places(argument: call_pb2.Argument) -> Sequence[int]:
    return [argument.result_of] if argument.HasField("result_of") else argument.results_of.after


def _value(argument: call_pb2.Argument, results: Results) -> call_pb2.Argument:
    match argument.WhichOneof("kind"):
        case "result_of":
            return call_pb2.Argument(value=_result(results[argument.result_of]))
        case "results_of":
            values = ListValue(values=[_result(results[place]) for place in argument.results_of.after])
            return call_pb2.Argument(value=Any(type_url=anys.LIST, value=values.SerializeToString()))
    return argument


def _result(stored: bytes | None) -> Any:
    return Any.FromString(stored or b"")
