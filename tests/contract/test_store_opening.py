"""A store opens on what is its own, privately, with every setting in force; and refuses the rest in one line, unchanged."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.keep import FakeClock, Keep, kept
from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import Store, opening
from tsched.store.cipher import PlainCipher
from tsched.store.migrate import OUTPUT, TSCHED

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("tsched.db", "output.db")


def refusal(folder: Path) -> Refusal:
    """What opening a store there is answered with."""
    with pytest.raises(Refusal) as refused:
        Store.open(folder, PlainCipher(), FakeClock())
    told = refused.value
    assert "\n" not in told.message
    assert told.hint
    return told


def made(folder: Path) -> None:
    """A sound store, closed."""
    with kept(folder) as keep:
        keep.task()


def test_the_files_are_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with kept(tmp_path) as keep:
            keep.task()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(FILES) < set(modes)
    assert set(modes.values()) == {0o600}


def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    made(tmp_path)
    for name in FILES:
        (tmp_path / name).chmod(0o644)
    with kept(tmp_path):
        assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in FILES} == {0o600}


@pytest.mark.parametrize("name", ["auto_vacuum", "application_id", "journal_mode"])
def test_what_a_file_is_born_with_is_in_it(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    expected = {"auto_vacuum": [2, 2], "application_id": [TSCHED.application_id, OUTPUT.application_id]}
    with closing(sqlite3.connect(tmp_path / FILES[0])) as one, closing(sqlite3.connect(tmp_path / FILES[1])) as other:
        got = [connection.execute(f"PRAGMA {name}").fetchone()[0] for connection in (one, other)]
    assert got == expected.get(name, ["wal", "wal"])


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000), ("query_only", 0)],
)
def test_the_promises_of_the_writer_are_in_force(tmp_path: Path, pragma: str, value: int | str) -> None:
    with kept(tmp_path) as keep:
        assert keep.sql(f"PRAGMA {pragma}") == [(value,)]
        assert keep.sql_output(f"PRAGMA {pragma}") == [(value,)]


def test_a_setting_that_does_not_take_is_refused(tmp_path: Path) -> None:
    with (
        closing(opening.open_writer(tmp_path / "tsched.db", TSCHED)) as connection,
        pytest.raises(Refusal, match="does not let SQLite keep synchronous=9") as refused,
    ):
        opening.apply(connection, (("synchronous", "FULL", 9),), tmp_path / "tsched.db")
    assert refused.value.reason is RefusalReason.STATE_DIR_UNUSABLE


def test_a_folder_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    told = refusal(tmp_path / "nowhere")
    assert told.reason is RefusalReason.STATE_DIR_UNUSABLE
    assert f"{tmp_path}/nowhere does not exist" in told.message
    assert not (tmp_path / "nowhere").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    assert "is no folder" in refusal(tmp_path / "file").message


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "x").touch()
    assert refusal(tmp_path).reason in (RefusalReason.STATE_DIR_UNUSABLE, RefusalReason.STORE_CORRUPT)


@pytest.mark.parametrize("name", FILES)
def test_a_database_of_a_newer_tsched_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    with closing(sqlite3.connect(tmp_path / name)) as connection:
        connection.execute("PRAGMA user_version = 4242")
    before = (tmp_path / name).read_bytes()
    told = refusal(tmp_path)
    assert told.reason is RefusalReason.STORE_NEWER
    assert "4242" in told.message
    assert name in told.message
    assert "newer tsched" in told.hint
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("garbage", [b"garbage", bytes(8192), b"SQLite format 3\0" + b"\xff" * 8000], ids=range(3))
@pytest.mark.parametrize("name", FILES)
def test_garbage_is_refused_by_name_and_left_alone(tmp_path: Path, name: str, garbage: bytes) -> None:
    (tmp_path / name).write_bytes(garbage)
    told = refusal(tmp_path)
    assert told.reason is RefusalReason.STORE_CORRUPT
    assert str(tmp_path / name) in told.message
    assert (tmp_path / name).read_bytes() == garbage


@pytest.mark.parametrize("name", FILES)
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / name)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = (tmp_path / name).read_bytes()
    assert "another program" in refusal(tmp_path).message
    assert (tmp_path / name).read_bytes() == before


def test_the_two_files_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    made(tmp_path)
    os.replace(tmp_path / "output.db", tmp_path / "tsched.db")
    assert "another program" in refusal(tmp_path).message


def test_a_refused_store_lets_go_of_everything(tmp_path: Path) -> None:
    (tmp_path / "output.db").write_bytes(b"garbage")
    before = len(os.listdir("/proc/self/fd"))
    refusal(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
    (tmp_path / "output.db").unlink()
    made(tmp_path)


def test_an_opened_store_lets_go_of_everything_when_it_closes(tmp_path: Path) -> None:
    made(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        Keep(tmp_path).store.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "tsched.db").touch()
    made(tmp_path)


def test_a_path_with_strange_characters_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "a b?mode=ro#100%é"
    folder.mkdir()
    made(folder)
    assert {path.name for path in folder.iterdir()} == set(FILES)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere; tests/crash mounts a read-only folder")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refusal(tmp_path).reason is RefusalReason.STORE_READ_ONLY
