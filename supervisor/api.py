"""The service for users: tsched.v1.Tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

from ..proto import api_pb2, api_pb2_grpc, endpoint, link_pb2
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from ..proto.sealing import Sealer
from ..proto.values import AttemptState, EndReason, TaskState
from ..store import Store, model, tasks
from ..store.db import Db
from . import changes, drafts, views
from .config import Config
from .desk import Desk
from .follow import Follower
from .logs import Logs
from .news import News
from .pool import Pool
from .refusals import answered, streamed
from .retention import drop_output
from .taps import Tap, Taps

PAGE_SIZE = 100
PAGE_LIMIT = 1000
PAGE_DIGITS = 18
PAGE_BYTES = endpoint.MESSAGE_LIMIT // 4
# A task fetched back may be given out again before it is changed; twice is bad luck, more is another matter.
RECALLS = 3
Context = Any  # grpc.aio.ServicerContext; its type parameters are of no use here
T = TypeVar("T")


class Tasks(api_pb2_grpc.TasksServicer):
    """Serves tsched.v1.Tasks; api.proto says what each method promises."""

    def __init__(
        self,
        *,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        config: Config,
        desk: Desk,
        pool: Pool,
        taps: Taps,
        news: News,
    ) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._desk = desk
        self._pool = pool
        self._taps = taps
        self._news = news
        self._follower = Follower(store, sealer, news)
        self._logs = Logs(store, sealer, news, self._follower)
        self.draining = False

    @answered
    async def Submit(self, request: api_pb2.SubmitRequest, context: Context) -> api_pb2.SubmitResponse:  # noqa: N802
        """Store all tasks, or none."""
        stored = await self._submit(request.tasks)
        for task, spec in zip(stored, request.tasks, strict=True):
            self._see_to(task, drafts.queue_of(spec))
        return api_pb2.SubmitResponse(tasks=[views.submitted(each) for each in stored])

    @streamed
    async def Run(self, request: api_pb2.RunRequest, context: Context) -> AsyncGenerator[api_pb2.RunEvent, None]:  # noqa: N802
        """Submit one task and follow it losslessly."""
        [stored] = await self._submit([request.task])
        with self._news.about(stored.id) as bell:
            # The tap is open before anybody can be given the task.
            tap = self._taps.open(stored.id, bell)
            try:
                self._see_to(stored, drafts.queue_of(request.task))
                yield api_pb2.RunEvent(submitted=views.submitted(stored))
                async for piece in self._follower.follow(stored.id, bell, tap):
                    yield api_pb2.RunEvent(output=piece)
                row = await self._follower.until_final(stored.id, bell)
                yield api_pb2.RunEvent(ended=views.detailed(row, await self._follower.attempts(stored.id)))
            finally:
                self._close_tap(stored.id, tap)

    @answered
    async def Get(self, request: api_pb2.GetRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Show one task with its attempts."""
        row = await self._follower.row(request.id)
        return views.detailed(row, await self._follower.attempts(request.id))

    @answered
    async def List(self, request: api_pb2.ListRequest, context: Context) -> api_pb2.ListResponse:  # noqa: N802
        """Show a page of tasks."""
        limit = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        query = partial(
            tasks.list_page,
            states=[_state(word) for word in request.states],
            queue=request.queue or None,
            before_seq=_page(request.page_token),
            limit=limit,
        )
        rows = await asyncio.wrap_future(self._store.read(query))
        shown = _fitting([views.task(row) for row in rows])
        token = str(rows[len(shown) - 1].seq) if len(rows) == limit or len(shown) < len(rows) else ""
        return api_pb2.ListResponse(tasks=shown, next_page_token=token)

    @answered
    async def Modify(self, request: api_pb2.ModifyRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Change a task that has not started."""
        command = partial(changes.modify, request=request, now_us=self._clock.now_us())
        row = await self._unstarted(request.id, command)
        self._see_to(row, row.queue)
        self._news.ring(row.id)
        return views.detailed(row, await self._follower.attempts(row.id))

    @answered
    async def Delete(self, request: api_pb2.DeleteRequest, context: Context) -> api_pb2.DeleteResponse:  # noqa: N802
        """Remove a task that does not run."""
        deleted = await self._unstarted(request.id, partial(tasks.delete, id=request.id))
        if deleted.attempt_ids:
            await drop_output(self._store, deleted.attempt_ids)
        self._news.ring(request.id)
        return api_pb2.DeleteResponse()

    @answered
    async def Cancel(self, request: api_pb2.CancelRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """End a task."""
        grace_us = drafts.grace_of(request)
        cancelled = await self.cancel(request.id, grace_us, EndReason.CANCELLED)
        return views.detailed(cancelled.row, await self._follower.attempts(request.id))

    async def cancel(self, task_id: str, grace_us: int | None, reason: EndReason) -> model.Cancelled:
        """Cancel a task durably, then have its tree ended. Raises Refusal NO_SUCH_TASK, WRONG_STATE."""
        command = partial(tasks.cancel, id=task_id, now_us=self._clock.now_us(), grace_us=grace_us)
        cancelled = await asyncio.wrap_future(self._store.write(command))
        session = self._pool.session_of(cancelled.executor)
        if cancelled.attempt_id is not None and session is not None:
            stop = link_pb2.Stop(
                attempt_id=cancelled.attempt_id, state="cancelled", reason=reason, grace_us=cancelled.grace_us
            )
            session.tell(stops=[stop])
        self._news.ring(task_id)
        return cancelled

    @streamed
    async def Wait(self, request: api_pb2.WaitRequest, context: Context) -> AsyncGenerator[api_pb2.Task, None]:  # noqa: N802
        """Tell of each task when it is final."""
        waiting = set(request.ids)
        with self._news.about(*waiting) as bell:
            looked_at = list(dict.fromkeys(request.ids))
            while True:
                for ended in await self._follower.ended(looked_at):
                    waiting.discard(ended.id)
                    yield ended
                if not waiting:
                    return
                await bell.wait()
                looked_at = sorted(bell.clear() & waiting)

    @streamed
    async def Logs(self, request: api_pb2.LogsRequest, context: Context) -> AsyncGenerator[api_pb2.Output, None]:  # noqa: N802
        """Send output."""
        async for piece in self._logs.answer(request):
            yield piece

    async def _submit(self, specs: Any) -> list[model.Submitted]:
        if self.draining:
            raise Refusal(RefusalReason.DRAINING, "the service is stopping and takes no new tasks", "try again later")
        now_us = self._clock.now_us()
        wanted = [drafts.draft(spec, now_us=now_us, config=self._config) for spec in specs]
        command = partial(tasks.submit, drafts=wanted, now_us=now_us)
        return await asyncio.wrap_future(self._store.write(command))

    def _see_to(self, task: model.Submitted | model.TaskRow, queue: str) -> None:
        """Have the desk give the task out when it is ready, and wake for it when it is not."""
        if task.state == TaskState.READY:
            self._desk.ready(queue)
        elif task.state == TaskState.SCHEDULED:
            self._desk.scheduled(task.due_at_us)

    async def _unstarted(self, task_id: str, command: Callable[[Db], T]) -> T:
        """Do something to a task that must not have started, fetching it back from an executor that only holds it."""
        for _ in range(RECALLS):
            try:
                return await asyncio.wrap_future(self._store.write(command))
            except Refusal as refusal:
                if refusal.reason != RefusalReason.WRONG_STATE or not await self._recall(task_id):
                    raise
        return await asyncio.wrap_future(self._store.write(command))

    async def _recall(self, task_id: str) -> bool:
        attempt = await self._follower.attempt(task_id, 0)
        if attempt is None or attempt.state != AttemptState.CLAIMED:
            return False
        session = self._pool.session_of(attempt.executor)
        return session is not None and await session.recall(attempt.attempt_id)

    def _close_tap(self, task_id: str, tap: Tap) -> None:
        """Nobody reads along any more: the task is not slowed, and what is over its cap is not kept."""
        if not self._taps.close(task_id, tap):
            return
        for member in self._pool.members.values():
            if member.session is not None:
                member.session.untap(task_id)


def _state(word: str) -> str:
    try:
        return TaskState(word)
    except ValueError:
        raise Refusal(
            RefusalReason.BAD_VALUE, f"no such state: {word!r}", f"there are {', '.join(TaskState)}"
        ) from None


def _fitting(page: list[api_pb2.Task]) -> list[api_pb2.Task]:
    """As much of a page as one message should hold, at least one task."""
    sizes = accumulate(task.ByteSize() for task in page)
    return page[: max(1, sum(size <= PAGE_BYTES for size in sizes))]


def _page(token: str) -> int | None:
    if token and not (token.isascii() and token.isdigit() and len(token) <= PAGE_DIGITS):
        raise Refusal(RefusalReason.BAD_VALUE, f"no such page: {token!r}", "use the token of the page before")
    return int(token) if token else None
