"""From an assignment to the order for a runner: program, environment, stdin."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..proto.procs import NONCE_VARIABLE
from .messages import Run

if TYPE_CHECKING:
    from ..proto.link_pb2 import Assignment
    from .boot import Boot

DEFAULT_UMASK = 0o022
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def run_order(given: Assignment, boot: Boot) -> Run:
    """What the runner is to start."""
    payload = given.payload
    env = dict(payload.env)
    return Run(
        given.attempt_id,
        [boot.shell, "-c", payload.shell] if payload.shell else list(payload.args),
        payload.cwd,
        {**env, **own_environment(given, boot)},
        payload.umask if payload.HasField("umask") else DEFAULT_UMASK,
        payload.HasField("stdin"),
    )


def own_environment(given: Assignment, boot: Boot) -> dict[str, str]:
    """What a command is told about itself. The last one is the mark by which all its processes can be found."""
    own = {
        "TSCHED_TASK_ID": given.task_id,
        "TSCHED_ATTEMPT": str(given.number),
        "TSCHED_QUEUE": given.queue,
        "TSCHED_SOCKET": boot.socket,
        NONCE_VARIABLE: boot.executor_id,
    }
    if given.HasField("scheduled_for_us"):
        own["TSCHED_SCHEDULED_FOR"] = rfc3339(given.scheduled_for_us)
    return own


def mark(given: Assignment, boot: Boot) -> list[bytes]:
    """The environment entries that tell this attempt's processes from all others."""
    own = own_environment(given, boot)
    return [f"{name}={own[name]}".encode() for name in (NONCE_VARIABLE, "TSCHED_TASK_ID", "TSCHED_ATTEMPT")]


def rfc3339(at_us: int) -> str:
    """The instant in UTC."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")


def stdin_file(data: bytes) -> int:
    """A descriptor to read the data from, sealed: nobody can change it, and no pipe has to be fed."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd
