"""One task of a service in memory: what is kept of it, and what the end of an attempt makes of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.any_pb2 import Any as Packed

from ..proto import api_pb2 as api
from ..proto import call_pb2 as wire
from ..proto.clock import SECOND_US
from ..proto.errors import Refusal, RefusalReason
from ..proto.values import Condition, TaskState
from .registry import Task, registered
from .testing_attempts import Verdict

RETRY_DELAY_US = SECOND_US
PAST = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "was cancelled",
    TaskState.SKIPPED: "was skipped",
}


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


def why_skipped(parent: Kept, condition: str) -> str:
    """What people are told of a task that will never run, as a service says it."""
    wish = "fail" if condition == Condition.FAIL else "succeed"
    return f"it was to wait for task {parent.id} to {wish}, which {PAST[TaskState(parent.state)]}"


def state_of(task: Kept, now_us: int) -> str:
    """Where it is, as a service says it: one that waits for nothing but its time is scheduled."""
    return TaskState.SCHEDULED if task.state == TaskState.READY and task.due_us > now_us else task.state


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


def shown(task: Kept, now_us: int) -> api.Task:
    """A task as a service tells of it."""
    return api.Task(
        id=task.id,
        name=task.spec.name,
        state=state_of(task, now_us),
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
