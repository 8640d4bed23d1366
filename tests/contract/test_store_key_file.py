"""The file of keys is made once, read only where it is its owner's alone, and replaced in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import key_file
from tsched.store.ring import Key, Ring


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a key."""
    key_file.put_beside(tmp_path, Ring((Key.make(),)))
    key_file.settle(tmp_path)
    return tmp_path


def test_a_key_is_private_and_read_as_it_was_written(tmp_path: Path) -> None:
    ring = Ring((Key.make(),))
    assert key_file.load(tmp_path / "key") is None
    key_file.put_beside(tmp_path, ring)
    key_file.settle(tmp_path)
    assert key_file.load(tmp_path / "key") == ring
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_key_that_is_there_is_never_overwritten_by_a_new_one(folder: Path) -> None:
    there = key_file.load(folder / "key")
    key_file.put_beside(folder, Ring((Key.make(),)))
    with pytest.raises(FileExistsError):
        key_file.settle(folder)
    key_file.discard(folder)
    assert key_file.load(folder / "key") == there
    assert os.listdir(folder) == ["key"]


def test_it_is_replaced_in_one_step(folder: Path) -> None:
    there = key_file.load(folder / "key")
    assert there is not None
    newer = there.with_new(Key.make())
    key_file.replace(folder, newer)
    assert key_file.load(folder / "key") == newer
    assert os.listdir(folder) == ["key"]


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


WRONG = {
    "others read it": (lambda path: path.chmod(0o640), "can be used by others (mode 0640)"),
    "a second name": (lambda path: os.link(path, path.with_name("copy")), "has a second name"),
    "a link": (_link, "cannot be read: Too many levels of symbolic links"),
    "a pipe": (_fifo, "is no regular file"),
    "a folder": (lambda path: (path.unlink(), path.mkdir(0o700)), "is no regular file"),
    "cut": (lambda path: os.truncate(path, path.stat().st_size - 4), "line 2 of the key"),
    "empty": (lambda path: os.truncate(path, 0), "holds no key"),
    "not text": (lambda path: path.write_bytes(b"\xff\x00\x80" * 40), "line 1 of the key"),
    "somebody else's": (lambda path: os.chown(path, 12345, -1), "belongs to user 12345"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_its_owners_alone_or_no_key_is_refused_by_name(folder: Path, wrong: str) -> None:
    spoil, told = WRONG[wrong]
    if "somebody" in wrong and os.geteuid():
        pytest.skip("only root can give a file away")
    spoil(folder / "key")
    with pytest.raises(Refusal) as caught:
        key_file.load(folder / "key")
    assert caught.value.reason is RefusalReason.KEY_UNUSABLE
    assert told in caught.value.message
    assert str(folder / "key") in caught.value.message
