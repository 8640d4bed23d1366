"""The connection to a supervisor for async code: as connection.py has it, what its user needs of it.

It belongs to the event loop in which its first call was made. Everything raises Refusal and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from ..proto import api_pb2 as api
from ..proto import endpoint, presence
from ..proto.api_pb2_grpc import ControlStub, FunctionsStub, TasksStub
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal
from .connection import ANSWER_S, LOAD_S, PAUSE_S, RETURN_S, SUBMIT_S, check_size, keyed, late, random_key, timed_out
from .errors import broken, refusal_of, unanswered


class AsyncConnection:
    """A connection to one supervisor. To be made in the event loop that uses it."""

    def __init__(self, socket: Path, *, make_key: Callable[[], str] = random_key) -> None:
        self.socket = endpoint.check_socket_path(socket)
        self._make_key = make_key
        self._channel = grpc.aio.insecure_channel(endpoint.target(socket), endpoint.CHANNEL_OPTIONS)
        self.tasks: Any = TasksStub(self._channel)
        self.functions: Any = FunctionsStub(self._channel)
        self.control: Any = ControlStub(self._channel)

    async def close(self) -> None:
        """End the connection; calls that still run fail."""
        await self._channel.close(None)

    async def submit(self, specs: Sequence[api.TaskSpec], *, common: api.TaskSpec | None = None) -> list[api.Submitted]:
        """Store all tasks or none; the answer means durable. Asked once more when the connection broke before it."""
        request = api.SubmitRequest(tasks=[keyed(spec, self._make_key) for spec in specs], common=common)
        return await self._submitted(self.tasks.Submit, request)

    async def retry(self, id: str) -> api.Submitted:  # noqa: A002 - the word of the contract
        """Make a new task of a finished one. Asked once more as `submit` is."""
        [submitted] = await self._submitted(self.tasks.Retry, api.RetryRequest(id=id, key=self._make_key()))
        return submitted

    async def _submitted(self, method: Any, request: Any) -> list[api.Submitted]:
        try:
            answer = await self.ask(method, request, timeout_s=SUBMIT_S)
        except Refusal as refusal:
            if not broken(refusal):
                raise
            answer = await self._asked_again(method, request)
        return list(answer.tasks)

    async def _asked_again(self, method: Any, request: Any) -> Any:
        """The answer of a supervisor that comes back in time. Raises a refusal that says what may have been done."""
        try:
            return await self.ask(method, request, timeout_s=RETURN_S, wait_for_ready=True)
        except Refusal as refusal:
            raise (unanswered(self.socket) if broken(refusal) else refusal) from None

    async def listed(self, request: api.ListRequest) -> AsyncIterator[api.Task]:
        """All tasks that are asked for, newest first, fetched a page at a time."""
        while True:
            page = await self.ask(self.tasks.List, request)
            for task in page.tasks:
                yield task
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def wait(self, ids: Iterable[str], *, timeout_us: int | None = None) -> AsyncIterator[api.Task]:
        """Each task's outcome with its result, once it has one. Raises Refusal WAIT_TIMEOUT."""
        request = api.WaitRequest(ids=ids, outcomes=True, results=True)
        try:
            async for batch in self.stream(self.tasks.Wait, request, timeout_us=timeout_us):
                for task in batch.tasks:
                    yield task
        except Refusal as refusal:
            if isinstance(refusal.__cause__, grpc.RpcError) and timed_out(refusal.__cause__):
                raise late(request.ids) from None
            raise

    async def await_ready(self, timeout_s: float) -> None:
        """Wait until a supervisor answers. Raises Refusal NO_SUPERVISOR when none does in time."""
        clock = SystemClock()
        end_us = clock.mono_us() + int(timeout_s * SECOND_US)
        while True:
            left_s = max(0, end_us - clock.mono_us()) / SECOND_US
            try:
                await self.ask(self.control.Status, api.StatusRequest(), wait_for_ready=True, timeout_s=left_s)
            except Refusal as refusal:
                if not broken(refusal) or clock.mono_us() >= end_us:
                    raise
                await asyncio.sleep(min(left_s, PAUSE_S))
            else:
                return

    async def plugins(self, method: Any, name: str) -> list[api.Plugin]:
        """Do something about plugins; what there are then."""
        return list((await self.ask(method, api.PluginRequest(name=name), timeout_s=LOAD_S)).plugins)

    # Calls.

    async def ask(
        self, method: Any, request: Any, *, timeout_s: float | None = ANSWER_S, wait_for_ready: bool = False
    ) -> Any:
        """One answer. Asked once more of a supervisor that begins anew."""
        check_size(request)
        with self._refusing():
            try:
                return await method(request, timeout=timeout_s, wait_for_ready=wait_for_ready)
            except grpc.RpcError as error:
                if not await self._returns(error):
                    raise
                return await method(request, timeout=timeout_s, wait_for_ready=True)

    async def stream(self, method: Any, request: Any, *, timeout_us: int | None = None) -> AsyncIterator[Any]:
        """All answers. Asked once more of a supervisor that begins anew, when there was none yet."""
        check_size(request)
        timeout_s = None if timeout_us is None else timeout_us / SECOND_US
        with self._refusing():
            try:
                first = await (call := method(request, timeout=timeout_s)).read()
            except grpc.RpcError as error:
                if not await self._returns(error):
                    raise
                first = await (call := method(request, timeout=timeout_s, wait_for_ready=True)).read()
            try:
                while first is not grpc.aio.EOF:  # type: ignore[attr-defined]  # its types forgot it
                    yield first
                    first = await call.read()
            finally:
                call.cancel()  # a reader who leaves early ends the call; one who read to its end changes nothing

    async def _returns(self, error: grpc.RpcError) -> bool:
        """Whether the connection broke because the supervisor begins anew; then it is there again."""
        lock = presence.socket_lock(self.socket)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED or not broken(refusal_of(error, self.socket)):
            return False
        if presence.holder(lock) is None:
            return False
        return await asyncio.to_thread(presence.await_return, self.socket, [lock], RETURN_S)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise refusal_of(error, self.socket) from error
