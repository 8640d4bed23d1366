"""What became of a task, as an exit code and in words."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from ..proto.errors import EXIT_CONFLICT, EXIT_OK
from ..proto.values import EndReason, TaskState

if TYPE_CHECKING:
    from ..proto import api_pb2 as api

SIGNAL_BASE = 128


def code(task: api.Task) -> int:
    """The command's own code, 128+n for a signal, 1 for a task that did not succeed without a code of its own.

    Functions have no codes: theirs is 0 or 1.
    """
    if task.state == TaskState.SUCCEEDED:
        return EXIT_OK
    if task.HasField("call"):
        return EXIT_CONFLICT
    if task.HasField("signal") and task.signal:
        return SIGNAL_BASE + task.signal
    return (task.exit_code & 0xFF) or EXIT_CONFLICT


def signal_name(number: int) -> str:
    """`SIGTERM`, or `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def result(task: api.Task) -> str:
    """How it ended, in a word or two; empty while it has not."""
    if not TaskState(task.state).final:
        return ""
    if task.reason in ("", EndReason.EXIT_CODE):
        return f"exit {task.exit_code}" if task.HasField("exit_code") else ""
    if task.reason == EndReason.SIGNAL:
        return signal_name(task.signal)
    return task.reason


def notice(task: api.Task) -> str | None:
    """What to say about an end that an exit code alone does not tell; None for a plain exit."""
    if task.state == TaskState.SUCCEEDED or (task.reason == EndReason.EXIT_CODE and not task.HasField("call")):
        return None
    how = "" if task.reason == task.state else f" ({result(task)})"
    return f"task {task.id} {task.state}{how}{f': {task.message}' if task.message else ''}"
