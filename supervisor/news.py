"""Who waits for what: followers are woken when something about their task is new, and look it up themselves.

A bell is cleared before its listener looks, and rung after the change is durable, so no news is missed. Progress needs
no look: it comes with the bell, the newest of each task, gathered for a while.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from ..proto import api_pb2

PROGRESS_S = 0.1
"""So long progress is gathered before a listener is woken by it; more often nobody could read it."""


class Bell:
    """What one listener is woken by, and about which tasks."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._event = asyncio.Event()
        self._progress: dict[str, api_pb2.TaskProgress] = {}

    def ring(self, task_id: str) -> None:
        """Wake the listener."""
        self._rung.add(task_id)
        self._event.set()

    def tell(self, told: api_pb2.TaskProgress) -> None:
        """Have the listener told of progress soon."""
        if not self._progress:
            asyncio.get_running_loop().call_later(PROGRESS_S, self._event.set)
        self._progress[told.id] = told

    def progress(self) -> list[api_pb2.TaskProgress]:
        """What was told since this was asked last, the newest of each task."""
        told, self._progress = self._progress, {}
        return list(told.values())

    def clear(self) -> set[str]:
        """Begin to look; returns about which tasks it rang since it was cleared last."""
        rung, self._rung = self._rung, set()
        self._event.clear()
        return rung

    async def wait(self) -> None:
        """Wait until it rings, or has rung since it was cleared."""
        await self._event.wait()


class News:
    """Bells by task id."""

    def __init__(self) -> None:
        self._bells: defaultdict[str, set[Bell]] = defaultdict(set)
        self._curious: set[Bell] = set()
        """Those that want to hear of progress."""

    @contextmanager
    def about(self, *task_ids: str, progress: bool = False) -> Iterator[Bell]:
        """A bell that rings for any of these tasks while the block runs, on request for their progress too."""
        bell = Bell()
        if progress:
            self._curious.add(bell)
        for task_id in task_ids:
            self._bells[task_id].add(bell)
        try:
            yield bell
        finally:
            self._curious.discard(bell)
            for task_id in task_ids:
                self._leave(task_id, bell)

    def _leave(self, task_id: str, bell: Bell) -> None:
        listeners = self._bells[task_id]
        listeners.discard(bell)
        if not listeners:
            del self._bells[task_id]

    def ring(self, task_id: str) -> None:
        """Wake everybody who listens for this task."""
        for bell in self._bells.get(task_id, ()):
            bell.ring(task_id)

    def tell(self, told: api_pb2.TaskProgress) -> None:
        """Have everybody told who listens for this task's progress."""
        if self._curious:
            for bell in self._bells.get(told.id, set()) & self._curious:
                bell.tell(told)

    def ring_all(self) -> None:
        """Wake everybody: the service is going."""
        for task_id in list(self._bells):
            self.ring(task_id)
