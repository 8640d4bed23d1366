"""Handles: what who submitted a task has in hand. They hold its id, and ask the service.

`Handle` blocks; `AsyncHandle`, for async code, has the same methods, to be awaited. Both may be arguments of calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Literal, TypeVar, cast

from ..proto import api_pb2 as api
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import TaskState
from . import views
from .failures import public_errors
from .lines import Lines
from .options import Seconds, limit_us
from .planning import Plan, Promise, Shape
from .services import AsyncService, Service

R_co = TypeVar("R_co", covariant=True)
Stream = Literal["out", "err"]


class _Named(Promise[R_co]):
    """What both kinds of handles are: the name of a task."""

    __slots__ = ("id",)

    id: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of task {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def into(self, plan: Plan) -> Shape:
        """An argument: its result. It is submitted already."""
        return api.TaskRef(id=self.id)


class Handle(_Named[R_co]):
    """A submitted task; R is what it comes to: a function's result, a command's exit code 0.

    Every method may raise TschedError. A handle may be used wherever its Client may.
    """

    __slots__ = ("_service",)

    def __init__(self, service: Service, id: str) -> None:  # noqa: A002 - it is called id everywhere
        self._service = service
        self.id = id

    def status(self) -> TaskState:
        """Where it is on its way: "ready", "running", "succeeded", ..."""
        return self.info().state

    def info(self) -> views.TaskInfo:
        """Everything about it that is not long."""
        with public_errors():
            return views.task_info(self._service.get(self.id))

    def progress(self) -> views.Progress | None:
        """How far its newest attempt says that it is; None when it says nothing."""
        with public_errors():
            return views.progress(self._service.get(self.id))

    def attempts(self) -> list[views.AttemptInfo]:
        """All its tries, oldest first."""
        with public_errors():
            return views.attempts(self._service.get(self.id))

    def result(self, timeout: Seconds | None = None) -> R_co:
        """Wait for its end and give what it came to, also over a restart of the service.

        Raises TaskFailed when it did not end well, TimeoutError when it has not ended in time.
        """
        with public_errors():
            return cast("R_co", views.outcome(self._ended(timeout)))

    def wait(self, timeout: Seconds | None = None) -> TaskState:
        """Wait for its end, whatever that is. Raises TimeoutError."""
        with public_errors():
            return TaskState(self._ended(timeout).state)

    def cancel(self, grace: Seconds | None = None) -> TaskState:
        """Ask for its end, and that of all it started; the wish is durable. `grace` instead of its own, 0: kill now."""
        with public_errors():
            asked = self._service.cancel(self.id, limit_us(grace))
            return TaskState(asked.state)

    def logs(self, *, follow: bool = False, stream: Stream | None = None) -> Iterator[str]:
        """What its newest attempt wrote, a line at a time, with its line ends; with `follow`, until it has ended."""
        lines = Lines()
        with public_errors():
            for output in self._service.logs(logs_request(self.id, follow=follow, stream=stream)):
                yield from lines.fed(output)
        yield from lines.rest()

    def _ended(self, timeout: Seconds | None) -> api.Task:
        for task in self._service.ended([self.id], limit_us(timeout)):
            return task
        raise unfinished(self.id)


class AsyncHandle(_Named[R_co]):
    """A submitted task, for async code: `await handle` is `await handle.result()`. Everything as Handle has it."""

    __slots__ = ("_service",)

    def __init__(self, service: AsyncService, id: str) -> None:  # noqa: A002 - it is called id everywhere
        self._service = service
        self.id = id

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.result().__await__()

    async def status(self) -> TaskState:
        """Where it is on its way: "ready", "running", "succeeded", ..."""
        return (await self.info()).state

    async def info(self) -> views.TaskInfo:
        """Everything about it that is not long."""
        with public_errors():
            return views.task_info(await self._service.get(self.id))

    async def progress(self) -> views.Progress | None:
        """How far its newest attempt says that it is; None when it says nothing."""
        with public_errors():
            return views.progress(await self._service.get(self.id))

    async def attempts(self) -> list[views.AttemptInfo]:
        """All its tries, oldest first."""
        with public_errors():
            return views.attempts(await self._service.get(self.id))

    async def result(self, timeout: Seconds | None = None) -> R_co:  # noqa: ASYNC109 - the same for both kinds
        """Wait for its end and give what it came to, also over a restart of the service.

        Raises TaskFailed when it did not end well, TimeoutError when it has not ended in time.
        """
        with public_errors():
            return cast("R_co", views.outcome(await self._ended(timeout)))

    async def wait(self, timeout: Seconds | None = None) -> TaskState:  # noqa: ASYNC109
        """Wait for its end, whatever that is. Raises TimeoutError."""
        with public_errors():
            return TaskState((await self._ended(timeout)).state)

    async def cancel(self, grace: Seconds | None = None) -> TaskState:
        """Ask for its end, and that of all it started; the wish is durable. `grace` instead of its own, 0: kill now."""
        with public_errors():
            asked = await self._service.cancel(self.id, limit_us(grace))
            return TaskState(asked.state)

    async def logs(self, *, follow: bool = False, stream: Stream | None = None) -> AsyncIterator[str]:
        """What its newest attempt wrote, a line at a time, with its line ends; with `follow`, until it has ended."""
        lines = Lines()
        with public_errors():
            async for output in self._service.logs(logs_request(self.id, follow=follow, stream=stream)):
                for line in lines.fed(output):
                    yield line
        for line in lines.rest():
            yield line

    async def _ended(self, timeout: Seconds | None) -> api.Task:  # noqa: ASYNC109
        ended = [task async for task in self._service.ended([self.id], limit_us(timeout))]
        if not ended:
            raise unfinished(self.id)
        return ended[-1]


def logs_request(id: str, *, follow: bool, stream: Stream | None) -> api.LogsRequest:  # noqa: A002
    """How output is asked for."""
    return api.LogsRequest(id=id, follow=follow, stream=stream or "")


def unfinished(id: str) -> Refusal:  # noqa: A002
    """What it means that a service has no more to say although a task has not ended."""
    return Refusal(RefusalReason.INTERNAL, f"the service said nothing about the end of {id}", "its log may say more")
