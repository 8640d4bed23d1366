"""What goes into a call and comes out of it: between the wire and the plain values that hosts are told and tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from ..proto.anys import from_any, to_any
from ..proto.clock import SECOND_US
from ..proto.plain import SIZE_LIMIT, NotPlainError, from_json
from ..proto.taskscheduler_pb2 import ListValue
from ..proto.values import AttemptState, EndReason
from . import verdict as verdicts
from .verdict import Verdict

if TYPE_CHECKING:
    from ..proto.call_pb2 import Call
    from .host_messages import Ended


def arguments(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """What a function is called with. Raises NotPlainError."""
    kwargs = {name: from_any(call.kwargs[name].value, name) for name in call.kwargs} if call.kwargs else {}
    return [from_any(argument.value, str(place)) for place, argument in enumerate(call.args)], kwargs


def native_arguments(call: Call) -> tuple[bytes, dict[str, Any]]:
    """What a native function is called with. Raises NotPlainError."""
    if call.kwargs:
        raise NotPlainError("a native function takes no arguments by name")
    return ListValue(values=[argument.value for argument in call.args]).SerializeToString(), {}


def judged(report: Ended, *, native: bool) -> Verdict:
    """What it came to, with its result as it is stored."""
    if report.how != "returned":
        again_in_us = None if report.value is None else round(report.value * SECOND_US)
        return verdicts.called(report.how, report.message, None, again_in_us)
    try:
        result = _result(report.value, native=native)
    except NotPlainError as error:
        text = f"what it returned cannot be sent: {error}"
        return Verdict(state=AttemptState.FAILED, reason=EndReason.BAD_RESULT, message=text)
    if len(result) > SIZE_LIMIT:
        text = f"what it returned takes {len(result)} bytes; {SIZE_LIMIT} can be kept"
        return Verdict(state=AttemptState.FAILED, reason=EndReason.BAD_RESULT, message=text)
    return verdicts.called("returned", "", result, None)


def _result(value: Any, *, native: bool) -> bytes:
    """As bytes on the wire. Raises NotPlainError."""
    if value is None:
        return b""
    plain = from_json(value)
    if not native:
        return to_any(plain).SerializeToString(deterministic=True)
    try:
        from_any(AnyMessage.FromString(plain))
    except (DecodeError, TypeError):
        raise NotPlainError("this is no google.protobuf.Any") from None
    return bytes(plain)
