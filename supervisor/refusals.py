"""How a refusal leaves a gRPC handler: as a rich status; and how a bug does: logged whole, told in one line."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from ..proto.errors import DOMAIN, Refusal, RefusalReason
from . import log

TEXT_LIMIT = 500


def answered(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Make a unary handler refuse as the contract says."""

    @functools.wraps(handler)
    async def wrapped(self: Any, request: Any, context: Any) -> Any:
        try:
            return await handler(self, request, context)
        except Refusal as refusal:
            await refuse(context, refusal)
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001 - a bug: told and logged here, nowhere else
            await refuse(context, _bug(handler.__name__))

    return wrapped


def streamed(handler: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
    """Make a streaming handler refuse as the contract says."""

    @functools.wraps(handler)
    async def wrapped(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async with aclosing(handler(self, request, context)) as items:
                async for item in items:
                    yield item
        except Refusal as refusal:
            await refuse(context, refusal)
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001 - a bug: told and logged here, nowhere else
            await refuse(context, _bug(handler.__name__))

    return wrapped


def _bug(method: str) -> Refusal:
    log.get(method=method).exception("handler_failed")
    return Refusal(RefusalReason.INTERNAL, f"{method} failed inside the service", "its log has the details")


async def refuse(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> NoReturn:
    """End a call with a refusal."""
    # Both travel in headers, which are limited; what was refused may be as long as its sender liked.
    message, hint = refusal.message[:TEXT_LIMIT], refusal.hint[:TEXT_LIMIT]
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata={"hint": hint}))
    code = grpc.StatusCode[refusal.status]
    status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
    await context.abort(code, message, rpc_status.to_status(status).trailing_metadata)
    raise AssertionError  # abort never returns
