"""What is sent to a public method and cannot be read is refused: gRPC would call that a bug of the service's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from ..proto.errors import Refusal, RefusalReason
from .refusals import refuse
from .wrapping import Context, Wrapping

HINT = "send what the .proto file says"


class _Unreadable(NamedTuple):
    """Stands for a request whose bytes are none."""

    why: str


class Readable(Wrapping):
    """Stands around every method: what arrives there can be read."""

    def _reader(self, read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        def reader(data: bytes) -> Any:
            try:
                return read(data)
            except DecodeError as error:
                return _Unreadable(str(error))

        return reader

    def _answering(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def answering(request: Any, context: Context) -> Any:
            if isinstance(request, _Unreadable):
                await refuse(context, _refusal(request))
            return await behaviour(request, context)

        return answering

    def _streaming(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., AsyncIterator[Any]]:
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
