"""Each failure of SQLite is told by who can do something about it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tsched.proto.errors import Refusal, RefusalReason
from tsched.store import StoreBusy, StoreFault, errors

if TYPE_CHECKING:
    from pathlib import Path


def failure(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("said SQLite")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_SOMETHING"
    return error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, RefusalReason.STORE_FULL),
        (sqlite3.SQLITE_READONLY, RefusalReason.STORE_READ_ONLY),
        (sqlite3.SQLITE_CORRUPT, RefusalReason.STORE_CORRUPT),
        (sqlite3.SQLITE_CORRUPT_INDEX, RefusalReason.STORE_CORRUPT),
        (sqlite3.SQLITE_NOTADB, RefusalReason.STORE_CORRUPT),
    ],
)
def test_what_a_user_can_act_on_is_a_refusal_that_names_the_file(
    tmp_path: Path, code: int, reason: RefusalReason
) -> None:
    told = errors.translate(failure(code), tmp_path / "tsched.db")
    assert isinstance(told, Refusal)
    assert told.reason is reason
    assert str(tmp_path / "tsched.db") in told.message
    assert "\n" not in told.message
    assert told.hint


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CANTOPEN]
)
def test_what_the_disk_did_is_a_fault(tmp_path: Path, code: int) -> None:
    told = errors.translate(failure(code), tmp_path / "tsched.db")
    assert type(told) is StoreFault
    assert "SQLITE_SOMETHING" in str(told)


def test_a_lock_held_by_others_is_a_fault_that_passes(tmp_path: Path) -> None:
    assert isinstance(errors.translate(failure(sqlite3.SQLITE_BUSY), tmp_path / "tsched.db"), StoreBusy)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE])
def test_a_bug_stays_what_it_is(tmp_path: Path, code: int) -> None:
    error = failure(code)
    assert errors.translate(error, tmp_path / "tsched.db") is error


def test_text_that_is_no_text_is_damage(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.OperationalError) as failed:
        connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchone()
    for error in (failed.value, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")):
        told = errors.translate(error, tmp_path / "tsched.db")
        assert isinstance(told, Refusal)
        assert told.reason is RefusalReason.STORE_CORRUPT


def test_a_folder_with_space_is_not_full_and_one_that_is_gone_is_no_full_disk(tmp_path: Path) -> None:
    assert not errors.disk_is_full(tmp_path)
    assert not errors.disk_is_full(tmp_path / "gone")


def test_an_fsync_that_failed_is_a_fault_whatever_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "disk_is_full", lambda _: True)
    assert type(errors.translate(failure(sqlite3.SQLITE_IOERR_FSYNC), tmp_path / "x")) is StoreFault
    told = errors.translate(failure(sqlite3.SQLITE_IOERR_SHMSIZE), tmp_path / "x")
    assert isinstance(told, Refusal)
    assert told.reason is RefusalReason.STORE_FULL
