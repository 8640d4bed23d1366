"""Bringing everything that is stored under the key it is to be under, beside all other work.

Every step may be repeated and is, after whatever cut it short: how far it has come is seen by what is stored. Only when
nothing is left that needs a former key, and nothing of it lies about in free pages either, is that noted, and only then
are former keys forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ..store import Store, data_keys, model, reseal, sealing
from ..store.cipher import FernetCipher
from ..store.data_keys import Opener
from ..store.db import Db
from ..store.reseal import COLUMNS, DIGESTS, Column, Page
from . import durable, log
from .background import Background
from .output_keys import OutputKeys
from .vault import Vault

T = TypeVar("T")
COMPACT_AGAIN_S = 60.0
"""On a full disk: each try fills it as far as it goes."""
STEPS = (*(column.step for column in COLUMNS), DIGESTS.step, "output", "compacting")


@dataclass(slots=True)
class Progress:
    """How far it is. `step`: what is gone through now; `fields`: sealed anew; `damaged`: could not be opened."""

    step: str = ""
    steps_done: int = 0
    fields: int = 0
    damaged: int = 0
    watchers: set[asyncio.Event] = field(default_factory=set)

    def enter(self, step: str) -> None:
        """The next step begins."""
        self.step, self.steps_done = step, STEPS.index(step)
        self.tell()

    def tell(self) -> None:
        """Wake those who look on."""
        for watcher in self.watchers:
            watcher.set()


class Resealer:
    """Does it, at most once at a time."""

    def __init__(self, store: Store, vault: Vault, background: Background) -> None:
        self._store = store
        self._vault = vault
        self._background = background
        self._keys = OutputKeys(store)
        self._work: asyncio.Task[None] | None = None
        self._deciding = asyncio.Lock()
        """Nothing begins with a key while another is being put in its place."""
        self.progress = Progress()

    async def pending(self) -> bool:
        """Whether something is not, or not surely, under the key that it is to be under."""
        cipher = self._vault.cipher
        if not isinstance(cipher, FernetCipher):
            return False
        found = await self._read(sealing.stored)
        return found is None or found.key_id != cipher.target or (cipher.seals and cipher.takes_plain)

    async def resume(self) -> None:
        """Go on with what was begun, by a change of key or of the configuration."""
        async with self._deciding:
            if await self.pending():
                self._start()
            elif not self.running:
                await asyncio.to_thread(self._vault.finish)

    async def renewed(self) -> asyncio.Task[None]:
        """Have a newer key seal and begin, unless it is underway. Raises Refusal where there is no newer key."""
        async with self._deciding:
            if not self.running:
                await self._vault.renew()
            return self._start()

    def _start(self) -> asyncio.Task[None]:
        if self._work is None or self._work.done():
            self.progress = Progress()
            self._work = self._background.spawn(self._run(self._vault.sealing_cipher()))
        return self._work

    async def stop(self) -> None:
        """Stop where it is; the next service goes on."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    @property
    def running(self) -> bool:
        """Whether it is underway."""
        return self._work is not None and not self._work.done()

    async def _run(self, cipher: FernetCipher) -> None:
        log.get().info("sealing_anew", key=cipher.target.hex())
        try:
            # What the writer has begun with a former key is stored before anything is looked at.
            await self._write(_nothing)
            await self._all(cipher)
            log.get().info("sealed_anew", fields=self.progress.fields, damaged=self.progress.damaged)
        finally:
            self.progress.tell()

    async def _all(self, cipher: FernetCipher) -> None:
        for column in COLUMNS:
            await self._pages(column, partial(reseal.page, column=column, target=cipher.target))
        if cipher.takes_plain and cipher.seals:
            await self._pages(DIGESTS, partial(reseal.digests, digest_key=cipher.digest_key))
            await self._seal_output()
        self.progress.enter("compacting")
        for compact in (self._store.compact, self._store.compact_output):
            await durable.insist(compact, every_s=COMPACT_AGAIN_S)
        kept = sealing.Kept(digest_key=cipher.digest_key, takes_plain=not cipher.seals)
        await self._write(partial(sealing.put, key_id=cipher.target, kept=kept))
        cipher.takes_plain = not cipher.seals
        await asyncio.to_thread(self._vault.finish)

    async def _pages(self, column: Column, look: Callable[..., Page]) -> None:
        """Go through one column."""
        self.progress.enter(column.step)
        after: int | str | None = column.first
        while after is not None:
            page = await self._read(partial(look, after=after))
            if page.changes:
                await self._write(partial(reseal.put_back, statement=column.update, changes=page.changes))
            self.progress.fields += len(page.changes)
            self.progress.damaged += page.damaged
            self.progress.tell()
            after = page.after

    async def _seal_output(self) -> None:
        """Seal what executors wrote in clear, each under a key that it is given now."""
        self.progress.enter("output")
        await self._write(data_keys.give_all)
        after = 0
        while chunks := await self._clear_chunks(after):
            openers = {attempt: await self._keys.opener(attempt) for attempt in {e.attempt_id for e in chunks.values()}}
            sealed, nobodys = await asyncio.to_thread(_sealed, chunks, openers)
            put_back = partial(data_keys.seal_chunks, sealed=sealed, nobodys=nobodys)
            await durable.insist(partial(self._store.write_output, put_back))
            self.progress.fields += len(sealed)
            self.progress.tell()
            after = max(chunks)

    async def _clear_chunks(self, after: int) -> dict[int, model.ChunkRow]:
        return await asyncio.wrap_future(self._store.read_output(partial(data_keys.clear_chunks, after=after)))

    async def _read(self, query: Callable[[Db], T]) -> T:
        return await asyncio.wrap_future(self._store.read(query))

    async def _write(self, command: Callable[[Db], T]) -> T:
        return await durable.insist(lambda: self._store.write(command))


def _sealed(chunks: Mapping[int, model.ChunkRow], openers: Mapping[int, Opener]) -> tuple[dict[int, bytes], list[int]]:
    """Chunks by their rows, sealed; and the rows of those that are nobody's."""
    keys = {attempt: opener.key for attempt, opener in openers.items()}
    mine = {row: data_keys.sealed(key, each).data for row, each in chunks.items() if (key := keys[each.attempt_id])}
    return mine, [row for row in chunks if row not in mine]


def _nothing(_db: Db) -> None:
    """Ask for nothing."""
