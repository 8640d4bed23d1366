"""The service for users: tsched.v1.Tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

from ..proto import api_pb2, api_pb2_grpc, checks
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import EndReason, TaskState
from ..store import Store, model, tasks
from ..store.db import Db
from . import callers, changes, drafts, durable, log, views
from .behalf import SUBMIT, Behalf
from .catalogue import Catalogue
from .config import Config
from .desk import Desk, Round, Turn
from .ends import announce_children
from .feed import Feed
from .final_answers import FinalAnswers
from .follow import Follower
from .logs import Logs
from .looking import Looking
from .news import News
from .owners import OWN, Owners
from .planner import Lane
from .pool import Pool
from .reach import Reach
from .refusals import answered, streamed
from .retention import drop_output
from .taps import Tap, Taps
from .waiting import Waiting

DRAFTS_AT_ONCE = 100
"""A submission of many keeps the others waiting for no longer than these take."""
CALL_AT_ONCE_BYTES = 64 * 1024
"""A call with longer arguments is looked at in a thread: a million values take a second."""
Context = Any  # grpc.aio.ServicerContext; its type parameters are of no use here


class Tasks(api_pb2_grpc.TasksServicer):
    """Serves tsched.v1.Tasks; api.proto says what each method promises."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        config: Config,
        desk: Desk,
        pool: Pool,
        taps: Taps,
        news: News,
        answers: FinalAnswers,
        catalogue: Catalogue,
        owners: Owners = OWN,
    ) -> None:
        self._store = store
        self._behalf = behalf = Behalf(store, clock, config.limits_queued_tasks)
        self._clock = clock
        self._config = config
        self._desk = desk
        self._pool = pool
        self._catalogue = catalogue
        self._owners = owners
        self._reach = Reach(store=behalf, clock=clock, pool=pool, desk=desk, news=news)
        self._looking = Looking(store=behalf, clock=clock, pool=pool)
        self._waiting = Waiting(behalf, news)
        self._taps = taps
        self._news = news
        self._answers = answers
        self._feed = Feed(behalf)
        self._follower = Follower(behalf, news)
        self._logs = Logs(behalf, news, self._follower)
        self.draining = False

    @answered
    async def Submit(self, request: api_pb2.SubmitRequest, context: Context) -> api_pb2.SubmitResponse:  # noqa: N802
        """Store all tasks, or none."""
        return api_pb2.SubmitResponse(tasks=await self.accept(request))

    @streamed
    async def Run(self, request: api_pb2.RunRequest, context: Context) -> AsyncGenerator[api_pb2.RunEvent, None]:  # noqa: N802
        """Submit one task and follow it losslessly."""
        # A call is begun at once. For a command the tap is open before anybody can be given it.
        at_once = request.task.HasField("call")
        [(stored, lane)] = await self._submit(api_pb2.SubmitRequest(tasks=[request.task]), at_once=at_once)
        with self._news.about(stored.id) as bell:
            tap = self._taps.open(stored.id, bell)
            try:
                self._tap(stored.id, on=True)
                self._see_to(stored, lane)
                yield api_pb2.RunEvent(submitted=views.submitted(stored))
                async for piece in self._follower.follow(stored.id, bell, tap):
                    yield api_pb2.RunEvent(output=piece)
                yield api_pb2.RunEvent(ended=await self._looking.shown(stored.id, result=True))
            finally:
                self._close_tap(stored.id, tap)

    @answered
    async def Get(self, request: api_pb2.GetRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Show one task with its attempts."""
        return await self._looking.shown(request.id, result=request.result)

    @answered
    async def List(self, request: api_pb2.ListRequest, context: Context) -> api_pb2.ListResponse:  # noqa: N802
        """Show a page of tasks."""
        return await self._looking.page(request)

    @answered
    async def Modify(self, request: api_pb2.ModifyRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Change a task that has not started."""
        entry = None
        if request.HasField("call"):
            entry = await asyncio.to_thread(drafts.checked_entry, request.call, self._catalogue)
        children: list[model.Child] = []
        now_us = self._clock.now_us()
        command = partial(changes.modify, request=request, entry=entry, now_us=now_us, children=children)
        return await self._change("modify", request.id, command, children)

    @answered
    async def Delete(self, request: api_pb2.DeleteRequest, context: Context) -> api_pb2.DeleteResponse:  # noqa: N802
        """Remove a task that does not run."""
        command = partial(tasks.delete, id=request.id, now_us=self._clock.now_us())
        with self._answers.gone(request.id):
            deleted = await self._reach.unstarted("delete", request.id, command, lambda _: self._deleted(request.id))
        if deleted.attempt_ids:
            await drop_output(self._store, deleted.attempt_ids)
        self._news.ring(request.id)
        return api_pb2.DeleteResponse()

    @answered
    async def Cancel(self, request: api_pb2.CancelRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """End a task."""
        grace_us = drafts.grace_of(request)
        await self._reach.cancel(request.id, grace_us, EndReason.CANCELLED)
        return await self._looking.shown(request.id)

    async def cancel(self, task_id: str, grace_us: int | None, reason: EndReason) -> model.Cancelled:
        """Cancel a task durably, then have its tree ended. Raises Refusal NO_SUCH_TASK, WRONG_STATE."""
        return await self._reach.cancel(task_id, grace_us, reason)

    @answered
    async def Retry(self, request: api_pb2.RetryRequest, context: Context) -> api_pb2.SubmitResponse:  # noqa: N802
        """Make a task anew that has ended."""
        self._check_taking()
        command = partial(changes.retry, id=request.id, key=request.key or None, now_us=self._clock.now_us())
        write = self._behalf.write(command, "retry", lambda made: "" if made.existed else f"{request.id} as {made.id}")
        stored = await durable.stored(write, lambda _: self._desk.review())
        self._desk.review()
        return api_pb2.SubmitResponse(tasks=[views.submitted(stored)])

    @answered
    async def Hold(self, request: api_pb2.HoldRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Keep a task from starting."""
        command = partial(tasks.hold, id=request.id, now_us=self._clock.now_us())
        return await self._change("hold", request.id, command)

    @answered
    async def Release(self, request: api_pb2.ReleaseRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Let a held task go its way."""
        command = partial(tasks.release, id=request.id, now_us=self._clock.now_us())
        return await self._change("release", request.id, command)

    @answered
    async def Pause(self, request: api_pb2.PauseRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Have a running task stand still."""
        await self._reach.pause(request.id, on=True)
        return await self._looking.shown(request.id)

    @answered
    async def Resume(self, request: api_pb2.ResumeRequest, context: Context) -> api_pb2.Task:  # noqa: N802
        """Have a paused task go on."""
        await self._reach.pause(request.id, on=False)
        return await self._looking.shown(request.id)

    @streamed
    async def Wait(  # noqa: N802
        self, request: api_pb2.WaitRequest, context: Context
    ) -> AsyncGenerator[api_pb2.TaskBatch, None]:
        """Tell of each task when it is final."""
        async for batch in self._waiting.answer(request):
            yield batch

    @answered
    async def Why(self, request: api_pb2.WhyRequest, context: Context) -> api_pb2.WhyResponse:  # noqa: N802
        """Say what a task waits for."""
        return await self._looking.why(request.id, draining=self.draining)

    @answered
    async def Graph(self, request: api_pb2.GraphRequest, context: Context) -> api_pb2.GraphResponse:  # noqa: N802
        """Show what tasks hang together with."""
        return await self._looking.graph(request)

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

    async def accept(self, request: api_pb2.SubmitRequest) -> list[api_pb2.Submitted]:
        """Store all tasks of a request, or none, and see to them. Raises Refusal."""
        stored = await self._submit(request, at_once=True)
        for lane in {lane for task, lane in stored if lane is not None and task.state == TaskState.READY}:
            self._desk.ready(lane)
        if due := [task.due_at_us for task, _ in stored if task.state == TaskState.SCHEDULED]:
            self._desk.scheduled(min(due))
        return [views.submitted(task) for task, _ in stored]

    async def outcome(self, task_id: str, *, wait: bool) -> api_pb2.Task:
        """What became of a task, with its result; once it is final, if that is waited for. Raises NO_SUCH_TASK."""
        if wait:
            with self._news.about(task_id) as bell:
                await self._follower.until_final(task_id, bell)
        return await self._looking.outcome(task_id)

    async def _submit(
        self, request: api_pb2.SubmitRequest, *, at_once: bool
    ) -> list[tuple[model.Submitted, Lane | None]]:
        """Store all tasks of a request, or none; each with its lane, None where that has been seen to.

        `at_once`: where the service is idle they are given out in the same transaction. Raises Refusal FORBIDDEN for a
        caller as whom nothing is run.
        """
        self._check_taking()
        if (caller := callers.CURRENT.get()) is not None:
            self._owners.uid(caller.owner)
        wanted = await self._drafts(request)
        lanes = {Lane(draft.queue, draft.shared) for draft in wanted if draft.state == TaskState.READY}
        turn = self._desk.turn(*lanes) if at_once and len(lanes) == 1 else None
        stored = await self._stored(partial(tasks.submit, drafts=wanted, now_us=self._clock.now_us()), turn)
        of = (None if turn else Lane(draft.queue, draft.shared) for draft in wanted)
        return list(zip(stored, of, strict=True))

    async def _stored(self, submit: Callable[[Db], list[model.Submitted]], turn: Turn | None) -> list[model.Submitted]:
        """Store tasks, and claim in the same transaction when there is a turn."""

        def left(_: object) -> None:
            self._desk.review()

        if turn is None:
            stored = await durable.stored(self._behalf.write(submit, SUBMIT, _fresh), left)
            _log_submitted(stored)
            return stored

        def settle(done: tuple[list[model.Submitted], Round] | None) -> None:
            _log_submitted(done[0] if done else [])
            self._desk.settle(turn, done and done[1])

        write = self._behalf.write(lambda db: (submit(db), turn.claim(db)), SUBMIT, lambda done: _fresh(done[0]))
        return (await durable.stored(write, left, settle))[0]

    async def _drafts(self, request: api_pb2.SubmitRequest) -> list[model.Draft]:
        """What to store of each; others have their turn meanwhile."""
        count = checks.check_task_count(len(request.tasks))
        if called := {each.call.function for each in (request.common, *request.tasks) if each.HasField("call")}:
            await self._catalogue.settle(called)
        now_us = self._clock.now_us()
        drafter = drafts.Drafter(
            request.common, now_us=now_us, config=self._config, catalogue=self._catalogue, tasks=count
        )
        dear = request.common.call.ByteSize() > CALL_AT_ONCE_BYTES
        wanted = []
        for spec in request.tasks:
            if dear or spec.call.ByteSize() > CALL_AT_ONCE_BYTES:
                wanted.append(await asyncio.to_thread(drafter.draft, spec))
            else:
                wanted.append(drafter.draft(spec))
            if len(wanted) % DRAFTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return wanted

    def _check_taking(self) -> None:
        if self.draining:
            raise Refusal(RefusalReason.DRAINING, "the service is stopping and takes no new tasks", "try again later")

    async def _change(
        self, what: str, task_id: str, command: Callable[[Db], model.TaskRow], children: Sequence[model.Child] = ()
    ) -> api_pb2.Task:
        """Change a task that has not started, and have it seen to; and those whose state changed with it."""
        changed = partial(self._changed, children=children)
        changed(await self._reach.unstarted(what, task_id, command, changed))
        return await self._looking.shown(task_id)

    def _deleted(self, task_id: str) -> None:
        """Forget a task that was deleted after its caller had left."""
        with self._answers.gone(task_id):
            self._news.ring(task_id)

    def _changed(self, row: model.TaskRow, children: Sequence[model.Child]) -> None:
        self._see_to(row, Lane(row.queue, row.shared))
        announce_children(children, self._desk, self._news)
        self._news.ring(row.id)

    def _see_to(self, task: model.Submitted | model.TaskRow, lane: Lane | None) -> None:
        """Have the desk give the task out when it is ready, unless that was done, and wake for it when it is not."""
        if task.state == TaskState.READY and lane is not None:
            self._desk.ready(lane)
        elif task.state in (TaskState.SCHEDULED, TaskState.RETRYING):
            self._desk.scheduled(task.due_at_us)

    def _close_tap(self, task_id: str, tap: Tap) -> None:
        """Nobody reads along any more: the task is not slowed, and what is over its cap is not kept."""
        if self._taps.close(task_id, tap):
            self._tap(task_id, on=False)

    def _tap(self, task_id: str, *, on: bool) -> None:
        """Tell who has the task already whether somebody reads along."""
        for member in self._pool.members.values():
            if member.session is not None:
                member.session.tap(task_id, on=on)


def _fresh(stored: Sequence[model.Submitted]) -> str:
    """What is noted of a submission: the first of its tasks that was not there before, and how many there are."""
    fresh = [task.id for task in stored if not task.existed]
    return f"{fresh[0]} and {len(fresh) - 1} more" if len(fresh) > 1 else "".join(fresh)


def _log_submitted(stored: Sequence[model.Submitted]) -> None:
    if log.tells_steps():
        for task in stored:
            log.step("submitted", task=task.id, state=task.state, existed=task.existed)
