"""The keys under which executors seal what their tasks write: one each, itself sealed; and what they open."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..proto.sealing import KEY_BYTES, KeySealer
from . import model, output
from .cipher import Cipher, CorruptRecord

if TYPE_CHECKING:
    from ..proto.link_pb2 import Chunk
    from .db import Db

CHUNKS = 32


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens the output of one attempt; without a key, only what is in clear and may be."""

    cipher: Cipher
    key: KeySealer | None

    def open(self, chunk: model.ChunkRow | Chunk) -> bytes:
        """What the task wrote. Raises CorruptRecord."""
        if not chunk.sealed and self.cipher.takes_plain:
            return chunk.data
        if not chunk.sealed or self.key is None:
            raise CorruptRecord("it was not sealed by its executor")
        try:
            return self.key.open(chunk.attempt_id, chunk.number, chunk.stream, chunk.offset, chunk.data)
        except ValueError:
            raise CorruptRecord("it is not what was stored there") from None


def make() -> bytes:
    """A key for a new executor."""
    return secrets.token_bytes(KEY_BYTES)


def seal(db: Db, executor: str, key: bytes | None) -> bytes | None:
    """The key of an executor's output as it is stored."""
    return None if key is None else db.cipher.seal(key, table="executors", row=executor, column="data_key")


def opener(db: Db, *, attempt_id: int) -> Opener:
    """What opens the output of an attempt."""
    row = db.one("data_key_of_attempt", attempt_id=attempt_id)
    try:
        key = None if row is None else _open(db, row["id"], row["data_key"])
    except CorruptRecord:
        key = None
    return Opener(db.cipher, KeySealer(key) if key else None)


def give_all(db: Db) -> None:
    """Give a key to each executor whose output is in clear."""
    for row in db.all("executors_without_data_key"):
        db.run("give_data_key", id=row["id"], data_key=seal(db, row["id"], make()))


def ensure(db: Db, *, executor: str) -> bytes:
    """The key of an executor's output; a new one where it has none. Raises CorruptRecord."""
    fresh = make()
    db.run("give_data_key", id=executor, data_key=seal(db, executor, fresh))
    row = db.one("data_key_of_executor", id=executor)
    return (row and _open(db, executor, row["data_key"])) or fresh


def clear_chunks(db: Db, *, after: int) -> dict[int, model.ChunkRow]:
    """Output that is in clear, behind a row of output.db, by its row."""
    return {row["row"]: output.chunk_row(row) for row in db.all("clear_chunks", after=after, limit=CHUNKS)}


def sealed(sealer: KeySealer, chunk: model.ChunkRow) -> model.ChunkRow:
    """The same output, sealed."""
    data = sealer.seal(chunk.attempt_id, chunk.number, chunk.stream, chunk.offset, chunk.data)
    return replace(chunk, sealed=True, data=data)


def seal_chunks(db: Db, *, sealed: Mapping[int, bytes], nobodys: Sequence[int]) -> None:
    """Put output back, sealed. What belongs to no attempt can be shown for none, and goes."""
    db.many("seal_chunk", [{"row": row, "data": data} for row, data in sealed.items()])
    db.many("drop_chunk", [{"row": row} for row in nobodys])


def has_clear_output(db: Db) -> bool:
    """Whether any output is in clear."""
    return db.one("clear_output") is not None


def _open(db: Db, executor: str, stored: bytes | None) -> bytes | None:
    return None if stored is None else db.cipher.open(stored, table="executors", row=executor, column="data_key")
