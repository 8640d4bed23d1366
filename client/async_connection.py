"""The connection to a supervisor for async code: as connection.py has it, what its user needs of it.

It belongs to the event loop in which its first call was made. Everything raises Refusal and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc

from ..proto import api_pb2 as api
from ..proto import endpoint
from ..proto.api_pb2_grpc import ControlStub, FunctionsStub, TasksStub
from ..proto.clock import SECOND_US, SystemClock
from ..proto.errors import Refusal
from .connection import (
    ANSWER_S,
    LOAD_S,
    PAUSE_S,
    RETURN_S,
    SUBMIT_S,
    check_size,
    check_welcome,
    keyed,
    late,
    random_key,
    timed_out,
)
from .errors import broken, is_break, refusal_of, unanswered
from .ways import Way, as_way


class AsyncConnection:
    """A connection to one supervisor. To be made in the event loop that uses it."""

    def __init__(self, where: Way | Path, *, make_key: Callable[[], str] = random_key) -> None:
        self.way = as_way(where)
        self._make_key = make_key
        self._was_there = False
        self._channel = self._opened([*endpoint.CHANNEL_OPTIONS, *self.way.channel_options])
        self.tasks: Any = TasksStub(self._channel)
        self.functions: Any = FunctionsStub(self._channel)
        self.control: Any = ControlStub(self._channel)

    def _opened(self, options: endpoint.Options) -> grpc.aio.Channel:
        credentials = self.way.credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self.way.target, options)
        return grpc.aio.secure_channel(self.way.target, credentials, options)

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
            raise (unanswered(self.way) if broken(refusal) else refusal) from None

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
                step_s = min(left_s, self.way.ready_step_s)
                await self.ask(self.control.Status, api.StatusRequest(), wait_for_ready=True, timeout_s=step_s)
            except Refusal as refusal:
                if not broken(refusal) or clock.mono_us() >= end_us:
                    raise
                await asyncio.to_thread(check_welcome, self.way)
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
        try:
            answer = await self._asked(method, request, timeout_s, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            raise await self._refusal(error) from error
        self._was_there = True
        return answer

    async def _asked(self, method: Any, request: Any, timeout_s: float | None, *, wait_for_ready: bool) -> Any:
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
        try:
            try:
                first = await (call := method(request, timeout=timeout_s)).read()
            except grpc.RpcError as error:
                if not await self._returns(error):
                    raise
                first = await (call := method(request, timeout=timeout_s, wait_for_ready=True)).read()
            self._was_there = True
            try:
                while first is not grpc.aio.EOF:  # type: ignore[attr-defined]  # its types forgot it
                    yield first
                    first = await call.read()
            finally:
                call.cancel()  # a reader who leaves early ends the call; one who read to its end changes nothing
        except grpc.RpcError as error:
            raise await self._refusal(error) from error

    async def _returns(self, error: grpc.RpcError) -> bool:
        """Whether the connection broke because the supervisor begins anew; then it is there again."""
        if not is_break(error) or not (self._was_there or self.way.tells_who_comes):
            return False
        return await asyncio.to_thread(self.way.comes_back, RETURN_S)

    async def _refusal(self, error: grpc.RpcError) -> Refusal:
        """What it means; where that has to be looked for, beside the event loop."""
        return await asyncio.to_thread(refusal_of, error, self.way) if is_break(error) else refusal_of(error, self.way)
