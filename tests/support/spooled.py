"""What an executor has in its spool, seen from outside: the file has no name, but its descriptor can be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from support import procs

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 1 << 20
LOOKS = 10


def spool_of(pid: int, home: Path) -> Path | None:
    """The descriptor of its spool, as a path that can be opened; None while it has none."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(each.readlink())
        except FileNotFoundError:
            continue
        if name.startswith(f"{home}/") and name.endswith(" (deleted)"):
            return each
    return None


def taken_bytes(pid: int, home: Path) -> int:
    """How much of the disk it takes."""
    spool = spool_of(pid, home)
    return spool.stat().st_blocks * 512 if spool else 0


def holds(file: Path, word: bytes) -> bool:
    """Whether the word is anywhere in it."""
    before = b""
    for piece in pieces(file):
        if word in before + piece:
            return True
        before = piece[-len(word) :]
    return False


def pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def flip(file: Path, place: int) -> None:
    """Change the byte there."""
    fd = os.open(file, os.O_RDWR)
    try:
        [byte] = os.pread(fd, 1, place)
        os.pwrite(fd, bytes([byte ^ 0x40]), place)
    finally:
        os.close(fd)


class Standing:
    """Whether what an executor runs waits for room in its pipe: it has written no more over many looks."""

    def __init__(self, executor: int) -> None:
        self._executor = executor
        self._written: list[str] = []
        self._looks = 0

    def __call__(self) -> bool:
        runners = procs.children(self._executor)
        tasks = [Path(f"/proc/{task.pid}") for runner in runners for task in procs.tree(runner.pid)]
        before, self._written = self._written, [(task / "io").read_text() for task in tasks]
        waits = any((task / "wchan").read_text().endswith("pipe_write") for task in tasks)
        self._looks = self._looks + 1 if waits and before == self._written else 0
        return self._looks >= LOOKS
