"""Writes that must not be given up: a full disk is waited out, and what a caller who left has stored is seen to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from ..proto.errors import Refusal, RefusalReason
from ..store import StoreBusy
from . import log

T = TypeVar("T")

PASSING = frozenset({RefusalReason.STORE_FULL, RefusalReason.STORE_READ_ONLY})
RETRY_AFTER_S = 1.0


async def insist(write: Callable[[], Future[T]], *, every_s: float = RETRY_AFTER_S) -> T:
    """Write until it is durable. Whoever reported it keeps it until then."""
    while True:
        try:
            return await asyncio.wrap_future(write())
        except (Refusal, StoreBusy) as failure:
            if isinstance(failure, Refusal) and failure.reason not in PASSING:
                raise
            log.get().error("store_degraded", error=str(failure), retry_after_s=every_s)
            await asyncio.sleep(every_s)


async def stored(write: Future[T], left: Callable[[T], None], ended: Callable[[T | None], None] | None = None) -> T:
    """Wait until it is durable. When whoever waits leaves, it becomes so all the same, and `left` is told of it.

    `ended` is told first, and in any case: what came of it, None when nothing did.
    """
    work = asyncio.wrap_future(write)
    if ended is not None:
        work.add_done_callback(partial(_tell, ended))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(partial(_see_to, left))
        raise


def _tell(ended: Callable[[T | None], None], work: asyncio.Future[T]) -> None:
    ended(None if work.cancelled() or work.exception() is not None else work.result())


def _see_to(left: Callable[[T], None], work: asyncio.Future[T]) -> None:
    if not work.cancelled() and work.exception() is None:
        left(work.result())
