"""A lock file: held by whoever serves under its name, also while that process begins anew in the same pid.

The lock is a flock(2): it belongs to the open file and goes with the last descriptor of it, so a supervisor that dies
leaves it free, and one that replaces itself by exec keeps it. Its file may be removed under it; a lock counts only as
long as its file is the one under the name.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from ..proto.errors import Refusal, RefusalReason

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
TOLD_LIMIT = 4096


class Lock:
    """Held from its making until `close`. `taken` says what it means when somebody else has it."""

    def __init__(self, path: Path, taken: str, *, told: str = "", inherited: int | None = None) -> None:
        self.path = path
        self._taken = taken
        self._told = told
        self.former = ""
        """What the former holder told."""
        self.descriptor = -1
        if inherited is not None:
            os.set_inheritable(inherited, False)
            self.descriptor = inherited
            self.former = _told(inherited)[1]
        self.renew()

    def stands(self) -> bool:
        """Whether this is still the lock under that name."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self.descriptor), self.path.lstat())
        return False

    def renew(self) -> None:
        """Take the lock under the name when ours is not it any more. Raises Refusal ALREADY_RUNNING, OSError."""
        while not self.stands():
            descriptor = self._take()
            self.close()
            self.descriptor = descriptor
            self.former = _told(descriptor)[1]
        self._write()

    def tell(self, told: str) -> None:
        """Tell this instead."""
        self._told = told
        self._write()

    def _write(self) -> None:
        lines = os.fsencode(f"{os.getpid()}\n{self._told}\n")
        os.pwrite(self.descriptor, lines, 0)
        os.ftruncate(self.descriptor, len(lines))

    def _take(self) -> int:
        descriptor = os.open(self.path, FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _told(descriptor)[0]
            os.close(descriptor)
            who = f" (pid {pid})" if pid else ""
            raise Refusal(RefusalReason.ALREADY_RUNNING, self._taken + who, "tsched down stops it") from None
        return descriptor

    def remove(self) -> None:
        """Take the file away and let go. Whoever waits for it finds that it is not the one under the name any more."""
        if self.stands():
            with suppress(OSError):
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go. Harmless when repeated."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _told(descriptor: int) -> tuple[str, str]:
    """Who is named in a lock, and what else is told there."""
    pid, _, told = os.fsdecode(os.pread(descriptor, TOLD_LIMIT, 0)).partition("\n")
    return pid, told.removesuffix("\n")
