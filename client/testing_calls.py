"""One task of a service in memory: what is kept of it, how an attempt of it is made, and how that ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import io
import sys
import traceback
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

from google.protobuf.any_pb2 import Any as Packed

from ..proto import api_pb2 as api
from ..proto import call_pb2 as wire
from ..proto.anys import from_any, to_any
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import SIZE_LIMIT, NotPlainError, plain
from ..proto.values import AttemptState, Condition, EndReason, TaskState
from .context import Context, entered
from .flow import Cancel, Cancelled, Retry, Snooze
from .registry import Task, registered

RETRY_DELAY_US = SECOND_US
RETRY_DELAY_MOST_US = 3600 * SECOND_US
PAST = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "was cancelled",
    TaskState.SKIPPED: "was skipped",
}


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


@dataclass(slots=True, eq=False)
class Kept:
    """All that is known of a task."""

    id: str
    spec: api.TaskSpec
    task: Task[..., Any]
    parents: list[tuple[str, str]]
    queue: str
    priority: int
    state: str
    due_us: int
    created_us: int
    max_attempts: int
    retry_delay_us: int
    waits_for: int = 0
    attempts: list[api.Attempt] = field(default_factory=list)
    output: list[api.Output] = field(default_factory=list)
    progress: api.Progress | None = None
    result: Packed | None = None
    reason: str = ""
    message: str = ""
    finished_us: int | None = None


class Prepared(NamedTuple):
    """An attempt that is about to be made."""

    task: Kept
    context: Context
    args: list[Any]
    kwargs: dict[str, Any]


def kept(spec: api.TaskSpec, *, id: str, parents: list[tuple[str, str]], now_us: int) -> Kept:  # noqa: A002
    """A task as it is submitted. Raises Refusal NO_SUCH_FUNCTION, BAD_ARGUMENTS."""
    task = registered().get(spec.call.function)
    if task is None:
        hint = "import the module that declares it"
        raise Refusal(RefusalReason.NO_SUCH_FUNCTION, f"there is no function {spec.call.function!r}", hint)
    _check(task, spec.call)
    chosen = task.options
    retries = spec.retries if spec.HasField("retries") else chosen.retries or 0
    delay_us = RETRY_DELAY_US if chosen.retry_delay is None else round(chosen.retry_delay * SECOND_US)
    return Kept(
        id=id,
        spec=spec,
        task=task,
        parents=parents,
        queue=spec.queue or chosen.queue or "default",
        priority=spec.priority if spec.HasField("priority") else chosen.priority or 0,
        state=TaskState.HELD if spec.hold else TaskState.READY,
        due_us=spec.due_at_us if spec.HasField("due_at_us") else now_us + spec.delay_us,
        created_us=now_us,
        max_attempts=retries + 1,
        retry_delay_us=spec.retry_delay_us if spec.HasField("retry_delay_us") else delay_us,
    )


def _check(task: Task[..., Any], call: wire.Call) -> None:
    """Whether a function takes so many arguments, of these names; a service looks at their types, too."""
    try:
        inspect.signature(task.function).bind(*call.args, **dict(call.kwargs))
    except TypeError as error:
        raise Refusal(RefusalReason.BAD_ARGUMENTS, f"{task.name}: {error}", "see its signature") from None


def content(spec: api.TaskSpec) -> bytes:
    """What was asked for, apart from what names the submission."""
    copy = api.TaskSpec()
    copy.CopyFrom(spec)
    copy.ClearField("id")
    copy.ClearField("key")
    return copy.SerializeToString(deterministic=True)


def parent_id(dependency: api.Dependency, before: Sequence[str]) -> str:
    """The id of a task that is waited for. Raises Refusal BAD_VALUE for a place that holds none yet."""
    reference = dependency.task
    if reference.WhichOneof("task") == "id":
        return reference.id
    if reference.index >= len(before):
        raise Refusal(RefusalReason.BAD_VALUE, f"no task has place {reference.index} yet", "parents come first")
    return before[reference.index]


def may_run(task: Kept) -> bool:
    """Whether nothing but time keeps a task from its next attempt."""
    return task.state in (TaskState.READY, TaskState.RETRYING)


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
        result = to_any(plain(value))
    except NotPlainError as error:
        return Verdict(TaskState.FAILED, EndReason.BAD_RESULT, f"what it returned cannot be sent: {error}")
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


def why_skipped(parent: Kept, condition: str) -> str:
    """What people are told of a task that will never run, as a service says it."""
    wish = "fail" if condition == Condition.FAIL else "succeed"
    return f"it was to wait for task {parent.id} to {wish}, which {PAST[TaskState(parent.state)]}"


def end_attempt(task: Kept, verdict: Verdict, now_us: int) -> None:
    """An attempt has ended; where it is tried again, the task waits for that."""
    attempt = task.attempts[-1]
    attempt.state, attempt.reason, attempt.message = verdict.state, verdict.reason, verdict.message
    attempt.finished_at_us = now_us
    if verdict.again_us is not None:
        task.state, task.due_us = TaskState.RETRYING, now_us + verdict.again_us
        task.max_attempts += not verdict.counts


def end(task: Kept, verdict: Verdict, now_us: int) -> None:
    """A task has ended."""
    task.state, task.reason, task.message = verdict.state, verdict.reason, verdict.message
    task.result, task.finished_us = verdict.result, now_us


def shown(task: Kept) -> api.Task:
    """A task as a service tells of it."""
    return api.Task(
        id=task.id,
        name=task.spec.name,
        state=task.state,
        call=task.spec.call,
        queue=task.queue,
        priority=task.priority,
        created_at_us=task.created_us,
        due_at_us=task.due_us,
        started_at_us=task.attempts[-1].started_at_us if task.attempts else None,
        finished_at_us=task.finished_us,
        attempt=len(task.attempts),
        max_attempts=task.max_attempts,
        reason=task.reason,
        message=task.message,
        attempts=task.attempts,
        after=[api.Parent(id=name, condition=condition) for name, condition in task.parents],
        progress=task.progress,
        result=task.result,
        waits_for=task.waits_for,
    )
