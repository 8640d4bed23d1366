"""Who waits for what: followers are woken when something about their task is new, and look it up themselves.

A bell is cleared before its listener looks, and rung after the change is durable, so no news is missed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class News:
    """Bells by task id."""

    def __init__(self) -> None:
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def about(self, *task_ids: str) -> Iterator[asyncio.Event]:
        """A bell that rings for any of these tasks while the block runs."""
        bell = asyncio.Event()
        for task_id in task_ids:
            self._bells[task_id].add(bell)
        try:
            yield bell
        finally:
            for task_id in task_ids:
                self._leave(task_id, bell)

    def _leave(self, task_id: str, bell: asyncio.Event) -> None:
        listeners = self._bells[task_id]
        listeners.discard(bell)
        if not listeners:
            del self._bells[task_id]

    def ring(self, task_id: str) -> None:
        """Wake everybody who listens for this task."""
        for bell in self._bells.get(task_id, ()):
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody: the service is going."""
        for bells in self._bells.values():
            for bell in bells:
                bell.set()
