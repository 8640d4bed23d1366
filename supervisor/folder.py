"""The state folder and the sockets: made, checked and locked before anything is opened.

One supervisor per state folder and per socket, a flock(2) each: gRPC would silently take over a live socket.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..proto import endpoint
from ..proto.errors import Refusal, RefusalReason
from .lock import Lock

UNSAFE_MODE = stat.S_IWGRP | stat.S_IWOTH
OTHERS_MODE = stat.S_IRWXG | stat.S_IRWXO


def prepare_state_dir(path: Path, *, told: str = "", inherited: int | None = None) -> Lock:
    """Make the folder 0700 when it is missing, refuse it when others may write it, and take its lock.

    `told` is written into the lock. Raises Refusal STATE_DIR_UNUSABLE or ALREADY_RUNNING.
    """
    _prepare_private_dir(path, RefusalReason.STATE_DIR_UNUSABLE)
    taken = f"a supervisor already runs on the state folder {path}"
    try:
        return Lock(path / "lock", taken, told=told, inherited=inherited)
    except OSError as error:
        raise _unusable(path, error, RefusalReason.STATE_DIR_UNUSABLE) from None


def check_state_dir(path: Path) -> None:
    """Refuse what `prepare_state_dir` would refuse of a folder that is there, and touch nothing."""
    with suppress(FileNotFoundError):
        _check_private(path, path.lstat(), RefusalReason.STATE_DIR_UNUSABLE)


def prepare_socket(path: Path, *, inherited: int | None = None) -> Lock:
    """Check the socket's path, take its lock, and clear a dead socket away.

    Raises Refusal SOCKET_UNUSABLE or ALREADY_RUNNING.
    """
    endpoint.check_socket_path(path)
    try:
        _prepare_parent(path)
        lock = Lock(Path(f"{path}.lock"), f"a supervisor already listens on {path}", inherited=inherited)
        try:
            _clear(path)
        except BaseException:
            lock.close()
            raise
    except OSError as error:
        raise _unusable(path, error, RefusalReason.SOCKET_UNUSABLE) from None
    return lock


def preparing(path: Path, runtime_dir: Path) -> Callable[[], object]:
    """What makes the folder of a socket when it is missing; the service's own folder is private."""
    if path.parent == runtime_dir:
        return partial(prepare_runtime_dir, runtime_dir)
    return partial(_prepare_parent, path)


def prepare_runtime_dir(path: Path) -> None:
    """Make the private folder of the service's sockets. Raises Refusal SOCKET_UNUSABLE."""
    _prepare_private_dir(path.parent, RefusalReason.SOCKET_UNUSABLE)
    _prepare_private_dir(path, RefusalReason.SOCKET_UNUSABLE)


def prepare_public_dir(path: Path) -> None:
    """Make the folder of a socket that others come to: they may enter, and change nothing. Raises Refusal."""
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            path.chmod(0o755)
        found = path.lstat()
    except OSError as error:
        raise _unusable(path, error, RefusalReason.SOCKET_UNUSABLE) from None
    _check_private(path, found, RefusalReason.SOCKET_UNUSABLE)


def check_secret(path: Path) -> None:
    """Refuse a state folder that others may look into: it holds what several users want kept. Raises Refusal."""
    with suppress(FileNotFoundError):
        if stat.S_IMODE(path.lstat().st_mode) & OTHERS_MODE:
            message = f"{path} is not for root alone"
            raise Refusal(RefusalReason.STATE_DIR_UNUSABLE, message, f"chmod 700 {path}")


def remove_runtime_dir(path: Path) -> None:
    """Remove that folder when nothing is left in it, and the one around it where that is ours too."""
    with suppress(OSError):
        path.rmdir()
        if path.parent.name == f"tsched-{os.getuid()}":
            path.parent.rmdir()


def _prepare_parent(path: Path) -> None:
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, mode=0o700)


def _prepare_private_dir(path: Path, reason: RefusalReason) -> None:
    try:
        with suppress(FileExistsError):
            path.mkdir(parents=True, mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise _unusable(path, error, reason) from None
    _check_private(path, found, reason)


def _check_private(path: Path, found: os.stat_result, reason: RefusalReason) -> None:
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
