"""The gate of the public services: who calls, whether they may, and whether it is not too much; then they are known.

One interceptor stands before every method of every public listener. What it found is `callers.CURRENT` while the call
is answered, in the call's own task.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from ..proto.errors import Refusal, RefusalReason
from . import callers, rights
from .callers import Access, Caller
from .limits import Load
from .refusals import refuse
from .wrapping import Context, Wrapping

Who = Callable[[Context], Caller]
Refused = Callable[[Caller | None, str, Refusal], None]
NOBODY = "nobody"
"""Under this name those are counted whom nobody knows, where everybody may call."""


def own_socket() -> Who:
    """Of a socket in a folder of the service's own user."""
    caller = callers.own()
    return lambda _context: caller


def over_tcp(access: Access) -> Who:
    """Of a listener that asks for no certificates."""
    return lambda context: callers.of_tcp(context.peer(), access)


def over_mtls(access: Access) -> Who:
    """Of a listener that lets in only who has a certificate."""

    def who(context: Context) -> Caller:
        uris = [uri.decode(errors="replace") for uri in context.auth_context().get("peer_uri", ())]
        return callers.of_certificate(context.peer(), uris, access)

    return who


def behind_acceptor(folder: str, is_admin: Callable[[int], bool]) -> Who:
    """Of a private socket that an acceptor brings callers to."""
    return lambda context: callers.of_peer(context.peer(), folder, is_admin)


class Gate(Wrapping):
    """Stands before the methods of one listener; `refused` is told of everybody who may not."""

    def __init__(self, who: Who, load: Load, refused: Refused) -> None:
        self._who = who
        self._load = load
        self._refused = refused
        super().__init__()

    def _answering(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(request: Any, context: Context) -> Any:
            try:
                with self._let_in(method, context):
                    return await behaviour(request, context)
            except Refusal as refusal:
                await refuse(context, refusal)

        return guarded

    def _streaming(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., AsyncIterator[Any]]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                with self._let_in(method, context):
                    async with aclosing(behaviour(request, context)) as items:
                        async for item in items:
                            yield item
            except Refusal as refusal:
                await refuse(context, refusal)

        return guarded

    @contextmanager
    def _let_in(self, method: str, context: Context) -> Iterator[None]:
        """Answer within the block. Raises Refusal UNAUTHENTICATED, FORBIDDEN, TOO_MANY_CALLS, TOO_FAST."""
        caller = self._open(context) if rights.is_open(method) else self._admitted(method, context)
        if caller is not None and caller.is_free:
            callers.CURRENT.set(caller)
            yield
            return
        name = caller.name if caller is not None else NOBODY
        with self._load.call(name):
            if method in rights.MAKES_TASKS:
                self._load.submit(name)
            callers.CURRENT.set(caller)
            yield

    def _open(self, context: Context) -> Caller | None:
        try:
            return self._who(context)
        except Refusal:
            return None

    def _admitted(self, method: str, context: Context) -> Caller:
        caller = None
        try:
            caller = self._who(context)
            _check(caller, method)
        except Refusal as refusal:
            self._refused(caller, method, refusal)
            raise
        return caller


def _check(caller: Caller, method: str) -> None:
    """Raises Refusal FORBIDDEN."""
    least = rights.least(method)
    if caller.role < least:
        verb = method.rpartition("/")[2]
        message = f"{caller.name} has the role {caller.role.word}; {verb} takes {least.word}"
        raise Refusal(RefusalReason.FORBIDDEN, message, "[access] in the service's config.toml gives roles")
