"""The steps by which what is stored comes under another key, a page at a time.

Every step can be repeated, and none undoes another: a page is read and sealed anew beside the writer, and each field is
put back only where it is still what was read. What is written meanwhile is under the newest key already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .cipher import PLAIN, CorruptRecord, key_of, keyed

if TYPE_CHECKING:
    import sqlite3

    from .db import Db

PAGE_ROWS = 500
PAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Column:
    """Where sealed fields are, and the statements that read and rewrite them."""

    table: str
    name: str
    page: str
    update: str
    first: int | str = 0

    @property
    def step(self) -> str:
        """What going through it is called."""
        return "fingerprints" if self.name == "content" else self.table


COLUMNS = (
    Column("payloads", "sealed", "page_of_payloads", "reseal_payloads"),
    Column("results", "sealed", "page_of_results", "reseal_results"),
    Column("tasks", "message", "page_of_tasks", "reseal_tasks"),
    Column("attempts", "message", "page_of_attempts", "reseal_attempts"),
    Column("progress", "text", "page_of_progress", "reseal_progress"),
    Column("executors", "data_key", "page_of_executors", "reseal_executors", first=""),
)
DIGESTS = Column("tasks", "content", "page_of_digests", "reseal_digests")


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is to be put back, in place of what it was."""

    row: int | str
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some fields to be put back, how many were looked at, how many do not open, and where the next page begins."""

    changes: Sequence[Change]
    seen: int
    damaged: int
    after: int | str | None


def page(db: Db, *, column: Column, after: int | str, target: bytes) -> Page:
    """Fields behind `after` that are not under the key they are to be under, sealed anew."""
    changes: list[Change] = []
    seen = damaged = size = 0
    last: int | str | None = None
    for row in db.each(column.page, after=after, limit=PAGE_ROWS):
        seen, last = seen + 1, row["row"]
        old = row["blob"]
        if old is None or key_of(old) == target:
            continue
        try:
            changes.append(Change(last, old, _resealed(db, column, row)))
        except CorruptRecord:
            damaged += 1
        size += len(old)
        if size >= PAGE_BYTES:
            return Page(changes, seen, damaged, last)
    return Page(changes, seen, damaged, last if seen == PAGE_ROWS else None)


def _resealed(db: Db, column: Column, row: sqlite3.Row) -> bytes:
    place: Any = {"table": column.table, "row": row["row"], "column": column.name, "revision": row["revision"]}
    return db.cipher.seal(db.cipher.open(row["blob"], **place), **place)


def digests(db: Db, *, after: int | str, digest_key: bytes) -> Page:
    """Fingerprints behind `after` that were made without a key, and what takes their place."""
    rows = db.all("page_of_digests", after=after, limit=PAGE_ROWS)
    plain = [row for row in rows if len(row["blob"]) == len(PLAIN.digest(b""))]
    changes = [Change(row["row"], row["blob"], keyed(row["blob"], digest_key)) for row in plain]
    return Page(changes, len(rows), 0, rows[-1]["row"] if len(rows) == PAGE_ROWS else None)


def put_back(db: Db, *, statement: str, changes: Sequence[Change]) -> None:
    """Put fields back where they are still what was read."""
    db.many(statement, [{"row": each.row, "old": each.old, "new": each.new} for each in changes])
