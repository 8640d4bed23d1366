"""Starting a program, and saying in the user's words why it could not be started."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

from ..proto.values import EndReason

if TYPE_CHECKING:
    from .messages import Run

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

HOME = "/"
"""Where this process is between tasks: it keeps no file system busy."""
PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by this interpreter, and by nobody else."""

_NOT_FOUND = {errno.ENOENT, errno.ENOTDIR}
_NOT_EXECUTABLE = {errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR, errno.ELOOP, errno.ETXTBSY, errno.ELIBBAD}


class SpawnError(Exception):
    """The program could not be started; nothing of it is left."""

    def __init__(self, reason: EndReason, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.exit_code = exit_code


def spawn(order: Run, stdin: int, stdout: int, stderr: int) -> int:
    """Start the program in a session of its own; its pid. The caller waits for it. Raises SpawnError.

    By posix_spawn, which is vfork: anything else to be done in the child would make it a fork, several times as dear.
    What it cannot set, working folder and umask, the child takes over from this process, which has one thread, starts
    nobody else and makes no files. All other descriptors here are closed on exec.
    """
    executable = locate(order)
    try:
        os.umask(order.umask)
        os.chdir(order.cwd or HOME)
        return os.posix_spawn(
            executable,
            order.argv,
            order.env,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((stdin, stdout, stderr))],
            setsid=True,
            setsigmask=(),
            setsigdef=PYTHONS_OWN,
        )
    except OSError as error:
        raise explain(error, order) from error
    except ValueError as error:
        raise SpawnError(EndReason.SPAWN_FAILED, f"cannot be started: {error}") from error
    finally:
        os.chdir(HOME)


def locate(order: Run) -> str:
    """The program's file: looked for on the PATH of the task, seen from its working folder. Raises SpawnError.

    Looked for here, because exec reports the first folder it may not enter rather than that the program is nowhere.
    """
    program = order.argv[0]
    if "/" in program:
        return program
    unusable = ""
    for folder in os.get_exec_path(order.env):
        path = os.path.join(order.cwd, folder, program)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            unusable = unusable or path
    if unusable:
        raise SpawnError(EndReason.NOT_EXECUTABLE, f"not executable: {unusable}", EXIT_NOT_EXECUTABLE)
    raise SpawnError(EndReason.NOT_FOUND, f"not found: {program}", EXIT_NOT_FOUND)


def explain(error: OSError, order: Run) -> SpawnError:
    """What an error of chdir or exec means for the user."""
    program = order.argv[0]
    if order.cwd and not _enterable(order.cwd):
        return SpawnError(EndReason.CWD_UNUSABLE, f"working folder cannot be entered: {order.cwd}")
    if error.errno in _NOT_FOUND:
        return SpawnError(EndReason.NOT_FOUND, _missing(os.path.join(order.cwd, program)), EXIT_NOT_FOUND)
    if error.errno in _NOT_EXECUTABLE:
        text = f"not executable: {program} ({error.strerror})"
        return SpawnError(EndReason.NOT_EXECUTABLE, text, EXIT_NOT_EXECUTABLE)
    return SpawnError(EndReason.SPAWN_FAILED, f"cannot be started: {error.strerror}")


def _missing(program: str) -> str:
    if os.path.exists(program):
        return f"the interpreter of {program} was not found"
    return f"not found: {program}"


def _enterable(cwd: str) -> bool:
    return os.path.isdir(cwd) and os.access(cwd, os.X_OK)
