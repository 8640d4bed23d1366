"""What can go wrong below the store, sorted by who can do something about it.

A `Refusal` (proto/errors.py) is the user's to act on; a `StoreFault` is the world's; anything else is a bug and passes
through as it is.
"""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason

if TYPE_CHECKING:
    from pathlib import Path

# What reading a damaged file raises: Python cannot always decode what SQLite found, or has to say about it.
SQLITE = (sqlite3.Error, UnicodeDecodeError)
PROBE_BYTES = 64 * 1024
PRIMARY_CODE = 0xFF


class StoreFault(Exception):  # noqa: N818 - the world's fault, as against a refusal
    """The disk let the store down; what was being written may be there or not. Only a restart tells."""


class StoreBusy(StoreFault):
    """Another program held the database's lock for too long. Nothing was changed; it may be tried again."""


class StoreClosed(StoreFault):
    """The store was closed before this was begun."""


def full(path: Path) -> Refusal:
    """No space."""
    return Refusal(RefusalReason.STORE_FULL, f"no space left for {path}", "free space on its file system, then repeat")


def read_only(path: Path) -> Refusal:
    """No right to write."""
    return Refusal(RefusalReason.STORE_READ_ONLY, f"{path} cannot be written", "make it and its folder writable")


def corrupt(path: Path, why: str) -> Refusal:
    """Not a database of ours, or no longer."""
    return Refusal(
        RefusalReason.STORE_CORRUPT, f"{path} {why}", "move it aside or restore a copy; it was left as it is"
    )


def newer(path: Path, version: int, known: int) -> Refusal:
    """Written by a later tsched."""
    return Refusal(
        RefusalReason.STORE_NEWER,
        f"{path} has schema version {version}, this tsched knows {known}",
        "use the newer tsched that wrote it; nothing was changed",
    )


def unusable(folder: Path, why: str) -> Refusal:
    """Not a folder to keep state in."""
    return Refusal(RefusalReason.STATE_DIR_UNUSABLE, f"state folder {folder} {why}", "choose another with --state-dir")


def translate(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> Exception:
    """Tell a SQLite error about the database at `path` in words of ours; a bug stays what it is."""
    if isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error):
        return corrupt(path, "is damaged (text in it is no UTF-8)")
    return _of_code(error, path) or error


def _of_code(error: sqlite3.Error, path: Path) -> Exception | None:
    match getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return full(path)
        case sqlite3.SQLITE_READONLY:
            return read_only(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return corrupt(path, f"is damaged ({error})")
        case sqlite3.SQLITE_BUSY:
            return StoreBusy(f"{path} is locked by another program")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PROTOCOL:
            return full(path) if disk_is_full(path.parent) and not _is_fsync(error) else _fault(error, path)
    return None


def disk_is_full(folder: Path) -> bool:
    """Whether the folder refuses a small file for want of space or quota.

    SQLite reports a quota, or a full disk met in its shared-memory file, as a mere I/O error.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * PROBE_BYTES)
            probe.flush()
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _is_fsync(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


def _fault(error: sqlite3.Error, path: Path) -> StoreFault:
    return StoreFault(f"{path}: {getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}: {error}")
