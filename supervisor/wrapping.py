"""What stands around every method of a listener, whatever it asks and answers: the handlers are wrapped once each."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

Context = Any  # grpc.aio.ServicerContext; its type parameters are of no use here
Handler = Any  # grpc.RpcMethodHandler, or None
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Wrapping(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # it cannot have any
    """Stands around the methods of one listener."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The method's handler, wrapped; None where there is no such method."""
        method: str = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None and (found := await continuation(handler_call_details)) is not None:
            handler = self._handlers[method] = self._wrapped(method, found)
        return handler

    def _wrapped(self, method: str, handler: Handler) -> Handler:
        kind = next(each for each in KINDS if getattr(handler, each) is not None)
        behaviour = getattr(handler, kind)
        wrap = self._streaming if inspect.isasyncgenfunction(behaviour) else self._answering
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(wrap(method, behaviour), self._reader(handler.request_deserializer), handler.response_serializer)

    def _answering(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """What is called instead of a method that answers once."""
        raise NotImplementedError

    def _streaming(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """What is called instead of one that answers with a stream."""
        raise NotImplementedError

    def _reader(self, read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """What reads its requests."""
        return read
