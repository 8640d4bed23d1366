"""Writes that must not be given up: a full disk is waited out, not answered with loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ..proto.errors import Refusal, RefusalReason
from ..store import StoreBusy
from . import log

T = TypeVar("T")

PASSING = frozenset({RefusalReason.STORE_FULL, RefusalReason.STORE_READ_ONLY})
RETRY_AFTER_S = 1.0


async def insist(write: Callable[[], Future[T]]) -> T:
    """Write until it is durable. Whoever reported it keeps it until then."""
    while True:
        try:
            return await asyncio.wrap_future(write())
        except (Refusal, StoreBusy) as failure:
            if isinstance(failure, Refusal) and failure.reason not in PASSING:
                raise
            log.get().error("store_degraded", error=str(failure), retry_after_s=RETRY_AFTER_S)
            await asyncio.sleep(RETRY_AFTER_S)
