"""The stream to the supervisor: attached for as long as there is one, and again as soon as there is one again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import grpc.aio

from ..proto.endpoint import CHANNEL_OPTIONS, target
from ..proto.link_pb2 import FromExecutor, Hello, ToExecutor
from ..proto.link_pb2_grpc import LinkStub

if TYPE_CHECKING:
    from .outbox import Outbox

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5
REFUSALS = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


class Listener(Protocol):
    """Who lives at this end of the link."""

    def hello(self) -> Hello:
        """Who we are and what we hold."""

    def attached(self) -> None:
        """The supervisor has welcomed us."""

    def told(self, message: ToExecutor) -> None:
        """It said this."""

    def sent(self) -> None:
        """What was to say has been sent."""

    def detached(self, *, refused: bool) -> None:
        """The stream has ended; `refused`: it does not want us."""


class Link:
    """Keeps attaching until cancelled."""

    def __init__(self, socket: str, listener: Listener, outbox: Outbox) -> None:
        self._socket = socket
        self._listener = listener
        self._outbox = outbox
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        """Attach, again and again."""
        async with grpc.aio.insecure_channel(target(Path(self._socket)), options=CHANNEL_OPTIONS) as channel:
            attach: Any = LinkStub(channel).Attach  # type: ignore[no-untyped-call]
            while True:
                await self._session(attach)
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _session(self, attach: Any) -> None:
        call = attach(wait_for_ready=True)
        refused = False
        try:
            await call.write(FromExecutor(hello=self._listener.hello()))
            await self._listen(call)
        except grpc.aio.AioRpcError as error:
            refused = error.code() in REFUSALS
        except asyncio.InvalidStateError:  # the call had ended before the write
            refused = await call.code() in REFUSALS
        finally:
            call.cancel()
        self._listener.detached(refused=refused)

    async def _listen(self, call: Any) -> None:
        """Hear the supervisor out; once it has welcomed us, talk as well."""
        talk: asyncio.Task[None] | None = None
        try:
            while isinstance(message := await call.read(), ToExecutor):  # else it is grpc.aio.EOF
                if talk is None and message.HasField("welcome"):
                    self._pause_s = FIRST_PAUSE_S
                    self._listener.attached()
                    talk = asyncio.create_task(self._talk(call))
                self._listener.told(message)
        finally:
            if talk:
                talk.cancel()

    async def _talk(self, call: Any) -> None:
        try:
            while True:
                await call.write(await self._outbox.take())
                self._listener.sent()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            call.cancel()  # whoever listens hears of it
