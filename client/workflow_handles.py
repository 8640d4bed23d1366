"""Workflows that were submitted: handles of all their parts, and what they come to."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from ..proto import api_pb2 as api
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import FINAL_TASK_STATES, TaskState
from . import views
from .failures import TaskFailed, TschedError, public_errors
from .handles import AsyncHandle, Handle, unfinished
from .options import Seconds, limit_us
from .planning import Plan, Promise, Shape, flat
from .services import AsyncService, Service

R_co = TypeVar("R_co", covariant=True)
H = TypeVar("H")


class _Submitted(Promise[R_co], Generic[R_co, H]):
    """What both kinds are: handles of all parts in the order of the request, and whose results count."""

    __slots__ = ("_shape", "parts")

    def __init__(self, parts: Sequence[H], ids: Sequence[str], shape: Shape) -> None:
        self.parts = tuple(parts)
        """Handles of all tasks, those that are arguments of others included; none comes after one that needs it."""
        self._shape = named(shape, ids)

    def into(self, plan: Plan) -> Shape:
        """An argument: what it comes to. It is submitted already."""
        return self._shape

    @property
    def ids(self) -> list[str]:
        """Of those tasks whose results count: of a chain the last one, of a group all."""
        return [reference.id for reference in flat(self._shape)]


class Workflow(_Submitted[R_co, Handle[Any]]):
    """A submitted workflow; R is what it comes to. Every method may raise TschedError."""

    __slots__ = ("_service",)

    def __init__(self, service: Service, ids: Sequence[str], shape: Shape) -> None:
        self._service = service
        super().__init__([Handle(service, each) for each in ids], ids, shape)

    @property
    def id(self) -> str:
        """Of its last task. Raises ValueError when several count, as of a group."""
        return only(self.ids)

    def result(self, timeout: Seconds | None = None) -> R_co:
        """Wait for its end and give what it came to: of a chain the last result, of a group the list of all.

        Raises TaskFailed, of the task that failed first where others were skipped for it, and TimeoutError.
        """
        with public_errors():
            ended = {task.id: task for task in self._service.ended(self.ids, limit_us(timeout))}
            try:
                return cast("R_co", collected(self._shape, ended))
            except TaskFailed as failed:
                raise (self._cause() if failed.state == TaskState.SKIPPED else None) or failed from None

    def wait(self, timeout: Seconds | None = None) -> dict[str, TaskState]:
        """Wait for the end of all its tasks, whatever that is: states by id. Raises TimeoutError."""
        with public_errors():
            ended = self._service.ended([part.id for part in self.parts], limit_us(timeout))
            return {task.id: TaskState(task.state) for task in ended}

    def status(self) -> dict[str, TaskState]:
        """States of all its tasks, by id."""
        return {part.id: part.status() for part in self.parts}

    def cancel(self, grace: Seconds | None = None) -> None:
        """Ask for the end of all of it that has not ended: what comes last first, so that nothing begins meanwhile."""
        for part in reversed(self.parts):
            if part.status() not in FINAL_TASK_STATES:
                with _unless_ended():
                    part.cancel(grace)

    def _cause(self) -> TaskFailed | None:
        with _unless_gone():
            return first_failure(self._service.get(part.id) for part in self.parts)
        return None


class AsyncWorkflow(_Submitted[R_co, AsyncHandle[Any]]):
    """A submitted workflow, for async code: `await workflow` is `await workflow.result()`. All as Workflow has it."""

    __slots__ = ("_service",)

    def __init__(self, service: AsyncService, ids: Sequence[str], shape: Shape) -> None:
        self._service = service
        super().__init__([AsyncHandle(service, each) for each in ids], ids, shape)

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.result().__await__()

    @property
    def id(self) -> str:
        """Of its last task. Raises ValueError when several count, as of a group."""
        return only(self.ids)

    async def result(self, timeout: Seconds | None = None) -> R_co:  # noqa: ASYNC109 - the same for both kinds
        """Wait for its end and give what it came to: of a chain the last result, of a group the list of all.

        Raises TaskFailed, of the task that failed first where others were skipped for it, and TimeoutError.
        """
        with public_errors():
            ended = {task.id: task async for task in self._service.ended(self.ids, limit_us(timeout))}
            try:
                return cast("R_co", collected(self._shape, ended))
            except TaskFailed as failed:
                raise (await self._cause() if failed.state == TaskState.SKIPPED else None) or failed from None

    async def wait(self, timeout: Seconds | None = None) -> dict[str, TaskState]:  # noqa: ASYNC109
        """Wait for the end of all its tasks, whatever that is: states by id. Raises TimeoutError."""
        with public_errors():
            ended = self._service.ended([part.id for part in self.parts], limit_us(timeout))
            return {task.id: TaskState(task.state) async for task in ended}

    async def status(self) -> dict[str, TaskState]:
        """States of all its tasks, by id."""
        return {part.id: await part.status() for part in self.parts}

    async def cancel(self, grace: Seconds | None = None) -> None:
        """Ask for the end of all of it that has not ended: what comes last first, so that nothing begins meanwhile."""
        for part in reversed(self.parts):
            if await part.status() not in FINAL_TASK_STATES:
                with _unless_ended():
                    await part.cancel(grace)

    async def _cause(self) -> TaskFailed | None:
        with _unless_gone():
            for part in self.parts:
                if (failed := first_failure([await self._service.get(part.id)])) is not None:
                    return failed
        return None


def named(shape: Shape, ids: Sequence[str]) -> Shape:
    """The same, with ids instead of places in the request."""
    if isinstance(shape, api.TaskRef):
        return shape if shape.WhichOneof("task") == "id" else api.TaskRef(id=ids[shape.index])
    return [named(each, ids) for each in shape]


def collected(shape: Shape, ended: dict[str, api.Task]) -> Any:
    """What it all came to. Raises TaskFailed of the first that did not end well."""
    if isinstance(shape, api.TaskRef):
        if shape.id not in ended:
            raise unfinished(shape.id)
        return views.outcome(ended[shape.id])
    return [collected(each, ended) for each in shape]


def first_failure(tasks: Iterable[api.Task]) -> TaskFailed | None:
    """The failure for which others were skipped; tasks come before those that need them."""
    failed = FINAL_TASK_STATES - {TaskState.SUCCEEDED, TaskState.SKIPPED}
    return next((views.failure(task) for task in tasks if task.state in failed), None)


@contextmanager
def _unless_ended() -> Iterator[None]:
    """Pass over that a task is past being cancelled: it has ended since it was looked at."""
    try:
        yield
    except TschedError as error:
        if error.reason != RefusalReason.WRONG_STATE:
            raise


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over that a task is kept no more: what is told without it is true as well."""
    try:
        yield
    except Refusal as refusal:
        if refusal.reason is not RefusalReason.NO_SUCH_TASK:
            raise


def only(ids: list[str]) -> str:
    """The one id. Raises ValueError when there are more or none."""
    if len(ids) != 1:
        raise ValueError(f"this workflow ends with {len(ids)} tasks, not with one: see ids, and parts")
    return ids[0]
