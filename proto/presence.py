"""Whether a supervisor is there although its socket is not: it holds its lock while it starts and while it reloads.

A lock is not asked by trying to take it, for that would be in the way of a supervisor that starts; whoever holds it is
named in it, and must have it open.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .clock import SECOND_US, SystemClock

LOOK_EVERY_MS = 20
HIDDEN_S = 10.0
"""So long a service of several users may take to begin anew. Its lock, which could be held up by anybody who may read
it, is kept from them; one that is killed leaves its socket behind, one that begins anew does not.
"""
TOLD_LIMIT = 8192


class Holder(NamedTuple):
    """Who holds a lock."""

    pid: int
    socket: str
    """Of a state folder: where it listens."""


def socket_lock(path: Path) -> Path:
    """The lock file of a socket."""
    return Path(f"{path}.lock")


def state_lock(state_dir: Path) -> Path:
    """The lock file of a state folder."""
    return state_dir / "lock"


def holder(lock: Path) -> Holder | None:
    """Who holds the lock; None when nobody does, or nobody we may look at."""
    try:
        with lock.open("rb") as file:
            pid, told, *_ = [*os.fsdecode(file.read(TOLD_LIMIT)).split("\n"), ""]
            found = os.fstat(file.fileno())
    except OSError:
        return None
    if not pid.isdigit() or not _has_open(int(pid), found):
        return None
    return Holder(int(pid), told)


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                if os.path.samestat(os.stat(f"{folder}/{name}"), wanted):
                    return True
    return False


def await_return(path: Path, locks: Iterable[Path], limit_s: float) -> bool:
    """Wait until somebody listens at the socket, as long as one of its locks is held; whether somebody does.

    Where a lock is there and kept from us, wait a moment all the same.
    """
    clock = SystemClock()
    began_us = clock.mono_us()
    names = list(locks)
    while not accepts(path):
        holding = next(filter(None, map(holder, names)), None)
        hidden_s = min(limit_s, HIDDEN_S) if not os.path.lexists(path) and any(map(_is_hidden, names)) else 0.0
        patience_s = hidden_s if holding is None else limit_s
        if clock.mono_us() >= began_us + int(patience_s * SECOND_US):
            return accepts(path)
        _pause(holding.pid if holding is not None else os.getpid())
    return True


def _is_hidden(lock: Path) -> bool:
    """Whether it is there, and not for us to read."""
    return os.path.exists(lock) and not os.access(lock, os.R_OK)


def accepts(path: Path) -> bool:
    """Whether somebody listens there. A queue that is full has somebody behind it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def _pause(pid: int) -> None:
    """Wait a moment, less when the process ends."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(LOOK_EVERY_MS)
    finally:
        os.close(process)
