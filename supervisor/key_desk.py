"""What people ask and are told about the keys of the store: which there are, how far a change is, what is in clear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ..proto import api_pb2
from ..store import Store, data_keys, model, sealing
from ..store.cipher import FernetCipher
from .resealing import STEPS, Resealer
from .vault import Vault

ON, OFF, CHANGING = "on", "off", "changing"


class KeyDesk:
    """Answers for the vault and the resealer of a store."""

    def __init__(self, store: Store, vault: Vault, resealer: Resealer) -> None:
        self._store = store
        self._vault = vault
        self._resealer = resealer

    @property
    def encryption(self) -> str:
        """In one word."""
        if self._resealer.running:
            return CHANGING
        return ON if self._vault.cipher.seals else OFF

    async def status(self) -> api_pb2.KeyStatusResponse:
        """Under which keys everything is."""
        cipher = self._vault.cipher
        ring = cipher.ring.keys if isinstance(cipher, FernetCipher) else ()
        return api_pb2.KeyStatusResponse(
            encryption=self.encryption,
            origin=self._vault.source.origin if ring else "",
            keys=[key.id.hex() for key in ring],
            fields=await asyncio.wrap_future(self._store.read(sealing.counts)),
            clear_output=await asyncio.wrap_future(self._store.read_output(data_keys.has_clear_output)),
            progress=self._progress() if self._resealer.running else None,
        )

    async def rotate(self) -> AsyncIterator[api_pb2.KeyProgress]:
        """Change the key, and tell how far that is until it is done. Raises Refusal WRONG_STATE, KEY_UNUSABLE."""
        self._vault.sealing_cipher()
        work, told = await self._resealer.renewed(), asyncio.Event()
        work.add_done_callback(lambda _: told.set())
        self._resealer.progress.watchers.add(told)
        try:
            while not work.done():
                yield self._progress()
                await told.wait()
                told.clear()
            work.result()
            yield self._progress(done=True)
        finally:
            self._resealer.progress.watchers.discard(told)

    def _progress(self, *, done: bool = False) -> api_pb2.KeyProgress:
        progress, cipher = self._resealer.progress, self._vault.sealing_cipher()
        return api_pb2.KeyProgress(
            key=cipher.target.hex(),
            step="" if done else progress.step,
            steps_done=len(STEPS) if done else progress.steps_done,
            steps=len(STEPS),
            fields=progress.fields,
            damaged=progress.damaged,
            done=done,
        )

    def findings(self) -> list[model.Finding]:
        """What the doctor says of it, in plain words."""
        if not self._vault.cipher.seals:
            return [_OFF]
        return [_UNDERWAY] if self._resealer.running else []


_OFF = model.Finding(
    severity="notice",
    object="encryption",
    message="it is off: commands, arguments, environments, results and output are stored in clear, for whoever can "
    "read the state folder, a copy of it, or its disk",
    hint='write encryption = "on" below [store], then tsched config reload',
)
_UNDERWAY = model.Finding(
    severity="notice",
    object="encryption",
    message="what is stored is being sealed anew; until that is done some of it is as it was",
    hint="tsched key status tells how far it is",
)
