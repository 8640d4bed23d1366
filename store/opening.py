"""Opening a database file: looked at first, created private, set up, and every setting fetched back.

A setting that did not take is a silent loss of a promise (a swallowed `journal_mode=WAL` is the classic), so each is
compared with what was asked for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import sqlite_utils

from . import errors, migrate
from .disk import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..proto.errors import Refusal

MAGIC = b"SQLite format 3\0"
PRIVATE = 0o600
STATEMENT_CACHE = 256
BUSY_TIMEOUT_MS = 10_000

# name, value to set, value it must then have
Setting = tuple[str, str, int | str]

SHARED: tuple[Setting, ...] = (
    ("busy_timeout", str(BUSY_TIMEOUT_MS), BUSY_TIMEOUT_MS),
    ("foreign_keys", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
)
WRITER: tuple[Setting, ...] = (
    *SHARED,
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("journal_size_limit", str(64 * 1024 * 1024), 64 * 1024 * 1024),
    ("wal_autocheckpoint", "2000", 2000),
    ("secure_delete", "FAST", 2),
)
READER: tuple[Setting, ...] = (*SHARED, ("cache_size", "-1000", -1000), ("query_only", "ON", 1))
# What a file is born with; it can be set only while it is empty.
NEWBORN: tuple[Setting, ...] = (("auto_vacuum", "INCREMENTAL", 2),)


def open_writer(path: Path, schema: migrate.Schema) -> sqlite3.Connection:
    """The one connection that writes; the file is created and migrated as needed.

    Raises Refusal STATE_DIR_UNUSABLE, STORE_READ_ONLY, STORE_FULL, STORE_CORRUPT or STORE_NEWER, and leaves a file it
    refuses as it is.
    """
    with translated(path):
        _look(path, schema)
        fresh = _make_private(path)
        connection = connect(path, "rw")
        try:
            apply(connection, (*(NEWBORN if fresh else ()), *WRITER, _cache(schema.cache_kib)), path)
            migrate.migrate(connection, path, schema)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. The file must be open for writing already."""
    with translated(path):
        connection = connect(path, "rw")
        try:
            apply(connection, READER, path)
        except BaseException:
            connection.close()
            raise
        return connection


def check(state_dir: Path) -> None:
    """Refuse what `Store.open` would refuse at first sight, and change nothing; a missing folder is fine."""
    for schema in (migrate.TSCHED, migrate.OUTPUT) if state_dir.exists() else ():
        with translated(state_dir / schema.file_name):
            _look(state_dir / schema.file_name, schema)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection whose transactions are begun and ended by hand, with rows read by name."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENT_CACHE,
    )
    connection.row_factory = sqlite3.Row
    return sqlite_utils.Database(connection, execute_plugins=False, recursive_triggers=False).conn


def _cache(kib: int) -> Setting:
    return ("cache_size", str(-kib), -kib)


def apply(connection: sqlite3.Connection, settings: tuple[Setting, ...], path: Path) -> None:
    """Set each, fetch it back, compare. Raises Refusal when one did not take."""
    for name, value, wanted in settings:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (got,) = connection.execute(f"PRAGMA {name}").fetchone()
        if got != wanted:
            raise errors.unusable(path.parent, f"does not let SQLite keep {name}={wanted} (it is {got})")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as refusals and faults of ours; what SQLite cannot read is damaged."""
    try:
        yield
    except errors.SQLITE as error:
        told = errors.translate(error, path)
        raise (errors.corrupt(path, f"cannot be read ({error})") if told is error else told) from error
    except OSError as error:
        raise _of_os(error, path) from error


def _look(path: Path, schema: migrate.Schema) -> None:
    """Refuse what is not ours, before anything is written."""
    if not path.parent.is_dir():
        raise errors.unusable(path.parent, "is no folder" if path.parent.exists() else "does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise errors.read_only(path.parent)
    if not path.exists() or not path.stat().st_size:
        return
    if not os.access(path, os.R_OK | os.W_OK):
        raise errors.read_only(path)
    if not _is_torn(path):
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise errors.corrupt(path, "is not a SQLite database")
    with contextlib.closing(glance(path)) as connection:
        migrate.examine(connection, path, schema)


def glance(path: Path) -> sqlite3.Connection:
    """A connection for a look that changes nothing, but what a creation that was cut short left."""
    return connect(path, "rw" if _is_torn(path) else "ro")


def _is_torn(path: Path) -> bool:
    """Whether its creation was cut short. SQLite then undoes what there is when it reads, and has to write for that."""
    journal = path.with_name(f"{path.name}-journal")
    return journal.exists() and journal.stat().st_size > 0


def _make_private(path: Path) -> bool:
    """Create the file where it is missing, and let nobody else read it. Whether it is empty."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    try:
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != PRIVATE:
            os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)
    if not status.st_size:
        sync_folder(path.parent)
    return not status.st_size


def _of_os(error: OSError, path: Path) -> Refusal:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.full(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return errors.read_only(path)
    return errors.unusable(path.parent, f"cannot be used ({error.strerror}: {path.name})")
