"""After an executor's death: what it left is ended and proven gone, then its attempts are settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ..proto import procs
from ..proto.clock import Clock
from ..proto.values import EndReason
from ..store import Store, claims, executors, model
from ..store.db import Db
from . import durable, log

WHY = {
    EndReason.EXECUTOR_DIED: "its executor died; everything it had started was ended",
    EndReason.MACHINE_RESTARTED: "the machine restarted while it ran",
}
Strike = Callable[[str, set[int]], Awaitable[list[int]]]


class Settler:
    """Settles what dead executors leave; `ended` is called with every attempt and the executor's id."""

    def __init__(self, store: Store, clock: Clock, ended: Callable[[model.Ended, str], None]) -> None:
        self._store = store
        self._clock = clock
        self._ended = ended

    async def settle(self, row: model.ExecutorRow, strike: Strike) -> None:
        """End its trees with `strike` (executor, namespaces -> survivors) until nobody survives, then its attempts."""
        same_boot = row.boot_id == procs.boot_id()
        if same_boot:
            await self._sweep(row, strike)
        reason = EndReason.EXECUTOR_DIED if same_boot else EndReason.MACHINE_RESTARTED
        for end in await durable.insist(lambda: self._store.write(partial(self._lose, row=row, reason=reason))):
            self._ended(end, row.id)

    async def _sweep(self, row: model.ExecutorRow, strike: Strike) -> None:
        runners = await asyncio.wrap_future(self._store.read(partial(executors.runners_of, executor=row.id)))
        namespaces = {runner.mount_namespace for runner in runners if runner.mount_namespace}
        while survivors := await strike(row.id, namespaces):
            log.get(executor=row.id).error("processes_will_not_die", pids=survivors)

    def _lose(self, db: Db, *, row: model.ExecutorRow, reason: EndReason) -> list[model.Ended]:
        now_us = self._clock.now_us()
        ends = claims.lose(db, executor=row.id, reason=reason, message=WHY[reason], now_us=now_us)
        executors.gone(db, id=row.id, now_us=now_us)
        return ends
