"""The service for users: tsched.v1.Tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from ..proto import api_pb2, api_pb2_grpc, checks
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from ..proto.sealing import Sealer
from ..proto.values import EndReason, TaskState
from ..store import Store, model, tasks
from ..store.db import Db
from . import changes, drafts, durable, log, pages, views
from .config import Config
from .desk import Desk
from .feed import Feed
from .final_answers import FinalAnswers
from .follow import Follower
from .logs import Logs
from .news import News
from .pool import Pool
from .reach import Reach
from .refusals import answered, streamed
from .retention import drop_output
from .taps import Tap, Taps

PAGE_SIZE = 100
PAGE_LIMIT = 1000
GATHER_S = 0.01
"""Where many tasks are waited for, ends are told of several at a time: a look and a message for each would be dear."""
PAGE_DIGITS = 18
DRAFTS_AT_ONCE = 100
"""A submission of many keeps the others waiting for no longer than these take."""
Context = Any  # grpc.aio.ServicerContext; its type parameters are of no use here


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
        answers: FinalAnswers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._desk = desk
        self._pool = pool
        self._reach = Reach(store=store, clock=clock, pool=pool, news=news)
        self._taps = taps
        self._news = news
        self._answers = answers
        self._feed = Feed(store)
        self._follower = Follower(store, sealer, news)
        self._logs = Logs(store, news, self._follower)
        self.draining = False

    @answered
    async def Submit(self, request: api_pb2.SubmitRequest, context: Context) -> api_pb2.SubmitResponse:  # noqa: N802
        """Store all tasks, or none."""
        stored = await self._submit(request)
        for task, queue in stored:
            self._see_to(task, queue)
        return api_pb2.SubmitResponse(tasks=[views.submitted(task) for task, _ in stored])

    @streamed
    async def Run(self, request: api_pb2.RunRequest, context: Context) -> AsyncGenerator[api_pb2.RunEvent, None]:  # noqa: N802
        """Submit one task and follow it losslessly."""
        [(stored, queue)] = await self._submit(api_pb2.SubmitRequest(tasks=[request.task]))
        with self._news.about(stored.id) as bell:
            # The tap is open before anybody can be given the task.
            tap = self._taps.open(stored.id, bell)
            try:
                self._see_to(stored, queue)
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
        return await self._shown(request.id)

    @answered
    async def List(self, request: api_pb2.ListRequest, context: Context) -> api_pb2.ListResponse:  # noqa: N802
        """Show a page of tasks."""
        limit = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        query = partial(
            tasks.list_page,
            states=[_state(word) for word in request.states],
            queue=request.queue or None,
            since_us=request.since_us if request.HasField("since_us") else None,
            before_seq=_page(request.page_token),
            limit=limit,
        )
        rows = await asyncio.wrap_future(self._store.read(query))
        shown = pages.fitting([views.task(row) for row in rows])
        token = str(rows[len(shown) - 1].seq) if len(rows) == limit or len(shown) < len(rows) else ""
        return api_pb2.ListResponse(tasks=shown, next_page_token=token)

    @answered
    async def Modify(self, request: api_pb2.ModifyRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Change a task that has not started."""
        return await self._change(request.id, partial(changes.modify, request=request, now_us=self._clock.now_us()))

    @answered
    async def Delete(self, request: api_pb2.DeleteRequest, context: Context) -> api_pb2.DeleteResponse:  # noqa: N802
        """Remove a task that does not run."""
        command = partial(tasks.delete, id=request.id, now_us=self._clock.now_us())
        with self._answers.gone(request.id):
            deleted = await self._reach.unstarted(request.id, command, lambda _: self._deleted(request.id))
        if deleted.attempt_ids:
            await drop_output(self._store, deleted.attempt_ids)
        self._news.ring(request.id)
        return api_pb2.DeleteResponse()

    @answered
    async def Cancel(self, request: api_pb2.CancelRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """End a task."""
        grace_us = drafts.grace_of(request)
        cancelled = await self._reach.cancel(request.id, grace_us, EndReason.CANCELLED)
        return views.detailed(cancelled.row, await self._follower.attempts(request.id))

    async def cancel(self, task_id: str, grace_us: int | None, reason: EndReason) -> model.Cancelled:
        """Cancel a task durably, then have its tree ended. Raises Refusal NO_SUCH_TASK, WRONG_STATE."""
        return await self._reach.cancel(task_id, grace_us, reason)

    @answered
    async def Retry(self, request: api_pb2.RetryRequest, context: Context) -> api_pb2.SubmitResponse:  # noqa: N802
        """Make a task anew that has ended."""
        self._check_taking()
        command = partial(tasks.retry, id=request.id, key=request.key or None, now_us=self._clock.now_us())
        stored = await durable.stored(self._store.write(command), lambda _: self._desk.review())
        self._desk.review()
        return api_pb2.SubmitResponse(tasks=[views.submitted(stored)])

    @answered
    async def Hold(self, request: api_pb2.HoldRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Keep a task from starting."""
        return await self._change(request.id, partial(tasks.hold, id=request.id, now_us=self._clock.now_us()))

    @answered
    async def Release(self, request: api_pb2.ReleaseRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Let a held task go its way."""
        return await self._change(request.id, partial(tasks.release, id=request.id, now_us=self._clock.now_us()))

    @answered
    async def Pause(self, request: api_pb2.PauseRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Have a running task stand still."""
        await self._reach.pause(request.id, on=True)
        return await self._shown(request.id)

    @answered
    async def Resume(self, request: api_pb2.ResumeRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Have a paused task go on."""
        await self._reach.pause(request.id, on=False)
        return await self._shown(request.id)

    @streamed
    async def Wait(  # noqa: N802
        self, request: api_pb2.WaitRequest, context: Context
    ) -> AsyncGenerator[api_pb2.TaskBatch, None]:
        """Tell of each task when it is final."""
        waiting = set(request.ids)
        with self._news.about(*waiting) as bell:
            looked_at = list(dict.fromkeys(request.ids))
            while True:
                async for ended in self._follower.ended(looked_at, outcomes=request.outcomes):
                    waiting.difference_update(task.id for task in ended)
                    yield api_pb2.TaskBatch(tasks=ended)
                if not waiting:
                    return
                await bell.wait()
                if len(waiting) > 1:
                    await asyncio.sleep(GATHER_S)
                looked_at = sorted(bell.clear() & waiting)

    @streamed
    async def Logs(self, request: api_pb2.LogsRequest, context: Context) -> AsyncGenerator[api_pb2.Output, None]:  # noqa: N802
        """Send output."""
        async for piece in self._logs.answer(request):
            yield piece

    @streamed
    async def Events(  # noqa: N802
        self, request: api_pb2.EventsRequest, context: Context
    ) -> AsyncGenerator[api_pb2.EventBatch, None]:
        """Send what happened."""
        async for batch in self._feed.answer(request):
            yield batch

    async def _submit(self, request: api_pb2.SubmitRequest) -> list[tuple[model.Submitted, str]]:
        """Store all tasks of a request, or none; each with its queue."""
        self._check_taking()
        checks.check_task_count(len(request.tasks))
        now_us = self._clock.now_us()
        drafter = drafts.Drafter(request.common, now_us=now_us, config=self._config)
        wanted = []
        for spec in request.tasks:
            wanted.append(drafter.draft(spec))
            if len(wanted) % DRAFTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        command = partial(tasks.submit, drafts=wanted, now_us=now_us)
        stored = await durable.stored(self._store.write(command), lambda _: self._desk.review())
        if log.tells_steps():
            for task in stored:
                log.step("submitted", task=task.id, state=task.state, existed=task.existed)
        return [(task, draft.queue) for task, draft in zip(stored, wanted, strict=True)]

    def _check_taking(self) -> None:
        if self.draining:
            raise Refusal(RefusalReason.DRAINING, "the service is stopping and takes no new tasks", "try again later")

    async def _change(self, task_id: str, command: Callable[[Db], model.TaskRow]) -> api_pb2.Task:
        """Change a task that has not started, and have it seen to."""
        row = await self._reach.unstarted(task_id, command, self._changed)
        self._changed(row)
        return views.detailed(row, await self._follower.attempts(task_id))

    def _deleted(self, task_id: str) -> None:
        """Forget a task that was deleted after its caller had left."""
        with self._answers.gone(task_id):
            self._news.ring(task_id)

    def _changed(self, row: model.TaskRow) -> None:
        self._see_to(row, row.queue)
        self._news.ring(row.id)

    async def _shown(self, task_id: str) -> api_pb2.Task:
        row = await self._follower.row(task_id)
        return views.detailed(row, await self._follower.attempts(task_id))

    def _see_to(self, task: model.Submitted | model.TaskRow, queue: str) -> None:
        """Have the desk give the task out when it is ready, and wake for it when it is not."""
        if task.state == TaskState.READY:
            self._desk.ready(queue)
        elif task.state in (TaskState.SCHEDULED, TaskState.RETRYING):
            self._desk.scheduled(task.due_at_us)

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


def _page(token: str) -> int | None:
    if token and not (token.isascii() and token.isdigit() and len(token) <= PAGE_DIGITS):
        raise Refusal(RefusalReason.BAD_VALUE, f"no such page: {token!r}", "use the token of the page before")
    return int(token) if token else None
