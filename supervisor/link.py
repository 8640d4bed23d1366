"""The executors' service: one stream each. Reports become durable, then they are acknowledged.

Order within an executor's reports: its runners, then output, then starts, returns and finishes in one transaction; so
an acknowledged finish has all its output behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from ..proto import link_pb2, link_pb2_grpc
from ..proto.clock import Clock
from ..proto.values import EndReason
from ..store import Store, claims, executors, model, output
from ..store.db import Db
from . import durable, log, reports, views
from .background import Background
from .desk import Desk
from .ends import announce, announce_children
from .news import News
from .output_keys import OutputKeys
from .pool import Pool
from .session import Session
from .taps import Taps

if TYPE_CHECKING:
    from .catalogue import Catalogue

Returned = tuple[list[str], list[model.Child]]


class Link(link_pb2_grpc.LinkServicer):
    """Serves attached executors."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        desk: Desk,
        pool: Pool,
        taps: Taps,
        news: News,
        catalogue: Catalogue,
        background: Background,
    ) -> None:
        self._store = store
        self._clock = clock
        self._desk = desk
        self._pool = pool
        self._taps = taps
        self._news = news
        self._catalogue = catalogue
        catalogue.on_change(self._tell_sources)
        self._background = background
        self._output_keys = OutputKeys(store)

    async def Attach(  # noqa: N802 - the name is the contract's
        self, requests: AsyncIterator[link_pb2.FromExecutor], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Serve one executor until its stream ends. What it reported until then becomes durable also after that."""
        hello = (await anext(aiter(requests))).hello
        if not await self._authentic(hello):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such executor, or not its secret")
        self._supersede(hello.executor_id)
        session = Session(hello.executor_id, hello.slots, hello.shared)
        returned = await self._welcome(session, hello)
        # No pause from the reconciliation to here: whoever cancels after it finds this session.
        if not self._pool.attached(session):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this executor is not known yet, or died")
        try:
            self._desk.join(session)
            self._see_to(*returned)
            await self._serve(session, requests, context)
        finally:
            self._desk.leave(session)
            session.close()

    async def _serve(
        self,
        session: Session,
        requests: AsyncIterator[link_pb2.FromExecutor],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        """Hear, store and answer until the stream ends; all that was heard is stored even when it breaks.

        A bug in one of the three ends the stream; the executor then says everything again.
        """
        keeper = self._background.spawn(self._keep(session))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(session, context))
            keeping = group.create_task(_shielded(keeper))
            async for message in requests:
                self._take(session, message)
            session.close()
            await keeping
            sending.cancel()

    def _supersede(self, executor: str) -> None:
        """Its former stream is over, whether that was noticed or not: nothing more is given to it there."""
        former = self._pool.session_of(executor)
        if former is not None:
            self._desk.leave(former)
            former.close()

    async def _authentic(self, hello: link_pb2.Hello) -> bool:
        row = await asyncio.wrap_future(self._store.read(partial(executors.executor, id=hello.executor_id)))
        if row is None or row.state != "present" or row.pid != hello.pid:
            return False
        return hmac.compare_digest(row.secret_hash, hashlib.sha256(hello.secret.encode()).digest())

    async def _welcome(self, session: Session, hello: link_pb2.Hello) -> Returned:
        """Agree on what the executor holds. Returns the tasks that were claimed for it and never reached it."""
        live, returned = await durable.insist(lambda: self._store.write(partial(self._reconcile, hello=hello)))
        held = set(hello.held)
        session.meet(live)
        session.tell(
            welcome=link_pb2.Welcome(),
            sources=self._catalogue.sources(),
            runner_acks=[runner.pid for runner in hello.runners],
            forget=[attempt_id for attempt_id in held if attempt_id not in session.tasks],
            stops=[_stop(each.attempt_id, each.grace_us) for each in live if each.cancel],
            taps=[
                link_pb2.Tap(attempt_id=each.attempt_id, on=self._taps.get(each.task_id) is not None) for each in live
            ],
        )
        return returned

    def _reconcile(self, db: Db, *, hello: link_pb2.Hello) -> tuple[list[model.LiveAttempt], Returned]:
        executor, held = hello.executor_id, set(hello.held)
        executors.runner_up(db, executor=executor, runners=_runners(hello.runners), now_us=self._clock.now_us())
        live = claims.live_attempts(db, executor=executor)
        missing = [each.attempt_id for each in live if each.attempt_id not in held]
        returned = _returned(db, missing, executor)
        return [each for each in live if each.attempt_id in held], returned

    def _tell_sources(self) -> None:
        """Functions are found elsewhere now: every executor is told before it is given another call."""
        for member in self._pool.members.values():
            if member.session is not None:
                member.session.tell(sources=self._catalogue.sources())

    def _see_to(self, returned: list[str], children: list[model.Child]) -> None:
        """These tasks came back unstarted: they are ready again, or cancelled if that was asked, and so on."""
        for task_id in returned:
            self._news.ring(task_id)
        announce_children(children, self._desk, self._news)
        if returned:
            self._desk.review()

    async def _send(self, session: Session, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        while True:
            await context.write(await session.next_message())

    def _take(self, session: Session, message: link_pb2.FromExecutor) -> None:
        if message.claim or message.claim_shared:
            session.free[False] += message.claim
            session.free[True] += message.claim_shared
            self._desk.kick()
        for line in message.logs:
            log.get(executor=session.executor).log(log.level(line.level), line.event, **line.fields)
        session.report(message)

    async def _keep(self, session: Session) -> None:
        try:
            while told := await session.next_reports():
                await self._keep_runners(session, told)
                await self._keep_output(session, told)
                await self._keep_ends(session, told)
        finally:
            session.stored.set()
            self._pool.detached(session)

    async def _keep_runners(self, session: Session, told: link_pb2.FromExecutor) -> None:
        if not told.runners:
            return
        command = partial(executors.runner_up, executor=session.executor, runners=_runners(told.runners))
        await durable.insist(lambda: self._store.write(lambda db: command(db, now_us=self._clock.now_us())))
        session.tell(runner_acks=[runner.pid for runner in told.runners])

    async def _keep_output(self, session: Session, told: link_pb2.FromExecutor) -> None:
        """Keep what is to be kept, pass on what passes; a tail that follows on passing chunks is kept after them."""
        chunks = [chunk for chunk in told.chunks if chunk.attempt_id in session.tasks]
        self._pass_over(session, [chunk for chunk in told.chunks if chunk.attempt_id not in session.tasks])
        passing = [chunk for chunk in chunks if chunk.passing]
        passed = {chunk.attempt_id: chunk.number for chunk in passing}
        kept = [chunk for chunk in chunks if not chunk.passing]
        await self._append(session, [each for each in kept if each.number <= passed.get(each.attempt_id, each.number)])
        for chunk in passing:
            self._pass_on(session, chunk)
        await self._append(session, [each for each in kept if each.number > passed.get(each.attempt_id, each.number)])
        for task_id in {session.tasks.get(chunk.attempt_id, "") for chunk in chunks}:
            self._news.ring(task_id)

    async def _append(self, session: Session, chunks: list[link_pb2.Chunk]) -> None:
        if not chunks:
            return
        rows = await self._output_keys.kept(session.executor, [reports.chunk_row(chunk) for chunk in chunks])
        await durable.insist(lambda: self._store.write_output(partial(output.append, chunks=rows)))
        session.tell(chunk_acks=_acks(chunks))

    def _pass_over(self, session: Session, chunks: list[link_pb2.Chunk]) -> None:
        """Output of attempts that this executor does not have: over, or another's. It need not be said again."""
        if chunks:
            log.get(executor=session.executor).warning("output_passed_over", chunks=len(chunks))
            session.tell(chunk_acks=_acks(chunks))

    def _pass_on(self, session: Session, chunk: link_pb2.Chunk) -> None:
        def acknowledge() -> None:
            session.tell(chunk_acks=[link_pb2.ChunkAck(attempt_id=chunk.attempt_id, number=chunk.number)])

        tap = self._taps.get(session.tasks.get(chunk.attempt_id, ""))
        if tap is None:
            acknowledge()
        else:
            tap.give(chunk, acknowledge)

    async def _keep_ends(self, session: Session, told: link_pb2.FromExecutor) -> None:
        if not (told.started or told.paused or told.finished or told.returned or told.kept or told.progress):
            return
        ended, returned = await durable.insist(lambda: self._store.write(partial(self._store_ends, session, told)))
        self._log_steps(session, told)
        for attempt_id in told.returned:
            session.returned(attempt_id)
        for attempt_id in told.kept:
            session.recalled(attempt_id, back=False)
        for pause in told.paused:
            if pause.answer:
                session.paused(pause.attempt_id, on=pause.on)
        for progress in told.progress:
            self._tell_progress(session, progress)
        for finish in told.finished:
            session.forget(finish.attempt_id)
        if told.finished:
            session.tell(finish_acks=[finish.attempt_id for finish in told.finished])
        for end in ended:
            announce(end, self._desk, self._news, executor=session.executor)
        self._see_to(*returned)

    def _tell_progress(self, session: Session, progress: link_pb2.Progress) -> None:
        task_id, number = session.tasks.get(progress.attempt_id), session.number(progress.attempt_id)
        if task_id is not None and number is not None:
            self._news.tell(views.told_progress(task_id, number, progress))

    def _log_steps(self, session: Session, told: link_pb2.FromExecutor) -> None:
        for start in told.started:
            session.step("started", start.attempt_id, pid=start.pid)
        for pause in told.paused:
            session.step("paused" if pause.on else "resumed", pause.attempt_id)
        for attempt_id in told.returned:
            session.step("returned", attempt_id)

    def _store_ends(self, session: Session, told: link_pb2.FromExecutor, db: Db) -> tuple[list[model.Ended], Returned]:
        executor = session.executor
        claims.started(db, reports=[reports.start_report(executor, each) for each in told.started])
        claims.paused(db, reports=[reports.pause_report(executor, each) for each in told.paused])
        if told.progress:
            sayable = [each for each in told.progress if not math.isnan(each.done) and not math.isnan(each.total)]
            newest = {each.attempt_id: reports.progress_report(executor, each) for each in sayable}
            claims.progressed(db, reports=list(newest.values()))
        returned = _returned(db, list(told.returned), executor)
        ended = claims.finished(db, reports=[reports.finish_report(executor, each) for each in told.finished])
        return ended, returned


def _returned(db: Db, attempt_ids: list[int], executor: str) -> Returned:
    """Take back what was never started: whose attempts, and what that makes of those that wait for a cancelled one."""
    children: list[model.Child] = []
    if not attempt_ids:
        return [], children
    return claims.returned(db, attempt_ids=attempt_ids, executor=executor, children=children), children


def _acks(chunks: list[link_pb2.Chunk]) -> list[link_pb2.ChunkAck]:
    newest = {chunk.attempt_id: chunk.number for chunk in chunks}
    return [link_pb2.ChunkAck(attempt_id=attempt_id, number=number) for attempt_id, number in newest.items()]


async def _shielded(work: asyncio.Task[None]) -> None:
    await asyncio.shield(work)


def _stop(attempt_id: int, grace_us: int) -> link_pb2.Stop:
    return link_pb2.Stop(attempt_id=attempt_id, state="cancelled", reason=EndReason.CANCELLED, grace_us=grace_us)


def _runners(told: Any) -> list[model.RunnerRow]:
    return [
        model.RunnerRow(pid=each.pid, start_ticks=each.start_ticks, mount_namespace=each.mount_namespace)
        for each in told
    ]
