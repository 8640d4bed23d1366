"""The folder an executor belongs to. While a supervisor is there, or the folder, there is somebody to work for.

Only a folder that is certainly not there counts as gone: one on a drive that does not answer may come back. It has to
be gone at two looks, `patience_s` apart, so that one that is moved or restored meanwhile costs nobody their work.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

EXIT_HOMELESS = 1
"""What an executor that has lost its home exits with."""


class Home:
    """Watched while nobody is attached. `give_up` is called once it is lost."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: str, patience_s: float, give_up: Callable[[], None]
    ) -> None:
        self.lost = False
        self._loop = loop
        self._path = path
        self._patience_s = patience_s
        self._give_up = give_up
        self._gone = False
        self._look_again: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Nobody is there: look now and then."""
        if self._look_again is None and not self.lost:
            self._look_again = self._loop.call_later(self._patience_s, self._look)

    def trust(self) -> None:
        """Somebody is there."""
        self._gone = False
        if self._look_again:
            self._look_again.cancel()
            self._look_again = None

    def _look(self) -> None:
        self._look_again = None
        was_gone, self._gone = self._gone, _is_gone(self._path)
        if was_gone and self._gone:
            self.lost = True
            self._give_up()
        else:
            self.watch()


def _is_gone(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
