"""Forgets finished tasks and events after their time, in small batches, so that no other write waits long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ..proto.clock import SECOND_US, Clock
from ..proto.errors import Refusal
from ..store import Store, StoreBusy, audit, output, retention
from ..store.db import Db
from . import log
from .config import Config
from .final_answers import FinalAnswers

EVERY_S = 900.0


class Retention:
    """Prunes at the start and every quarter of an hour."""

    def __init__(self, store: Store, clock: Clock, config: Config, answers: FinalAnswers) -> None:
        self._answers = answers
        self._store = store
        self._clock = clock
        self._config = config
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._work = asyncio.ensure_future(self._forever())

    def stop(self) -> None:
        """End; a batch that is on its way is finished by the store."""
        if self._work is not None:
            self._work.cancel()

    async def _forever(self) -> None:
        while True:
            try:
                await self.prune()
            except (Refusal, StoreBusy) as failure:  # a full disk, say: pruning can wait
                log.get().warning("prune_failed", error=str(failure))
            await asyncio.sleep(EVERY_S)

    async def prune(self) -> None:
        """Forget what is over its time or beyond the number to keep."""
        now_us = self._clock.now_us()
        before_us = now_us - round(self._config.store_keep_for_s * SECOND_US)
        command = partial(
            retention.prune, finished_before_us=before_us, keep=self._config.store_keep_finished, now_us=now_us
        )
        while attempt_ids := await self._pruned(command):
            await drop_output(self._store, attempt_ids)
        forget = partial(retention.prune_events, before_us=before_us, keep=self._config.store_keep_events)
        await self._all_of(forget)
        await self._all_of(partial(audit.prune, keep=self._config.store_keep_audit))

    async def _all_of(self, forget: Callable[[Db], int]) -> None:
        while await asyncio.wrap_future(self._store.write(forget)):
            pass

    async def _pruned(self, command: Callable[[Db], list[int]]) -> list[int]:
        with self._answers.gone():
            return await asyncio.wrap_future(self._store.write(command))


async def drop_output(store: Store, attempt_ids: list[int]) -> None:
    """Drop the output of attempts that are gone. What fails here is done at the next start."""
    await asyncio.wrap_future(store.write_output(partial(output.drop, attempt_ids=attempt_ids)))
    await asyncio.wrap_future(store.write(partial(retention.output_dropped, attempt_ids=attempt_ids)))
