"""The handle commands and queries are given: one connection, the cipher, the named statements."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from . import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .cipher import Cipher
    from .sql import Statement

BLOCKS = (64, 16, 4, 1)


@dataclass(frozen=True, slots=True)
class Db:
    """One database inside one transaction. It is good for the call it was given to, and no longer."""

    connection: sqlite3.Connection
    cipher: Cipher
    sql: Mapping[str, Statement] = field(repr=False)
    who: model.Who = model.SERVICE
    """On whose behalf it is asked."""

    def on_behalf(self, who: model.Who) -> Db:
        """The same for somebody."""
        return Db(self.connection, self.cipher, self.sql, who)

    @property
    def only(self) -> str | None:
        """The one owner whose tasks are seen; None: everybody's are."""
        return None if self.who.sees_all else self.who.owner

    def sees(self, owner: str) -> bool:
        """Whether tasks of this owner are there at all for whoever asks."""
        return self.who.sees_all or owner == self.who.owner

    def one(self, statement: str, /, **params: Any) -> sqlite3.Row | None:
        """The first row of a named statement."""
        row: sqlite3.Row | None = self.connection.execute(self.sql[statement].text, params).fetchone()
        return row

    def all(self, statement: str, /, **params: Any) -> list[sqlite3.Row]:
        """All rows of a named statement."""
        return self.connection.execute(self.sql[statement].text, params).fetchall()

    def each(self, statement: str, /, **params: Any) -> Iterator[sqlite3.Row]:
        """The rows of a named statement as they are found, for who may stop early."""
        with contextlib.closing(self.connection.execute(self.sql[statement].text, params)) as cursor:
            yield from cursor

    def run(self, statement: str, /, **params: Any) -> int:
        """Run a named statement; how many rows it changed."""
        return self.connection.execute(self.sql[statement].text, params).rowcount

    def many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        """Run a named statement for each row of parameters; how many rows it changed in all.

        One that takes rows is run for a block of them at a time: where there are triggers, to begin a statement costs
        as much as what it does to one row.
        """
        if not self.sql[statement].takes_rows:
            return self.connection.executemany(self.sql[statement].text, rows).rowcount
        changed = start = 0
        while start < len(rows):
            size = next(size for size in BLOCKS if size <= len(rows) - start)
            text, values = _block(self.sql[statement], size)
            block = itertools.chain.from_iterable(map(values, rows[start : start + size]))
            changed += self.connection.execute(text, tuple(block)).rowcount
            start += size
        return changed


@cache
def _block(statement: Statement, size: int) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    text, names = statement.of_rows(size)
    return text, itemgetter(*names)
