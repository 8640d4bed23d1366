"""From a failed gRPC call to the Refusal it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc

from ..proto.errors import DOMAIN, Refusal, RefusalReason

if TYPE_CHECKING:
    from google.rpc.error_details_pb2 import ErrorInfo

    from .ways import Way

# What a status means that came without a reason of ours: from gRPC itself, or from a supervisor of another version.
_BARE = {
    grpc.StatusCode.INVALID_ARGUMENT: RefusalReason.BAD_VALUE,
    grpc.StatusCode.NOT_FOUND: RefusalReason.NO_SUCH_TASK,
    grpc.StatusCode.FAILED_PRECONDITION: RefusalReason.WRONG_STATE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RefusalReason.TOO_LARGE,
    grpc.StatusCode.PERMISSION_DENIED: RefusalReason.FORBIDDEN,
    grpc.StatusCode.UNAUTHENTICATED: RefusalReason.UNAUTHENTICATED,
}
_BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def refusal_of(error: grpc.RpcError, way: Way) -> Refusal:
    """The refusal that a call failed with.

    NO_SUPERVISOR when nobody answered, or the connection broke; TLS_FAILED when it cannot come about.
    """
    info = _error_info(error)
    if info is not None:
        return Refusal(_reason(info.reason, error), str(error.details()), info.metadata.get("hint", ""))
    if error.code() in _BROKEN:
        return way.nobody()
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Refusal(RefusalReason.NO_SUPERVISOR, f"the supervisor at {way} does not answer", "look at its log")
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return Refusal(RefusalReason.INTERNAL, "the supervisor is of another version", "tsched down, then tsched up -d")
    reason = _BARE.get(error.code(), RefusalReason.INTERNAL)
    return Refusal(reason, f"{error.details()}", "" if error.code() in _BARE else "the supervisor's log may say more")


def is_break(error: grpc.RpcError) -> bool:
    """Whether the connection broke, or never came about; nothing else is known of it yet."""
    return error.code() in _BROKEN and _error_info(error) is None


def unanswered(way: Way) -> Refusal:
    """What it means for a submission that its supervisor went away, and none came back."""
    message = f"the supervisor at {way} is gone before it answered; what was submitted may be stored, or not"
    return Refusal(RefusalReason.NO_SUPERVISOR, message, "tsched up -d starts one, tsched list shows what it has")


def broken(refusal: Refusal) -> bool:
    """Whether the connection broke, so that the same question may be asked again."""
    return refusal.reason is RefusalReason.NO_SUPERVISOR


def _reason(word: str, error: grpc.RpcError) -> RefusalReason:
    try:
        return RefusalReason(word)
    except ValueError:  # a supervisor of a later version
        return _BARE.get(error.code(), RefusalReason.INTERNAL)


def _error_info(error: grpc.RpcError) -> ErrorInfo | None:
    from google.rpc.error_details_pb2 import ErrorInfo  # noqa: PLC0415 - costs 20 ms; only refusals pay them
    from grpc_status import rpc_status  # noqa: PLC0415

    try:
        status = rpc_status.from_call(cast("grpc.Call", error))
    except ValueError:  # status and details that contradict each other
        return None
    info = ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info
    return None
