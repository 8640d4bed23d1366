"""Verbs that steer what is there already: retry, hold, release, pause, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proto.clock import SystemClock
from ..proto.values import TaskState
from . import parser, several, when, zones

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..client.connection import Connection
    from ..proto import api_pb2 as api


def _retry(args: Namespace) -> int:
    return several.to_each(
        args,
        several.Deed(
            do=lambda client, task: client.retry(task),
            word=lambda _id, submitted: submitted.id,
            plain=_plain_retried,
            notice=lambda task, submitted: f"task {submitted.id} does again what task {task} did",
        ),
    )


def _plain_retried(id: str, submitted: api.Submitted) -> Any:  # noqa: A002 - the word of the contract
    from ..client import as_json

    return as_json.retried(submitted, id)


def _steering(
    do: Callable[[Connection, str], api.Task], notice: Callable[[api.Task], str]
) -> Callable[[Namespace], int]:
    """A verb that is answered with the task as it then is."""
    deed = several.Deed(do=do, word=_id, plain=several.plain_task, notice=lambda _id, task: notice(task))
    return lambda args: several.to_each(args, deed)


def _id(id: str, _task: api.Task) -> str:  # noqa: A002 - the word of the contract
    return id


def _held(task: api.Task) -> str:
    return f"task {task.id} is held; tsched release {task.id} lets it go"


def _released(task: api.Task) -> str:
    if task.state in (TaskState.SCHEDULED, TaskState.RETRYING):
        due = when.echo(task.due_at_us, now_us=SystemClock().now_us(), zone=zones.local_or_utc())
        return f"task {task.id} is due {due}"
    return f"task {task.id} is released: it is {task.state}"


def _paused(task: api.Task) -> str:
    return f"task {task.id} stands still; tsched resume {task.id} lets it go on"


def _resumed(task: api.Task) -> str:
    return f"task {task.id} goes on"


VERBS = {
    "retry": parser.Verb(arguments=several.add_ids, run=_retry),
    "hold": parser.Verb(arguments=several.add_ids, run=_steering(lambda client, task: client.hold(task), _held)),
    "release": parser.Verb(
        arguments=several.add_ids, run=_steering(lambda client, task: client.release(task), _released)
    ),
    "pause": parser.Verb(arguments=several.add_ids, run=_steering(lambda client, task: client.pause(task), _paused)),
    "resume": parser.Verb(arguments=several.add_ids, run=_steering(lambda client, task: client.resume(task), _resumed)),
}
