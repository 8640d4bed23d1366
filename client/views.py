"""What the service tells, as values: instants are aware, lengths of time in seconds, what is not known None. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..proto import api_pb2 as api
from ..proto.anys import from_any
from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import NotPlainError
from ..proto.values import AttemptState, TaskState
from .as_json import known
from .doing import command_line
from .failures import TaskFailed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a function says that it is."""

    done: float
    total: float | None
    """None: nobody knows."""
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One try of a task."""

    number: int
    state: AttemptState
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None
    pid: int | None
    exit_code: int | None
    signal: int | None
    cpu_s: float | None
    peak_bytes: int | None
    lateness_s: float | None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task as it was when it was asked for."""

    id: str
    name: str
    state: TaskState
    function: str
    """Empty: it runs a command."""
    command: str
    """As one line that a shell would take; empty: it calls a function."""
    queue: str
    priority: int
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    max_attempts: int
    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    waits_for: int
    """So many tasks have to end before it may start."""
    progress: Progress | None
    retry_of: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that a task waits for, or why it ended as it did."""

    kind: str
    message: str
    task: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became durable about a task; its cursor only grows."""

    cursor: int
    at: datetime
    task: str
    event: str
    state: str
    attempt: int
    reason: str
    queue: str


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function that can be called."""

    name: str
    is_async: bool
    signature: str
    doc: str
    source: str
    native: bool


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """Where functions come from. `message`: why it, or its newest code, could not be loaded."""

    name: str
    kind: str
    path: str
    state: str
    message: str
    functions: tuple[str, ...]


def instant(at_us: int) -> datetime:
    """An instant of the wire."""
    return _EPOCH + timedelta(microseconds=at_us)


def _instant(at_us: int | None) -> datetime | None:
    return None if at_us is None else instant(at_us)


def task_info(task: api.Task) -> TaskInfo:
    """A task."""
    return TaskInfo(
        id=task.id,
        name=task.name,
        state=TaskState(task.state),
        function=task.call.function,
        command=command_line(task.command) if task.HasField("command") else "",
        queue=task.queue,
        priority=task.priority,
        created_at=instant(task.created_at_us),
        due_at=instant(task.due_at_us),
        started_at=_instant(known(task, "started_at_us")),
        finished_at=_instant(known(task, "finished_at_us")),
        attempt=task.attempt,
        max_attempts=task.max_attempts,
        exit_code=known(task, "exit_code"),
        signal=known(task, "signal"),
        reason=task.reason,
        message=task.message,
        waits_for=task.waits_for,
        progress=progress(task),
        retry_of=task.retry_of,
    )


def progress(task: api.Task) -> Progress | None:
    """How far its newest attempt says that it is; None when it says nothing."""
    if not task.HasField("progress"):
        return None
    said = task.progress
    return Progress(said.done, known(said, "total"), said.text, instant(said.at_us))


def attempt_info(attempt: api.Attempt) -> AttemptInfo:
    """One try of a task."""
    return AttemptInfo(
        number=attempt.number,
        state=AttemptState(attempt.state),
        reason=attempt.reason,
        message=attempt.message,
        started_at=_instant(known(attempt, "started_at_us")),
        finished_at=_instant(known(attempt, "finished_at_us")),
        pid=known(attempt, "pid"),
        exit_code=known(attempt, "exit_code"),
        signal=known(attempt, "signal"),
        cpu_s=known(attempt, "cpu_s"),
        peak_bytes=known(attempt, "peak_bytes"),
        lateness_s=known(attempt, "lateness_s"),
    )


def attempts(task: api.Task) -> list[AttemptInfo]:
    """All tries of a task, oldest first."""
    return [attempt_info(each) for each in task.attempts]


def cause(cause: api.Cause) -> Cause:
    """Something that a task waits for."""
    return Cause(cause.kind, cause.message, cause.task, _instant(known(cause, "until_us")))


def event(event: api.Event) -> Event:
    """Something that happened to a task."""
    at = instant(event.at_us)
    return Event(event.cursor, at, event.task, event.event, event.state, event.attempt, event.reason, event.queue)


def function(each: api.Function) -> FunctionInfo:
    """A function that can be called."""
    return FunctionInfo(each.name, each.is_async, each.signature, each.doc, each.source, each.native)


def plugins(plugins: Iterable[api.Plugin]) -> list[PluginInfo]:
    """Where functions come from."""
    return [
        PluginInfo(each.name, each.kind, each.path, each.state, each.message, tuple(each.functions)) for each in plugins
    ]


def outcome(ended: api.Task) -> Any:
    """What an ended task came to: a function's result, a command's exit code (0).

    Raises TaskFailed when it did not end well, Refusal when its result is kept no more, or is none.
    """
    if ended.state != TaskState.SUCCEEDED:
        raise failure(ended)
    if ended.HasField("result"):
        return _result(ended)
    if ended.HasField("exit_code"):
        return ended.exit_code
    raise Refusal(RefusalReason.NO_RESULT, f"no result is kept of task {ended.id}", "it succeeded; run it again")


def failure(ended: api.Task) -> TaskFailed:
    """Why a task did not end well."""
    return TaskFailed(
        ended.reason,
        ended.message,
        id=ended.id,
        state=ended.state,
        exit_code=known(ended, "exit_code"),
        signal=known(ended, "signal"),
    )


def _result(ended: api.Task) -> Any:
    try:
        return from_any(ended.result)
    except NotPlainError as error:  # of a service of another version
        raise Refusal(RefusalReason.BAD_RESULT, f"the result of task {ended.id} cannot be read: {error}") from None
