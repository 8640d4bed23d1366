"""Refusals: what a user can act on. One table ties each reason to its gRPC status and its exit code.

A refusal names reason, object and remedy. It travels as a gRPC status with a `google.rpc.ErrorInfo` in its details
(AIP-193), so that every client reads the same three things.
"""

from __future__ import annotations

from enum import StrEnum

DOMAIN = "tsched"

EXIT_OK = 0
EXIT_CONFLICT = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 69
EXIT_QUEUE_FULL = 75
EXIT_WAIT_TIMEOUT = 124
EXIT_TSCHED_FAILED = 125


class RefusalReason(StrEnum):
    """Why something was refused."""

    BAD_USAGE = "bad_usage"
    BAD_COMMAND = "bad_command"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    BAD_DURATION = "bad_duration"
    BAD_VALUE = "bad_value"
    BAD_ENVIRONMENT = "bad_environment"
    BAD_CWD = "bad_cwd"
    BAD_CONFIG = "bad_config"
    TOO_LARGE = "too_large"
    NO_SUCH_TASK = "no_such_task"
    ID_TAKEN = "id_taken"
    WRONG_STATE = "wrong_state"
    NO_SUCH_CURSOR = "no_such_cursor"
    NO_SUCH_FUNCTION = "no_such_function"
    BAD_ARGUMENTS = "bad_arguments"
    BAD_RESULT = "bad_result"
    """Only inline, where no service is: a function returned what cannot be sent."""
    NO_RESULT = "no_result"
    CYCLE = "cycle"
    NO_SUCH_PLUGIN = "no_such_plugin"
    PLUGIN_FAILED = "plugin_failed"
    DRAINING = "draining"
    ALREADY_RUNNING = "already_running"
    SOCKET_UNUSABLE = "socket_unusable"
    STATE_DIR_UNUSABLE = "state_dir_unusable"
    STORE_FULL = "store_full"
    STORE_READ_ONLY = "store_read_only"
    STORE_CORRUPT = "store_corrupt"
    STORE_NEWER = "store_newer"
    KEY_UNUSABLE = "key_unusable"
    NO_SUPERVISOR = "no_supervisor"
    TLS_FAILED = "tls_failed"
    WAIT_TIMEOUT = "wait_timeout"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    TOO_MANY_CALLS = "too_many_calls"
    TOO_FAST = "too_fast"
    QUEUE_FULL = "queue_full"
    INTERNAL = "internal"


# reason -> (name of the gRPC status, exit code of the command line)
TABLE: dict[RefusalReason, tuple[str, int]] = {
    RefusalReason.BAD_USAGE: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_COMMAND: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_ID: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_TIME: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_DURATION: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_VALUE: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_ENVIRONMENT: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_CWD: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_CONFIG: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.TOO_LARGE: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.NO_SUCH_FUNCTION: ("NOT_FOUND", EXIT_CONFLICT),
    RefusalReason.BAD_ARGUMENTS: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.BAD_RESULT: ("INVALID_ARGUMENT", EXIT_CONFLICT),
    RefusalReason.NO_RESULT: ("FAILED_PRECONDITION", EXIT_CONFLICT),
    RefusalReason.CYCLE: ("INVALID_ARGUMENT", EXIT_USAGE),
    RefusalReason.NO_SUCH_PLUGIN: ("NOT_FOUND", EXIT_CONFLICT),
    RefusalReason.PLUGIN_FAILED: ("FAILED_PRECONDITION", EXIT_CONFLICT),
    RefusalReason.NO_SUCH_TASK: ("NOT_FOUND", EXIT_CONFLICT),
    RefusalReason.ID_TAKEN: ("ALREADY_EXISTS", EXIT_CONFLICT),
    RefusalReason.WRONG_STATE: ("FAILED_PRECONDITION", EXIT_CONFLICT),
    RefusalReason.NO_SUCH_CURSOR: ("OUT_OF_RANGE", EXIT_CONFLICT),
    RefusalReason.DRAINING: ("UNAVAILABLE", EXIT_UNREACHABLE),
    RefusalReason.ALREADY_RUNNING: ("ALREADY_EXISTS", EXIT_CONFLICT),
    RefusalReason.SOCKET_UNUSABLE: ("FAILED_PRECONDITION", EXIT_USAGE),
    RefusalReason.STATE_DIR_UNUSABLE: ("FAILED_PRECONDITION", EXIT_USAGE),
    RefusalReason.STORE_FULL: ("RESOURCE_EXHAUSTED", EXIT_TSCHED_FAILED),
    RefusalReason.STORE_READ_ONLY: ("FAILED_PRECONDITION", EXIT_TSCHED_FAILED),
    RefusalReason.STORE_CORRUPT: ("DATA_LOSS", EXIT_TSCHED_FAILED),
    RefusalReason.STORE_NEWER: ("FAILED_PRECONDITION", EXIT_TSCHED_FAILED),
    RefusalReason.KEY_UNUSABLE: ("FAILED_PRECONDITION", EXIT_USAGE),
    RefusalReason.NO_SUPERVISOR: ("UNAVAILABLE", EXIT_UNREACHABLE),
    RefusalReason.TLS_FAILED: ("UNAVAILABLE", EXIT_UNREACHABLE),
    RefusalReason.WAIT_TIMEOUT: ("DEADLINE_EXCEEDED", EXIT_WAIT_TIMEOUT),
    RefusalReason.FORBIDDEN: ("PERMISSION_DENIED", EXIT_CONFLICT),
    RefusalReason.UNAUTHENTICATED: ("UNAUTHENTICATED", EXIT_CONFLICT),
    RefusalReason.TOO_MANY_CALLS: ("RESOURCE_EXHAUSTED", EXIT_QUEUE_FULL),
    RefusalReason.TOO_FAST: ("RESOURCE_EXHAUSTED", EXIT_QUEUE_FULL),
    RefusalReason.QUEUE_FULL: ("RESOURCE_EXHAUSTED", EXIT_QUEUE_FULL),
    RefusalReason.INTERNAL: ("INTERNAL", EXIT_TSCHED_FAILED),
}


class Refusal(Exception):  # noqa: N818 - it is no error of ours
    """Something the user asked for is not possible, and what to do about it.

    `message` is one line that names the object; `hint` is the remedy, or empty.
    """

    def __init__(self, reason: RefusalReason, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint

    @property
    def status(self) -> str:
        """Name of the gRPC status code."""
        return TABLE[self.reason][0]

    @property
    def exit_code(self) -> int:
        """What the command line exits with."""
        return TABLE[self.reason][1]
