"""The closed sets of words that processes, store and users share: states, reasons, streams.

A word is spelled here and nowhere else; the wire, the database and the JSON of the command line carry it as it is.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class TaskState(StrEnum):
    """Where a task is on its way to exactly one final state."""

    SCHEDULED = "scheduled"
    """Due later."""
    BLOCKED = "blocked"
    """Waits for other tasks."""
    READY = "ready"
    """Waits for a free executor only."""
    RUNNING = "running"
    """Handed to an executor."""
    RETRYING = "retrying"
    """Waits for its next attempt."""
    HELD = "held"
    """Waits for a person."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """Whether nothing can happen to the task any more."""
        return self in FINAL_TASK_STATES


FINAL_TASK_STATES = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.SKIPPED})
WAITING_TASK_STATES = frozenset(TaskState) - FINAL_TASK_STATES - {TaskState.RUNNING}


class AttemptState(StrEnum):
    """Where one try of a task is."""

    CLAIMED = "claimed"
    """Given to an executor, not known to have started."""
    RUNNING = "running"
    STOPPING = "stopping"
    """A cancel is durable; its tree is being ended."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    """No result exists and everything the attempt started is proven gone."""

    @property
    def final(self) -> bool:
        """Whether the attempt has ended."""
        return self in FINAL_ATTEMPT_STATES


FINAL_ATTEMPT_STATES = frozenset(
    {AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.TIMED_OUT, AttemptState.CANCELLED, AttemptState.LOST}
)


class EndReason(StrEnum):
    """Why an attempt, and with it perhaps its task, ended. Success has none."""

    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    """The service was told to stop and the task did not end within the drain."""
    NOT_FOUND = "not_found"
    NOT_EXECUTABLE = "not_executable"
    CWD_UNUSABLE = "cwd_unusable"
    SPAWN_FAILED = "spawn_failed"
    USER_UNUSABLE = "user_unusable"
    """The user it was to run as is not known to this machine any more, or may run nothing."""
    RUNNER_DIED = "runner_died"
    EXECUTOR_DIED = "executor_died"
    MACHINE_RESTARTED = "machine_restarted"
    CORRUPT_RECORD = "corrupt_record"
    """What is stored of the task cannot be trusted; it was not run."""
    RAISED = "raised"
    """The function raised an exception."""
    RETRY = "retry"
    """The function asked to be tried again."""
    SNOOZED = "snoozed"
    """The function asked to be tried again, and that this attempt does not count."""
    BAD_RESULT = "bad_result"
    """What the function returned cannot be sent, or is too large."""
    BAD_ARGUMENTS = "bad_arguments"
    """With the results of other tasks its arguments are too large, or not what the function takes."""
    NO_SUCH_FUNCTION = "no_such_function"
    """When its turn came nobody had this function any more."""
    SOURCE_FAILED = "source_failed"
    """The code that has the function could not be loaded."""
    DEPENDENCY = "dependency"
    """A task that it waited for did not end as it was to; it was never run."""


class Condition(StrEnum):
    """How a task has to have ended for those that wait for it."""

    OK = "ok"
    FAIL = "fail"
    """Failed, cancelled or skipped."""
    ANY = "any"


class SourceKind(StrEnum):
    """Where functions come from."""

    BUILTIN = "builtin"
    FUNCTIONS = "functions"
    """[[functions]] of the configuration."""
    ENTRY_POINTS = "entry_points"
    PYTHON = "python"
    """A plugin: a module, a package or a compiled extension module in the library folder."""
    NATIVE = "native"
    """A plugin: a shared library with the ABI of tsched_plugin.h."""


class OnLost(StrEnum):
    """What becomes of a task whose attempt was lost."""

    FAIL = "fail"
    RETRY = "retry"
    HOLD = "hold"


LOST_LIMIT = 3
"""So many lost attempts end a task that asked for `retry`."""


class Stream(IntEnum):
    """The two output streams, as stored and as on the link."""

    OUT = 1
    ERR = 2

    @property
    def word(self) -> str:
        """`out` or `err`, as on the command line."""
        return "out" if self is Stream.OUT else "err"
