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
    from collections.abc import Coroutine

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

    def detached(self, *, refused: bool) -> None:
        """The stream has ended; `refused`: it does not want us."""


class Link:
    """Keeps attaching, until it is closed."""

    def __init__(self, socket: str, listener: Listener, outbox: Outbox) -> None:
        self._socket = socket
        self._listener = listener
        self._outbox = outbox
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        """Attach, again and again, until the outbox is closed and the supervisor has hung up."""
        async with grpc.aio.insecure_channel(target(Path(self._socket)), options=CHANNEL_OPTIONS) as channel:
            attach: Any = LinkStub(channel).Attach
            while not self._outbox.closed:
                await self._session(attach(wait_for_ready=True))
                if not self._outbox.closed:
                    await asyncio.sleep(self._pause_s)
                    self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _session(self, call: Any) -> None:
        refused = False
        try:
            await call.write(FromExecutor(hello=self._listener.hello()))
            await _first_of(self._listen(call), self._talk(call))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):  # broken, or ended before we wrote
            refused = call.done() and await call.code() in REFUSALS
        finally:
            call.cancel()
        self._listener.detached(refused=refused)

    async def _listen(self, call: Any) -> None:
        while isinstance(message := await call.read(), ToExecutor):  # else it is grpc.aio.EOF
            if message.HasField("welcome"):
                self._pause_s = FIRST_PAUSE_S
                self._listener.attached()
            self._listener.told(message)

    async def _talk(self, call: Any) -> None:
        """Say what there is to say, from the welcome on; after the last word, let the supervisor hang up."""
        while message := await self._outbox.take():
            await call.write(message)
        await call.done_writing()
        await asyncio.Event().wait()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Work on all until the first one ends, and raise what it raises."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
