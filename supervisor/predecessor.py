"""The predecessor's service, taskscheduler.TaskScheduler, for clients made from its contract: they work unchanged.

What it did only in memory is durable here. It knew of a task only once it had run; where that shows, we tell the truth:
an id that nobody has is NOT_FOUND, no PENDING, and a dependency may still wait or run. Its status codes are kept: no
such method NOT_FOUND, bad arguments INVALID_ARGUMENT, an unknown dependency FAILED_PRECONDITION, and a call that failed
while its client waited for it INTERNAL. One that never ran (skipped, cancelled) answers FAILED and says why.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any, Protocol

from google.protobuf import any_pb2

from ..proto import anys, api_pb2, call_pb2, endpoint, plain, taskscheduler_pb2_grpc
from ..proto.errors import Refusal, RefusalReason
from ..proto.taskscheduler_pb2 import (
    FAILED,
    PENDING,
    SUCCESS,
    ResultRequest,
    ResultResponse,
    Status,
    TaskRequest,
    TaskResponse,
)
from ..proto.values import Condition, TaskState
from . import callers, foreign_ids
from .final_answers import FinalAnswer, FinalAnswers
from .refusals import answered

TEXT_LIMIT = endpoint.MESSAGE_LIMIT - 1024
"""Bytes of a result as text that fit into an answer."""
LARGE = 64 * 1024
"""Bytes of a result that is read beside the loop, so that nobody waits for it."""
Context = Any


class Tasks(Protocol):
    """What this service stands on."""

    async def accept(self, request: api_pb2.SubmitRequest) -> list[api_pb2.Submitted]:
        """Store all tasks, or none, and see to them. Raises Refusal."""

    async def outcome(self, task_id: str, *, wait: bool) -> api_pb2.Task:
        """What became of a task, with its result; once it is final, if that is waited for. Raises NO_SUCH_TASK."""


class Predecessor(taskscheduler_pb2_grpc.TaskSchedulerServicer):
    """Serves taskscheduler.TaskScheduler."""

    def __init__(self, tasks: Tasks, answers: FinalAnswers) -> None:
        self._tasks = tasks
        self._answers = answers

    @answered
    async def SubmitTask(self, request: TaskRequest, context: Context) -> TaskResponse:  # noqa: N802
        """Store a call; answer at once, or when it has ended. A client that leaves ends nothing."""
        task_id = foreign_ids.ours(request.task_id) if request.task_id else str(uuid.uuid4())
        submitted = await self._accept(asked(request, task_id), request.deps)
        shown = request.task_id or task_id
        if request.is_async and not TaskState(submitted.state).final:
            return TaskResponse(task_id=shown, status=PENDING)
        answer = await self._answer(task_id, wait=not request.is_async)
        if answer is not None and answer.state is TaskState.FAILED and not request.is_async:
            hint = f"GetResult of {shown} tells it again"
            raise Refusal(RefusalReason.INTERNAL, answer.text, hint)
        status, text = told(answer)
        return TaskResponse(task_id=shown, status=status, result=text)

    @answered
    async def GetResult(self, request: ResultRequest, context: Context) -> ResultResponse:  # noqa: N802
        """Tell what became of a task, until retention ends."""
        status, text = told(await self._answer(foreign_ids.ours(request.task_id), wait=False))
        return ResultResponse(status=status, result=text)

    async def _accept(self, request: api_pb2.SubmitRequest, deps: Any) -> api_pb2.Submitted:
        try:
            [submitted] = await self._tasks.accept(request)
        except Refusal as refusal:
            if deps and refusal.reason is RefusalReason.NO_SUCH_TASK:
                hint = "submit it first; what has ended is known until retention ends"
                raise Refusal(RefusalReason.WRONG_STATE, f"missing dependency: {refusal.message}", hint) from None
            raise
        return submitted

    async def _answer(self, task_id: str, *, wait: bool) -> FinalAnswer | None:
        """How it ended; None when it has not."""
        if (found := self._answers.find(task_id)) is not None and callers.sees(found.owner):
            return found
        mark = self._answers.mark()
        task = await self._tasks.outcome(task_id, wait=wait)
        state = TaskState(task.state)
        if not state.final:
            return None
        answer = FinalAnswer(state, await _text(task), task.owner)
        self._answers.keep(task_id, answer, mark)
        return answer


def asked(request: TaskRequest, task_id: str) -> api_pb2.SubmitRequest:
    """The same in today's words. Raises Refusal BAD_ID."""
    arguments = [call_pb2.Argument(value=value) for value in request.args]
    parents = [
        api_pb2.Dependency(task=api_pb2.TaskRef(id=foreign_ids.ours(dep)), condition=Condition.OK)
        for dep in dict.fromkeys(request.deps)
    ]
    call = call_pb2.Call(function=request.method, args=arguments)
    return api_pb2.SubmitRequest(tasks=[api_pb2.TaskSpec(id=task_id, call=call, after=parents)])


def told(answer: FinalAnswer | None) -> tuple[Status, str]:
    """Status and result of the predecessor's answers."""
    if answer is None:
        return PENDING, ""
    return (SUCCESS if answer.state is TaskState.SUCCEEDED else FAILED), answer.text


async def _text(task: api_pb2.Task) -> str:
    """The result, or why there is none."""
    if task.state != TaskState.SUCCEEDED:
        return task.message or task.reason or task.state
    if not task.HasField("result"):
        return ""
    if len(task.result.value) <= LARGE:
        return as_text(task.result)
    return await asyncio.to_thread(as_text, task.result)


def as_text(result: any_pb2.Any) -> str:
    """A string as it is, everything else as JSON. Raises Refusal TOO_LARGE for what no answer can hold."""
    value = anys.from_any(result)
    text = value if isinstance(value, str) else json.dumps(plain.to_json(value), ensure_ascii=False)
    if len(text.encode()) > TEXT_LIMIT:
        message = f"the result is longer than {TEXT_LIMIT} bytes as text"
        raise Refusal(RefusalReason.TOO_LARGE, message, "ask tsched.v1 for it: tsched result ID")
    return text
