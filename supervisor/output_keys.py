"""The keys of output: what opens what an attempt wrote, and what seals what an executor did not."""

from __future__ import annotations

import asyncio
from functools import partial

from ..proto.sealing import KeySealer
from ..store import Store, data_keys, model
from . import durable

AT_HAND = 256


class OutputKeys:
    """Finds the key of an attempt's output, and gives one to an executor that has none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._openers: dict[int, data_keys.Opener] = {}
        self._sealers: dict[str, KeySealer] = {}
        """Of executors whose output is sealed here, for it came in clear."""

    async def opener(self, attempt_id: int) -> data_keys.Opener:
        """What opens the output of this attempt; one with a key is at hand for who reads on."""
        if at_hand := self._openers.get(attempt_id):
            return at_hand
        found = await asyncio.wrap_future(self._store.read(partial(data_keys.opener, attempt_id=attempt_id)))
        if found.key is not None:
            self._openers[attempt_id] = found
            while len(self._openers) > AT_HAND:
                del self._openers[next(iter(self._openers))]
        return found

    async def kept(self, executor: str, rows: list[model.ChunkRow]) -> list[model.ChunkRow]:
        """Output as it is to be stored: an executor of a time without encryption sends it in clear."""
        if not self._store.cipher.seals or all(row.sealed for row in rows):
            return rows
        sealer = self._sealers.get(executor) or await self._give(executor)
        return [row if row.sealed else data_keys.sealed(sealer, row) for row in rows]

    async def _give(self, executor: str) -> KeySealer:
        key = await durable.insist(lambda: self._store.write(partial(data_keys.ensure, executor=executor)))
        return self._sealers.setdefault(executor, KeySealer(key))
