"""The key of the store: found or made before the store is opened, and changed while it is in use.

A key is never made for a store that is sealed already, and never put where one is. A new one lies beside its place
until the store says that it is sealed by it; so whatever a crash leaves, the next start has both or makes both.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..proto.errors import Refusal, RefusalReason
from ..store import Store, data_keys, key_file, migrate, ring, sealing
from ..store.cipher import PLAIN, PLAIN_ID, Cipher, CorruptRecord, FernetCipher, PlainCipher
from ..store.ring import Key, Ring
from . import keys, log
from .config import Config
from .keys import Source

DIGEST_KEY_BYTES = 32
MISSING_HINT = "put it back from a copy; without it nobody can read what is stored"


@dataclass(slots=True, kw_only=True)
class Vault:
    """The cipher of a store, and how it came to be. `note`: what is to be noted in it when it is open."""

    source: Source
    cipher: Cipher
    note: bytes | None = None
    is_new: bool = False
    """The key lies beside its place yet."""

    def begin(self, store: Store) -> None:
        """Note in the store how it is sealed, and give a new key its place. Raises Refusal."""
        cipher, folder = self.cipher, self.source.folder
        if self.note is not None and isinstance(cipher, FernetCipher):
            store.write(partial(sealing.put, key_id=self.note, kept=_kept(cipher))).result()
        if folder is not None:
            with _telling(folder):
                key_file.settle(folder) if self.is_new else key_file.discard(folder)

    def new_data_key(self) -> bytes | None:
        """What a new executor seals output under; None: nothing."""
        return data_keys.make() if self.cipher.seals else None

    async def renew(self) -> None:
        """Have a newer key seal from now on. Raises Refusal where there is none to be had, or it cannot be kept."""
        cipher = self.sealing_cipher()
        known = cipher.ring
        newer = await asyncio.to_thread(self._newer, known)
        cipher.use(newer)
        log.get().info("key_changed", key=newer.newest.id.hex(), former=known.newest.id.hex())

    def sealing_cipher(self) -> FernetCipher:
        """The cipher, where keys are in use. Raises Refusal WRONG_STATE."""
        if not isinstance(self.cipher, FernetCipher):
            hint = 'write encryption = "on" below [store], then tsched config reload'
            raise Refusal(RefusalReason.WRONG_STATE, "encryption is off: there is no key to change", hint)
        return self.cipher

    def _newer(self, known: Ring) -> Ring:
        if self.source.folder is not None:
            newer = known.with_new(Key.make())
            with _telling(self.source.folder):
                key_file.replace(self.source.folder, newer)
            return newer
        found = self.source.read()
        if found is None or known.newest not in found.keys:
            raise ring.unusable(f"{self.source.origin} lacks the key in use", "add the new one before it, keep the old")
        if found.newest == known.newest:
            raise ring.unusable(f"{self.source.origin} holds no newer key", "put the new one first, then ask again")
        return found

    def finish(self) -> None:
        """Forget the keys that nothing is sealed by any more; where the file is ours, there too. Raises Refusal."""
        cipher, folder = self.cipher, self.source.folder
        if not isinstance(cipher, FernetCipher) or (cipher.seals and len(cipher.ring.keys) == 1):
            return
        newest = cipher.ring.only_newest()
        if folder is not None:
            with _telling(folder):
                key_file.replace(folder, newest) if cipher.seals else key_file.remove(folder)
        cipher.use(newest)


def check(state_dir: Path, config: Config) -> None:
    """Raises Refusal where `prepared` would, and touches nothing; commands are not run."""
    source = keys.source(config, os.environ, state_dir)
    if not source.command:
        _chosen(source, sealing.look(state_dir) if state_dir.exists() else sealing.Found(), config, write=False)


def prepared(state_dir: Path, config: Config) -> Vault:
    """The vault of the store in a folder that exists. Raises Refusal KEY_UNUSABLE, or as opening the store would."""
    source = keys.source(config, os.environ, state_dir)
    with _telling(state_dir):
        return _chosen(source, sealing.look(state_dir), config, write=True)


def _chosen(source: Source, found: sealing.Found, config: Config, *, write: bool) -> Vault:
    wanted = config.store_encryption == "on"
    if found.sealing is not None and not sealing.is_plain(found.sealing):
        return _of_sealed(source, found.sealing, seals=wanted)
    digest_key = _digest_key_in_clear(found.sealing) if found.sealing else None
    if not wanted:
        return Vault(source=source, cipher=PlainCipher(digest_key))
    return _of_plain(source, digest_key, holds_tasks=found.holds_tasks, write=write)


def _digest_key_in_clear(found: sealing.Sealing) -> bytes:
    """That of a store that is in clear again. Raises Refusal."""
    try:
        return sealing.opened(found, PLAIN).digest_key
    except CorruptRecord:
        message = f"{migrate.TSCHED.file_name} is damaged: how it is sealed cannot be read"
        raise Refusal(RefusalReason.STORE_CORRUPT, message, "restore a copy of it; nothing was changed") from None


def _of_sealed(source: Source, found: sealing.Sealing, *, seals: bool) -> Vault:
    """A store that only its key opens."""
    there = source.read()
    is_new = there is None and source.folder is not None
    known = key_file.load(source.folder / key_file.FRESH) if is_new and source.folder else there
    if known is None:
        raise ring.unusable(f"{migrate.TSCHED.file_name} is encrypted and {source.origin} is missing", MISSING_HINT)
    try:
        opened = sealing.opened(found, FernetCipher(known, b""))
    except CorruptRecord:
        message = f"{source.origin} does not hold the key of {migrate.TSCHED.file_name}"
        raise ring.unusable(message, "put the right one there; nothing was changed") from None
    takes_plain = opened.takes_plain or not seals
    cipher = FernetCipher(known, opened.digest_key, takes_plain=takes_plain, seals=seals)
    note = None if takes_plain == opened.takes_plain else found.key_id
    return Vault(source=source, cipher=cipher, note=note, is_new=is_new)


def _of_plain(source: Source, digest_key: bytes | None, *, holds_tasks: bool, write: bool) -> Vault:
    """A store that is sealed from now on."""
    known = source.read()
    if known is not None and source.folder is not None and holds_tasks:
        # Somebody who cannot read the key could have put a store in clear there, for it to be run.
        message = f"{source.origin} is there, and {migrate.TSCHED.file_name} is not encrypted"
        raise ring.unusable(message, "restore the encrypted one, or move the key away if this one is to be taken over")
    if known is None and source.folder is None:
        raise ring.unusable(f"{source.origin} holds no key", "one is 32 random bytes, as urlsafe base64")
    is_new = known is None
    known = known or Ring((Key.make(),))
    if is_new and write and source.folder is not None:
        key_file.put_beside(source.folder, known)
    cipher = FernetCipher(known, digest_key or secrets.token_bytes(DIGEST_KEY_BYTES), takes_plain=holds_tasks)
    return Vault(source=source, cipher=cipher, note=PLAIN_ID if holds_tasks else known.newest.id, is_new=is_new)


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """What keeps a key from being kept, as a refusal."""
    try:
        yield
    except OSError as error:
        raise ring.unusable(f"cannot keep a key in {folder}: {error.strerror}", "see the folder's disk") from None


def _kept(cipher: FernetCipher) -> sealing.Kept:
    return sealing.Kept(digest_key=cipher.digest_key, takes_plain=cipher.takes_plain)
