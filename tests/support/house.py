"""A supervisor's way of a task without its processes: store, desk, link and the service for users, on real sockets.

The executor is a test: it speaks its end of the link itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc

from support.fake_catalogue import FakeCatalogue
from tsched.proto import api_pb2_grpc, endpoint, link_pb2, link_pb2_grpc
from tsched.proto.clock import SystemClock
from tsched.store import Store, executors, model
from tsched.store.cipher import PlainCipher
from tsched.supervisor import config
from tsched.supervisor.api import Tasks
from tsched.supervisor.background import Background
from tsched.supervisor.desk import Desk
from tsched.supervisor.final_answers import FinalAnswers
from tsched.supervisor.link import Link
from tsched.supervisor.news import News
from tsched.supervisor.taps import Taps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LIMIT_S = 10.0
CLOCK = SystemClock()
EXECUTOR = model.ExecutorRow(
    id="x",
    secret_hash=hashlib.sha256(b"secret").digest(),
    pid=7,
    start_ticks=1,
    boot_id="boot",
    version="v",
    started_at_us=1,
    state="present",
)


class Pool:
    """Remembers the session of the one executor there is."""

    def __init__(self) -> None:
        self.member = SimpleNamespace(session=None, leaving=False)
        self.members = {"x": self.member}

    def attached(self, session: Any) -> bool:
        self.member.session = session
        return True

    def detached(self, session: Any) -> None:
        if self.member.session is session:
            self.member.session = None

    def session_of(self, executor: str | None) -> Any:
        return self.member.session if executor == "x" else None


class LoopAlarm:
    """Rings by the loop's clock."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due_us: int | None) -> None:
        self.close()
        if due_us is not None:
            delay_s = max(0, due_us - CLOCK.now_us()) / 1e6 + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Executor:
    """A test's end of the link."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.sources: list[link_pb2.Sources] = []
        self.acknowledged: list[int] = []
        self._given: list[link_pb2.Assignment] = []

    async def say(self, **fields: Any) -> None:
        await self._call.write(link_pb2.FromExecutor(**fields))

    async def hear(self) -> link_pb2.ToExecutor:
        async with asyncio.timeout(LIMIT_S):
            told = await self._call.read()
        if told.HasField("sources"):
            self.sources.append(told.sources)
        self._given.extend(told.assignments)
        self.acknowledged.extend(told.finish_acks)
        return told

    async def given(self) -> link_pb2.Assignment:
        """The next task it is given."""
        while not self._given:
            await self.hear()
        return self._given.pop(0)

    async def finish(self, task: link_pb2.Assignment, state: str = "succeeded", **fields: Any) -> None:
        """Tell of an end, until that is durable."""
        told = {"attempt_id": task.attempt_id, "state": state, "finished_at_us": CLOCK.now_us(), **fields}
        await self.say(finished=[link_pb2.Finished(**told)])
        while task.attempt_id not in self.acknowledged:
            await self.hear()


class House:
    """All of it; `failures` has what went wrong in the background."""

    def __init__(self, folder: Path, catalogue: FakeCatalogue) -> None:
        self.store = Store.open(folder, PlainCipher(), CLOCK)
        self.store.write(partial(executors.register, row=EXECUTOR)).result()
        self.catalogue = catalogue
        self.failures: list[BaseException] = []
        self.socket = folder / "s"
        pool: Any = Pool()
        parts: dict[str, Any] = {"news": News(), "taps": Taps(), "catalogue": catalogue}
        background = Background(self.failures.append)
        self.desk = Desk(self.store, CLOCK, make_alarm=LoopAlarm, background=background, **parts)
        link = Link(store=self.store, clock=CLOCK, desk=self.desk, pool=pool, background=background, **parts)
        self.tasks = Tasks(
            store=self.store,
            clock=CLOCK,
            config=config.load(None),
            desk=self.desk,
            pool=pool,
            answers=FinalAnswers(),
            **parts,
        )
        self._server = grpc.aio.server(options=endpoint.SERVER_OPTIONS)
        self._server.add_insecure_port(endpoint.target(self.socket))
        api_pb2_grpc.add_TasksServicer_to_server(self.tasks, self._server)
        link_pb2_grpc.add_LinkServicer_to_server(link, self._server)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        await self._server.start()
        self.desk.open()
        options = endpoint.CHANNEL_OPTIONS
        async with grpc.aio.insecure_channel(endpoint.target(self.socket), options) as self._channel:
            self.calls = api_pb2_grpc.TasksStub(self._channel)
            try:
                yield self
            finally:
                self.desk.end()
                await self._server.stop(0)
                self.store.close()
        assert not self.failures, self.failures

    @asynccontextmanager
    async def executor(self, *held: int) -> AsyncIterator[Executor]:
        """A stream that has been welcomed."""
        call = link_pb2_grpc.LinkStub(self._channel).Attach()
        hello = link_pb2.Hello(executor_id="x", secret="secret", pid=7, held=held, slots=4, shared=100)
        await call.write(link_pb2.FromExecutor(hello=hello))
        executor = Executor(call)
        await executor.hear()
        yield executor
        await call.done_writing()
        while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]  # it is there; its type is not
            pass


def story(folder: Path, catalogue: FakeCatalogue, told: Callable[[House], Any]) -> None:
    """Run a story in a house of its own."""

    async def run() -> None:
        async with asyncio.timeout(3 * LIMIT_S), House(folder, catalogue).open() as house:
            await told(house)

    asyncio.run(run())
