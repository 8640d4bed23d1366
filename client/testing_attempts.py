"""An attempt of a task of a service in memory: the function is called in this process, its output kept."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import sys
import traceback
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from google.protobuf.any_pb2 import Any as Packed

from ..proto import api_pb2 as api
from ..proto import call_pb2 as wire
from ..proto.anys import from_any, to_any
from ..proto.clock import SECOND_US
from ..proto.plain import SIZE_LIMIT, NotPlainError, least_bytes, plain
from ..proto.values import AttemptState, EndReason, TaskState
from .context import Context, entered
from .flow import Cancel, Cancelled, Retry, Snooze

if TYPE_CHECKING:
    from .testing_calls import Kept

RETRY_DELAY_MOST_US = 3600 * SECOND_US


class Verdict(NamedTuple):
    """How an attempt ended, and with it the task, unless it is tried again."""

    state: str
    reason: str = ""
    message: str = ""
    result: Packed | None = None
    again_us: int | None = None
    """To be tried again after this long."""
    counts: bool = True
    """Whether the attempt counts among the task's retries."""


class Prepared(NamedTuple):
    """An attempt that is about to be made."""

    task: Kept
    context: Context
    args: list[Any]
    kwargs: dict[str, Any]


def begin(task: Kept, results: Sequence[Packed | None], now_us: int) -> Prepared:
    """The next attempt, with what the task's parents returned."""
    number = len(task.attempts) + 1
    attempt = api.Attempt(number=number, state=AttemptState.RUNNING, claimed_at_us=now_us, started_at_us=now_us)
    task.attempts.append(attempt)
    task.state, task.output, task.progress = TaskState.RUNNING, [], None
    context = Context(
        id=task.id,
        attempt=number,
        max_attempts=task.max_attempts,
        function=task.task.name,
        queue=task.queue,
        deadline_us=None,
        report=lambda done, total, text: _report(task, api.Progress(done=done, total=total, text=text, at_us=now_us)),
        cancelled=lambda: False,
    )
    args = [_value(each, results) for each in task.spec.call.args]
    return Prepared(task, context, args, {name: _value(each, results) for name, each in task.spec.call.kwargs.items()})


def _report(task: Kept, progress: api.Progress) -> None:
    task.progress = progress


def _value(argument: wire.Argument, results: Sequence[Packed | None]) -> Any:
    match argument.WhichOneof("kind"):
        case "result_of":
            return from_any(results[argument.result_of] or Packed())
        case "results_of":
            return [from_any(results[place] or Packed()) for place in argument.results_of.after]
    return from_any(argument.value)


def run(attempt: Prepared) -> Verdict:
    """Make an attempt here; of an async function in an event loop of its own."""
    with entered(attempt.context), _written(attempt.task):
        try:
            value = attempt.task.task.function(*attempt.args, **attempt.kwargs)
            return _returned(_finished(value) if attempt.task.task.is_async else value)
        except (Exception, Cancelled, SystemExit) as error:  # noqa: BLE001 - whatever a function raises ends its attempt
            return _raised(error, attempt.task)


async def arun(attempt: Prepared) -> Verdict:
    """Make an attempt here; of an async function in this event loop."""
    with entered(attempt.context), _written(attempt.task):
        try:
            value = attempt.task.task.function(*attempt.args, **attempt.kwargs)
            return _returned(await value if attempt.task.task.is_async else value)
        except (Exception, Cancelled, SystemExit) as error:  # noqa: BLE001
            return _raised(error, attempt.task)


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine comes to. Where an event loop runs already, another one runs beside it, in a thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


class _Tee(io.TextIOBase):
    """Writes to where it went before, and keeps it as the task's output."""

    def __init__(self, task: Kept, stream: str, before: TextIO) -> None:
        self._task = task
        self._stream = stream
        self._before = before

    def write(self, text: str) -> int:
        offset = sum(len(each.data) for each in self._task.output if each.stream == self._stream)
        self._task.output.append(api.Output(stream=self._stream, offset=offset, data=text.encode(errors="replace")))
        return self._before.write(text)

    def flush(self) -> None:
        self._before.flush()


@contextlib.contextmanager
def _written(task: Kept) -> Iterator[None]:
    """Keep what is written within; a traceback, too, so that a test that fails shows it."""
    out, err = _Tee(task, "out", sys.stdout), _Tee(task, "err", sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def _returned(value: Any) -> Verdict:
    try:
        returned = plain(value)
    except NotPlainError as error:
        return Verdict(TaskState.FAILED, EndReason.BAD_RESULT, f"what it returned cannot be sent: {error}")
    if (size := least_bytes(returned)) > SIZE_LIMIT:
        message = f"what it returned takes at least {size} bytes; {SIZE_LIMIT} can be kept"
        return Verdict(TaskState.FAILED, EndReason.BAD_RESULT, message)
    result = to_any(returned)
    if result.ByteSize() > SIZE_LIMIT:
        message = f"what it returned takes {result.ByteSize()} bytes; {SIZE_LIMIT} can be kept"
        return Verdict(TaskState.FAILED, EndReason.BAD_RESULT, message)
    return Verdict(TaskState.SUCCEEDED, result=result)


def _raised(error: BaseException, task: Kept) -> Verdict:
    match error:
        case Snooze():
            return _again(EndReason.SNOOZED, error, error.seconds, counts=False)
        case Retry() if len(task.attempts) < task.max_attempts:
            delay = _delay_us(task) / SECOND_US if error.in_ is None else error.in_
            return _again(EndReason.RETRY, error, delay)
        case Retry():
            return Verdict(TaskState.FAILED, EndReason.RETRY, str(error))
        case Cancel():
            return Verdict(TaskState.CANCELLED, EndReason.CANCELLED, error.why)
        case Cancelled():
            return Verdict(TaskState.CANCELLED, EndReason.CANCELLED, str(error))
    traceback.print_exception(error)
    again_us = _delay_us(task) if len(task.attempts) < task.max_attempts else None
    return Verdict(TaskState.FAILED, EndReason.RAISED, _in_words(error), again_us=again_us)


def _again(reason: EndReason, error: Exception, seconds: float, *, counts: bool = True) -> Verdict:
    return Verdict(TaskState.FAILED, reason, str(error), again_us=round(seconds * SECOND_US), counts=counts)


def _delay_us(task: Kept) -> int:
    failed = sum(each.reason != EndReason.SNOOZED for each in task.attempts)
    return min(RETRY_DELAY_MOST_US, task.retry_delay_us << min(failed - 1, 40))


def _in_words(error: BaseException) -> str:
    """The error in one line, as executors say it: `ValueError: text`."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = " ".join(str(error).splitlines()[:1]).strip()
    return f"{name}: {text}" if text else name
