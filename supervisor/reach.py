"""Doing something to a task wherever it is now: waiting in the store, held ahead by an executor, or running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TypeVar

from ..proto import link_pb2
from ..proto.clock import Clock
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import AttemptState, EndReason, TaskState
from ..store import model, tasks
from ..store.db import Db
from . import durable
from .behalf import Behalf
from .desk import Desk
from .ends import announce_children
from .news import News
from .pool import Pool

# A task fetched back may be given out again before it is changed; twice is bad luck, more is another matter.
RECALLS = 3
# A tree of many processes takes a while to stand still, on a busy machine most of all.
STANDSTILL_S = 30.0
HELD = (AttemptState.CLAIMED, AttemptState.RUNNING)
T = TypeVar("T")


class Reach:
    """The arm that goes through the store to the executors."""

    def __init__(self, *, store: Behalf, clock: Clock, pool: Pool, desk: Desk, news: News) -> None:
        self._store = store
        self._clock = clock
        self._pool = pool
        self._desk = desk
        self._news = news

    async def unstarted(self, what: str, task_id: str, command: Callable[[Db], T], left: Callable[[T], None]) -> T:
        """Do something to a task that must not have started, fetching it back from an executor that only holds it.

        `left` is told of what was done after the caller had left.
        """

        def write() -> Future[T]:
            return self._store.write(command, what, lambda _: task_id)

        for _ in range(RECALLS):
            try:
                return await durable.stored(write(), left)
            except Refusal as refusal:
                if refusal.reason != RefusalReason.WRONG_STATE or not await self._recall(task_id):
                    raise
        return await durable.stored(write(), left)

    async def cancel(self, task_id: str, grace_us: int | None, reason: EndReason) -> model.Cancelled:
        """Cancel a task durably, then have its tree ended. Raises Refusal NO_SUCH_TASK, WRONG_STATE."""
        command = partial(tasks.cancel, id=task_id, now_us=self._clock.now_us(), grace_us=grace_us)
        stop = partial(self._stop, reason=reason)
        write = self._store.write(command, "cancel", lambda _: task_id)
        cancelled = await durable.stored(write, stop)
        stop(cancelled)
        return cancelled

    def _stop(self, cancelled: model.Cancelled, *, reason: EndReason) -> None:
        session = self._pool.session_of(cancelled.executor)
        if cancelled.attempt_id is not None and session is not None:
            stop = link_pb2.Stop(
                attempt_id=cancelled.attempt_id, state="cancelled", reason=reason, grace_us=cancelled.grace_us
            )
            session.tell(stops=[stop])
        self._news.ring(cancelled.row.id)
        announce_children(cancelled.children, self._desk, self._news)

    async def pause(self, task_id: str, *, on: bool) -> None:
        """Have a running task's tree stand still, or go on; done when that is durable. Raises Refusal WRONG_STATE."""
        row = await asyncio.wrap_future(self._store.read(partial(tasks.get, id=task_id)))
        if row.shared:
            raise _not_now(f"task {task_id} calls an async function: it shares its process and cannot stand still", "")
        attempt = await self._newest(task_id)
        session = self._pool.session_of(attempt.executor) if attempt is not None and attempt.state in HELD else None
        does = False
        if attempt is not None and session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STANDSTILL_S):
                    does = await session.pause(attempt.attempt_id, on=on)
        if not does:
            raise await self._why_not(task_id, "pause" if on else "resume")
        await self._store.note("pause" if on else "resume", task_id)
        self._news.ring(task_id)

    async def _why_not(self, task_id: str, verb: str) -> Refusal:
        """What keeps a task from being paused, or from being resumed."""
        row = await asyncio.wrap_future(self._store.read(partial(tasks.get, id=task_id)))
        attempt = await self._newest(task_id)
        if row.state != TaskState.RUNNING or attempt is None:
            hint = f"only a {'running' if verb == 'pause' else 'paused'} task can be {verb}d"
            return _not_now(f"task {task_id} is {row.state}: it cannot be {verb}d", hint)
        if row.cancel_requested_at_us is not None:
            return _not_now(f"task {task_id} is being ended: it cannot be {verb}d", f"tsched wait {task_id}")
        if attempt.state == AttemptState.CLAIMED:
            return _not_now(
                f"task {task_id} has not started", f"try again, or keep it from starting: tsched hold {task_id}"
            )
        if self._pool.session_of(attempt.executor) is None:
            return _not_now(f"the executor of task {task_id} is not attached just now", "try again")
        return _not_now(
            f"not everything that task {task_id} started could be {verb}d", f"try again: tsched {verb} {task_id}"
        )

    async def _newest(self, task_id: str) -> model.AttemptRow | None:
        attempts = await asyncio.wrap_future(self._store.read(partial(tasks.attempts_of, id=task_id)))
        return attempts[-1] if attempts else None

    async def _recall(self, task_id: str) -> bool:
        attempt = await self._newest(task_id)
        if attempt is None or attempt.state != AttemptState.CLAIMED:
            return False
        session = self._pool.session_of(attempt.executor)
        return session is not None and await session.recall(attempt.attempt_id)


def _not_now(message: str, hint: str) -> Refusal:
    return Refusal(RefusalReason.WRONG_STATE, message, hint)
