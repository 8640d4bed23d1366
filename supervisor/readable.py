"""What is sent to a public method and cannot be read is refused: gRPC would call that a bug of the service's."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError

from ..proto.errors import Refusal, RefusalReason
from .refusals import refuse

Context = Any  # grpc.aio.ServicerContext; its type parameters are of no use here
Handler = Any  # grpc.RpcMethodHandler, or None
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
HINT = "send what the .proto file says"


class _Unreadable(NamedTuple):
    """Stands for a request whose bytes are none."""

    why: str


class Readable(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # it cannot have any
    """Stands before every method: what arrives there can be read."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The method's handler, which is given what can be read only; None where there is no such method."""
        method: str = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None and (found := await continuation(handler_call_details)) is not None:
            handler = self._handlers[method] = _careful(found)
        return handler


def _careful(handler: Handler) -> Handler:
    kind = next(each for each in _KINDS if getattr(handler, each) is not None)
    behaviour = getattr(handler, kind)
    guard = _streaming if inspect.isasyncgenfunction(behaviour) else _answering
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(guard(behaviour), _reader(handler.request_deserializer), handler.response_serializer)


def _reader(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def reader(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError as error:
            return _Unreadable(str(error))

    return reader


def _answering(behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def answering(request: Any, context: Context) -> Any:
        if isinstance(request, _Unreadable):
            await refuse(context, _refusal(request))
        return await behaviour(request, context)

    return answering


def _streaming(behaviour: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
    async def streaming(request: Any, context: Context) -> AsyncIterator[Any]:
        if isinstance(request, _Unreadable):
            await refuse(context, _refusal(request))
        given = _each(request, context) if hasattr(request, "__aiter__") else request
        async with aclosing(behaviour(given, context)) as items:
            async for item in items:
                yield item

    return streaming


async def _each(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, _Unreadable):
            await refuse(context, _refusal(request))
        yield request


def _refusal(unreadable: _Unreadable) -> Refusal:
    return Refusal(RefusalReason.BAD_USAGE, f"what was sent cannot be read: {unreadable.why}", HINT)
