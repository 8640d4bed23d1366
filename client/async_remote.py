"""The supervisor as a service of async code: reached when it is first needed, by each event loop for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ..proto import api_pb2 as api
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal, RefusalReason
from .async_connection import AsyncConnection
from .connection import late
from .errors import broken
from .feed import go_on_behind
from .following import PATIENCE_S, Left, Progress
from .ways import Way, as_way


class AsyncRemote:
    """A supervisor at the end of a way. A connection belongs to one event loop, and so to one process and thread."""

    def __init__(self, where: Way | Path) -> None:
        self.way = as_way(where)
        self._connections: dict[asyncio.AbstractEventLoop, AsyncConnection] = {}

    @property
    def connection(self) -> AsyncConnection:
        """This event loop's. Connections of loops that have ended are let go."""
        here = asyncio.get_running_loop()
        if here not in self._connections:
            if self.way.tells_who_comes:  # otherwise it is found out without holding up the loop
                self.way.check_there()
            for ended in [loop for loop in list(self._connections) if loop.is_closed()]:
                self._connections.pop(ended, None)
            self._connections[here] = AsyncConnection(self.way)
        return self._connections[here]

    async def close(self) -> None:
        """End this event loop's connection; the next call makes another."""
        connection = self._connections.pop(asyncio.get_running_loop(), None)
        if connection is not None:
            await connection.close()

    async def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all of a request, or nothing. Repeated once when the connection breaks, without making doubles."""
        return await self.connection.submit(specs, common=common)

    async def get(self, id: str) -> api.Task:  # noqa: A002 - it is called id everywhere
        """One task."""
        task: api.Task = await self.connection.ask(self.connection.tasks.Get, api.GetRequest(id=id))
        return task

    async def cancel(self, id: str, grace_us: int | None) -> api.Task:  # noqa: A002
        """Ask for a task's end."""
        request = api.CancelRequest(id=id, grace_us=grace_us)
        task: api.Task = await self.connection.ask(self.connection.tasks.Cancel, request)
        return task

    async def ended(self, ids: Sequence[str], timeout_us: int | None) -> AsyncIterator[api.Task]:
        """Each of these once, as it ends, also over a restart of the supervisor."""
        left, waiting = Left(timeout_us, SystemClock()), dict.fromkeys(ids)
        while waiting:
            try:
                async for task in self.connection.wait(waiting, timeout_us=left.us()):
                    waiting.pop(task.id, None)
                    yield task
            except Refusal as refusal:
                if refusal.reason is RefusalReason.WAIT_TIMEOUT:
                    raise late(waiting) from None
                if not broken(refusal):
                    raise
                await self._await_return(left.us(), list(waiting))
            else:
                return

    async def logs(self, request: api.LogsRequest) -> AsyncIterator[api.Output]:
        """Output; with `follow`, also over a restart of the supervisor."""
        progress, resumed = Progress(id=request.id), False
        if request.follow:
            progress.attempt = max(1, (await self.get(request.id)).attempt)
        while True:
            try:
                async for output in self._output(request, progress, resumed=resumed):
                    yield output
            except Refusal as refusal:
                if not (broken(refusal) and request.follow):
                    raise
                await self.connection.await_ready(PATIENCE_S)
                resumed = True
            else:
                return

    async def _output(
        self, request: api.LogsRequest, progress: Progress, *, resumed: bool
    ) -> AsyncIterator[api.Output]:
        """Output as it comes, counted; after a break what was not seen before."""
        if resumed:
            progress.begin(max(1, (await self.get(request.id)).attempt))
        async for output in self.connection.stream(self.connection.tasks.Logs, request):
            fresh: api.Output | None = output
            if resumed:
                fresh = progress.unseen(output)
            else:
                progress.note(output)
            if fresh is not None:
                yield fresh

    async def events(self, request: api.EventsRequest) -> AsyncIterator[api.EventBatch]:
        """Events; with `follow`, also over a restart of the supervisor, none lost and none twice."""
        while True:
            try:
                async for batch in self.connection.stream(self.connection.tasks.Events, request):
                    go_on_behind(request, batch)
                    yield batch
            except Refusal as refusal:
                if not (broken(refusal) and request.follow):
                    raise
                await self.connection.await_ready(PATIENCE_S)
            else:
                return

    async def _await_return(self, left_us: int | None, ids: Sequence[str]) -> None:
        if left_us is None or left_us > PATIENCE_S * SECOND_US:
            await self.connection.await_ready(PATIENCE_S)
            return
        try:
            await self.connection.await_ready(left_us / SECOND_US)
        except Refusal:
            raise late(ids) from None
