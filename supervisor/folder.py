"""The state folder and the sockets: made, checked and locked before anything is opened.

One supervisor per state folder and per socket, a flock(2) each: gRPC would silently take over a live socket.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..proto import endpoint
from ..proto.errors import Refusal, RefusalReason

UNSAFE_MODE = stat.S_IWGRP | stat.S_IWOTH


def prepare_state_dir(path: Path) -> int:
    """Make the folder 0700 when it is missing, refuse it when others may write it, and take its lock.

    Returns the descriptor that holds the lock. Raises Refusal STATE_DIR_UNUSABLE or ALREADY_RUNNING.
    """
    _prepare_private_dir(path, RefusalReason.STATE_DIR_UNUSABLE)
    try:
        return _lock(path / "lock", f"a supervisor already runs on the state folder {path}")
    except OSError as error:
        raise _unusable(path, error, RefusalReason.STATE_DIR_UNUSABLE) from None


def prepare_socket(path: Path) -> int:
    """Check the socket's path, take its lock, and clear a dead socket away.

    Returns the descriptor that holds the lock. Raises Refusal SOCKET_UNUSABLE or ALREADY_RUNNING.
    """
    endpoint.check_socket_path(path)
    try:
        with suppress(FileExistsError):
            path.parent.mkdir(parents=True, mode=0o700)
        lock = _lock(Path(f"{path}.lock"), f"a supervisor already listens on {path}")
        _clear(path)
    except OSError as error:
        raise _unusable(path, error, RefusalReason.SOCKET_UNUSABLE) from None
    return lock


def prepare_runtime_dir(state_dir: Path) -> Path:
    """Make the private folder of a state folder's sockets. Raises Refusal SOCKET_UNUSABLE."""
    path = endpoint.runtime_dir(state_dir)
    _prepare_private_dir(path.parent, RefusalReason.SOCKET_UNUSABLE)
    _prepare_private_dir(path, RefusalReason.SOCKET_UNUSABLE)
    return path


def _prepare_private_dir(path: Path, reason: RefusalReason) -> None:
    try:
        with suppress(FileExistsError):
            path.mkdir(parents=True, mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise _unusable(path, error, reason) from None
    if wrong := _mistrust(found):
        raise Refusal(reason, f"{path} {wrong}", "choose another folder, or mend this one's owner and mode")


def _mistrust(found: os.stat_result) -> str | None:
    if not stat.S_ISDIR(found.st_mode):
        return "is not a folder"
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to this user"
    return "can be written by others" if found.st_mode & UNSAFE_MODE else None


def _unusable(path: Path, error: OSError, reason: RefusalReason) -> Refusal:
    return Refusal(reason, f"cannot use {error.filename or path}: {error.strerror}", "choose another path")


def _lock(path: Path, taken: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f" (pid {holder})" if holder else ""
        raise Refusal(RefusalReason.ALREADY_RUNNING, taken + who, "tsched down stops it") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on any more; whatever else stands there stays."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Refusal(
            RefusalReason.SOCKET_UNUSABLE, f"{path} exists and is not a socket", "move it away, or choose --socket"
        )
    path.unlink()
