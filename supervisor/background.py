"""Work that nobody waits for: kept alive until it ends, and heard of when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from ..proto.errors import Refusal
from . import log
from .callers import CURRENT

T = TypeVar("T")


class Background:
    """Runs coroutines. A refusal there is logged; of any other failure `failed` is told, for work would be missing."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run this; whoever's call begins it, it is the service's own work."""
        context = copy_context()
        context.run(CURRENT.set, None)
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", None), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.get(work=task.get_name()).error("background_failed", exc_info=error)
        if not isinstance(error, Refusal):
            self._failed(error)
