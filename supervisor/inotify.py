"""Being told when something on a path changes: inotify(7), by ctypes; the standard library has none."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

ATTRIB = 0x4  # of a file itself: also when one of its names is removed
MOVED = 0x40 | 0x80  # in a folder, from and to
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
MASK_DONT_FOLLOW = 0x02000000
READ_SIZE = 65_536

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Calls back after a change to anything that is watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        self._loop = loop
        self._changed = changed
        self._watched: set[int] = set()
        self._descriptor = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        loop.add_reader(self._descriptor, self._readable)

    def watch(self, wanted: Mapping[Path, int]) -> None:
        """Watch these paths for these changes, and nothing else; a path where nothing stands is left out."""
        watched: dict[int, int] = {}
        for path, mask in wanted.items():
            with suppress(OSError):
                # Two names of one file share a watch: the later mask would replace the earlier.
                number = self._add(path, mask)
                watched[number] = watched.get(number, 0) | mask
                if watched[number] != mask:
                    self._add(path, watched[number])
        for number in self._watched - watched.keys():
            _libc.inotify_rm_watch(self._descriptor, number)
        self._watched = set(watched)

    def _add(self, path: Path, mask: int) -> int:
        return _checked(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask | MASK_DONT_FOLLOW))

    def _readable(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._descriptor, READ_SIZE)
        self._changed()

    def close(self) -> None:
        """Watch nothing any more. Harmless when repeated."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
