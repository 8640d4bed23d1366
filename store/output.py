"""Output: what tasks wrote, kept as it came, found by attempt and number. All of this is about output.db."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import model

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .db import Db

READ_BYTES = 256 * 1024
VACUUM_PAGES = 1000


def append(db: Db, *, chunks: Sequence[model.ChunkRow]) -> None:
    """Keep chunks. One that is there already stays as it is."""
    db.many(
        "append_chunk",
        [
            {
                "attempt_id": chunk.attempt_id,
                "number": chunk.number,
                "stream": chunk.stream,
                "offset": chunk.offset,
                "length": chunk.length,
                "data": chunk.data,
                "sealed": chunk.sealed,
            }
            for chunk in chunks
        ],
    )


def read_chunks(db: Db, *, attempt_id: int, after: int, limit: int) -> list[model.ChunkRow]:
    """What follows chunk `after`: at most `limit` chunks, and no more once READ_BYTES are reached."""
    chunks: list[model.ChunkRow] = []
    size = 0
    for row in db.each("chunks_after", attempt_id=attempt_id, after=after, limit=limit):
        chunks.append(chunk_row(row))
        size += len(row["data"])
        if size >= READ_BYTES:
            break
    return chunks


def chunk_row(row: sqlite3.Row) -> model.ChunkRow:
    """A chunk as it is stored."""
    return model.ChunkRow(
        attempt_id=row["attempt_id"],
        number=row["number"],
        stream=row["stream"],
        offset=row["offset"],
        length=row["length"],
        data=row["data"],
        sealed=bool(row["sealed"]),
    )


def last_number(db: Db, *, attempt_id: int) -> int:
    """The number of the last chunk; 0 for none."""
    row = db.one("last_number_of", attempt_id=attempt_id)
    return 0 if row is None else row["number"]


def stored_bytes(db: Db, *, attempt_id: int) -> dict[int, int]:
    """How much of each stream is kept, in clear bytes."""
    return {row["stream"]: row["length"] for row in db.all("lengths_of", attempt_id=attempt_id)}


def tail_start(db: Db, *, attempt_id: int, stream: int | None, bytes: int) -> int:  # noqa: A002 - the word of the contract
    """The number of the chunk to begin with, so that at least `bytes` of the stream follow, or all there are."""
    wanted = bytes
    start = last_number(db, attempt_id=attempt_id) + 1
    for row in db.each("lengths_backwards", attempt_id=attempt_id):
        if wanted <= 0:
            break
        start = row["number"]
        wanted -= row["length"] if stream in (None, row["stream"]) else 0
    return start


def drop(db: Db, *, attempt_ids: Sequence[int]) -> None:
    """Delete all output of attempts, and give some of the space back to the file system."""
    db.many("drop_chunks", [{"attempt_id": attempt_id} for attempt_id in attempt_ids])
    (free,) = db.connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, VACUUM_PAGES)):  # Python steps a statement without columns once only: one page each
        db.connection.execute("PRAGMA incremental_vacuum(1)")


def newest_attempt(db: Db) -> int:
    """The largest id of an attempt that has output; 0 for none."""
    row = db.one("newest_attempt")
    return 0 if row is None else row["attempt_id"]
