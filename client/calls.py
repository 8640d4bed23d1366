"""Calls of tasks: a function, and what shall hold for its calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from . import options as say
from .options import CallOptions
from .workflows import Signature

if TYPE_CHECKING:
    from .handles import AsyncHandle, Handle
    from .registry import Task

__all__ = ["Bound", "CallOptions"]

P = ParamSpec("P")
R = TypeVar("R")


class Bound(Generic[P, R]):
    """A task with more said about its calls: what `task.options(...)` gives. Calls go to the default service."""

    __slots__ = ("options", "task")

    def __init__(self, task: Task[P, R], options: CallOptions) -> None:
        """Raises TypeError for what is no option."""
        self.task = task
        self.options = say.checked(options)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Submit a call; durable when this returns. Raises TschedError, also for arguments that it does not take."""
        from .default import default_client  # noqa: PLC0415 - binding alone needs no connection

        return cast("Handle[R]", default_client().start(self.s(*args, **kwargs)).parts[-1])

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncHandle[R]:
        """`delay` for async code."""
        from .default import default_async_client  # noqa: PLC0415

        return cast("AsyncHandle[R]", (await default_async_client().start(self.s(*args, **kwargs))).parts[-1])

    def map(self, calls: Iterable[Iterable[Any]]) -> list[Handle[R]]:
        """Submit a call for each tuple of arguments, 10,000 in one request; all of a request are stored, or none."""
        from .default import default_client  # noqa: PLC0415

        return default_client().map(self.task, calls, **self.options)

    async def amap(self, calls: Iterable[Iterable[Any]]) -> list[AsyncHandle[R]]:
        """`map` for async code."""
        from .default import default_async_client  # noqa: PLC0415

        return await default_async_client().map(self.task, calls, **self.options)

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """A call that is part of a workflow; what comes before it there gives its result as the first argument."""
        return Signature(self.task.name, args, kwargs, self.options)

    def si(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """The same, but waits for what comes before it without taking its result."""
        return Signature(self.task.name, args, kwargs, self.options, takes=False)
