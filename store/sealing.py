"""How a store is sealed: under which key everything is, what only that key opens, and how that is found out."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import migrate, opening
from .cipher import PLAIN_ID, CorruptRecord, FernetCipher, PlainCipher, key_of

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from .db import Db

COUNTS = (
    "seals_of_payloads",
    "seals_of_results",
    "seals_of_tasks",
    "seals_of_attempts",
    "seals_of_progress",
    "seals_of_executors",
)
PLACE: Any = {"table": "sealing", "row": 1, "column": "sealed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """How a store is sealed. `key_id`: everything is under that key; PLAIN_ID while some of it may be in clear."""

    key_id: bytes
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A store as it is found before it is opened: how it is sealed, if it ever was, and whether it holds anything."""

    sealing: Sealing | None = None
    holds_tasks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What only a key opens: the key of fingerprints, and whether some of the store may be in clear."""

    digest_key: bytes = field(repr=False)
    takes_plain: bool


def look(state_dir: Path) -> Found:
    """How the store there is sealed; nothing is changed. Raises Refusal as opening it would."""
    path = state_dir / migrate.TSCHED.file_name
    opening.check(state_dir)
    if not path.exists() or not path.stat().st_size:
        return Found()
    with opening.translated(path), contextlib.closing(opening.glance(path)) as connection:
        return _found(connection)


def _found(connection: sqlite3.Connection) -> Found:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    row = connection.execute("SELECT key_id, sealed FROM sealing").fetchone() if "sealing" in tables else None
    held = "tasks" in tables and connection.execute("SELECT 1 FROM tasks LIMIT 1").fetchone()
    return Found(sealing=row and Sealing(key_id=row["key_id"], sealed=row["sealed"]), holds_tasks=bool(held))


def opened(sealing: Sealing, cipher: FernetCipher | PlainCipher) -> Kept:
    """What only the key opens. Raises CorruptRecord."""
    try:
        values = json.loads(cipher.open(sealing.sealed, **PLACE))
        return Kept(digest_key=bytes.fromhex(values["digest_key"]), takes_plain=values["takes_plain"])
    except (ValueError, KeyError, TypeError):
        raise CorruptRecord("sealing/1 is none of ours") from None


def is_plain(sealing: Sealing) -> bool:
    """Whether it is of a store that is in clear again."""
    return key_of(sealing.sealed) == PLAIN_ID


def put(db: Db, *, key_id: bytes, kept: Kept) -> None:
    """Note how the store is sealed from now on."""
    values = {"digest_key": kept.digest_key.hex(), "takes_plain": kept.takes_plain}
    db.run("put_sealing", key_id=key_id, sealed=db.cipher.seal(json.dumps(values).encode(), **PLACE))


def stored(db: Db) -> Sealing | None:
    """How the store is sealed, as far as it is noted."""
    row = db.one("sealing_row")
    return None if row is None else Sealing(key_id=row["key_id"], sealed=row["sealed"])


def counts(db: Db) -> dict[str, int]:
    """How many fields are under which key, by its id in hex; the empty one stands for those in clear."""
    found: Counter[str] = Counter()
    for statement in COUNTS:
        for row in db.all(statement):
            head = bytes.fromhex(row["head"])
            found[key_of(head).hex()] += row["many"]
    return dict(found)
