"""What functions returned: sealed beside their tasks, for people and for the tasks that take it as an argument."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from ..proto.errors import Refusal, RefusalReason
from ..proto.plain import SIZE_LIMIT
from .cipher import CorruptRecord
from .rows import seq_and_state

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db


def store(db: Db, returned: Sequence[tuple[int, int, bytes]]) -> None:
    """Keep what tasks returned, each with the attempt that did."""
    db.many(
        "insert_result",
        [
            {"task": seq, "attempt_id": attempt_id, "sealed": _seal(db, plain, seq=seq, attempt_id=attempt_id)}
            for seq, attempt_id, plain in returned
        ],
    )


def result(db: Db, *, id: str) -> bytes | None:  # noqa: A002 - the word of the contract
    """What a task returned; None when it returned nothing. Raises Refusal NO_SUCH_TASK or STORE_CORRUPT."""
    seq_and_state(db, id)
    for row in db.all("results_of", ids=json.dumps([id])):
        try:
            return opened(db, row)
        except CorruptRecord as error:
            raise Refusal(
                RefusalReason.STORE_CORRUPT, f"the stored result of task {id} is damaged", "run the task again"
            ) from error
    return None


def among(db: Db, *, ids: Sequence[str]) -> dict[str, bytes]:
    """What tasks returned, by their ids, of those that returned something and whose result can be opened."""
    found = {}
    for row in db.all("results_of", ids=json.dumps(ids)):
        try:
            found[row["id"]] = opened(db, row)
        except CorruptRecord:
            continue
    return found


def first(db: Db, *, ids: Sequence[str], limit: int) -> list[bytes | None]:
    """What the first of these tasks returned, each None where it returned nothing, until that is over so many bytes."""
    found: dict[str, bytes] = {}
    size = 0
    for row in db.each("results_of", ids=json.dumps(ids)):
        with suppress(CorruptRecord):
            found[row["id"]] = plain = opened(db, row)
            size += len(plain)
        if size > limit:
            ids = ids[: ids.index(row["id"]) + 1]
            break
    return [found.get(each) for each in ids]


def wanted(db: Db, seq: int) -> tuple[bytes | None, ...]:
    """One place for each task that this one waited for: what that returned, where it is wanted and there.

    Once there is more than arguments may take the rest is not loaded: what there is cannot be given anyway. Raises
    CorruptRecord.
    """
    places: list[bytes | None] = []
    room = SIZE_LIMIT
    for row in db.each("results_for", seq=seq):
        places += [None] * (row["position"] + 1 - len(places))
        if row["sealed"] is not None and room >= 0:
            places[-1] = plain = opened(db, row)
            room -= len(plain)
    return tuple(places)


def opened(db: Db, row: sqlite3.Row) -> bytes:
    """A result as it was returned. Raises CorruptRecord."""
    return db.cipher.open(row["sealed"], table="results", row=row["task"], column="sealed", revision=row["attempt_id"])


def _seal(db: Db, plain: bytes, *, seq: int, attempt_id: int) -> bytes:
    return db.cipher.seal(plain, table="results", row=seq, column="sealed", revision=attempt_id)
