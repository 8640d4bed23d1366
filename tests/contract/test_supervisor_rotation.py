"""A change of key, with a real store: one at a time, whoever asks at the same moment, and no end of the service."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.keep import FakeClock
from tsched.proto.errors import Refusal
from tsched.store import Store, key_file, sealing
from tsched.store.cipher import FernetCipher
from tsched.supervisor import config, vault
from tsched.supervisor.background import Background
from tsched.supervisor.key_desk import KeyDesk
from tsched.supervisor.resealing import Resealer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tsched.proto import api_pb2 as api

CONFIG = config.load(None)


@contextmanager
def opened(folder: Path) -> Iterator[tuple[vault.Vault, Store]]:
    found = vault.prepared(folder, CONFIG)
    store = Store.open(folder, found.cipher, FakeClock())
    try:
        found.begin(store)
        yield found, store
    finally:
        store.close()


async def rotated(desk: KeyDesk) -> api.KeyProgress:
    """The last that is told of a change."""
    return [told async for told in desk.rotate()][-1]


def test_who_asks_at_the_same_moment_joins_and_one_key_comes_of_it(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    async def story(found: vault.Vault, store: Store) -> list[api.KeyProgress]:
        resealer = Resealer(store, found, Background(failures.append))
        desk = KeyDesk(store, found, resealer)
        changes = [rotated(desk) for _ in range(5)]
        *told, _ = await asyncio.gather(*changes, resealer.resume())
        return told

    with opened(tmp_path) as (found, store):
        assert isinstance(found.cipher, FernetCipher)
        before = found.cipher.ring.newest
        told = asyncio.run(story(found, store))
        assert {each.key for each in told} == {found.cipher.target.hex()} != {before.id.hex()}
        assert all(each.done for each in told)
        assert key_file.load(tmp_path / "key") == found.cipher.ring
        assert len(found.cipher.ring.keys) == 1
    assert not failures
    with opened(tmp_path) as (again, store):
        kept = store.read(sealing.stored).result()
        assert isinstance(again.cipher, FernetCipher)
        assert kept is not None
        assert kept.key_id == again.cipher.target


def test_former_keys_that_cannot_be_forgotten_now_stay_and_end_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as (found, store):
        asyncio.run(found.renew())
        assert isinstance(found.cipher, FernetCipher)
        both = found.cipher.ring
        (tmp_path / key_file.FRESH).mkdir()  # as a disk that takes no file
        with pytest.raises(Refusal, match="cannot keep a key in"):
            found.finish()
        assert found.cipher.ring == both == key_file.load(tmp_path / "key")
        assert store.write(_nothing).result() is None
        (tmp_path / key_file.FRESH).rmdir()
        found.finish()
        assert len(both.keys) == 2
        assert key_file.load(tmp_path / "key") == both.only_newest()


def _nothing(_db: object) -> None:
    """Ask for nothing."""
