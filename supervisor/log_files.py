"""The log's files: `tsched-YYYY-MM-DD.jsonl` by the clock of the lines, `-2`, `-3` ... when one has become too large.

The standard library's handlers rotate by time or by size, and rename what others may be reading; these files keep their
names for ever, so that `tail -F` and jq find what they found before. Nothing here raises: where the disk is full or the
folder was taken away, the caller is told that a line was not kept, and the next line tries again.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

NAME = re.compile(r"tsched-(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(-(?P<part>[0-9]{1,9}))?\.jsonl")
FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is kept."""

    rotate_bytes: int
    keep_days: int
    keep_files: int


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One file's place in the order of files."""

    day: str
    number: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"tsched-{self.day}{f'-{self.number}' if self.number > 1 else ''}.jsonl"

    def after(self) -> Part:
        """The next one of its day."""
        return Part(self.day, self.number + 1)


class LogFiles:
    """Writes lines; `trouble` is told once of a fault (what is wrong), and once of its end (an empty word)."""

    def __init__(self, folder: Path, limits: Limits, trouble: Callable[[str], None]) -> None:
        self.folder = folder
        self._limits = limits
        self._trouble = trouble
        self._gate = threading.Lock()
        self._descriptor = -1
        self._part = Part("", 0)
        self._identity = (0, 0)
        self._torn = False
        self._ill = False

    def write(self, line: str, day: str) -> bool:
        """Keep a line of this day (YYYY-MM-DD); False when it could not be kept."""
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        with self._gate:
            try:
                self._prepare(day, len(data))
                self._append(data)
            except OSError as error:
                self._note(f"{error.filename or self.folder}: {error.strerror}")
                return False
            self._note("")
            return True

    def close(self) -> None:
        """Let go of the file. Harmless when repeated; the next line opens it again."""
        with self._gate:
            self._close()

    def _prepare(self, day: str, size: int) -> None:
        """Have the right file open. Raises OSError."""
        if self._descriptor >= 0 and not self._stands():
            self._close()
        if self._descriptor < 0 or day != self._part.day:
            self._open(max((part for part in self._parts() if part.day == day), default=Part(day, 1)))
            self._forget_old()
        if self._size() and self._size() + size > self._limits.rotate_bytes:
            self._open(self._part.after())
            self._forget_old()

    def _stands(self) -> bool:
        """Whether the file is still to be found under its name."""
        with suppress(OSError):
            found = os.stat(self.folder / self._part.name, follow_symlinks=False)
            return (found.st_dev, found.st_ino) == self._identity
        return False

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _open(self, part: Part) -> None:
        self._close()
        with suppress(FileExistsError):
            os.makedirs(self.folder, mode=0o700)
        self._descriptor = os.open(self.folder / part.name, FLAGS, 0o600)
        self._part = part
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        # Somebody may have died in the middle of a line.
        self._torn = found.st_size > 0 and os.pread(self._descriptor, 1, found.st_size - 1) != b"\n"

    def _append(self, data: bytes) -> None:
        """Write it whole, on a line of its own whatever became of the one before. Raises OSError."""
        data = b"\n" + data if self._torn else data
        written = 0
        while written < len(data):
            count = os.write(self._descriptor, data[written:])
            written += count
            self._torn = written < len(data)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _parts(self) -> list[Part]:
        with suppress(OSError):
            return [part for name in os.listdir(self.folder) if (part := part_of(name))]
        return []

    def _forget_old(self) -> None:
        for part in doomed(self._parts(), self._part, self._limits):
            with suppress(OSError):
                os.unlink(self.folder / part.name)

    def _note(self, wrong: str) -> None:
        if bool(wrong) != self._ill:
            self._ill = bool(wrong)
            self._trouble(wrong)


def part_of(name: str) -> Part | None:
    """What a file's name says; None for a file that is none of ours."""
    found = NAME.fullmatch(name)
    return Part(found["day"], int(found["part"] or 1)) if found else None


def doomed(parts: list[Part], current: Part, limits: Limits) -> list[Part]:
    """Which of the files have had their time: by age, counted from the current one's day, and by number."""
    first_day = (date.fromisoformat(current.day) - timedelta(days=limits.keep_days)).isoformat()
    newest_first = sorted((part for part in parts if part != current), reverse=True)
    kept = [part for part in newest_first if part.day > first_day][: limits.keep_files - 1]
    return [part for part in newest_first if part not in kept]
