"""Tests of code that submits calls, without a service: `inline()` and `manual()`.

Both stand in for the default service of the process within a block, in all threads: `.delay()`, `.adelay()`, workflows.
Clients that a program makes itself go to a real one; so does `service()` (testing_service.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..proto.anys import from_any
from ..proto.plain import plain
from . import default, requests
from .async_client import AsyncClient
from .client import Client
from .default import Stand
from .registry import Task
from .testing_calls import Kept
from .testing_engine import AsyncEngine, Engine

_engines: list[Engine] = []


@contextmanager
def inline() -> Iterator[Engine]:
    """Within the block a call is run in this process before `delay` returns, with all that follows from it.

    Tasks due later and further attempts, too: time passes as is needed. Failures are seen by `result()`, as they are
    of a service.
    """
    with _standing_in(Engine(at_once=True), at_once=True) as engine:
        yield engine


@contextmanager
def manual() -> Iterator[Engine]:
    """Within the block calls are kept, and run when the test says so: `drain()` what is due, `travel()` to what is not.

    `result()` of what has not ended raises TimeoutError at once.
    """
    with _standing_in(Engine(at_once=False), at_once=False) as engine:
        yield engine


def drain(queue: str | None = None) -> int:
    """Run everything that is due, what that submits included, until nothing is; how many attempts were made."""
    return _engine().drain(queue)


async def adrain(queue: str | None = None) -> int:
    """`drain` for async tests: async functions run in their event loop."""
    return await _engine().adrain(queue)


def travel(*, seconds: float) -> None:
    """Let time pass: delays and further attempts that become due may be drained then."""
    _engine().travel(seconds)


def assert_enqueued(
    task: Task[..., Any] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    count: int | None = None,
) -> None:
    """Raises AssertionError unless a call was submitted within the block, so often where `count` says, run or not.

    What is not said may be anything; what a result of another task is given as is equal to nothing.
    """
    found = _found(task, args, kwargs, queue)
    if len(found) != count if count is not None else not found:
        wanted = f"{count} calls" if count is not None else "a call"
        raise AssertionError(f"{wanted} of {_words(task, args, kwargs, queue)} expected, found {len(found)}; {_all()}")


def refute_enqueued(
    task: Task[..., Any] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
) -> None:
    """Raises AssertionError when such a call was submitted within the block."""
    found = _found(task, args, kwargs, queue)
    if found:
        raise AssertionError(f"no call of {_words(task, args, kwargs, queue)} expected, found {len(found)}; {_all()}")


@contextmanager
def _standing_in(engine: Engine, *, at_once: bool) -> Iterator[Engine]:
    stand = Stand(Client.over(engine), AsyncClient.over(AsyncEngine(engine, at_once=at_once)))
    _engines.append(engine)
    try:
        with default.standing_in(stand):
            yield engine
    finally:
        _engines.remove(engine)


def _engine() -> Engine:
    if not _engines:
        raise RuntimeError("this is for use within tsched.testing.manual() or inline()")
    return _engines[-1]


def _found(
    task: Task[..., Any] | str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, queue: str | None
) -> list[Kept]:
    name = requests.name_of(task)
    return [
        kept
        for kept in _engine().submitted()
        if kept.task.name == name
        and queue in (None, kept.queue)
        and (args is None or _args(kept) == plain(args))
        and (kwargs is None or _kwargs(kept) == plain(kwargs))
    ]


def _args(kept: Kept) -> list[Any]:
    return [from_any(each.value) if each.HasField("value") else _RESULT for each in kept.spec.call.args]


def _kwargs(kept: Kept) -> dict[str, Any]:
    call = kept.spec.call.kwargs
    return {name: from_any(each.value) if each.HasField("value") else _RESULT for name, each in call.items()}


class _Result:
    """An argument that is the result of another task."""

    def __repr__(self) -> str:
        return "<a result>"


_RESULT = _Result()


def _words(
    task: Task[..., Any] | str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, queue: str | None
) -> str:
    given = {"args": args, "kwargs": kwargs, "queue": queue}
    said = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return requests.name_of(task) + (f" with {said}" if said else "")


def _all() -> str:
    calls = [f"{kept.task.name}(args={_args(kept)!r}, kwargs={_kwargs(kept)!r})" for kept in _engine().submitted()]
    return f"submitted: {', '.join(calls) or 'nothing'}"
