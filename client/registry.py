"""`@task`: functions that tsched may run, and the names they go by.

Only the standard library, and little of it: a function's own interpreter loads this. What submits calls is loaded when
the first one is made.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar, cast, overload

from .flow import seconds_of

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Unpack

    from .calls import Bound, CallOptions
    from .handles import AsyncHandle, Handle
    from .workflows import Signature

P = ParamSpec("P")
R = TypeVar("R")

_COROUTINE = 0x80
_GENERATORS = 0x20 | 0x200
"""Flags of code, as the module inspect has them; that one is dear to load."""


class Chosen(NamedTuple):
    """What the author of a function chose for its calls; None: nothing. What is said of one call goes first."""

    queue: str | None = None
    retries: int | None = None
    """Further attempts after one that failed or timed out."""
    retry_delay: float | None = None
    """Seconds before the second attempt; doubles with each further one, to at most an hour."""
    timeout: float | None = None
    """Seconds that one attempt may take."""
    priority: int | None = None
    profile: str | None = None


class Options(Chosen, Generic[P, R]):
    """What the author chose, as attributes; called with what shall hold for some calls, it gives what makes those."""

    task: Task[P, R]

    def __call__(self, **options: Unpack[CallOptions]) -> Bound[P, R]:
        """The same task with more said about a call: `resize.options(delay=30, after=[other]).delay(1, "a")`.

        Raises RuntimeError in an interpreter that has tsched's function side only.
        """
        try:
            from .calls import Bound  # noqa: PLC0415 - see the module's docstring
        except ModuleNotFoundError as error:
            message = (
                f"{sys.executable} can run tasks, but not submit calls: it has no {error.name}; install tsched there"
            )
            raise RuntimeError(message) from error
        return Bound(self.task, options)


class Task(Generic[P, R]):
    """A function that tsched may run; still callable as it was. R is what a call of it comes to, also of an async one.

    `delay` submits a call and returns at once; `options` says more about a call; `s` binds arguments for a workflow.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], name: str | None, chosen: Chosen) -> None:
        """Raises TypeError for what cannot be a task: a generator, or no function."""
        self.is_async = _is_async(function)
        functools.update_wrapper(cast("Callable[..., Any]", self), function)
        self.function = function
        self.given_name = name
        self.name = name or f"{module_name(function)}.{function.__qualname__}"
        self.options: Options[P, R] = Options(*chosen)
        self.options.task = self

    def __repr__(self) -> str:
        return f"<tsched task {self.name}>"

    def __reduce__(self) -> str:
        """It is copied and sent to other processes by its name, as functions are."""
        return self.function.__qualname__

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Submit a call; durable when this returns. Raises TschedError, also for arguments that it does not take."""
        return self.options().delay(*args, **kwargs)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncHandle[R]:
        """`delay` for async code."""
        return await self.options().adelay(*args, **kwargs)

    def __set_name__(self, owner: type, name: str) -> None:
        if self.function.__qualname__ == f"{owner.__qualname__}.{name}":
            raise TypeError(f"@task is for functions: {owner.__qualname__}.{name} is a method, whose self stays here")

    def map(self, calls: Iterable[Iterable[Any]]) -> list[Handle[R]]:
        """Submit a call for each tuple of arguments, 10,000 in one request; all of a request are stored, or none."""
        return self.options().map(calls)

    async def amap(self, calls: Iterable[Iterable[Any]]) -> list[AsyncHandle[R]]:
        """`map` for async code."""
        return await self.options().amap(calls)

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """A call that is part of a workflow; what comes before it there gives its result as the first argument."""
        return self.options().s(*args, **kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """The same, but waits for what comes before it without taking its result."""
        return self.options().si(*args, **kwargs)


class SyncTask(Task[P, R]):
    """A task that is a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here, without tsched."""
        result: R = self.function(*args, **kwargs)
        return result


class AsyncTask(Task[P, R]):
    """A task that is an async function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """A coroutine of the function, to be awaited here, without tsched."""
        result: Coroutine[Any, Any, R] = self.function(*args, **kwargs)
        return result


class Decorator:
    """`@task(...)` with options, about to be given the function."""

    def __init__(self, name: str | None, chosen: Chosen) -> None:
        self._name = name
        self._chosen = chosen

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Task[..., Any]:
        """Make a task of the function, and remember it by its name."""
        kind: type[Task[..., Any]] = AsyncTask if _is_async(function) else SyncTask
        return _remember(kind(function, self._name, self._chosen))


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
@overload
def task(function: Callable[P, R], /) -> SyncTask[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str | None = None,
    retries: int | None = None,
    retry_delay: float | timedelta | None = None,
    timeout: float | timedelta | None = None,
    priority: int | None = None,
    profile: str | None = None,
) -> Decorator: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str | None = None,
    retries: int | None = None,
    retry_delay: float | timedelta | None = None,
    timeout: float | timedelta | None = None,
    priority: int | None = None,
    profile: str | None = None,
) -> Task[..., Any] | Decorator:
    """Let tsched run this function: `@task`, or `@task(queue="io", retries=3)`. It stays callable as it is.

    `name`: instead of module.qualname. Lengths of time are seconds or timedeltas. Raises TypeError, ValueError.
    """
    if name is not None and not (isinstance(name, str) and name):
        raise TypeError(f"a task's name is a string that is not empty, not {name!r}")
    chosen = Chosen(queue, _count(retries, "retries"), _seconds(retry_delay), _seconds(timeout), priority, profile)
    decorator = Decorator(name, chosen)
    return decorator if function is None else decorator(function)


_REGISTERED: dict[str, Task[..., Any]] = {}


def registered() -> dict[str, Task[..., Any]]:
    """All tasks that this process has seen declared, by name."""
    return dict(_REGISTERED)


def _remember(declared: Task[..., Any]) -> Task[..., Any]:
    """The same function again is newer: its module was loaded anew. Raises ValueError when another one has the name."""
    known = _REGISTERED.get(declared.name)
    if known is not None and _place(known) != _place(declared):
        message = f"two tasks are called {declared.name!r}: {'.'.join(_place(known))} and {'.'.join(_place(declared))}"
        raise ValueError(message)
    _REGISTERED[declared.name] = declared
    return declared


def _place(declared: Task[..., Any]) -> tuple[str, str]:
    return module_name(declared.function), declared.function.__qualname__


def module_name(function: Callable[..., Any]) -> str:
    """The name under which others import a function's module, also where it is run as a program."""
    if function.__module__ != "__main__":
        return function.__module__
    names = getattr(function, "__globals__", {})
    spec, file = names.get("__spec__"), names.get("__file__")
    if spec is not None:  # python -m module
        return str(spec.name)
    return os.path.splitext(os.path.basename(file))[0] if file else "__main__"


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether a call gives a coroutine. Raises TypeError for what cannot be a task."""
    if not callable(function) or not hasattr(function, "__qualname__") or isinstance(function, type):
        raise TypeError(f"@task is for functions, not for {function!r}")
    code = getattr(function, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if flags & _GENERATORS:
        raise TypeError(f"{function.__qualname__} is a generator; a task returns its result: return a list")
    return bool(flags & _COROUTINE)


def _count(value: int | None, name: str) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"{name} is {value!r}; it is a number of times, from 0")
    return value


def _seconds(length: float | timedelta | None) -> float | None:
    return None if length is None else seconds_of(length)
