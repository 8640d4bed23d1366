"""Bringing a database file to the schema this code knows: all pending migrations in one transaction, or none.

A file says whose it is (`application_id`) and how far it has come (`user_version`). One of another program and one from
a later tsched are refused before anything is changed.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = Path(__file__).parent / "migrations"
FILE_NAME = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True)
class Schema:
    """One of the store's databases: its file's name and mark, and the folder of its migrations."""

    file_name: str
    application_id: int
    folder: Path
    cache_kib: int = 1_000
    """Of the connection that writes. Output is written once, in order, and needs next to none."""

    @cached_property
    def migrations(self) -> Sequence[Path]:
        """The migration files in order. Raises ValueError unless they are numbered 1, 2, 3 ..."""
        files = sorted(self.folder.glob("*.sql"))
        numbers = [int(match["number"]) for path in files if (match := FILE_NAME.fullmatch(path.name))]
        if numbers != list(range(1, len(files) + 1)):
            raise ValueError(f"{self.folder}: migrations are not numbered without a gap")
        return files

    @property
    def version(self) -> int:
        """The newest `user_version` this code knows."""
        return len(self.migrations)


TSCHED = Schema("tsched.db", 0x74736368, FOLDER / "tsched", cache_kib=16_000)
OUTPUT = Schema("output.db", 0x7473636F, FOLDER / "output")


def examine(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """The version of the database. Refuses one that is another program's or a later tsched's."""
    if _pragma(connection, "application_id") != schema.application_id and not _is_blank(connection):
        raise errors.corrupt(path, "is another program's database")
    version = _pragma(connection, "user_version")
    if version > schema.version:
        raise errors.newer(path, version, schema.version)
    return version


def migrate(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Apply what is pending. Refuses as `examine` does; a failure leaves the database as it was."""
    if examine(connection, path, schema) == schema.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, schema, examine(connection, path, schema))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    for path in schema.migrations[version:]:
        for statement in statements(path.read_text(encoding="utf-8")):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.application_id}")
    connection.execute(f"PRAGMA user_version = {schema.version}")


def statements(text: str) -> Iterator[str]:
    """The single statements of a script; `executescript` would commit what is open before it begins."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _is_blank(connection: sqlite3.Connection) -> bool:
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(_pragma(connection, "application_id") == 0 and _pragma(connection, "user_version") == 0 and not objects)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
