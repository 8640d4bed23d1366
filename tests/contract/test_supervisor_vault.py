"""Whatever cuts the making of a key short, the next start has the key of what was stored, or makes one for nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from support.keep import FakeClock
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import Store, key_file, sealing
from tsched.store.cipher import PLAIN, FernetCipher
from tsched.supervisor import config, vault

CONFIG = config.load(None)


def opened(folder: Path) -> tuple[vault.Vault, Store]:
    """As the supervisor does it."""
    found = vault.prepared(folder, CONFIG)
    store = Store.open(folder, found.cipher, FakeClock())
    found.begin(store)
    return found, store


def key_in(folder: Path) -> str:
    ring = key_file.load(folder / key_file.NAME)
    assert ring is not None
    return ring.text


def names(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if "key" in name or "ring" in name}


def test_a_key_is_made_with_the_store_and_is_the_same_ever_after(tmp_path: Path) -> None:
    _, store = opened(tmp_path)
    made = key_in(tmp_path)
    store.close()
    _, store = opened(tmp_path)
    store.close()
    assert key_in(tmp_path) == made
    assert names(tmp_path) == {"key"}


def test_before_the_store_says_that_it_is_sealed_a_new_key_is_nobodys(tmp_path: Path) -> None:
    vault.prepared(tmp_path, CONFIG)
    lost = (tmp_path / key_file.FRESH).read_text()
    _, store = opened(tmp_path)
    store.close()
    assert key_in(tmp_path) != lost
    assert names(tmp_path) == {"key"}


def test_once_the_store_says_so_the_key_beside_its_place_is_found(tmp_path: Path) -> None:
    found = vault.prepared(tmp_path, CONFIG)
    assert isinstance(found.cipher, FernetCipher)
    store = Store.open(tmp_path, found.cipher, FakeClock())
    kept = sealing.Kept(digest_key=found.cipher.digest_key, takes_plain=False)
    store.write(partial(sealing.put, key_id=found.cipher.target, kept=kept)).result()
    store.close()
    made = (tmp_path / key_file.FRESH).read_text()
    again, store = opened(tmp_path)
    assert isinstance(again.cipher, FernetCipher)
    assert again.cipher.digest_key == found.cipher.digest_key
    store.close()
    assert key_in(tmp_path) == made
    assert names(tmp_path) == {"key"}


def test_what_a_change_of_key_left_beside_it_is_forgotten(tmp_path: Path) -> None:
    found, store = opened(tmp_path)
    assert isinstance(found.cipher, FernetCipher)
    store.close()
    key_file.put_beside(tmp_path, found.cipher.ring)
    _, store = opened(tmp_path)
    store.close()
    assert names(tmp_path) == {"key"}


def test_looking_whether_it_would_start_makes_and_changes_nothing(tmp_path: Path) -> None:
    vault.check(tmp_path / "missing", CONFIG)
    vault.check(tmp_path, CONFIG)
    assert os.listdir(tmp_path) == []
    _, store = opened(tmp_path)
    store.close()
    (tmp_path / "key").unlink()
    with pytest.raises(Refusal) as caught:
        vault.check(tmp_path, CONFIG)
    assert caught.value.reason is RefusalReason.KEY_UNUSABLE


def test_where_no_key_can_be_kept_none_is_in_use(tmp_path: Path) -> None:
    (tmp_path / key_file.FRESH).mkdir()
    with pytest.raises(Refusal, match="cannot keep a key in"):
        vault.prepared(tmp_path, CONFIG)
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize("sealed", [b"", b"\0", PLAIN.seal(b"{}", table="sealing", row=1, column="sealed")])
def test_a_store_that_does_not_say_how_it_is_sealed_is_refused(tmp_path: Path, sealed: bytes) -> None:
    _, store = opened(tmp_path)
    store.close()
    with closing(sqlite3.connect(tmp_path / "tsched.db", isolation_level=None)) as db:
        db.execute("UPDATE sealing SET sealed = ?", (sealed,))
    with pytest.raises(Refusal, match="how it is sealed cannot be read") as caught:
        vault.prepared(tmp_path, CONFIG)
    assert caught.value.reason is RefusalReason.STORE_CORRUPT


def test_a_new_key_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    found, store = opened(tmp_path)
    assert isinstance(found.cipher, FernetCipher)
    former = found.cipher.ring
    (tmp_path / key_file.NAME).unlink()
    (tmp_path / key_file.NAME).mkdir()
    with pytest.raises(Refusal, match="cannot keep a key in"):
        asyncio.run(found.renew())
    assert found.cipher.ring == former
    store.close()
