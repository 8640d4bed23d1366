"""The functions that every tsched has, to try things with."""

from __future__ import annotations

from typing import Any

from ..client.registry import task


@task(name="add")
def add(a: float, b: float) -> float:
    """The sum of two numbers."""
    return a + b


@task(name="echo")
def echo(value: Any = None) -> Any:
    """What it is given."""
    return value


@task(name="ping")
def ping() -> str:
    """The word pong: the service runs functions."""
    return "pong"


@task(name="sleep")
async def sleep(seconds: float) -> None:
    """Wait. Thousands of these run beside each other."""
    import asyncio  # noqa: PLC0415 - the others do without

    await asyncio.sleep(seconds)


@task(name="sum_list")
def sum_list(values: list[float]) -> float:
    """The sum of a list of numbers; 0 for an empty one."""
    return sum(values)


@task(name="fail")
def fail(message: str = "as asked") -> None:
    """Raise a RuntimeError: to see what becomes of a task that fails, and of its retries."""
    raise RuntimeError(message)
