"""What may be asked for: pure checks of what a user typed, shared by the command line and the supervisor.

Each raises a Refusal that names the object and the remedy, and gives back what it was given. The command line checks to
answer at once, the supervisor because anybody can speak its protocol. Nothing here looks at a file or a clock.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .clock import SECOND_US
from .errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAY_US = 86_400 * SECOND_US
YEAR_US = 366 * DAY_US

ARGUMENT_LIMIT = 128 * 1024
"""MAX_ARG_STRLEN of execve(2), its NUL included: the kernel takes no longer word, and no longer NAME=VALUE."""
COMMAND_LIMIT = 1024 * 1024
ENVIRONMENT_LIMIT = 1024 * 1024
"""Both together stay under the 2 MiB that execve(2) takes with a usual stack limit."""
STDIN_LIMIT = 4 * 1024 * 1024
"""With command and environment this stays under the largest message (endpoint.MESSAGE_LIMIT)."""
TASKS_LIMIT = 10_000
"""In one submission: its answer fits into a message too, and storing it keeps nobody waiting for long."""
SUBMISSION_LIMIT = 128 * 1024 * 1024
"""What tasks have in common is sent once and stored with each."""
PATH_LIMIT = 4096
NAME_LIMIT = 1024
AHEAD_LIMIT_US = 100 * YEAR_US
"""No task is due later than this; what is typed beyond it is a mistake."""
PAST_SLACK_US = 60 * SECOND_US
"""An instant was future when it was typed and may have passed on its way."""
TIMEOUT_RANGE_US = (1_000, 10 * YEAR_US)
GRACE_RANGE_US = (0, DAY_US)
INT32_RANGE = (-(2**31), 2**31 - 1)
RETRIES_RANGE = (0, 1000)
RETRY_DELAY_RANGE_US = (1_000, 3600 * SECOND_US)
DEPENDENCIES_LIMIT = 100_000
"""Of all tasks of one submission together; one task may wait for as many as a submission may have."""

ROOT = "/"
"""Where a command runs on another machine whose folders its submitter does not know."""
TRAVELS = re.compile("PATH|TZ|LANG|LANGUAGE|LC_.*")
"""Variables that are as good on another machine."""
OWN_VARIABLES = frozenset(
    {"TSCHED_TASK_ID", "TSCHED_ATTEMPT", "TSCHED_QUEUE", "TSCHED_SCHEDULED_FOR", "TSCHED_SOCKET", "TSCHED_EXECUTOR"}
)
"""Set by tsched for each task; a user's value would be overwritten."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_ID_HINT = "use 1 to 128 letters, digits, '.', '_', ':' or '-', beginning with a letter or digit"


def quoted(text: str, limit: int = 40) -> str:
    """The text on one line, escaped and shortened, to be named in a message."""
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}... ({len(text)} characters)"


def check_id(id: str) -> str:  # noqa: A002 - it is called id everywhere
    """An id that a user may give to a task: as `_ID_HINT` says, and not digits only, for such are generated."""
    if not id:
        raise Refusal(RefusalReason.BAD_ID, "the id is empty", _ID_HINT)
    if not _ID.fullmatch(id):
        raise Refusal(RefusalReason.BAD_ID, f"not an id: {quoted(id)}", _ID_HINT)
    if _DIGITS.fullmatch(id):
        raise Refusal(RefusalReason.BAD_ID, f"an id of digits only is for tsched to give: {id}", "add a letter")
    return id


def check_reference(id: str) -> str:  # noqa: A002 - it is called id everywhere
    """An id that names a task, the user's own or a generated one."""
    if not _ID.fullmatch(id):
        raise Refusal(RefusalReason.BAD_ID, f"not an id: {quoted(id)}", _ID_HINT)
    return id


def check_task_count(count: int) -> int:
    """How many tasks a submission may have."""
    if count > TASKS_LIMIT:
        message = f"{count} tasks are submitted at once, at most {TASKS_LIMIT} are taken"
        raise Refusal(RefusalReason.TOO_LARGE, message, "submit fewer tasks at a time")
    return count


def check_submission_size(size: int) -> int:
    """Bytes of all tasks of a submission, each with what they have in common."""
    if size > SUBMISSION_LIMIT:
        message = f"the tasks are more than {SUBMISSION_LIMIT} bytes long in all, with what they have in common"
        raise Refusal(RefusalReason.TOO_LARGE, message, "submit fewer at a time, or put the data into a file")
    return size


def check_dependency_count(count: int) -> int:
    """For how many others the tasks of a submission may wait, all together."""
    if count > DEPENDENCIES_LIMIT:
        message = f"the tasks wait for {count} others in all, at most {DEPENDENCIES_LIMIT} are taken"
        raise Refusal(RefusalReason.TOO_LARGE, message, "put a task between that waits for many, and wait for that one")
    return count


def check_command(shell: str | None, args: Sequence[str] | None) -> None:
    """A command is either a shell string or the words of a program call, not empty, and execve(2) can take it."""
    if (shell is None) == (args is None):
        raise Refusal(RefusalReason.BAD_COMMAND, "give a command line or the words of a command, one of them")
    if shell is not None:
        _check_shell(shell)
    else:
        _check_args(args or ())


def _check_shell(shell: str) -> None:
    if not shell.strip():
        raise Refusal(RefusalReason.BAD_COMMAND, "the command is empty", "say what to run")
    _check_words([shell])


def _check_args(args: Sequence[str]) -> None:
    if not args or not args[0]:
        raise Refusal(RefusalReason.BAD_COMMAND, "the command is empty", "say which program to run")
    _check_words(args)


def _check_words(words: Sequence[str]) -> None:
    total = sum(_check_word(word, "the command's word", word) for word in words)
    if total > COMMAND_LIMIT:
        raise Refusal(
            RefusalReason.TOO_LARGE,
            f"the command is {total} bytes long, at most {COMMAND_LIMIT} are taken",
            "put it into a script, or its data into a file or stdin",
        )


def _check_word(word: str, kind: str, name: str, reason: RefusalReason = RefusalReason.BAD_COMMAND) -> int:
    """Its length in bytes, when execve(2) can take it. `kind` and `name` say what is refused."""
    length = _encoded_length(word, kind, name, reason)
    if "\0" in word:
        hint = "no program can be given one; use a file or stdin"
        raise Refusal(reason, f"{kind} {quoted(name)} holds a NUL byte", hint)
    if length >= ARGUMENT_LIMIT:
        raise Refusal(
            RefusalReason.TOO_LARGE,
            f"{kind} {quoted(name)} is {length} bytes long, less than {ARGUMENT_LIMIT} are possible",
            "put it into a file or stdin",
        )
    return length


def _encoded_length(text: str, kind: str, name: str, reason: RefusalReason) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        message = f"{kind} {quoted(name)} is not valid UTF-8"
        raise Refusal(reason, message, "put such bytes into a script, a file or stdin") from None


def check_env(env: Mapping[str, str]) -> None:
    """Variables that a user asks for by name: proper names, none of tsched's own, values that execve(2) can take."""
    total = sum(_check_variable(name, value) for name, value in env.items())
    if total > ENVIRONMENT_LIMIT:
        raise Refusal(
            RefusalReason.TOO_LARGE,
            f"the environment is {total} bytes long, at most {ENVIRONMENT_LIMIT} are taken",
            "put the data into a file or stdin",
        )


def _check_variable(name: str, value: str) -> int:
    if not name or "=" in name:
        raise Refusal(RefusalReason.BAD_ENVIRONMENT, f"not a variable's name: {quoted(name)}", "write NAME=VALUE")
    if name in OWN_VARIABLES:
        raise Refusal(RefusalReason.BAD_ENVIRONMENT, f"{name} is set by tsched itself", "choose another name")
    return _check_word(f"{name}={value}", "the environment variable", name, RefusalReason.BAD_ENVIRONMENT)


def check_cwd(path: str) -> str:
    """An absolute path; whether it is there is seen when the task starts."""
    if not path.startswith("/"):
        raise Refusal(RefusalReason.BAD_CWD, f"not an absolute path: {quoted(path)}", "begin it with /")
    length = _encoded_length(path, "the folder", path, RefusalReason.BAD_CWD)
    if "\0" in path or length >= PATH_LIMIT:
        raise Refusal(RefusalReason.BAD_CWD, f"not a folder's path: {quoted(path)}", "no NUL byte, under 4096 bytes")
    return path


def check_name(name: str) -> str:
    """Free text for people."""
    length = _encoded_length(name, "the name", name, RefusalReason.BAD_VALUE)
    if "\0" in name or length > NAME_LIMIT:
        raise Refusal(RefusalReason.BAD_VALUE, f"not a name: {quoted(name)}", "no NUL byte, at most 1024 bytes")
    return name


def check_queue(name: str) -> str:
    """A queue's name: short and plain, for it is written into variables, logs and addresses."""
    if not _ID.fullmatch(name):
        raise Refusal(RefusalReason.BAD_VALUE, f"not a queue's name: {quoted(name)}", _ID_HINT)
    return name


def check_stdin(data: bytes) -> bytes:
    """What a task reads on its standard input."""
    if len(data) > STDIN_LIMIT:
        raise Refusal(
            RefusalReason.TOO_LARGE,
            f"stdin is longer than {STDIN_LIMIT} bytes",
            "store it in a file and let the command read that",
        )
    return data


def check_range(value: int, name: str, minimum: int, maximum: int) -> int:
    """A whole number between two others, both included."""
    if not minimum <= value <= maximum:
        raise Refusal(RefusalReason.BAD_VALUE, f"{name} is {_short(value)}", f"use {minimum} to {maximum}")
    return value


def check_priority(value: int) -> int:
    """Higher goes first."""
    return check_range(value, "priority", *INT32_RANGE)


def check_duration_us(value: float, name: str, minimum: int, maximum: int) -> int:
    """A length of time in whole microseconds, between two others, both included; NaN and infinity are in no range."""
    if not minimum <= value <= maximum:  # NaN is in no range
        least, most = _seconds(minimum), _seconds(maximum)
        raise Refusal(RefusalReason.BAD_DURATION, f"{name} is {_seconds(value)}", f"use {least} to {most}")
    return round(value)


def check_due_us(value: float, now_us: int) -> int:
    """An instant at which a task may be due: not gone by (a minute's slack), and within a hundred years."""
    if not value <= now_us + AHEAD_LIMIT_US:  # NaN is not below either
        raise Refusal(RefusalReason.BAD_TIME, "the time is more than 100 years ahead", "give a time in this century")
    if value < now_us - PAST_SLACK_US:
        raise Refusal(RefusalReason.BAD_TIME, "the time has passed", "give one in the future, or run it now")
    return round(value)


def _seconds(value_us: float) -> str:
    return f"{value_us / SECOND_US:g} s" if abs(value_us) < float(AHEAD_LIMIT_US) * 1000 else _short(value_us)


def _short(value: float) -> str:
    text = str(value)
    return text if len(text) <= len("-9223372036854775808") else f"{text[:12]}..."
